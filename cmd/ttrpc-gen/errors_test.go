// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A badInput is one that the program refuses.
type badInput struct {
	name  string
	files map[string]string
	args  []string // default: a.proto
	want  []string // each line of the error output
}

// requireRefused requires that the program says the expected, exits with status
// 1, and leaves everything as it was.
func (test badInput) requireRefused(t *testing.T) {
	t.Helper()
	if test.args == nil {
		test.args = []string{"a.proto"}
	}
	before := list(t)
	code, stdout, stderr := command(t, test.args...)
	require.Equal(t, test.want, strings.Split(strings.TrimSuffix(stderr, "\n"), "\n"))
	require.Equal(t, 1, code)
	require.Empty(t, stdout)
	require.Equal(t, before, list(t))
}

// runBadInputs runs a test for each bad input.
func runBadInputs(t *testing.T, tests []badInput) {
	t.Helper()
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			tree(t, test.files)
			test.requireRefused(t)
		})
	}
}

// text returns the one file a.proto.
func text(lines ...string) map[string]string {
	return map[string]string{"a.proto": head + strings.Join(lines, "\n")}
}

func TestBadCommandLines(t *testing.T) {
	runBadInputs(t, []badInput{
		{name: "unknown option", args: []string{"--lang=go", "a.proto"}, want: []string{"ttrpc-gen: flag provided but not defined: -lang"}},
		{name: "unknown option after a file", args: []string{"a.proto", "--lang"}, want: []string{"ttrpc-gen: flag provided but not defined: -lang"}},
		{name: "option without its value", args: []string{"a.proto", "--out"}, want: []string{"ttrpc-gen: flag needs an argument: -out"}},
		{name: "no file", args: []string{}, want: []string{"no .proto file given"}},
		{name: "empty import path", args: []string{"-I", "", "a.proto"}, want: []string{`ttrpc-gen: invalid value "" for flag -I: want a directory`}},
		{
			name: "unknown option of protoc", args: []string{"--opt=paths=import,plugins=grpc", "a.proto"},
			want: []string{`ttrpc-gen: invalid value "paths=import,plugins=grpc" for flag -opt: unknown option "plugins": there are paths, module, M<file> and prefix`},
		},
		{
			name: "value that an option of protoc cannot have", args: []string{"--opt=prefix=1", "a.proto"},
			want: []string{`ttrpc-gen: invalid value "prefix=1" for flag -opt: prefix: "1" cannot begin a Go name`},
		},
		{name: "package of nothing", args: []string{"-M", "a.proto", "a.proto"}, want: []string{`ttrpc-gen: invalid value "a.proto" for flag -M: want file.proto=import/path`}},
		{name: "paths", files: text(), args: []string{"--paths=relative", "a.proto"}, want: []string{`paths: unknown value "relative": want "import" or "source_relative"`}},
		{name: "only", files: text(), args: []string{"--only=all", "a.proto"}, want: []string{`only: unknown value "all": want "messages" or "stubs"`}},
		{
			name: "module without effect", files: text(), args: []string{"--paths=source_relative", "--module=example.com", "a.proto"},
			want: []string{`module: has no meaning with paths "source_relative"`},
		},
		{name: "module with a comma", files: text(), args: []string{"--module=a.b/c,paths=import", "a.proto"}, want: []string{`module: "a.b/c,paths=import" is no path of a module`}},
		{name: "other module", files: text(), args: []string{"--module=example.org", "a.proto"}, want: []string{"a.proto:3:1: code would be written to example.com/x/p/a.pb.go, which does not lie in the module example.org"}},
		{name: "module with a slash", files: text(), args: []string{"--module=example.com/", "a.proto"}, want: []string{`module: "example.com/" is no path of a module`}},
		{name: "package with a comma", files: text(), args: []string{"-M", "a.proto=b.c,paths=import", "a.proto"}, want: []string{"M: no comma, and no = in the file's name: a.proto=b.c,paths=import"}},
		{name: "package that is none", files: text(), args: []string{"-M", "a.proto=p", "a.proto"}, want: []string{`a.proto:1:1: M: "p" is no import path: it has neither a dot nor a slash`}},
		{name: "prefix", files: text("message M {}", "service S { rpc Do(M) returns (M); }"), args: []string{"--prefix=1", "a.proto"}, want: []string{`prefix: "1" cannot begin a Go name`}},
		{name: "no name of an output directory", files: text(), args: []string{"--out=", "a.proto"}, want: []string{"no output directory given"}},
		{name: "no output directory", files: text(), args: []string{"--out=none", "a.proto"}, want: []string{"none: the output directory does not exist"}},
		{name: "output directory that is none", files: text(), args: []string{"--out=a.proto", "a.proto"}, want: []string{"a.proto: not a directory"}},
		{name: "output directory in a file", files: text(), args: []string{"--out=a.proto/out", "a.proto"}, want: []string{"a.proto/out: not a directory"}},
	})
}

