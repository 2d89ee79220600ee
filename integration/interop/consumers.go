// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/containerd/ttrpc/integration/interop/report"
)

// A consumer is a module that uses the library, and has tests of its own. It is
// not part of this repository: its tests are run in a copy out of the module
// cache. What stands here, in consumers/name, is the go.mod that the copy gets:
// tree.mod, with the library of this tree, and upstream.mod, with the release that
// it replaces. Both have all else in the same versions.
type consumer struct {
	name, module, version string
	sum                   string // of the module, as in go.sum
}

var consumers = []consumer{
	{"nri", "github.com/containerd/nri", "v0.12.5", "h1:sPYUCT4fRbshF0ewiIaFXv2n6+tLIwY0kKII9ycMszY="},
	{"otelttrpc", "github.com/containerd/otelttrpc", "v0.1.0", "h1:UOX68eVTE8H/T45JveIg+I22Ev2aFj4qPITCmXsskjw="},
}

// repeats is how often each test of a consumer is run. It passes if it does so
// each time.
const repeats = 5

// runConsumers runs the tests of each consumer, with upstream's library and with
// the one of this tree.
func (r *runner) runConsumers() ([]*report.Result, error) {
	var results []*report.Result
	for _, c := range consumers {
		source, err := download(r.suite.ctx, c.module, c.version)
		if err != nil {
			return nil, errSkipped{err}
		}
		if source.Sum != c.sum {
			return nil, fmt.Errorf("%s %s has the sum %s, not %s", c.module, c.version, source.Sum, c.sum)
		}
		var passes [2]testResults
		for i, library := range []string{"upstream", tree} {
			dir := filepath.Join(r.suite.dir, c.name+"-"+library)
			if err := c.copy(r.suite.ctx, source.Dir, dir, library); err != nil {
				return nil, err
			}
			if passes[i], err = runTests(r.suite.ctx, dir); err != nil {
				return nil, fmt.Errorf("tests of %s with the library %s: %w", c.module, library, err)
			}
		}
		results = append(results, c.compare(passes[0], passes[1]))
	}
	return results, nil
}

// A downloaded is a module in the module cache.
type downloaded struct{ Dir, Sum, Error string }

// download downloads a module, unless it is there.
func download(ctx context.Context, module, version string) (downloaded, error) {
	var d downloaded
	cmd := exec.CommandContext(ctx, "go", "mod", "download", "-json", module+"@"+version)
	cmd.Dir = os.TempDir() // in no module
	written, err := output(cmd)
	if jsonErr := json.Unmarshal(written, &d); jsonErr != nil || err != nil {
		return d, fmt.Errorf("%s %s cannot be downloaded: %s", module, version, cmp.Or(d.Error, fmt.Sprint(err)))
	}
	return d, nil
}

// copy copies a module to a directory, and links it with a library.
func (c consumer) copy(ctx context.Context, source, dir, library string) error {
	if err := copyTree(source, dir); err != nil {
		return err
	}
	for _, suffix := range []string{"mod", "sum"} {
		b, err := os.ReadFile(filepath.Join("consumers", c.name, library+"."+suffix))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, "go."+suffix), b, 0o644); err != nil {
			return err
		}
	}
	if library != tree {
		return nil
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		return err
	}
	_, err = output(exec.CommandContext(ctx, "go", "mod", "edit", "-replace=github.com/containerd/ttrpc="+root, filepath.Join(dir, "go.mod")))
	return err
}

// copyTree copies a directory. Unlike what is in the module cache, the copies can
// be written, and removed.
func copyTree(from, to string) error {
	return filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		if entry.IsDir() {
			return os.Mkdir(filepath.Join(to, name), 0o755)
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, name), b, 0o644)
	})
}

// testResults says of every test and subtest whether it passed, by the package
// and its name: "./pkg/api TestX/a".
type testResults map[string]bool

// runTests runs all tests of a module. None of them needs root, or a container.
func runTests(ctx context.Context, dir string) (testResults, error) {
	cmd := exec.CommandContext(ctx, "go", "test", "-C", dir, "-mod=mod", "-json", fmt.Sprintf("-count=%d", repeats), "-timeout=90s", "./...")
	events, testErr := output(cmd)
	module, err := output(exec.CommandContext(ctx, "go", "list", "-C", dir, "-m"))
	if err != nil {
		return nil, err
	}
	results := make(testResults)
	lines := bufio.NewScanner(bytes.NewReader(events))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var event struct{ Action, Package, Test string }
		if err := json.Unmarshal(lines.Bytes(), &event); err != nil {
			return nil, errors.Join(err, testErr)
		}
		if event.Action == "build-fail" || event.Test == "" {
			continue
		}
		name := "." + strings.TrimPrefix(event.Package, strings.TrimSpace(string(module))) + " " + event.Test
		switch event.Action {
		case "run":
			results.add(name, true)
		case "fail":
			results.add(name, false)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if len(results) == 0 {
		return nil, errors.Join(errors.New("no test was run"), testErr)
	}
	return results, nil
}

// add notes how a test ended once more: a failure counts, whatever follows.
func (t testResults) add(name string, passed bool) {
	if before, ok := t[name]; !ok || before {
		t[name] = passed
	}
}

// compare returns a case for each test, whose subtests belong to it. All that
// pass with upstream's library have to pass with ours.
func (c consumer) compare(upstream, ours testResults) *report.Result {
	result := &report.Result{Part: "Consumers' own tests", Peer: c.module, Version: c.version}
	for _, name := range ours.topLevel(upstream) {
		var subtests int
		var lost, unsound []string
		for _, test := range ours.under(name, upstream) {
			if test != name {
				subtests++
			}
			switch passed, known := upstream[test]; {
			case known && !passed:
				unsound = append(unsound, test)
			case !ours[test]:
				lost = append(lost, test)
			}
		}
		if subtests > 0 {
			name = fmt.Sprintf("%s, %d subtests", name, subtests)
		}
		entry := report.Case{Name: name, Direction: "their tests, our library", Outcome: report.Pass}
		switch {
		case len(lost) > 0:
			entry.Outcome, entry.Note = report.Fail, "passes with upstream, but not with ours: "+shorten(lost)
		case len(unsound) > 0:
			entry.Outcome, entry.Note = report.Skip, "does not pass with upstream: "+shorten(unsound)
		}
		result.Cases = append(result.Cases, entry)
	}
	return result
}

// shorten returns the first of some names.
func shorten(names []string) string {
	const most = 3
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s, and %d more", strings.Join(names[:most], ", "), len(names)-most)
}

// topLevel returns the tests of either that are no subtests.
func (t testResults) topLevel(other testResults) []string {
	return sortedKeys(t, other, func(name string) bool {
		_, test, _ := strings.Cut(name, " ")
		return !strings.Contains(test, "/")
	})
}

// under returns a test and its subtests, of either.
func (t testResults) under(top string, other testResults) []string {
	return sortedKeys(t, other, func(name string) bool { return name == top || strings.HasPrefix(name, top+"/") })
}

func sortedKeys(a, b testResults, keep func(string) bool) []string {
	var all []string
	for _, results := range []testResults{a, b} {
		for name := range results {
			if keep(name) {
				all = append(all, name)
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}
