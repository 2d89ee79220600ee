// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

// Command upstream proves that the regression tests are worth their name: it
// runs each of them against the released upstream module, which has the defect
// that the test is about, and where the test therefore must fail.
//
// Run it in its own directory, by `go run .`. It copies the test files into a
// temporary module with this module's requirements, builds them once, runs each
// test in a process of its own, for some of them take the process down, and
// prints a table. It exits with status 1 if a test passes, or does not run.
package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"text/tabwriter"
	"time"
)

// root is the directory of the library's tests, seen from this module.
const root = "../.."

// helperFiles hold no regression tests, but what those need.
var helperFiles = []string{"rawpeer_test.go", "muxconn_test.go"}

// testFiles hold the regression tests. They use only what upstream exports;
// defects_options_test.go, about options that upstream has not, is not here.
var testFiles = []string{"defects_crash_test.go", "defects_semantics_test.go"}

func main() {
	var r runner
	flag.Var(&r.only, "run", "run only the tests whose names match this `regexp`")
	flag.DurationVar(&r.patience, "patience", 2*time.Second, "how long a test waits for something that never comes")
	flag.IntVar(&r.parallel, "parallel", 2, "`number` of tests to run at a time")
	flag.BoolVar(&r.verbose, "v", false, "print the output of every test")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	ok, err := r.run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "upstream:", err)
		os.Exit(2)
	}
	if !ok {
		os.Exit(1)
	}
}

// runner holds the flags, and what was made for this run.
type runner struct {
	only     pattern
	patience time.Duration
	parallel int
	verbose  bool

	binary string // the tests, linked with upstream
	race   bool   // whether they were built with the race detector
}

// pattern is a flag that holds a regular expression, or nothing.
type pattern struct{ *regexp.Regexp }

func (p *pattern) Set(s string) (err error) {
	p.Regexp, err = regexp.Compile(s)
	return err
}

func (p *pattern) String() string {
	if p.Regexp == nil {
		return ""
	}
	return p.Regexp.String()
}

// regressionTest is one test function, as its source tells.
type regressionTest struct {
	name      string
	defect    string // the defect's number, from the comment: "D7"
	needsRace bool   // the comment says that it fails under -race
}

// outcome is how a test ended on upstream.
type outcome struct {
	how    string   // how it failed; empty if it passed
	broken bool     // it says nothing, as it did not run
	facets []string // its subtests that passed
	output []byte
}

// run does it all; ok tells whether every test failed.
func (r *runner) run(ctx context.Context) (ok bool, err error) {
	tests, err := r.findTests()
	if err != nil {
		return false, err
	}
	dir, err := os.MkdirTemp("", "ttrpc-upstream-")
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(dir)
	if err := r.build(ctx, dir); err != nil {
		return false, err
	}
	outcomes := r.runAll(ctx, tests)
	if err := ctx.Err(); err != nil {
		return false, err
	}
	return r.report(tests, outcomes), nil
}

// findTests reads the test functions of testFiles from their source.
func (r *runner) findTests() ([]regressionTest, error) {
	var tests []regressionTest
	for _, name := range testFiles {
		file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, name), nil, parser.ParseComments)
		if err != nil {
			return nil, err
		}
		for _, decl := range file.Decls {
			fn, ok := decl.(*ast.FuncDecl)
			if !ok || fn.Recv != nil || !strings.HasPrefix(fn.Name.Name, "Test") || fn.Name.Name == "TestMain" {
				continue
			}
			if r.only.Regexp != nil && !r.only.MatchString(fn.Name.Name) {
				continue
			}
			tests = append(tests, newRegressionTest(fn))
		}
	}
	if len(tests) == 0 {
		return nil, errors.New("no tests")
	}
	return tests, nil
}

var defectNumber = regexp.MustCompile(`\bD[0-9]+\b`)

func newRegressionTest(fn *ast.FuncDecl) regressionTest {
	doc := fn.Doc.Text()
	return regressionTest{
		name:      fn.Name.Name,
		defect:    cmp.Or(defectNumber.FindString(doc), "-"),
		needsRace: strings.Contains(doc, "-race"),
	}
}

// build makes the test binary, with the race detector where it is available:
// it needs cgo, and some defects are data races.
func (r *runner) build(ctx context.Context, dir string) error {
	if err := copyFiles(dir, ".", "go.mod", "go.sum"); err != nil {
		return err
	}
	if err := copyFiles(dir, root, append(helperFiles, testFiles...)...); err != nil {
		return err
	}
	r.binary = filepath.Join(dir, "upstream.test.exe")
	raceErr := r.compile(ctx, dir, "-race")
	if r.race = raceErr == nil; r.race {
		return nil
	}
	if err := r.compile(ctx, dir); err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr, "upstream: built without the race detector:", raceErr)
	return nil
}

// compile runs `go test -c`.
func (r *runner) compile(ctx context.Context, dir string, flags ...string) error {
	args := append([]string{"test", "-c", "-o", r.binary}, flags...)
	c := exec.CommandContext(ctx, "go", append(args, ".")...)
	c.Dir = dir
	c.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=")
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return nil
}