func TestBadFiles(t *testing.T) {
	runBadInputs(t, []badInput{
		{name: "not there", want: []string{"a.proto: no such file"}},
		{name: "directory", files: map[string]string{"a.proto/b.proto": head}, want: []string{"a.proto: is a directory, not a .proto file"}},
		{name: "given twice", files: text(), args: []string{"a.proto", "a.proto"}, want: []string{"a.proto: file given twice"}},
		{name: "given twice, differently", files: text(), args: []string{"a.proto", "./a.proto"}, want: []string{"./a.proto: file given twice, before as a.proto"}},
		{name: "in a file", files: text(), args: []string{"a.proto/b.proto"}, want: []string{"a.proto/b.proto: not a directory"}},
		{
			name:  "outside the import paths",
			files: map[string]string{"a.proto": head, "one/b.proto": head, "two/c.proto": head},
			args:  []string{"-Ione", "-Itwo", "a.proto"},
			want:  []string{"a.proto: lies under none of the import paths: one, two"},
		},
		{
			name:  "hidden",
			files: map[string]string{"one/a.proto": head, "two/a.proto": head},
			args:  []string{"-Ione", "-Itwo", "two/a.proto"},
			want:  []string{"two/a.proto: hidden by one/a.proto, which an earlier import path holds under the same name"},
		},
		{
			name:  "same output",
			files: map[string]string{"one/a.proto": head, "two/a.proto": strings.Replace(head, "package p", "package q", 1)},
			args:  []string{"one/a.proto", "two/a.proto"},
			want:  []string{"two/a.proto:3:1: code would be written to example.com/x/p/a.pb.go, as that of one/a.proto"},
		},
		{
			name:  "same output as the stubs",
			files: map[string]string{"a.proto": head + "message M {}\nservice S { rpc Do(M) returns (M); }\n", "a_ttrpc.proto": head},
			args:  []string{"--paths=source_relative", "a.proto", "a_ttrpc.proto"},
			want:  []string{"a_ttrpc.proto:3:1: code would be written to a_ttrpc.pb.go, as that of a.proto"},
		},
		{
			name:  "output that is a directory",
			files: map[string]string{"a.proto": head, "a.pb.go/b": ""},
			args:  []string{"--paths=source_relative", "a.proto"},
			want:  []string{"a.pb.go: is a directory"},
		},
		{
			name:  "output in a file",
			files: map[string]string{"a.proto": head, "example.com": ""},
			want:  []string{"example.com/x/p/a.pb.go: example.com is not a directory"},
		},
	})
}

// What protoc-gen-go says of such a message has no place.
func TestMessageSets(t *testing.T) {
	tree(t, map[string]string{"sub/a.proto": `syntax = "proto2";
		option go_package = "example.com/p";
		message M { option message_set_wire_format = true; extensions 4 to max; }`})
	code, _, stderr := command(t, "-Isub", "a.proto")
	require.Equal(t, 1, code)
	require.Regexp(t, `^sub/a\.proto: .*message "M" is a MessageSet.*\n$`, stderr)
}

func TestFilesGivenTwiceThroughALink(t *testing.T) {
	tree(t, text())
	if err := os.Symlink("a.proto", "b.proto"); err != nil {
		t.Skipf("no symbolic links here: %v", err)
	}
	badInput{
		args: []string{"a.proto", "b.proto"},
		want: []string{"b.proto: file given twice, before as a.proto"},
	}.requireRefused(t)
}

