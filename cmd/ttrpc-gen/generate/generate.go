// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

// Package generate turns .proto files into Go code without protoc: the messages
// by protoc-gen-go's own generator, the clients and servers by that of
// protoc-gen-go-ttrpc. The versions of both are the ones linked into the
// program that uses this package.
//
// Nothing is written unless everything could be generated.
package generate

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/containerd/ttrpc/internal/stubgen"
	gengo "google.golang.org/protobuf/cmd/protoc-gen-go/internal_gengo"
	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/pluginpb"
)

// Options say what to compile, and how the generated code is named.
type Options struct {
	// ImportPaths are the directories in which imports, and the files
	// themselves, are searched. None means the working directory.
	ImportPaths []string

	// Files are the .proto files to generate code for. See Compile.
	Files []string

	// Paths says where a generated file lies: "source_relative" puts it at the
	// place its .proto file has under its import path, "import" or "" into the
	// directory that is named like its Go import path.
	Paths string

	// Prefix is the option of protoc-gen-go-ttrpc with that name.
	Prefix string
}

// A File is one generated file.
type File struct {
	// Name is the file's path below the output directory, with slashes.
	Name string
	// Content is the whole of the file.
	Content []byte
}

// Run generates the code that opts ask for and writes it below the directory
// out.
func Run(ctx context.Context, out string, opts Options) error {
	files, err := Generate(ctx, opts)
	if err != nil {
		return err
	}
	return Write(out, files)
}

// Generate returns the code that opts ask for: for every .proto file its
// messages, and its services if it has any.
func Generate(ctx context.Context, opts Options) ([]File, error) {
	program, err := Compile(ctx, opts.ImportPaths, opts.Files)
	if err != nil {
		return nil, err
	}
	return program.Generate(opts.Paths, opts.Prefix)
}

// Generate returns the code for the files that p was compiled from. The
// arguments are those of Options with the same names.
func (p *Program) Generate(paths, prefix string) ([]File, error) {
	switch paths {
	case "", "import", "source_relative":
	default:
		return nil, fmt.Errorf(`paths: unknown value %q: want "import" or "source_relative"`, paths)
	}
	messages, err := p.runPlugin(paths, generateMessages)
	if err != nil {
		return nil, err
	}
	stubs, err := p.runPlugin(paths, func(plugin *protogen.Plugin) error {
		return stubgen.Generate(plugin, stubgen.Options{Prefix: prefix})
	})
	if err != nil {
		return nil, err
	}
	return append(messages, stubs...), nil
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

// runPlugin runs a generator that is written as a plugin of protoc: in this
// process, on a request of the same form.
func (p *Program) runPlugin(paths string, generate func(*protogen.Plugin) error) ([]File, error) {
	plugin, err := protogen.Options{}.New(p.Request(paths))
	if err != nil {
		return nil, err
	}
	if err := generate(plugin); err != nil {
		return nil, err
	}
	response := plugin.Response()
	if response.Error != nil {
		return nil, errors.New(response.GetError())
	}
	files := make([]File, 0, len(response.GetFile()))
	for _, file := range response.GetFile() {
		files = append(files, File{Name: file.GetName(), Content: []byte(file.GetContent())})
	}
	return files, nil
}

// Request returns what protoc would send to a plugin for the compiled files. It
// can be written to the standard input of one.
func (p *Program) Request(paths string, parameters ...string) *pluginpb.CodeGeneratorRequest {
	if paths != "" {
		parameters = append([]string{"paths=" + paths}, parameters...)
	}
	return &pluginpb.CodeGeneratorRequest{
		FileToGenerate: p.names,
		Parameter:      proto.String(strings.Join(parameters, ",")),
		ProtoFile:      p.files,
	}
}

// Write writes files below the directory out, which must exist. Either all of
// them are written, or none is changed.
func Write(out string, files []File) error {
	if info, err := os.Stat(out); err != nil {
		return err
	} else if !info.IsDir() {
		return fmt.Errorf("%s: not a directory", out)
	}

	// Every file is first written whole, next to its place, and moved there
	// once all are: what can fail fails before the first move.
	var staged []stagedFile
	defer func() {
		for _, file := range staged {
			_ = os.Remove(file.temporary) // it is gone already if it was moved
		}
	}()
	for _, file := range files {
		s, err := stage(filepath.Join(out, filepath.FromSlash(file.Name)), file.Content)
		if err != nil {
			return err
		}
		staged = append(staged, s)
	}
	for _, file := range staged {
		if err := os.Rename(file.temporary, file.final); err != nil {
			return err
		}
	}
	return nil
}

// A stagedFile is a file that is written, but not yet at its place.
type stagedFile struct{ temporary, final string }

// stage writes a file's content next to its place.
func stage(final string, content []byte) (stagedFile, error) {
	if err := os.MkdirAll(filepath.Dir(final), 0o777); err != nil {
		return stagedFile{}, err
	}
	if info, err := os.Stat(final); err == nil && info.IsDir() {
		return stagedFile{}, fmt.Errorf("%s: is a directory", final)
	}
	temporary := final + ".tmp"
	if err := os.WriteFile(temporary, content, 0o666); err != nil {
		_ = os.Remove(temporary)
		return stagedFile{}, err
	}
	return stagedFile{temporary: temporary, final: final}, nil
}
