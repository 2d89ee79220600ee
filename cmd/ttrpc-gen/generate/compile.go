// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package generate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/bufbuild/protocompile"
	"github.com/bufbuild/protocompile/linker"
	"github.com/bufbuild/protocompile/options"
	"github.com/bufbuild/protocompile/protoutil"
	"github.com/bufbuild/protocompile/reporter"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	// What a .proto file may import without having its source: linked here, and
	// found by linkedImport. google/protobuf/* comes with protocompile.
	_ "google.golang.org/genproto/googleapis/rpc/code"
	_ "google.golang.org/genproto/googleapis/rpc/errdetails"
	_ "google.golang.org/genproto/googleapis/rpc/status"
)

// A Program is a set of compiled .proto files.
type Program struct {
	// names are the files that were asked for, by the name under which other
	// files import them, in the order they were given.
	names []string
	// files holds those files and all that they import, each one after its
	// imports.
	files []*descriptorpb.FileDescriptorProto
}

// Compile compiles the given .proto files. A file is given by its path in the
// file system, which must lie under one of the import paths, or by the name
// under which others import it. No import path means the working directory.
//
// The error joins one error per problem found in the sources; each reads
// "file:line:column: message".
func Compile(ctx context.Context, importPaths, files []string) (*Program, error) {
	if len(importPaths) == 0 {
		importPaths = []string{"."}
	}
	names, err := importNames(importPaths, files)
	if err != nil {
		return nil, err
	}

	var problems []reporter.ErrorWithPos
	compiler := protocompile.Compiler{
		Resolver: protocompile.WithStandardImports(protocompile.CompositeResolver{
			sourceResolver(importPaths),
			protocompile.ResolverFunc(linkedImport),
		}),
		SourceInfoMode: protocompile.SourceInfoStandard,
		Reporter: reporter.NewReporter(func(err reporter.ErrorWithPos) error {
			problems = append(problems, err)
			return nil // keep going: report as many problems as there are
		}, nil),
	}
	linked, err := compiler.Compile(ctx, names...)
	if len(problems) > 0 {
		return nil, inOrder(problems)
	}
	if err != nil {
		return nil, err
	}

	ordered := importsFirst(linked)
	if err := checkGoPackages(names, ordered); err != nil {
		return nil, err
	}
	return newProgram(names, ordered)
}

// inOrder joins what is wrong in several files, which are compiled at once, in
// the order of their names and lines.
func inOrder(problems []reporter.ErrorWithPos) error {
	slices.SortStableFunc(problems, func(a, b reporter.ErrorWithPos) int {
		one, two := a.GetPosition(), b.GetPosition()
		return cmp.Or(cmp.Compare(one.Filename, two.Filename), cmp.Compare(one.Line, two.Line), cmp.Compare(one.Col, two.Col))
	})
	errs := make([]error, 0, len(problems))
	for _, p := range problems {
		errs = append(errs, p)
	}
	return errors.Join(errs...)
}

// newProgram makes a Program of files that stand after their imports.
func newProgram(names []string, ordered []protoreflect.FileDescriptor) (*Program, error) {
	p := &Program{names: names}
	for _, file := range ordered {
		descriptor := protoutil.ProtoFromFileDescriptor(file)
		if slices.Contains(names, file.Path()) {
			// What is for the eyes of compilers alone does not go into the
			// generated code; protoc leaves it out, too.
			var err error
			if descriptor, err = options.StripSourceRetentionOptionsFromFile(descriptor); err != nil {
				return nil, fmt.Errorf("%s: %w", file.Path(), err)
			}
		}
		p.files = append(p.files, descriptor)
	}
	return p, nil
}

// importsFirst returns the given files and all that they import, each file
// once, and after its imports.
func importsFirst(files linker.Files) []protoreflect.FileDescriptor {
	var ordered []protoreflect.FileDescriptor
	added := make(map[string]bool)
	var add func(protoreflect.FileDescriptor)
	add = func(file protoreflect.FileDescriptor) {
		if added[file.Path()] {
			return
		}
		added[file.Path()] = true
		for i := range file.Imports().Len() {
			add(file.Imports().Get(i).FileDescriptor)
		}
		ordered = append(ordered, file)
	}
	for _, file := range files {
		add(file)
	}
	return ordered
}

// DescriptorSet returns the compiled files and their imports with their
// positions and comments, each file after those it imports. The result shares
// memory with p: it must not be changed.
func (p *Program) DescriptorSet() *descriptorpb.FileDescriptorSet {
	return &descriptorpb.FileDescriptorSet{File: p.files}
}

// sourceResolver finds .proto sources under the import paths. It hides what the
// operating system says of a file that is not there behind one short error.
func sourceResolver(importPaths []string) protocompile.Resolver {
	source := &protocompile.SourceResolver{
		ImportPaths: importPaths,
		Accessor:    func(path string) (io.ReadCloser, error) { return os.Open(path) },
	}
	return protocompile.ResolverFunc(func(name string) (protocompile.SearchResult, error) {
		result, err := source.FindFileByPath(name)
		if errors.Is(err, os.ErrNotExist) {
			err = errors.New("file not found in any import path")
		}
		return result, err
	})
}

