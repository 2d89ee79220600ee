// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

// Protoc-gen-gogottrpc is a plugin of protoc for those who still generate gogo's
// messages. It generates them and, with plugins=ttrpc, the clients and servers
// of ttrpc services in the same file:
//
//	protoc -I. --gogottrpc_out=plugins=ttrpc:. file.proto
//
// It takes the place of the program of that name that v1.2.8 has, and generates
// the same messages: with Marshal, Unmarshal, Size and String, without getters
// and GoString. A .proto file can choose otherwise, by gogo's options. See the
// package plugin for the services.
//
// The parameters, separated by commas, are those of gogo's generator:
//
//	plugins=P+Q              ttrpc and grpc
//	paths=source_relative    write a.pb.go next to a.proto, instead of by import path
//	import_path=P            the Go import path of files without go_package
//	import_prefix=P          stands before the import paths of messages' packages
//	Mfile.proto=P            the Go import path of the messages of a file
//	annotate_code            write a file that says where in the .proto file things come from
//
// Run by hand, it only tells its version, with --version.
package main

import (
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"slices"
	"strings"

	"github.com/containerd/ttrpc/internal/stubgen"
	"github.com/gogo/protobuf/proto"
	"github.com/gogo/protobuf/protoc-gen-gogo/descriptor"
	plugin "github.com/gogo/protobuf/protoc-gen-gogo/plugin"
	"github.com/gogo/protobuf/vanity"
	"github.com/gogo/protobuf/vanity/command"

	_ "github.com/containerd/ttrpc/plugin" // the services
)

const name = "protoc-gen-gogottrpc"

func main() {
	log.SetFlags(0) // gogo's generator reports errors by it, and exits
	if err := run(os.Args[1:], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		os.Exit(1)
	}
}

// run runs the program. The error is for what keeps it from talking to a
// compiler.
func run(args []string, stdin io.Reader, stdout io.Writer) error {
	switch {
	case len(args) == 0:
	case len(args) == 1 && (args[0] == "--version" || args[0] == "-version"):
		_, err := fmt.Fprintln(stdout, name, stubgen.Version)
		return err
	default:
		return fmt.Errorf("unknown argument %q: this is a plugin that protoc runs; by hand, only --version makes sense", args[0])
	}

	input, err := io.ReadAll(stdin)
	if err != nil {
		return fmt.Errorf("reading the request: %w", err)
	}
	request := new(plugin.CodeGeneratorRequest)
	if err := proto.Unmarshal(input, request); err != nil {
		return fmt.Errorf("reading the request: %w", err)
	}
	if len(request.GetFileToGenerate()) == 0 {
		return errors.New("the request asks for no file: this is a plugin that protoc runs")
	}
	output, err := proto.Marshal(respond(request))
	if err != nil {
		return fmt.Errorf("writing the response: %w", err)
	}
	_, err = stdout.Write(output)
	return err
}

// respond answers a request: with the generated files, or with an error and no
// file at all.
func respond(request *plugin.CodeGeneratorRequest) (response *plugin.CodeGeneratorResponse) {
	if err := checkParameter(request.GetParameter()); err != nil {
		return failure(err)
	}
	// Gogo's plugins panic on what they do not support, such as groups.
	defer func() {
		if reason := recover(); reason != nil {
			response = failure(fmt.Errorf("%s: %v", strings.Join(request.GetFileToGenerate(), ", "), reason))
		}
	}()
	setDefaults(request)
	return command.Generate(request)
}

// failure is the answer to a request that cannot be met.
func failure(err error) *plugin.CodeGeneratorResponse {
	return &plugin.CodeGeneratorResponse{Error: proto.String(err.Error())}
}

// checkParameter reports what gogo's generator would pass over in silence:
// parameters and plugins that do not exist. One misspelt leaves out all services.
func checkParameter(parameter string) error {
	known := []string{"plugins", "paths", "import_path", "import_prefix", "annotate_code"}
	for option := range strings.SplitSeq(parameter, ",") {
		key, value, _ := strings.Cut(option, "=")
		switch {
		case key == "" || key[0] == 'M':
		case !slices.Contains(known, key):
			return fmt.Errorf("unknown option %q: there are %s and M<file>", key, strings.Join(known, ", "))
		case key == "plugins":
			for plugin := range strings.SplitSeq(value, "+") {
				if plugin != "ttrpc" && plugin != "grpc" && plugin != "" {
					return fmt.Errorf("unknown plugin %q: there are ttrpc and grpc", plugin)
				}
			}
		}
	}
	return nil
}

// setDefaults chooses gogo's options for files that do not choose themselves.
func setDefaults(request *plugin.CodeGeneratorRequest) {
	files := vanity.FilterFiles(request.GetProtoFile(), vanity.NotGoogleProtobufDescriptorProto)
	for _, choose := range []func(*descriptor.FileDescriptorProto){
		vanity.TurnOnMarshalerAll,
		vanity.TurnOnUnmarshalerAll,
		vanity.TurnOnSizerAll,
		vanity.TurnOnStringerAll,
		vanity.TurnOffGoStringerAll,
		vanity.TurnOffGoGettersAll,
	} {
		vanity.ForEachFile(files, choose)
	}
}
