// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"io"
	"net"

	"github.com/containerd/ttrpc"
	"github.com/containerd/ttrpc/bench/internal/load"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// serve implements load.Library.
func serve(l net.Listener, s load.Settings) error {
	var opts []ttrpc.ServerOpt
	if s.Interceptors {
		opts = append(opts, ttrpc.WithUnaryServerInterceptor(interceptServer))
	}
	server, err := ttrpc.NewServer(opts...)
	if err != nil {
		return err
	}
	methods := map[string]ttrpc.Method{}
	for _, method := range load.Methods {
		methods[string(method)] = unary(method)
	}
	server.RegisterService(load.ServiceName, &ttrpc.ServiceDesc{
		Methods: methods,
		Streams: map[string]ttrpc.Stream{
			load.SourceMethod: {Handler: source, StreamingServer: true},
			load.SinkMethod:   {Handler: sink, StreamingClient: true},
			load.EchoMethod:   {Handler: echo, StreamingClient: true, StreamingServer: true},
		},
	})
	return server.Serve(context.Background(), l)
}

// interceptServer is an interceptor that only goes on.
func interceptServer(ctx context.Context, unmarshal ttrpc.Unmarshaler, _ *ttrpc.UnaryServerInfo,
	method ttrpc.Method) (any, error) {
	return method(ctx, unmarshal)
}

// unary returns the handler of a unary method, which answers with what it was
// sent.
func unary(method load.Method) ttrpc.Method {
	return func(ctx context.Context, unmarshal func(any) error) (any, error) {
		var m wrapperspb.BytesValue
		if err := unmarshal(&m); err != nil {
			return nil, err
		}
		if method == load.Keyed {
			if _, ok := ttrpc.GetMetadataValue(ctx, load.MetadataKey); !ok {
				return nil, load.ErrNoMetadata
			}
		}
		method.Handle()
		return &m, nil
	}
}

// source sends as many messages as it is asked for.
func source(_ context.Context, stream ttrpc.StreamServer) (any, error) {
	var m wrapperspb.BytesValue
	if err := stream.RecvMsg(&m); err != nil {
		return nil, err
	}
	order, err := load.DecodeOrder(m.Value)
	if err != nil {
		return nil, err
	}
	m.Value = make([]byte, order.Size)
	for range order.Messages {
		if err := stream.SendMsg(&m); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// sink counts what it is sent.
func sink(_ context.Context, stream ttrpc.StreamServer) (any, error) {
	var m wrapperspb.BytesValue
	for n := 0; ; n++ {
		err := stream.RecvMsg(&m)
		if errors.Is(err, io.EOF) {
			return &wrapperspb.BytesValue{Value: load.EncodeCount(n, nil)}, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// echo sends back what it is sent.
func echo(_ context.Context, stream ttrpc.StreamServer) (any, error) {
	var m wrapperspb.BytesValue
	for {
		err := stream.RecvMsg(&m)
		if errors.Is(err, io.EOF) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		if err := stream.SendMsg(&m); err != nil {
			return nil, err
		}
	}
}
