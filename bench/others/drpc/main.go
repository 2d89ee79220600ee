// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

// Command drpc measures storj.io/drpc, with its defaults. A connection of it
// carries one call or stream at a time: further callers wait for their turn.
// Neither deadlines nor interceptors are part of it.
package main

import (
	"context"

	"github.com/containerd/ttrpc/bench/internal/load"
	"google.golang.org/protobuf/proto"
	"storj.io/drpc"
	"storj.io/drpc/drpcmetadata"
)

var library = load.Library{Serve: serve, Dial: dial, WithMetadata: withMetadata}

func main() { load.Main(library) }

// withMetadata implements load.Library.
func withMetadata(ctx context.Context, pairs map[string]string) context.Context {
	return drpcmetadata.AddPairs(ctx, pairs)
}

// encoding encodes protobuf messages, as the generator of drpc has it.
type encoding struct{}

func (encoding) Marshal(m drpc.Message) ([]byte, error) { return proto.Marshal(m.(proto.Message)) }

func (encoding) MarshalAppend(b []byte, m drpc.Message) ([]byte, error) {
	return proto.MarshalOptions{}.MarshalAppend(b, m.(proto.Message))
}

func (encoding) Unmarshal(b []byte, m drpc.Message) error {
	return proto.Unmarshal(b, m.(proto.Message))
}
