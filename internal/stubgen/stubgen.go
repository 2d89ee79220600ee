// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

// Package stubgen generates the clients and servers of ttrpc services: it is
// what protoc-gen-go-ttrpc and ttrpc-gen have in common.
//
// The exported names of its output are those that protoc-gen-go-ttrpc v1.2.10
// generates for the same input, or more; the output asks nothing of the package
// ttrpc that v1.2.10 does not have.
package stubgen

import (
	"errors"
	"fmt"
	"go/token"

	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/pluginpb"
)

// Version is the version of the generator. It stands in the header of what it
// generates.
const Version = "v1.3.0"

// Name is the name of the generator, under which protoc and its like find it.
const Name = "protoc-gen-go-ttrpc"

// suffix is what a generated file has in place of ".proto".
const suffix = "_ttrpc.pb.go"

// Options are the generator's own options.
type Options struct {
	// Prefix stands before the name of each service in all names made from it:
	// with the prefix TTRPC the service Tasks becomes TTRPCTasksService,
	// RegisterTTRPCTasksService, NewTTRPCTasksClient and so on. It keeps them
	// apart from those that another generator writes into the same package.
	Prefix string
}

// Set sets the option called name, as it stands in a parameter of protoc. An
// option that does not exist, or a value that it cannot have, is an error.
func (o *Options) Set(name, value string) error {
	switch name {
	case "prefix":
		o.Prefix = value
		return o.validate()
	default:
		return fmt.Errorf("unknown option %q: there are paths, module, M<file> and prefix", name)
	}
}

// validate tells whether the names that o leads to are names in Go.
func (o Options) validate() error {
	if o.Prefix != "" && !token.IsIdentifier(o.Prefix+"X") {
		return fmt.Errorf("prefix: %q cannot begin a Go name", o.Prefix)
	}
	return nil
}

// Generate adds the stubs of each file that the plugin is asked to generate to
// the plugin's output. A file without services yields nothing.
func Generate(plugin *protogen.Plugin, options Options) error {
	plugin.SupportedFeatures = uint64(pluginpb.CodeGeneratorResponse_FEATURE_PROTO3_OPTIONAL |
		pluginpb.CodeGeneratorResponse_FEATURE_SUPPORTS_EDITIONS)
	plugin.SupportedEditionsMinimum = descriptorpb.Edition_EDITION_PROTO2
	plugin.SupportedEditionsMaximum = descriptorpb.Edition_EDITION_2024

	if err := options.validate(); err != nil {
		return err
	}
	var problems []error
	for _, source := range plugin.Files {
		if source.Generate && len(source.Services) > 0 {
			problems = append(problems, generateFile(plugin, source, options))
		}
	}
	return errors.Join(problems...)
}

// generateFile generates the stubs of all services of one file.
func generateFile(plugin *protogen.Plugin, source *protogen.File, options Options) error {
	services := make([]*service, 0, len(source.Services))
	for _, s := range source.Services {
		services = append(services, newService(s, options.Prefix))
	}
	if err := checkNames(source, services); err != nil {
		return err
	}

	out := plugin.NewGeneratedFile(source.GeneratedFilenamePrefix+suffix, source.GoImportPath)
	f := newFile(out, source)
	f.header(compilerVersion(plugin.Request.GetCompilerVersion()))
	for _, s := range services {
		f.server(s)
		f.client(s)
	}
	return nil
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
