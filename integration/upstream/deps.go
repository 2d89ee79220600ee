// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

//go:build deps

package main

// What the regression tests import. They are not files of this module, so
// without these lines `go mod tidy` would drop their requirements. The build
// tag keeps them out of the runner.
import (
	_ "github.com/containerd/ttrpc"
	_ "github.com/stretchr/testify/require"
	_ "golang.org/x/sys/unix"
	_ "google.golang.org/genproto/googleapis/rpc/status"
	_ "google.golang.org/grpc/codes"
	_ "google.golang.org/grpc/status"
	_ "google.golang.org/protobuf/proto"
	_ "google.golang.org/protobuf/types/known/wrapperspb"
)
