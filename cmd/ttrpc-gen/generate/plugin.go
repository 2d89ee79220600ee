// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package generate

import (
	"errors"
	"maps"
	"slices"
	"strings"

	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/pluginpb"
)

// Request returns what protoc would send to a plugin for the compiled files,
// with the given parameters, each as protoc has it: "paths=import". It can be
// written to the standard input of one.
func (p *Program) Request(parameters ...string) *pluginpb.CodeGeneratorRequest {
	return &pluginpb.CodeGeneratorRequest{
		FileToGenerate: p.names(),
		Parameter:      proto.String(strings.Join(parameters, ",")),
		ProtoFile:      p.files,
	}
}

// parameters returns the options of p as a plugin has them.
func (p *Program) parameters() []string {
	var list []string
	if p.opts.Paths != "" {
		list = append(list, "paths="+p.opts.Paths)
	}
	if p.opts.Module != "" {
		list = append(list, "module="+p.opts.Module)
	}
	for _, name := range slices.Sorted(maps.Keys(p.opts.Packages)) {
		list = append(list, "M"+name+"="+p.opts.Packages[name])
	}
	return list
}

// runPlugin runs a generator that is written as a plugin of protoc: in this
// process, on a request of the same form.
func (p *Program) runPlugin(generate func(*protogen.Plugin) error) ([]File, error) {
	plugin, err := protogen.Options{}.New(p.Request(p.parameters()...))
	if err != nil {
		return nil, p.sources.inFile(oneLine(err))
	}
	if err := p.checkOutputs(plugin); err != nil {
		return nil, err
	}
	if err := generate(plugin); err != nil {
		return nil, p.sources.inPlaces(err)
	}
	response := plugin.Response()
	if response.Error != nil {
		return nil, oneLine(errors.New(response.GetError()))
	}
	files := make([]File, 0, len(response.GetFile()))
	for _, file := range response.GetFile() {
		// protoc takes a path from the root as one from the output directory.
		files = append(files, File{Name: strings.TrimPrefix(file.GetName(), "/"), Content: []byte(file.GetContent())})
	}
	return files, nil
}
