// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/containerd/ttrpc/bench/internal/load"
	"google.golang.org/protobuf/types/known/wrapperspb"
	"storj.io/drpc"
	"storj.io/drpc/drpcconn"
)

// conn implements load.Conn.
type conn struct {
	*drpcconn.Conn
}

// dial implements load.Library.
func dial(c net.Conn, s load.Settings) (load.Conn, error) {
	if s.Interceptors {
		return nil, errors.New("drpc has no interceptors")
	}
	return conn{drpcconn.New(c)}, nil
}

func (c conn) Unary(ctx context.Context, method load.Method, payload []byte) error {
	var response wrapperspb.BytesValue
	err := c.Invoke(ctx, string(method), encoding{}, &wrapperspb.BytesValue{Value: payload}, &response)
	if err != nil {
		return err
	}
	return load.CheckSize(response.Value, len(payload))
}

func (c conn) ServerStream(ctx context.Context, n, size int, received func()) error {
	stream, err := c.NewStream(ctx, load.SourceMethod, encoding{})
	if err != nil {
		return err
	}
	order := load.Order{Messages: n, Size: size}
	if err := stream.MsgSend(&wrapperspb.BytesValue{Value: order.Encode()}, encoding{}); err != nil {
		return err
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	var m wrapperspb.BytesValue
	for range n {
		if err := stream.MsgRecv(&m, encoding{}); err != nil {
			return err
		}
		if err := load.CheckSize(m.Value, size); err != nil {
			return err
		}
		received()
	}
	return end(stream)
}

// end returns an error if the stream does not end here.
func end(stream drpc.Stream) error {
	var m wrapperspb.BytesValue
	if err := stream.MsgRecv(&m, encoding{}); !errors.Is(err, io.EOF) {
		return fmt.Errorf("got %v at the end of a stream", err)
	}
	return stream.Close()
}

func (c conn) ClientStream(ctx context.Context, n int, payload []byte) error {
	stream, err := c.NewStream(ctx, load.SinkMethod, encoding{})
	if err != nil {
		return err
	}
	m := &wrapperspb.BytesValue{Value: payload}
	for range n {
		if err := stream.MsgSend(m, encoding{}); err != nil {
			return err
		}
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	var count wrapperspb.BytesValue
	if err := stream.MsgRecv(&count, encoding{}); err != nil {
		return err
	}
	return errors.Join(load.CheckCount(count.Value, n), end(stream))
}

func (c conn) Echo(ctx context.Context) (load.Echo, error) {
	stream, err := c.NewStream(ctx, load.EchoMethod, encoding{})
	return echoStream{stream}, err
}

// echoStream implements load.Echo.
type echoStream struct {
	drpc.Stream
}

func (s echoStream) Send(payload []byte) error {
	return s.MsgSend(&wrapperspb.BytesValue{Value: payload}, encoding{})
}

func (s echoStream) Receive(size int) error {
	var m wrapperspb.BytesValue
	if err := s.MsgRecv(&m, encoding{}); err != nil {
		return err
	}
	return load.CheckSize(m.Value, size)
}

func (s echoStream) Finish() error {
	if err := s.CloseSend(); err != nil {
		return err
	}
	return end(s.Stream)
}
