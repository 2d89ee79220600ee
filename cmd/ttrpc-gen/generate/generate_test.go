// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package generate_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/containerd/ttrpc/cmd/ttrpc-gen/generate"
	"github.com/stretchr/testify/require"
)

// tree writes files into a new directory and returns it.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o777))
		require.NoError(t, os.WriteFile(path, []byte(content), 0o666))
	}
	return dir
}

// names returns the names of generated files.
func names(files []generate.File) []string {
	var list []string
	for _, file := range files {
		list = append(list, file.Name)
	}
	return list
}

// content returns the content of the generated file called name.
func content(t *testing.T, files []generate.File, name string) string {
	t.Helper()
	for _, file := range files {
		if file.Name == name {
			return string(file.Content)
		}
	}
	require.Fail(t, "no such file", "%s: there are %v", name, names(files))
	return ""
}

const service = `
syntax = "proto3";
package a.b;
import "google/protobuf/empty.proto";
import "google/rpc/status.proto";
import "google/rpc/error_details.proto";
option go_package = "example.com/x/b;bpkg";
// Message has a comment.
message Message {
  optional google.rpc.Status status = 1;
  google.rpc.BadRequest bad = 2;
}
// Service has a comment, too.
service Service {
  rpc Do(Message) returns (google.protobuf.Empty);
}
`

func TestGenerate(t *testing.T) {
	dir := tree(t, map[string]string{"a/b.proto": service})
	for _, test := range []struct {
		name     string
		options  generate.Options
		messages string
		stubs    string
		contains string
	}{
		{
			name:     "import path",
			messages: "example.com/x/b/b.pb.go",
			stubs:    "example.com/x/b/b_ttrpc.pb.go",
			contains: "\nfunc RegisterServiceService(",
		},
		{
			name:     "source relative",
			options:  generate.Options{Paths: "source_relative"},
			messages: "a/b.pb.go",
			stubs:    "a/b_ttrpc.pb.go",
			contains: "\n// source: a/b.proto\n",
		},
		{
			name:     "prefix",
			options:  generate.Options{Paths: "import", Prefix: "TTRPC"},
			messages: "example.com/x/b/b.pb.go",
			stubs:    "example.com/x/b/b_ttrpc.pb.go",
			contains: "\nfunc RegisterTTRPCServiceService(",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.options.ImportPaths = []string{dir}
			test.options.Files = []string{filepath.Join(dir, "a/b.proto")}
			files, err := generate.Generate(t.Context(), test.options)
			require.NoError(t, err)
			require.Equal(t, []string{test.messages, test.stubs}, names(files))
			require.Contains(t, content(t, files, test.stubs), test.contains)
			require.Contains(t, content(t, files, test.stubs), "\npackage bpkg\n")
			require.Contains(t, content(t, files, test.stubs), "\n// Service has a comment, too.\n")
			require.Contains(t, content(t, files, test.messages), "\n// Message has a comment.\n")
		})
	}
}

func TestFilesWithoutServicesYieldMessagesOnly(t *testing.T) {
	dir := tree(t, map[string]string{"m.proto": `syntax = "proto3"; option go_package = "example.com/m"; message M {}`})
	files, err := generate.Generate(t.Context(), generate.Options{ImportPaths: []string{dir}, Files: []string{"m.proto"}, Paths: "source_relative"})
	require.NoError(t, err)
	require.Equal(t, []string{"m.pb.go"}, names(files))
}

func TestFilesAreFoundByPathAndByName(t *testing.T) {
	dir := tree(t, map[string]string{
		"one/a.proto":     `syntax = "proto3"; import "sub/b.proto"; option go_package = "example.com/a"; message A { example.B b = 1; }`,
		"two/sub/b.proto": `syntax = "proto3"; package example; option go_package = "example.com/b"; message B {}`,
	})
	t.Chdir(dir)
	for _, files := range [][]string{
		{"one/a.proto", "two/sub/b.proto"},
		{"./one/../one/a.proto", filepath.Join(dir, "two", "sub", "b.proto")},
		{"a.proto", "sub/b.proto"},
	} {
		generated, err := generate.Generate(t.Context(), generate.Options{
			ImportPaths: []string{"one", "two"}, Files: files, Paths: "source_relative",
		})
		require.NoError(t, err)
		require.Equal(t, []string{"sub/b.pb.go", "a.pb.go"}, names(generated))
	}

	t.Chdir("one")
	_, err := generate.Generate(t.Context(), generate.Options{ImportPaths: []string{".", "../two"}, Files: []string{"a.proto"}})
	require.NoError(t, err)
}

