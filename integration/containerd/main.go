// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Command containerd runs containers with this library. It builds containerd's
// daemon, its shim for runc and ctr, each once with this library and once with
// upstream's, and lets all of them work with each other, and with the daemon and
// the shim that Debian 12 has.
//
// Run it in its own directory, by `go run .`, as root. It needs runc, a static
// busybox and Debian's containerd, which it installs by apt-get where they are
// missing, and a network or a filled module cache. It uses daemons of its own, in
// a temporary directory, and no other. It prints a line per case, writes the
// results to ../interop/results, and exits with status 1 if a case fails.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/containerd/ttrpc/integration/interop/report"
)

// resultsDir is where results go, for the report on all peers.
const resultsDir = "../interop/results"

func main() {
	var r runner
	flag.BoolVar(&r.short, "short", false, "only two pairs of daemon and shim, fewer containers, nothing of Debian's containerd; write no results")
	flag.BoolVar(&r.verbose, "v", false, "print every command that is run, and what it prints")
	flag.BoolVar(&r.keep, "keep", false, "write no results")
	flag.StringVar(&r.only, "run", "", "only pairs whose names contain this `text`; write no results")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := r.run(ctx)
	stop()
	var skipped errSkipped
	switch {
	case errors.As(err, &skipped):
		fmt.Printf("SKIPPED: containerd: %v\n", skipped)
	case err != nil:
		fmt.Fprintln(os.Stderr, "containerd:", err)
		os.Exit(2)
	case r.failed > 0:
		fmt.Printf("%d of %d cases failed\n", r.failed, r.passed+r.failed)
		os.Exit(1)
	default:
		fmt.Printf("%d cases passed\n", r.passed)
	}
}

// say prints what happens.
func say(format string, args ...any) { fmt.Printf(format, args...) }

// errSkipped is why nothing can be run.
type errSkipped struct{ error }

// A runner holds the flags, and what there is during the run.
type runner struct {
	short, verbose, keep bool
	only                 string
	dir                  string // temporary
	image                string // the file to import
	built                map[build]*binaries
	passed, failed       int
	rows                 []string // of the table of times
}

// inARow is how many containers run one after the other.
func (r *runner) inARow() int {
	if r.short {
		return 5
	}
	return 50
}

// run does it all.
func (r *runner) run(ctx context.Context) (err error) {
	chosen := r.pairs()
	if err := prepareMachine(ctx, needsDebian(chosen)); err != nil {
		return err
	}
	if r.dir, err = os.MkdirTemp("", "containerd-test-"); err != nil {
		return err
	}
	defer os.RemoveAll(r.dir)
	if err := r.build(ctx, chosen); err != nil {
		return err
	}
	busybox, err := staticBusybox()
	if err != nil {
		return err
	}
	r.image = filepath.Join(r.dir, "image.tar")
	if err := writeImage(r.image, busybox); err != nil {
		return err
	}
	for _, p := range chosen {
		result, err := r.runPair(ctx, p)
		if err != nil {
			return fmt.Errorf("%s: %w", p, err)
		}
		if !r.short && !r.keep && r.only == "" {
			if err := report.Write(resultsDir, result); err != nil {
				return err
			}
		}
	}
	if len(r.rows) > 0 {
		fmt.Println("\n| daemon and shim | a container, median | slowest |\n|---|---:|---:|")
		fmt.Println(strings.Join(r.rows, "\n"))
	}
	return r.measureShims(ctx)
}

// runPair runs all cases of a pair.
func (r *runner) runPair(ctx context.Context, p pair) (*report.Result, error) {
	fmt.Printf("\n%s\n", p)
	result := &report.Result{Part: "containerd", Peer: p.peer, Version: p.name}
	b, err := r.newBed(p)
	if err != nil {
		return nil, err
	}
	defer b.cleanUp()
	if err := b.start(ctx); err != nil {
		return nil, err
	}
	for _, c := range r.cases(p) {
		started := time.Now()
		err := b.try(ctx, c)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		r.record(result, c.name, err, time.Since(started))
	}
	return result, nil
}

// caseTime is the longest that a case may take.
const caseTime = 2 * time.Minute

// try runs a case.
func (b *bed) try(ctx context.Context, c testCase) error {
	ctx, cancel := context.WithTimeout(ctx, caseTime)
	defer cancel()
	return c.run(b, ctx)
}

// record prints what came of a case, and adds it to the result.
func (r *runner) record(into *report.Result, name string, err error, took time.Duration) {
	came := report.Case{Name: name, Direction: "daemon and shim call each other", Outcome: report.Pass}
	if err != nil {
		r.failed++
		came.Outcome, came.Note = report.Fail, err.Error()
	} else {
		r.passed++
	}
	into.Cases = append(into.Cases, came)
	fmt.Printf("%s  %5.1f s  %s", came.Outcome, took.Seconds(), name)
	if came.Note != "" {
		fmt.Printf(" (%s)", came.Note)
	}
	fmt.Println()
}
