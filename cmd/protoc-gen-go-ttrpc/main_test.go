// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/containerd/ttrpc/internal/stubgen"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/pluginpb"
)

// A golden is a .proto file of testdata, and the options with which its code
// was generated. make protos writes that code, and the compiled file.
type golden struct {
	name    string
	options []string
}

var goldens = []golden{
	{name: "shapes"},
	{name: "prefix", options: []string{"prefix=TTRPC"}},
	{name: "proto2"},
	{name: "edition"},
	{name: "nopackage"},
	{name: "names"},
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
	return &pluginpb.CodeGeneratorRequest{
		FileToGenerate: []string{set.GetFile()[len(set.GetFile())-1].GetName()},
		Parameter:      proto.String(strings.Join(append(g.options, "paths=source_relative"), ",")),
		ProtoFile:      set.GetFile(),
	}
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

// generate runs the program and returns the one file it must yield.
func generate(t *testing.T, request *pluginpb.CodeGeneratorRequest) *pluginpb.CodeGeneratorResponse_File {
	t.Helper()
	response := runPlugin(t, request)
	require.Empty(t, response.GetError())
	require.Len(t, response.GetFile(), 1)
	return response.GetFile()[0]
}

// That the golden files compile is shown by stubs_test.go, which imports them.
func TestGolden(t *testing.T) {
	for _, g := range goldens {
		t.Run(g.name, func(t *testing.T) {
			file := generate(t, g.request(t))
			want, err := os.ReadFile(g.file("_ttrpc.pb.go"))
			require.NoError(t, err)
			requireSameLines(t, string(want), file.GetContent())
			require.Equal(t, "cmd/protoc-gen-go-ttrpc/"+filepath.ToSlash(g.file("_ttrpc.pb.go")), file.GetName())
		})
	}
}

// requireSameLines shows no more than the first line in which two files differ.
func requireSameLines(t *testing.T, want, got string) {
	t.Helper()
	wantLines, gotLines := strings.SplitAfter(want, "\n"), strings.SplitAfter(got, "\n")
	for i := range min(len(wantLines), len(gotLines)) {
		require.Equal(t, wantLines[i], gotLines[i], "line %d; after a change that is wanted, run make protos", i+1)
	}
	require.Len(t, gotLines, len(wantLines), "after a change that is wanted, run make protos")
}

func TestPathsFollowTheImportPathByDefault(t *testing.T) {
	request := golden{name: "proto2"}.request(t)
	request.Parameter = nil
	require.Equal(t, "github.com/containerd/ttrpc/cmd/protoc-gen-go-ttrpc/testdata/proto2/proto2_ttrpc.pb.go",
		generate(t, request).GetName())
}

func TestHeaderNamesTheVersionOfProtoc(t *testing.T) {
	request := golden{name: "proto2"}.request(t)
	request.CompilerVersion = &pluginpb.Version{Major: proto.Int32(6), Minor: proto.Int32(31), Patch: proto.Int32(1), Suffix: proto.String("rc1")}
	require.Contains(t, generate(t, request).GetContent(), "\n// - protoc v6.31.1-rc1\n")
}

// Upstream v1.2.10 does not declare editions: protoc refuses to run it on them.
func TestSupportedFeatures(t *testing.T) {
	response := runPlugin(t, golden{name: "edition"}.request(t))
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

// requestFor returns a request to generate code for one file, given as text.
func requestFor(t *testing.T, text string) *pluginpb.CodeGeneratorRequest {
	t.Helper()
	file := new(descriptorpb.FileDescriptorProto)
	require.NoError(t, prototext.Unmarshal([]byte(text), file))
	return &pluginpb.CodeGeneratorRequest{
		FileToGenerate: []string{file.GetName()},
		ProtoFile:      []*descriptorpb.FileDescriptorProto{file},
	}
}

func TestFileWithoutServicesGeneratesNothing(t *testing.T) {
	response := runPlugin(t, requestFor(t, `
		name: "m.proto" package: "p" options { go_package: "example.com/p" }
		message_type { name: "M" }`))
	require.Empty(t, response.GetError())
	require.Empty(t, response.GetFile())
}

// Upstream v1.2.10 generates code that does not compile.
func TestNameCollisions(t *testing.T) {
	method := func(name, shape string) string {
		return ` method { name: "` + name + `" input_type: ".p.M" output_type: ".p.M" ` + shape + ` }`
	}
	for _, test := range []struct {
		name, text string
		want       []string
	}{
		{
			name: "methods",
			text: `service { name: "S"` + method("do_it", "") + method("DoIt", "client_streaming: true") + ` }`,
			want: []string{"method p.S.DoIt needs the Go name DoIt, which method p.S.do_it has (m.proto:1:1)"},
		},
		{
			name: "services",
			text: `service { name: "s_t" } service { name: "ST" }`,
			want: []string{
				"service p.ST needs the Go name STService, which service p.s_t has (m.proto:1:1)",
				"service p.ST needs the Go name RegisterSTService, which service p.s_t has (m.proto:1:1)",
				"service p.ST needs the Go name NewSTClient, which service p.s_t has (m.proto:1:1)",
			},
		},
		{
			name: "service and message",
			text: `service { name: "S" } message_type { name: "SService" }`,
			want: []string{"service p.S needs the Go name SService, which message p.SService has (m.proto:1:1)"},
		},
		{
			name: "service and enum",
			text: `service { name: "S"` + method("Do", "server_streaming: true") + ` }
				enum_type { name: "SClient" value { name: "ZERO" number: 0 } }`,
			want: []string{"service p.S needs the Go name SClient, which enum p.SClient has (m.proto:1:1)"},
		},
		{
			name: "stream and nested message",
			text: `service { name: "S"` + method("Do", "client_streaming: true") + ` }
				message_type { name: "S_" nested_type { name: "DoServer" } }
				message_type { name: "S_DoServer" }`,
			want: []string{"method p.S.Do needs the Go name S_DoServer, which message p.S_DoServer has (m.proto:1:1)"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			response := runPlugin(t, requestFor(t, `
				name: "m.proto" package: "p" options { go_package: "example.com/p" }
				message_type { name: "M" }`+test.text))
			for i := range test.want {
				test.want[i] = "m.proto:1:1: " + test.want[i]
			}
			require.Equal(t, strings.Join(test.want, "\n"), response.GetError())
			require.Empty(t, response.GetFile())
		})
	}
}

func TestVersion(t *testing.T) {
	for _, arg := range []string{"--version", "-version"} {
		var output bytes.Buffer
		require.NoError(t, run([]string{arg}, strings.NewReader(""), &output))
		require.Equal(t, "protoc-gen-go-ttrpc "+stubgen.Version+"\n", output.String())
	}
}

func TestRunByHand(t *testing.T) {
	for _, test := range []struct {
		name  string
		args  []string
		input io.Reader
		want  string
	}{
		{"argument", []string{"file.proto"}, strings.NewReader(""), `unknown argument "file.proto"`},
		{"no input", nil, strings.NewReader(""), "the request asks for no file"},
		{"not a request", nil, strings.NewReader("syntax"), "reading the request"},
		{"unreadable", nil, iotest.ErrReader(errors.New("gone")), "reading the request: gone"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var output bytes.Buffer
			require.ErrorContains(t, run(test.args, test.input, &output), test.want)
			require.Empty(t, output.Bytes())
		})
	}
}
