// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"io"
	"net"

	"github.com/containerd/ttrpc/bench/internal/load"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// serve implements load.Library.
func serve(l net.Listener, s load.Settings) error {
	var opts []grpc.ServerOption
	if s.Interceptors {
		opts = append(opts, grpc.UnaryInterceptor(interceptServer))
	}
	server := grpc.NewServer(opts...)
	desc := &grpc.ServiceDesc{
		ServiceName: load.ServiceName,
		HandlerType: (*any)(nil),
		Streams: []grpc.StreamDesc{
			{StreamName: load.SourceMethod, Handler: source, ServerStreams: true},
			{StreamName: load.SinkMethod, Handler: sink, ClientStreams: true},
			{StreamName: load.EchoMethod, Handler: echo, ClientStreams: true, ServerStreams: true},
		},
	}
	for _, method := range load.Methods {
		desc.Methods = append(desc.Methods, grpc.MethodDesc{MethodName: string(method), Handler: unary(method)})
	}
	server.RegisterService(desc, struct{}{})
	return server.Serve(l)
}

// interceptServer is an interceptor that only goes on.
func interceptServer(ctx context.Context, request any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	return handler(ctx, request)
}

// unary returns the handler of a unary method, as the generator of grpc would.
func unary(method load.Method) grpc.MethodHandler {
	answer := func(ctx context.Context, request any) (any, error) { return answer(ctx, method, request) }
	return func(server any, ctx context.Context, decode func(any) error, interceptor grpc.UnaryServerInterceptor) (any, error) {
		m := new(wrapperspb.BytesValue)
		if err := decode(m); err != nil {
			return nil, err
		}
		if interceptor == nil {
			return answer(ctx, m)
		}
		info := &grpc.UnaryServerInfo{Server: server, FullMethod: fullNames[method]}
		return interceptor(ctx, m, info, answer)
	}
}

// answer answers with what method was sent.
func answer(ctx context.Context, method load.Method, request any) (any, error) {
	if method == load.Keyed {
		if md, _ := metadata.FromIncomingContext(ctx); len(md.Get(load.MetadataKey)) == 0 {
			return nil, load.ErrNoMetadata
		}
	}
	method.Handle()
	return request, nil
}

// source sends as many messages as it is asked for.
func source(_ any, stream grpc.ServerStream) error {
	var m wrapperspb.BytesValue
	if err := stream.RecvMsg(&m); err != nil {
		return err
	}
	order, err := load.DecodeOrder(m.Value)
	if err != nil {
		return err
	}
	m.Value = make([]byte, order.Size)
	for range order.Messages {
		if err := stream.SendMsg(&m); err != nil {
			return err
		}
	}
	return nil
}

// sink counts what it is sent.
func sink(_ any, stream grpc.ServerStream) error {
	var m wrapperspb.BytesValue
	for n := 0; ; n++ {
		err := stream.RecvMsg(&m)
		if errors.Is(err, io.EOF) {
			return stream.SendMsg(&wrapperspb.BytesValue{Value: load.EncodeCount(n, nil)})
		}
		if err != nil {
			return err
		}
	}
}

// echo sends back what it is sent.
func echo(_ any, stream grpc.ServerStream) error {
	var m wrapperspb.BytesValue
	for {
		err := stream.RecvMsg(&m)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := stream.SendMsg(&m); err != nil {
			return err
		}
	}
}
