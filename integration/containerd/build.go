// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bytes"
	"context"
	"debug/buildinfo"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// A build is programs of containerd of one line, linked with one library.
type build struct {
	line    string // the directory with its go.mod and upstream.mod, or debians
	library string
}

const (
	ours      = "ours"
	upstreams = "upstream's"
	debians   = "Debian's"
)

// The programs.
const (
	daemonProgram = "containerd"
	shimProgram   = "containerd-shim-runc-v2"
	ctrProgram    = "ctr"
)

// binaries are the programs of a build.
type binaries struct {
	dir     string
	library string // the release of ttrpc in them, or "tree"
	version string // of containerd
}

// A line is what is built of a line of releases.
type line struct {
	module   string
	programs []string
}

var lines = map[string]line{
	"v2.4": {"github.com/containerd/containerd/v2", []string{daemonProgram, shimProgram, ctrProgram}},
	"v2.2": {"github.com/containerd/containerd/v2", []string{daemonProgram, ctrProgram}},
	"v1.6": {"github.com/containerd/containerd", []string{shimProgram}},
}

// tags are those that containerd's own build has, but for what the daemon does not
// need here: Kubernetes, and snapshots on special file systems.
var tags = map[string]string{
	daemonProgram: "urfave_cli_no_docs osusergo netgo static_build no_cri no_btrfs no_devmapper no_zfs",
	shimProgram:   "urfave_cli_no_docs osusergo netgo static_build no_grpc",
	ctrProgram:    "urfave_cli_no_docs osusergo netgo static_build no_cri no_btrfs no_devmapper no_zfs",
}

// modFile returns the name of the go.mod of the build.
func (b build) modFile() string {
	if b.library == ours {
		return "go.mod"
	}
	return "upstream.mod"
}

// build builds what the pairs need.
func (r *runner) build(ctx context.Context, pairs []pair) error {
	r.built = map[build]*binaries{debian: {dir: "/usr/bin", library: debians, version: "1.6.20"}}
	started := time.Now()
	for _, p := range pairs {
		for _, b := range []build{p.daemon, p.shim} {
			if r.built[b] != nil {
				continue
			}
			say("building containerd %s with %s library\n", b.line, b.library)
			built, err := r.buildOne(ctx, b)
			if err != nil {
				return err
			}
			r.built[b] = built
		}
	}
	say("built in %.0f s\n", time.Since(started).Seconds())
	return nil
}

// buildOne makes a build, and looks into its programs for what they are linked
// with.
func (r *runner) buildOne(ctx context.Context, b build) (*binaries, error) {
	built := &binaries{dir: filepath.Join(r.dir, b.line+"-"+strings.TrimSuffix(b.library, "'s"))}
	if err := os.Mkdir(built.dir, 0o700); err != nil {
		return nil, err
	}
	modFile := "-modfile=" + b.modFile()
	if err := goCommand(ctx, b.line, "mod", "download", modFile, lines[b.line].module); err != nil {
		return nil, errSkipped{err} // it is not to be had, or this Go is too old
	}
	for _, program := range lines[b.line].programs {
		path := lines[b.line].module + "/cmd/" + program
		file := filepath.Join(built.dir, program)
		if err := goCommand(ctx, b.line, "build", modFile, "-p", "2", "-buildvcs=false", "-trimpath", "-ldflags=-s -w",
			"-tags", tags[program], "-o", file, path); err != nil {
			return nil, err
		}
		if err := built.inspect(file, lines[b.line].module); err != nil {
			return nil, err
		}
		if (built.library == "tree") != (b.library == ours) {
			return nil, fmt.Errorf("%s is linked with the library of %s", file, built.library)
		}
	}
	return built, nil
}

// inspect reads what a program is linked with.
func (b *binaries) inspect(file, module string) error {
	info, err := buildinfo.ReadFile(file)
	if err != nil {
		return err
	}
	if info.Main.Path == module {
		b.version = info.Main.Version
	}
	for _, dep := range info.Deps {
		if dep.Path == "github.com/containerd/ttrpc" {
			b.library = dep.Version
			if dep.Replace != nil {
				b.library = "tree"
			}
		}
	}
	if b.version == "" || b.library == "" {
		return fmt.Errorf("%s does not tell what it is linked with", file)
	}
	return nil
}

// goCommand runs go in a directory. Nothing in the environment turns it from what
// the directory says.
func goCommand(ctx context.Context, dir string, args ...string) error {
	c := exec.CommandContext(ctx, "go", args...)
	c.Dir = dir
	c.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=", "CGO_ENABLED=0")
	var stderr bytes.Buffer
	c.Stderr = &stderr
	if err := c.Run(); err != nil {
		return fmt.Errorf("go %s in %s: %w\n%s", args[0], dir, err, tail(stderr.String(), 2000))
	}
	return nil
}

// tail returns the last bytes of what a program has printed.
func tail(s string, n int) string {
	s = strings.TrimSpace(s)
	if len(s) > n {
		s = "..." + s[len(s)-n:]
	}
	return s
}
