// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"errors"
	"io"
	"net"
	"path/filepath"
	"slices"
	"testing"

	"github.com/containerd/ttrpc"
	"github.com/containerd/ttrpc/integration/streaming"
	"github.com/stretchr/testify/require"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
)

// service implements streaming.StreamingService.
type service struct {
	// ended gets the error of the context of each Hold and Inspect that ends.
	ended chan error
}

func (*service) Divide(_ context.Context, d *streaming.Division) (*streaming.Quotient, error) {
	if d.GetDivisor() == 0 {
		return nil, errDivisionByZero()
	}
	return &streaming.Quotient{
		Quotient:  d.GetDividend() / d.GetDivisor(),
		Remainder: d.GetDividend() % d.GetDivisor(),
	}, nil
}

// errDivisionByZero is an error with details.
func errDivisionByZero() error {
	s, err := status.New(codes.InvalidArgument, "division by zero").WithDetails(&errdetails.BadRequest{
		FieldViolations: []*errdetails.BadRequest_FieldViolation{{Field: "divisor", Description: "is zero"}},
	})
	if err != nil {
		return err
	}
	return s.Err()
}

func (*service) Copy(_ context.Context, b *streaming.Blob) (*streaming.Blob, error) { return b, nil }

func (*service) Ping(_ context.Context, e *emptypb.Empty) (*emptypb.Empty, error) { return e, nil }

func (*service) Sum(_ context.Context, stream streaming.Streaming_SumServer) (*streaming.Total, error) {
	total := new(streaming.Total)
	err := each(stream.Recv, func(n *streaming.Number) error {
		total.Sum += n.GetValue()
		total.Count++
		return nil
	})
	return total, err
}

func (*service) Share(_ context.Context, d *streaming.Division, stream streaming.Streaming_ShareServer) error {
	if d.GetDivisor() == 0 {
		return errDivisionByZero()
	}
	share, rest := d.GetDividend()/d.GetDivisor(), d.GetDividend()%d.GetDivisor()
	for i := range d.GetDivisor() {
		n := &streaming.Number{Value: share}
		if i < rest {
			n.Value++
		}
		if err := stream.Send(n); err != nil {
			return err
		}
	}
	return nil
}

func (*service) Tick(_ context.Context, n *streaming.Number, stream streaming.Streaming_TickServer) error {
	for range n.GetValue() {
		if err := stream.Send(&emptypb.Empty{}); err != nil {
			return err
		}
	}
	return nil
}

func (*service) Echo(_ context.Context, stream streaming.Streaming_EchoServer) error {
	return each(stream.Recv, func(b *streaming.Blob) error {
		if b.GetNumber() < 0 {
			return status.Errorf(codes.OutOfRange, "number %d is negative", b.GetNumber())
		}
		return stream.Send(b)
	})
}

func (*service) Reverse(_ context.Context, stream streaming.Streaming_ReverseServer) error {
	var blobs []*streaming.Blob
	err := each(stream.Recv, func(b *streaming.Blob) error {
		blobs = append(blobs, b)
		return nil
	})
	if err != nil {
		return err
	}
	for _, b := range slices.Backward(blobs) {
		if err := stream.Send(b); err != nil {
			return err
		}
	}
	return nil
}

func (s *service) Hold(ctx context.Context, _ *emptypb.Empty, stream streaming.Streaming_HoldServer) error {
	return s.tellAndWait(ctx, stream.Send)
}

func (s *service) Inspect(ctx context.Context, stream streaming.Streaming_InspectServer) error {
	return s.tellAndWait(ctx, stream.Send)
}

// tellAndWait sends what ctx knows of the call, and waits until ctx ends.
func (s *service) tellAndWait(ctx context.Context, send func(*streaming.Call) error) error {
	call := new(streaming.Call)
	if md, ok := ttrpc.GetMetadata(ctx); ok {
		call.Names, _ = md.Get("name")
	}
	if deadline, ok := ctx.Deadline(); ok {
		call.Deadline = deadline.UnixNano()
	}
	if err := send(call); err != nil {
		return err
	}
	<-ctx.Done()
	s.ended <- ctx.Err()
	return ctx.Err()
}

// each calls do for every message until the last one has been received.
func each[M any](recv func() (M, error), do func(M) error) error {
	for {
		m, err := recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := do(m); err != nil {
			return err
		}
	}
}

// A fixture is a server on a unix socket and a client of it. Both are closed
// when the test ends.
type fixture struct {
	streaming.StreamingClient
	service *service
	server  *ttrpc.Server
	client  *ttrpc.Client
}

// start starts a server and a client.
func start(t *testing.T) *fixture {
	t.Helper()
	server, err := ttrpc.NewServer()
	require.NoError(t, err)
	svc := &service{ended: make(chan error, 1)}
	streaming.RegisterStreamingService(server, svc)

	listener, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- server.Serve(context.Background(), listener) }()
	t.Cleanup(func() {
		require.NoError(t, server.Close())
		require.ErrorIs(t, <-served, ttrpc.ErrServerClosed)
	})

	conn, err := net.Dial("unix", listener.Addr().String())
	require.NoError(t, err)
	client := ttrpc.NewClient(conn)
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	return &fixture{streaming.NewStreamingClient(client), svc, server, client}
}
