// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package main

// A way is one way to generate the code for a set of .proto files. All ways with
// the same set and prefix must write the same, but for those that are alone.
type way struct {
	set    string // a directory of testdata
	prefix string // stands before the names of services
	name   string
	tool   string // one of optionalTools, or "" if Go is enough
	// command is what runs. In it stands $protos for the .proto files of the set,
	// $packages for the Go packages, and $buf and $protobuild for what runs these.
	command string
	// dir is where the command runs, seen from the directory above src.
	dir string
	// config maps files that the command reads, seen from the directory above
	// src, to files of testdata.
	config map[string]string
	// alone says that the names of the files and packages are this way's own.
	alone bool
	// refused is what the command must say, for it is wrong on purpose.
	refused string
}

// module is where the modules of the sets lie, and src where all files do.
const (
	src    = "src"
	module = "src/example.com/gen"
)

// optionalTools are the tools that a machine may lack, or a user leave out.
var optionalTools = []string{"protoc", "buf", "protobuild"}

// gogoOptions are those of protoc-gen-gogottrpc for what the set gogo imports.
const gogoOptions = "plugins=ttrpc" +
	",Mgoogle/protobuf/empty.proto=github.com/gogo/protobuf/types" +
	",Mgoogle/protobuf/timestamp.proto=github.com/gogo/protobuf/types"

// bufFiles are the configuration of buf with one of its templates.
func bufFiles(template string) map[string]string {
	return map[string]string{"buf.yaml": "buf/buf.yaml", "buf.gen.yaml": "buf/" + template}
}

// protobuildFiles are the configuration of protobuild.
func protobuildFiles(name string) map[string]string {
	return map[string]string{module + "/Protobuild.toml": "protobuild/" + name}
}

