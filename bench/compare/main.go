// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

// Command compare measures this tree against the released upstream module, or
// against another tree, in alternation, and other libraries beside them. It
// prints tables of ratios.
//
// Run it in the directory of its module:
//
//	go run ./compare           # everything, some ten minutes; writes RESULTS.md and chart.svg
//	go run ./compare -quick    # the goals only, within 90 seconds
//	go run ./compare -base DIR -axis 'unary|callers'
//
// Noise is part of it: only ratios of runs that followed each other count.
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
	"strings"
	"time"

	"github.com/containerd/ttrpc/bench/internal/report"
)

// config holds the flags.
type config struct {
	quick     bool
	alone     bool
	pairs     int
	lasts     time.Duration
	axes      string
	base      string
	candidate string
	output    string
	chart     string
}

func main() {
	var c config
	flag.BoolVar(&c.quick, "quick", false, "the goals only, and short; implies -alone, as -base does")
	flag.BoolVar(&c.alone, "alone", false, "leave out other libraries and the floor")
	flag.IntVar(&c.pairs, "pairs", 0, "`number` of pairs of runs of an axis (default 7, quick 5)")
	flag.DurationVar(&c.lasts, "for", 0, "how `long` a run measures (default 300ms, quick 120ms)")
	flag.StringVar(&c.axes, "axis", "", "measure only axes whose names match this `regexp`")
	flag.StringVar(&c.base, "base", "", "compare with the tree in this `directory`, not with upstream")
	flag.StringVar(&c.candidate, "candidate", "..", "measure the tree in this `directory`")
	flag.StringVar(&c.output, "o", "", "write the tables to this `file`, too (default RESULTS.md for a full run against upstream)")
	flag.StringVar(&c.chart, "chart", "", "draw the main axes into this `file` (default chart.svg beside RESULTS.md)")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, c); err != nil {
		fmt.Fprintln(os.Stderr, "compare:", err)
		stop()
		os.Exit(1)
	}
}

// setDefaults fills in what was not set.
func (c *config) setDefaults() {
	pairs, lasts := 7, 300*time.Millisecond
	if c.quick {
		pairs, lasts = 5, 120*time.Millisecond
	}
	if c.pairs <= 0 {
		c.pairs = pairs
	}
	if c.lasts <= 0 {
		c.lasts = lasts
	}
	full := !c.quick && !c.alone && c.axes == "" && c.base == "" && c.candidate == ".."
	c.alone = c.alone || c.quick || c.base != ""
	if full && c.output == "" {
		c.output = "RESULTS.md"
		if c.chart == "" {
			c.chart = "chart.svg"
		}
	}
}

func run(ctx context.Context, c config) error {
	c.setDefaults()
	only, err := regexp.Compile(c.axes)
	if err != nil {
		return err
	}
	p := newPlan(c, only)
	if len(p.sections) == 0 {
		return fmt.Errorf("no axis matches %q; there are %s", c.axes, strings.Join(axisNames(), ", "))
	}
	dir, err := os.MkdirTemp("", "ttrpc-compare-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	started := time.Now()
	r := &comparison{config: c, machine: report.ReadMachine(), plan: p}
	if r.lineup, err = newLineup(ctx, c, dir); err != nil {
		return err
	}
	s := &series{plan: r.plan, lineup: r.lineup}
	if r.results, err = s.measure(ctx); err != nil {
		return err
	}
	r.took = time.Since(started)
	if err := r.writeTo(os.Stdout, ""); err != nil {
		return err
	}
	return r.save()
}

// save writes the files that were asked for.
func (r *comparison) save() error {
	var chart string // as the tables' file names it
	if r.config.chart != "" {
		if err := report.WriteFile(r.config.chart, r.chart().Draw); err != nil {
			return err
		}
	}
	if r.config.output == "" {
		return nil
	}
	if r.config.chart != "" {
		var err error
		if chart, err = filepath.Rel(filepath.Dir(r.config.output), r.config.chart); err != nil {
			return err
		}
	}
	return report.WriteFile(r.config.output, func(w io.Writer) error { return r.writeTo(w, chart) })
}
