// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// A trial is what the ways have in common.
type trial struct {
	out     io.Writer         // for what is run, and with which versions
	dir     string            // of this run; each way has its own below it
	home    string            // of this module
	env     []string          // of every command
	run     map[string]string // what stands for $buf and $protobuild
	lack    map[string]string // why a tool cannot be used
	protoc  string            // its version, such as "3.21.12"
	ways    int               // tried so far
	written map[result]files  // by the first of the ways that must write the same
}

// A result is what ways have in common that must write the same.
type result struct{ set, prefix string }

// newTrial builds the plugins, finds the tools, and prints their versions. It
// puts the plugins, and the directory protoc if it is not "", into PATH.
func newTrial(ctx context.Context, out io.Writer, dir, protoc string, without []string) (*trial, error) {
	home, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	t := &trial{
		out:     out,
		dir:     dir,
		home:    home,
		run:     make(map[string]string),
		lack:    make(map[string]string),
		written: make(map[result]files),
	}

	// GOPATH changes for protobuild, which works below it; the module cache stays.
	cache, err := t.output(ctx, "go", "env", "GOMODCACHE")
	if err != nil {
		return nil, err
	}
	bin := filepath.Join(dir, "bin")
	path := []string{bin, protoc, os.Getenv("PATH")}
	path = slices.DeleteFunc(path, func(dir string) bool { return dir == "" })
	// Of this process: that is where exec looks commands up.
	if err := os.Setenv("PATH", strings.Join(path, string(os.PathListSeparator))); err != nil {
		return nil, err
	}
	t.env = append(os.Environ(), "GOMODCACHE="+cache, "GOWORK=off", "GOFLAGS=")

	if err := t.build(ctx, bin); err != nil {
		return nil, err
	}
	for _, tool := range without {
		t.lack[tool] = tool + ": left out by -without"
	}
	if err := t.findTools(ctx); err != nil {
		return nil, err
	}
	return t, t.copyModule(ctx, filepath.Join(dir, "go.mod"), "example.com/tools")
}

// try generates code in one way, and judges it.
func (t *trial) try(ctx context.Context, w way) (verdict string, err error) {
	t.ways++
	top := filepath.Join(t.dir, strconv.Itoa(t.ways))
	if err := t.prepare(ctx, top, w); err != nil {
		return "", err
	}
	before, err := readGo(top)
	if err != nil {
		return "", err
	}
	commandErr := t.generate(ctx, top, w)
	after, err := readGo(top)
	if err != nil {
		return "", err
	}
	written := after.without(before)
	if w.refused != "" {
		return judgeRefusal(w, written, commandErr)
	}
	if commandErr != nil {
		return "", commandErr
	}
	return t.judge(ctx, top, w, written)
}

// judgeRefusal judges a way that must fail.
func judgeRefusal(w way, written files, err error) (verdict string, _ error) {
	switch {
	case err == nil:
		return "", errors.New("the command succeeded, and should not have")
	case !strings.Contains(err.Error(), w.refused):
		return "", fmt.Errorf("it should say %q: %w", w.refused, err)
	case len(written) > 0:
		return "", fmt.Errorf("it failed, and wrote %d files", len(written))
	}
	return "refused, as it should be: " + err.Error(), nil
}

// judge judges what a way has written.
func (t *trial) judge(ctx context.Context, top string, w way, written files) (verdict string, err error) {
	protos, err := findProtos(top)
	if err != nil {
		return "", err
	}
	if !w.alone {
		if err := written.complete(top, protos, w.set == "gogo"); err != nil {
			return "", err
		}
	}
	r := result{w.set, w.prefix}
	first, later := t.written[r]
	switch {
	case w.alone && later && len(written) != len(first):
		return "", fmt.Errorf("%d files, the first way wrote %d", len(written), len(first))
	case w.alone:
		verdict = "compiled"
	case later:
		if err := first.compare(written); err != nil {
			return "", err
		}
		verdict = "the same as before, compiled"
	default:
		t.written[r] = written
		verdict = "compiled"
	}
	if err := t.vet(ctx, filepath.Join(top, module)); err != nil {
		return "", err
	}
	return fmt.Sprintf("files: %d, %s", len(written), verdict), nil
}

