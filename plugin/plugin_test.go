// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package plugin_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strings"
	"testing"

	"github.com/gogo/protobuf/proto"
	"github.com/gogo/protobuf/protoc-gen-gogo/descriptor"
	"github.com/gogo/protobuf/protoc-gen-gogo/generator"
	compiler "github.com/gogo/protobuf/protoc-gen-gogo/plugin"
	"github.com/stretchr/testify/require"
)

// parse returns files that are given as text.
func parse(t *testing.T, texts ...string) []*descriptor.FileDescriptorProto {
	t.Helper()
	var files []*descriptor.FileDescriptorProto
	for _, text := range texts {
		file := new(descriptor.FileDescriptorProto)
		require.NoError(t, proto.UnmarshalText(text, file))
		files = append(files, file)
	}
	return files
}

// generate runs gogo's generator, with the plugin, for the first files; the rest
// are there to be imported. The parameter must ask for the plugin: for one that
// does not, the generator would drop it, and have it no more.
func generate(parameter string, first int, files []*descriptor.FileDescriptorProto) *compiler.CodeGeneratorResponse {
	gen := generator.New()
	for _, file := range files[:first] {
		gen.Request.FileToGenerate = append(gen.Request.FileToGenerate, file.GetName())
	}
	// A compiler has what is imported first.
	gen.Request.ProtoFile = slices.Clone(files)
	slices.Reverse(gen.Request.ProtoFile)
	gen.CommandLineParameters(parameter)
	gen.WrapTypes()
	gen.SetPackageNames()
	gen.BuildTypeNameMap()
	gen.GenerateAllFiles()
	return gen.Response
}

// generateOne returns what is generated for the first file.
func generateOne(t *testing.T, texts ...string) string {
	t.Helper()
	response := generate("plugins=ttrpc", 1, parse(t, texts...))
	require.Empty(t, response.GetError())
	require.Len(t, response.GetFile(), 1)
	return response.GetFile()[0].GetContent()
}

// Beginnings of files of one Go package, and a method for their services.
const (
	fileA  = `name: "a.proto" package: "p" options { go_package: "example.com/p" } `
	fileB  = `name: "b.proto" package: "p" options { go_package: "example.com/p" } `
	fileQ  = `name: "q.proto" package: "q" options { go_package: "example.com/q" } `
	method = `method { name: "Do" input_type: ".p.M" output_type: ".p.M" } `
	stream = `method { name: "Do" input_type: ".p.M" output_type: ".p.M" client_streaming: true } `
	m      = `message_type { name: "M" } `
)

