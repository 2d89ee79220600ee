// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package contender

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Builder builds contenders. The process must run in the directory of the module
// that has this package.
type Builder struct {
	Dir string // for what is built
}

// UpstreamName is the name of the released library.
const UpstreamName = "v1.2.10"

// othersDir is the module of the commands that measure other libraries.
const othersDir = "others"

// Upstream builds the released library.
func (b Builder) Upstream(ctx context.Context) (*Contender, error) {
	return b.ttrpc(ctx, UpstreamName, "upstream.mod")
}

// Tree builds the library as it is in the directory tree.
func (b Builder) Tree(ctx context.Context, name, tree string) (*Contender, error) {
	modfile, err := b.treeModule(ctx, name, tree)
	if err != nil {
		return nil, err
	}
	return b.ttrpc(ctx, name, modfile)
}

// GRPC builds grpc-go.
func (b Builder) GRPC(ctx context.Context) (*Contender, error) {
	c, err := b.other(ctx, GRPC, "google.golang.org/grpc", "./grpc")
	if err != nil {
		return nil, err
	}
	return c, b.minimal(ctx, c, program{dir: othersDir, path: "./grpcminimal"})
}

// DRPC builds storj.io/drpc.
func (b Builder) DRPC(ctx context.Context) (*Contender, error) {
	return b.other(ctx, DRPC, "storj.io/drpc", "./drpc")
}

// Floor builds the floor.
func (b Builder) Floor(ctx context.Context) (*Contender, error) {
	c := Floor
	return &c, b.load(ctx, &c, program{path: "./floor"})
}

// other builds c, whose library is module, and whose load program is at path.
func (b Builder) other(ctx context.Context, c Contender, module, path string) (*Contender, error) {
	version, err := goTool(ctx, othersDir, "list", "-m", "-f", "{{.Version}}", module)
	if err != nil {
		return nil, err
	}
	c.Version = string(bytes.TrimSpace(version))
	return &c, b.load(ctx, &c, program{dir: othersDir, path: path})
}

// program is a command to be built.
type program struct {
	dir     string // of its module
	path    string
	modfile string // if not go.mod
}

// args returns those of the go command that is to do something with modfile.
func (p program) args(verb string, args ...string) []string {
	if p.modfile != "" {
		args = append([]string{"-modfile=" + p.modfile}, args...)
	}
	return append(append([]string{verb}, args...), p.path)
}

// ttrpc builds the library that modfile says.
func (b Builder) ttrpc(ctx context.Context, name, modfile string) (*Contender, error) {
	c := &Contender{Name: name}
	if err := b.load(ctx, c, program{path: "./ttrpc", modfile: modfile}); err != nil {
		return nil, err
	}
	return c, b.minimal(ctx, c, program{path: "./minimal", modfile: modfile})
}

// load builds the load program of c.
func (b Builder) load(ctx context.Context, c *Contender, p program) error {
	c.command = b.path(c.Name, "load")
	_, err := goTool(ctx, p.dir, p.args("build", "-trimpath", "-o", c.command)...)
	return err
}

// minimal builds the minimal server of c, and looks at it.
func (b Builder) minimal(ctx context.Context, c *Contender, p program) error {
	c.minimal = b.path(c.Name, "minimal")
	if _, err := goTool(ctx, p.dir, p.args("build", "-trimpath", "-ldflags=-s -w", "-o", c.minimal)...); err != nil {
		return err
	}
	info, err := os.Stat(c.minimal)
	if err != nil {
		return err
	}
	c.Size = float64(info.Size())
	deps, err := goTool(ctx, p.dir, p.args("list", "-deps")...)
	c.Packages = float64(bytes.Count(deps, []byte("\n")))
	return err
}

// path returns that of a file for the contender of that name.
func (b Builder) path(name, what string) string {
	return filepath.Join(b.Dir, strings.ReplaceAll(name, " ", "-")+"."+what)
}

// treeModule writes a modfile that takes the library from tree.
func (b Builder) treeModule(ctx context.Context, name, tree string) (string, error) {
	tree, err := filepath.Abs(tree)
	if err != nil {
		return "", err
	}
	for _, suffix := range []string{"mod", "sum"} {
		content, err := os.ReadFile("go." + suffix)
		if err != nil {
			return "", err
		}
		if err := os.WriteFile(b.path(name, suffix), content, 0o600); err != nil {
			return "", err
		}
	}
	modfile := b.path(name, "mod")
	_, err = goTool(ctx, "", "mod", "edit", "-replace=github.com/containerd/ttrpc="+tree, modfile)
	return modfile, err
}

// goTool runs the go command in dir.
func goTool(ctx context.Context, dir string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return nil, fmt.Errorf("go %s: %s", strings.Join(args, " "), bytes.TrimSpace(exit.Stderr))
	}
	return out, err
}
