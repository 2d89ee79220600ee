// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package generate

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// A file that is there, and may not be read, is another thing than a missing one.
func TestUnreadableFiles(t *testing.T) {
	t.Chdir(t.TempDir())
	const head = "syntax = \"proto3\";\n"
	require.NoError(t, os.WriteFile("a.proto", []byte(head+"import \"b.proto\";\n"), 0o666))
	require.NoError(t, os.WriteFile("b.proto", []byte(head), 0o666))
	readFile := func(path string) ([]byte, error) {
		if filepath.Base(path) == "b.proto" {
			return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrPermission}
		}
		return os.ReadFile(path)
	}
	_, err := load(Options{Files: []string{"b.proto"}}, readFile)
	require.EqualError(t, err, "b.proto: permission denied")
	_, err = load(Options{Files: []string{"a.proto"}}, readFile)
	require.EqualError(t, err, `a.proto:2:8: import "b.proto": permission denied`)
}