// Upstream v1.2.8 generates code that does not compile.
func TestNameCollisions(t *testing.T) {
	for _, test := range []struct {
		name      string
		texts     []string
		generated int    // how many of the files
		taken     string // the name
		want      string // what follows the name
	}{
		{
			name:  "message",
			texts: []string{fileA + m + `message_type { name: "S_service" } service { name: "S" }`},
			taken: "SService", want: "message p.S_service has (a.proto)",
		},
		{
			name:  "message in a message",
			texts: []string{fileA + m + `message_type { name: "S" nested_type { name: "DoClient" } } service { name: "S" ` + stream + ` }`},
			taken: "S_DoClient", want: "message p.S.DoClient has (a.proto)",
		},
		{
			name:  "enum",
			texts: []string{fileA + m + `enum_type { name: "RegisterSService" value { name: "ZERO" number: 0 } } service { name: "S" }`},
			taken: "RegisterSService", want: "enum p.RegisterSService has (a.proto)",
		},
		{
			name: "enum with a name in Go",
			texts: []string{fileA + m + `enum_type { name: "E" value { name: "ZERO" number: 0 }
				options { [gogoproto.enum_customname]: "SService" } } service { name: "S" }`},
			taken: "SService", want: "enum p.E has (a.proto)",
		},
		{
			name:  "enum value",
			texts: []string{fileA + m + `enum_type { name: "E" value { name: "SService" number: 0 } } service { name: "E_S" }`},
			taken: "E_SService", want: "enum value p.SService has (a.proto)",
		},
		{
			name: "enum value of an enum with a name in Go",
			texts: []string{fileA + m + `enum_type { name: "E" value { name: "SService" number: 0 }
				options { [gogoproto.enum_customname]: "F" } } service { name: "F_S" }`},
			taken: "F_SService", want: "enum value p.SService has (a.proto)",
		},
		{
			name: "enum value in a message",
			texts: []string{fileA + `message_type { name: "M" enum_type { name: "E" value { name: "SService" number: 0 } } }
				service { name: "M_S" }`},
			taken: "M_SService", want: "enum value p.M.SService has (a.proto)",
		},
		{
			name: "enum value without a prefix",
			texts: []string{fileA + m + `enum_type { name: "E" value { name: "NewSClient" number: 0 }
				options { [gogoproto.goproto_enum_prefix]: false } } service { name: "S" }`},
			taken: "NewSClient", want: "enum value p.NewSClient has (a.proto)",
		},
		{
			name: "enum value with a name in Go",
			texts: []string{fileA + m + `enum_type { name: "E" value { name: "ZERO" number: 0
				options { [gogoproto.enumvalue_customname]: "SService" } } } service { name: "E_S" }`},
			taken: "E_SService", want: "enum value p.ZERO has (a.proto)",
		},
		{
			name: "field in a oneof",
			texts: []string{fileA + `message_type { name: "M" oneof_decl { name: "o" }
				field { name: "s_service" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL oneof_index: 0 } } service { name: "M_S" }`},
			taken: "M_SService", want: "field p.M.s_service has (a.proto)",
		},
		{
			name: "field in a oneof with a name in Go",
			texts: []string{fileA + `message_type { name: "M" oneof_decl { name: "o" }
				field { name: "x" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL oneof_index: 0
					options { [gogoproto.customname]: "SService" } } } service { name: "M_S" }`},
			taken: "M_SService", want: "field p.M.x has (a.proto)",
		},
		{
			name: "default of a field",
			texts: []string{fileA + `message_type { name: "M"
				field { name: "s_service" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL default_value: "x" } } service { name: "Default_M_S" }`},
			taken: "Default_M_SService", want: "field p.M.s_service has (a.proto)",
		},
		{
			name: "extension",
			texts: []string{fileA + `message_type { name: "M" extension_range { start: 1 end: 9 } }
				extension { name: "s_service" extendee: ".p.M" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL } service { name: "E_S" }`},
			taken: "E_SService", want: "extension p.s_service has (a.proto)",
		},
		{
			name: "extension in a message",
			texts: []string{fileA + `message_type { name: "M" extension_range { start: 1 end: 9 } nested_type { name: "N"
				extension { name: "s_service" extendee: ".p.M" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL } } } service { name: "E_M_N_S" }`},
			taken: "E_M_N_SService", want: "extension p.M.N.s_service has (a.proto)",
		},
		{
			name:  "message in another file",
			texts: []string{fileA + `dependency: "b.proto" service { name: "S" }`, fileB + `message_type { name: "SService" }`},
			taken: "SService", want: "message p.SService has (b.proto)", generated: 2,
		},
		{
			name:  "message in another file of the package, generated before",
			texts: []string{fileA + `dependency: "b.proto" service { name: "S" }`, fileB + `message_type { name: "SService" }`},
			taken: "SService", want: "message p.SService has (b.proto)",
		},
		{
			name: "enum in another file of the package, generated before",
			texts: []string{fileA + m + `dependency: "b.proto" service { name: "S" }`,
				fileB + `enum_type { name: "SService" value { name: "ZERO" number: 0 } }`},
			taken: "SService", want: "enum p.SService has (b.proto)",
		},
		{
			name: "message of another package, imported publicly",
			texts: []string{fileA + `dependency: "q.proto" public_dependency: 0 service { name: "S" }`,
				fileQ + `message_type { name: "SService" }`},
			taken: "SService", want: "message q.SService has (q.proto)",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			files := parse(t, test.texts...)
			response := generate("plugins=ttrpc", max(test.generated, 1), files)
			subject, problem, _ := strings.Cut(response.GetError(), " needs the Go name ")
			require.Regexp(t, `^a\.proto: (service p\.\w+|method p\.\w+\.Do)$`, subject)
			require.Equal(t, test.taken+", which "+test.want, problem)
			for _, file := range response.GetFile() {
				require.NotContains(t, file.GetContent(), "containerd/ttrpc", "services are left out")
			}

			// The name is indeed one that gogo's generator takes.
			for _, file := range files {
				file.Service = nil
			}
			require.Contains(t, declared(t, generate("plugins=ttrpc", len(sameGoPackage(files)), files)), test.taken)
		})
	}
}

