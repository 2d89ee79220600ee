// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"go/format"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/containerd/ttrpc/internal/stubgen"
	"github.com/containerd/ttrpc/internal/stubgen/stubtest"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/pluginpb"
)

// A golden is a directory of testdata: .proto files of one Go package, the same
// files compiled, and the code that was generated for them with the golden's
// options. make protos makes the latter two from the first, as protos.txt says;
// but edition2024.proto is compiled by hand, as it tells itself.
type golden struct {
	name    string
	options []string
	files   []string // without .proto; none means one that is called like the directory
	tooNew  bool     // for any release of upstream
}

var goldens = []golden{
	{name: "shapes"},
	{name: "prefix", options: []string{"prefix=TTRPC"}},
	{name: "proto2"},
	{name: "edition"},
	{name: "edition2024", tooNew: true},
	{name: "nopackage"},
	{name: "names"},
	{name: "services"},
	{name: "comments"},
	{name: "files", files: []string{"more", "files"}},
}

// file returns the path of a golden's file.
func (g golden) file(suffix string) string {
	return filepath.Join("testdata", g.name, g.name+suffix)
}

// request returns what protoc would send to the program.
func (g golden) request(t *testing.T) *pluginpb.CodeGeneratorRequest {
	t.Helper()
	compiled, err := os.ReadFile(g.file(".binpb"))
	require.NoError(t, err)
	set := new(descriptorpb.FileDescriptorSet)
	require.NoError(t, proto.Unmarshal(compiled, set))
	request := &pluginpb.CodeGeneratorRequest{
		Parameter: proto.String(strings.Join(append(g.options, "paths=source_relative"), ",")),
		ProtoFile: set.GetFile(),
	}
	for _, name := range g.files {
		request.FileToGenerate = append(request.FileToGenerate, "cmd/protoc-gen-go-ttrpc/testdata/"+g.name+"/"+name+".proto")
	}
	if g.files == nil {
		request.FileToGenerate = []string{set.GetFile()[len(set.GetFile())-1].GetName()}
	}
	return request
}

// runPlugin runs the program as protoc does.
func runPlugin(t *testing.T, request *pluginpb.CodeGeneratorRequest) *pluginpb.CodeGeneratorResponse {
	t.Helper()
	input, err := proto.Marshal(request)
	require.NoError(t, err)
	var output bytes.Buffer
	require.NoError(t, run(nil, bytes.NewReader(input), &output))
	response := new(pluginpb.CodeGeneratorResponse)
	require.NoError(t, proto.Unmarshal(output.Bytes(), response))
	return response
}

// generateOne runs the program and returns the one file it must yield.
func generateOne(t *testing.T, request *pluginpb.CodeGeneratorRequest) *pluginpb.CodeGeneratorResponse_File {
	t.Helper()
	response := runPlugin(t, request)
	require.Empty(t, response.GetError())
	require.Len(t, response.GetFile(), 1)
	return response.GetFile()[0]
}

func TestGolden(t *testing.T) {
	for _, g := range goldens {
		t.Run(g.name, func(t *testing.T) {
			request := g.request(t)
			response := runPlugin(t, request)
			require.Empty(t, response.GetError())
			require.Len(t, response.GetFile(), len(request.GetFileToGenerate()))
			for i, file := range response.GetFile() {
				require.Equal(t, strings.TrimSuffix(request.GetFileToGenerate()[i], ".proto")+"_ttrpc.pb.go", file.GetName())
				want, err := os.ReadFile(filepath.Join("testdata", g.name, path.Base(file.GetName())))
				require.NoError(t, err)
				stubtest.RequireSameLines(t, string(want), file.GetContent(), "run make protos")
			}
		})
	}
}

// A second gofmt changes nothing.
func TestGoldenIsFormatted(t *testing.T) {
	for _, g := range goldens {
		t.Run(g.name, func(t *testing.T) {
			for _, file := range runPlugin(t, g.request(t)).GetFile() {
				formatted, err := format.Source([]byte(file.GetContent()))
				require.NoError(t, err)
				stubtest.RequireSameLines(t, string(formatted), file.GetContent(), "run make protos")
			}
		})
	}
}

// Each file of a Go package can be generated in a run of its own, as build
// systems do it that know nothing of Go packages.
func TestFilesOfOnePackageInSeparateRuns(t *testing.T) {
	g := goldens[slices.IndexFunc(goldens, func(g golden) bool { return g.name == "files" })]
	together := runPlugin(t, g.request(t)).GetFile()
	require.Len(t, together, len(g.files))
	for i := range g.files {
		request := g.request(t)
		request.FileToGenerate = request.GetFileToGenerate()[i : i+1]
		alone := generateOne(t, request)
		require.Equal(t, together[i].GetName(), alone.GetName())
		stubtest.RequireSameLines(t, together[i].GetContent(), alone.GetContent(), "run make protos")
	}
}

func TestPathsFollowTheImportPathByDefault(t *testing.T) {
	request := golden{name: "proto2"}.request(t)
	request.Parameter = nil
	require.Equal(t, "github.com/containerd/ttrpc/cmd/protoc-gen-go-ttrpc/testdata/proto2/proto2_ttrpc.pb.go",
		generateOne(t, request).GetName())
}