func TestBadSyntax(t *testing.T) {
	runBadInputs(t, []badInput{
		{name: "one error", files: text("message M {", "  string = 1;", "}"), want: []string{"a.proto:5:10: syntax error: unexpected '='"}},
		{
			name:  "several errors",
			files: text("message M {", "  string = 1;", "}", "message N { foo }"),
			want:  []string{"a.proto:5:10: syntax error: unexpected '='", "a.proto:7:17: syntax error: unexpected '}'"},
		},
		{
			name:  "several files",
			files: map[string]string{"a.proto": head + "import \"b.proto\";\nmessage;\n", "b.proto": head + "import \"c.proto\";\nenum;\n"},
			want: []string{
				"a.proto:5:8: syntax error: unexpected ';'",
				`b.proto:4:8: import "c.proto": file not found in any import path`,
				"b.proto:5:5: syntax error: unexpected ';'",
			},
		},
		{
			name:  "place that can be opened",
			files: map[string]string{"one/a.proto": head + "import \"b.proto\";\n", "two/b.proto": head + "message;\n"},
			args:  []string{"-Ione", "-Itwo", "a.proto"},
			want:  []string{"two/b.proto:4:8: syntax error: unexpected ';'"},
		},
		{name: "empty", files: map[string]string{"a.proto": ""}, want: []string{`a.proto:1:1: no go_package option: add option go_package = "import/path";`}},
		{name: "other syntax", files: map[string]string{"a.proto": `syntax = "proto4";`}, want: []string{`a.proto:1:10: syntax value must be "proto2" or "proto3"`}},
		{name: "other edition", files: map[string]string{"a.proto": "\nedition = \"2026\";\nnew syntax;"}, want: []string{`a.proto:2:11: edition "2026" is not supported: there are "2023" and "2024"`}},
		{name: "syntax in the middle", files: text(`syntax = "proto3";`), want: []string{`a.proto:4:1: syntax error: unexpected "syntax"`}},
		{name: "bad escape", files: text(`option java_package = "\q";`), want: []string{`a.proto:4:24: invalid escape sequence: \q`}},
		{name: "not UTF-8", files: text("// \u00fc \xff", "message M {}"), want: []string{"a.proto:4:6: not UTF-8"}},
		{name: "UTF-16", files: map[string]string{"a.proto": "\xff\xfes\x00y\x00"}, want: []string{"a.proto:1:1: not UTF-8"}},
		{name: "zero byte", files: text("message M {\x00}"), want: []string{"a.proto:4:12: invalid control character"}},
		{name: "byte order mark in the middle", files: text("\ufeffmessage M {}"), want: []string{"a.proto:4:1: invalid character"}},
		{name: "lines that end as on Windows", files: map[string]string{"a.proto": strings.ReplaceAll(head+"message M {\n  X x = 1;\n}\n", "\n", "\r\n")}, want: []string{"a.proto:5:3: field p.M.x: unknown type X"}},
		{name: "nested messages", files: text(strings.Repeat("message M {", 2000) + strings.Repeat("}", 2000)), want: []string{"a.proto:4:1111: nested more than 100 deep"}},
		{
			name:  "nested options",
			files: text("option (o) = " + strings.Repeat("{ a: ", 2000) + "{" + strings.Repeat("}", 2001) + ";"),
			want:  []string{"a.proto:4:514: nested more than 100 deep"},
		},
		{
			name: "nested messages of edition 2024", files: map[string]string{"a.proto": "edition = \"2024\";\n" + strings.Repeat("message M {", 2000) + strings.Repeat("}", 2000)},
			want: []string{"a.proto:2:1111: nested more than 100 deep"},
		},
		{
			name: "edition 2024", files: map[string]string{"a.proto": "edition = \"2024\";\nmessage M {\n  string = 1;\n}\n"},
			want: []string{"a.proto:3:3: missing name in message field"},
		},
	})
}

func TestByteOrderMarkAtTheStart(t *testing.T) {
	tree(t, map[string]string{"a.proto": "\ufeff" + head})
	code, _, stderr := command(t, "a.proto")
	require.Zero(t, code, stderr)
}

