// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"go/token"
	"go/types"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/pluginpb"
)

// hardNames returns names that could get in the way of what generated code
// declares or uses: words of Go, what is predeclared, imports and variables.
func hardNames(more ...string) []string {
	words := []string{
		"type", "func", "map", "struct", "interface", "return", "if", "package", "import", "chan", "range", "const",
		"context", "ttrpc", "status", "codes", "init", "main",
		"h", "c", "x", "m", "req", "resp", "ctx", "srv", "svc", "client", "stream", "desc", "unmarshal", "service", "err",
	}
	return slices.Concat(words, types.Universe.Names(), more)
}

// importable returns those of hardNames that a Go package can have: protoc-gen-go
// itself does not know what to do with the others.
func importable(more ...string) []string {
	return slices.DeleteFunc(hardNames(more...), func(name string) bool { return token.IsKeyword(name) || name == "init" })
}

// shapeOptions make a method one of each shape.
var shapeOptions = []string{"", "client_streaming: true", "server_streaming: true", "client_streaming: true server_streaming: true"}

// empty is a message that is there without generating anything.
const empty = ".google.protobuf.Empty"

// file returns the text of a .proto file with a Go package of its own.
func file(name string, texts ...string) string {
	return fmt.Sprintf("name: %q package: %q options { go_package: %q } dependency: \"google/protobuf/empty.proto\" %s",
		name+".proto", name, "example.com/"+name, strings.Join(texts, "\n"))
}

// message returns the text of a message.
func message(name string) string { return fmt.Sprintf("message_type { name: %q }", name) }

// service returns the text of a service.
func service(name string, methods ...string) string {
	return fmt.Sprintf("service { name: %q %s }", name, strings.Join(methods, " "))
}

// method returns the text of a method that gets messages of a type and returns
// such.
func method(name, message, shape string) string {
	return fmt.Sprintf("method { name: %q input_type: %q output_type: %q %s }", name, message, message, shape)
}

// inAllShapes returns the text of services with a method each, which all have one
// name and are of different shapes.
func inAllShapes(name, message string) string {
	var services []string
	for i, shape := range shapeOptions {
		services = append(services, service(fmt.Sprintf("S%d", i), method(name, message, shape)))
	}
	return strings.Join(services, "\n")
}

// requestForEach returns a request for a file per name, p0.proto and so on.
func requestForEach(t *testing.T, names []string, text func(name string) string) *pluginpb.CodeGeneratorRequest {
	t.Helper()
	var files []string
	for i, name := range names {
		files = append(files, file(fmt.Sprintf("p%d", i), text(name)))
	}
	return requestFor(t, files...)
}

func TestNamesOfMessages(t *testing.T) {
	names := hardNames("Server", "ServiceDesc", "StreamDesc", "Method", "StreamServer", "ClientStream", "Unimplemented",
		"_x", "x_", "x_y", "x_1", "UnimplementedS0Service", "S3_Do", strings.Repeat("Long", 50))
	var texts []string
	for _, name := range names {
		texts = append(texts, message(name))
	}
	for i, shape := range shapeOptions {
		var methods []string
		for j, name := range names {
			methods = append(methods, method(fmt.Sprintf("Do%d", j), ".p."+name, shape))
		}
		texts = append(texts, service(fmt.Sprintf("S%d", i), methods...))
	}
	requireCompiles(t, requestFor(t, file("p", texts...)))
}

func TestNamesOfMethods(t *testing.T) {
	names := hardNames("Send", "Recv", "SendMsg", "RecvMsg", "CloseSend", "CloseAndRecv", "Context", "Close", "Register",
		"Reset", "String", "Error", "Call", "NewStream", "Service", "Client", "Server", "StreamServer", "ClientStream",
		"_", "_x", "x_", "x_y", "X_y", "X_Y", "x_1", "x__y", strings.Repeat("long", 50))
	requireCompiles(t, requestForEach(t, names, func(name string) string { return inAllShapes(name, empty) }))
}

func TestNamesOfServices(t *testing.T) {
	names := hardNames("Client", "Server", "Service", "Context", "Unimplemented", "New", "Register", "Handlers", "Caller",
		"ttrpcHandlers", "S_DoServer", "_", "_x", "x_", "x_y", "X_y", "X_Y", "x_1", "x__y", strings.Repeat("Long", 50))
	var methods []string
	for i, shape := range shapeOptions {
		methods = append(methods, method(fmt.Sprintf("Do%d", i), empty, shape))
	}
	for _, methods := range [][]string{methods, methods[:1], nil} {
		requireCompiles(t, requestForEach(t, names, func(name string) string { return service(name, methods...) }))
	}
}

