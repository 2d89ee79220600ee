// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"archive/zip"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/containerd/ttrpc/internal/stubgen"
	"github.com/stretchr/testify/require"
)

// The modules of this repository that users need, and where they lie.
const (
	library       = "github.com/containerd/ttrpc"
	program       = "github.com/containerd/ttrpc/cmd/ttrpc-gen"
	atThisVersion = "@" + stubgen.Version
)

var directories = map[string]string{library: filepath.Join("..", ".."), program: "."}

// A user is someone with a module of their own, outside of this repository.
type user struct {
	t   *testing.T
	dir string
	env []string
}

// newUser returns a user whose module has a .proto file and asks for code by go
// generate.
func newUser(t *testing.T, env ...string) *user {
	t.Helper()
	u := &user{t: t, dir: t.TempDir(), env: append(os.Environ(), "GOWORK=off", "GOSUMDB=off", "GOFLAGS=-mod=mod")}
	u.env = append(u.env, env...)
	u.write("go.mod", "module example.com/user\n\ngo 1.25.6\n")
	u.write("user.go", "package user\n\n//go:generate go tool ttrpc-gen --paths source_relative old.proto new.proto\n")
	u.write("old.proto", `syntax = "proto3";
package user;
import "google/rpc/status.proto";
option go_package = "example.com/user";
message Old { google.rpc.Status status = 1; }
service OldService { rpc Do(Old) returns (stream Old); }
`)
	u.write("new.proto", `edition = "2023";
package user;
import "old.proto";
option go_package = "example.com/user";
message New { string name = 1; Old old = 2; }
service NewService { rpc Do(stream New) returns (Old); }
`)
	u.write("sub/newest.proto", `edition = "2024";
package user.sub;
option go_package = "example.com/user/sub";
message Newest { string name = 1; }
service NewestService { rpc Do(stream Newest) returns (stream Newest); }
`)
	return u
}

// write writes a file of the user's module.
func (u *user) write(name, content string) {
	u.t.Helper()
	file := filepath.Join(u.dir, filepath.FromSlash(name))
	require.NoError(u.t, os.MkdirAll(filepath.Dir(file), 0o777))
	require.NoError(u.t, os.WriteFile(file, []byte(content), 0o666))
}

// goes runs a go command, which must succeed, and returns its output.
func (u *user) goes(args ...string) string {
	u.t.Helper()
	command := exec.CommandContext(u.t.Context(), "go", args...)
	command.Dir = u.dir
	command.Env = slices.Concat(u.env, []string{"PWD=" + u.dir})
	var stderr strings.Builder
	command.Stderr = &stderr
	output, err := command.Output()
	require.NoError(u.t, err, "go %s\n%s", strings.Join(args, " "), &stderr)
	return string(output)
}

// pin does what a user does who wants this version of ttrpc-gen, and of the
// library, in go.mod.
func (u *user) pin() {
	u.t.Helper()
	u.goes("get", "-tool", program+atThisVersion)
	u.goes("get", library+atThisVersion)
}

// requireCode requires that the code for these .proto files has been written, and
// that it compiles.
func (u *user) requireCode(protos ...string) {
	u.t.Helper()
	for _, proto := range protos {
		for _, suffix := range []string{".pb.go", "_ttrpc.pb.go"} {
			require.FileExists(u.t, filepath.Join(u.dir, filepath.FromSlash(strings.TrimSuffix(proto, ".proto")+suffix)))
		}
	}
	u.goes("vet", "./...")
}

// A user may replace the modules by directories.
func TestModuleThatReplacesTheProgram(t *testing.T) {
	u := newUser(t)
	for module, directory := range directories {
		absolute, err := filepath.Abs(directory)
		require.NoError(t, err)
		u.goes("mod", "edit", "-replace", module+"="+absolute)
	}
	u.pin()
	require.Equal(t, "ttrpc-gen "+stubgen.Version+"\n", u.goes("tool", "ttrpc-gen", "--version"))
	u.goes("generate", "./...")
	u.goes("run", program, "--paths=source_relative", "sub/newest.proto")
	u.requireCode("old.proto", "new.proto", "sub/newest.proto")
}

