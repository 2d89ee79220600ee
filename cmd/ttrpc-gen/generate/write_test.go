// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package generate_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/containerd/ttrpc/cmd/ttrpc-gen/generate"
	"github.com/stretchr/testify/require"
)

// requireTree requires that a directory holds these files, and no others.
func requireTree(t *testing.T, dir string, want map[string]string) {
	t.Helper()
	have := make(map[string]string)
	require.NoError(t, filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		name, _ := filepath.Rel(dir, path)
		have[filepath.ToSlash(name)] = string(text)
		return err
	}))
	require.Equal(t, want, have)
}

func TestWrite(t *testing.T) {
	dir := tree(t, map[string]string{"a.go": "old", "same.go": "same"})
	require.NoError(t, generate.Write(dir, []generate.File{
		{Name: "a.go", Content: []byte("new")},
		{Name: "b/c/d.go", Content: []byte("new")},
		{Name: "b/c/e.go", Content: nil},
		{Name: "same.go", Content: []byte("same")},
	}))
	requireTree(t, dir, map[string]string{"a.go": "new", "b/c/d.go": "new", "b/c/e.go": "", "same.go": "same"})
	require.NoError(t, generate.Write(dir, nil))
}

// Build systems go by the time at which a file was modified.
func TestWriteLeavesUnchangedFilesAlone(t *testing.T) {
	dir := tree(t, map[string]string{"same.go": "same", "other.go": "old"})
	then := time.Now().Add(-time.Hour).Truncate(time.Second)
	for _, name := range []string{"same.go", "other.go"} {
		require.NoError(t, os.Chtimes(filepath.Join(dir, name), then, then))
	}
	require.NoError(t, generate.Write(dir, []generate.File{
		{Name: "same.go", Content: []byte("same")},
		{Name: "other.go", Content: []byte("new")},
	}))
	same, err := os.Stat(filepath.Join(dir, "same.go"))
	require.NoError(t, err)
	require.True(t, same.ModTime().Equal(then))
	other, err := os.Stat(filepath.Join(dir, "other.go"))
	require.NoError(t, err)
	require.True(t, other.ModTime().After(then))
}

// A new file has the permissions that any new file has; another one keeps its own.
func TestWrittenFilesHaveUsualPermissions(t *testing.T) {
	dir := tree(t, map[string]string{"usual": "", "old.go": "old"})
	require.NoError(t, os.Chmod(filepath.Join(dir, "old.go"), 0o640))
	require.NoError(t, generate.Write(dir, []generate.File{
		{Name: "new.go", Content: []byte("new")},
		{Name: "old.go", Content: []byte("new")},
	}))
	mode := func(name string) os.FileMode {
		info, err := os.Stat(filepath.Join(dir, name))
		require.NoError(t, err)
		return info.Mode()
	}
	require.Equal(t, mode("usual"), mode("new.go"))
	require.NoError(t, os.Chmod(filepath.Join(dir, "usual"), 0o640)) // as far as there is such a thing
	require.Equal(t, mode("usual"), mode("old.go"))
}

func TestWriteFollowsLinks(t *testing.T) {
	dir := tree(t, map[string]string{"real/a.go": "old"})
	if err := os.Symlink(filepath.Join("real", "a.go"), filepath.Join(dir, "a.go")); err != nil {
		t.Skipf("no symbolic links here: %v", err)
	}
	require.NoError(t, generate.Write(dir, []generate.File{{Name: "a.go", Content: []byte("new")}}))
	requireTree(t, dir, map[string]string{"a.go": "new", "real/a.go": "new"})

	require.NoError(t, os.Symlink("nowhere", filepath.Join(dir, "dangling.go")))
	require.ErrorContains(t, generate.Write(dir, []generate.File{{Name: "dangling.go"}}),
		filepath.Join(dir, "dangling.go")+": is a symbolic link to nowhere, which cannot be followed: ")

	require.EqualError(t, generate.Write(dir, []generate.File{{Name: "a.go"}, {Name: "real/a.go"}}),
		filepath.Join(dir, "real", "a.go")+": written twice")
}

// Whatever is wrong with the second file, the first is not written.
func TestWriteChangesNothingIfOneFileCannotBeWritten(t *testing.T) {
	old := map[string]string{"a.go": "old", "b.go/in/the/way": "", "file": ""}
	dir := tree(t, old)
	for _, test := range []struct{ name, second, want string }{
		{"directory in the way", "b.go", filepath.Join(dir, "b.go") + ": is a directory"},
		{"file in the way", "file/b.go", filepath.Join(dir, "file", "b.go") + ": " + filepath.Join(dir, "file") + " is not a directory"},
		{"same file", "./a.go", filepath.Join(dir, "a.go") + ": written twice"},
		{"outside", "../b.go", "../b.go: does not lie below the output directory"},
		{"outside, from the root", "/b.go", "/b.go: does not lie below the output directory"},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, first := range []string{"a.go", "new/directory/a.go"} {
				if test.second == "./a.go" {
					first = "a.go"
				}
				err := generate.Write(dir, []generate.File{{Name: first, Content: []byte("new")}, {Name: test.second, Content: []byte("new")}})
				require.EqualError(t, err, test.want)
				requireTree(t, dir, old)
				require.NoDirExists(t, filepath.Join(dir, "new"))
			}
		})
	}
}

// Several may need the same directory at once, as they do under make -j.
func TestWritesAtOnce(t *testing.T) {
	for range 20 {
		dir := t.TempDir()
		written := make(chan error)
		names := []string{"a/b/c/one.go", "a/b/c/two.go", "a/b/d/three.go"}
		for _, name := range names {
			go func() { written <- generate.Write(dir, []generate.File{{Name: name, Content: []byte(name)}}) }()
		}
		want := make(map[string]string)
		for _, name := range names {
			want[name] = name
			require.NoError(t, <-written)
		}
		requireTree(t, dir, want)
	}
}

func TestWriteNeedsADirectory(t *testing.T) {
	dir := tree(t, map[string]string{"file": ""})
	for name, want := range map[string]string{"none": ": the output directory does not exist", "file": ": not a directory"} {
		out := filepath.Join(dir, name)
		require.EqualError(t, generate.Write(out, nil), out+want)
		require.EqualError(t, generate.Run(t.Context(), out, generate.Options{}), out+want, "before anything is compiled")
	}
}