// Services whose names are made of those of others do not collide, as long as
// v1.2.10 has it so.
func TestNamesOfServicesBesideOthers(t *testing.T) {
	names := []string{"FooService", "FooClient", "FooServer", "UnimplementedFoo", "FOO", "Foo_", "Foo_Bar", "Foo_BarServer",
		"ttrpcFoo", "FooHandlers", "FooCaller", "UnimplementedUnimplementedFoo"}
	unaryAndBidi := []string{shapeOptions[0], shapeOptions[3]}
	for _, foo := range unaryAndBidi {
		for _, other := range unaryAndBidi {
			requireCompiles(t, requestForEach(t, names, func(name string) string {
				return service("Foo", method("Do", empty, foo), method("Baz", empty, foo), method("Bar_Do", empty, "")) +
					service(name, method("Do", empty, other))
			}))
		}
	}
}

// All are imported by one file.
func TestNamesOfImportedPackages(t *testing.T) {
	// Names with underscores and numbers are what others might be changed to.
	names := importable("ctx_", "ctx1", "_req", "codes1", "foo.v1", "v2", "a-b", "Upper", "ttrpcS0Handlers")
	var files, imports, services []string
	for i, name := range names {
		pkg := fmt.Sprintf("imported%d", i)
		files = append(files, fmt.Sprintf("name: %q package: %q options { go_package: %q } message_type { name: \"M\" }",
			pkg+".proto", pkg, "example.com/imported/"+name))
		imports = append(imports, fmt.Sprintf("dependency: %q", pkg+".proto"))
		var methods []string
		for j, shape := range shapeOptions {
			methods = append(methods, method(fmt.Sprintf("Do%d", j), "."+pkg+".M", shape))
		}
		services = append(services, service(fmt.Sprintf("S%d_", i), methods...))
	}
	requireCompiles(t, requestFor(t, append(files, file("p", slices.Concat(imports, services)...))...))
}

// A package can have another name than its directory.
func TestNamesOfPackages(t *testing.T) {
	names := importable("Upper", "with_underscore")
	request := requestForEach(t, names, func(string) string { return inAllShapes("Do", empty) })
	for i, name := range names {
		options := request.GetProtoFile()[1+i].GetOptions() // after empty.proto
		options.GoPackage = proto.String(options.GetGoPackage() + ";" + name)
	}
	packages := requireCompiles(t, request)
	for i, name := range names {
		require.Equal(t, name, packages[fmt.Sprintf("example.com/p%d", i)].Name())
	}
}

func TestPrefixes(t *testing.T) {
	for _, prefix := range []string{"TTRPC", "ttrpc", "_", "with_underscore_", "Ünï", "ü", "func", "New", "Unimplemented"} {
		t.Run(prefix, func(t *testing.T) {
			var methods []string
			for i, shape := range shapeOptions {
				methods = append(methods, method(fmt.Sprintf("Do%d", i), empty, shape))
			}
			request := requestFor(t, file("p", service("S", methods...), service("Unary", methods[0]), service("none")))
			request.Parameter = proto.String("prefix=" + prefix)
			scope := requireCompiles(t, request)["example.com/p"].Scope()
			for _, name := range []string{
				prefix + "SService", "Register" + prefix + "SService", "New" + prefix + "SClient", prefix + "SClient",
				prefix + "S_Do1Server", prefix + "S_Do3Client", "Unimplemented" + prefix + "SService", prefix + "S_Do0_FullMethodName",
				prefix + "UnaryService", "New" + prefix + "UnaryClient", prefix + "NoneService",
			} {
				require.NotNil(t, scope.Lookup(name), name)
			}
		})
	}
}

// Several Go packages can be generated in one run, and have the same names.
func TestPackagesDoNotShareNames(t *testing.T) {
	packages := requireCompiles(t, requestForEach(t, []string{"S", "S", "UnimplementedS"}, func(name string) string {
		return service(name, method("Do", empty, ""))
	}))
	require.NotNil(t, packages["example.com/p0"].Scope().Lookup("UnimplementedSService"))
	require.NotNil(t, packages["example.com/p1"].Scope().Lookup("UnimplementedSService"))
	require.IsType(t, new(types.Interface), packages["example.com/p2"].Scope().Lookup("UnimplementedSService").Type().Underlying())
}

