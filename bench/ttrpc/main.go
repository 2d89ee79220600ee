// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

// Command ttrpc measures github.com/containerd/ttrpc: this tree's, or, when it
// is built with -modfile=upstream.mod, the released one. It uses only what both
// have.
package main

import (
	"context"

	"github.com/containerd/ttrpc"
	"github.com/containerd/ttrpc/bench/internal/load"
)

var library = load.Library{Serve: serve, Dial: dial, WithMetadata: withMetadata}

func main() { load.Main(library) }

// withMetadata implements load.Library.
func withMetadata(ctx context.Context, pairs map[string]string) context.Context {
	md := ttrpc.MD{}
	for key, value := range pairs {
		md.Set(key, value)
	}
	return ttrpc.WithMetadata(ctx, md)
}
