// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// measured is how many shims with each library are measured.
const measured = 10

// settle is how long they have been idle by then.
const settle = 10 * time.Second

// quantities are what is measured: of the file, and by the names that they have in
// smaps_rollup, of the process.
var quantities = []struct{ name, title string }{
	{"", "size of the file, stripped, bytes"},
	{"Rss", "resident memory (RSS), KiB"},
	{"Pss", "its share of that (PSS), KiB"},
	{"Private_Dirty", "memory that it alone has written, KiB"},
}

// measureShims compares shims of idle containers, one with this library and one
// with upstream's in turn, below one daemon.
func (r *runner) measureShims(ctx context.Context) error {
	both := []build{ours24, theirs24}
	if r.built[both[0]] == nil || r.built[both[1]] == nil {
		return nil // no pair needs them
	}
	b, err := r.newBed(pair{"shims", "to be measured", ours24, ours24, ""})
	if err != nil {
		return err
	}
	defer b.cleanUp()
	if err := b.start(ctx); err != nil {
		return err
	}
	if err := b.importImage(ctx); err != nil {
		return err
	}
	for i := range 2 * measured {
		args := b.runArgs("-d", fmt.Sprintf("idle%d", i), "sleep", "100000")
		args = slices.Insert(args, 1, "--runtime", filepath.Join(r.built[both[i%2]].dir, shimProgram))
		if err := b.succeed(ctx, args...); err != nil {
			return err
		}
	}
	select {
	case <-time.After(settle):
	case <-ctx.Done():
		return ctx.Err()
	}
	say("\n| shim of %s, %d idle ones of each | this library | %s | ratio |\n|---|---:|---:|---:|\n",
		r.built[ours24].version, measured, r.built[theirs24].library)
	for _, q := range quantities {
		var median [2]int
		for i, built := range both {
			if median[i], err = b.median(q.name, filepath.Join(r.built[built].dir, shimProgram)); err != nil {
				return err
			}
		}
		say("| %s | %d | %d | %.3f |\n", q.title, median[0], median[1], float64(median[0])/float64(median[1]))
	}
	return nil
}

// median returns the median of a quantity, over the shims that were started from a
// file.
func (b *bed) median(quantity, file string) (int, error) {
	if quantity == "" {
		info, err := os.Stat(file)
		if err != nil {
			return 0, err
		}
		return int(info.Size()), nil
	}
	var values []int
	for _, s := range b.shims() {
		if s.file != file {
			continue
		}
		value, err := memory(s.pid, quantity)
		if err != nil {
			return 0, err
		}
		values = append(values, value)
	}
	if len(values) != measured {
		return 0, fmt.Errorf("there are %d shims of %s", len(values), file)
	}
	slices.Sort(values)
	return (values[measured/2-1] + values[measured/2]) / 2, nil
}

// memory reads a quantity of a process, in KiB.
func memory(pid int, quantity string) (int, error) {
	rollup, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(rollup)) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == quantity+":" {
			return strconv.Atoi(f[1])
		}
	}
	return 0, fmt.Errorf("no %s in smaps_rollup", quantity)
}