// ways are in the order in which they are tried; the first of those that must
// write the same says what that is.
var ways = []way{
	{
		set: "basic", name: "go tool ttrpc-gen",
		command: "go tool ttrpc-gen -I src --out src $protos",
	},
	{
		set: "basic", name: "ttrpc-gen, paths=source_relative",
		command: "ttrpc-gen -I src --out src --paths source_relative $protos",
	},
	{
		set: "basic", name: "ttrpc-gen, module and M",
		command: "ttrpc-gen -I src --out src/example.com/gen --module example.com/gen -M example.com/gen/types/types.proto=example.com/gen/types $protos",
	},
	{
		set: "basic", name: "go run ttrpc-gen",
		command: "go run github.com/containerd/ttrpc/cmd/ttrpc-gen -I src --out src $protos",
	},
	{
		set: "basic", name: "go generate",
		command: "go generate .", dir: module,
		config: map[string]string{module + "/generate.go": "generate/generate.go"},
	},
	{
		set: "basic", name: "protoc", tool: "protoc",
		command: "protoc -I src --go_out=src --go-ttrpc_out=src $protos",
	},
	{
		set: "basic", name: "protoc, paths=source_relative", tool: "protoc",
		command: "protoc -I src --go_out=src --go_opt=paths=source_relative --go-ttrpc_out=src --go-ttrpc_opt=paths=source_relative $protos",
	},
	{
		set: "basic", name: "protoc, module and M", tool: "protoc",
		command: "protoc -I src --go_out=src/example.com/gen --go_opt=module=example.com/gen" +
			" --go-ttrpc_out=src/example.com/gen --go-ttrpc_opt=module=example.com/gen" +
			" --go-ttrpc_opt=Mexample.com/gen/types/types.proto=example.com/gen/types $protos",
	},
	{
		set: "basic", name: "protoc, unknown option", tool: "protoc",
		command: "protoc -I src --go-ttrpc_out=src --go-ttrpc_opt=prefxi=TTRPC $protos",
		refused: `unknown option "prefxi"`,
	},
	{
		set: "basic", name: "buf, the plugin in PATH", tool: "buf",
		command: "$buf generate", config: bufFiles("path.yaml"),
	},
	{
		set: "basic", name: "buf, strategy all and paths=source_relative", tool: "buf",
		command: "$buf generate", config: bufFiles("all.yaml"),
	},
	{
		set: "basic", name: "buf, go tool and module", tool: "buf",
		command: "$buf generate", config: bufFiles("tool.yaml"),
	},
	{
		set: "basic", name: "buf, go run", tool: "buf",
		command: "$buf generate", config: bufFiles("run.yaml"),
	},
	{
		set: "basic", name: "buf, a template of version 1", tool: "buf",
		command: "$buf generate", config: bufFiles("v1.yaml"),
	},
	{
		set: "basic", name: "buf, managed mode and imports", tool: "buf", alone: true,
		command: "$buf generate", config: bufFiles("managed.yaml"),
	},
	{
		set: "basic", name: "buf, unknown option", tool: "buf",
		command: "$buf generate", config: bufFiles("misspelt.yaml"),
		refused: `unknown option "prefxi"`,
	},
	{
		set: "basic", name: "protobuild", tool: "protobuild",
		command: "$protobuild $packages", dir: module, config: protobuildFiles("plain.toml"),
	},

	{
		set: "basic", prefix: "TTRPC", name: "ttrpc-gen, prefix",
		command: "ttrpc-gen -I src --out src --prefix TTRPC $protos",
	},
	{
		set: "basic", prefix: "TTRPC", name: "protoc, prefix", tool: "protoc",
		command: "protoc -I src --go_out=src --go-ttrpc_out=src --go-ttrpc_opt=prefix=TTRPC $protos",
	},
	{
		set: "basic", prefix: "TTRPC", name: "buf, prefix", tool: "buf",
		command: "$buf generate", config: bufFiles("prefix.yaml"),
	},
	{
		set: "basic", prefix: "TTRPC", name: "protobuild, prefix", tool: "protobuild",
		command: "$protobuild $packages", dir: module, config: protobuildFiles("prefix.toml"),
	},
	{
		set: "basic", prefix: "TTRPC", name: "protobuild, prefix in overrides", tool: "protobuild",
		command: "$protobuild $packages", dir: module, config: protobuildFiles("overrides.toml"),
	},

	{
		set: "edition2023", name: "ttrpc-gen",
		command: "ttrpc-gen -I src --out src $protos",
	},
	{
		set: "edition2023", name: "protoc", tool: "protoc",
		command: "protoc -I src --go_out=src --go-ttrpc_out=src $protos",
	},
	{
		set: "edition2023", name: "buf", tool: "buf",
		command: "$buf generate", config: bufFiles("path.yaml"),
	},
	{
		set: "edition2023", name: "protobuild", tool: "protobuild",
		command: "$protobuild $packages", dir: module, config: protobuildFiles("plain.toml"),
	},

	{
		set: "edition2024", name: "ttrpc-gen",
		command: "ttrpc-gen -I src --out src $protos",
	},
	{
		set: "edition2024", name: "protoc", tool: "protoc",
		command: "protoc -I src --go_out=src --go-ttrpc_out=src $protos",
	},
	{
		set: "edition2024", name: "buf", tool: "buf",
		command: "$buf generate", config: bufFiles("path.yaml"),
	},
	{
		set: "edition2024", name: "protobuild", tool: "protobuild",
		command: "$protobuild $packages", dir: module, config: protobuildFiles("plain.toml"),
	},

	{
		set: "gogo", name: "protoc", tool: "protoc",
		command: "protoc -I src --gogottrpc_out=" + gogoOptions + ":src $protos",
	},
	{
		set: "gogo", name: "buf", tool: "buf",
		command: "$buf generate --path src/example.com", config: bufFiles("gogo.yaml"),
	},
	{
		set: "gogo", name: "protobuild, version 1", tool: "protobuild",
		command: "$protobuild $packages", dir: module, config: protobuildFiles("gogo.toml"),
	},
}

// knownSince is the first major version of protoc that knows what a set needs.
var knownSince = map[string]int{"edition2023": 27, "edition2024": 32}