func TestOtherPaths(t *testing.T) {
	const module = "github.com/containerd/ttrpc/cmd/protoc-gen-go-ttrpc"
	for _, test := range []struct{ name, parameter, file, pkg string }{
		{"module", "module=" + module, "testdata/proto2/proto2_ttrpc.pb.go", "proto2"},
		{"M", "Mcmd/protoc-gen-go-ttrpc/testdata/proto2/proto2.proto=example.com/other", "example.com/other/proto2_ttrpc.pb.go", "proto2"},
		{"M with a name", "Mcmd/protoc-gen-go-ttrpc/testdata/proto2/proto2.proto=example.com/other;third", "example.com/other/proto2_ttrpc.pb.go", "third"},
		{"with prefix", "prefix=P,module=" + module + "/testdata", "proto2/proto2_ttrpc.pb.go", "proto2"},
	} {
		t.Run(test.name, func(t *testing.T) {
			request := golden{name: "proto2"}.request(t)
			request.Parameter = proto.String(test.parameter)
			file := generateOne(t, request)
			require.Equal(t, test.file, file.GetName())
			require.Contains(t, file.GetContent(), "\npackage "+test.pkg+"\n")
		})
	}
}

func TestHeaderNamesTheVersionOfProtoc(t *testing.T) {
	request := golden{name: "proto2"}.request(t)
	request.CompilerVersion = &pluginpb.Version{Major: proto.Int32(6), Minor: proto.Int32(31), Patch: proto.Int32(1), Suffix: proto.String("rc1")}
	require.Contains(t, generateOne(t, request).GetContent(), "\n// - protoc v6.31.1-rc1\n")
}

// Upstream v1.2.10 does not declare editions: protoc refuses to run it on them.
// Where a response with an error does not declare them, protoc says that they are
// what is wrong.
func TestSupportedFeatures(t *testing.T) {
	for _, parameter := range []string{"", "prefix=P", "prefix=-", "unknown"} {
		t.Run(parameter, func(t *testing.T) {
			request := golden{name: "edition"}.request(t)
			request.Parameter = proto.String(parameter)
			requireFeatures(t, runPlugin(t, request))
		})
	}
	t.Run("collision", func(t *testing.T) {
		response := runPlugin(t, requestFor(t, file("p", service("s"), service("S"))))
		require.NotEmpty(t, response.GetError())
		requireFeatures(t, response)
	})
}

func requireFeatures(t *testing.T, response *pluginpb.CodeGeneratorResponse) {
	t.Helper()
	require.EqualValues(t,
		pluginpb.CodeGeneratorResponse_FEATURE_PROTO3_OPTIONAL|pluginpb.CodeGeneratorResponse_FEATURE_SUPPORTS_EDITIONS,
		response.GetSupportedFeatures())
	require.EqualValues(t, descriptorpb.Edition_EDITION_PROTO2, response.GetMinimumEdition())
	require.EqualValues(t, descriptorpb.Edition_EDITION_2024, response.GetMaximumEdition())
}

// Upstream v1.2.10 ignores options that it does not know.
func TestOptionErrors(t *testing.T) {
	for _, test := range []struct{ name, parameter, want string }{
		{"unknown", "prefxi=TTRPC", `unknown option "prefxi"`},
		{"no Go name", "prefix=T-T", `prefix: "T-T" cannot begin a Go name`},
		{"bad paths", "paths=here", `unknown path type "here"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			request := golden{name: "proto2"}.request(t)
			request.Parameter = proto.String(test.parameter)
			response := runPlugin(t, request)
			require.Contains(t, response.GetError(), test.want)
			require.Empty(t, response.GetFile())
		})
	}
}

// requestFor returns a request to generate code for files that are given as
// text, in the order in which they may import one another, and may all import
// google/protobuf/empty.proto.
func requestFor(t *testing.T, texts ...string) *pluginpb.CodeGeneratorRequest {
	t.Helper()
	request := &pluginpb.CodeGeneratorRequest{
		ProtoFile: []*descriptorpb.FileDescriptorProto{protodesc.ToFileDescriptorProto(emptypb.File_google_protobuf_empty_proto)},
	}
	for _, text := range texts {
		file := new(descriptorpb.FileDescriptorProto)
		require.NoError(t, prototext.Unmarshal([]byte(text), file))
		request.FileToGenerate = append(request.FileToGenerate, file.GetName())
		request.ProtoFile = append(request.ProtoFile, file)
	}
	return request
}

func TestFileWithoutServicesGeneratesNothing(t *testing.T) {
	response := runPlugin(t, requestFor(t, `
		name: "m.proto" package: "p" options { go_package: "example.com/p" }
		message_type { name: "M" }`))
	require.Empty(t, response.GetError())
	require.Empty(t, response.GetFile())
}

func TestVersion(t *testing.T) {
	var output bytes.Buffer
	require.NoError(t, run([]string{"--version"}, strings.NewReader(""), &output))
	require.Equal(t, "protoc-gen-go-ttrpc "+stubgen.Version+"\n", output.String())
}
