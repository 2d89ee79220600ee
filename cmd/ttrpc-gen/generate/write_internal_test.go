// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package generate

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// names returns the names of what is in a directory.
func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	list := make([]string, 0, len(entries))
	for _, entry := range entries {
		list = append(list, entry.Name())
	}
	return list
}

// What file systems refuse seldom, and no test can make them: to move a file.
func TestMovesAreUndoneIfOneFails(t *testing.T) {
	dir := t.TempDir()
	old := filepath.Join(dir, "old.go")
	require.NoError(t, os.WriteFile(old, []byte("old"), 0o640))
	then := time.Now().Add(-time.Hour).Truncate(time.Second)
	require.NoError(t, os.Chtimes(old, then, then))
	before, err := os.Stat(old)
	require.NoError(t, err)
	files := []File{
		{Name: "old.go", Content: []byte("new")},
		{Name: "sub/new.go", Content: []byte("new")},
		{Name: "third.go", Content: []byte("new")},
		{Name: "fourth.go", Content: []byte("new")},
	}

	failure := errors.New("no")
	moves := 0
	err = write(dir, files, func(from, to string) error {
		if moves++; moves == 3 {
			return failure
		}
		return os.Rename(from, to)
	})
	require.ErrorIs(t, err, failure)
	require.Equal(t, 4, moves, "two, the one that fails, and one back")
	require.Equal(t, []string{"old.go"}, names(t, dir))
	text, err := os.ReadFile(old)
	require.NoError(t, err)
	require.Equal(t, "old", string(text))
	after, err := os.Stat(old)
	require.NoError(t, err)
	require.Equal(t, before.Mode(), after.Mode())
	require.True(t, after.ModTime().Equal(then))

	require.NoError(t, write(dir, files, os.Rename))
	require.Equal(t, []string{"fourth.go", "old.go", "sub", "third.go"}, names(t, dir))
	require.Equal(t, []string{"new.go"}, names(t, filepath.Join(dir, "sub")))
}

// What cannot be undone is not lost, and the error says where it is.
func TestMovesThatCannotBeUndone(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "old.go"), []byte("old"), 0o666))
	failure := errors.New("no")
	moves := 0
	err := write(dir, []File{{Name: "old.go", Content: []byte("new")}, {Name: "other.go"}}, func(from, to string) error {
		if moves++; moves > 1 {
			return failure
		}
		return os.Rename(from, to)
	})
	require.ErrorContains(t, err, "no\n"+filepath.Join(dir, "old.go")+": could not be put back: its old content is in ")
	left := names(t, dir)
	require.Len(t, left, 2)
	require.ErrorContains(t, err, left[0])
	text, err := os.ReadFile(filepath.Join(dir, left[0]))
	require.NoError(t, err)
	require.Equal(t, "old", string(text))
}
