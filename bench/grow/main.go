// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

// Command grow measures how the cost of a call, a connection and a stream changes
// as there are more of them, in this tree and in the released upstream module.
//
// Run it in the directory of its module:
//
//	go run ./grow              # some four minutes; writes GROWTH.md and growth.svg
//	go run ./grow -only conns -max 1000 -o '' -plot ''
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"time"

	"github.com/containerd/ttrpc/bench/internal/contender"
	"github.com/containerd/ttrpc/bench/internal/report"
)

// config holds the flags.
type config struct {
	only   string
	max    int
	output string
	plot   string
}

func main() {
	var c config
	flag.StringVar(&c.only, "only", "", "measure only what matches this `regexp`: calls, blocked, conns, streams")
	flag.IntVar(&c.max, "max", 0, "stop at this `number` of them")
	flag.StringVar(&c.output, "o", "GROWTH.md", "write the tables to this `file`, too")
	flag.StringVar(&c.plot, "plot", "growth.svg", "draw the tables into this `file`")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, c); err != nil {
		fmt.Fprintln(os.Stderr, "grow:", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, c config) error {
	only, err := regexp.Compile(c.only)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "ttrpc-grow-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	started := time.Now()
	g := &growth{machine: report.ReadMachine(), subjects: chosen(only, c.max)}
	builder := contender.Builder{Dir: dir}
	if g.base, err = builder.Upstream(ctx); err != nil {
		return err
	}
	if g.candidate, err = builder.Tree(ctx, "this tree", ".."); err != nil {
		return err
	}
	if err := g.measure(ctx); err != nil {
		return err
	}
	g.took = time.Since(started)
	if err := g.writeTo(os.Stdout, ""); err != nil {
		return err
	}
	return g.save(c)
}

// save writes the files that were asked for.
func (g *growth) save(c config) error {
	var plot string // as the tables' file names it
	if c.plot != "" {
		if err := report.WriteFile(c.plot, g.plot().Draw); err != nil {
			return err
		}
	}
	if c.output == "" {
		return nil
	}
	if c.plot != "" {
		var err error
		if plot, err = filepath.Rel(filepath.Dir(c.output), c.plot); err != nil {
			return err
		}
	}
	return report.WriteFile(c.output, func(w io.Writer) error { return g.writeTo(w, plot) })
}
