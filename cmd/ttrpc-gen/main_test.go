// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

const item = `syntax = "proto3"; import "b.proto"; option go_package = "example.com/p"; service S { rpc Do(B) returns (B); }`

func TestRun(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, dir := range []string{"one", "two", "out"} {
		require.NoError(t, os.Mkdir(dir, 0o777))
	}
	require.NoError(t, os.WriteFile("one/a.proto", []byte(item), 0o666))
	require.NoError(t, os.WriteFile("two/b.proto", []byte(`syntax = "proto3"; option go_package = "example.com/p"; message B {}`), 0o666))

	var stdout, stderr bytes.Buffer
	require.NoError(t, run(t.Context(), []string{
		"-I", "one", "-I=two", "--out=out", "--paths=source_relative", "--prefix=P", "one/a.proto", "two/b.proto",
	}, &stdout, &stderr))
	require.Empty(t, stdout.String())
	require.Empty(t, stderr.String())
	written, err := filepath.Glob("out/*")
	require.NoError(t, err)
	require.Equal(t, []string{"out/a.pb.go", "out/a_ttrpc.pb.go", "out/b.pb.go"}, written)
	stubs, err := os.ReadFile("out/a_ttrpc.pb.go")
	require.NoError(t, err)
	require.Contains(t, string(stubs), "func RegisterPSService(")
}

func TestRunErrors(t *testing.T) {
	for _, test := range []struct {
		name string
		args []string
		want string
	}{
		{"unknown option", []string{"--lang=go", "a.proto"}, "ttrpc-gen: flag provided but not defined: -lang"},
		{"no file", nil, "no .proto file given"},
		{"no such file", []string{"a.proto"}, "a.proto: no such file"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			require.EqualError(t, run(t.Context(), test.args, &stdout, &stderr), test.want)
			require.Empty(t, stdout.String())
			require.Empty(t, stderr.String(), "main prints the error, once")
		})
	}
}

func TestVersionAndHelp(t *testing.T) {
	var stdout, stderr bytes.Buffer
	require.NoError(t, run(t.Context(), []string{"--version"}, &stdout, &stderr))
	require.Regexp(t, `^ttrpc-gen v\d+\.\d+\.\d+\n$`, stdout.String())

	require.ErrorIs(t, run(t.Context(), []string{"-h"}, &stdout, &stderr), flag.ErrHelp)
	require.Contains(t, stderr.String(), "usage: ttrpc-gen [options] file.proto...")
	require.Contains(t, stderr.String(), "-I dir")
}