// onePackage returns the text of a file whose Go package others have, too.
func onePackage(name string, texts ...string) string {
	return fmt.Sprintf("name: %q package: %q options { go_package: \"example.com/p\" } %s", name+".proto", name, strings.Join(texts, "\n"))
}

// What v1.2.10 does not generate gives way to what is there in any of the files
// of the package, that of other generators, too.
func TestNewNamesGiveWay(t *testing.T) {
	unary := method("Do", ".first.M", "")
	for _, test := range []struct {
		name         string
		first, other string
		want         map[string]string // by its name, the kind of a declaration
	}{
		{
			name:  "message",
			other: message("UnimplementedSService"),
			want:  map[string]string{"UnimplementedSService": "struct", "UnimplementedSService_": "struct"},
		},
		{
			name:  "two messages",
			other: message("UnimplementedSService") + message("UnimplementedSService_"),
			want:  map[string]string{"UnimplementedSService__": "struct"},
		},
		{
			name:  "service",
			other: service("UnimplementedS", unary),
			want:  map[string]string{"UnimplementedSService": "interface", "UnimplementedSService_": "struct", "UnimplementedUnimplementedSService": "struct"},
		},
		{
			name:  "enum",
			other: `enum_type { name: "S_Do" value { name: "FullMethodName" number: 0 } }`,
			want:  map[string]string{"S_Do_FullMethodName": "int32", "S_Do_FullMethodName_": "untyped string"},
		},
		{
			name:  "field of a oneof",
			other: `message_type { name: "S_Do" oneof_decl { name: "x" } field { name: "FullMethodName" number: 1 type: TYPE_BOOL label: LABEL_OPTIONAL oneof_index: 0 } }`,
			want:  map[string]string{"S_Do_FullMethodName": "struct", "S_Do_FullMethodName_": "untyped string"},
		},
		{
			name:  "optional field, which has no type",
			other: `syntax: "proto3" message_type { name: "S_Do" oneof_decl { name: "_x" } field { name: "FullMethodName" number: 1 type: TYPE_BOOL label: LABEL_OPTIONAL oneof_index: 0 proto3_optional: true } }`,
			want:  map[string]string{"S_Do_FullMethodName": "untyped string"},
		},
		{
			name:  "nested message",
			other: `message_type { name: "S" nested_type { name: "Do_FullMethodName" } }`,
			want:  map[string]string{"S_Do_FullMethodName": "struct", "S_Do_FullMethodName_": "untyped string"},
		},
		{
			name:  "extension",
			first: service("E", unary),
			other: `extension { name: "Do_FullMethodName" number: 100 extendee: ".first.M" type: TYPE_BOOL label: LABEL_OPTIONAL }`,
			want:  map[string]string{"E_Do_FullMethodName": "pointer", "E_Do_FullMethodName_": "untyped string"},
		},
		{
			name:  "nested extension",
			first: service("E", method("N_Do", ".first.M", "")),
			other: `message_type { name: "N" extension { name: "Do_FullMethodName" number: 100 extendee: ".first.M" type: TYPE_BOOL label: LABEL_OPTIONAL } }`,
			want:  map[string]string{"E_N_Do_FullMethodName": "pointer", "E_N_Do_FullMethodName_": "untyped string"},
		},
		{
			name:  "default",
			first: service("Default", method("N", ".first.M", "")),
			other: `message_type { name: "N" field { name: "FullMethodName" number: 1 type: TYPE_BOOL label: LABEL_OPTIONAL default_value: "true" } }`,
			want:  map[string]string{"Default_N_FullMethodName": "bool", "Default_N_FullMethodName_": "untyped string"},
		},
		{
			name:  "another method's constant",
			first: service("A", method("B_C", ".first.M", "")) + service("A_B", method("C", ".first.M", "")),
			want:  map[string]string{"A_B_C_FullMethodName": "untyped string", "A_B_C_FullMethodName_": "untyped string"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			first := onePackage("first", `message_type { name: "M" extension_range { start: 100 end: 200 } }`, service("S", unary), test.first)
			other := onePackage("other", `dependency: "first.proto"`, test.other)
			scope := requireCompiles(t, requestFor(t, first, other))["example.com/p"].Scope()
			for name, want := range test.want {
				object := scope.Lookup(name)
				require.NotNil(t, object, name)
				require.Equal(t, want, kind(object.Type().Underlying()), name)
			}
		})
	}
}

