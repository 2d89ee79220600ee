// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

// Command compare measures this tree against the released upstream module, or
// against another tree, in alternation, and prints a table of ratios.
//
// Run it in the directory of its module:
//
//	go run ./compare           # everything, a few minutes; writes RESULTS.md
//	go run ./compare -quick    # within 90 seconds
//	go run ./compare -base DIR -axis 'unary|callers'
//
// Noise is part of it: only ratios of runs that followed each other count.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"runtime"
	"time"
)

// config holds the flags.
type config struct {
	quick     bool
	pairs     int
	lasts     time.Duration
	axes      string
	base      string
	candidate string
	output    string
}

func main() {
	var c config
	flag.BoolVar(&c.quick, "quick", false, "the main axes only, and short")
	flag.IntVar(&c.pairs, "pairs", 0, "`number` of pairs of runs of an axis (default 7, quick 5)")
	flag.DurationVar(&c.lasts, "for", 0, "how `long` a run measures (default 500ms, quick 150ms)")
	flag.StringVar(&c.axes, "axis", "", "measure only axes whose names match this `regexp`")
	flag.StringVar(&c.base, "base", "", "compare with the tree in this `directory`, not with upstream")
	flag.StringVar(&c.candidate, "candidate", "..", "measure the tree in this `directory`")
	flag.StringVar(&c.output, "o", "", "write the table to this `file` too (default RESULTS.md for a full run against upstream)")
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
	pairs, lasts := 7, 500*time.Millisecond
	if c.quick {
		pairs, lasts = 5, 150*time.Millisecond
	}
	if c.pairs <= 0 {
		c.pairs = pairs
	}
	if c.lasts <= 0 {
		c.lasts = lasts
	}
	if c.output == "" && !c.quick && c.axes == "" && c.base == "" && c.candidate == ".." {
		c.output = "RESULTS.md"
	}
}

func run(ctx context.Context, c config) error {
	c.setDefaults()
	only, err := regexp.Compile(c.axes)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "ttrpc-compare-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	started := time.Now()
	m := readMachine()
	all, err := buildAll(ctx, c, dir)
	if err != nil {
		return err
	}
	s := &series{config: c, only: only, dir: dir, variants: all}
	results, err := s.measure(ctx)
	if err != nil {
		return err
	}
	report := newReport(c, m, all, results, time.Since(started))
	if _, err := report.WriteTo(os.Stdout); err != nil {
		return err
	}
	if c.output == "" {
		return nil
	}
	f, err := os.Create(c.output)
	if err != nil {
		return err
	}
	if _, err := report.WriteTo(f); err != nil {
		return err
	}
	return f.Close()
}

// machine is what the reader of a table has to know about where it was made.
type machine struct {
	cores         int
	system, go_   string
	loadAtTheTime string
}

func readMachine() machine {
	m := machine{
		cores:  runtime.NumCPU(),
		system: runtime.GOOS + "/" + runtime.GOARCH,
		go_:    runtime.Version(),
	}
	if release, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		m.system = fmt.Sprintf("Linux %s, %s", regexp.MustCompile(`^\d+\.\d+`).Find(release), runtime.GOARCH)
	}
	if load, err := os.ReadFile("/proc/loadavg"); err == nil {
		m.loadAtTheTime = string(regexp.MustCompile(`^[\d.]+`).Find(load))
	}
	return m
}
