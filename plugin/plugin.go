// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

// Package plugin adds the plugin "ttrpc" to gogo's generator of Go code: with
// it, the clients and servers of ttrpc services are generated along with gogo's
// messages. It is for generators, which import it for its effect:
//
//	import _ "github.com/containerd/ttrpc/plugin"
//
// The plugin runs where the parameter of the generator asks for it, as in
// plugins=ttrpc. protoc-gen-gogottrpc is such a generator.
//
// What it generates has the names that the plugin of v1.2.8 gives: services and
// methods are called as in the .proto file, even where that is not in CamelCase;
// only a method that begins with a small letter, which no other package could
// implement, gets its name in CamelCase. In addition to those, there are the
// types and constants that protoc-gen-go-ttrpc has, and methods with streams
// have their streams: v1.2.8 took them for unary methods.
package plugin

import (
	"fmt"
	"go/token"
	"slices"
	"strings"

	"github.com/containerd/ttrpc/internal/stubgen"
	"github.com/gogo/protobuf/protoc-gen-gogo/descriptor"
	"github.com/gogo/protobuf/protoc-gen-gogo/generator"
)

func init() { generator.RegisterPlugin(&ttrpc{name: "ttrpc"}) }

// ttrpc is the plugin. Gogo's generator has one of it, and runs it in one
// goroutine: Init for all files, which are of one Go package, then Generate and
// GenerateImports for each file.
type ttrpc struct {
	name string

	// Since Init.
	gen   *generator.Generator
	files map[string]*stubgen.File // by path; only those with services
}

// Name returns the name by which a parameter asks for the plugin.
func (t *ttrpc) Name() string { return t.name }

// Init reads the services of all files, and gives names to what is generated
// for them. A name that would be declared twice ends the program, which is how
// gogo's generator reports errors.
func (t *ttrpc) Init(gen *generator.Generator) {
	t.gen = gen
	t.files = make(map[string]*stubgen.File)
	p := stubgen.NewPackage()
	var files []*stubgen.File
	for _, source := range sources(gen) {
		source.declareTypes(p)
		if len(source.GetService()) == 0 {
			continue
		}
		file := source.file()
		t.files[file.Path] = file
		files = append(files, file)
	}
	if err := p.AddServices(files); err != nil {
		gen.Fail(err.Error())
	}
}

// Generate writes the clients and servers of a file.
func (t *ttrpc) Generate(source *generator.FileDescriptor) {
	file := t.files[source.GetName()]
	if file == nil {
		return
	}
	for i, s := range source.GetService() {
		for j, m := range s.GetMethod() {
			method := file.Services[i].Methods[j]
			method.Request = t.typeName(m.GetInputType())
			method.Response = t.typeName(m.GetOutputType())
		}
	}
	t.gen.P()
	t.gen.P("// Services by ", t.name, " ", stubgen.Version, ".")
	t.gen.P()
	stubgen.Write(output{t.gen}, file)
}

// GenerateImports does nothing: the generator itself writes the imports that it
// was told of, and it was told of all.
func (t *ttrpc) GenerateImports(*generator.FileDescriptor) {}

// typeName returns a message's type as the file that is being generated has to
// write it, and has its package imported.
func (t *ttrpc) typeName(message string) string {
	t.gen.RecordTypeUse(message)
	return t.gen.TypeName(t.gen.ObjectNamed(message))
}

// An output is the file that is being generated.
type output struct{ *generator.Generator }

// Import imports a package, and returns its name in the file.
func (out output) Import(path string) string {
	return string(out.AddImport(generator.GoImportPath(path)))
}

// A source is a .proto file to generate code for.
type source struct{ *descriptor.FileDescriptorProto }

// sources returns the files that gen is to generate code for.
func sources(gen *generator.Generator) []source {
	wanted := make(map[string]bool)
	for _, name := range gen.Request.GetFileToGenerate() {
		wanted[name] = true
	}
	var found []source
	for _, file := range gen.Request.GetProtoFile() {
		if wanted[file.GetName()] {
			found = append(found, source{file})
		}
	}
	return found
}