// kind returns a word for a type.
func kind(underlying types.Type) string {
	switch t := underlying.(type) {
	case *types.Struct:
		return "struct"
	case *types.Interface:
		return "interface"
	case *types.Pointer:
		return "pointer"
	default:
		return t.String()
	}
}

// Upstream v1.2.10 generates code that does not compile.
func TestNameCollisions(t *testing.T) {
	const stream = "client_streaming: true"
	do := method("Do", ".p.M", stream)
	for _, test := range []struct {
		name, text string
		want       []string
	}{
		{
			name: "methods",
			text: service("S", method("do_it", ".p.M", ""), method("DoIt", ".p.M", stream)),
			want: []string{"method p.S.DoIt needs the Go name DoIt, which method p.S.do_it has (m.proto)"},
		},
		{
			name: "services",
			text: service("s_t") + service("ST"),
			want: []string{
				"service p.ST needs the Go name STService, which service p.s_t has (m.proto)",
				"service p.ST needs the Go name RegisterSTService, which service p.s_t has (m.proto)",
				"service p.ST needs the Go name NewSTClient, which service p.s_t has (m.proto)",
			},
		},
		{
			name: "service and its client's function",
			text: service("NewS", do) + service("S"),
			want: []string{"service p.S needs the Go name NewSClient, which service p.NewS has (m.proto)"},
		},
		{
			name: "streams",
			text: service("A_B", method("C", ".p.M", stream)) + service("A", method("B_C", ".p.M", stream)),
			want: []string{
				"method p.A.B_C needs the Go name A_B_CServer, which method p.A_B.C has (m.proto)",
				"method p.A.B_C needs the Go name A_B_CClient, which method p.A_B.C has (m.proto)",
			},
		},
		{
			name: "service and message",
			text: service("S") + message("SService"),
			want: []string{"service p.S needs the Go name SService, which message p.SService has (m.proto)"},
		},
		{
			name: "service and enum",
			text: service("S", do) + `enum_type { name: "SClient" value { name: "ZERO" number: 0 } }`,
			want: []string{"service p.S needs the Go name SClient, which enum p.SClient has (m.proto)"},
		},
		{
			name: "service and enum value",
			text: service("A_B") + `enum_type { name: "A" value { name: "BService" number: 0 } }`,
			want: []string{"service p.A_B needs the Go name A_BService, which enum value p.BService has (m.proto)"},
		},
		{
			name: "service and extension",
			text: service("E_Foo") + `extension { name: "foo_service" number: 100 extendee: ".p.M" type: TYPE_BOOL label: LABEL_OPTIONAL }`,
			want: []string{"service p.E_Foo needs the Go name E_FooService, which extension p.foo_service has (m.proto)"},
		},
		{
			name: "stream and nested message",
			text: service("S", do) + `message_type { name: "S_" nested_type { name: "DoServer" } } message_type { name: "S_DoServer" }`,
			want: []string{"method p.S.Do needs the Go name S_DoServer, which message p.S_DoServer has (m.proto)"},
		},
		{
			name: "stream and field of a oneof",
			text: service("s", do) + `message_type { name: "S" oneof_decl { name: "x" } field { name: "do_client" number: 1 type: TYPE_BOOL label: LABEL_OPTIONAL oneof_index: 0 } }`,
			want: []string{"method p.s.Do needs the Go name S_DoClient, which field p.S.do_client has (m.proto)"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			response := runPlugin(t, requestFor(t, `
				name: "m.proto" package: "p" options { go_package: "example.com/p" }
				message_type { name: "M" extension_range { start: 100 end: 200 } }`+test.text))
			for i := range test.want {
				test.want[i] = "m.proto: " + test.want[i]
			}
			require.Equal(t, strings.Join(test.want, "\n"), response.GetError())
			require.Empty(t, response.GetFile())
		})
	}
}