// prepare makes the directory of a way: the .proto files of its set, its
// configuration, and a module around the packages that are to be generated.
func (t *trial) prepare(ctx context.Context, top string, w way) error {
	if err := os.CopyFS(filepath.Join(top, src), os.DirFS(filepath.Join(t.home, "testdata", w.set))); err != nil {
		return err
	}
	for to, from := range w.config {
		if err := copyFile(filepath.Join(top, to), filepath.Join(t.home, "testdata", from)); err != nil {
			return err
		}
	}
	if w.set == "gogo" {
		if err := t.copyGogo(ctx, top); err != nil {
			return err
		}
	}
	if w.tool == "protobuild" {
		if err := writePackages(filepath.Join(top, module)); err != nil {
			return err
		}
	}
	return t.copyModule(ctx, filepath.Join(top, module, "go.mod"), "example.com/gen")
}

// copyModule writes a go.mod with the requirements, the tools and the sums of
// this module's.
func (t *trial) copyModule(ctx context.Context, gomod, name string) error {
	gosum := strings.TrimSuffix(gomod, ".mod") + ".sum"
	if err := errors.Join(copyFile(gomod, filepath.Join(t.home, "go.mod")), copyFile(gosum, filepath.Join(t.home, "go.sum"))); err != nil {
		return err
	}
	_, err := t.output(ctx, "go", "mod", "edit", "-module="+name,
		"-replace=github.com/containerd/ttrpc="+filepath.Join(t.home, "../.."),
		"-replace=github.com/containerd/ttrpc/cmd/ttrpc-gen="+filepath.Join(t.home, "../../cmd/ttrpc-gen"),
		gomod)
	return err
}

// copyGogo copies the .proto file that gogo's users import.
func (t *trial) copyGogo(ctx context.Context, top string) error {
	const file = "gogoproto/gogo.proto"
	gogo, err := t.output(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/gogo/protobuf")
	if err != nil {
		return err
	}
	return copyFile(filepath.Join(top, src, file), filepath.Join(gogo, file))
}

// writePackages puts a Go file into each directory with .proto files: that is how
// protobuild knows that it is a package.
func writePackages(module string) error {
	protos, err := filepath.Glob(filepath.Join(module, "*", "*.proto"))
	if err != nil {
		return err
	}
	for _, proto := range protos {
		dir := filepath.Dir(proto)
		if err := os.WriteFile(filepath.Join(dir, "doc.go"), []byte("package "+filepath.Base(dir)+"\n"), 0o666); err != nil {
			return err
		}
	}
	return nil
}

// generate prints and runs the command of a way. The error has what it printed.
func (t *trial) generate(ctx context.Context, top string, w way) error {
	protos, err := findProtos(top)
	if err != nil {
		return err
	}
	line := os.Expand(w.command, func(word string) string {
		switch word {
		case "protos":
			return strings.Join(protos, " ")
		case "packages":
			return strings.Join(packagesOf(protos), " ")
		default:
			return t.run[word]
		}
	})
	fmt.Fprintln(t.out, "$", strings.ReplaceAll(line, t.home+string(filepath.Separator), ""))
	args := strings.Fields(line)
	c := exec.CommandContext(ctx, args[0], args[1:]...)
	c.Dir = filepath.Join(top, w.dir)
	c.Env = append(slices.Clone(t.env), "GOPATH="+top)
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, bytes.TrimSpace(out))
	}
	return nil
}

// vet compiles the packages of a module, and more.
func (t *trial) vet(ctx context.Context, dir string) error {
	c := exec.CommandContext(ctx, "go", "vet", "./...")
	c.Dir, c.Env = dir, t.env
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("go vet: %w\n%s", err, bytes.TrimSpace(out))
	}
	return nil
}