// copyFiles copies files from one directory to another.
func copyFiles(to, from string, names ...string) error {
	for _, name := range names {
		b, err := os.ReadFile(filepath.Join(from, name))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(to, name), b, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// runAll runs the tests, some at a time, and returns the outcomes in their order.
func (r *runner) runAll(ctx context.Context, tests []regressionTest) []outcome {
	outcomes := make([]outcome, len(tests))
	slots := make(chan struct{}, max(r.parallel, 1))
	var wg sync.WaitGroup
	for i, test := range tests {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			outcomes[i] = r.runTest(ctx, test)
		})
	}
	wg.Wait()
	return outcomes
}

// attempts is how often a test may pass on upstream before it is said to: some
// defects are races, and need a little luck to show.
const attempts = 3

// runTest runs one test until it fails, at most attempts times.
func (r *runner) runTest(ctx context.Context, test regressionTest) (o outcome) {
	for range attempts {
		if o = r.tryTest(ctx, test); o.how != "" {
			break
		}
	}
	return o
}

// tryTest runs one test in a process of its own.
func (r *runner) tryTest(ctx context.Context, test regressionTest) outcome {
	ctx, cancel := context.WithTimeout(ctx, 90*time.Second)
	defer cancel()
	c := exec.CommandContext(ctx, r.binary, "-test.v", "-test.timeout=60s", "-test.run=^"+test.name+"$")
	c.Env = append(os.Environ(), "TTRPC_TEST_PATIENCE="+r.patience.String())
	c.Dir = filepath.Dir(r.binary)
	output, err := c.CombinedOutput()
	return judge(test.name, output, err)
}

// judge says how a test ended from what its process printed.
func judge(name string, output []byte, err error) outcome {
	o := outcome{output: output}
	var exit *exec.ExitError
	switch {
	case err != nil && !errors.As(err, &exit):
		o.how, o.broken = "the process did not run: "+err.Error(), true
	case !bytes.Contains(output, []byte("=== RUN   "+name+"\n")):
		o.how, o.broken = "the test did not run", true
	case bytes.Contains(output, []byte("--- SKIP: "+name+" ")):
		o.how, o.broken = "the test was skipped", true
	case err != nil:
		o.how = howFailed(output)
	}
	for _, m := range passedFacet.FindAllSubmatch(output, -1) {
		o.facets = append(o.facets, string(m[1]))
	}
	return o
}

var (
	passedFacet = regexp.MustCompile(`(?m)^ +--- PASS: [^/ ]+/(\S+)`)
	panicLine   = regexp.MustCompile(`(?m)^(?:panic|fatal error): (.*)$`)
	raceLine    = regexp.MustCompile(`(?m)^WARNING: DATA RACE$`)
	failureText = regexp.MustCompile(`(?ms)^\s+Error:\s+(.*?)^\s+Test:`)
	failureNote = regexp.MustCompile(`(?m)^\s+Messages:\s+(.*)$`)
)

// howFailed finds in the output of a failed test what says why.
func howFailed(output []byte) string {
	if m := panicLine.FindSubmatch(output); m != nil {
		return "crashes: " + string(m[1])
	}
	if raceLine.Match(output) {
		return "data race"
	}
	var words []string
	for _, re := range []*regexp.Regexp{failureNote, failureText} {
		if m := re.FindSubmatch(output); m != nil {
			words = append(words, strings.Fields(string(m[1]))...)
		}
	}
	return cmp.Or(strings.Join(words, " "), "fails")
}

// report prints the table; ok tells whether all is as it should be.
func (r *runner) report(tests []regressionTest, outcomes []outcome) (ok bool) {
	ok = true
	failed := 0
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	for i, test := range tests {
		o := outcomes[i]
		verdict := "fails on upstream, as expected: " + shorten(o.how)
		switch {
		case o.broken:
			verdict, ok = "SAYS NOTHING: "+o.how, false
		case o.how == "" && test.needsRace && !r.race:
			verdict = "not shown: needs the race detector"
		case o.how == "":
			verdict, ok = "PASSES ON UPSTREAM: the defect is not shown", false
		default:
			failed++
		}
		fmt.Fprintf(w, "%s\t%s\t%s\n", test.defect, test.name, verdict)
		for _, facet := range o.facets {
			fmt.Fprintf(w, "\t\t  (its facet %s passes there)\n", strconv.Quote(facet))
		}
	}
	w.Flush()
	fmt.Printf("%d tests, %d fail on upstream\n", len(tests), failed)
	for i, test := range tests {
		if o := outcomes[i]; r.verbose || o.broken {
			fmt.Printf("\n==== %s\n%s", test.name, o.output)
		}
	}
	return ok
}

// shorten cuts s to what fits into a line of the table.
func shorten(s string) string {
	const limit = 100
	if r := []rune(s); len(r) > limit {
		return string(r[:limit]) + "…"
	}
	return s
}
