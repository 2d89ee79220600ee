// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/containerd/ttrpc/cmd/ttrpc-gen/generate"
	"github.com/stretchr/testify/require"
)

// The repository's generated files are current. make protos makes them so.
func TestGeneratedFilesAreCurrent(t *testing.T) {
	require.NoError(t, run(filepath.Join("..", "..", "..", ".."), true))
}

// Of every .proto file of the repository it is known how its code is generated. See
// protos.txt.
func TestEveryProtoFileIsListed(t *testing.T) {
	elsewhere := regexp.MustCompile(`^(cmd/protoc-gen-gogottrpc/testdata|integration/generators/testdata)/`)
	entries, err := parse(protosTxt)
	require.NoError(t, err)
	var listed, found []string
	for _, e := range entries {
		listed = append(listed, e.proto)
	}
	root := os.DirFS(filepath.Join("..", "..", "..", ".."))
	require.NoError(t, fs.WalkDir(root, ".", func(name string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() && path.Ext(name) == ".proto" && !elsewhere.MatchString(name) {
			found = append(found, name)
		}
		return err
	}))
	require.ElementsMatch(t, listed, found)
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