// sameGoPackage returns the files that are of the first one's package.
func sameGoPackage(files []*descriptor.FileDescriptorProto) []*descriptor.FileDescriptorProto {
	return slices.DeleteFunc(slices.Clone(files), func(file *descriptor.FileDescriptorProto) bool {
		return file.GetPackage() != files[0].GetPackage()
	})
}

// declared returns the names that generated files declare.
func declared(t *testing.T, response *compiler.CodeGeneratorResponse) (names []string) {
	t.Helper()
	for _, generated := range response.GetFile() {
		file, err := parser.ParseFile(token.NewFileSet(), generated.GetName(), generated.GetContent(), parser.SkipObjectResolution)
		require.NoError(t, err)
		for _, decl := range file.Decls {
			general, ok := decl.(*ast.GenDecl)
			if !ok {
				continue
			}
			for _, spec := range general.Specs {
				switch spec := spec.(type) {
				case *ast.TypeSpec:
					names = append(names, spec.Name.Name)
				case *ast.ValueSpec:
					for _, name := range spec.Names {
						names = append(names, name.Name)
					}
				}
			}
		}
	}
	return names
}

// What v1.2.8 generates for these compiles.
func TestMethodsOfOneName(t *testing.T) {
	content := generateOne(t, fileA+m+`service { name: "S"
		method { name: "do_it" input_type: ".p.M" output_type: ".p.M" }
		method { name: "DoIt" input_type: ".p.M" output_type: ".p.M" }
		method { name: "Do_it" input_type: ".p.M" output_type: ".p.M" server_streaming: true }
		method { name: "other_one" input_type: ".p.M" output_type: ".p.M" } }`)
	require.Contains(t, content, `
type SService interface {
	do_it(context.Context, *M) (*M, error)
	DoIt(context.Context, *M) (*M, error)
	Do_it(context.Context, *M, S_Do_itServer) error
	OtherOne(context.Context, *M) (*M, error)
}
`)
	require.Contains(t, content, `Call(ctx, "p.S", "do_it", req, resp)`)
	require.Contains(t, content, `NewStream(ctx, desc, "p.S", "Do_it", req)`)
}

// Enum values may have the names of packages, for gogo's generator puts no prefix
// before them where it is told so.
func TestImportsHaveFreeNames(t *testing.T) {
	content := generateOne(t, fileA+m+`dependency: "b.proto" service { name: "S" `+method+`}`,
		fileB+`enum_type { name: "E" options { [gogoproto.goproto_enum_prefix]: false }
			value { name: "status" number: 0 } value { name: "codes" number: 1 } value { name: "codes1" number: 2 } value { name: "context" number: 3 } }`)
	require.Contains(t, content, "\tstatus1 \"google.golang.org/grpc/status\"\n")
	require.Contains(t, content, "\tcodes2 \"google.golang.org/grpc/codes\"\n")
	require.Contains(t, content, "\tcontext1 \"context\"\n")
	require.Contains(t, content, "\treturn nil, status1.Error(codes2.Unimplemented,")
	require.Contains(t, content, "\tDo(context1.Context, *M) (*M, error)\n")
	require.NotContains(t, content, "declared/")
}

// A type of another Go package has no part in the names, nor have services of
// files that are merely imported.
func TestNoCollisionWithWhatIsElsewhere(t *testing.T) {
	content := generateOne(t,
		fileA+m+`dependency: ["b.proto", "q.proto"] service { name: "S" `+method+`}`,
		fileB+`service { name: "S" }`,
		fileQ+`message_type { name: "SService" }`)
	require.Contains(t, content, "type SService interface {")
}