// Field numbers in google.protobuf's descriptors, as the path of a place has them.
const (
	messageField = 4 // of FileDescriptorProto
	enumField    = 5 // of FileDescriptorProto
	serviceField = 6 // of FileDescriptorProto
	methodField  = 2 // of ServiceDescriptorProto
	nestedField  = 3 // of DescriptorProto
	nestedEnum   = 4 // of DescriptorProto
)

// declareTypes declares the messages and enums that s generates.
func (s source) declareTypes(p *stubgen.Package) {
	s.declareEnums(p, nil, s.GetEnumType(), []int32{enumField})
	s.declareMessages(p, nil, s.GetMessageType(), []int32{messageField})
}

// declareMessages declares messages, and what lies in them. Their names follow
// those of outer; at is where they stand, up to the number of each.
func (s source) declareMessages(p *stubgen.Package, outer []string, messages []*descriptor.DescriptorProto, at []int32) {
	for i, m := range messages {
		name, at := join(outer, m.GetName()), join(at, int32(i))
		p.DeclareType(generator.CamelCaseSlice(name), "message "+s.fullName(name...), s.place(at))
		s.declareEnums(p, name, m.GetEnumType(), join(at, nestedEnum))
		s.declareMessages(p, name, m.GetNestedType(), join(at, nestedField))
	}
}

// declareEnums declares enums, as declareMessages does messages.
func (s source) declareEnums(p *stubgen.Package, outer []string, enums []*descriptor.EnumDescriptorProto, at []int32) {
	for i, e := range enums {
		name, at := join(outer, e.GetName()), join(at, int32(i))
		p.DeclareType(generator.CamelCaseSlice(name), "enum "+s.fullName(name...), s.place(at))
	}
}

// join returns a copy of list with one more element.
func join[T any](list []T, last T) []T { return append(list[:len(list):len(list)], last) }

// fullName returns the name of something in s with the package.
func (s source) fullName(names ...string) string {
	name := strings.Join(names, ".")
	if s.GetPackage() == "" {
		return name
	}
	return s.GetPackage() + "." + name
}

// file returns what there is to know of s, but for the types of the messages,
// whose names depend on the file that they are generated into.
func (s source) file() *stubgen.File {
	file := &stubgen.File{Path: s.GetName()}
	for i, desc := range s.GetService() {
		at := []int32{serviceField, int32(i)}
		service := &stubgen.Service{
			Name:     desc.GetName(),
			FullName: s.fullName(desc.GetName()),
			Comments: s.comments(at, desc.GetOptions().GetDeprecated()),
			Place:    s.place(at),
		}
		for j, m := range desc.GetMethod() {
			service.Methods = append(service.Methods, s.method(m, join(join(at, methodField), int32(j))))
		}
		file.Services = append(file.Services, service)
	}
	return file
}

// method returns what there is to know of a method.
func (s source) method(desc *descriptor.MethodDescriptorProto, at []int32) *stubgen.Method {
	return &stubgen.Method{
		Name:          methodName(desc.GetName()),
		ProtoName:     desc.GetName(),
		Comments:      s.comments(at, desc.GetOptions().GetDeprecated()),
		Place:         s.place(at),
		ClientStreams: desc.GetClientStreaming(),
		ServerStreams: desc.GetServerStreaming(),
	}
}

// methodName returns the name in Go of a method.
func methodName(inProto string) string {
	if token.IsExported(inProto) {
		return inProto
	}
	return generator.CamelCase(inProto)
}

// comments returns what the .proto file says of what stands at a path.
func (s source) comments(at []int32, deprecated bool) stubgen.Comments {
	location := s.location(at)
	return stubgen.Comments{
		Leading:    location.GetLeadingComments(),
		Trailing:   location.GetTrailingComments(),
		Deprecated: deprecated,
	}
}

// place returns a path in s as file:line:column.
func (s source) place(at []int32) string {
	line, column := 0, 0
	if span := s.location(at).GetSpan(); len(span) >= 2 {
		line, column = int(span[0]), int(span[1])
	}
	return fmt.Sprintf("%s:%d:%d", s.GetName(), line+1, column+1)
}

// location returns what is known of a path's place in s: nil, if nothing.
func (s source) location(at []int32) *descriptor.SourceCodeInfo_Location {
	for _, location := range s.GetSourceCodeInfo().GetLocation() {
		if slices.Equal(location.GetPath(), at) {
			return location
		}
	}
	return nil
}
