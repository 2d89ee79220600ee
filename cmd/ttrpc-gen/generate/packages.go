// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package generate

import (
	"cmp"
	"fmt"
	"go/token"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"unicode"

	"github.com/containerd/ttrpc/internal/stubgen"
	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/types/descriptorpb"
)

// A goPackage is the Go package of a .proto file, as its option go_package or
// Options.Packages has it.
type goPackage struct {
	path string // the import path
	name string // made from the path if it is not given
}

// goPackageOf returns the Go package of a file.
func (p *Program) goPackageOf(file *descriptorpb.FileDescriptorProto) goPackage {
	optionPath, optionName, _ := strings.Cut(file.GetOptions().GetGoPackage(), ";")
	mappedPath, mappedName, _ := strings.Cut(p.opts.Packages[file.GetName()], ";")
	// protoc-gen-go has these rules.
	return goPackage{
		path: cmp.Or(mappedPath, optionPath),
		name: cmp.Or(mappedName, optionName, derivedName(cmp.Or(optionPath, mappedPath))),
	}
}

// derivedName returns the name of a package that gives none, but has an import
// path.
func derivedName(importPath string) string {
	name := strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return r
		}
		return '_'
	}, path.Base(importPath))
	if token.IsIdentifier(name) && !strings.HasPrefix(name, "_") {
		return name
	}
	return "_" + name
}

// validate reports what keeps code from being generated for the package.
func (g goPackage) validate() error {
	switch {
	case !strings.ContainsAny(g.path, "./"):
		return fmt.Errorf("%q is no import path: it has neither a dot nor a slash", g.path)
	case strings.ContainsFunc(g.path, notInImportPath):
		return fmt.Errorf("%q is no import path", g.path)
	case !token.IsIdentifier(g.name) || g.name == "_":
		return fmt.Errorf("%q cannot be the name of a package", g.name)
	}
	return nil
}

// importable tells whether Go accepts an import of the package. One that is not,
// such as "./api" or "example.com/api/", may be generated all the same: many use
// it to say where a file goes.
func (g goPackage) importable() bool {
	return path.Clean(g.path) == g.path && g.path != "." && filepath.IsLocal(g.path)
}

// notInImportPath tells whether Go accepts no import path with r.
func notInImportPath(r rune) bool {
	return !unicode.IsGraphic(r) || unicode.IsSpace(r) || strings.ContainsRune("!\"#$%&'()*,:;<=>?[\\]^`{|}\uFFFD", r)
}

// checkPackages reports the files whose Go package is not known, or not a
// possible one, and Go packages of two names.
func (p *Program) checkPackages() error {
	var problems []problem
	first := make(map[string]*descriptorpb.FileDescriptorProto) // by import path
	for _, file := range p.neededFiles() {
		pkg := p.goPackageOf(file)
		if pkg.path == "" {
			problems = append(problems, p.withoutPackage(file)...)
			continue
		}
		if err := pkg.validate(); err != nil {
			problems = append(problems, p.packageProblem(file, err.Error()))
			continue
		}
		earlier := first[pkg.path]
		if earlier == nil {
			first[pkg.path] = file
		} else if name := p.goPackageOf(earlier).name; name != pkg.name {
			problems = append(problems, p.packageProblem(file, fmt.Sprintf("%q has the name %s here, and %s in %s",
				pkg.path, pkg.name, name, p.sources.path(earlier.GetName()))))
		}
	}
	return p.sources.failure(append(problems, p.checkImportable()...))
}

// checkImportable reports the Go packages that the generated code would import,
// and Go does not.
func (p *Program) checkImportable() []problem {
	files := make(map[string]*descriptorpb.FileDescriptorProto)
	for _, file := range p.files {
		files[file.GetName()] = file
	}
	var problems []problem
	reported := make(map[string]bool)
	for _, file := range p.files {
		if !p.wanted(file) {
			continue
		}
		for _, name := range file.GetDependency() {
			pkg := p.goPackageOf(files[name])
			if pkg.path == p.goPackageOf(file).path || pkg.path == "" || pkg.importable() || reported[name] {
				continue
			}
			reported[name] = true
			problems = append(problems, p.packageProblem(files[name], fmt.Sprintf("%q is no import path, and the code of %s would import it",
				pkg.path, p.sources.path(file.GetName()))))
		}
	}
	return problems
}

