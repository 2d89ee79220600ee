// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"fmt"
	"go/token"
	"slices"
	"strings"

	"github.com/containerd/ttrpc/internal/stubgen"
	"github.com/gogo/protobuf/gogoproto"
	"github.com/gogo/protobuf/protoc-gen-gogo/descriptor"
	"github.com/gogo/protobuf/protoc-gen-gogo/generator"
)

// A source is a .proto file, as the compiler describes it.
type source struct {
	*descriptor.FileDescriptorProto

	// locations are the places in the file and the comments there, by the path
	// that leads to what stands there.
	locations map[string]*descriptor.SourceCodeInfo_Location
}

func newSource(desc *descriptor.FileDescriptorProto) source {
	s := source{desc, make(map[string]*descriptor.SourceCodeInfo_Location)}
	for _, location := range desc.GetSourceCodeInfo().GetLocation() {
		s.locations[fmt.Sprint(location.GetPath())] = location
	}
	return s
}

// toGenerate returns the files that gen is to generate code for.
func toGenerate(gen *generator.Generator) []source {
	return filesOf(gen, func(file *descriptor.FileDescriptorProto) bool {
		return slices.Contains(gen.Request.GetFileToGenerate(), file.GetName())
	})
}

// declaring returns the files whose types the generated Go package declares:
// those of the package, and those that files to generate import publicly, of
// whose types it declares aliases.
func declaring(gen *generator.Generator) []source {
	public := make(map[string]bool)
	for _, s := range toGenerate(gen) {
		for _, i := range s.GetPublicDependency() {
			public[s.GetDependency()[i]] = true
		}
	}
	return filesOf(gen, func(file *descriptor.FileDescriptorProto) bool {
		return public[file.GetName()] || inPackage(gen, file)
	})
}

// filesOf returns the files that gen was given and that are wanted.
func filesOf(gen *generator.Generator, wanted func(*descriptor.FileDescriptorProto) bool) []source {
	var found []source
	for _, file := range gen.Request.GetProtoFile() {
		if wanted(file) {
			found = append(found, newSource(file))
		}
	}
	return found
}

// inPackage tells whether the types of a file, if it has any, are in the
// generated Go package.
func inPackage(gen *generator.Generator, file *descriptor.FileDescriptorProto) bool {
	s := source{FileDescriptorProto: file}
	var names []string
	for _, m := range file.GetMessageType() {
		names = append(names, m.GetName())
	}
	for _, e := range file.GetEnumType() {
		names = append(names, e.GetName())
	}
	if len(names) == 0 {
		return false
	}
	// Gogo's generator writes such a type without a package.
	return gen.DefaultPackageName(gen.ObjectNamed("."+s.fullName(names[0]))) == ""
}

// runsGRPC tells whether gen generates gRPC's clients and servers, too. It runs
// all plugins if the parameter has an empty list of them.
func runsGRPC(gen *generator.Generator) bool {
	plugins, given := gen.Param["plugins"]
	return given && (plugins == "" || slices.Contains(strings.Split(plugins, "+"), "grpc"))
}

// declareTypes declares what gogo's generator exports for the messages, enums and
// extensions of s, as far as the names for a service could be the same.
func (s source) declareTypes(p *stubgen.Package) {
	s.declareEnums(p, nil, s.GetEnumType(), []int32{stubgen.EnumField})
	s.declareMessages(p, nil, s.GetMessageType(), []int32{stubgen.MessageField})
	s.declareExtensions(p, nil, s.GetExtension(), []int32{stubgen.ExtField})
}

// declareMessages declares messages, and what lies in them. Their names follow
// those of outer; at is where they stand, up to the number of each.
func (s source) declareMessages(p *stubgen.Package, outer []string, messages []*descriptor.DescriptorProto, at []int32) {
	for i, m := range messages {
		name, at := join(outer, m.GetName()), join(at, int32(i))
		p.DeclareOther(generator.CamelCaseSlice(name), "message "+s.fullName(name...), s.place(at))
		s.declareFields(p, name, m.GetField(), join(at, stubgen.FieldField))
		s.declareEnums(p, name, m.GetEnumType(), join(at, stubgen.NestedEnumField))
		s.declareMessages(p, name, m.GetNestedType(), join(at, stubgen.NestedField))
		s.declareExtensions(p, name, m.GetExtension(), join(at, stubgen.NestedExtField))
	}
}

// declareFields declares the types of fields that are in a oneof, and the
// constants of those with a default, as declareMessages does messages.
func (s source) declareFields(p *stubgen.Package, message []string, fields []*descriptor.FieldDescriptorProto, at []int32) {
	for i, field := range fields {
		what, place := "field "+s.fullName(join(message, field.GetName())...), s.place(join(at, int32(i)))
		if field.OneofIndex != nil {
			p.DeclareOther(generator.CamelCaseSlice(message)+"_"+fieldName(field), what, place)
		}
		if field.DefaultValue != nil {
			p.DeclareOther("Default_"+generator.CamelCaseSlice(message)+"_"+fieldName(field), what, place)
		}
	}
}

