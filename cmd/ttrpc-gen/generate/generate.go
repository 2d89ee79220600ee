// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

// Package generate turns .proto files into Go code without protoc: the messages
// by protoc-gen-go's own generator, the clients and servers by that of
// protoc-gen-go-ttrpc. The versions of both are the ones linked into the
// program that uses this package. It is what the command ttrpc-gen is made of,
// for build scripts that are Go programs:
//
//	err := generate.Run(ctx, ".", generate.Options{
//		Files: []string{"api/hello.proto"},
//		Paths: "source_relative",
//	})
//
// Compiled are proto2, proto3, and the editions 2023 and 2024. These imports need
// no file: google/protobuf/*.proto, and, except in a run with a file of edition
// 2024, google/rpc/status.proto, code.proto and error_details.proto.
//
// # Errors
//
// An error has one line for each thing that is wrong. A line about the text of a
// .proto file begins with its place, file:line:column, where file is a path that
// can be opened. After any error, everything is as it was: no file is written, or
// changed, unless all of them are.
package generate

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/containerd/ttrpc/internal/stubgen"
	gengo "google.golang.org/protobuf/cmd/protoc-gen-go/internal_gengo"
	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/types/descriptorpb"
)

// Options say what to compile, and how the generated code is named.
type Options struct {
	// Files are the .proto files to generate code for, at least one, and none of
	// them twice. A file is given by its path in the file system, which must lie
	// under one of the import paths, or by the name under which others import it.
	Files []string

	// ImportPaths are the directories in which imports, and the files
	// themselves, are searched. None means the working directory.
	ImportPaths []string

	// Sources are .proto files in memory, by the name under which others import
	// them. A file is searched here first.
	Sources map[string]string

	// Packages gives Go packages to .proto files, by the name under which others
	// import them, for those that have no go_package option or a wrong one. The
	// form is that of the option: "import/path", or "import/path;name". It is
	// protoc-gen-go's option M.
	Packages map[string]string

	// Paths says where a generated file lies: "source_relative" puts it at the
	// place its .proto file has under its import path, "import" or "" into the
	// directory that is named like its Go import path.
	Paths string

	// Module is a module's path, which is left off the directories that are
	// named like import paths. It is protoc-gen-go's option module.
	Module string

	// Prefix begins all names made from a service's. It is the option of
	// protoc-gen-go-ttrpc with that name.
	Prefix string

	// Only is "messages" or "stubs" to generate nothing but these. "" is both.
	Only string

	// Warn, if it is not nil, is called with each warning, such as about an import
	// that one of Files does not need: a line like those of errors, with the word
	// "warning:" after the place.
	Warn func(line string)
}

// warn passes a warning on.
func (o *Options) warn(line string) {
	if o.Warn != nil {
		o.Warn(line)
	}
}

// validate reports what no input could be generated with.
func (o *Options) validate() error {
	switch o.Paths {
	case "", "import", "source_relative":
	default:
		return fmt.Errorf(`paths: unknown value %q: want "import" or "source_relative"`, o.Paths)
	}
	if o.Module != "" && o.Paths == "source_relative" {
		return errors.New(`module: has no meaning with paths "source_relative"`)
	}
	switch o.Only {
	case "", "messages", "stubs":
	default:
		return fmt.Errorf(`only: unknown value %q: want "messages" or "stubs"`, o.Only)
	}
	// What protoc-gen-go could not be told, in a list separated by commas, or would
	// find in no path.
	if strings.Contains(o.Module, ",") || strings.HasSuffix(o.Module, "/") {
		return fmt.Errorf("module: %q is no path of a module", o.Module)
	}
	for _, name := range slices.Sorted(maps.Keys(o.Packages)) {
		if strings.ContainsAny(name, ",=") || strings.Contains(o.Packages[name], ",") {
			return fmt.Errorf("M: no comma, and no = in the file's name: %s=%s", name, o.Packages[name])
		}
	}
	return nil
}

// A File is one generated file.
type File struct {
	// Name is the file's path below the output directory, with slashes.
	Name string
	// Content is the whole of the file.
	Content []byte
}

// Run generates the code that opts ask for and writes it below the directory
// out, as Write does.
func Run(ctx context.Context, out string, opts Options) error {
	if err := checkDirectory(out); err != nil {
		return err
	}
	files, err := Generate(ctx, opts)
	if err != nil {
		return err
	}
	return Write(out, files)
}

// Generate returns the code that opts ask for: for every .proto file its
// messages, and its services if it has any.
func Generate(ctx context.Context, opts Options) ([]File, error) {
	program, err := Compile(ctx, opts)
	if err != nil {
		return nil, err
	}
	return program.Generate()
}

// Generate returns the code for the files that p was compiled from.
func (p *Program) Generate() ([]File, error) {
	var files []File
	if p.opts.Only != "stubs" {
		messages, err := p.runPlugin(generateMessages)
		if err != nil {
			return nil, err
		}
		files = messages
	}
	if p.opts.Only != "messages" {
		stubs, err := p.runPlugin(p.generateStubs)
		if err != nil {
			return nil, err
		}
		files = append(files, stubs...)
	}
	return files, nil
}

// generateMessages does what the program protoc-gen-go does.
func generateMessages(plugin *protogen.Plugin) error {
	plugin.SupportedFeatures = gengo.SupportedFeatures
	plugin.SupportedEditionsMinimum = gengo.SupportedEditionsMinimum
	plugin.SupportedEditionsMaximum = gengo.SupportedEditionsMaximum
	for _, file := range plugin.Files {
		if file.Generate {
			gengo.GenerateFile(plugin, file)
		}
	}
	return nil
}

// generateStubs does what the program protoc-gen-go-ttrpc does.
func (p *Program) generateStubs(plugin *protogen.Plugin) error {
	return stubgen.Generate(plugin, stubgen.Options{Prefix: p.opts.Prefix})
}

// DescriptorSet returns the compiled files and their imports with their
// positions and comments, each file after those it imports. The result shares
// memory with p: it must not be changed.
func (p *Program) DescriptorSet() *descriptorpb.FileDescriptorSet {
	return &descriptorpb.FileDescriptorSet{File: p.files}
}
