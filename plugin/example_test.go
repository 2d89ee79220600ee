// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package plugin_test

import (
	"fmt"
	"strings"

	"github.com/gogo/protobuf/proto"
	"github.com/gogo/protobuf/protoc-gen-gogo/descriptor"
	compiler "github.com/gogo/protobuf/protoc-gen-gogo/plugin"
	"github.com/gogo/protobuf/vanity"
	"github.com/gogo/protobuf/vanity/command"

	_ "github.com/containerd/ttrpc/plugin"
)

// A generator of one's own has the plugin because it imports this package, and
// chooses gogo's options for the messages. It is a plugin of protoc, whose main
// function is
//
//	command.Write(generate(command.Read()))
func Example() {
	generate := func(request *compiler.CodeGeneratorRequest) *compiler.CodeGeneratorResponse {
		vanity.ForEachFile(request.GetProtoFile(), vanity.TurnOnMarshalerAll)
		vanity.ForEachFile(request.GetProtoFile(), vanity.TurnOnSizerAll)
		vanity.ForEachFile(request.GetProtoFile(), vanity.TurnOnUnmarshalerAll)
		return command.Generate(request)
	}

	// What protoc --own_out=plugins=ttrpc:. tasks.proto would send:
	response := generate(&compiler.CodeGeneratorRequest{
		FileToGenerate: []string{"tasks.proto"},
		Parameter:      proto.String("plugins=ttrpc"),
		ProtoFile: []*descriptor.FileDescriptorProto{{
			Name:        proto.String("tasks.proto"),
			Package:     proto.String("tasks"),
			MessageType: []*descriptor.DescriptorProto{{Name: proto.String("Task")}},
			Service: []*descriptor.ServiceDescriptorProto{{
				Name: proto.String("Tasks"),
				Method: []*descriptor.MethodDescriptorProto{{
					Name:       proto.String("Start"),
					InputType:  proto.String(".tasks.Task"),
					OutputType: proto.String(".tasks.Task"),
				}},
			}},
		}},
	})
	content := response.GetFile()[0].GetContent()
	for line := range strings.Lines(content) {
		if strings.Contains(line, ") Marshal(") || strings.Contains(line, "func RegisterTasks") {
			fmt.Print(line)
		}
	}
	// Output:
	// func (m *Task) Marshal() (dAtA []byte, err error) {
	// func RegisterTasksService(srv *ttrpc.Server, svc TasksService) {
}