func TestWorkingDirectoryIsTheDefaultImportPath(t *testing.T) {
	t.Chdir(tree(t, map[string]string{"a/b.proto": service}))
	files, err := generate.Generate(t.Context(), generate.Options{Files: []string{"a/b.proto"}, Paths: "source_relative"})
	require.NoError(t, err)
	require.Equal(t, []string{"a/b.pb.go", "a/b_ttrpc.pb.go"}, names(files))
}

// Every problem is one line with its place.
func TestErrors(t *testing.T) {
	const head = "syntax = \"proto3\";\npackage p;\noption go_package = \"example.com/p\";\n"
	for _, test := range []struct {
		name    string
		files   map[string]string
		options generate.Options
		want    string
	}{
		{
			name:  "syntax",
			files: map[string]string{"a.proto": head + "message M {\n  string = 1;\n}\n"},
			want:  `a.proto:5:10: syntax error: unexpected '='`,
		},
		{
			name:  "several",
			files: map[string]string{"a.proto": head + "message M {\n  N n = 1;\n  O o = 2;\n}\n"},
			want: "a.proto:5:3: field p.M.n: unknown type N\n" +
				"a.proto:6:3: field p.M.o: unknown type O",
		},
		{
			name:  "missing import",
			files: map[string]string{"a.proto": head + "import \"b.proto\";\n"},
			want:  `a.proto:4:8: could not resolve path "b.proto": file not found in any import path`,
		},
		{
			name:  "error in an import",
			files: map[string]string{"a.proto": head + "import \"b.proto\";\n", "b.proto": head + "message;\n"},
			want:  `b.proto:4:8: syntax error: unexpected ';'`,
		},
		{
			name:    "several files",
			files:   map[string]string{"a.proto": head + "message;\n", "b.proto": "enum E {}\n" + head + "message M { N n = 1; }\n"},
			options: generate.Options{Files: []string{"b.proto", "a.proto"}},
			want: "a.proto:4:8: syntax error: unexpected ';'\n" +
				"b.proto:2:1: syntax error: unexpected \"syntax\"",
		},
		{
			name:  "unknown edition",
			files: map[string]string{"a.proto": "edition = \"1999\";\n"},
			want:  `a.proto:1:11: edition value "1999" not recognized; should be one of ["2023"]`,
		},
		{
			name:  "no go_package",
			files: map[string]string{"a.proto": "syntax = \"proto3\";\n\npackage p;\n"},
			want:  `a.proto:3:1: no go_package option: add option go_package = "import/path";`,
		},
		{
			name:  "no go_package and no package",
			files: map[string]string{"a.proto": "\nsyntax = \"proto3\";\n"},
			want:  `a.proto:1:1: no go_package option: add option go_package = "import/path";`,
		},
		{
			name:  "no go_package in an import",
			files: map[string]string{"a.proto": head + "import \"b.proto\";\n", "b.proto": "syntax = \"proto3\";\n"},
			want:  `a.proto:4:1: imported file b.proto has no go_package option`,
		},
		{
			name:    "given twice",
			files:   map[string]string{"a.proto": head},
			options: generate.Options{Files: []string{"a.proto", "./a.proto"}},
			want:    "./a.proto: file given twice",
		},
		{
			name:    "no file",
			options: generate.Options{Files: []string{}},
			want:    "no .proto file given",
		},
		{
			name: "not there",
			want: "a.proto: no such file",
		},
		{
			name:    "directory",
			files:   map[string]string{"sub/a.proto": head},
			options: generate.Options{Files: []string{"sub"}},
			want:    "sub: is a directory, not a .proto file",
		},
		{
			name:    "outside the import paths",
			files:   map[string]string{"a.proto": head, "one/b.proto": head, "two/c.proto": head},
			options: generate.Options{ImportPaths: []string{"one", "two"}},
			want:    "a.proto: lies under none of the import paths: one, two",
		},
		{
			name:    "hidden",
			files:   map[string]string{"one/a.proto": head, "two/a.proto": head},
			options: generate.Options{ImportPaths: []string{"one", "two"}, Files: []string{"two/a.proto"}},
			want:    "two/a.proto: hidden by one/a.proto, which an earlier import path holds under the same name",
		},
		{
			name:    "paths",
			files:   map[string]string{"a.proto": head},
			options: generate.Options{Paths: "relative"},
			want:    `paths: unknown value "relative": want "import" or "source_relative"`,
		},
		{
			name:    "prefix",
			files:   map[string]string{"a.proto": head},
			options: generate.Options{Prefix: "1"},
			want:    `prefix: "1" cannot begin a Go name`,
		},
		{
			name: "names collide",
			files: map[string]string{"a.proto": head + "message M {}\nservice S {\n  rpc do(M) returns (M);\n" +
				"  rpc Do(M) returns (M);\n}\n"},
			want: "a.proto:7:3: method p.S.Do needs the Go name Do, which method p.S.do has (a.proto:6:3)",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Chdir(tree(t, test.files))
			require.NoError(t, os.Mkdir("out", 0o777))
			if test.options.Files == nil {
				test.options.Files = []string{"a.proto"}
			}
			err := generate.Run(t.Context(), "out", test.options)
			require.EqualError(t, err, test.want)
			requireEmpty(t, "out")
		})
	}
}

