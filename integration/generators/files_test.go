// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// read writes the files into a directory and reads them as the output of a way.
func read(t *testing.T, content map[string]string) (top string, _ files) {
	t.Helper()
	top = t.TempDir()
	for name, text := range content {
		name = filepath.Join(top, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o777))
		require.NoError(t, os.WriteFile(name, []byte(text), 0o666))
	}
	found, err := readGo(top)
	require.NoError(t, err)
	return top, found
}

func TestOnlyTheCompilersVersionMayDiffer(t *testing.T) {
	const header = "// versions:\n// - protoc-gen-go-ttrpc v1.3.0\n// - protoc v3.21.12\n"
	_, first := read(t, map[string]string{"a.go": header + "package a\n"})
	for _, test := range []struct {
		name, text, want string
	}{
		{"same", header + "package a\n", ""},
		{"other compiler", "// versions:\n// - protoc-gen-go-ttrpc v1.3.0\n// - protoc (unknown)\npackage a\n", ""},
		{"other generator", "// versions:\n// - protoc-gen-go-ttrpc v1.2.10\n// - protoc v3.21.12\npackage a\n", "a.go:2: differs"},
		{"other code", header + "package b\n", "a.go:4: differs"},
		{"less", header + "package a", "a.go has 4 lines"},
		{"more", header + "package a\n\n", "a.go has 6 lines"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, other := read(t, map[string]string{"a.go": test.text})
			err := first.compare(other)
			if test.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, test.want)
		})
	}
	_, more := read(t, map[string]string{"a.go": header + "package a\n", "b.go": "package a\n"})
	require.EqualError(t, first.compare(more), "2 files, the first way wrote 1")
	require.Error(t, more.compare(first))
}

func TestMissingOrSuperfluousFilesAreNoticed(t *testing.T) {
	proto := module + "/a/a.proto"
	const service = "syntax = \"proto3\";\nservice A {}\n"
	const stubs = "package a\nvar _ = ttrpc.ServiceDesc{}\n"
	base := module + "/a/a"
	for _, test := range []struct {
		name    string
		written map[string]string
		gogo    bool
		want    string
	}{
		{"complete", map[string]string{base + ".pb.go": "package a\n", base + "_ttrpc.pb.go": stubs}, false, ""},
		{"gogo", map[string]string{base + ".pb.go": stubs}, true, ""},
		{"nothing", nil, false, "_ttrpc.pb.go registers no service"},
		{"no messages", map[string]string{base + "_ttrpc.pb.go": stubs}, false, "a.pb.go was not written"},
		{"gogo without services", map[string]string{base + ".pb.go": "package a\n"}, true, "registers no service"},
		{"more", map[string]string{base + ".pb.go": "package a\n", base + "_ttrpc.pb.go": stubs, "x.go": "package x\n"}, false, "3 files were written, not 2"},
	} {
		t.Run(test.name, func(t *testing.T) {
			all := map[string]string{proto: service}
			for name, text := range test.written {
				all[name] = text
			}
			top, written := read(t, all)
			protos, err := findProtos(top)
			require.NoError(t, err)
			require.Equal(t, []string{proto}, protos)
			err = written.complete(top, protos, test.gogo)
			if test.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, test.want)
		})
	}
}
