// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"

	"github.com/containerd/ttrpc/bench/internal/load"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// conn implements load.Conn.
type conn struct {
	*grpc.ClientConn
}

// dial implements load.Library.
func dial(c net.Conn, s load.Settings) (load.Conn, error) {
	opts := []grpc.DialOption{
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(once(c)),
	}
	if s.Interceptors {
		opts = append(opts, grpc.WithUnaryInterceptor(intercept))
	}
	client, err := grpc.NewClient("passthrough:///bench", opts...)
	if err != nil {
		return nil, err
	}
	return conn{client}, nil
}

// once returns a dialer that hands out c, once.
func once(c net.Conn) func(context.Context, string) (net.Conn, error) {
	var mu sync.Mutex
	return func(context.Context, string) (net.Conn, error) {
		mu.Lock()
		defer mu.Unlock()
		if c == nil {
			return nil, errors.New("the connection has been lost")
		}
		dialed := c
		c = nil
		return dialed, nil
	}
}

// intercept is an interceptor that only goes on.
func intercept(ctx context.Context, method string, request, response any, cc *grpc.ClientConn,
	invoker grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	return invoker(ctx, method, request, response, cc, opts...)
}

// fullNames are the names of the unary methods.
var fullNames = func() map[load.Method]string {
	names := map[load.Method]string{}
	for _, method := range load.Methods {
		names[method] = fullName(string(method))
	}
	return names
}()

func (c conn) Unary(ctx context.Context, method load.Method, payload []byte) error {
	var response wrapperspb.BytesValue
	if err := c.Invoke(ctx, fullNames[method], &wrapperspb.BytesValue{Value: payload}, &response); err != nil {
		return err
	}
	return load.CheckSize(response.Value, len(payload))
}

func (c conn) ServerStream(ctx context.Context, n, size int, received func()) error {
	stream, err := c.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, fullName(load.SourceMethod))
	if err != nil {
		return err
	}
	order := load.Order{Messages: n, Size: size}
	if err := stream.SendMsg(&wrapperspb.BytesValue{Value: order.Encode()}); err != nil {
		return err
	}
	if err := stream.CloseSend(); err != nil {
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
func end(stream grpc.ClientStream) error {
	var m wrapperspb.BytesValue
	if err := stream.RecvMsg(&m); !errors.Is(err, io.EOF) {
		return fmt.Errorf("got %v at the end of a stream", err)
	}
	return nil
}

func (c conn) ClientStream(ctx context.Context, n int, payload []byte) error {
	stream, err := c.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true}, fullName(load.SinkMethod))
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
	stream, err := c.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true},
		fullName(load.EchoMethod))
	return echoStream{stream}, err
}

// echoStream implements load.Echo.
type echoStream struct {
	grpc.ClientStream
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
