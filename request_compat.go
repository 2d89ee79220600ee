// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package ttrpc

// File_github_com_containerd_ttrpc_request_proto is the name that
// File_request_proto had in releases before v1.2.9.
var File_github_com_containerd_ttrpc_request_proto = File_request_proto
