// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

// Command interop proves the library against software that others wrote: releases
// of upstream's library on the other end of a connection, and programs that use
// it, whose own tests it runs.
//
// Run it in its own directory, by `go run .`. It needs the network, or a module
// cache that has what it needs. It prints what it finds, leaves it in the
// directory results, and writes integration/README.md from all that is there. It
// exits with status 1 if something failed, and says which parts it skipped.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/containerd/ttrpc/integration/interop/report"
)

const (
	resultsDir = "results"
	readme     = "../README.md"
)

func main() {
	var r runner
	only := flag.String("only", "", "run only these `parts`, separated by commas: "+strings.Join(partNames(), ", ")+"; none only writes the tables")
	flag.BoolVar(&r.suite.race, "race", false, "build our peers with the race detector")
	flag.BoolVar(&r.verbose, "v", false, "print every case")
	flag.BoolVar(&r.keep, "keep", false, "leave results and tables as they are")
	flag.Parse()
	if *only != "" {
		r.only = strings.Split(*only, ",")
	}

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	r.suite.ctx = ctx
	ok, err := r.run()
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "interop:", err)
		os.Exit(2)
	}
	if !ok {
		os.Exit(1)
	}
}

// A runner holds the flags.
type runner struct {
	suite         suite
	only          []string // nil for all parts
	verbose, keep bool
}

// A part is something that can be run by itself. It returns a result for each
// release that it was run against. An errSkipped is why it could not be run.
type part struct {
	name string
	run  func(*runner) ([]*report.Result, error)
}

var parts = []part{
	{"sockets", func(r *runner) ([]*report.Result, error) {
		return r.eachRelease(releases, func(version string) (*report.Result, error) {
			return r.suite.runReleases("Releases, over unix sockets", version, false)
		})
	}},
	{"mux", func(r *runner) ([]*report.Result, error) {
		return r.eachRelease(releases[1:], func(version string) (*report.Result, error) { // NRI came with v1.2
			return r.suite.runReleases("Releases, over NRI's multiplexer", version, true)
		})
	}},
	{"upgrade", func(r *runner) ([]*report.Result, error) {
		return r.eachRelease(releases, func(version string) (*report.Result, error) {
			return r.suite.runUpgrade("Upgrade in place", version)
		})
	}},
	{"consumers", (*runner).runConsumers},
	{"rust", func(r *runner) ([]*report.Result, error) { return nil, r.runProgram("../rust", "-keep") }},
	{"containerd", func(r *runner) ([]*report.Result, error) { return nil, r.runProgram("../containerd", "-keep") }},
}

func partNames() (names []string) {
	for _, p := range parts {
		names = append(names, p.name)
	}
	return names
}

// errSkipped is why a part was not run.
type errSkipped struct{ error }

// errFailed says that a case of a part has failed, which was printed.
var errFailed = errors.New("failed")

// run runs the parts and writes the tables; ok tells whether nothing failed.
func (r *runner) run() (ok bool, err error) {
	for _, name := range r.only {
		if name != "none" && !slices.Contains(partNames(), name) {
			return false, fmt.Errorf("no part is called %q", name)
		}
	}
	if r.suite.dir, err = os.MkdirTemp("", "interop-"); err != nil {
		return false, err
	}
	defer os.RemoveAll(r.suite.dir)
	ok = true
	for _, p := range parts {
		if r.only != nil && !slices.Contains(r.only, p.name) {
			continue
		}
		started := time.Now()
		results, err := p.run(r)
		var skipped errSkipped
		if errors.As(err, &skipped) {
			fmt.Printf("SKIPPED: %s: %v\n", p.name, skipped)
			continue
		}
		if errors.Is(err, errFailed) {
			ok = false
		} else if err != nil {
			return false, fmt.Errorf("%s: %w", p.name, err)
		}
		for _, result := range results {
			ok = r.print(result) && ok
			if err := r.keepOrWrite(result); err != nil {
				return false, err
			}
		}
		fmt.Printf("%s: %.0f s\n", p.name, time.Since(started).Seconds())
	}
	return ok, r.writeTables()
}

// eachRelease builds the peers, if that has not been done, and runs f for each
// release.
func (r *runner) eachRelease(versions []string, f func(version string) (*report.Result, error)) ([]*report.Result, error) {
	if r.suite.cases == nil {
		if err := r.suite.fetch(); err != nil {
			return nil, errSkipped{err}
		}
		if err := r.suite.buildAll(); err != nil {
			return nil, err
		}
	}
	var results []*report.Result
	for _, version := range versions {
		result, err := f(version)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", version, err)
		}
		results = append(results, result)
	}
	return results, nil
}

// runProgram runs a program of this suite that stands in another module, and
// leaves results of its own, unless it is given the flag keep. It exits with status 1 if a case has failed, and says
// itself whether it cannot be run.
func (r *runner) runProgram(dir, keep string) error {
	var flags []string
	if r.keep {
		flags = append(flags, keep)
	}
	program := filepath.Join(r.suite.dir, filepath.Base(dir)+".exe")
	if _, err := output(exec.CommandContext(r.suite.ctx, "go", "build", "-C", dir, "-buildvcs=false", "-o", program, ".")); err != nil {
		return err
	}
	cmd := exec.CommandContext(r.suite.ctx, program, flags...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, os.Stdout, os.Stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 1 {
		return errFailed
	}
	return err
}

// print prints a result, and reports whether nothing in it failed.
func (r *runner) print(result *report.Result) (ok bool) {
	failed := result.Count(report.Fail)
	fmt.Printf("%s: %s %s: %d passed, %d failed, %d skipped\n", result.Part, result.Peer, result.Version,
		result.Count(report.Pass), failed, result.Count(report.Skip))
	for _, c := range result.Cases {
		if r.verbose || c.Outcome == report.Fail {
			fmt.Printf("    %s: %s: %s: %s\n", c.Outcome, c.Direction, c.Name, c.Note)
		}
	}
	return failed == 0
}

func (r *runner) keepOrWrite(result *report.Result) error {
	if r.keep {
		return nil
	}
	return report.Write(resultsDir, result)
}

// writeTables makes the tables of all results, also those of other runs.
func (r *runner) writeTables() error {
	if r.keep {
		return nil
	}
	results, err := report.Read(resultsDir)
	if err != nil {
		return err
	}
	return os.WriteFile(readme, report.Render(results), 0o644)
}

// output runs a command and returns what it writes. Nothing in the environment
// turns go from what this directory says.
func output(c *exec.Cmd) ([]byte, error) {
	c.Env = append(c.Environ(), "GOWORK=off", "GOFLAGS=")
	var stderr bytes.Buffer
	c.Stderr = &stderr
	written, err := c.Output()
	if err != nil {
		return written, fmt.Errorf("%s: %w\n%s", strings.Join(c.Args, " "), err, &stderr)
	}
	return written, nil
}
