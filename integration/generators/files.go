// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// files are Go files by their path from the directory above src, with slashes.
// The line of the header that names the compiler is cut short in them.
type files map[string][]byte

// compilerLine is the line of a header that tells the compiler and its version:
// protoc-gen-go's and protoc-gen-go-ttrpc's.
var compilerLine = regexp.MustCompile(`(?m)^// (\tprotoc +|- protoc ).*$`)

// readGo reads the Go files in a directory and below.
func readGo(top string) (files, error) {
	found := make(files)
	err := walk(top, ".go", func(name string) error {
		content, err := os.ReadFile(filepath.Join(top, name))
		found[name] = compilerLine.ReplaceAll(content, []byte("// ${1}"))
		return err
	})
	return found, err
}

// findProtos returns the .proto files to generate code for.
func findProtos(top string) ([]string, error) {
	var protos []string
	err := walk(filepath.Join(top, module), ".proto", func(name string) error {
		protos = append(protos, path.Join(module, name))
		return nil
	})
	return protos, err
}

// walk calls visit with the files below top that have the suffix, in the order
// of their names.
func walk(top, suffix string, visit func(name string) error) error {
	return fs.WalkDir(os.DirFS(top), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(name, suffix) {
			return err
		}
		return visit(name)
	})
}

// packagesOf returns the Go packages in which .proto files lie.
func packagesOf(protos []string) []string {
	var packages []string
	for _, proto := range protos {
		packages = append(packages, strings.TrimPrefix(path.Dir(proto), src+"/"))
	}
	return slices.Compact(packages)
}

// without returns the files that are not, or are different, in before.
func (f files) without(before files) files {
	f = maps.Clone(f)
	maps.DeleteFunc(f, func(name string, content []byte) bool { return bytes.Equal(before[name], content) })
	return f
}

// complete tells whether f has what belongs to each .proto file: the messages
// and, where there are services, clients and servers; gogo writes both to one.
// Testdata is such that the word service is at the start of a line if there is one.
func (f files) complete(top string, protos []string, gogo bool) error {
	wanted := 0
	for _, proto := range protos {
		content, err := os.ReadFile(filepath.Join(top, proto))
		if err != nil {
			return err
		}
		base := strings.TrimSuffix(proto, ".proto")
		messages, stubs := base+".pb.go", base+"_ttrpc.pb.go"
		if gogo {
			stubs = messages
		}
		want := []string{messages}
		if bytes.Contains(content, []byte("\nservice ")) {
			want = append(want, stubs)
			if !bytes.Contains(f[stubs], []byte("ServiceDesc{")) {
				return fmt.Errorf("%s registers no service", stubs)
			}
		}
		for _, name := range slices.Compact(want) {
			wanted++
			if f[name] == nil {
				return fmt.Errorf("%s was not written", name)
			}
		}
	}
	if len(f) != wanted {
		return fmt.Errorf("%d files were written, not %d: %s", len(f), wanted, strings.Join(slices.Sorted(maps.Keys(f)), " "))
	}
	return nil
}

// compare reports the first line in which other differs.
func (f files) compare(other files) error {
	for _, name := range slices.Sorted(maps.Keys(f)) {
		want, got := bytes.Split(f[name], []byte("\n")), bytes.Split(other[name], []byte("\n"))
		for i := range max(len(want), len(got)) {
			if i >= len(want) || i >= len(got) {
				return fmt.Errorf("%s has %d lines, the first way wrote %d", name, len(got), len(want))
			}
			if !bytes.Equal(want[i], got[i]) {
				return fmt.Errorf("%s:%d: differs from what the first way wrote:\n  %s\n  %s", name, i+1, want[i], got[i])
			}
		}
	}
	if len(f) != len(other) {
		return fmt.Errorf("%d files, the first way wrote %d", len(other), len(f))
	}
	return nil
}

// copyFile copies a file, and makes the directory that it goes into.
func copyFile(to, from string) error {
	content, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o777); err != nil {
		return err
	}
	return os.WriteFile(to, content, 0o666)
}
