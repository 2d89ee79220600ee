// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"io"
	"testing"

	"github.com/containerd/ttrpc"
	"github.com/containerd/ttrpc/cmd/protoc-gen-go-ttrpc/testdata/prefix"
	"github.com/containerd/ttrpc/cmd/protoc-gen-go-ttrpc/testdata/shapes"
	"github.com/containerd/ttrpc/internal/stubgen/stubtest"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/emptypb"
)

// cases implements the service whose methods are not called in Go as in the
// .proto file.
type cases struct{}

func (cases) SnakeCase(_ context.Context, m *shapes.Item) (*shapes.Item, error) { return m, nil }
func (cases) Lower(_ context.Context, m *shapes.Item) (*shapes.Item, error)     { return m, nil }

func (cases) ClientStream(_ context.Context, stream shapes.Cases_ClientStreamServer) (*shapes.Item, error) {
	last := new(shapes.Item)
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return last, nil
		}
		if err != nil {
			return nil, err
		}
		last = m
	}
}

func (cases) ServerStream(_ context.Context, m *shapes.Item, stream shapes.Cases_ServerStreamServer) error {
	return stream.Send(m)
}

func (cases) BidiStream(_ context.Context, stream shapes.Cases_BidiStreamServer) error {
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := stream.Send(m); err != nil {
			return err
		}
	}
}

// With what upstream v1.2.10 generates, SnakeCase and Lower answer Unimplemented.
// Its clients call a unary method by the name that it has in the .proto file, and
// its servers know it by its name in Go alone.
func TestMethodsThatAreNotInCamelCaseCanBeCalled(t *testing.T) {
	client := shapes.NewCasesClient(stubtest.Connect(t, func(s *ttrpc.Server) { shapes.RegisterCasesService(s, cases{}) }))
	item := &shapes.Item{Name: "item"}

	t.Run("SnakeCase", func(t *testing.T) {
		resp, err := client.SnakeCase(t.Context(), item)
		require.NoError(t, err)
		require.Equal(t, "item", resp.GetName())
	})
	t.Run("Lower", func(t *testing.T) {
		resp, err := client.Lower(t.Context(), item)
		require.NoError(t, err)
		require.Equal(t, "item", resp.GetName())
	})
	t.Run("ClientStream", func(t *testing.T) {
		stream, err := client.ClientStream(t.Context())
		require.NoError(t, err)
		require.NoError(t, stream.Send(item))
		resp, err := stream.CloseAndRecv()
		require.NoError(t, err)
		require.Equal(t, "item", resp.GetName())
	})
	t.Run("ServerStream", func(t *testing.T) {
		stream, err := client.ServerStream(t.Context(), item)
		require.NoError(t, err)
		resp, err := stream.Recv()
		require.NoError(t, err)
		require.Equal(t, "item", resp.GetName())
		_, err = stream.Recv()
		require.Equal(t, io.EOF, err)
	})
	t.Run("BidiStream", func(t *testing.T) {
		stream, err := client.BidiStream(t.Context())
		require.NoError(t, err)
		require.NoError(t, stream.Send(item))
		resp, err := stream.Recv()
		require.NoError(t, err)
		require.Equal(t, "item", resp.GetName())
		require.NoError(t, stream.CloseSend())
		_, err = stream.Recv()
		require.Equal(t, io.EOF, err)
	})
}

// Callers that know a method by either of its names reach it, whatever made
// them. With what upstream v1.2.10 generates, those that have it from the .proto
// file get Unimplemented.
func TestServerAnswersToNamesInProtoAndInGo(t *testing.T) {
	client := stubtest.Connect(t, func(s *ttrpc.Server) { shapes.RegisterCasesService(s, cases{}) })
	const service = "ttrpc.testdata.shapes.Cases"

	for _, method := range []string{"snake_case", "SnakeCase", "lower", "Lower"} {
		t.Run(method, func(t *testing.T) {
			resp := new(shapes.Item)
			require.NoError(t, client.Call(t.Context(), service, method, &shapes.Item{Name: method}, resp))
			require.Equal(t, method, resp.GetName())
		})
	}
	for _, test := range []struct {
		method      string
		clientSends bool
		serverSends bool
	}{
		{"bidi_stream", true, true},
		{"BidiStream", true, true},
		{"client_stream", true, false},
		{"ClientStream", true, false},
		{"server_stream", false, true},
		{"ServerStream", false, true},
	} {
		t.Run(test.method, func(t *testing.T) {
			item := &shapes.Item{Name: test.method}
			desc := &ttrpc.StreamDesc{StreamingClient: test.clientSends, StreamingServer: test.serverSends}
			var request any // of a client that sends no stream
			if !test.clientSends {
				request = item
			}
			stream, err := client.NewStream(t.Context(), desc, service, test.method, request)
			require.NoError(t, err)
			if test.clientSends {
				require.NoError(t, stream.SendMsg(item))
				require.NoError(t, stream.CloseSend())
			}
			resp := new(shapes.Item)
			require.NoError(t, stream.RecvMsg(resp))
			require.Equal(t, test.method, resp.GetName())
		})
	}
}

// tasks implements a service that was generated with a prefix.
type tasks struct{}

func (tasks) Do(_ context.Context, m *prefix.Message) (*prefix.Message, error) { return m, nil }

// The prefix is in the names in Go alone: it is not on the wire.
func TestPrefixIsNotOnTheWire(t *testing.T) {
	client := stubtest.Connect(t, func(s *ttrpc.Server) { prefix.RegisterTTRPCTasksService(s, tasks{}) })
	_, err := prefix.NewTTRPCTasksClient(client).Do(t.Context(), &prefix.Message{})
	require.NoError(t, err)
	require.NoError(t, client.Call(t.Context(), "ttrpc.testdata.prefix.Tasks", "Do", &prefix.Message{}, &emptypb.Empty{}))
}
