// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

// Command grpc measures google.golang.org/grpc, on unix sockets without TLS, with
// its defaults.
package main

import (
	"context"

	"github.com/containerd/ttrpc/bench/internal/load"
	"google.golang.org/grpc/metadata"
)

var library = load.Library{Serve: serve, Dial: dial, WithMetadata: withMetadata}

func main() { load.Main(library) }

// withMetadata implements load.Library.
func withMetadata(ctx context.Context, pairs map[string]string) context.Context {
	return metadata.NewOutgoingContext(ctx, metadata.New(pairs))
}

// fullName returns the name by which a method is called.
func fullName(method string) string { return "/" + load.ServiceName + "/" + method }
