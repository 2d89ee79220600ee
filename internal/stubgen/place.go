// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package stubgen

import "fmt"

// Field numbers in google.protobuf's descriptors, as the path to a place has them.
const (
	MessageField = 4 // of FileDescriptorProto
	EnumField    = 5 // of FileDescriptorProto
	ServiceField = 6 // of FileDescriptorProto
	ExtField     = 7 // of FileDescriptorProto

	FieldField      = 2 // of DescriptorProto
	NestedField     = 3 // of DescriptorProto
	NestedEnumField = 4 // of DescriptorProto
	NestedExtField  = 6 // of DescriptorProto

	MethodField = 2 // of ServiceDescriptorProto
	ValueField  = 2 // of EnumDescriptorProto
)

// Place returns where a span of a .proto file begins, as file:line:column, or the
// file alone if the compiler has not said where things are. A span is what
// google.protobuf.SourceCodeInfo has: it counts from 0.
func Place(file string, span []int32) string {
	if len(span) < 2 {
		return file
	}
	return fmt.Sprintf("%s:%d:%d", file, span[0]+1, span[1]+1)
}
