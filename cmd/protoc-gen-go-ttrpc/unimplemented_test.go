// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"testing"

	"github.com/containerd/ttrpc"
	"github.com/containerd/ttrpc/cmd/protoc-gen-go-ttrpc/testdata/shapes"
	"github.com/containerd/ttrpc/internal/stubgen/stubtest"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
)

// partByValue and partByPointer implement two of the methods of a service.
type partByValue struct {
	shapes.UnimplementedShapesService
}

func (partByValue) Unary(_ context.Context, m *shapes.Item) (*shapes.Item, error) { return m, nil }

func (partByValue) ServerStream(_ context.Context, _ *shapes.Item_Part, stream shapes.Shapes_ServerStreamServer) error {
	return stream.Send(&shapes.Item{Name: "sent"})
}

// It works if, as here, the pointer is not nil; so by value is better.
type partByPointer struct {
	*shapes.UnimplementedShapesService
}

func (*partByPointer) Unary(_ context.Context, m *shapes.Item) (*shapes.Item, error) { return m, nil }

func (*partByPointer) ServerStream(_ context.Context, _ *shapes.Item_Part, stream shapes.Shapes_ServerStreamServer) error {
	return stream.Send(&shapes.Item{Name: "sent"})
}

func TestUnimplementedMethods(t *testing.T) {
	for _, test := range []struct {
		name    string
		service shapes.ShapesService
	}{
		{"embedded value", partByValue{}},
		{"embedded value, pointer", &partByValue{}},
		{"embedded pointer", &partByPointer{&shapes.UnimplementedShapesService{}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			client := shapes.NewShapesClient(stubtest.Connect(t, func(s *ttrpc.Server) { shapes.RegisterShapesService(s, test.service) }))
			requireUnimplemented(t, client)

			// What is implemented works, on the same connection.
			resp, err := client.Unary(t.Context(), &shapes.Item{Name: "name"})
			require.NoError(t, err)
			require.Equal(t, "name", resp.GetName())
			stream, err := client.ServerStream(t.Context(), &shapes.Item_Part{})
			require.NoError(t, err)
			m, err := stream.Recv()
			require.NoError(t, err)
			require.Equal(t, "sent", m.GetName())
		})
	}
}

// requireUnimplemented calls what none of the services of these tests has.
func requireUnimplemented(t *testing.T, client shapes.ShapesClient) {
	t.Helper()
	want := func(method string, err error) {
		t.Helper()
		require.Equal(t, codes.Unimplemented, status.Code(err), method)
		require.Equal(t, "method "+method+" not implemented", status.Convert(err).Message())
	}
	_, err := client.Nothing(t.Context(), &emptypb.Empty{})
	want("Nothing", err)

	clientStream, err := client.ClientStream(t.Context())
	require.NoError(t, err)
	want("ClientStream", clientStream.RecvMsg(&shapes.Item_Part{}))

	serverStream, err := client.ServerStreamOfNothing(t.Context(), &emptypb.Empty{})
	require.NoError(t, err)
	_, err = serverStream.Recv()
	want("ServerStreamOfNothing", err)

	bidi, err := client.Bidi(t.Context())
	require.NoError(t, err)
	_, err = bidi.Recv()
	want("Bidi", err)
}

// An implementation need not change when its service gets a method, of whatever
// shape, if it embeds the type.
func TestUnimplementedMakesRoomForNewMethods(t *testing.T) {
	const implementation = `package p

		import (
			"context"

			"google.golang.org/protobuf/types/known/emptypb"
		)

		type value struct{ %s }

		func (value) Do(context.Context, *emptypb.Empty) (*emptypb.Empty, error) { return nil, nil }

		type pointer struct{ *value }

		var _, _, _ SService = value{}, &value{}, pointer{}`

	do := method("Do", empty, "")
	for _, shape := range append([]string{"none"}, shapeOptions...) {
		t.Run("new method: "+shape, func(t *testing.T) {
			methods := []string{do}
			if shape != "none" {
				methods = append(methods, method("More", empty, shape))
			}
			compile := func(embedded string) error {
				c := newCompiler(t, requestFor(t, file("p", service("S", methods...))))
				c.add(t, "example.com/p", fmt.Sprintf(implementation, embedded))
				return c.checkAll()
			}
			require.NoError(t, compile("UnimplementedSService"))
			require.NoError(t, compile("*UnimplementedSService"))
			if shape == "none" {
				require.NoError(t, compile(""), "implementations of upstream's interface embed nothing")
			} else {
				require.ErrorContains(t, compile(""), "missing method More")
			}
		})
	}
}
