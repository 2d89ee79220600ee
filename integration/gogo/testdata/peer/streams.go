// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

//go:build streams

package main

import (
	"context"
	"errors"
	"io"

	"github.com/containerd/ttrpc"
	"github.com/containerd/ttrpc/integration/gogo/shapes"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
)

func init() {
	registerStreams = func(server *ttrpc.Server) { shapes.RegisterStreamsService(server, streams{}) }
	googleStreamCalls = callGoogleStreams
	gogoStreamCalls = callGogoStreams
}

// streams is the service whose methods have streams.
type streams struct {
	shapes.UnimplementedStreamsService
}

func (streams) ClientStream(_ context.Context, stream shapes.Streams_ClientStreamServer) (*shapes.Item_Part, error) {
	last := new(shapes.Item)
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return &last.Part, nil
		}
		if err != nil {
			return nil, err
		}
		last = m
	}
}

func (streams) ServerStream(_ context.Context, m *shapes.Item_Part, stream shapes.Streams_ServerStreamServer) error {
	return stream.Send(&shapes.Item{Part: *m})
}

func (streams) Bidi(_ context.Context, stream shapes.Streams_BidiServer) error { return echo(stream) }

func (streams) SnakeBidi(_ context.Context, stream shapes.Streams_SnakeBidiServer) error {
	return echo(stream)
}

// echo sends all messages of a stream back.
func echo(stream shapes.Streams_BidiServer) error {
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

func (streams) ServerStreamOfNothing(_ context.Context, m *emptypb.Empty, stream shapes.Streams_ServerStreamOfNothingServer) error {
	return stream.Send(m)
}

// callGogoStreams returns the calls of methods with streams that have messages of
// gogo.
func callGogoStreams(ctx context.Context, connection *ttrpc.Client) []call {
	client := shapes.NewStreamsClient(connection)
	return []call{
		{"ClientStream", func() (any, error) {
			stream, err := client.ClientStream(ctx)
			if err != nil {
				return nil, err
			}
			if err := errors.Join(stream.Send(&shapes.Item{}), stream.Send(item())); err != nil {
				return nil, err
			}
			return stream.CloseAndRecv()
		}, &item().Part},
		{"ServerStream", func() (any, error) {
			stream, err := client.ServerStream(ctx, &item().Part)
			if err != nil {
				return nil, err
			}
			m, err := stream.Recv()
			if err != nil {
				return nil, err
			}
			return &m.Part, end(stream)
		}, &item().Part},
		{"Bidi", func() (any, error) { return exchange(client.Bidi(ctx)) }, item()},
		{"snake_bidi", func() (any, error) { return exchange(client.SnakeBidi(ctx)) }, item()},
	}
}

// callGoogleStreams does that for messages of google.golang.org/protobuf.
func callGoogleStreams(ctx context.Context, connection *ttrpc.Client) []call {
	client := shapes.NewStreamsClient(connection)
	return []call{
		{"ServerStreamOfNothing", func() (any, error) {
			stream, err := client.ServerStreamOfNothing(ctx, &emptypb.Empty{})
			if err != nil {
				return nil, err
			}
			if _, err := stream.Recv(); err != nil {
				return nil, err
			}
			_, err = stream.Recv()
			return err, nil
		}, io.EOF},
		{"ClientStreamOfNothing, not implemented", func() (any, error) {
			stream, err := client.ClientStreamOfNothing(ctx)
			if err != nil {
				return nil, err
			}
			_, err = stream.CloseAndRecv()
			return status.Code(err), nil
		}, codes.Unimplemented},
	}
}

// exchange sends a message on a stream that echoes, and returns the answer.
func exchange(stream shapes.Streams_BidiClient, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	if err := stream.Send(item()); err != nil {
		return nil, err
	}
	m, err := stream.Recv()
	if err != nil {
		return nil, err
	}
	if err := stream.CloseSend(); err != nil {
		return nil, err
	}
	return m, end(stream)
}

// end waits for the end of a stream.
func end(stream interface{ Recv() (*shapes.Item, error) }) error {
	m, err := stream.Recv()
	if errors.Is(err, io.EOF) {
		return nil
	}
	if err == nil {
		return errors.New("an answer too many: " + m.Label)
	}
	return err
}
