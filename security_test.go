// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package ttrpc_test

import (
	"bytes"
	"context"
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/containerd/ttrpc"
	"google.golang.org/genproto/googleapis/rpc/status"
	grpcstatus "google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
)

// The bounds of SECURITY.md that no other test holds.

// TestStreamIDGapsAreBounded passes over more ids than the server remembers.
func TestStreamIDGapsAreBounded(t *testing.T) {
	t.Parallel()
	const remembered = 1024
	p := newRawPeer(t, dial(t, serve(t, newServer(t))))
	refused := func(id uint32) {
		t.Helper()
		p.request(id, 0, "unknown.Service", "Method", nil)
		p.wantStatus(id, codes.InvalidArgument, "StreamID cannot be re-used and must increment")
	}
	served := func(id uint32) {
		t.Helper()
		p.request(id, 0, "unknown.Service", "Method", nil)
		p.wantStatus(id, codes.Unimplemented, "service unknown.Service")
	}

	served(1)
	last := uint32(1)
	for range remembered + 1 { // each leaves the id before it out
		last += 4
		served(last)
	}
	refused(3)       // forgotten: it counts as used
	served(7)        // the oldest that is remembered
	refused(7)       // but only once
	served(last - 2) // the newest
	served(last + 2)
}

// TestAnswersForPeerThatDoesNotReadAreBounded sends what calls for an answer,
// for as long as the server takes it, and reads none.
func TestAnswersForPeerThatDoesNotReadAreBounded(t *testing.T) {
	const accepted = 1 << 20 // answers, in bytes, besides what is being written
	answer, err := proto.Marshal(&ttrpc.Response{Status: &status.Status{
		Code:    int32(codes.InvalidArgument),
		Message: "StreamID must be odd for client initiated streams",
	}})
	require.NoError(t, err)
	size := len(frameBytes(2, typeResponse, 0, answer))
	synctest.Test(t, func(t *testing.T) {
		l := servePipe(t, newServer(t))
		conn := l.dialPipe(t)
		bad := frameBytes(2, typeRequest, 0, nil) // an even id
		var frames int
		start := time.Now()
		for {
			if _, err := conn.Write(bad); err != nil {
				break // the server has closed the connection
			}
			frames++
		}
		require.Equal(t, 10*time.Second, time.Since(start), "until the connection was closed")
		require.Greater(t, frames*size, accepted)
		// What is being written is no more than what was accepted before.
		require.LessOrEqual(t, frames*size, 2*(accepted+size))
	})
}

// TestAnsweredCallCountsUntilHandlerReturns gives up a call whose handler goes on,
// by its deadline or by a Cancel. That makes no room for another handler.
func TestAnsweredCallCountsUntilHandlerReturns(t *testing.T) {
	for _, kind := range []struct {
		method string
		flags  byte
	}{
		{"Unary", 0},
		{"Stream", flagRemoteClosed},
	} {
		for _, end := range []struct {
			name    string
			timeout time.Duration
			giveUp  func(*rawPeer)
		}{
			{"deadline", time.Second, func(p *rawPeer) {
				p.wantStatus(1, codes.DeadlineExceeded, "context deadline exceeded")
			}},
			{"cancel", 0, func(p *rawPeer) { p.write(1, typeCancel, 0, nil) }},
			{"cancel because of the deadline", 0, func(p *rawPeer) { p.write(1, typeCancel, flagDeadline, nil) }},
		} {
			t.Run(kind.method+", "+end.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					g := newGate(t)
					srv := newServer(t, ttrpc.WithServerMaxConcurrentCalls(1))
					srv.RegisterService(semService, &ttrpc.ServiceDesc{
						Methods: map[string]ttrpc.Method{"Unary": func(context.Context, func(any) error) (any, error) {
							g.wait()
							return &wrapperspb.StringValue{}, nil
						}},
						Streams: map[string]ttrpc.Stream{"Stream": {StreamingServer: true, Handler: func(context.Context, ttrpc.StreamServer) (any, error) {
							g.wait()
							return nil, nil
						}}},
					})
					p := newRawPeer(t, servePipe(t, srv).dialPipe(t))
					p.requestMessage(1, kind.flags, &ttrpc.Request{
						Service:     semService,
						Method:      kind.method,
						TimeoutNano: end.timeout.Nanoseconds(),
					})
					await(t, g.entered, "the handler")
					end.giveUp(p)
					for _, id := range []uint32{3, 5} {
						synctest.Wait()
						p.request(id, 0, semService, "Unary", nil)
						p.wantStatus(id, codes.ResourceExhausted, "too many concurrent calls on this connection: limit 1")
					}
					require.Empty(t, g.entered, "handlers started")

					g.release()
					synctest.Wait()
					p.request(7, 0, semService, "Unary", nil)
					p.wantStatus(7, codes.OK, "")
				})
			})
		}
	}
}

