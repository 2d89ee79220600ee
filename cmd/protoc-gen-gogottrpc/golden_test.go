// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"flag"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/containerd/ttrpc/internal/stubgen/stubtest"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/pluginpb"
)

var (
	compileProtos = flag.Bool("compile-protos", false,
		"compile the .proto files of testdata anew, to .binpb, and to stubs for messages of google.golang.org/protobuf: needs protoc")
	update = flag.Bool("update", false,
		"write what this program generates into testdata")
)

// The paths that the compiler knows the files of testdata by, and the import
// paths of their packages, begin with these.
const (
	protoRoot = "cmd/protoc-gen-gogottrpc/testdata/"
	goRoot    = "github.com/containerd/ttrpc/"
)

// A golden is some .proto files of testdata that make a Go package. After a change
// of one, or of what is generated:
//
//	go test -run Golden -compile-protos -update .
//	go test -run Upstream -record-upstream .
type golden struct {
	name string // the directory
	// compiled names the golden in whose compiled files these are; "" means its own.
	compiled string
	files    []string // without .proto; none means one that is called like the directory
	options  []string
	// failsUpstream tells that v1.2.8 cannot generate its services.
	failsUpstream bool
}

var goldens = []golden{
	{name: "shapes", files: []string{"shapes", "streams"}, options: gogoTypes},
	{name: "proto2"},
	{name: "wellknown"},
	{name: "endings"},
	{name: "names", failsUpstream: true},
	// What names imports: only messages.
	{name: "names/status", compiled: "names"},
	{name: "names/codes", compiled: "names"},
	{name: "names/context", compiled: "names"},
	{name: "names/ttrpc", compiled: "names"},
}

// gogoTypes are the options by which well-known types are gogo's.
var gogoTypes = []string{
	"Mgoogle/protobuf/duration.proto=github.com/gogo/protobuf/types",
	"Mgoogle/protobuf/empty.proto=github.com/gogo/protobuf/types",
	"Mgoogle/protobuf/timestamp.proto=github.com/gogo/protobuf/types",
}

// bases returns the names of a golden's files, without their endings.
func (g golden) bases() []string {
	if len(g.files) == 0 {
		return []string{path.Base(g.name)}
	}
	return g.files
}

// protos returns the names by which the compiler knows a golden's files.
func (g golden) protos() []string {
	var paths []string
	for _, base := range g.bases() {
		paths = append(paths, protoRoot+path.Join(g.name, base+".proto"))
	}
	return paths
}

// file returns the path of a file in testdata.
func (g golden) file(name string) string {
	return filepath.Join("testdata", filepath.FromSlash(g.name), name)
}

// request returns what protoc would send to the program.
func (g golden) request(t *testing.T, options ...string) *pluginpb.CodeGeneratorRequest {
	t.Helper()
	compiled := golden{name: g.name}
	if g.compiled != "" {
		compiled.name = g.compiled
	}
	set := new(descriptorpb.FileDescriptorSet)
	content, err := os.ReadFile(compiled.file(path.Base(compiled.name) + ".binpb"))
	require.NoError(t, err)
	require.NoError(t, proto.Unmarshal(content, set))
	return &pluginpb.CodeGeneratorRequest{
		FileToGenerate: g.protos(),
		Parameter:      proto.String(strings.Join(slices.Concat(g.options, options, []string{"paths=source_relative"}), ",")),
		ProtoFile:      set.GetFile(),
	}
}

// That the golden files compile is shown by internal/stubs, which imports them.
func TestGolden(t *testing.T) {
	if *compileProtos {
		compile(t)
	}
	for _, g := range goldens {
		t.Run(g.name, func(t *testing.T) {
			response := runPlugin(t, g.request(t, "plugins=ttrpc"))
			require.Empty(t, response.GetError())
			require.Len(t, response.GetFile(), len(g.bases()))
			for i, base := range g.bases() {
				file := response.GetFile()[i]
				require.Equal(t, protoRoot+path.Join(g.name, base+".pb.go"), file.GetName())
				if *update {
					require.NoError(t, os.WriteFile(g.file(base+".pb.go"), []byte(file.GetContent()), 0o666))
				}
				want, err := os.ReadFile(g.file(base + ".pb.go"))
				require.NoError(t, err)
				stubtest.RequireSameLines(t, string(want), file.GetContent(), "run the test with -update")
			}
		})
	}
}

// compile compiles the .proto files of testdata.
func compile(t *testing.T) {
	t.Helper()
	gogo := strings.TrimSpace(runCommand(t, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/gogo/protobuf"))
	protoc := []string{"-I", "../..", "-I", gogo}
	for _, g := range goldens {
		if g.compiled != "" {
			continue
		}
		output := g.file(path.Base(g.name) + ".binpb")
		runCommand(t, "protoc", slices.Concat(protoc,
			[]string{"--include_imports", "--include_source_info", "-o", output}, g.protos())...)
		stripImports(t, output)
	}

	// The stubs for other messages: those that shapes is to talk to.
	bin := t.TempDir()
	runCommand(t, "go", "build", "-o", bin, "google.golang.org/protobuf/cmd/protoc-gen-go", "../protoc-gen-go-ttrpc")
	shapes := goldens[0]
	for _, plugin := range []string{"go", "go-ttrpc"} {
		protoc = append(protoc,
			"--plugin="+filepath.Join(bin, "protoc-gen-"+plugin), "--"+plugin+"_out=../..",
			"--"+plugin+"_opt=module="+strings.TrimSuffix(goRoot, "/"),
			"--"+plugin+"_opt=Mgogoproto/gogo.proto=github.com/gogo/protobuf/gogoproto")
		for _, file := range shapes.protos() {
			protoc = append(protoc, "--"+plugin+"_opt=M"+file+"="+goRoot+protoRoot+"shapes/google;google")
		}
	}
	require.NoError(t, os.MkdirAll(shapes.file("google"), 0o777))
	runCommand(t, "protoc", append(protoc, shapes.protos()...)...)
}

// stripImports removes the comments of files that are not of this repository,
// which are most of what protoc has written.
func stripImports(t *testing.T, file string) {
	t.Helper()
	content, err := os.ReadFile(file)
	require.NoError(t, err)
	set := new(descriptorpb.FileDescriptorSet)
	require.NoError(t, proto.Unmarshal(content, set))
	for _, desc := range set.GetFile() {
		if !strings.HasPrefix(desc.GetName(), protoRoot) {
			desc.SourceCodeInfo = nil
		}
	}
	content, err = proto.MarshalOptions{Deterministic: true}.Marshal(set)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file, content, 0o666))
}

// runCommand runs a command and returns its output.
func runCommand(t *testing.T, name string, args ...string) string {
	t.Helper()
	var output, problems bytes.Buffer
	c := exec.CommandContext(t.Context(), name, args...)
	c.Stdout, c.Stderr = &output, &problems
	require.NoError(t, c.Run(), "%s", &problems)
	return output.String()
}
