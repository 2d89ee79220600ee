// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// build builds the programs of this repository, and protoc-gen-go, into the
// directory bin, which is in PATH.
func (t *trial) build(ctx context.Context, bin string) error {
	programs := []string{
		"google.golang.org/protobuf/cmd/protoc-gen-go",
		"github.com/containerd/ttrpc/cmd/protoc-gen-go-ttrpc",
		"github.com/containerd/ttrpc/cmd/protoc-gen-gogottrpc",
		"github.com/containerd/ttrpc/cmd/ttrpc-gen",
	}
	if err := os.Mkdir(bin, 0o777); err != nil {
		return err
	}
	if _, err := t.output(ctx, "go", append([]string{"build", "-o", bin}, programs...)...); err != nil {
		return err
	}
	if err := t.printVersion(ctx, "", "go", "version"); err != nil {
		return err
	}
	for _, program := range programs {
		if err := t.printVersion(ctx, "", filepath.Base(program), "--version"); err != nil {
			return err
		}
	}
	return nil
}

// findTools finds the tools that are not left out. One that is pinned is built
// here, so that what goes wrong in that is not taken for a failure of its use.
func (t *trial) findTools(ctx context.Context) error {
	if t.lack["protoc"] == "" {
		if err := t.findProtoc(ctx); err != nil {
			return err
		}
	}
	if t.lack["buf"] == "" {
		t.run["buf"] = "go tool -modfile=" + filepath.Join(t.home, "tools/buf/go.mod") + " buf"
		if err := t.printVersion(ctx, "buf ", "go", "tool", "-modfile=tools/buf/go.mod", "buf", "--version"); err != nil {
			return err
		}
	}
	if t.lack["protobuild"] == "" && t.lack["protoc"] != "" {
		t.lack["protobuild"] = "protobuild: runs protoc; " + t.lack["protoc"]
	}
	if t.lack["protobuild"] == "" {
		const modfile = "-modfile=tools/protobuild/go.mod"
		t.run["protobuild"] = "go tool -modfile=" + filepath.Join(t.home, "tools/protobuild/go.mod") + " protobuild"
		// It cannot tell its version; -h, which builds it, prints its flags alone.
		if _, err := t.output(ctx, "go", "tool", modfile, "protobuild", "-h"); err != nil {
			return err
		}
		if err := t.printVersion(ctx, "", "go", "list", modfile, "-m", "github.com/containerd/protobuild"); err != nil {
			return err
		}
	}
	return nil
}

// findProtoc finds protoc and its version.
func (t *trial) findProtoc(ctx context.Context) error {
	if _, err := exec.LookPath("protoc"); errors.Is(err, exec.ErrNotFound) {
		t.lack["protoc"] = "protoc: not installed"
		return nil
	} else if err != nil {
		return err
	}
	version, err := t.output(ctx, "protoc", "--version")
	if err != nil {
		return err
	}
	t.protoc = strings.TrimPrefix(version, "libprotoc ")
	fmt.Fprintln(t.out, "protoc", t.protoc)
	return nil
}

// lacks tells what keeps a way from being tried, or "".
func (t *trial) lacks(w way) string {
	if reason := t.lack[w.tool]; reason != "" {
		return reason
	}
	since := knownSince[w.set]
	if since == 0 || w.tool != "protoc" && w.tool != "protobuild" {
		return ""
	}
	major, _, _ := strings.Cut(t.protoc, ".")
	if n, err := strconv.Atoi(major); err != nil || n < since {
		return fmt.Sprintf("%s: %s needs protoc %d or later, and this is %s", w.tool, w.set, since, t.protoc)
	}
	return ""
}

// output runs a command in this module and returns what it prints. An error has
// what it complains about.
func (t *trial) output(ctx context.Context, name string, args ...string) (string, error) {
	c := exec.CommandContext(ctx, name, args...)
	c.Dir, c.Env = t.home, t.env
	var complaint bytes.Buffer
	c.Stderr = &complaint
	out, err := c.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, bytes.TrimSpace(complaint.Bytes()))
	}
	return string(bytes.TrimSpace(out)), nil
}

// printVersion prints what a command says of its version.
func (t *trial) printVersion(ctx context.Context, before, name string, args ...string) error {
	version, err := t.output(ctx, name, args...)
	if err == nil {
		fmt.Fprintln(t.out, before+version)
	}
	return err
}
