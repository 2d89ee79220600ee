// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/containerd/ttrpc/internal/stubgen"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/pluginpb"
)

// asPlugin is set in the environment of processes that are this program, and
// not its test.
const asPlugin = "TTRPC_TEST_AS_PLUGIN"

func TestMain(m *testing.M) {
	if os.Getenv(asPlugin) != "" {
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// process runs the program, in a process of its own: gogo's generator has global
// variables that are only good for one run.
func process(t *testing.T, request *pluginpb.CodeGeneratorRequest) (stdout, stderr []byte, err error) {
	t.Helper()
	input, err := proto.Marshal(request)
	require.NoError(t, err)
	executable, err := os.Executable()
	require.NoError(t, err)
	var output, problems bytes.Buffer
	c := exec.CommandContext(t.Context(), executable)
	c.Env = append(os.Environ(), asPlugin+"=1",
		"GORACE=atexit_sleep_ms=0") // the race detector would make each process a second longer
	c.Stdin, c.Stdout, c.Stderr = bytes.NewReader(input), &output, &problems
	err = c.Run()
	return output.Bytes(), problems.Bytes(), err
}

// runPlugin runs the program as protoc does.
func runPlugin(t *testing.T, request *pluginpb.CodeGeneratorRequest) *pluginpb.CodeGeneratorResponse {
	t.Helper()
	output, problems, err := process(t, request)
	require.NoError(t, err, "%s", problems)
	require.Empty(t, string(problems))
	response := new(pluginpb.CodeGeneratorResponse)
	require.NoError(t, proto.Unmarshal(output, response))
	return response
}

// requireError requires that the program answers with an error, and no file.
func requireError(t *testing.T, request *pluginpb.CodeGeneratorRequest, want ...string) {
	t.Helper()
	response := runPlugin(t, request)
	require.Equal(t, strings.Join(want, "\n"), response.GetError())
	require.Empty(t, response.GetFile())
}

// requestFor returns a request to generate code for files, given as text.
func requestFor(t *testing.T, parameter string, texts ...string) *pluginpb.CodeGeneratorRequest {
	t.Helper()
	request := &pluginpb.CodeGeneratorRequest{Parameter: proto.String(parameter)}
	for _, text := range texts {
		file := new(descriptorpb.FileDescriptorProto)
		require.NoError(t, prototext.Unmarshal([]byte(text), file))
		request.FileToGenerate = append(request.FileToGenerate, file.GetName())
		request.ProtoFile = append(request.ProtoFile, file)
	}
	return request
}

// Files as text, of one Go package.
const (
	messageFile = `name: "m.proto" package: "p" options { go_package: "example.com/p" } message_type { name: "M" }`
	serviceFile = `name: "s.proto" package: "p" options { go_package: "example.com/p" } dependency: "m.proto"
		service { name: "S" method { name: "Do" input_type: ".p.M" output_type: ".p.M" } }
		source_code_info { location { path: [6, 0] span: [4, 0, 6, 1] } }`
)

func TestServicesAreForPluginsTTRPC(t *testing.T) {
	for _, test := range []struct {
		name, parameter string
		ttrpc, grpc     bool
	}{
		{name: "none", parameter: ""},
		{name: "called none", parameter: "plugins=none"},
		{name: "ttrpc", parameter: "plugins=ttrpc", ttrpc: true},
		{name: "ttrpc and what always runs", parameter: "plugins=marshalto+ttrpc", ttrpc: true},
		{name: "grpc", parameter: "plugins=grpc", grpc: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			response := runPlugin(t, requestFor(t, test.parameter, messageFile, serviceFile))
			require.Empty(t, response.GetError())
			require.Len(t, response.GetFile(), 2)
			require.Contains(t, response.GetFile()[0].GetContent(), "func (m *M) Marshal() (")
			require.NotContains(t, response.GetFile()[0].GetContent(), "ttrpc")
			services := response.GetFile()[1].GetContent()
			require.Equal(t, test.ttrpc, strings.Contains(services, "type SService interface"))
			require.Equal(t, test.grpc, strings.Contains(services, "type SServer interface"))
		})
	}
}

// Both generate NewSClient, in v1.2.8, too, and what was generated for both did
// not compile.
func TestPluginsTTRPCAndGRPCAreForMessagesOnly(t *testing.T) {
	for _, parameter := range []string{"plugins=ttrpc+grpc", "plugins=grpc+ttrpc", "plugins="} {
		t.Run(parameter, func(t *testing.T) {
			require.Len(t, runPlugin(t, requestFor(t, parameter, messageFile)).GetFile(), 1)
			requireError(t, requestFor(t, parameter, messageFile, serviceFile),
				"s.proto:5:1: service p.S needs the Go name NewSClient, which the plugin grpc for service p.S has (s.proto:5:1)")
		})
	}
}

func TestPaths(t *testing.T) {
	names := func(parameter string, texts ...string) (list []string) {
		for _, file := range runPlugin(t, requestFor(t, parameter, texts...)).GetFile() {
			list = append(list, file.GetName())
		}
		return list
	}
	const unnamed = `name: "dir/m.proto" package: "p" message_type { name: "M" }`
	require.Equal(t, []string{"example.com/p/m.pb.go"}, names("", messageFile))
	require.Equal(t, []string{"m.pb.go"}, names("paths=source_relative", messageFile))
	require.Equal(t, []string{"dir/m.pb.go"}, names("", unnamed), "without go_package, as with v1.2.8")
	require.Equal(t, []string{"dir/m.pb.go"}, names("import_path=example.com/q", unnamed))
}

// Upstream v1.2.8 ignores options and plugins that it does not know.
func TestBadParameters(t *testing.T) {
	for _, test := range []struct{ name, parameter, want string }{
		{"unknown option", "plugin=ttrpc",
			`unknown option "plugin": there are plugins, paths, import_path, import_prefix and M<file>`},
		{"unknown plugin", "plugins=ttrcp", `unknown plugin "ttrcp": there are ttrpc and grpc`},
		{"one unknown plugin", "plugins=grpc+ttrcp", `unknown plugin "ttrcp": there are ttrpc and grpc`},
		{"what gogo's fastest generators cannot do", "annotate_code=true",
			`unknown option "annotate_code": there are plugins, paths, import_path, import_prefix and M<file>`},
		{"bad paths", "paths=here", `paths: unknown value "here": want "import" or "source_relative"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			requireError(t, requestFor(t, test.parameter, messageFile), test.want)
		})
	}
}

// With v1.2.8, each of these ends the program, by an error or by a panic with its
// stack, or yields code that does not compile.
func TestBadInput(t *testing.T) {
	group := func(outer string) string {
		return `name: "g.proto" package: "p" options { go_package: "example.com/p" }
			message_type { name: "O" nested_type { name: "M"
				field { name: "name" number: 1 label: LABEL_OPTIONAL type: TYPE_STRING }
				field { name: "part" number: 2 label: LABEL_OPTIONAL type: TYPE_GROUP type_name: ".p.O.M.Part" }
				nested_type { name: "Part" }
			} } ` + outer
	}
	for _, test := range []struct {
		name, parameter string
		files           []string
		want            []string
	}{
		{
			name:  "group",
			files: []string{group(`source_code_info { location { path: [4, 0, 3, 0, 2, 1] span: [6, 4, 8, 5] } }`)},
			want:  []string{"g.proto:7:5: marshaler does not support group Part"},
		},
		{
			name:  "group in a place unknown",
			files: []string{messageFile, group("")},
			want:  []string{"g.proto: marshaler does not support group Part"},
		},
		{
			name:  "unknown message",
			files: []string{`name: "a.proto" package: "p" service { name: "S" method { name: "Do" input_type: ".p.M" output_type: ".p.M" } }`},
			want:  []string{"a.proto: can't find object with type .p.M"},
		},
		{
			name:  "unknown import",
			files: []string{`name: "a.proto" package: "p" dependency: "b.proto" public_dependency: 0`},
			want:  []string{"a.proto: the import b.proto is not in the request"},
		},
		{
			name:  "two Go packages",
			files: []string{messageFile, `name: "a.proto" package: "q" options { go_package: "example.com/q" }`},
			want:  []string{`m.proto, a.proto: inconsistent package import paths: "example.com/p", "example.com/q"`},
		},
		{
			name:  "two services of one name",
			files: []string{messageFile, serviceFile, `name: "t.proto" package: "q" options { go_package: "example.com/p" } service { name: "S" }`},
			want: []string{
				"t.proto: service q.S needs the Go name SService, which service p.S has (s.proto:5:1)",
				"t.proto: service q.S needs the Go name RegisterSService, which service p.S has (s.proto:5:1)",
				"t.proto: service q.S needs the Go name NewSClient, which service p.S has (s.proto:5:1)",
			},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			requireError(t, requestFor(t, "plugins=ttrpc", test.files...), test.want...)
		})
	}

	t.Run("no Go name", func(t *testing.T) {
		response := runPlugin(t, requestFor(t, "", `name: "a.proto" package: "p" message_type { name: "1 x" }`))
		require.Regexp(t, `^a\.proto: bad Go source code was generated: `, response.GetError())
		require.Empty(t, response.GetFile())
	})

	t.Run("unknown file", func(t *testing.T) {
		request := requestFor(t, "", messageFile)
		request.FileToGenerate = []string{"other.proto"}
		requireError(t, request, "other.proto: could not find file named other.proto")
	})
}

// What some of gogo's plugins find wrong, they tell in this way only.
func TestGogoEndsTheProgram(t *testing.T) {
	output, problems, err := process(t, requestFor(t, "", `name: "a.proto" package: "p" message_type { name: "M"
		field { name: "count" number: 1 label: LABEL_OPTIONAL type: TYPE_INT32 default_value: "7" } }`))
	exit := new(exec.ExitError)
	require.ErrorAs(t, err, &exit)
	require.Equal(t, 1, exit.ExitCode())
	require.Equal(t, "ERROR: field M.Count cannot have a default value and not have a getter method", string(problems))
	require.Empty(t, output)
}

// protoc does not run the program on a proto3 file with optional fields, but
// tells that it does not support them: gogo's messages could not show whether
// such a field is set.
func TestNoSupportForOptionalInProto3(t *testing.T) {
	require.Zero(t, runPlugin(t, requestFor(t, "", messageFile)).GetSupportedFeatures())
}

func TestVersion(t *testing.T) {
	var output bytes.Buffer
	require.NoError(t, run([]string{"--version"}, strings.NewReader(""), &output))
	require.Equal(t, "protoc-gen-gogottrpc "+stubgen.Version+"\n", output.String())
}

func TestRunByHand(t *testing.T) {
	output, problems, err := process(t, new(pluginpb.CodeGeneratorRequest))
	exit := new(exec.ExitError)
	require.ErrorAs(t, err, &exit)
	require.Equal(t, 1, exit.ExitCode())
	require.Equal(t, "protoc-gen-gogottrpc: the request asks for no file: this is a plugin that protoc runs\n", string(problems))
	require.Empty(t, output)
}
