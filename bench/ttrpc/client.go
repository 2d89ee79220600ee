// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/containerd/ttrpc"
	"github.com/containerd/ttrpc/bench/internal/load"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// conn implements load.Conn.
type conn struct {
	*ttrpc.Client
}

// dial implements load.Library.
func dial(c net.Conn, s load.Settings) (load.Conn, error) {
	var opts []ttrpc.ClientOpts
	if s.Interceptors {
		opts = append(opts, ttrpc.WithUnaryClientInterceptor(intercept))
	}
	return conn{ttrpc.NewClient(c, opts...)}, nil
}

// intercept is an interceptor that only goes on.
func intercept(ctx context.Context, request *ttrpc.Request, response *ttrpc.Response,
	_ *ttrpc.UnaryClientInfo, invoker ttrpc.Invoker) error {
	return invoker(ctx, request, response)
}

func (c conn) Unary(ctx context.Context, method load.Method, payload []byte) error {
	var response wrapperspb.BytesValue
	if err := c.Call(ctx, load.ServiceName, string(method), &wrapperspb.BytesValue{Value: payload}, &response); err != nil {
		return err
	}
	return load.CheckSize(response.Value, len(payload))
}

func (c conn) ServerStream(ctx context.Context, n, size int, received func()) error {
	order := load.Order{Messages: n, Size: size}
	stream, err := c.NewStream(ctx, &ttrpc.StreamDesc{StreamingServer: true}, load.ServiceName, load.SourceMethod,
		&wrapperspb.BytesValue{Value: order.Encode()})
	if err != nil {
		return err
	}
	var m wrapperspb.BytesValue
	for range n {
		if err := stream.RecvMsg(&m); err != nil {
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
func end(stream ttrpc.ClientStream) error {
	var m wrapperspb.BytesValue
	if err := stream.RecvMsg(&m); !errors.Is(err, io.EOF) {
		return fmt.Errorf("got %v at the end of a stream", err)
	}
	return nil
}

func (c conn) ClientStream(ctx context.Context, n int, payload []byte) error {
	stream, err := c.NewStream(ctx, &ttrpc.StreamDesc{StreamingClient: true}, load.ServiceName, load.SinkMethod, nil)
	if err != nil {
		return err
	}
	m := &wrapperspb.BytesValue{Value: payload}
	for range n {
		if err := stream.SendMsg(m); err != nil {
			return err
		}
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	var count wrapperspb.BytesValue
	if err := stream.RecvMsg(&count); err != nil {
		return err
	}
	return load.CheckCount(count.Value, n)
}

func (c conn) Echo(ctx context.Context) (load.Echo, error) {
	stream, err := c.NewStream(ctx, &ttrpc.StreamDesc{StreamingClient: true, StreamingServer: true},
		load.ServiceName, load.EchoMethod, nil)
	return echoStream{stream}, err
}

// echoStream implements load.Echo.
type echoStream struct {
	ttrpc.ClientStream
}

func (s echoStream) Send(payload []byte) error {
	return s.SendMsg(&wrapperspb.BytesValue{Value: payload})
}

func (s echoStream) Receive(size int) error {
	var m wrapperspb.BytesValue
	if err := s.RecvMsg(&m); err != nil {
		return err
	}
	return load.CheckSize(m.Value, size)
}

func (s echoStream) Finish() error {
	if err := s.CloseSend(); err != nil {
		return err
	}
	return end(s.ClientStream)
}