// The places are those in the .proto files. Every problem of every Go package is
// told at once.
func TestNameCollisionsAcrossFiles(t *testing.T) {
	at := func(line int, path string) string {
		return fmt.Sprintf("source_code_info { location { path: [%s] span: [%d, 2, 10] } }", path, line-1)
	}
	response := runPlugin(t, requestFor(t,
		onePackage("one", service("s_t"), at(7, "6, 0")),
		onePackage("two", service("ST"), at(11, "6, 0")),
		onePackage("three", message("M"), service("STService"), service("T", method("Do", ".three.M", "server_streaming: true")), at(5, "6, 1, 2, 0")),
		onePackage("four", message("T_DoServer"), at(3, "4, 0")),
		`name: "a.proto" package: "a" options { go_package: "example.com/a" } `+service("S")+message("NewSClient"),
	))
	require.Equal(t, strings.Join([]string{
		"a.proto: service a.S needs the Go name NewSClient, which message a.NewSClient has (a.proto)",
		"two.proto:11:3: service two.ST needs the Go name STService, which service one.s_t has (one.proto:7:3)",
		"two.proto:11:3: service two.ST needs the Go name RegisterSTService, which service one.s_t has (one.proto:7:3)",
		"two.proto:11:3: service two.ST needs the Go name NewSTClient, which service one.s_t has (one.proto:7:3)",
		"three.proto:5:3: method three.T.Do needs the Go name T_DoServer, which message four.T_DoServer has (four.proto:3:3)",
	}, "\n"), response.GetError())
	require.Empty(t, response.GetFile())
}

// A file that is imported, and is of the same Go package, has names, too.
func TestNameCollisionsWithImports(t *testing.T) {
	request := requestFor(t, onePackage("one", message("SService")), onePackage("two", `dependency: "one.proto"`, service("S")))
	request.FileToGenerate = []string{"two.proto"}
	require.Equal(t, "two.proto: service two.S needs the Go name SService, which message one.SService has (one.proto)",
		runPlugin(t, request).GetError())
}

// protoc-gen-go declares aliases of what a file imports publicly, and of what that
// does.
func TestNamesImportedPublicly(t *testing.T) {
	other := func(texts ...string) string {
		return `name: "o.proto" package: "o" options { go_package: "example.com/o" } ` + strings.Join(texts, " ")
	}
	const between = `name: "b.proto" package: "b" options { go_package: "example.com/b" } dependency: "o.proto" public_dependency: 0`
	public := onePackage("p", `dependency: "b.proto" public_dependency: 0`, service("S", method("Do", ".o.M", "")))

	t.Run("what is new gives way", func(t *testing.T) {
		scope := requireCompiles(t, requestFor(t,
			other(message("M"), message("UnimplementedSService"), `message_type { name: "S" nested_type { name: "Do_FullMethodName" } }`),
			between, public))["example.com/p"].Scope()
		require.NotNil(t, scope.Lookup("UnimplementedSService_"))
		require.NotNil(t, scope.Lookup("S_Do_FullMethodName_"))
	})
	t.Run("collision", func(t *testing.T) {
		require.Equal(t, "p.proto: service p.S needs the Go name SService, which message o.SService has (o.proto)",
			runPlugin(t, requestFor(t, other(message("M"), message("SService")), between, public)).GetError())
	})
}

// A field that is merely optional has no type of its own, whatever its oneof is
// called: here v1.2.10 generates what compiles.
func TestOptionalFieldsDoNotCollide(t *testing.T) {
	requireCompiles(t, requestFor(t, `
		name: "m.proto" package: "p" syntax: "proto3" options { go_package: "example.com/p" }
		message_type {
			name: "S" oneof_decl { name: "_do_server" }
			field { name: "do_server" number: 1 type: TYPE_BOOL label: LABEL_OPTIONAL oneof_index: 0 proto3_optional: true }
		}`+service("s", method("Do", ".p.S", "server_streaming: true"))))
}

// In the opaque API, that of edition 2024, the types of a oneof's fields are not
// exported.
func TestFieldsOfTheOpaqueAPIDoNotCollide(t *testing.T) {
	requireCompiles(t, requestFor(t, `
		name: "m.proto" package: "p" syntax: "editions" edition: EDITION_2024 options { go_package: "example.com/p" }
		message_type {
			name: "S" oneof_decl { name: "x" }
			field { name: "do_server" number: 1 type: TYPE_BOOL label: LABEL_OPTIONAL oneof_index: 0 }
		}`+service("s", method("Do", ".p.S", "server_streaming: true"))))
}
