// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package generate_test

import (
	"strings"
	"testing"

	"github.com/containerd/ttrpc/cmd/ttrpc-gen/generate"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/types/descriptorpb"
)

// In editions, presence is a matter of features.
func TestPresence(t *testing.T) {
	const text = `
package p;
import "google/protobuf/go_features.proto";
option go_package = "example.com/p";
option features.(pb.go).api_level = API_OPEN;
// M is a message.
message M {
  string explicit = 1;
  string implicit = 2 [features.field_presence = IMPLICIT];
  M required = 3 [features.field_presence = LEGACY_REQUIRED];
  repeated int32 many = 4;
}
service S {
  // Do does.
  rpc Do(M) returns (stream M);
}
`
	for _, edition := range []string{"2023", "2024"} {
		t.Run(edition, func(t *testing.T) {
			files, err := generate.Generate(t.Context(), generate.Options{
				Files:   []string{"a.proto"},
				Sources: map[string]string{"a.proto": `edition = "` + edition + `";` + text},
				Paths:   "source_relative",
			})
			require.NoError(t, err)
			require.Equal(t, []string{"a.pb.go", "a_ttrpc.pb.go"}, names(files))
			messages := strings.Join(strings.Fields(content(t, files, "a.pb.go")), " ")
			require.Contains(t, messages, "// M is a message. type M struct")
			require.Contains(t, messages, " Explicit *string `")
			require.Contains(t, messages, " Implicit string `")
			require.Contains(t, messages, "Required *M `protobuf:\"bytes,3,req,")
			require.Contains(t, messages, "Many []int32 `protobuf:\"varint,4,rep,packed,")
			require.Contains(t, content(t, files, "a_ttrpc.pb.go"), "\t// Do does.\n")
		})
	}
}

// In edition 2024, the Go API is opaque unless a file asks for another one.
func TestEdition2024IsOpaque(t *testing.T) {
	files, err := generate.Generate(t.Context(), generate.Options{
		Files:   []string{"a.proto"},
		Sources: map[string]string{"a.proto": `edition = "2024"; option go_package = "example.com/p"; message M { string name = 1; }`},
	})
	require.NoError(t, err)
	require.Contains(t, content(t, files, "example.com/p/a.pb.go"), "func (x *M) SetName(v string)")
	require.Contains(t, content(t, files, "example.com/p/a.pb.go"), "xxx_hidden_Name")
}

// What is new in edition 2024: imports for options alone, which need no Go
// package, and types that other files do not see. Files of all kinds may import
// each other.
func TestEdition2024(t *testing.T) {
	program, err := generate.Compile(t.Context(), generate.Options{
		Files: []string{"a.proto", "old.proto"},
		Sources: map[string]string{
			"a.proto": `
				edition = "2024";
				package p;
				import "google/protobuf/duration.proto";
				import "old.proto";
				import option "options.proto";
				option go_package = "example.com/p";
				option features.enforce_naming_style = STYLE_LEGACY;
				option (owner) = "me";
				option (secret) = "mine";
				message M {
				  google.protobuf.Duration d = 1;
				  Old badlyNamed = 2;
				  L l = 3;
				  export message Exported {}
				}
				local message L {}
				service S { rpc Do(M) returns (Old); }`,
			"old.proto": `
				syntax = "proto3";
				package p;
				option go_package = "example.com/p";
				message Old {}
				service T { rpc Do(Old) returns (Old); }`,
			"options.proto": `
				edition = "2024";
				package p;
				import "google/protobuf/descriptor.proto";
				extend google.protobuf.FileOptions {
				  string owner = 50000;
				  string secret = 50001 [retention = RETENTION_SOURCE];
				}`,
		},
		Paths: "source_relative",
	})
	require.NoError(t, err)
	files, err := program.Generate()
	require.NoError(t, err)
	require.Equal(t, []string{"old.pb.go", "a.pb.go", "old_ttrpc.pb.go", "a_ttrpc.pb.go"}, names(files))

	compiled, err := protodesc.NewFiles(program.DescriptorSet())
	require.NoError(t, err)
	file, err := compiled.FindFileByPath("a.proto")
	require.NoError(t, err)
	options := file.Options().(*descriptorpb.FileOptions)
	require.Contains(t, options.String(), `"me"`)
	require.NotContains(t, options.String(), `"mine"`, "what is for compilers alone is left out")
	require.Nil(t, options.GetFeatures())
	require.NotContains(t, content(t, files, "a.pb.go"), "mine")
}

// protoc leaves options with this retention out of what plugins are told.
func TestOptionsForCompilersAreLeftOut(t *testing.T) {
	program, err := generate.Compile(t.Context(), generate.Options{
		Files: []string{"a.proto"},
		Sources: map[string]string{"a.proto": `
			syntax = "proto2";
			import "google/protobuf/descriptor.proto";
			option go_package = "example.com/p";
			message Options {
			  optional string kept = 1;
			  optional string secret = 2 [retention = RETENTION_SOURCE];
			  map<string, string> more = 3;
			}
			extend google.protobuf.FieldOptions {
			  optional Options options = 50000;
			  repeated Options many = 50001;
			}
			message M {
			  optional string both = 1 [(options) = { kept: "yes", secret: "no" }];
			  optional string list = 2 [(many) = { secret: "no" }, (many) = { kept: "yes", more: { key: "key" value: "yes" } }];
			  optional string none = 3 [(options).secret = "no"];
			  optional string empty = 4 [(options) = {}];
			  extensions 100 to 200 [declaration = { number: 100, full_name: ".x", type: "string" }];
			}`},
	})
	require.NoError(t, err)
	files := program.DescriptorSet().GetFile()
	message := files[len(files)-1].GetMessageType()[1]
	fields := message.GetField()
	require.Regexp(t, `^\[options\]:\{kept:"yes"\}$`, fields[0].GetOptions().String())
	require.Regexp(t, `^\[many\]:\{\} +\[many\]:\{kept:"yes" +more:\{key:"key" +value:"yes"\}\}$`, fields[1].GetOptions().String())
	require.Nil(t, fields[2].GetOptions())
	require.Equal(t, `[options]:{}`, fields[3].GetOptions().String())
	require.Nil(t, message.GetExtensionRange()[0].GetOptions())
}