// Once there is a release, nobody needs to replace anything.
func TestReleasedProgram(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: it compiles everything in a module cache of its own")
	}
	proxy, bin := t.TempDir(), t.TempDir()
	for module, directory := range directories {
		publish(t, proxy, module, directory)
	}
	// The release is made up: it must not get into the module cache. All the rest
	// is in there, or where it usually comes from.
	usual := newUser(t)
	cache := strings.TrimSpace(usual.goes("env", "GOMODCACHE"))
	proxies := fileURL(proxy) + "," + fileURL(filepath.Join(cache, "cache", "download")) + "," + strings.TrimSpace(usual.goes("env", "GOPROXY"))
	u := newUser(t, "GOPROXY="+proxies, "GOMODCACHE="+t.TempDir(), "GOBIN="+bin,
		// Without -trimpath, nothing would be in the build cache the next time.
		"GOFLAGS=-mod=mod -modcacherw -trimpath")

	require.Equal(t, "ttrpc-gen "+stubgen.Version+"\n", u.goes("run", program+atThisVersion, "--version"))
	u.goes("run", program+atThisVersion, "--paths=source_relative", "sub/newest.proto")
	u.goes("install", program+atThisVersion)
	installed, err := filepath.Glob(filepath.Join(bin, "ttrpc-gen*"))
	require.NoError(t, err)
	require.Len(t, installed, 1)

	u.pin()
	u.goes("run", program, "--paths=source_relative", "old.proto", "new.proto")
	u.requireCode("old.proto", "new.proto", "sub/newest.proto")
}

// fileURL returns a directory as a URL.
func fileURL(directory string) string {
	slashes := filepath.ToSlash(directory)
	if !strings.HasPrefix(slashes, "/") {
		slashes = "/" + slashes // a Windows drive
	}
	return "file://" + slashes
}

// publish puts a module into a module proxy that is a directory.
func publish(t *testing.T, proxy, module, directory string) {
	t.Helper()
	versions := filepath.Join(proxy, filepath.FromSlash(module), "@v")
	require.NoError(t, os.MkdirAll(versions, 0o777))
	release := filepath.Join(versions, stubgen.Version)
	gomod, err := os.ReadFile(filepath.Join(directory, "go.mod"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(release+".mod", gomod, 0o666))
	require.NoError(t, os.WriteFile(release+".info", fmt.Appendf(nil, "{%q: %q}", "Version", stubgen.Version), 0o666))
	require.NoError(t, os.WriteFile(filepath.Join(versions, "list"), []byte(stubgen.Version+"\n"), 0o666))
	archive, err := os.Create(release + ".zip")
	require.NoError(t, err)
	writer := zip.NewWriter(archive)
	require.NoError(t, zipModule(writer, module+atThisVersion, directory))
	require.NoError(t, writer.Close())
	require.NoError(t, archive.Close())
}

// zipModule writes the files of a module, without those of modules below it.
func zipModule(archive *zip.Writer, prefix, directory string) error {
	return filepath.WalkDir(directory, func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && file != directory {
			if _, err := os.Stat(filepath.Join(file, "go.mod")); err == nil || entry.Name() == ".git" {
				return fs.SkipDir
			}
		}
		if !entry.Type().IsRegular() {
			return nil
		}
		relative, err := filepath.Rel(directory, file)
		if err != nil {
			return err
		}
		source, err := os.Open(file)
		if err != nil {
			return err
		}
		defer source.Close()
		target, err := archive.Create(path.Join(prefix, filepath.ToSlash(relative)))
		if err != nil {
			return err
		}
		_, err = io.Copy(target, source)
		return err
	})
}

// What go.mod asks for is the release that this is: both are made at once.
func TestModuleRequiresThisRelease(t *testing.T) {
	gomod, err := os.ReadFile("go.mod")
	require.NoError(t, err)
	require.Contains(t, string(gomod), "\n\t"+library+" "+stubgen.Version+"\n")
	require.NotContains(t, string(gomod), "\nreplace ", "go install and go run refuse a program with replacements")
}
