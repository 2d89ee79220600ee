// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package ttrpc

import "google.golang.org/protobuf/reflect/protoreflect"

// File_github_com_containerd_ttrpc_request_proto is the name that
// File_request_proto had in releases before v1.2.9.
var File_github_com_containerd_ttrpc_request_proto protoreflect.FileDescriptor

func init() {
	file_request_proto_init() // does nothing if it has been called
	File_github_com_containerd_ttrpc_request_proto = File_request_proto
}
