// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package generate

import (
	"context"
	"os"
	"slices"

	"github.com/bufbuild/protocompile"
	"github.com/bufbuild/protocompile/linker"
	"github.com/bufbuild/protocompile/protoutil"
	"github.com/bufbuild/protocompile/reporter"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
)

// A Program is a set of compiled .proto files.
type Program struct {
	opts    Options
	sources *sources
	// files holds the files that were asked for and all that they import, each
	// one after its imports.
	files []*descriptorpb.FileDescriptorProto
}

// names returns the files that were asked for, by the name under which other
// files import them, in the order they were given.
func (p *Program) names() []string { return p.sources.names }

// Compile compiles the files that opts ask for, and checks that they belong to Go
// packages.
func Compile(ctx context.Context, opts Options) (*Program, error) {
	if err := opts.validate(); err != nil {
		return nil, err
	}
	src, err := load(opts, os.ReadFile)
	if err != nil {
		return nil, err
	}
	compile := src.compile
	if src.has2024() {
		compile = src.compile2024
	}
	var found findings
	files, err := compile(ctx, &found)
	if len(found.problems) > 0 {
		return nil, src.failure(found.problems)
	}
	if err != nil {
		return nil, oneLine(err)
	}
	p := &Program{opts: opts, sources: src, files: files}
	if err := p.checkPackages(); err != nil {
		return nil, err
	}
	for _, line := range src.lines(found.warnings) {
		opts.warn(line)
	}
	p.strip()
	return p, nil
}

// findings are what a compiler says about sources.
type findings struct {
	problems []problem
	warnings []problem // of the files that were asked for
}

// warn adds a warning, if it is about a file that was asked for.
func (s *sources) warn(found *findings, warning problem) {
	if slices.Contains(s.names, warning.file) {
		warning.text = "warning: " + warning.text
		found.warnings = append(found.warnings, warning)
	}
}

// compile compiles proto2, proto3 and edition 2023. It does so file by file, so
// that it always finds the same problems.
func (s *sources) compile(ctx context.Context, found *findings) ([]*descriptorpb.FileDescriptorProto, error) {
	done := make(results)
	compiler := protocompile.Compiler{
		Resolver: protocompile.CompositeResolver{
			done,
			protocompile.ResolverFunc(s.parsed),
			linked,
		},
		SourceInfoMode: protocompile.SourceInfoStandard,
		Symbols:        new(linker.Symbols),
		Reporter: reporter.NewReporter(func(err reporter.ErrorWithPos) error {
			found.problems = append(found.problems, problemOf(err))
			return nil // keep going: report as many problems as there are
		}, func(err reporter.ErrorWithPos) {
			s.warn(found, problemOf(err))
		}),
	}
	for _, name := range s.ordered {
		if s.importsAny(name, done.failed) {
			done[name] = nil
			continue
		}
		before := len(found.problems)
		compiled, err := compiler.Compile(ctx, name)
		switch {
		case err == nil:
			done[name] = compiled[0]
		case len(found.problems) > before:
			done[name] = nil
		default:
			return nil, err
		}
	}
	if len(found.problems) > 0 {
		return nil, nil
	}
	var files []*descriptorpb.FileDescriptorProto
	for _, file := range done.importsFirst(s.names) {
		files = append(files, protoutil.ProtoFromFileDescriptor(file))
	}
	return files, nil
}

// parsed is the protocompile.Resolver of the sources.
func (s *sources) parsed(name string) (protocompile.SearchResult, error) {
	file := s.files[name]
	if file == nil {
		return protocompile.SearchResult{}, protoregistry.NotFound
	}
	return protocompile.SearchResult{AST: file.syntax}, nil
}

// results are compiled files, or nil for those that could not be compiled, by the
// names under which they are imported.
type results map[string]linker.File

// failed tells whether a file could not be compiled.
func (r results) failed(name string) bool {
	file, tried := r[name]
	return tried && file == nil
}

// FindFileByPath makes r a protocompile.Resolver.
func (r results) FindFileByPath(name string) (protocompile.SearchResult, error) {
	if file := r[name]; file != nil {
		return protocompile.SearchResult{Desc: file}, nil
	}
	return protocompile.SearchResult{}, protoregistry.NotFound
}

// importsFirst returns the files of the given names and all that they import,
// each file once, and after its imports.
func (r results) importsFirst(names []string) []protoreflect.FileDescriptor {
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
	for _, name := range names {
		add(r[name])
	}
	return ordered
}