// requireEmpty requires that a directory holds nothing.
func requireEmpty(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, entries)
}

func TestRunWritesFiles(t *testing.T) {
	t.Chdir(tree(t, map[string]string{"a/b.proto": service, "a/b.pb.go": "old"}))
	require.NoError(t, generate.Run(t.Context(), ".", generate.Options{Files: []string{"a/b.proto"}, Paths: "source_relative"}))
	for _, name := range []string{"a/b.pb.go", "a/b_ttrpc.pb.go"} {
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		require.True(t, strings.HasPrefix(string(text), "// Code generated by protoc-gen-go"), name)
	}
	entries, err := os.ReadDir("a")
	require.NoError(t, err)
	require.Len(t, entries, 3, "nothing else is left")
}

func TestRunWritesNothingIfOneFileIsBad(t *testing.T) {
	t.Chdir(tree(t, map[string]string{"a.proto": service, "b.proto": "syntax = \"proto3\";\nmessage {}\n"}))
	require.NoError(t, os.Mkdir("out", 0o777))
	err := generate.Run(t.Context(), "out", generate.Options{Files: []string{"a.proto", "b.proto"}})
	require.ErrorContains(t, err, "b.proto:2:9: syntax error")
	requireEmpty(t, "out")
}

func TestWriteChangesNothingIfOneFileCannotBeWritten(t *testing.T) {
	dir := tree(t, map[string]string{"a.go": "old", "b.go/in/the/way": "", "file": ""})
	files := []generate.File{{Name: "a.go", Content: []byte("new")}, {Name: "b.go", Content: []byte("new")}}
	require.EqualError(t, generate.Write(dir, files), filepath.Join(dir, "b.go")+": is a directory")
	text, err := os.ReadFile(filepath.Join(dir, "a.go"))
	require.NoError(t, err)
	require.Equal(t, "old", string(text))
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 3, "nothing else is left")

	require.ErrorIs(t, generate.Write(filepath.Join(dir, "none"), files), os.ErrNotExist)
	require.EqualError(t, generate.Write(filepath.Join(dir, "file"), files), filepath.Join(dir, "file")+": not a directory")
}

// protoc sends a plugin the same: options for compilers alone are gone, comments
// are there.
func TestRequest(t *testing.T) {
	dir := tree(t, map[string]string{"a/b.proto": service})
	program, err := generate.Compile(t.Context(), []string{dir}, []string{"a/b.proto"})
	require.NoError(t, err)
	request := program.Request("source_relative", "prefix=P")
	require.Equal(t, []string{"a/b.proto"}, request.GetFileToGenerate())
	require.Equal(t, "paths=source_relative,prefix=P", request.GetParameter())
	var order []string
	for _, file := range request.GetProtoFile() {
		order = append(order, file.GetName())
	}
	require.Equal(t, []string{
		"google/protobuf/empty.proto", "google/protobuf/any.proto", "google/rpc/status.proto",
		"google/protobuf/duration.proto", "google/rpc/error_details.proto", "a/b.proto",
	}, order)
	require.NotEmpty(t, request.GetProtoFile()[5].GetSourceCodeInfo().GetLocation())
	require.Equal(t, request.GetProtoFile(), program.DescriptorSet().GetFile())
}