// declareExtensions declares the variables for extensions, as declareMessages
// does messages.
func (s source) declareExtensions(p *stubgen.Package, outer []string, extensions []*descriptor.FieldDescriptorProto, at []int32) {
	for i, x := range extensions {
		name := "E"
		for _, part := range join(outer, x.GetName()) {
			name += "_" + generator.CamelCase(part)
		}
		p.DeclareOther(name, "extension "+s.fullName(join(outer, x.GetName())...), s.place(join(at, int32(i))))
	}
}

// declareEnums declares enums and their values, as declareMessages does messages.
func (s source) declareEnums(p *stubgen.Package, outer []string, enums []*descriptor.EnumDescriptorProto, at []int32) {
	for i, e := range enums {
		name, at := enumName(e), join(at, int32(i))
		p.DeclareOther(generator.CamelCaseSlice(join(outer, name)), "enum "+s.fullName(join(outer, e.GetName())...), s.place(at))
		for j, value := range e.GetValue() {
			p.DeclareOther(s.valuePrefix(e, outer)+valueName(value),
				"enum value "+s.fullName(join(outer, value.GetName())...), s.place(join(join(at, stubgen.ValueField), int32(j))))
		}
	}
}

// valuePrefix returns what stands before the names of the values of an enum.
func (s source) valuePrefix(e *descriptor.EnumDescriptorProto, outer []string) string {
	switch {
	case !gogoproto.EnabledGoEnumPrefix(s.FileDescriptorProto, e):
		return ""
	case len(outer) > 0:
		return generator.CamelCaseSlice(outer) + "_"
	default:
		return generator.CamelCase(enumName(e)) + "_"
	}
}

// enumName, valueName and fieldName return names as gogo's options may have
// changed them.

func enumName(e *descriptor.EnumDescriptorProto) string {
	if gogoproto.IsEnumCustomName(e) {
		return gogoproto.GetEnumCustomName(e)
	}
	return e.GetName()
}

func valueName(value *descriptor.EnumValueDescriptorProto) string {
	if gogoproto.IsEnumValueCustomName(value) {
		return gogoproto.GetEnumValueCustomName(value)
	}
	return value.GetName()
}

func fieldName(field *descriptor.FieldDescriptorProto) string {
	if gogoproto.IsCustomName(field) {
		return gogoproto.GetCustomName(field)
	}
	return generator.CamelCase(field.GetName())
}

// declareGRPC declares the name that gRPC's plugin takes from every service.
func (s source) declareGRPC(p *stubgen.Package) {
	for i, service := range s.GetService() {
		p.DeclareOther("New"+generator.CamelCase(service.GetName())+"Client",
			"the plugin grpc for service "+s.fullName(service.GetName()), s.place([]int32{stubgen.ServiceField, int32(i)}))
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
		at := []int32{stubgen.ServiceField, int32(i)}
		service := &stubgen.Service{
			Name:     desc.GetName(),
			FullName: s.fullName(desc.GetName()),
			Comments: s.comments(at, desc.GetOptions().GetDeprecated()),
			Place:    s.place(at),
		}
		namesakes := make(map[string]int)
		for _, m := range desc.GetMethod() {
			namesakes[methodName(m)]++
		}
		for j, m := range desc.GetMethod() {
			method := s.method(m, join(join(at, stubgen.MethodField), int32(j)))
			if namesakes[method.Name] > 1 {
				method.Name = method.ProtoName // as upstream has it
			}
			service.Methods = append(service.Methods, method)
		}
		file.Services = append(file.Services, service)
	}
	return file
}

// method returns what there is to know of a method.
func (s source) method(desc *descriptor.MethodDescriptorProto, at []int32) *stubgen.Method {
	return &stubgen.Method{
		Name:          methodName(desc),
		ProtoName:     desc.GetName(),
		Comments:      s.comments(at, desc.GetOptions().GetDeprecated()),
		Place:         s.place(at),
		ClientStreams: desc.GetClientStreaming(),
		ServerStreams: desc.GetServerStreaming(),
	}
}

// methodName returns the name in Go of a method: where upstream has it as a
// method that can be implemented, that of the .proto file.
//
// Streams are in CamelCase. It is by that name that the clients and servers of
// protoc-gen-go-ttrpc know them.
func methodName(desc *descriptor.MethodDescriptorProto) string {
	streams := desc.GetClientStreaming() || desc.GetServerStreaming()
	if !streams && token.IsExported(desc.GetName()) {
		return desc.GetName()
	}
	return generator.CamelCase(desc.GetName())
}

// comments returns what the .proto file says of what stands at a path.
func (s source) comments(at []int32, deprecated bool) stubgen.Comments {
	location := s.locations[fmt.Sprint(at)]
	return stubgen.Comments{
		Leading:    location.GetLeadingComments(),
		Trailing:   location.GetTrailingComments(),
		Deprecated: deprecated,
	}
}

// place returns a path in s as stubgen.Place does.
func (s source) place(at []int32) string {
	return stubgen.Place(s.GetName(), s.locations[fmt.Sprint(at)].GetSpan())
}
