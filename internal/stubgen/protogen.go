// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package stubgen

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/gofeaturespb"
	"google.golang.org/protobuf/types/pluginpb"
)

// Suffix is what a generated file has in place of ".proto".
const Suffix = "_ttrpc.pb.go"

// What the generator can deal with, as it tells the compiler.
const (
	SupportedFeatures = uint64(pluginpb.CodeGeneratorResponse_FEATURE_PROTO3_OPTIONAL |
		pluginpb.CodeGeneratorResponse_FEATURE_SUPPORTS_EDITIONS)
	MinimumEdition = descriptorpb.Edition_EDITION_PROTO2
	MaximumEdition = descriptorpb.Edition_EDITION_2024
)

// Generate adds the stubs of each file that the plugin is asked to generate to
// the plugin's output. A file without services yields nothing.
func Generate(plugin *protogen.Plugin, options Options) error {
	plugin.SupportedFeatures = SupportedFeatures
	plugin.SupportedEditionsMinimum = MinimumEdition
	plugin.SupportedEditionsMaximum = MaximumEdition

	if err := options.validate(); err != nil {
		return err
	}
	var outputs []*output
	for _, source := range plugin.Files {
		if source.Generate && len(source.Services) > 0 {
			outputs = append(outputs, newOutput(plugin, source, options))
		}
	}
	if err := nameAll(plugin, outputs); err != nil {
		return err
	}
	for _, out := range outputs {
		out.header(compilerVersion(plugin.Request.GetCompilerVersion()))
		Write(out, out.file)
	}
	return nil
}

// nameAll gives names to what is generated for the services, in each Go package.
func nameAll(plugin *protogen.Plugin, outputs []*output) error {
	packages := make(map[protogen.GoImportPath]*Package)
	files := make(map[protogen.GoImportPath][]*File)
	for _, source := range plugin.Files {
		p := packages[source.GoImportPath]
		if p == nil {
			p = NewPackage()
			packages[source.GoImportPath] = p
		}
		declareFile(p, source)
		for _, imported := range publicImports(plugin, source) {
			declareFile(p, imported) // protoc-gen-go declares aliases of all that it has
		}
	}
	for _, out := range outputs {
		path := out.source.GoImportPath
		files[path] = append(files[path], out.file)
	}
	var problems []error
	for _, path := range slices.Sorted(maps.Keys(files)) {
		problems = append(problems, packages[path].AddServices(files[path]))
	}
	return errors.Join(problems...)
}

// publicImports returns the files that source imports publicly, and those that
// they do.
func publicImports(plugin *protogen.Plugin, source *protogen.File) []*protogen.File {
	var imported []*protogen.File
	imports := source.Desc.Imports()
	for i := range imports.Len() {
		if imports.Get(i).IsPublic {
			file := plugin.FilesByPath[imports.Get(i).Path()]
			imported = append(append(imported, file), publicImports(plugin, file)...)
		}
	}
	return imported
}

// declareFile declares what protoc-gen-go exports for a file, as far as the names
// for a service could be the same.
func declareFile(p *Package, source *protogen.File) {
	declareTypes(p, source, source.Messages, source.Enums)
	declareExtensions(p, source, source.Extensions)
}

// declareTypes declares messages and enums, and what lies in them.
func declareTypes(p *Package, source *protogen.File, messages []*protogen.Message, enums []*protogen.Enum) {
	for _, e := range enums {
		p.DeclareOther(e.GoIdent.GoName, "enum "+string(e.Desc.FullName()), place(source, e.Location))
		for _, v := range e.Values {
			p.DeclareOther(v.GoIdent.GoName, "enum value "+string(v.Desc.FullName()), place(source, v.Location))
		}
	}
	for _, m := range messages {
		p.DeclareOther(m.GoIdent.GoName, "message "+string(m.Desc.FullName()), place(source, m.Location))
		for _, field := range m.Fields {
			what := "field " + string(field.Desc.FullName())
			if hasType(field) {
				p.DeclareOther(field.GoIdent.GoName, what, place(source, field.Location))
			}
			if field.Desc.HasDefault() {
				p.DeclareOther("Default_"+m.GoIdent.GoName+"_"+field.GoName, what, place(source, field.Location))
			}
		}
		declareExtensions(p, source, m.Extensions)
		declareTypes(p, source, m.Messages, m.Enums)
	}
}

// declareExtensions declares the variables for extensions.
func declareExtensions(p *Package, source *protogen.File, extensions []*protogen.Extension) {
	for _, x := range extensions {
		p.DeclareOther("E_"+x.GoIdent.GoName, "extension "+string(x.Desc.FullName()), place(source, x.Location))
	}
}