func TestBadImports(t *testing.T) {
	runBadInputs(t, []badInput{
		{
			name: "missing", files: text(`import "b.proto";`, `import "c/d.proto";`),
			want: []string{`a.proto:4:8: import "b.proto": file not found in any import path`, `a.proto:5:8: import "c/d.proto": file not found in any import path`},
		},
		{name: "missing of google's", files: text(`import "google/type/money.proto";`), want: []string{`a.proto:4:8: import "google/type/money.proto": file not found in any import path`}},
		{
			name: "missing in edition 2024", files: map[string]string{"a.proto": "edition = \"2024\";\nimport \"b.proto\";\nimport option \"c.proto\";\n"},
			want: []string{`a.proto:2:8: import "b.proto": file not found in any import path`, `a.proto:3:15: import "c.proto": file not found in any import path`},
		},
		{
			name: "linked in edition 2024", files: map[string]string{"a.proto": "edition = \"2024\";\nimport \"google/rpc/status.proto\";\n"},
			want: []string{`a.proto:2:8: import "google/rpc/status.proto": file not found in any import path, and with edition 2024 there must be one`},
		},
		{
			name: "odd paths", files: text(`import "./a.proto";`, `import "../a.proto";`, `import "b\\c.proto";`, `import "/a.proto";`, `import "";`),
			want: []string{
				`a.proto:4:8: import "./a.proto": not a plain path with slashes, without "." and ".."`,
				`a.proto:5:8: import "../a.proto": not a plain path with slashes, without "." and ".."`,
				`a.proto:6:8: import "b\\c.proto": not a plain path with slashes, without "." and ".."`,
				`a.proto:7:8: import "/a.proto": not a plain path with slashes, without "." and ".."`,
				`a.proto:8:8: import "": not a plain path with slashes, without "." and ".."`,
			},
		},
		{name: "itself", files: text(`import "a.proto";`), want: []string{"a.proto:4:8: import cycle: a.proto imports a.proto"}},
		{
			name: "cycle", files: map[string]string{"a.proto": head + "import \"b.proto\";\n", "b.proto": head + "import \"c.proto\";\n", "c.proto": head + "import \"b.proto\";\n"},
			want: []string{"c.proto:4:8: import cycle: b.proto imports c.proto imports b.proto"},
		},
		{
			name: "cycle in edition 2024", files: map[string]string{"a.proto": "edition = \"2024\";\nimport \"b.proto\";\n", "b.proto": head + "import \"a.proto\";\n"},
			want: []string{"b.proto:4:8: import cycle: a.proto imports b.proto imports a.proto"},
		},
		{name: "twice", files: map[string]string{"a.proto": head + "import \"b.proto\";\nimport \"b.proto\";\n", "b.proto": head}, want: []string{`a.proto:5:1: "b.proto" was already imported at a.proto:4:1`}},
		{
			name: "error in an import", files: map[string]string{"a.proto": head + "import \"b.proto\";\n", "b.proto": head + "message M { X x = 1; }\n"},
			want: []string{"b.proto:4:13: field p.M.x: unknown type X"},
		},
		{
			name: "directory", files: map[string]string{"a.proto": head + "import \"b.proto\";\n", "b.proto/c": ""},
			want: []string{`a.proto:4:8: import "b.proto": file not found in any import path`},
		},
	})
}

func TestBadNames(t *testing.T) {
	runBadInputs(t, []badInput{
		{
			name: "unknown types", files: text("message M { X x = 1; .y.Z z = 2; }", "service S { rpc A(Q) returns (M); }"),
			want: []string{"a.proto:4:13: field p.M.x: unknown type X", "a.proto:4:22: field p.M.z: unknown type .y.Z", "a.proto:5:19: method p.S.A: unknown request type Q"},
		},
		{name: "unknown option", files: text("message M { string s = 1 [nope = 3]; }"), want: []string{"a.proto:4:27: field p.M.s: option nope: field nope of google.protobuf.FieldOptions does not exist"}},
		{name: "unknown custom option", files: text("option (nope) = 2;"), want: []string{"a.proto:4:8: unknown extension nope"}},
		{name: "two messages", files: text("message M {}", "message M {}"), want: []string{`a.proto:5:9: symbol "p.M" already defined at a.proto:4:9`}},
		{
			name: "two files", files: map[string]string{"one/a.proto": head + "message M {}\n", "two/b.proto": head + "message M {}\n"},
			args: []string{"-Ione", "-Itwo", "a.proto", "b.proto"},
			want: []string{`two/b.proto:4:9: symbol "p.M" already defined at one/a.proto:4:9`},
		},
		{
			name: "two methods", files: text("message M {}", "service S {", "  rpc do(M) returns (M);", "  rpc Do(M) returns (M);", "}"),
			want: []string{"a.proto:7:3: method p.S.Do needs the Go name Do, which method p.S.do has (a.proto:6:3)"},
		},
		{
			name: "message like a stub", files: map[string]string{"one/a.proto": head + "message M {}\nmessage SService {}\nservice S { rpc Do(M) returns (M); }\n"},
			args: []string{"-Ione", "a.proto"},
			want: []string{"one/a.proto:6:1: service p.S needs the Go name SService, which message p.SService has (one/a.proto:5:1)"},
		},
		{name: "enum without zero", files: text("enum E { A = 1; }"), want: []string{"a.proto:4:14: enum p.E: proto3 requires that first value of enum have numeric value zero"}},
		{name: "reserved name", files: text(`message M { reserved "a"; string a = 1; }`), want: []string{"a.proto:4:34: message p.M: field a is using a reserved name"}},
		{name: "reserved number", files: text("message M { reserved 1; string a = 1; }"), want: []string{"a.proto:4:36: message p.M: field a is using tag 1 which is in reserved range 1 to 1"}},
		{name: "required in proto3", files: text("message M { required string a = 1; }"), want: []string{"a.proto:4:13: field p.M.a: label 'required' is not allowed in proto3 or editions"}},
		{
			name: "names in JSON", files: text("message M { string a_b = 1; string aB = 2; }"),
			want: []string{`a.proto:4:29: field M.aB: default JSON name "aB" conflicts with default JSON name of field a_b, defined at a.proto:4:13`},
		},
		{
			name: "style of edition 2024", files: map[string]string{"a.proto": "edition = \"2024\";\npackage p;\nmessage badName {}\n"},
			want: []string{"a.proto:3:9: message type name should be PascalCase"},
		},
		{
			name:  "local type of edition 2024",
			files: map[string]string{"a.proto": "edition = \"2024\";\nimport \"b.proto\";\nmessage M { L l = 1; }\n", "b.proto": "edition = \"2024\";\nlocal message L {}\n"},
			want:  []string{"a.proto:3:13: found unexported message type `L`"},
		},
	})
}

