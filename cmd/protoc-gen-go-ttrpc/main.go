// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

// Protoc-gen-go-ttrpc is a plugin of protoc, and of what speaks to plugins as
// protoc does, such as buf. It generates the Go clients and servers of the
// services in .proto files:
//
//	protoc --go_out=. --go-ttrpc_out=. --go-ttrpc_opt=paths=source_relative file.proto
//
// Besides the options of every Go plugin (paths, module, M<file>) it has one of
// its own:
//
//	prefix=P   P stands before the name of each service in all names made from it
//
// Run by hand, it only tells its version, with --version.
package main

import (
	"fmt"
	"io"
	"os"

	"github.com/containerd/ttrpc/internal/stubgen"
	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/pluginpb"
)

func main() {
	if err := run(os.Args[1:], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", stubgen.Name, err)
		os.Exit(1)
	}
}

// run runs the program.
func run(args []string, stdin io.Reader, stdout io.Writer) error {
	return stubgen.RunPlugin(stubgen.Name, args, stdin, stdout, func(input []byte) ([]byte, error) {
		request := new(pluginpb.CodeGeneratorRequest)
		if err := proto.Unmarshal(input, request); err != nil {
			return nil, err
		}
		return proto.Marshal(respond(request))
	})
}

// respond answers a request: with the generated files, or with an error and no
// file at all. Both say what the generator supports: where that is missing,
// protoc blames it, and shows the error after that.
func respond(request *pluginpb.CodeGeneratorRequest) *pluginpb.CodeGeneratorResponse {
	response, err := generate(request)
	if err != nil {
		response = &pluginpb.CodeGeneratorResponse{Error: proto.String(err.Error())}
	}
	response.SupportedFeatures = proto.Uint64(stubgen.SupportedFeatures)
	response.MinimumEdition = proto.Int32(int32(stubgen.MinimumEdition))
	response.MaximumEdition = proto.Int32(int32(stubgen.MaximumEdition))
	return response
}

// generate returns the generated files, or says why there are none.
func generate(request *pluginpb.CodeGeneratorRequest) (*pluginpb.CodeGeneratorResponse, error) {
	var options stubgen.Options
	plugin, err := protogen.Options{ParamFunc: options.Set}.New(request)
	if err != nil {
		return nil, err
	}
	if err := stubgen.Generate(plugin, options); err != nil {
		return nil, err
	}
	return plugin.Response(), nil
}
