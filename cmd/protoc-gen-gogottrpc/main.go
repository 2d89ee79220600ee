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
//	plugins=ttrpc            or grpc: both take the name New<Service>Client
//	paths=source_relative    write a.pb.go next to a.proto, instead of by import path
//	import_path=P            the Go import path of the files to generate
//	import_prefix=P          stands before the path of every import
//	Mfile.proto=P            the Go import path of the messages of a file
//
// What is wrong with the input goes to protoc, which shows it, and nothing is
// written; of some fields that gogo does not support, gogo tells on standard
// error, and ends the program.
//
// Run by hand, it only tells its version, with --version.
package main

import (
	"fmt"
	"io"
	"log"
	"os"
	"slices"
	"strings"

	"github.com/containerd/ttrpc/internal/stubgen"
	"github.com/gogo/protobuf/proto"
	"github.com/gogo/protobuf/protoc-gen-gogo/descriptor"
	"github.com/gogo/protobuf/protoc-gen-gogo/generator"
	plugin "github.com/gogo/protobuf/protoc-gen-gogo/plugin"
	"github.com/gogo/protobuf/vanity"
	"github.com/gogo/protobuf/vanity/command"

	_ "github.com/containerd/ttrpc/plugin" // the services
)

const name = "protoc-gen-gogottrpc"

func main() {
	if err := run(os.Args[1:], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		os.Exit(1)
	}
}

// run runs the program.
func run(args []string, stdin io.Reader, stdout io.Writer) error {
	return stubgen.RunPlugin(name, args, stdin, stdout, func(input []byte) ([]byte, error) {
		request := new(plugin.CodeGeneratorRequest)
		if err := proto.Unmarshal(input, request); err != nil {
			return nil, err
		}
		return proto.Marshal(respond(request))
	})
}

// respond answers a request: with the generated files, or with an error and no
// file at all.
func respond(request *plugin.CodeGeneratorRequest) (response *plugin.CodeGeneratorResponse) {
	if err := checkParameter(request.GetParameter()); err != nil {
		return failure(err)
	}
	defer log.SetOutput(log.Writer())
	defer log.SetFlags(log.Flags())
	log.SetOutput(failureLog{os.Stderr})
	log.SetFlags(0)
	// Gogo's plugins panic on what they do not support, such as groups, and
	// failureLog does on what the generator reports.
	defer func() {
		if reason := recover(); reason != nil {
			err := checkImports(request)
			if err == nil {
				text := fmt.Sprint(reason)
				err = fmt.Errorf("%s: %s", culprit(request, text), text)
			}
			response = failure(err)
		}
	}()
	setDefaults(request)
	response = command.Generate(request)
	if response.Error != nil {
		response.File = nil
	}
	return response
}

// failure is the answer to a request that cannot be met.
func failure(err error) *plugin.CodeGeneratorResponse {
	return &plugin.CodeGeneratorResponse{Error: proto.String(err.Error())}
}

// A failureLog is where the standard logger writes while gogo's generator runs.
// The generator reports an error by a line in the log, and exits. To answer the
// compiler instead, that line becomes a panic. Others go to the Writer.
type failureLog struct{ io.Writer }

func (w failureLog) Write(line []byte) (int, error) {
	text, failed := strings.CutPrefix(string(line), "protoc-gen-gogo: error:")
	if !failed {
		return w.Writer.Write(line)
	}
	text, _, _ = strings.Cut(text, "\n") // what follows is a generated file
	panic(strings.Trim(text, ": "))
}

// checkImports reports an import that a compiler has not sent along, which gogo's
// generator does not check.
func checkImports(request *plugin.CodeGeneratorRequest) error {
	sent := make(map[string]bool)
	for _, file := range request.GetProtoFile() {
		sent[file.GetName()] = true
	}
	for _, file := range request.GetProtoFile() {
		for _, imported := range file.GetDependency() {
			if !sent[imported] {
				return fmt.Errorf("%s: the import %s is not in the request", file.GetName(), imported)
			}
		}
	}
	return nil
}

// culprit returns the place of what made gogo's generator panic, if it is the
// group that the reason names, or else the names of all files.
func culprit(request *plugin.CodeGeneratorRequest, reason string) string {
	for _, file := range request.GetProtoFile() {
		if !slices.Contains(request.GetFileToGenerate(), file.GetName()) {
			continue
		}
		for i, m := range file.GetMessageType() {
			if at := findGroup(m, []int32{stubgen.MessageField, int32(i)}, reason); at != nil {
				return place(file, at)
			}
		}
	}
	return strings.Join(request.GetFileToGenerate(), ", ")
}

// findGroup returns the path of the field in m, or in a message in it, that is
// the group at the end of the reason. The path of m is at.
func findGroup(m *descriptor.DescriptorProto, at []int32, reason string) []int32 {
	for i, field := range m.GetField() {
		if field.GetType() == descriptor.FieldDescriptorProto_TYPE_GROUP &&
			strings.HasSuffix(reason, " group "+generator.CamelCase(field.GetName())) {
			return slices.Concat(at, []int32{stubgen.FieldField, int32(i)})
		}
	}
	for i, nested := range m.GetNestedType() {
		if found := findGroup(nested, slices.Concat(at, []int32{stubgen.NestedField, int32(i)}), reason); found != nil {
			return found
		}
	}
	return nil
}

// place returns a path in a file as stubgen.Place does.
func place(file *descriptor.FileDescriptorProto, at []int32) string {
	for _, location := range file.GetSourceCodeInfo().GetLocation() {
		if slices.Equal(location.GetPath(), at) {
			return stubgen.Place(file.GetName(), location.GetSpan())
		}
	}
	return file.GetName()
}

// checkParameter reports what gogo's generator would pass over in silence:
// parameters and plugins that do not exist; or would blame on a file. A misspelt
// one leaves out all services.
func checkParameter(parameter string) error {
	options := []string{"plugins", "paths", "import_path", "import_prefix"}
	for option := range strings.SplitSeq(parameter, ",") {
		key, value, _ := strings.Cut(option, "=")
		switch {
		case key == "" || key[0] == 'M':
		case !slices.Contains(options, key):
			return fmt.Errorf("unknown option %q: there are %s and M<file>", key, strings.Join(options, ", "))
		case key == "paths" && value != "import" && value != "source_relative":
			return fmt.Errorf(`paths: unknown value %q: want "import" or "source_relative"`, value)
		case key == "plugins":
			if err := checkPlugins(strings.Split(value, "+")); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkPlugins reports plugins that do not exist.
func checkPlugins(names []string) error {
	asked := []string{"ttrpc", "grpc", "none", ""}
	alwaysRun := []string{"compare", "defaultcheck", "description", "embedcheck", "enumstringer", "equal", "face", "gostring",
		"marshalto", "oneofcheck", "populate", "size", "stringer", "union", "unmarshal"}
	for _, name := range names {
		if !slices.Contains(asked, name) && !slices.Contains(alwaysRun, name) {
			return fmt.Errorf("unknown plugin %q: there are ttrpc and grpc", name)
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
