// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// tree makes a new directory of files the working directory.
func tree(t *testing.T, files map[string]string) {
	t.Helper()
	t.Chdir(t.TempDir())
	for name, content := range files {
		path := filepath.FromSlash(name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o777))
		require.NoError(t, os.WriteFile(path, []byte(content), 0o666))
	}
}

// list returns the paths of all files in the working directory.
func list(t *testing.T) []string {
	t.Helper()
	var paths []string
	require.NoError(t, filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			paths = append(paths, filepath.ToSlash(path))
		}
		return err
	}))
	return paths
}

// command runs the program, and returns its exit status and what it wrote.
func command(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, diagnostics bytes.Buffer
	code = status(run(t.Context(), args, &out, &diagnostics), &diagnostics)
	return code, out.String(), diagnostics.String()
}

const head = "syntax = \"proto3\";\npackage p;\noption go_package = \"example.com/x/p\";\n"

// Whichever way an option is written, it means the same.
func TestOptions(t *testing.T) {
	service := head + "import \"b.proto\";\nservice S { rpc Do(B) returns (B); }\n"
	for _, test := range []struct {
		name  string
		args  []string
		files []string // that are written
		stubs string   // what the stubs contain
	}{
		{
			name:  "defaults",
			args:  []string{"-I", "one", "-I", "two", "one/a.proto"},
			files: []string{"example.com/x/p/a.pb.go", "example.com/x/p/a_ttrpc.pb.go"},
			stubs: "func RegisterSService(",
		},
		{
			name:  "two dashes",
			args:  []string{"--proto_path=one", "--proto_path", "two", "--out", "out", "--paths", "source_relative", "--prefix", "P", "a.proto"},
			files: []string{"out/a.pb.go", "out/a_ttrpc.pb.go"},
			stubs: "func RegisterPSService(",
		},
		{
			name:  "one dash",
			args:  []string{"-Ione", "-I=two", "-out=out", "-paths=source_relative", "-prefix=P", "a.proto"},
			files: []string{"out/a.pb.go", "out/a_ttrpc.pb.go"},
			stubs: "func RegisterPSService(",
		},
		{
			name:  "a list of directories",
			args:  []string{"-I", "one" + string(os.PathListSeparator) + "two", "--out=out", "a.proto", "b.proto"},
			files: []string{"out/example.com/x/p/a.pb.go", "out/example.com/x/p/a_ttrpc.pb.go", "out/example.com/x/p/b.pb.go"},
			stubs: "func RegisterSService(",
		},
		{
			name:  "after the files",
			args:  []string{"a.proto", "-Ione", "b.proto", "-Itwo", "--paths=source_relative"},
			files: []string{"a.pb.go", "a_ttrpc.pb.go", "b.pb.go"},
			stubs: "func RegisterSService(",
		},
		{
			name:  "end of options",
			args:  []string{"-Ione", "-Itwo", "--paths=source_relative", "--", "a.proto"},
			files: []string{"a.pb.go", "a_ttrpc.pb.go"},
			stubs: "func RegisterSService(",
		},
		{
			name:  "as protoc passes them",
			args:  []string{"-Ione", "-Itwo", "--opt=paths=source_relative,prefix=P,import_path=ignored", "--opt", "Mb.proto=example.com/y", "a.proto"},
			files: []string{"a.pb.go", "a_ttrpc.pb.go"},
			stubs: "type PSService interface {\n\tDo(context.Context, *y.B) (*y.B, error)",
		},
		{
			name:  "module",
			args:  []string{"-Ione", "-Itwo", "--module=example.com/x", "--out=out", "a.proto"},
			files: []string{"out/p/a.pb.go", "out/p/a_ttrpc.pb.go"},
			stubs: "\npackage p\n",
		},
		{
			name:  "module as protoc passes it",
			args:  []string{"-Ione", "-Itwo", "--opt=module=example.com/x,", "a.proto"},
			files: []string{"p/a.pb.go", "p/a_ttrpc.pb.go"},
			stubs: "\npackage p\n",
		},
		{
			name:  "packages",
			args:  []string{"-Ione", "-Itwo", "-M", "a.proto=example.com/z;named", "-Mb.proto=example.com/y", "a.proto"},
			files: []string{"example.com/z/a.pb.go", "example.com/z/a_ttrpc.pb.go"},
			stubs: "\npackage named\n",
		},
		{
			name:  "messages alone",
			args:  []string{"-Ione", "-Itwo", "--only=messages", "--paths=source_relative", "a.proto", "b.proto"},
			files: []string{"a.pb.go", "b.pb.go"},
		},
		{
			name:  "stubs alone",
			args:  []string{"-Ione", "-Itwo", "--only=stubs", "--paths=source_relative", "a.proto", "b.proto"},
			files: []string{"a_ttrpc.pb.go"},
			stubs: "func RegisterSService(",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			tree(t, map[string]string{
				"one/a.proto": service,
				"two/b.proto": head + "message B {}\n",
				"out/keep":    "",
			})
			code, stdout, stderr := command(t, test.args...)
			require.Zero(t, code)
			require.Empty(t, stdout)
			require.Empty(t, stderr)

			var written []string
			for _, path := range list(t) {
				if !strings.HasSuffix(path, ".go") {
					continue
				}
				written = append(written, path)
				if strings.HasSuffix(path, "_ttrpc.pb.go") {
					text, err := os.ReadFile(path)
					require.NoError(t, err)
					require.Contains(t, string(text), test.stubs)
				}
			}
			require.Equal(t, test.files, written)
		})
	}
}

