// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"sync"
	"testing"

	"github.com/containerd/ttrpc"
	"github.com/containerd/ttrpc/cmd/protoc-gen-go-ttrpc/testdata/shapes"
	"github.com/containerd/ttrpc/internal/stubgen/stubtest"
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

// connectSeeing starts a server of the services in shapes, and returns a client of
// it, with interceptors that note what they see.
func connectSeeing(t *testing.T, byServer, byClient *seen) *ttrpc.Client {
	t.Helper()
	return stubtest.ConnectWith(t,
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
}

// finish ends a stream that has just been opened, and waits for its end.
func finish(t *testing.T, stream ttrpc.ClientStream, err error) {
	t.Helper()
	require.NoError(t, err)
	_ = stream.CloseSend() // it may be over already
	for err == nil {
		err = stream.RecvMsg(new(emptypb.Empty))
	}
}

// The constants are what interceptors compare with. A client has none for streams.
func TestConstantsAreWhatInterceptorsSee(t *testing.T) {
	var byServer, byClient seen
	conn := connectSeeing(t, &byServer, &byClient)
	named, cased := shapes.NewShapesClient(conn), shapes.NewCasesClient(conn)
	item, part, nothing := &shapes.Item{}, &shapes.Item_Part{}, &emptypb.Empty{}
	opened := func(stream ttrpc.ClientStream, err error) { finish(t, stream, err) }
	for _, test := range []struct {
		constant string
		call     func(context.Context)
		isUnary  bool
	}{
		{shapes.Shapes_Unary_FullMethodName, func(ctx context.Context) { _, _ = named.Unary(ctx, item) }, true},
		{shapes.Shapes_Nothing_FullMethodName, func(ctx context.Context) { _, _ = named.Nothing(ctx, nothing) }, true},
		{shapes.Shapes_ClientStream_FullMethodName, func(ctx context.Context) { opened(named.ClientStream(ctx)) }, false},
		{shapes.Shapes_ServerStream_FullMethodName, func(ctx context.Context) { opened(named.ServerStream(ctx, part)) }, false},
		{shapes.Shapes_Bidi_FullMethodName, func(ctx context.Context) { opened(named.Bidi(ctx)) }, false},
		{shapes.Cases_SnakeCase_FullMethodName, func(ctx context.Context) { _, _ = cased.SnakeCase(ctx, item) }, true},
		{shapes.Cases_Lower_FullMethodName, func(ctx context.Context) { _, _ = cased.Lower(ctx, item) }, true},
		{shapes.Cases_ClientStream_FullMethodName, func(ctx context.Context) { opened(cased.ClientStream(ctx)) }, false},
		{shapes.Cases_ServerStream_FullMethodName, func(ctx context.Context) { opened(cased.ServerStream(ctx, item)) }, false},
		{shapes.Cases_BidiStream_FullMethodName, func(ctx context.Context) { opened(cased.BidiStream(ctx)) }, false},
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

// A guard that compares with a constant cannot be got round by the other name that a
// method has on the wire.
func TestConstantsAreWhatInterceptorsSeeOfCallsByTheOtherName(t *testing.T) {
	var byServer, byClient seen
	conn := connectSeeing(t, &byServer, &byClient)
	const service = "ttrpc.testdata.shapes.Cases"
	for _, test := range []struct{ calledAs, constant string }{
		{"SnakeCase", shapes.Cases_SnakeCase_FullMethodName},
		{"Lower", shapes.Cases_Lower_FullMethodName},
	} {
		t.Run(test.calledAs, func(t *testing.T) {
			require.NotEqual(t, "/"+service+"/"+test.calledAs, test.constant)
			require.NoError(t, conn.Call(t.Context(), service, test.calledAs, &shapes.Item{}, &shapes.Item{}))
			require.Equal(t, []string{test.constant}, byServer.take())
		})
	}
	for _, test := range []struct {
		calledAs, constant string
		desc               ttrpc.StreamDesc
	}{
		{"client_stream", shapes.Cases_ClientStream_FullMethodName, ttrpc.StreamDesc{StreamingClient: true}},
		{"server_stream", shapes.Cases_ServerStream_FullMethodName, ttrpc.StreamDesc{StreamingServer: true}},
		{"bidi_stream", shapes.Cases_BidiStream_FullMethodName, ttrpc.StreamDesc{StreamingClient: true, StreamingServer: true}},
	} {
		t.Run(test.calledAs, func(t *testing.T) {
			require.NotEqual(t, "/"+service+"/"+test.calledAs, test.constant)
			var request any // of a client that sends no stream
			if !test.desc.StreamingClient {
				request = &shapes.Item{}
			}
			stream, err := conn.NewStream(t.Context(), &test.desc, service, test.calledAs, request)
			finish(t, stream, err)
			require.Equal(t, []string{test.constant}, byServer.take())
		})
	}
}
