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

// The command's tests have the rest.
func TestErrors(t *testing.T) {
	const head = "syntax = \"proto3\";\npackage p;\noption go_package = \"example.com/p\";\n"
	for _, test := range []struct {
		name    string
		options generate.Options
		want    string
	}{
		{"nothing to do", generate.Options{}, "no .proto file given"},
		{"paths", generate.Options{Paths: "relative"}, `paths: unknown value "relative": want "import" or "source_relative"`},
		{"package of an odd name", generate.Options{Packages: map[string]string{"a=b": "c"}}, "M: no comma, and no = in the file's name: a=b=c"},
		{
			"several",
			generate.Options{
				Files: []string{"b.proto", "a.proto"},
				Sources: map[string]string{
					"a.proto": head + "message M { N n = 1; O o = 2; }\n",
					"b.proto": head + "message L { N n = 1; }\n",
				},
			},
			"a.proto:4:13: field p.M.n: unknown type N\n" +
				"a.proto:4:22: field p.M.o: unknown type O\n" +
				"b.proto:4:13: field p.L.n: unknown type N",
		},
		{
			// What imports a bad file is not compiled, for lack of what it needs.
			"in an import",
			generate.Options{
				Files: []string{"a.proto", "b.proto", "c.proto"},
				Sources: map[string]string{
					"a.proto": head + "import \"b.proto\"; message L { N n = 1; }\n",
					"b.proto": head + "import \"c.proto\"; message M { N n = 1; }\n",
					"c.proto": head + "message N { O o = 1; }\n",
				},
			},
			"c.proto:4:13: field p.N.o: unknown type O",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			files, err := generate.Generate(t.Context(), test.options)
			require.EqualError(t, err, test.want)
			require.Nil(t, files)
		})
	}
}

// What lies in memory goes before what lies in files.
func TestSources(t *testing.T) {
	t.Chdir(tree(t, map[string]string{
		"a.proto": "neither found nor read",
		"b.proto": `syntax = "proto3"; package p; option go_package = "example.com/p"; message B {}`,
	}))
	files, err := generate.Generate(t.Context(), generate.Options{
		Files:   []string{"./a.proto", "b.proto"},
		Sources: map[string]string{"a.proto": `syntax = "proto3"; package p; import "b.proto"; option go_package = "example.com/p"; message A { B b = 1; }`},
		Module:  "example.com/p",
	})
	require.NoError(t, err)
	require.Equal(t, []string{"b.pb.go", "a.pb.go"}, names(files))
	require.Contains(t, content(t, files, "a.pb.go"), "type A struct")
}

// A project may have its own copies of google's files, older ones for example.
func TestCopiesOfStandardFiles(t *testing.T) {
	_, err := generate.Generate(t.Context(), generate.Options{
		Files: []string{"a.proto", "b.proto", "google/protobuf/descriptor.proto"},
		Sources: map[string]string{
			"a.proto": `syntax = "proto3"; option go_package = "example.com/p"; message A {}`,
			"b.proto": `syntax = "proto3"; import "google/protobuf/descriptor.proto"; option go_package = "example.com/p"; option deprecated = true;
				extend google.protobuf.FileOptions { string own = 50000; }`,
			"google/protobuf/descriptor.proto": `syntax = "proto2"; package google.protobuf; option go_package = "google.golang.org/protobuf/types/descriptorpb";
				message FileOptions { optional string go_package = 11; optional bool deprecated = 23; extensions 1000 to max; }`,
		},
	})
	require.NoError(t, err)
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

// protoc sends a plugin the same: options for compilers alone are gone, comments
// are there.
func TestRequest(t *testing.T) {
	dir := tree(t, map[string]string{"a/b.proto": service})
	program, err := generate.Compile(t.Context(), generate.Options{ImportPaths: []string{dir}, Files: []string{"a/b.proto"}})
	require.NoError(t, err)
	request := program.Request("paths=source_relative", "prefix=P")
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
