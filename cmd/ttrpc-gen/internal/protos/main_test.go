// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/containerd/ttrpc/cmd/ttrpc-gen/generate"
	"github.com/stretchr/testify/require"
)

// The repository's generated files are current. make protos makes them so.
func TestGeneratedFilesAreCurrent(t *testing.T) {
	require.NoError(t, run(filepath.Join("..", "..", "..", ".."), true))
}

func TestCompareNamesFilesThatDiffer(t *testing.T) {
	root := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(root, "same.go"), []byte("a\nb\n"), 0o666))
	require.NoError(t, os.WriteFile(filepath.Join(root, "stale.go"), []byte("a\nb\nold\n"), 0o666))
	files := []generate.File{
		{Name: "same.go", Content: []byte("a\nb\n")},
		{Name: "stale.go", Content: []byte("a\nb\nnew\n")},
	}
	require.EqualError(t, compare(root, files), "stale.go: line 3: not what its .proto file generates\nrun make protos")
	require.NoError(t, compare(root, files[:1]))

	files = append(files, generate.File{Name: "none.go"})
	require.ErrorIs(t, compare(root, files), os.ErrNotExist)
}

func TestParse(t *testing.T) {
	entries, err := parse("# comment\n\na.proto\n  b/c.proto\tprefix=P  descriptors # not a comment")
	require.EqualError(t, err, `protos.txt:4: unknown option "#"`)
	require.Nil(t, entries)

	entries, err = parse("# comment\n\na.proto\n  b/c.proto\tprefix=P  descriptors\n")
	require.NoError(t, err)
	require.Equal(t, []entry{{proto: "a.proto"}, {proto: "b/c.proto", prefix: "P", descriptors: true}}, entries)
}
