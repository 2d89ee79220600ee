// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

//go:build deps

package main

// What the peers and their stubs import. They are not packages of this module,
// so without these lines `go mod tidy` would drop their requirements. The build
// tag keeps them out of the command.
import (
	_ "github.com/containerd/ttrpc"
	_ "github.com/gogo/protobuf/gogoproto"
	_ "github.com/gogo/protobuf/types"
	_ "google.golang.org/grpc/codes"
	_ "google.golang.org/grpc/status"
	_ "google.golang.org/protobuf/types/known/emptypb"
)