// hasType tells whether there is an exported Go type for the field alone: there
// is for one in a oneof, but not for one that is merely optional, which has a
// oneof that nobody wrote, and not in the opaque API.
func hasType(field *protogen.Field) bool {
	return field.Oneof != nil && !field.Oneof.Desc.IsSynthetic() &&
		field.Parent.APILevel != gofeaturespb.GoFeatures_API_OPAQUE
}

// An output is a generated file of a plugin of protoc, with what it is
// generated from.
type output struct {
	*protogen.GeneratedFile
	source *protogen.File
	file   *File
}

// newOutput begins the file that is generated for source.
func newOutput(plugin *protogen.Plugin, source *protogen.File, options Options) *output {
	out := &output{
		GeneratedFile: plugin.NewGeneratedFile(source.GeneratedFilenamePrefix+Suffix, source.GoImportPath),
		source:        source,
		file:          &File{Path: source.Desc.Path()},
	}
	for _, s := range source.Services {
		out.file.Services = append(out.file.Services, out.service(s, options.Prefix))
	}
	return out
}

// Import imports a package, and returns its name in the file.
func (out *output) Import(path string) string {
	return packageOf(out.QualifiedGoIdent(protogen.GoImportPath(path).Ident("X")))
}

// service returns what there is to know of a service.
func (out *output) service(s *protogen.Service, prefix string) *Service {
	options, _ := s.Desc.Options().(*descriptorpb.ServiceOptions)
	service := &Service{
		Name:     prefix + s.GoName,
		FullName: string(s.Desc.FullName()),
		Comments: comments(s.Comments, options.GetDeprecated()),
		Place:    place(out.source, s.Location),
	}
	for _, m := range s.Methods {
		service.Methods = append(service.Methods, out.method(m))
	}
	return service
}

// method returns what there is to know of a method, and imports the packages of
// its messages.
func (out *output) method(m *protogen.Method) *Method {
	options, _ := m.Desc.Options().(*descriptorpb.MethodOptions)
	return &Method{
		Name:          m.GoName,
		ProtoName:     string(m.Desc.Name()),
		Comments:      comments(m.Comments, options.GetDeprecated()),
		Place:         place(out.source, m.Location),
		Request:       out.QualifiedGoIdent(m.Input.GoIdent),
		Response:      out.QualifiedGoIdent(m.Output.GoIdent),
		ClientStreams: m.Desc.IsStreamingClient(),
		ServerStreams: m.Desc.IsStreamingServer(),
	}
}

// comments returns what the .proto file says of a declaration.
func comments(c protogen.CommentSet, deprecated bool) Comments {
	return Comments{Leading: string(c.Leading), Trailing: string(c.Trailing), Deprecated: deprecated}
}

// place returns a location in a .proto file as Place does.
func place(source *protogen.File, location protogen.Location) string {
	var span []int32
	if at := source.Desc.SourceLocations().ByPath(location.Path); at.Path != nil {
		span = []int32{int32(at.StartLine), int32(at.StartColumn)}
	}
	return Place(source.Desc.Path(), span)
}

// header writes what stands above the imports: the .proto file's own head, for
// the licence is in it, and what this file was made by and from.
func (out *output) header(compiler string) {
	for _, text := range headComments(out.source) {
		comment(out, text)
		out.P()
	}
	out.P("// Code generated by ", Name, ". DO NOT EDIT.")
	out.P("// versions:")
	out.P("// - ", Name, " ", Version)
	out.P("// - protoc ", compiler)
	out.P("// source: ", out.file.Path)
	if options, _ := out.source.Desc.Options().(*descriptorpb.FileOptions); options.GetDeprecated() {
		out.P("//")
		comment(out, "Deprecated: "+out.file.Path+" is a deprecated file.")
	}
	out.P()
	out.P("package ", out.source.GoPackageName)
}

// headComments returns the comments above the first statement of the .proto
// file, which is the one for its syntax or edition. These are their field
// numbers in google.protobuf.FileDescriptorProto.
func headComments(source *protogen.File) []string {
	const syntax, edition = 12, 14
	var texts []string
	for _, field := range []int32{syntax, edition} {
		statement := source.Desc.SourceLocations().ByPath(protoreflect.SourcePath{field})
		texts = append(texts, statement.LeadingDetachedComments...)
		texts = append(texts, statement.LeadingComments)
	}
	for i, text := range texts {
		texts[i] = tidy(text)
	}
	return slices.DeleteFunc(texts, func(text string) bool { return text == "" })
}

// compilerVersion returns how a file's header writes the version of protoc.
// Other compilers give none.
func compilerVersion(v *pluginpb.Version) string {
	if v == nil {
		return "(unknown)"
	}
	version := fmt.Sprintf("v%d.%d.%d", v.GetMajor(), v.GetMinor(), v.GetPatch())
	if v.GetSuffix() != "" {
		version += "-" + v.GetSuffix()
	}
	return version
}