// TestMetadataIsBounded sends metadata of very many values, which take much more
// memory than bytes on the wire.
func TestMetadataIsBounded(t *testing.T) {
	srv := newServer(t)
	srv.Register("svc", map[string]ttrpc.Method{
		"Count": func(ctx context.Context, _ func(any) error) (any, error) {
			md, _ := ttrpc.GetMetadata(ctx)
			return wrapperspb.Int64(int64(len(md["k"]))), nil
		},
	})
	p := newRawPeer(t, dial(t, serve(t, srv)))
	request := func(values int) []byte {
		b, err := proto.Marshal(&ttrpc.Request{Service: "svc", Method: "Count"})
		require.NoError(t, err)
		for range values {
			b = append(b, "\x2a\x03\x0a\x01k"...) // metadata{key: "k"}
		}
		return b
	}
	// An entry that only protobuf's own decoder understands, in front.
	odd := append([]byte{0x2a, 0x02, 0x18, 0x01}, request(500_000)...)
	p.write(99, typeRequest, 0, odd)
	p.wantStatus(99, codes.ResourceExhausted, fmt.Sprintf("metadata exceeds %d bytes", 1<<20))

	const most = (1 << 20) / (1 + 128)
	for i, values := range []int{1, most, most + 1, 500_000} {
		id := uint32(2*i + 1)
		p.write(id, typeRequest, 0, request(values))
		if values <= most {
			var got wrapperspb.Int64Value
			require.NoError(t, proto.Unmarshal(p.wantResponse(id).GetPayload(), &got))
			require.EqualValues(t, values, got.Value)
		} else {
			p.wantStatus(id, codes.ResourceExhausted, fmt.Sprintf("metadata exceeds %d bytes", 1<<20))
		}
	}
}

// TestStatusDetailsAreBounded answers with a status of very many details, which
// take much more memory than bytes on the wire.
func TestStatusDetailsAreBounded(t *testing.T) {
	near, far := connPair(t)
	client := newClient(t, near)
	p := newRawPeer(t, far)
	for i, details := range []int{1, 1024, 1025, 1_000_000} {
		id := uint32(2*i + 1)
		call := goDo(func() error {
			return client.Call(t.Context(), "svc", "M", &wrapperspb.StringValue{}, &wrapperspb.StringValue{})
		})
		p.wantRequest(id)
		st, err := proto.Marshal(&status.Status{Code: int32(codes.NotFound), Message: "where?"})
		require.NoError(t, err)
		for range details {
			st = append(st, 0x1a, 0x00) // details{}
		}
		p.write(id, typeResponse, 0, protowire.AppendBytes([]byte{0x0a}, st))
		got := grpcstatus.Convert(await(t, call, "the call"))
		require.Equal(t, codes.NotFound, got.Code())
		require.Equal(t, "where?", got.Message())
		if details <= 1024 {
			require.Len(t, got.Proto().GetDetails(), details)
		} else {
			require.Equal(t, []*anypb.Any(nil), got.Proto().GetDetails())
		}
	}

	// The same, where only protobuf's own decoder could make something of it.
	var many []byte
	for range 1025 {
		many = append(many, 0x1a, 0x00)
	}
	garbled := append(bytes.Clone(many), 0x07)
	for i, response := range [][]byte{
		protowire.AppendBytes([]byte{0x0a}, garbled),
		append(protowire.AppendBytes([]byte{0x0a}, many), protowire.AppendBytes([]byte{0x0a}, many)...),
	} {
		id := uint32(2*i + 9)
		call := goDo(func() error {
			return client.Call(t.Context(), "svc", "M", &wrapperspb.StringValue{}, &wrapperspb.StringValue{})
		})
		p.wantRequest(id)
		p.write(id, typeResponse, 0, response)
		err := await(t, call, "the call")
		require.ErrorIs(t, err, ttrpc.ErrProtocol)
		require.ErrorContains(t, err, "too many details")
	}
}

// TestAnswersWaitUnencoded has very many answers wait for a peer that does not
// read. They are one message, so all that grows is what it is encoded to.
func TestAnswersWaitUnencoded(t *testing.T) {
	const calls, size = 1000, 100 << 10
	answer := wrapperspb.Bytes(make([]byte, size))
	returned := make(chan struct{}, calls)
	srv := newServer(t)
	srv.Register("svc", map[string]ttrpc.Method{
		"Answer": func(context.Context, func(any) error) (any, error) {
			returned <- struct{}{}
			return answer, nil
		},
	})
	var before, after runtime.MemStats
	p := newRawPeer(t, dial(t, serve(t, srv)))
	runtime.ReadMemStats(&before)
	for i := range uint32(calls) {
		p.request(2*i+1, 0, "svc", "Answer", nil)
	}
	for range calls {
		await(t, returned, "the handlers")
	}
	runtime.ReadMemStats(&after)
	allocated := after.TotalAlloc - before.TotalAlloc
	require.Less(t, allocated, uint64(calls*size/4), "bytes allocated while %d answers of %d bytes wait", calls, size)
	for range calls {
		p.read()
	}
}
