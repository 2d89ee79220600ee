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
)

// variant is one of the two libraries, built.
type variant struct {
	name     string
	command  string // measures; see internal/load
	size     float64
	packages float64
}

// variants are what is compared.
type variants struct {
	base, candidate *variant
	floor           *variant // nil if it is not measured
}

// buildAll builds what is compared into dir.
func buildAll(ctx context.Context, c config, dir string) (all variants, err error) {
	candidateMod, err := treeModule(ctx, c.candidate, filepath.Join(dir, "candidate.mod"))
	if err != nil {
		return all, err
	}
	baseMod, baseName := "upstream.mod", "v1.2.10"
	if c.base != "" {
		baseName = "base"
		if baseMod, err = treeModule(ctx, c.base, filepath.Join(dir, "base.mod")); err != nil {
			return all, err
		}
	}
	if all.base, err = build(ctx, baseName, baseMod, filepath.Join(dir, "base")); err != nil {
		return all, err
	}
	if all.candidate, err = build(ctx, "this tree", candidateMod, filepath.Join(dir, "candidate")); err != nil {
		return all, err
	}
	if !c.quick {
		all.floor = &variant{name: "floor", command: filepath.Join(dir, "floor")}
		_, err = goTool(ctx, "build", "-trimpath", "-o", all.floor.command, "./floor")
	}
	return all, err
}

// treeModule writes a modfile that takes the library from tree.
func treeModule(ctx context.Context, tree, modfile string) (string, error) {
	tree, err := filepath.Abs(tree)
	if err != nil {
		return "", err
	}
	for from, to := range map[string]string{"go.mod": modfile, "go.sum": modfile[:len(modfile)-len("mod")] + "sum"} {
		b, err := os.ReadFile(from)
		if err != nil {
			return "", err
		}
		if err := os.WriteFile(to, b, 0o600); err != nil {
			return "", err
		}
	}
	_, err = goTool(ctx, "mod", "edit", "-replace=github.com/containerd/ttrpc="+tree, modfile)
	return modfile, err
}

// build builds the commands with that modfile into dir.
func build(ctx context.Context, name, modfile, dir string) (*variant, error) {
	v := &variant{name: name, command: filepath.Join(dir, "ttrpc")}
	minimal := filepath.Join(dir, "minimal")
	if _, err := goTool(ctx, "build", "-modfile="+modfile, "-trimpath", "-o", v.command, "./ttrpc"); err != nil {
		return nil, err
	}
	if _, err := goTool(ctx, "build", "-modfile="+modfile, "-trimpath", "-ldflags=-s -w", "-o", minimal, "./minimal"); err != nil {
		return nil, err
	}
	info, err := os.Stat(minimal)
	if err != nil {
		return nil, err
	}
	v.size = float64(info.Size())
	deps, err := goTool(ctx, "list", "-modfile="+modfile, "-deps", "./minimal")
	v.packages = float64(bytes.Count(deps, []byte("\n")))
	return v, err
}

// goTool runs the go command.
func goTool(ctx context.Context, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return nil, fmt.Errorf("go %s: %s", args[0], bytes.TrimSpace(exit.Stderr))
	}
	return out, err
}