// What v1.2.8 does not generate must not keep from generating what it does.
func TestAdditionsHaveFreeNames(t *testing.T) {
	content := generateOne(t, fileA+m+`service { name: "S" `+method+`}
		message_type { name: "UnimplementedSService" }
		enum_type { name: "E" value { name: "S_Do_FullMethodName" number: 0 } options { [gogoproto.goproto_enum_prefix]: false } }`)
	require.Contains(t, content, "\ntype UnimplementedSService_ struct{}\n")
	require.Contains(t, content, "\tS_Do_FullMethodName_ = \"/p.S/Do\"\n")
}

func TestMethodNames(t *testing.T) {
	for _, test := range []struct{ inProto, unary, stream string }{
		{"DoIt", "DoIt", "DoIt"},
		{"Do_it", "Do_it", "DoIt"}, // as v1.2.8, and as protoc-gen-go-ttrpc
		{"do_it", "DoIt", "DoIt"},
		{"_do", "XDo", "XDo"},
		{"func", "Func", "Func"},
	} {
		t.Run(test.inProto, func(t *testing.T) {
			content := generateOne(t, fileA+m+`
				service { name: "U" method { name: "`+test.inProto+`" input_type: ".p.M" output_type: ".p.M" } }
				service { name: "B" method { name: "`+test.inProto+`" input_type: ".p.M" output_type: ".p.M" server_streaming: true } }`)
			require.Contains(t, content, "\t"+test.unary+"(context.Context, *M) (*M, error)\n")
			require.Contains(t, content, "\t"+test.stream+"(context.Context, *M, B_"+test.stream+"Server) error\n")
			require.Contains(t, content, `Call(ctx, "p.U", "`+test.inProto+`", req, resp)`)
			require.Contains(t, content, `NewStream(ctx, desc, "p.B", "`+test.stream+`", req)`)
		})
	}
}

func TestComments(t *testing.T) {
	content := generateOne(t, fileA+m+`
		service { name: "S" options { deprecated: true }
			method { name: "Do" input_type: ".p.M" output_type: ".p.M" options { deprecated: true } } }
		source_code_info {
			location { path: [6, 0] span: [3, 0, 30] leading_comments: " A service.\n\n With two paragraphs.\n" }
			location { path: [6, 0, 2, 0] span: [4, 2, 30] leading_comments: " Before.\n" trailing_comments: " Behind.\n" } }`)
	require.Contains(t, content, `
// SService is the service p.S.
//
// A service.
//
// With two paragraphs.
//
// Deprecated: marked as deprecated in a.proto.
type SService interface {
	// Before.
	//
	// Behind.
	//
	// Deprecated: marked as deprecated in a.proto.
	Do(context.Context, *M) (*M, error)
}
`)
}

// A message may come by way of a file that is not its own.
func TestMessagesImportedPublicly(t *testing.T) {
	content := generateOne(t,
		`name: "a.proto" dependency: "b.proto" options { go_package: "example.com/a" }
			service { name: "S" method { name: "Do" input_type: ".q.M" output_type: ".p.M" } }`,
		fileB+m+`dependency: "q.proto" public_dependency: 0`,
		fileQ+m)
	require.Contains(t, content, "\tp \"example.com/p\"\n")
	require.Contains(t, content, "\tq \"example.com/q\"\n")
	require.Contains(t, content, "\tDo(context.Context, *q.M) (*p.M, error)\n")
	require.Contains(t, content, `"/S/Do"`)
}

func TestSeveralFiles(t *testing.T) {
	response := generate("plugins=ttrpc", 2, parse(t,
		fileA+`dependency: "b.proto" service { name: "S" `+method+`}`,
		fileB+m+`service { name: "T" `+stream+`}`))
	require.Empty(t, response.GetError())
	require.Len(t, response.GetFile(), 2)
	require.Contains(t, response.GetFile()[0].GetContent(), "type TService interface {")
	require.NotContains(t, response.GetFile()[0].GetContent(), "type SService interface {")
	require.Contains(t, response.GetFile()[1].GetContent(), "type SService interface {")
}
