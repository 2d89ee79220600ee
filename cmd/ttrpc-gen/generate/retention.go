// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package generate

import (
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
)

// strip takes, from the files that code is generated for, the options that are
// for the eyes of compilers alone: protoc leaves them out of the generated code,
// too.
func (p *Program) strip() {
	for i, file := range p.files {
		if p.wanted(file) {
			p.files[i] = proto.CloneOf(file)
			stripMessage(p.files[i].ProtoReflect())
		}
	}
}

// stripMessage clears the fields of a message, and of those in it, that are to be
// retained in the source alone; and messages of which nothing is left.
func stripMessage(message protoreflect.Message) {
	message.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		switch {
		case retainedInSource(field):
			message.Clear(field)
		case field.Message() == nil || field.IsMap():
		case field.IsList():
			for i := range value.List().Len() {
				stripMessage(value.List().Get(i).Message())
			}
		case proto.Size(value.Message().Interface()) > 0:
			stripMessage(value.Message())
			if proto.Size(value.Message().Interface()) == 0 {
				message.Clear(field)
			}
		}
		return true
	})
}

// retainedInSource tells whether a field is an option for compilers alone.
func retainedInSource(field protoreflect.FieldDescriptor) bool {
	options, _ := field.Options().(*descriptorpb.FieldOptions)
	return options.GetRetention() == descriptorpb.FieldOptions_RETENTION_SOURCE
}
