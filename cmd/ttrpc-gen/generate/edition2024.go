// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package generate

import (
	"context"
	"fmt"
	"io/fs"

	"github.com/bufbuild/protocompile/experimental/fdp"
	"github.com/bufbuild/protocompile/experimental/incremental"
	"github.com/bufbuild/protocompile/experimental/incremental/queries"
	"github.com/bufbuild/protocompile/experimental/ir"
	"github.com/bufbuild/protocompile/experimental/report"
	"github.com/bufbuild/protocompile/experimental/report/rtags"
	protosource "github.com/bufbuild/protocompile/experimental/source"
	"github.com/bufbuild/protocompile/experimental/source/length"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
)

// protocompile compiles edition 2024 in its package experimental alone. Until the
// other one does, this file is for runs with a file of that edition, and for no
// others: they should not depend on what may change.

// has2024 tells whether any file is of edition 2024.
func (s *sources) has2024() bool {
	for _, file := range s.files {
		if file.edition == "2024" {
			return true
		}
	}
	return false
}

// compile2024 compiles what compile does, and edition 2024.
func (s *sources) compile2024(ctx context.Context, found *findings) ([]*descriptorpb.FileDescriptorProto, error) {
	if found.problems = s.importsWithoutText(); len(found.problems) > 0 {
		return nil, nil
	}
	query := queries.FDS{
		Opener:    &protosource.Openers{(*opener)(s), protosource.WKTs()},
		Session:   new(ir.Session),
		Workspace: protosource.NewWorkspace(s.names...),
	}
	query.Apply(fdp.IncludeSourceCodeInfo(true))
	// One thing at a time: there is little to be gained by more, and less to go
	// wrong.
	results, diagnostics, err := incremental.Run(ctx, incremental.New(incremental.WithParallelism(1)), query)
	if err != nil {
		return nil, err
	}
	s.collect(diagnostics, found)
	if len(found.problems) > 0 {
		return nil, nil
	}
	if results[0].Fatal != nil {
		return nil, results[0].Fatal
	}
	return withKnownOptions(results[0].Value)
}

// importsWithoutText reports the imports of which there is a descriptor only, for
// this compiler has no use for it.
func (s *sources) importsWithoutText() []problem {
	var problems []problem
	for _, file := range s.files {
		for _, imported := range imports(file.syntax) {
			needed := imported.Name.AsString()
			if s.files[needed] != nil {
				continue
			}
			if _, err := protosource.WKTs().Open(needed); err != nil {
				problems = append(problems, file.problemAt(imported.Name, fmt.Sprintf(
					"import %q: file not found in any import path, and with edition 2024 there must be one", needed)))
			}
		}
	}
	return problems
}

// collect adds diagnostics to what was found.
func (s *sources) collect(diagnostics *report.Report, found *findings) {
	for _, d := range diagnostics.Diagnostics {
		at := d.Primary()
		if at.IsZero() {
			continue // it goes with an error that has no place
		}
		start := at.Location(at.Start, length.Runes)
		p := problem{at.Path(), start.Line, start.Column, d.Message()}
		switch {
		case d.Level() <= report.Error:
			found.problems = append(found.problems, p)
		case d.Is(rtags.UnusedImport): // the other warnings are about style
			s.warn(found, p)
		}
	}
}

// withKnownOptions returns files, whose options are unknown bytes as they come from
// the compiler, with options that are known.
func withKnownOptions(set *descriptorpb.FileDescriptorSet) ([]*descriptorpb.FileDescriptorProto, error) {
	bytes, err := proto.Marshal(set)
	if err != nil {
		return nil, err
	}
	// First those of descriptor.proto, which say what the others are.
	if err := proto.Unmarshal(bytes, set); err != nil {
		return nil, err
	}
	files, err := protodesc.NewFiles(set)
	if err != nil {
		return nil, err
	}
	known := proto.UnmarshalOptions{Resolver: extensions{dynamicpb.NewTypes(files)}}
	if err := known.Unmarshal(bytes, set); err != nil {
		return nil, err
	}
	return set.GetFile(), nil
}

// extensions finds what is linked before what is compiled.
type extensions struct{ compiled *dynamicpb.Types }

func (e extensions) FindExtensionByName(name protoreflect.FullName) (protoreflect.ExtensionType, error) {
	if t, err := protoregistry.GlobalTypes.FindExtensionByName(name); err == nil {
		return t, nil
	}
	return e.compiled.FindExtensionByName(name)
}

func (e extensions) FindExtensionByNumber(message protoreflect.FullName, number protoreflect.FieldNumber) (protoreflect.ExtensionType, error) {
	if t, err := protoregistry.GlobalTypes.FindExtensionByNumber(message, number); err == nil {
		return t, nil
	}
	return e.compiled.FindExtensionByNumber(message, number)
}

// An opener is sources, as the compiler asks for them.
type opener sources

// Open returns the file that is imported under a name.
func (o *opener) Open(name string) (*protosource.File, error) {
	file := o.files[name]
	if file == nil {
		return nil, fs.ErrNotExist
	}
	return protosource.NewFile(name, string(file.text)), nil
}
