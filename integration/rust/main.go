// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

// Command rust shows that this library and ttrpc-rust understand each other. It
// builds a peer with several releases of the crate ttrpc (in the directory peer),
// and lets clients of each side call servers of the other.
//
// Run it in its own directory, by `go run .`. It needs cargo, and a network or a
// filled cache of crates; the peers are built below the user's cache directory. It
// prints a line per case, writes the results to ../interop/results, and exits with
// status 1 if a case fails. Where ttrpc-rust does otherwise than PROTOCOL.md
// says, or ttrpc of Go does, the case expects that, and says so.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/containerd/ttrpc"
)

// versions are those of the crate, each with its directory in peer.
var versions = []string{"0.8.6", "0.9.0", "0.10.0"}

func main() {
	var r runner
	flag.BoolVar(&r.verbose, "v", false, "print the frames of every case")
	flag.BoolVar(&r.keep, "keep", false, "write no results")
	flag.StringVar(&r.only, "run", "", "run only cases whose names contain this `text`, and write no results")
	flag.Parse()

	if _, err := exec.LookPath("cargo"); err != nil {
		fmt.Println("SKIPPED: ttrpc-rust: cargo is not installed")
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := r.run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "rust:", err)
		os.Exit(2)
	}
	if r.failed > 0 {
		fmt.Printf("%d of %d cases failed\n", r.failed, r.passed+r.failed)
		os.Exit(1)
	}
	fmt.Printf("%d cases passed\n", r.passed)
}

// A runner holds the flags, and what there is during the run.
type runner struct {
	verbose, keep  bool
	only           string
	dir            string // temporary
	target         string // of cargo
	servers        int
	sessions       int
	passed, failed int
}

// A pairing is a client and a server.
type pairing struct {
	version   string // of ttrpc-rust
	kind      string // of its peer
	direction direction
}

// threads says what kinds of asynchronous peers there are.
var threads = map[string]string{manyThreads: "on several threads", oneThread: "on one thread"}

// run does it all.
func (r *runner) run(ctx context.Context) (err error) {
	if r.dir, err = os.MkdirTemp("", "ttrpc-rust-"); err != nil {
		return err
	}
	defer os.RemoveAll(r.dir)
	if err := r.build(ctx); err != nil {
		return err
	}
	for _, version := range versions {
		asynchronous := &result{Part: "ttrpc-rust", Peer: "ttrpc-rust async", Version: version}
		synchronousOnes := &result{Part: "ttrpc-rust", Peer: "ttrpc-rust sync", Version: version}
		for _, direction := range []direction{oursCalls, theirsCalls} {
			for _, kind := range []string{manyThreads, oneThread, synchronous} {
				into := asynchronous
				if kind == synchronous {
					into = synchronousOnes
				}
				if err := r.runAll(ctx, pairing{version, kind, direction}, into); err != nil {
					return fmt.Errorf("%s, %s, %s: %w", version, kind, direction, err)
				}
			}
		}
		if r.keep || r.only != "" {
			continue
		}
		if err := errors.Join(asynchronous.write("async"), synchronousOnes.write("sync")); err != nil {
			return err
		}
	}
	return nil
}

// build builds the peers, in two minutes or so when it is done for the first
// time.
func (r *runner) build(ctx context.Context) error {
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = r.dir
	}
	r.target = filepath.Join(cache, "ttrpc-integration-rust")
	fmt.Println("building peers in", r.target)
	c := exec.CommandContext(ctx, "cargo", "build", "--locked", "--quiet",
		"--manifest-path", filepath.Join("peer", "Cargo.toml"), "--target-dir", r.target)
	c.Stderr = os.Stderr
	if err := c.Run(); err != nil {
		return fmt.Errorf("cargo: %w", err)
	}
	return nil
}

// program returns the path of a peer.
func (r *runner) program(version string) string {
	return filepath.Join(r.target, "debug", "peer-"+strings.ReplaceAll(version, ".", "-"))
}

// runAll runs all cases of a pairing.
func (r *runner) runAll(ctx context.Context, p pairing, into *result) (err error) {
	r.servers++
	socket := filepath.Join(r.dir, fmt.Sprintf("s%d", r.servers))
	var stop func() error
	if p.direction == oursCalls {
		stop, err = r.serve(ctx, p, socket)
	} else {
		stop, err = serveOurs(ctx, socket)
	}
	if err != nil {
		return err
	}
	theirs := &restarted{start: func() (*process, error) {
		return start(ctx, r.program(p.version), p.kind, "call")
	}}
	for _, c := range cases {
		if !c.with(p) || !strings.Contains(c.name, r.only) {
			continue
		}
		var client client = theirs
		if p.direction == oursCalls {
			client = &ours{behind: make(map[string]*call)}
		}
		if err := r.runCase(ctx, p, c, client, socket, into); err != nil {
			return err
		}
	}
	r.record(p, caseResult{
		Name:      "the process of ttrpc-rust ends when it is told to, with success",
		Direction: string(p.direction),
		Note:      threads[p.kind],
	}, errors.Join(theirs.stop(), stop()), "", into)
	return nil
}

// serve starts a server of ttrpc-rust.
func (r *runner) serve(ctx context.Context, p pairing, socket string) (stop func() error, err error) {
	server, err := start(ctx, r.program(p.version), p.kind, "serve", "unix://"+socket)
	if err != nil {
		return nil, err
	}
	if _, err := server.line(); err != nil { // that it serves
		return nil, errors.Join(err, server.stop())
	}
	return server.stop, nil
}

// serveOurs starts a server of ours.
func serveOurs(ctx context.Context, socket string) (stop func() error, err error) {
	server, err := newServer()
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return nil, err
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(ctx, listener) }()
	return func() error {
		if err := server.Close(); err != nil {
			return err
		}
		if err := <-served; !errors.Is(err, ttrpc.ErrServerClosed) {
			return err
		}
		return nil
	}, nil
}

// runCase runs a case, prints what comes of it, and adds it to the results.
func (r *runner) runCase(ctx context.Context, p pairing, c testCase, client client, server string, into *result) error {
	r.sessions++
	s := &session{
		pairing: p,
		client:  client,
		socket:  filepath.Join(r.dir, fmt.Sprintf("t%d", r.sessions)),
		unique:  fmt.Sprintf("w%d", r.sessions),
	}
	var err error
	if s.tap, err = newTap(s.socket, server); err != nil {
		return err
	}
	s.run(ctx, c.run)
	s.tap.close()

	came := caseResult{Name: c.name, Direction: string(p.direction), Note: s.note()}
	if c.only == byHandCalls {
		came.Direction = string(byHandCalls)
	}
	r.record(p, came, s.err, s.detail, into)
	if r.verbose || s.err != nil {
		frames, _ := s.tap.seen()
		fmt.Println("    ", abbreviate(conversation(frames)))
	}
	return nil
}

// record prints what came of a case, and adds it to the results. The detail is
// for the eye only.
func (r *runner) record(p pairing, came caseResult, err error, detail string, into *result) {
	came.Result = "pass"
	if err == nil {
		r.passed++
	} else {
		r.failed++
		came.Result, came.Note, detail = "fail", err.Error(), ""
	}
	into.Cases = append(into.Cases, came)
	fmt.Printf("%s  %-6s %-10s  %-28s  %s", came.Result, p.version, p.kind, came.Direction, came.Name)
	for _, more := range []string{came.Note, detail} {
		if more != "" {
			fmt.Printf(" (%s)", more)
		}
	}
	fmt.Println()
}
