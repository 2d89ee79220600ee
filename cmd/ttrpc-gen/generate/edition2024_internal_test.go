// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package generate

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/descriptorpb"
)

// The compiler for edition 2024 does with files of other editions what the one
// does that is used for these.
func TestBothCompilersLeadToTheSameCode(t *testing.T) {
	root := filepath.Join("..", "..", "..")
	testdata := filepath.Join(root, "cmd", "protoc-gen-go-ttrpc", "testdata")
	for _, file := range []string{
		filepath.Join(root, "example", "example.proto"),
		filepath.Join(testdata, "edition", "edition.proto"),
		filepath.Join(testdata, "names", "names.proto"),
		filepath.Join(testdata, "prefix", "prefix.proto"),
		filepath.Join(testdata, "proto2", "proto2.proto"),
	} {
		t.Run(filepath.Base(file), func(t *testing.T) {
			src, err := load(Options{Files: []string{file}, ImportPaths: []string{root}}, os.ReadFile)
			require.NoError(t, err)
			generated := func(files []*descriptorpb.FileDescriptorProto, err error) []File {
				require.NoError(t, err)
				p := &Program{sources: src, files: files}
				p.strip()
				code, err := p.Generate()
				require.NoError(t, err)
				return code
			}
			var found findings
			one := generated(src.compile(t.Context(), &found))
			other := generated(src.compile2024(t.Context(), &found))
			require.Equal(t, one, other)
			require.Empty(t, found)
		})
	}
}