// linkedImport finds those of google's .proto files whose Go package is linked
// into this program.
func linkedImport(name string) (protocompile.SearchResult, error) {
	if !strings.HasPrefix(name, "google/") {
		return protocompile.SearchResult{}, protoregistry.NotFound
	}
	desc, err := protoregistry.GlobalFiles.FindFileByPath(name)
	return protocompile.SearchResult{Desc: desc}, err
}

// importNames returns the names under which others import the given files. An
// error says which file cannot have one, or has been given before.
func importNames(importPaths, files []string) ([]string, error) {
	if len(files) == 0 {
		return nil, errors.New("no .proto file given")
	}
	names := make([]string, 0, len(files))
	given := make(map[string]bool)
	for _, file := range files {
		name, err := importName(importPaths, file)
		if err != nil {
			return nil, err
		}
		if given[name] {
			return nil, fmt.Errorf("%s: file given twice", file)
		}
		given[name] = true
		names = append(names, name)
	}
	return names, nil
}

// importName returns the name under which others import file.
func importName(importPaths []string, file string) (string, error) {
	found, err := os.Stat(file)
	if err == nil && found.IsDir() {
		return "", fmt.Errorf("%s: is a directory, not a .proto file", file)
	}
	if err == nil {
		for _, dir := range importPaths {
			name, inside := relative(dir, file)
			if !inside {
				continue
			}
			// The name must lead back to this very file: an earlier import
			// path may hold another one under the same name.
			first := searchFile(importPaths, name)
			if info, err := os.Stat(first); err != nil || !os.SameFile(info, found) {
				return "", fmt.Errorf("%s: hidden by %s, which an earlier import path holds under the same name", file, first)
			}
			return name, nil
		}
	}

	// It may be the name already.
	name := path.Clean(filepath.ToSlash(file))
	switch {
	case !filepath.IsAbs(file) && searchFile(importPaths, name) != "":
		return name, nil
	case found != nil:
		return "", fmt.Errorf("%s: lies under none of the import paths: %s", file, strings.Join(importPaths, ", "))
	default:
		return "", fmt.Errorf("%s: no such file", file)
	}
}

// searchFile returns the first file called name in the import paths, or "".
func searchFile(importPaths []string, name string) string {
	for _, dir := range importPaths {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if info, err := os.Stat(file); err == nil && !info.IsDir() {
			return file
		}
	}
	return ""
}

// relative returns file as seen from dir, with slashes, if it lies in dir.
func relative(dir, file string) (name string, inside bool) {
	absDir, err := filepath.Abs(dir)
	if err != nil {
		return "", false
	}
	absFile, err := filepath.Abs(file)
	if err != nil {
		return "", false
	}
	name, err = filepath.Rel(absDir, absFile)
	return filepath.ToSlash(name), err == nil && filepath.IsLocal(name)
}

// checkGoPackages reports what keeps a Go package from being known for want of
// a go_package option: a file that code is generated for, or an import.
func checkGoPackages(names []string, files []protoreflect.FileDescriptor) error {
	var problems []error
	for _, file := range files {
		if slices.Contains(names, file.Path()) && goPackage(file) == "" {
			problems = append(problems, fmt.Errorf(`%s: no go_package option: add option go_package = "import/path";`, packagePlace(file)))
		}
		for i := range file.Imports().Len() {
			imported := file.Imports().Get(i)
			if goPackage(imported) == "" && !slices.Contains(names, imported.Path()) {
				problems = append(problems, fmt.Errorf("%s: imported file %s has no go_package option", importPlace(file, i), imported.Path()))
			}
		}
	}
	return errors.Join(problems...)
}

// goPackage returns a file's go_package option.
func goPackage(file protoreflect.FileDescriptor) string {
	options, _ := file.Options().(*descriptorpb.FileOptions)
	return options.GetGoPackage()
}

// Field numbers of google.protobuf.FileDescriptorProto, as a source path has
// them.
const (
	packageField    = 2
	dependencyField = 3
)

// packagePlace returns the place of a file's package statement, or its start.
func packagePlace(file protoreflect.FileDescriptor) string {
	return place(file, protoreflect.SourcePath{packageField})
}

// importPlace returns the place of a file's import statement number i.
func importPlace(file protoreflect.FileDescriptor, i int) string {
	return place(file, protoreflect.SourcePath{dependencyField, int32(i)})
}

// place returns where something stands in a file, as file:line:column.
func place(file protoreflect.FileDescriptor, what protoreflect.SourcePath) string {
	location := file.SourceLocations().ByPath(what) // zero if there is none
	return fmt.Sprintf("%s:%d:%d", file.Path(), location.StartLine+1, location.StartColumn+1)
}
