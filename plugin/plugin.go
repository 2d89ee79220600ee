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
// methods are called as in the .proto file, even where that is not in CamelCase.
// Two kinds of methods are not as there. One that begins with a small letter,
// which no other package could implement, has its name in CamelCase. And one with
// a stream, which v1.2.8 took for a unary method, has its stream, and the name
// that protoc-gen-go-ttrpc gives it. Where two methods of a service would so have
// one name, they keep those of the .proto file. In addition, there are the types and
// constants that protoc-gen-go-ttrpc has.
//
// Where a Go name would be declared twice, the generator's response is an error
// that says where, and nothing is generated for services.
package plugin

import (
	"path"

	"github.com/containerd/ttrpc/internal/stubgen"
	"github.com/gogo/protobuf/proto"
	"github.com/gogo/protobuf/protoc-gen-gogo/generator"
)

func init() { generator.RegisterPlugin(new(ttrpc)) }

// name is what a parameter asks for the plugin by.
const name = "ttrpc"

// ttrpc is the plugin. Gogo's generator has one of it, and runs it in one
// goroutine: Init for all files, which are of one Go package, then Generate and
// GenerateImports for each file.
type ttrpc struct {
	// Since Init.
	gen   *generator.Generator
	files map[string]*stubgen.File // by path; only those with services
	names *stubgen.Package
}

// Name returns the name by which a parameter asks for the plugin.
func (t *ttrpc) Name() string { return name }

// Init reads the services of the files to generate, and gives names to what is
// generated for them.
func (t *ttrpc) Init(gen *generator.Generator) {
	t.gen = gen
	t.files = make(map[string]*stubgen.File)
	t.names = stubgen.NewPackage()
	for _, s := range declaring(gen) {
		s.declareTypes(t.names)
	}
	var files []*stubgen.File
	for _, s := range toGenerate(gen) {
		if len(s.GetService()) == 0 {
			continue
		}
		if runsGRPC(gen) {
			s.declareGRPC(t.names)
		}
		file := s.file()
		t.files[file.Path] = file
		files = append(files, file)
	}
	if err := t.names.AddServices(files); err != nil {
		gen.Response.Error = proto.String(err.Error())
		clear(t.files)
	}
}

// Generate writes the clients and servers of a file.
func (t *ttrpc) Generate(desc *generator.FileDescriptor) {
	file := t.files[desc.GetName()]
	if file == nil {
		return
	}
	for i, s := range desc.GetService() {
		for j, m := range s.GetMethod() {
			method := file.Services[i].Methods[j]
			method.Request = t.typeName(m.GetInputType())
			method.Response = t.typeName(m.GetOutputType())
		}
	}
	t.gen.P()
	t.gen.P("// Services by ", name, " ", stubgen.Version, ".")
	t.gen.P()
	stubgen.Write(output{t.gen, t.names}, file)
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
type output struct {
	*generator.Generator
	names *stubgen.Package
}

// Import imports a package, and returns its name in the file.
func (out output) Import(importPath string) string {
	// The generator knows which names it has given to imports in this file, but not
	// that enum values without a prefix may begin with a small letter. It is made to
	// give such a name away, to a package that it does not import.
	for _, name := range out.names.BeginningWith(path.Base(importPath)) {
		out.GoPackageName(generator.GoImportPath("declared/" + name))
	}
	return string(out.AddImport(generator.GoImportPath(importPath)))
}