func TestBadPackages(t *testing.T) {
	const syntax = "syntax = \"proto3\";\npackage p;\n"
	with := func(option string) map[string]string {
		return map[string]string{"a.proto": syntax + "option go_package = " + option + ";\n"}
	}
	runBadInputs(t, []badInput{
		{name: "none", files: map[string]string{"a.proto": syntax}, want: []string{`a.proto:2:1: no go_package option: add option go_package = "import/path";`}},
		{name: "none, and no package", files: map[string]string{"a.proto": "\nsyntax = \"proto3\";\n"}, want: []string{`a.proto:1:1: no go_package option: add option go_package = "import/path";`}},
		{
			name: "none in an import", files: map[string]string{"a.proto": head + "import \"b.proto\";\n", "b.proto": "syntax = \"proto3\";\nimport \"c.proto\";", "c.proto": "syntax = \"proto3\";\n"},
			want: []string{"a.proto:4:1: imported file b.proto has no go_package option", "b.proto:2:1: imported file c.proto has no go_package option"},
		},
		{name: "no import path", files: with(`";p"`), want: []string{`a.proto:2:1: no go_package option: add option go_package = "import/path";`}},
		{name: "a name", files: with(`"p"`), want: []string{`a.proto:3:1: go_package: "p" is no import path: it has neither a dot nor a slash`}},
		{name: "space", files: with(`"example.com/a b"`), want: []string{`a.proto:3:1: go_package: "example.com/a b" is no import path`}},
		{name: "above the output directory", files: with(`"../p"`), want: []string{"a.proto:3:1: code would be written to ../p/a.pb.go, which does not lie below the output directory"}},
		{
			name:  "imported, and relative",
			files: map[string]string{"a.proto": head + "import \"b.proto\";\n", "b.proto": syntax + "option go_package = \"./q\";\n"},
			want:  []string{`b.proto:3:1: go_package: "./q" is no import path, and the code of a.proto would import it`},
		},
		{
			name:  "imported, and with a slash at its end",
			files: map[string]string{"a.proto": head + "import \"b.proto\";\n", "b.proto": strings.Replace(head, "/p\"", "/p/\"", 1)},
			want:  []string{`b.proto:3:1: go_package: "example.com/x/p/" is no import path, and the code of a.proto would import it`},
		},
		{name: "backslash", files: with(`"example.com\\p"`), want: []string{`a.proto:3:1: go_package: "example.com\\p" is no import path`}},
		{name: "odd name", files: with(`"example.com/p;a-b"`), want: []string{`a.proto:3:1: go_package: "a-b" cannot be the name of a package`}},
		{name: "keyword", files: with(`"example.com/p;type"`), want: []string{`a.proto:3:1: go_package: "type" cannot be the name of a package`}},
		{name: "number", files: with("3"), want: []string{"a.proto:3:21: option go_package: expecting string, got integer"}},
		{
			name: "two names", files: map[string]string{"a.proto": head, "b.proto": strings.Replace(head, "/p\"", "/p;q\"", 1)},
			args: []string{"a.proto", "b.proto"},
			want: []string{`b.proto:3:1: go_package: "example.com/x/p" has the name q here, and p in a.proto`},
		},
		{
			name: "edition 2024", files: map[string]string{"a.proto": "edition = \"2024\";\noption go_package = \"p\";\n"},
			want: []string{`a.proto:2:1: go_package: "p" is no import path: it has neither a dot nor a slash`},
		},
	})
}