// Files without a go_package option, as some projects have them, need only -M.
func TestFilesWithoutGoPackage(t *testing.T) {
	tree(t, map[string]string{
		"a.proto": "syntax = \"proto3\";\nimport \"b.proto\";\nservice S { rpc Do(B) returns (B); }\n",
		"b.proto": "syntax = \"proto3\";\nmessage B {}\n",
	})
	code, _, stderr := command(t, "-M", "a.proto=example.com/p", "-M", "b.proto=example.com/p", "--paths=source_relative", "a.proto", "b.proto")
	require.Zero(t, code, stderr)
	require.Equal(t, []string{"a.pb.go", "a.proto", "a_ttrpc.pb.go", "b.pb.go", "b.proto"}, list(t))
}

// Many use go_package to say where the code goes: for protoc-gen-go it need not be
// something that can be imported.
func TestGoPackagesThatNobodyImports(t *testing.T) {
	for _, test := range []struct{ option, pkg, dir string }{
		{"./pb", "pb", "pb/"},
		{"./;pb", "pb", ""},
		{".;pb", "pb", ""},
		{"./", "__", ""},
		{"/pb", "pb", "pb/"},
		{"pb/", "pb", "pb/"},
		{"example.com/x/", "x", "example.com/x/"},
		{"example.com//x", "x", "example.com/x/"},
	} {
		t.Run(test.option, func(t *testing.T) {
			tree(t, map[string]string{"a.proto": strings.Replace(head, "example.com/x/p", test.option, 1) + "message M {}\nservice S { rpc Do(M) returns (M); }\n"})
			for _, paths := range []string{"import", "source_relative"} {
				code, _, stderr := command(t, "--paths", paths, "a.proto")
				require.Zero(t, code, stderr)
			}
			for _, name := range []string{"a.pb.go", "a_ttrpc.pb.go", test.dir + "a.pb.go", test.dir + "a_ttrpc.pb.go"} {
				written, err := os.ReadFile(name)
				require.NoError(t, err)
				require.Contains(t, string(written), "\npackage "+test.pkg+"\n")
			}
		})
	}
	t.Run("../pb", func(t *testing.T) {
		tree(t, map[string]string{"a.proto": strings.Replace(head, "example.com/x/p", "../pb", 1)})
		code, _, stderr := command(t, "--paths=source_relative", "a.proto")
		require.Zero(t, code, stderr)
	})
}

// Warnings go to the standard error output, and change nothing else.
func TestWarnings(t *testing.T) {
	for _, test := range []struct {
		name, text, want string
	}{
		{"unused import", head + "import \"b.proto\";\n", "p/a.proto:4:1: warning: import \"b.proto\" not used\n"},
		{
			"unused import of edition 2024", strings.Replace(head, "syntax = \"proto3\"", "edition = \"2024\"", 1) + "import \"b.proto\";\nexport message M {}\n",
			"p/a.proto:4:8: warning: unused import \"b.proto\"\n",
		},
		{"no syntax", "option go_package = \"example.com/p\";\n", "p/a.proto:1:1: warning: no syntax specified; defaulting to proto2 syntax\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			tree(t, map[string]string{
				"p/a.proto": test.text,
				// Nobody asks for this file: there is no warning about it.
				"p/b.proto": head + "import \"google/protobuf/any.proto\";\n",
			})
			code, stdout, stderr := command(t, "-I", "p", "--paths=source_relative", "a.proto")
			require.Zero(t, code)
			require.Empty(t, stdout)
			require.Equal(t, test.want, stderr)
			require.Contains(t, list(t), "a.pb.go")
		})
	}
	t.Run("import path", func(t *testing.T) {
		tree(t, map[string]string{"a.proto": head})
		code, _, stderr := command(t, "-I.", "-Inone", "a.proto")
		require.Zero(t, code)
		require.Regexp(t, `^none: warning: import path: .*\n$`, stderr)
	})
}

func TestVersionAndHelp(t *testing.T) {
	code, stdout, stderr := command(t, "--version")
	require.Zero(t, code)
	require.Regexp(t, `^ttrpc-gen v\d+\.\d+\.\d+\n$`, stdout)
	require.Empty(t, stderr)

	for _, option := range []string{"-h", "-help", "--help"} {
		code, stdout, stderr = command(t, option)
		require.Zero(t, code)
		require.Equal(t, usage, stdout)
		require.Empty(t, stderr)
	}
}

// The program's documentation lists the options that the usage does, and both
// list what there is.
func TestOptionsAreDocumented(t *testing.T) {
	source, err := os.ReadFile("main.go")
	require.NoError(t, err)
	optionsOf := func(text, start string) (options []string) {
		for line := range strings.Lines(text) {
			if option, found := strings.CutPrefix(line, start); found {
				options = append(options, strings.Fields(option)[0])
			}
		}
		return options
	}
	documented := optionsOf(usage, "  -")
	require.Equal(t, []string{"I", "-out", "-paths", "-module", "M", "-prefix", "-only", "-opt", "-version", "-help"}, documented)
	require.Equal(t, documented, optionsOf(string(source), "//\t-"))
	for _, option := range documented {
		_, err := parse([]string{"-" + option})
		if err != nil {
			require.NotContains(t, err.Error(), "not defined", option)
		}
	}
}

func TestInterrupt(t *testing.T) {
	tree(t, map[string]string{"a.proto": head})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var stdout, stderr bytes.Buffer
	require.Equal(t, 1, status(run(ctx, []string{"a.proto"}, &stdout, &stderr), &stderr))
	require.Equal(t, "interrupted\n", stderr.String())
	require.Equal(t, []string{"a.proto"}, list(t))
}
