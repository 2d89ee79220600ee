// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package ttrpc_test

import (
	"bytes"
	"context"
	"runtime"
	"testing"

	"github.com/containerd/ttrpc"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
)

// nestedLists returns an encoded structpb.Value: a list in a list, that many times.
// Each is two messages.
func nestedLists(n int) []byte {
	field := func(num protowire.Number, b []byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(nil, num, protowire.BytesType), b)
	}
	value := field(6, nil)
	for range n - 1 {
		value = field(6, field(1, value))
	}
	return value
}

// TestNestedMessagesAreBounded sends and answers messages that are nested very
// deep. Those that cannot be decoded cost their calls.
func TestNestedMessagesAreBounded(t *testing.T) {
	srv := newServer(t)
	srv.Register("svc", map[string]ttrpc.Method{
		"Take": func(_ context.Context, unmarshal func(any) error) (any, error) {
			return new(structpb.Value), unmarshal(new(structpb.Value))
		},
	})
	p := newRawPeer(t, dial(t, serve(t, srv)))
	p.request(1, 0, "svc", "Take", nestedLists(450))
	require.Nil(t, p.wantResponse(1).GetStatus())
	p.request(3, 0, "svc", "Take", nestedLists(550))
	require.EqualValues(t, codes.Internal, p.wantResponse(3).GetStatus().GetCode())
	p.request(5, 0, "svc", "Take", nil)
	require.Nil(t, p.wantResponse(5).GetStatus())

	near, far := connPair(t)
	client := newClient(t, near)
	server := newRawPeer(t, far)
	call := func(id uint32, answer []byte) error {
		end := goDo(func() error {
			return client.Call(t.Context(), "svc", "Give", new(structpb.Value), new(structpb.Value))
		})
		server.wantRequest(id)
		server.respond(id, &ttrpc.Response{Payload: answer})
		return await(t, end, "the call")
	}
	require.NoError(t, call(1, nestedLists(450)))
	require.ErrorContains(t, call(3, nestedLists(550)), "recursion")
	require.NoError(t, call(5, nil))
	t.Log("lists nested 450 deep arrived, 550 deep did not")
}

// TestGroupsInEnvelopeTakeLittleStack sends groups that are nested very deep over
// many connections, as a client and as a server. The goroutines that read them
// stay small.
func TestGroupsInEnvelopeTakeLittleStack(t *testing.T) {
	const levels, connections = 9_000, 30
	groups := append(bytes.Repeat([]byte{0x33}, levels), bytes.Repeat([]byte{0x34}, levels)...)
	srv := newServer(t)
	address := serve(t, srv)
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range connections {
		p := newRawPeer(t, dial(t, address))
		p.write(1, typeRequest, 0, groups)
		p.wantStatus(1, codes.InvalidArgument, "unmarshal request error: groups are nested more than 100 deep")
		p.requestMessage(3, 0, &ttrpc.Request{Service: "svc", Method: "None"}) // the connection lives
		require.EqualValues(t, codes.Unimplemented, p.wantResponse(3).GetStatus().GetCode())

		near, far := connPair(t)
		client := newClient(t, near)
		server := newRawPeer(t, far)
		end := goDo(func() error {
			return client.Call(t.Context(), "svc", "Method", new(structpb.Value), new(structpb.Value))
		})
		server.wantRequest(1)
		server.write(1, typeResponse, 0, groups)
		require.ErrorIs(t, await(t, end, "the call"), ttrpc.ErrProtocol)
	}
	runtime.ReadMemStats(&after)
	grown := int64(after.StackInuse) - int64(before.StackInuse)
	require.Less(t, grown, int64(connections*2*64<<10), "bytes of stacks for %d connections", 2*connections)
	t.Logf("%d connections with groups %d deep: %d KB of stacks", 2*connections, levels, grown>>10)

	var req ttrpc.Request
	require.NoError(t, proto.Unmarshal(groups, &req), "protobuf itself takes them")
}
