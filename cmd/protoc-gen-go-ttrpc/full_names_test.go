// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"sync"
	"testing"

	"github.com/containerd/ttrpc"
	"github.com/containerd/ttrpc/cmd/protoc-gen-go-ttrpc/testdata/shapes"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/emptypb"
)

// seen are the full names that interceptors have seen since they were last asked.
type seen struct {
	mu    sync.Mutex
	names []string
}

func (s *seen) add(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.names = append(s.names, name)
}

func (s *seen) take() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	names := s.names
	s.names = nil
	return names
}

// The constants are what interceptors compare with. A client has none for streams.
func TestConstantsAreWhatInterceptorsSee(t *testing.T) {
	var byServer, byClient seen
	conn := connectWith(t,
		func(s *ttrpc.Server) {
			shapes.RegisterCasesService(s, cases{})
			shapes.RegisterShapesService(s, shapes.UnimplementedShapesService{})
		},
		[]ttrpc.ServerOpt{
			ttrpc.WithUnaryServerInterceptor(func(ctx context.Context, unmarshal ttrpc.Unmarshaler, info *ttrpc.UnaryServerInfo, method ttrpc.Method) (any, error) {
				byServer.add(info.FullMethod)
				return method(ctx, unmarshal)
			}),
			ttrpc.WithChainStreamServerInterceptor(func(ctx context.Context, stream ttrpc.StreamServer, info *ttrpc.StreamServerInfo, handler ttrpc.StreamHandler) (any, error) {
				byServer.add(info.FullMethod)
				return handler(ctx, stream)
			}),
		},
		[]ttrpc.ClientOpts{
			ttrpc.WithUnaryClientInterceptor(func(ctx context.Context, req *ttrpc.Request, resp *ttrpc.Response, info *ttrpc.UnaryClientInfo, invoke ttrpc.Invoker) error {
				byClient.add(info.FullMethod)
				return invoke(ctx, req, resp)
			}),
		})
	named, cased := shapes.NewShapesClient(conn), shapes.NewCasesClient(conn)
	item, part, nothing := &shapes.Item{}, &shapes.Item_Part{}, &emptypb.Empty{}

	// finish ends a stream that has just been opened, and waits for its end.
	finish := func(stream ttrpc.ClientStream, err error) {
		t.Helper()
		require.NoError(t, err)
		_ = stream.CloseSend() // it may be over already
		for err == nil {
			err = stream.RecvMsg(new(emptypb.Empty))
		}
	}
	for _, test := range []struct {
		constant string
		call     func(context.Context)
		isUnary  bool
	}{
		{shapes.Shapes_Unary_FullMethodName, func(ctx context.Context) { _, _ = named.Unary(ctx, item) }, true},
		{shapes.Shapes_Nothing_FullMethodName, func(ctx context.Context) { _, _ = named.Nothing(ctx, nothing) }, true},
		{shapes.Shapes_ClientStream_FullMethodName, func(ctx context.Context) { finish(named.ClientStream(ctx)) }, false},
		{shapes.Shapes_ServerStream_FullMethodName, func(ctx context.Context) { finish(named.ServerStream(ctx, part)) }, false},
		{shapes.Shapes_Bidi_FullMethodName, func(ctx context.Context) { finish(named.Bidi(ctx)) }, false},
		{shapes.Cases_SnakeCase_FullMethodName, func(ctx context.Context) { _, _ = cased.SnakeCase(ctx, item) }, true},
		{shapes.Cases_Lower_FullMethodName, func(ctx context.Context) { _, _ = cased.Lower(ctx, item) }, true},
		{shapes.Cases_ClientStream_FullMethodName, func(ctx context.Context) { finish(cased.ClientStream(ctx)) }, false},
		{shapes.Cases_ServerStream_FullMethodName, func(ctx context.Context) { finish(cased.ServerStream(ctx, item)) }, false},
		{shapes.Cases_BidiStream_FullMethodName, func(ctx context.Context) { finish(cased.BidiStream(ctx)) }, false},
	} {
		t.Run(test.constant, func(t *testing.T) {
			test.call(t.Context())
			require.Equal(t, []string{test.constant}, byServer.take())
			if test.isUnary {
				require.Equal(t, []string{test.constant}, byClient.take())
			} else {
				require.Empty(t, byClient.take())
			}
		})
	}
}