// packageProblem returns a problem of what gives a file its Go package.
func (p *Program) packageProblem(file *descriptorpb.FileDescriptorProto, text string) problem {
	if p.opts.Packages[file.GetName()] != "" {
		return problemIn(file, "M: "+text)
	}
	return problemIn(file, "go_package: "+text, optionsField, goPackageField)
}

// neededFiles returns the files that were asked for, and those that the generated
// code may need the package of: all they import, except for its options alone.
func (p *Program) neededFiles() []*descriptorpb.FileDescriptorProto {
	needed := make(map[string]bool)
	for _, name := range p.names() {
		needed[name] = true
	}
	var files []*descriptorpb.FileDescriptorProto
	for _, file := range slices.Backward(p.files) { // before what they import
		if !needed[file.GetName()] {
			continue
		}
		files = append(files, file)
		for _, name := range file.GetDependency() {
			needed[name] = true
		}
	}
	slices.Reverse(files)
	return files
}

// withoutPackage returns the problems of a file that has no Go package: its own,
// or those of the files that import it.
func (p *Program) withoutPackage(file *descriptorpb.FileDescriptorProto) []problem {
	name := file.GetName()
	if p.wanted(file) {
		return []problem{problemIn(file, `no go_package option: add option go_package = "import/path";`, packageField)}
	}
	var problems []problem
	for _, importing := range p.neededFiles() {
		if i := slices.Index(importing.GetDependency(), name); i >= 0 {
			problems = append(problems, problemIn(importing, fmt.Sprintf("imported file %s has no go_package option", name), dependencyField, int32(i)))
		}
	}
	return problems
}

// wanted tells whether code is to be generated for a file.
func (p *Program) wanted(file *descriptorpb.FileDescriptorProto) bool {
	return slices.Contains(p.names(), file.GetName())
}

// checkOutputs reports files that would be generated as one, or outside of the
// output directory.
func (p *Program) checkOutputs(plugin *protogen.Plugin) error {
	var problems []problem
	first := make(map[string]*protogen.File) // by the generated file's name
	for _, file := range plugin.Files {
		if !file.Generate {
			continue
		}
		if problem := p.checkPlace(file); problem != "" {
			problems = append(problems, problemIn(file.Proto, problem, optionsField, goPackageField))
			continue
		}
		for _, output := range outputs(file) {
			earlier := first[output]
			if earlier == nil {
				first[output] = file
				continue
			}
			problems = append(problems, problemIn(file.Proto, fmt.Sprintf("code would be written to %s, as that of %s",
				output, p.sources.path(earlier.Desc.Path())), optionsField, goPackageField))
			break
		}
	}
	return p.sources.failure(problems)
}

// checkPlace returns what is wrong with the directory that a file's code goes to, by
// its import path, or "".
func (p *Program) checkPlace(file *protogen.File) string {
	name := outputs(file)[0]
	if p.opts.Module != "" && !strings.HasPrefix(name, p.opts.Module+"/") {
		return fmt.Sprintf("code would be written to %s, which does not lie in the module %s", name, p.opts.Module)
	}
	if !filepath.IsLocal(filepath.FromSlash(strings.TrimPrefix(name, "/"))) {
		return fmt.Sprintf("code would be written to %s, which does not lie below the output directory", name)
	}
	return ""
}

// outputs returns the names of what may be generated for a file.
func outputs(file *protogen.File) []string {
	names := []string{file.GeneratedFilenamePrefix + ".pb.go"}
	if len(file.Services) > 0 {
		names = append(names, file.GeneratedFilenamePrefix+stubgen.Suffix)
	}
	return names
}

// Field numbers of google.protobuf.FileDescriptorProto and FileOptions, as a
// source path has them.
const (
	packageField    = 2
	dependencyField = 3
	optionsField    = 8
	goPackageField  = 11
)

// problemIn returns a problem at a place of a file, or at its start if what is
// wrong is that it has no such place.
func problemIn(file *descriptorpb.FileDescriptorProto, text string, where ...int32) problem {
	for _, location := range file.GetSourceCodeInfo().GetLocation() {
		if slices.Equal(location.GetPath(), where) {
			return problem{file.GetName(), int(location.GetSpan()[0]) + 1, int(location.GetSpan()[1]) + 1, text}
		}
	}
	return problem{file.GetName(), 1, 1, text}
}
