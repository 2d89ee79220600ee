// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package ttrpc_test

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"path/filepath"
	"testing"

	"github.com/containerd/ttrpc"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// These benchmarks have client and server in one process, on a unix socket. The
// comparison with upstream, in two processes, is the module in bench.

const benchService = "ttrpc.bench.Root"

// benchMessage returns a message of size bytes.
func benchMessage(size int) *wrapperspb.BytesValue {
	return &wrapperspb.BytesValue{Value: make([]byte, size)}
}

// newBenchClient returns a client of a server with the methods below.
func newBenchClient(b *testing.B) *ttrpc.Client {
	b.Helper()
	server, err := ttrpc.NewServer()
	require.NoError(b, err)
	server.RegisterService(benchService, &ttrpc.ServiceDesc{
		Methods: map[string]ttrpc.Method{"Unary": benchUnary},
		Streams: map[string]ttrpc.Stream{
			"Source": {Handler: benchSource, StreamingServer: true},
			"Sink":   {Handler: benchSink, StreamingClient: true},
			"Echo":   {Handler: benchEcho, StreamingClient: true, StreamingServer: true},
		},
	})
	l, err := net.Listen("unix", filepath.Join(b.TempDir(), "s"))
	require.NoError(b, err)
	served := make(chan error, 1)
	go func() { served <- server.Serve(context.Background(), l) }()
	conn, err := net.Dial("unix", l.Addr().String())
	require.NoError(b, err)
	client := ttrpc.NewClient(conn)
	b.Cleanup(func() {
		client.Close()
		require.NoError(b, server.Shutdown(context.Background()))
		require.ErrorIs(b, <-served, ttrpc.ErrServerClosed)
	})
	return client
}

// benchUnary answers with what it was sent.
func benchUnary(_ context.Context, unmarshal func(any) error) (any, error) {
	var m wrapperspb.BytesValue
	if err := unmarshal(&m); err != nil {
		return nil, err
	}
	return &m, nil
}

// benchSource sends as many messages of 64 bytes as the request says.
func benchSource(_ context.Context, stream ttrpc.StreamServer) (any, error) {
	var m wrapperspb.BytesValue
	if err := stream.RecvMsg(&m); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint64(m.Value)
	message := benchMessage(64)
	for range n {
		if err := stream.SendMsg(message); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// benchSink answers with the number of messages that it was sent.
func benchSink(_ context.Context, stream ttrpc.StreamServer) (any, error) {
	var m wrapperspb.BytesValue
	for n := uint64(0); ; n++ {
		switch err := stream.RecvMsg(&m); {
		case errors.Is(err, io.EOF):
			return &wrapperspb.BytesValue{Value: binary.BigEndian.AppendUint64(nil, n)}, nil
		case err != nil:
			return nil, err
		}
	}
}

// benchEcho sends back what it is sent.
func benchEcho(_ context.Context, stream ttrpc.StreamServer) (any, error) {
	var m wrapperspb.BytesValue
	for {
		switch err := stream.RecvMsg(&m); {
		case errors.Is(err, io.EOF):
			return nil, nil
		case err != nil:
			return nil, err
		}
		if err := stream.SendMsg(&m); err != nil {
			return nil, err
		}
	}
}

func BenchmarkUnary(b *testing.B) {
	for _, size := range []struct {
		name  string
		bytes int
	}{{"64B", 64}, {"64KiB", 64 << 10}, {"1MiB", 1 << 20}} {
		b.Run(size.name, func(b *testing.B) {
			client := newBenchClient(b)
			ctx := context.Background()
			request := benchMessage(size.bytes)
			b.SetBytes(int64(2 * size.bytes)) // there and back
			b.ReportAllocs()
			for b.Loop() {
				var response wrapperspb.BytesValue
				if err := client.Call(ctx, benchService, "Unary", request, &response); err != nil {
					b.Fatal(err)
				}
				if len(response.Value) != size.bytes {
					b.Fatalf("got %d bytes", len(response.Value))
				}
			}
		})
	}
}

// BenchmarkUnaryParallel makes calls of 64 bytes from 64 goroutines per CPU, on
// one connection.
func BenchmarkUnaryParallel(b *testing.B) {
	client := newBenchClient(b)
	ctx := context.Background()
	request := benchMessage(64)
	b.SetParallelism(64)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			var response wrapperspb.BytesValue
			if err := client.Call(ctx, benchService, "Unary", request, &response); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

// BenchmarkServerStream counts messages of 64 bytes, on one stream.
func BenchmarkServerStream(b *testing.B) {
	client := newBenchClient(b)
	b.ReportAllocs()
	b.ResetTimer()
	stream, err := client.NewStream(context.Background(), &ttrpc.StreamDesc{StreamingServer: true}, benchService, "Source",
		&wrapperspb.BytesValue{Value: binary.BigEndian.AppendUint64(nil, uint64(b.N))})
	require.NoError(b, err)
	var m wrapperspb.BytesValue
	for range b.N {
		if err := stream.RecvMsg(&m); err != nil {
			b.Fatal(err)
		}
	}
	require.ErrorIs(b, stream.RecvMsg(&m), io.EOF)
}

// BenchmarkClientStream counts messages of 64 bytes, on one stream.
func BenchmarkClientStream(b *testing.B) {
	client := newBenchClient(b)
	b.ReportAllocs()
	b.ResetTimer()
	stream, err := client.NewStream(context.Background(), &ttrpc.StreamDesc{StreamingClient: true}, benchService, "Sink", nil)
	require.NoError(b, err)
	message := benchMessage(64)
	for range b.N {
		if err := stream.SendMsg(message); err != nil {
			b.Fatal(err)
		}
	}
	require.NoError(b, stream.CloseSend())
	var count wrapperspb.BytesValue
	require.NoError(b, stream.RecvMsg(&count))
	require.Equal(b, uint64(b.N), binary.BigEndian.Uint64(count.Value))
}

// BenchmarkPingPong counts messages of 64 bytes that went there and back, one at
// a time, on one stream.
func BenchmarkPingPong(b *testing.B) {
	client := newBenchClient(b)
	stream, err := client.NewStream(context.Background(), &ttrpc.StreamDesc{StreamingClient: true, StreamingServer: true},
		benchService, "Echo", nil)
	require.NoError(b, err)
	message := benchMessage(64)
	b.ReportAllocs()
	for b.Loop() {
		if err := stream.SendMsg(message); err != nil {
			b.Fatal(err)
		}
		var m wrapperspb.BytesValue
		if err := stream.RecvMsg(&m); err != nil {
			b.Fatal(err)
		}
	}
	require.NoError(b, stream.CloseSend())
	var m wrapperspb.BytesValue
	require.ErrorIs(b, stream.RecvMsg(&m), io.EOF)
}
