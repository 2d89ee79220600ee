// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package ttrpc_test

// The rows of PROTOCOL.md, "What a server does", in its order.

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/containerd/ttrpc"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// wireServer is a server whose client is played by hand. Its service "s" has the
// methods
//
//	e    unary, answers with its request
//	w    unary, does what the test tells it: see handler
//	b    likewise, a stream in both directions
//	c    likewise, a stream from the client
//	v    likewise, a stream from the server
//	u    likewise, a stream of one message in each direction
//	two  a unary method like w, and a stream like b
type wireServer struct {
	*wirePeer
	connect  func() *wirePeer
	handlers chan *wireHandler
	over     chan struct{} // closed when the test ends
	nextID   uint32        // for wantServed
}

// wireHandler is one run of a handler, which the test does the work of.
type wireHandler struct {
	t         *testing.T
	ctx       context.Context
	unmarshal func(any) error
	ss        ttrpc.StreamServer
	result    chan wireResult
}

// wireResult is what a handler returns.
type wireResult struct {
	value any
	err   error
}

// newWireServer returns a server and a connection to it. dial serves it, and
// returns what makes a connection.
func newWireServer(t *testing.T, opts []ttrpc.ServerOpt, dial func(*ttrpc.Server) func() net.Conn) *wireServer {
	t.Helper()
	s := &wireServer{
		handlers: make(chan *wireHandler, 64),
		over:     make(chan struct{}),
		nextID:   1001,
	}
	unary := func(ctx context.Context, unmarshal func(any) error) (any, error) {
		return s.handle(&wireHandler{t: t, ctx: ctx, unmarshal: unmarshal})
	}
	stream := func(ctx context.Context, ss ttrpc.StreamServer) (any, error) {
		return s.handle(&wireHandler{t: t, ctx: ctx, ss: ss})
	}
	srv := newServer(t, opts...)
	srv.RegisterService("s", &ttrpc.ServiceDesc{
		Methods: map[string]ttrpc.Method{"e": echoUnary, "w": unary, "two": unary},
		Streams: map[string]ttrpc.Stream{
			"b":   {Handler: stream, StreamingClient: true, StreamingServer: true},
			"c":   {Handler: stream, StreamingClient: true},
			"v":   {Handler: stream, StreamingServer: true},
			"u":   {Handler: stream},
			"two": {Handler: stream, StreamingClient: true, StreamingServer: true},
		},
	})
	dialed := dial(srv)
	s.connect = func() *wirePeer { return &wirePeer{rawPeer: newRawPeer(t, dialed()), sends: ">"} }
	s.wirePeer = s.connect()
	t.Cleanup(func() { close(s.over) })
	return s
}

// handle hands a handler to the test, and waits for what it shall return, which
// does not depend on its context.
func (s *wireServer) handle(h *wireHandler) (any, error) {
	h.result = make(chan wireResult, 1)
	s.handlers <- h
	select {
	case r := <-h.result:
		return r.value, r.err
	case <-s.over:
		return nil, errors.New("test is over")
	}
}

// handler waits for the next handler to run.
func (s *wireServer) handler() *wireHandler {
	s.t.Helper()
	return await(s.t, s.handlers, "a handler to run")
}

// wantServed makes a call, which must be served. Whatever the server has to say
// about earlier frames comes before, and would be in the way.
func (s *wireServer) wantServed() {
	s.t.Helper()
	s.play(fmt.Sprintf(`
		> 0000000b %08x 01 00  0a01's' 1201'e' 1a03 0a01'x'
		< 00000005 %08[1]x 02 00  1203 0a01'x'`, s.nextID))
	s.nextID += 2
}

// reconnect closes the connection and goes on with a new one.
func (s *wireServer) reconnect() {
	s.t.Helper()
	s.conn.Close()
	s.wirePeer = s.connect()
}

// open opens a stream without a first message.
func (s *wireServer) open(id uint32, method string) *wireHandler {
	s.t.Helper()
	s.request(id, flagRemoteOpen|flagNoData, "s", method, nil)
	return s.handler()
}

// returns ends the handler.
func (h *wireHandler) returns(value any, err error) { h.result <- wireResult{value, err} }

// recv is RecvMsg.
func (h *wireHandler) recv() (string, error) {
	h.t.Helper()
	m := wrapperspb.String("untouched")
	err := await(h.t, goDo(func() error { return h.ss.RecvMsg(m) }), "RecvMsg in the handler")
	return m.GetValue(), err
}

// wantRecv receives this message.
func (h *wireHandler) wantRecv(want string) {
	h.t.Helper()
	got, err := h.recv()
	require.NoError(h.t, err)
	require.Equal(h.t, want, got)
}

// wantRecvErr receives nothing but this error, again and again.
func (h *wireHandler) wantRecvErr(want error) {
	h.t.Helper()
	for range 2 {
		_, err := h.recv()
		require.Equal(h.t, want, err)
	}
}

// wantEnd waits until the handler's context ends, and says why.
func (h *wireHandler) wantEnd(want error) {
	h.t.Helper()
	await(h.t, h.ctx.Done(), "the handler's context to end")
	require.Equal(h.t, want, h.ctx.Err())
}

// wantLive says that the handler's context has not ended.
func (h *wireHandler) wantLive() {
	h.t.Helper()
	require.NoError(h.t, h.ctx.Err())
}

// serverRow is a row of the tables.
type serverRow struct {
	name string
	run  func(s *wireServer)
	opts []ttrpc.ServerOpt

	fakeTime   bool // only in a bubble: the row takes time, or waits for the server to be idle
	socketOnly bool // only on a socket
}

// TestServerProtocol runs each row on a pipe, where every Write waits for a Read,
// and on a socket of the kernel. Behind each row it checks that nothing else is
// lost.
func TestServerProtocol(t *testing.T) {
	for _, row := range serverRows {
		run := func(t *testing.T, dial func(*ttrpc.Server) func() net.Conn) {
			s := newWireServer(t, row.opts, dial)
			row.run(s)
			s.wantServed()
			require.Empty(t, s.handlers, "a handler that the row does not know of")
		}
		t.Run(row.name, func(t *testing.T) {
			if !row.socketOnly {
				t.Run("pipe", func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						run(t, func(srv *ttrpc.Server) func() net.Conn {
							l := servePipe(t, srv)
							return func() net.Conn { return l.dialPipe(t) }
						})
					})
				})
			}
			if !row.fakeTime {
				t.Run("socket", func(t *testing.T) {
					run(t, func(srv *ttrpc.Server) func() net.Conn {
						l := serve(t, srv)
						return func() net.Conn { return dial(t, l) }
					})
				})
			}
		})
	}
}

var serverRows = []serverRow{
	// Requests.
	{name: "unary call", run: func(s *wireServer) {
		s.play(`
			> 0000000b 00000001 01 00  0a01's' 1201'e' 1a03 0a01'x'
			< 00000005 00000001 02 00  1203 0a01'x'`)
	}},
	{name: "unary call, empty messages", run: func(s *wireServer) {
		s.play(`
			> 00000006 00000001 01 00  0a01's' 1201'e'
			< 00000000 00000001 02 00
			> 00000008 00000003 01 00  0a01's' 1201'e' 1a00
			< 00000000 00000003 02 00`)
		s.play(`> 00000006 00000005 01 00  0a01's' 1201'w'`)
		h := s.handler()
		m := wrapperspb.String("untouched")
		require.NoError(s.t, h.unmarshal(m))
		require.Empty(s.t, m.GetValue())
		h.returns(m, nil)
		s.play(`< 00000000 00000005 02 00`)
	}},
	{name: "unary call, error", run: func(s *wireServer) {
		details, err := status.New(codes.NotFound, "nf").WithDetails(wrapperspb.String("d"))
		require.NoError(s.t, err)
		for i, tt := range []struct {
			err  error
			want string
		}{
			{status.Error(codes.NotFound, "nf"), `< 00000008 %08x 02 00  0a06 0805 1202'nf'`},
			{errors.New("boom"), `< 0000000a %08x 02 00  0a08 0802 1204'boom'`},
			{errors.New(""), `< 00000004 %08x 02 00  0a020802`},
			{errors.New("no \xff file"), `< 00000011 %08x 02 00  0a0f 0802 120b'no ' efbfbd ' file'`},
			{details.Err(), `< 00000040 %08x 02 00  0a3e 0805 1202'nf' 1a36 0a2f'type.googleapis.com/google.protobuf.StringValue' 1203 0a01'd'`},
		} {
			id := uint32(2*i + 1)
			s.request(id, 0, "s", "w", nil)
			s.handler().returns(wrapperspb.String("dropped"), tt.err)
			s.play(fmt.Sprintf(tt.want, id))
		}
	}},
	{name: "unary call, unusable result", run: func(s *wireServer) {
		for i, tt := range []struct {
			result any
			want   string
		}{
			{nil, `< 00000024 %08x 02 00  0a22 0802 121e'ttrpc: marshal called with nil'`},
			{(*wrapperspb.StringValue)(nil), `< 00000024 %08x 02 00  0a22 0802 121e'ttrpc: marshal called with nil'`},
			{"text", `< 00000034 %08x 02 00  0a32 080d 122e'ttrpc: error unsupported response type: string'`},
			{wrapperspb.String("\xff"), `< 0000004a %08x 02 00  0a48 080d 1244'ttrpc: error marshaling payload: string field contains invalid UTF-8'`},
		} {
			id := uint32(2*i + 1)
			s.request(id, 0, "s", "w", nil)
			s.handler().returns(tt.result, nil)
			s.play(fmt.Sprintf(tt.want, id))
		}
	}},
	{name: "unary call, result above 4 MiB", run: func(s *wireServer) {
		s.play(`> 00000006 00000001 01 00  0a01's' 1201'w'`)
		s.handler().returns(wrapperspb.Bytes(zeros[:4<<20]), nil)
		s.play(`< 00000043 00000001 02 00  0a41 0808 123d'message length 4194314 exceed maximum message size of 4194304'`)
	}},
	{name: "unary call, any flags", run: func(s *wireServer) {
		for i, flags := range []byte{0x01, 0x02, 0x04, 0x06, 0xff} {
			s.play(fmt.Sprintf(`
				> 0000000b %08x 01 %02x  0a01's' 1201'e' 1a03 0a01'x'
				< 00000005 %08[1]x 02 00  1203 0a01'x'`, 2*i+1, flags))
		}
	}},
	{name: "unary call, malformed payload", run: func(s *wireServer) {
		for i, payload := range [][]byte{{0xff}, {0x0a, 0x05, 'x'}, {0x0a, 0x01, 0xff}} {
			id := uint32(2*i + 1)
			s.request(id, 0, "s", "w", payload)
			h := s.handler()
			err := h.unmarshal(&wrapperspb.StringValue{})
			require.Equal(s.t, codes.Internal, status.Code(err))
			h.returns(nil, err)
			s.wantRefusal(id, codes.Internal, "ttrpc: error unmarshalling payload: "+
				protobufError(s.t, payload, &wrapperspb.StringValue{}))
		}
	}},
	{name: "unknown service", run: func(s *wireServer) {
		s.play(`
			> 0000000e 00000001 01 00  0a04'nope' 1201'e' 1a03 0a01'x'
			< 00000012 00000001 02 00  0a10 080c 120c'service nope'
			> 00000000 00000003 01 00
			< 0000000e 00000003 02 00  0a0c 080c 1208'service '`)
	}},
	{name: "unknown method", run: func(s *wireServer) {
		s.play(`
			> 0000000e 00000001 01 00  0a01's' 1204'nope' 1a03 0a01'x'
			< 00000011 00000001 02 00  0a0f 080c 120b'method nope'
			> 00000003 00000003 01 06  0a01's'
			< 0000000d 00000003 02 00  0a0b 080c 1207'method '`)
	}},
	{name: "malformed Request", run: func(s *wireServer) {
		for i, payload := range [][]byte{{0xff, 0xff, 0xff}, {0x0a, 0x05, 's'}, {0x20}, {0x2a, 0x02, 0x0a, 0x05}} {
			id := uint32(2*i + 1)
			s.write(id, typeRequest, 0, payload)
			s.wantRefusal(id, codes.InvalidArgument, "unmarshal request error: "+
				protobufError(s.t, payload, &ttrpc.Request{}))
		}
		s.play(`
			> 00000006 00000001 01 00  0a01's' 1201'e'
			< 00000033 00000001 02 00  0a31 0803 122d'StreamID cannot be re-used and must increment'`)
	}},
	{name: "Request with invalid UTF-8", run: func(s *wireServer) {
		s.play(`
			> 00000006 00000001 01 00  0a01ff 1201'e'
			< 00000042 00000001 02 00  0a40 0803 123c'unmarshal request error: string field contains invalid UTF-8'
			> 00000006 00000003 01 00  0a01's' 1201ff
			< 00000042 00000003 02 00  0a40 0803 123c'unmarshal request error: string field contains invalid UTF-8'
			> 0000000b 00000005 01 00  0a01's' 1201'e' 2a03 0a01ff
			< 00000042 00000005 02 00  0a40 0803 123c'unmarshal request error: string field contains invalid UTF-8'
			> 0000000e 00000007 01 00  0a01's' 1201'e' 2a06 0a01'k' 1201ff
			< 00000042 00000007 02 00  0a40 0803 123c'unmarshal request error: string field contains invalid UTF-8'`)
	}},
	{name: "Request with unknown fields", run: func(s *wireServer) {
		s.play(`
			> 0000001f 00000001 01 00  3203'new' 0a01's' 1201'e' 3807 1a03 0a01'x' 2a05 0a01'k' 1801 c23e03'far'
			< 00000005 00000001 02 00  1203 0a01'x'
			> 00000005 00000003 01 00  0801 1201'e'
			< 0000000e 00000003 02 00  0a0c 080c 1208'service '`)
	}},
	{name: "Request with a field twice", run: func(s *wireServer) {
		s.play(`> 0000001e 00000001 01 00  0a05'other' 0a01's' 1201'e' 1201'w' 1a03 0a01'y' 1a03 0a01'x' 2001 2000`)
		h := s.handler()
		_, timed := h.ctx.Deadline()
		require.False(s.t, timed)
		var m wrapperspb.StringValue
		require.NoError(s.t, h.unmarshal(&m))
		h.returns(&m, nil)
		s.play(`< 00000005 00000001 02 00  1203 0a01'x'`)
	}},
	{name: "metadata", run: func(s *wireServer) {
		for id, method := range map[uint32]string{1: "w", 3: "b"} {
			s.play(fmt.Sprintf(`> 0000003b %08x 01 00  0a01's' 1201'%s' 2a06 0a01'A' 1201'1' 2a06 0a01'a' 1201'2' 2a06 0a01'A' 1201'3' 2a09 0a05'empty' 1200 2a08 1206'no key' 2a06 0a01'a' 1201'2'`, id, method))
			h := s.handler()
			md, ok := ttrpc.GetMetadata(h.ctx)
			require.True(s.t, ok)
			require.Equal(s.t, ttrpc.MD{"a": {"1", "2", "3", "2"}, "empty": {""}, "": {"no key"}}, md)
			h.returns(nil, errors.New(""))
			s.play(fmt.Sprintf(`< 00000004 %08x 02 00  0a02 0802`, id))
		}
	}},
	{name: "timeout", fakeTime: true, run: func(s *wireServer) {
		for id, method := range map[uint32]string{1: "w", 3: "b"} {
			start := time.Now()
			s.play(fmt.Sprintf(`> 0000000c %08x 01 00  0a01's' 1201'%s' 208094ebdc03`, id, method)) // one second
			h := s.handler()
			deadline, _ := h.ctx.Deadline()
			require.Equal(s.t, start.Add(time.Second), deadline)
			h.wantLive()
			<-h.ctx.Done()
			require.Equal(s.t, deadline, time.Now())

			s.play(fmt.Sprintf(`< 0000001f %08x 02 00  0a1d 0804 1219'context deadline exceeded'`, id))
			require.Equal(s.t, deadline.Add(deadlinePatience), time.Now())
			h.wantEnd(context.DeadlineExceeded)
			if h.ss != nil {
				h.wantRecvErr(context.DeadlineExceeded)
				require.Equal(s.t, context.DeadlineExceeded, h.ss.SendMsg(wrapperspb.String("late")))
			}
			h.returns(wrapperspb.String("late"), nil)
			s.wantServed()
		}
	}},
	{name: "negative timeout", run: func(s *wireServer) {
		for i, timeout := range []int64{-1, math.MinInt64} {
			id := uint32(2*i + 1)
			s.requestMessage(id, 0, &ttrpc.Request{Service: "s", Method: "w", TimeoutNano: timeout})
			s.play(fmt.Sprintf(`< 0000001f %08x 02 00  0a1d 0804 1219'context deadline exceeded'`, id))
			h := s.handler()
			require.Equal(s.t, context.DeadlineExceeded, h.ctx.Err())
			_, timed := h.ctx.Deadline()
			require.True(s.t, timed)
			h.returns(wrapperspb.String("late"), nil)
			s.wantServed()
		}
	}},
	{name: "largest timeout", run: func(s *wireServer) {
		s.play(`> 00000010 00000001 01 00  0a01's' 1201'w' 20ffffffffffffffff7f`)
		h := s.handler()
		deadline, _ := h.ctx.Deadline()
		require.Greater(s.t, time.Until(deadline), 200*365*24*time.Hour)
		h.wantLive()
		h.returns(wrapperspb.String("x"), nil)
		s.play(`< 00000005 00000001 02 00  1203 0a01'x'`)
	}},

	// Stream ids of Requests.
	{name: "even id", run: func(s *wireServer) {
		for _, typ := range []byte{typeRequest, typeResponse, typeData, 0x00, 0x04, 0x07, typeCancel, 0xff} {
			for _, id := range []uint32{0, 2, 4294967294} {
				s.play(fmt.Sprintf(`
					> 00000000 %08x %02x 00
					< 00000037 %08[1]x 02 00  0a35 0803 1231'StreamID must be odd for client initiated streams'
					> 00000006 %08[1]x %02[2]x 05  0a01's' 1201'e'
					< 00000037 %08[1]x 02 00  0a35 0803 1231'StreamID must be odd for client initiated streams'`, id, typ))
			}
		}
		s.play(`
			> 0000000b 00000001 01 00  0a01's' 1201'e' 1a03 0a01'x'
			< 00000005 00000001 02 00  1203 0a01'x'`)
	}},
	{name: "ten zero bytes", run: func(s *wireServer) {
		s.play(`
			> 00000000 00000000 00 00
			< 00000037 00000000 02 00  0a35 0803 1231'StreamID must be odd for client initiated streams'
			> 00000000 00000000 00 00
			< 00000037 00000000 02 00  0a35 0803 1231'StreamID must be odd for client initiated streams'`)
	}},
	{name: "ids out of order", run: func(s *wireServer) {
		for _, id := range []int{5, 1, 99, 3, 97, 7} {
			s.play(fmt.Sprintf(`
				> 0000000b %08x 01 00  0a01's' 1201'e' 1a03 0a01'x'
				< 00000005 %08[1]x 02 00  1203 0a01'x'`, id))
		}
		for _, id := range []int{5, 1, 99, 3, 97, 7} {
			s.play(fmt.Sprintf(`
				> 0000000b %08x 01 00  0a01's' 1201'e' 1a03 0a01'x'
				< 00000033 %08[1]x 02 00  0a31 0803 122d'StreamID cannot be re-used and must increment'`, id))
		}
	}},
	{name: "highest id", run: func(s *wireServer) {
		s.play(`
			> 0000000b ffffffff 01 00  0a01's' 1201'e' 1a03 0a01'x'
			< 00000005 ffffffff 02 00  1203 0a01'x'
			> 0000000b 00000001 01 00  0a01's' 1201'e' 1a03 0a01'x'
			< 00000005 00000001 02 00  1203 0a01'x'
			> 0000000b fffffffd 01 00  0a01's' 1201'e' 1a03 0a01'x'
			< 00000005 fffffffd 02 00  1203 0a01'x'
			> 0000000b ffffffff 01 00  0a01's' 1201'e' 1a03 0a01'x'
			< 00000033 ffffffff 02 00  0a31 0803 122d'StreamID cannot be re-used and must increment'`)
	}},
	{name: "id used before", run: func(s *wireServer) {
		s.play(`
			> 0000000b 00000001 01 00  0a01's' 1201'e' 1a03 0a01'x'
			< 00000005 00000001 02 00  1203 0a01'x'
			> 0000000b 00000001 01 00  0a01's' 1201'e' 1a03 0a01'x'
			< 00000033 00000001 02 00  0a31 0803 122d'StreamID cannot be re-used and must increment'
			> 00000001 00000001 01 00  ff
			< 00000033 00000001 02 00  0a31 0803 122d'StreamID cannot be re-used and must increment'
			> 00000006 00000003 01 00  0a04'nope'
			< 00000012 00000003 02 00  0a10 080c 120c'service nope'
			> 0000000b 00000003 01 00  0a01's' 1201'e' 1a03 0a01'x'
			< 00000033 00000003 02 00  0a31 0803 122d'StreamID cannot be re-used and must increment'`)
	}},
	{name: "id of a live call", run: func(s *wireServer) {
		s.play(`> 00000006 00000001 01 00  0a01's' 1201'w'`)
		h := s.handler()
		s.play(`
			> 0000000b 00000001 01 00  0a01's' 1201'e' 1a03 0a01'y'
			< 00000033 00000001 02 00  0a31 0803 122d'StreamID cannot be re-used and must increment'
			> 00000001 00000001 01 00  ff
			< 00000033 00000001 02 00  0a31 0803 122d'StreamID cannot be re-used and must increment'`)
		h.wantLive()
		h.returns(wrapperspb.String("x"), nil)
		s.play(`< 00000005 00000001 02 00  1203 0a01'x'`)
	}},
	{name: "id of a live stream", run: func(s *wireServer) {
		h := s.open(1, "b")
		s.play(`
			> 0000000b 00000001 01 00  0a01's' 1201'e' 1a03 0a01'y'
			< 00000033 00000001 02 00  0a31 0803 122d'StreamID cannot be re-used and must increment'
			> 00000003 00000001 03 00  0a01'x'
			> 00000000 00000001 03 05`)
		h.wantRecv("x")
		h.wantRecvErr(io.EOF)
		h.wantLive()
		h.returns(nil, nil)
		s.play(`< 00000000 00000001 03 05`)
	}},
	{name: "too many gaps", run: func(s *wireServer) {
		refused := func(id int) string {
			return fmt.Sprintf(`
				> 0000000b %08x 01 00  0a01's' 1201'e' 1a03 0a01'x'
				< 00000033 %08[1]x 02 00  0a31 0803 122d'StreamID cannot be re-used and must increment'`, id)
		}
		served := func(id int) string {
			return fmt.Sprintf(`
				> 0000000b %08x 01 00  0a01's' 1201'e' 1a03 0a01'x'
				< 00000005 %08[1]x 02 00  1203 0a01'x'`, id)
		}
		const gaps = 1024
		for i := range gaps + 1 { // leaves out 3, 7, 11, …
			s.play(served(4*i + 1))
		}
		s.play(served(3) + served(4*gaps+5)) // a gap less, a gap more
		s.play(served(4*gaps + 9))           // one too many: 7 is forgotten
		s.play(refused(7) + served(11))
		s.nextID = 4*gaps + 11
	}},
	{
		name: "too many calls",
		opts: []ttrpc.ServerOpt{ttrpc.WithServerMaxConcurrentCalls(2), ttrpc.WithServerReceiveBudget(100, 100)},
		run: func(s *wireServer) {
			s.play(`> 00000006 00000001 01 00  0a01's' 1201'w'`)
			first := s.handler()
			second := s.open(3, "b")
			for id := 5; id < 50; id += 4 {
				s.play(fmt.Sprintf(`
					> 00000006 %08x 01 00  0a01's' 1201'e'
					< 0000003b %08[1]x 02 00  0a39 0808 1235'too many concurrent calls on this connection: limit 2'
					> 00000011 %08[2]x 01 01  0a01's' 1201'v' 1a09 0a07'message'
					< 0000003b %08[2]x 02 00  0a39 0808 1235'too many concurrent calls on this connection: limit 2'`, id, id+2))
			}
			first.wantLive()
			second.wantLive()
			first.returns(wrapperspb.String("x"), nil)
			s.play(`
				< 00000005 00000001 02 00  1203 0a01'x'
				> 00000006 00000005 01 00  0a01's' 1201'e'
				< 00000033 00000005 02 00  0a31 0803 122d'StreamID cannot be re-used and must increment'
				> 00000009 00000003 03 00  0a07'message'`)
			second.wantRecv("message") // what was refused takes no room
		},
	},

	// Length.
	{name: "frame of 4 MiB", run: func(s *wireServer) {
		// A payload with a field 2, which is not known and comes back.
		payload := append([]byte{0x12, 0xf0, 0xff, 0xff, 0x01}, zeros[:4<<20-16]...)
		request := wireBytes(s.t, `0000000b 00000001 01 00  0a01's' 1201'e' 1a f5ffff01`)[10:]
		request = append(request, payload...)
		require.Len(s.t, request, 4<<20)
		s.write(1, typeRequest, 0, request)
		require.True(s.t, bytes.Equal(payload, s.wantResponse(1).GetPayload()))
	}},
	{name: "frame above 4 MiB", run: func(s *wireServer) {
		for _, f := range []struct {
			id  uint32
			typ byte
		}{{1, typeRequest}, {1, typeData}, {2, 0x00}} {
			s.write(f.id, f.typ, 0, zeros[:4<<20+1])
			s.play(fmt.Sprintf(`< 00000043 %08x 02 00  0a41 0808 123d'message length 4194305 exceed maximum message size of 4194304'`, f.id))
		}
		s.write(1, typeRequest, 0, zeros[:1<<24-1])
		s.play(`
			< 00000044 00000001 02 00  0a42 0808 123e'message length 16777215 exceed maximum message size of 4194304'
			> 0000000b 00000001 01 00  0a01's' 1201'e' 1a03 0a01'x'
			< 00000005 00000001 02 00  1203 0a01'x'`)
	}},
	{name: "frame above 4 MiB on a live id", run: func(s *wireServer) {
		s.play(`> 00000006 00000001 01 00  0a01's' 1201'w'`)
		for id, h := range map[uint32]*wireHandler{1: s.handler(), 3: s.open(3, "b")} {
			s.write(id, typeData, 0, zeros[:4<<20+1])
			s.play(fmt.Sprintf(`< 00000043 %08x 02 00  0a41 0808 123d'message length 4194305 exceed maximum message size of 4194304'`, id))
			h.wantEnd(context.Canceled)
			if h.ss != nil {
				h.wantRecvErr(context.Canceled)
			}
			h.returns(wrapperspb.String("nobody waits"), nil)
			s.wantServed()
		}
	}},
	{name: "frame of 16 MiB or more", run: func(s *wireServer) {
		for _, header := range []string{"\x01\x00\x00\x00\x00\x00\x00\x03\x01\x00", "\xff\xff\xff\xff\x00\x00\x00\x03\x03\x00", "GET / HTTP/1.1\r\n"} {
			s.play(`> 00000006 00000001 01 00  0a01's' 1201'w'`)
			h := s.handler()
			s.writeBytes([]byte(header)[:10])
			s.wantClosed()
			h.wantEnd(context.Canceled)
			s.reconnect()
		}
	}},
	{name: "frame cut off", run: func(s *wireServer) {
		whole := wireBytes(s.t, `0000000b 00000003 01 00 0a01's' 1201'e' 1a03 0a01'x'`)
		for _, length := range []int{1, 9, 10, len(whole) - 1} {
			s.play(`> 00000006 00000001 01 00  0a01's' 1201'w'`)
			h := s.handler()
			s.writeBytes(whole[:length])
			s.reconnect()
			h.wantEnd(context.Canceled)
		}
	}},
	{
		name:     "frame that does not come",
		opts:     []ttrpc.ServerOpt{ttrpc.WithServerFrameTimeout(10 * time.Second)},
		fakeTime: true,
		run: func(s *wireServer) {
			whole := wireBytes(s.t, `0000000b 00000003 01 00 0a01's' 1201'e' 1a03 0a01'x'`)
			for _, length := range []int{1, 9, 10, len(whole) - 1} {
				s.play(`> 00000006 00000001 01 00  0a01's' 1201'w'`)
				h := s.handler()
				start := time.Now()
				s.writeBytes(whole[:length])
				s.wantClosed()
				require.Equal(s.t, 10*time.Second, time.Since(start))
				h.wantEnd(context.Canceled)
				s.reconnect()
			}
		},
	},
	{name: "frames in pieces", run: func(s *wireServer) {
		frames := append(wireBytes(s.t, `00000000 00000000 00 00`),
			wireBytes(s.t, `0000000b 00000001 01 00 0a01's' 1201'e' 1a03 0a01'x'`)...)
		for _, b := range frames {
			s.writeBytes([]byte{b})
		}
		s.play(`
			< 00000037 00000000 02 00  0a35 0803 1231'StreamID must be odd for client initiated streams'
			< 00000005 00000001 02 00  1203 0a01'x'`)
		frames[17] = 3 // the stream id
		s.writeBytes(frames)
		s.play(`
			< 00000037 00000000 02 00  0a35 0803 1231'StreamID must be odd for client initiated streams'
			< 00000005 00000003 02 00  1203 0a01'x'`)
	}},

	// Opening streams.
	{name: "stream without first message", run: func(s *wireServer) {
		id := 1
		for _, method := range []string{"b", "c"} {
			for _, flags := range []byte{0x00, 0x02, 0x04, 0x06} {
				for _, payload := range []string{
					`> 00000006 %08x 01 %02x  0a01's' 1201'%s'`,
					`> 00000008 %08x 01 %02x  0a01's' 1201'%s' 1a00`,
				} {
					s.play(fmt.Sprintf(payload, id, flags, method))
					h := s.handler()
					s.play(fmt.Sprintf(`> 00000003 %08x 03 00  0a01'x'`, id))
					h.wantRecv("x")
					h.returns(nil, errors.New(""))
					s.play(fmt.Sprintf(`< 00000004 %08x 02 00  0a02 0802`, id))
					id += 2
				}
			}
		}
	}},
	{name: "stream with first message", run: func(s *wireServer) {
		id := 1
		for _, method := range []string{"b", "c"} {
			for _, flags := range []byte{0x00, 0x02, 0x04, 0x06} {
				s.play(fmt.Sprintf(`
					> 0000000b %08x 01 %02x  0a01's' 1201'%s' 1a03 0a01'x'
					> 00000003 %08[1]x 03 00  0a01'y'`, id, flags, method))
				h := s.handler()
				h.wantRecv("x")
				h.wantRecv("y")
				h.returns(nil, errors.New(""))
				s.play(fmt.Sprintf(`< 00000004 %08x 02 00  0a02 0802`, id))
				id += 2
			}
		}
	}},
	{name: "stream of one message", run: func(s *wireServer) {
		id := 1
		for _, method := range []string{"v", "u"} {
			for _, tt := range []struct{ open, want string }{
				{`> 0000000b %08x 01 00  0a01's' 1201'%s' 1a03 0a01'x'`, "x"},
				{`> 00000006 %08x 01 00  0a01's' 1201'%s'`, ""},
				{`> 00000008 %08x 01 00  0a01's' 1201'%s' 1a00`, ""},
				{`> 0000000b %08x 01 06  0a01's' 1201'%s' 1a03 0a01'x'`, "x"},
			} {
				s.play(fmt.Sprintf(tt.open, id, method))
				h := s.handler()
				h.wantRecv(tt.want)
				s.play(fmt.Sprintf(`
					> 00000003 %08x 03 00  0a01'y'
					> 00000000 %08[1]x 03 05`, id))
				h.wantRecv("y")
				h.wantRecvErr(io.EOF)
				h.returns(nil, errors.New(""))
				s.play(fmt.Sprintf(`< 00000004 %08x 02 00  0a02 0802`, id))
				id += 2
			}
		}
	}},
	{name: "stream closed as it is opened", run: func(s *wireServer) {
		id := 1
		for _, tt := range []struct {
			open string
			want []string
		}{
			{`> 0000000b %08x 01 01  0a01's' 1201'v' 1a03 0a01'x'`, []string{"x"}},
			{`> 00000006 %08x 01 01  0a01's' 1201'v'`, []string{""}},
			{`> 00000006 %08x 01 05  0a01's' 1201'u'`, []string{""}},
			{`> 0000000b %08x 01 01  0a01's' 1201'b' 1a03 0a01'x'`, []string{"x"}},
			{`> 00000006 %08x 01 05  0a01's' 1201'b'`, nil},
			{`> 00000006 %08x 01 01  0a01's' 1201'c'`, nil},
		} {
			s.play(fmt.Sprintf(tt.open, id))
			h := s.handler()
			for _, want := range tt.want {
				h.wantRecv(want)
			}
			h.wantRecvErr(io.EOF)
			h.wantLive()
			h.returns(nil, errors.New(""))
			s.play(fmt.Sprintf(`< 00000004 %08x 02 00  0a02 0802`, id))
			id += 2
		}
	}},
	{name: "stream and unary method of one name", run: func(s *wireServer) {
		for i, flags := range []byte{0x00, 0x02, 0x06} {
			s.play(fmt.Sprintf(`> 00000008 %08x 01 %02x  0a01's' 1203'two'`, 2*i+1, flags))
			h := s.handler()
			require.Nil(s.t, h.ss)
			h.returns(wrapperspb.String("x"), nil)
			s.play(fmt.Sprintf(`< 00000005 %08x 02 00  1203 0a01'x'`, 2*i+1))
		}
	}},

	// Data.
	{name: "Data", run: func(s *wireServer) {
		id := uint32(1)
		for _, method := range []string{"b", "c", "v", "u"} {
			h := s.open(id, method)
			if method == "v" || method == "u" {
				h.wantRecv("")
			}
			for _, flags := range []byte{0x00, 0x02, 0x08, 0x80, 0xfa} {
				s.play(fmt.Sprintf(`> 00000003 %08x 03 %02x  0a01'x'`, id, flags))
				h.wantRecv("x")
			}
			h.wantLive()
			id += 2
		}
	}},
	{name: "Data, empty", run: func(s *wireServer) {
		h := s.open(1, "b")
		for _, flags := range []byte{0x00, 0x02, 0xf8} {
			s.play(fmt.Sprintf(`> 00000000 00000001 03 %02x`, flags))
			h.wantRecv("")
		}
		h.wantLive()
	}},
	{name: "Data, no data", run: func(s *wireServer) {
		h := s.open(1, "b")
		s.play(`
			> 00000000 00000001 03 04
			> 00000000 00000001 03 06
			> 00000003 00000001 03 04  0a01'y'
			> 00000003 00000001 03 fc  0a01'y'
			> 00000003 00000001 03 00  0a01'x'
			> 00000000 00000001 03 05
			> 00000000 00000001 03 04
			> 00000003 00000001 03 06  0a01'y'`)
		h.wantRecv("x")
		h.wantRecvErr(io.EOF)
		s.wantServed()
		h.wantLive()
		h.returns(nil, nil)
		s.play(`< 00000000 00000001 03 05`)
	}},
	{name: "half-close", run: func(s *wireServer) {
		id := uint32(1)
		for _, method := range []string{"b", "c", "v", "u"} {
			for _, flags := range []byte{0x05, 0x07} {
				h := s.open(id, method)
				if method == "v" || method == "u" {
					h.wantRecv("")
				}
				s.play(fmt.Sprintf(`
					> 00000003 %08x 03 00  0a01'x'
					> 00000000 %08[1]x 03 %02x`, id, flags))
				h.wantRecv("x")
				h.wantRecvErr(io.EOF)
				h.wantLive()
				h.returns(nil, errors.New(""))
				s.play(fmt.Sprintf(`< 00000004 %08x 02 00  0a02 0802`, id))
				id += 2
			}
		}
	}},
	{name: "half-close without no data", run: func(s *wireServer) {
		h := s.open(1, "b")
		s.play(`> 00000000 00000001 03 01`)
		h.wantRecv("")
		h.wantRecvErr(io.EOF)
		h.wantLive()
		h.returns(nil, nil)
		s.play(`< 00000000 00000001 03 05`)
	}},
	{name: "half-close with a payload", run: func(s *wireServer) {
		for i, flags := range []byte{0x01, 0x03, 0x05, 0x07, 0x81} {
			id := uint32(2*i + 1)
			h := s.open(id, "b")
			s.play(fmt.Sprintf(`
				> 00000003 %08x 03 00  0a01'x'
				> 00000003 %08[1]x 03 %02x  0a01'y'
				< 0000002c %08[1]x 02 00  0a2a 0803 1226'data close message cannot include data'`, id, flags))
			h.wantRecv("x")
			h.wantRecvErr(context.Canceled)
			h.wantEnd(context.Canceled)
			h.returns(nil, nil)
			s.wantServed()
		}
	}},
	{name: "half-close twice", run: func(s *wireServer) {
		h := s.open(1, "b")
		s.play(`
			> 00000000 00000001 03 05
			> 00000000 00000001 03 05
			> 00000000 00000001 03 07`)
		s.wantServed()
		h.wantRecvErr(io.EOF)
		h.wantLive()
		h.returns(nil, nil)
		s.play(`< 00000000 00000001 03 05`)
	}},
	{name: "Data after half-close", run: func(s *wireServer) {
		for i, frame := range []string{
			`> 00000000 %08x 03 00`,
			`> 00000000 %08x 03 01`,
			`> 00000003 %08x 03 00  0a01'x'`,
			`> 00000003 %08x 03 01  0a01'x'`,
		} {
			id := uint32(2*i + 1)
			h := s.open(id, "b")
			s.play(fmt.Sprintf(`> 00000000 %08x 03 05`, id))
			s.play(fmt.Sprintf(frame, id))
			s.play(fmt.Sprintf(`< 0000002f %08x 02 00  0a2d 0803 1229'data handling error: ttrpc: stream closed'`, id))
			h.wantRecvErr(io.EOF)
			h.wantEnd(context.Canceled)
			h.returns(nil, nil)
			s.wantServed()
		}
	}},
	{name: "malformed message", run: func(s *wireServer) {
		h := s.open(1, "b")
		s.play(`
			> 00000002 00000001 03 00  ffff
			> 00000003 00000001 03 00  0a01'x'`)
		_, err := h.recv()
		require.Equal(s.t, codes.Internal, status.Code(err))
		require.Equal(s.t, "ttrpc: error unmarshalling payload: "+protobufError(s.t, []byte{0xff, 0xff}, &wrapperspb.StringValue{}),
			status.Convert(err).Message())
		h.wantRecv("x")
		h.wantLive()
	}},
	{name: "Data on an unused id", run: func(s *wireServer) {
		for _, frame := range []string{
			`> 00000000 00000001 03 00`,
			`> 00000000 00000001 03 05`,
			`> 00000003 00000001 03 00  0a01'x'`,
			`> 00000003 00000001 03 01  0a01'x'`,
			`> 00000003 00000001 03 04  0a01'x'`,
		} {
			s.play(frame)
			s.play(`< 00000022 00000001 02 00  0a20 0803 121c'StreamID is no longer active'`)
		}
		s.play(`
			> 0000000b 00000001 01 00  0a01's' 1201'e' 1a03 0a01'x'
			< 00000005 00000001 02 00  1203 0a01'x'`)
	}},
	{name: "Data on a finished id", run: func(s *wireServer) {
		s.play(`
			> 0000000b 00000001 01 00  0a01's' 1201'e' 1a03 0a01'x'
			< 00000005 00000001 02 00  1203 0a01'x'`)
		s.open(3, "b").returns(nil, nil)
		s.play(`< 00000000 00000003 03 05`)
		for _, id := range []int{1, 3} {
			s.play(fmt.Sprintf(`
				> 00000003 %08x 03 00  0a01'x'
				< 00000022 %08[1]x 02 00  0a20 0803 121c'StreamID is no longer active'
				> 00000000 %08[1]x 03 05
				< 00000022 %08[1]x 02 00  0a20 0803 121c'StreamID is no longer active'
				> 00000003 %08[1]x 03 01  0a01'x'
				< 00000022 %08[1]x 02 00  0a20 0803 121c'StreamID is no longer active'`, id))
		}
	}},
	{name: "Data on a live unary call", run: func(s *wireServer) {
		for i, flags := range []byte{0x00, 0x01, 0x02, 0x05, 0x80} {
			id := uint32(2*i + 1)
			s.request(id, 0, "s", "w", nil)
			h := s.handler()
			s.play(fmt.Sprintf(`
				> 00000003 %08x 03 %02x  0a01'x'
				< 00000042 %08[1]x 02 00  0a40 0803 123c'data handling error: data for a unary method: protocol error'`, id, flags))
			h.wantEnd(context.Canceled)
			h.returns(wrapperspb.String("nobody waits"), nil)
			s.wantServed()
		}
	}},
	{name: "Data on a live unary call, no message", run: func(s *wireServer) {
		s.play(`> 00000006 00000001 01 00  0a01's' 1201'w'`)
		h := s.handler()
		s.play(`
			> 00000000 00000001 03 05
			> 00000000 00000001 03 01
			> 00000000 00000001 03 00
			> 00000000 00000001 03 04
			> 00000003 00000001 03 04  0a01'x'
			> 00000003 00000001 03 06  0a01'x'`)
		s.wantServed()
		h.wantLive()
		h.returns(wrapperspb.String("x"), nil)
		s.play(`< 00000005 00000001 02 00  1203 0a01'x'`)
	}},
	{name: "Data for a stream ended early", fakeTime: true, run: func(s *wireServer) {
		h := s.open(1, "b")
		s.play(`
			> 00000003 00000001 03 01  0a01'x'
			< 0000002c 00000001 02 00  0a2a 0803 1226'data close message cannot include data'
			> 00000003 00000001 03 00  0a01'y'
			> 00000000 00000001 03 05`)
		s.wantServed()
		h.returns(nil, nil)
		synctest.Wait() // until the handler is gone
		s.play(`
			> 00000003 00000001 03 00  0a01'y'
			< 00000022 00000001 02 00  0a20 0803 121c'StreamID is no longer active'`)
	}},
	{
		name: "Data beyond the budget",
		opts: []ttrpc.ServerOpt{ttrpc.WithServerReceiveBudget(100, 1000)},
		run: func(s *wireServer) {
			first, second := s.open(1, "b"), s.open(3, "b")
			message := strings.Repeat("x", 30) // 32 bytes, and counts 48
			s.request(5, flagRemoteClosed, "s", "v", marshal(s.t, wrapperspb.String(strings.Repeat("x", 100))))
			s.play(`< 0000001f 00000005 02 00  0a1d 0808 1219'ttrpc: stream buffer full'`)
			third := s.handler()
			for range 2 {
				s.write(1, typeData, 0, marshal(s.t, wrapperspb.String(message)))
				s.write(3, typeData, 0, marshal(s.t, wrapperspb.String(message)))
			}
			s.play(`
				> 00000003 00000001 03 00  0a01'y'
				< 0000001f 00000001 02 00  0a1d 0808 1219'ttrpc: stream buffer full'`)
			first.wantEnd(context.Canceled)
			first.wantRecv(message)
			first.wantRecv(message)
			first.wantRecvErr(ttrpc.ErrStreamFull)
			third.wantEnd(context.Canceled)
			third.wantRecvErr(ttrpc.ErrStreamFull)
			second.wantLive()
			second.wantRecv(message)
			second.wantRecv(message)
			first.returns(nil, nil)
			third.returns(nil, nil)
			second.returns(nil, nil)
			s.play(`< 00000000 00000003 03 05`)
		},
	},

	// Ends of streams.
	{name: "stream, handler sends", run: func(s *wireServer) {
		id := uint32(1)
		for _, method := range []string{"b", "c", "v", "u"} {
			h := s.open(id, method)
			for _, tt := range []struct {
				message any
				want    string
			}{
				{wrapperspb.String("x"), `< 00000003 %08x 03 00  0a01'x'`},
				{wrapperspb.String(""), `< 00000000 %08x 03 00`},
				{nil, `< 00000000 %08x 03 04`},
				{(*wrapperspb.StringValue)(nil), `< 00000000 %08x 03 04`},
			} {
				sent := goDo(func() error { return h.ss.SendMsg(tt.message) })
				s.play(fmt.Sprintf(tt.want, id))
				require.NoError(s.t, await(s.t, sent, "SendMsg"))
			}
			id += 2
		}
	}},
	{name: "stream, handler sends too much", run: func(s *wireServer) {
		h := s.open(1, "v")
		h.wantRecv("")
		var oversized *ttrpc.OversizedMessageErr
		require.ErrorAs(s.t, h.ss.SendMsg(wrapperspb.Bytes(zeros[:4<<20])), &oversized)
		require.Equal(s.t, 4<<20+5, oversized.RejectedLength())
		require.Equal(s.t, status.Error(codes.Internal, "ttrpc: error unsupported response type: string").Error(),
			h.ss.SendMsg("text").Error())
		require.Equal(s.t, status.Error(codes.Internal, "ttrpc: error marshaling payload: string field contains invalid UTF-8").Error(),
			h.ss.SendMsg(wrapperspb.String("\xff")).Error())
		h.wantLive()
		sent := goDo(func() error { return h.ss.SendMsg(wrapperspb.String("x")) })
		s.play(`< 00000003 00000001 03 00  0a01'x'`)
		require.NoError(s.t, await(s.t, sent, "SendMsg"))
	}},
	{name: "stream, handler returns nothing", run: func(s *wireServer) {
		id := uint32(1)
		for _, tt := range []struct{ method, want string }{
			{"b", `< 00000000 %08x 03 05`}, {"v", `< 00000000 %08x 03 05`},
			{"c", `< 00000000 %08x 02 00`}, {"u", `< 00000000 %08x 02 00`},
		} {
			for _, nothing := range []any{nil, (*wrapperspb.StringValue)(nil)} {
				s.open(id, tt.method).returns(nothing, nil)
				s.play(fmt.Sprintf(tt.want, id))
				id += 2
			}
		}
	}},
	{name: "stream, handler returns a message", run: func(s *wireServer) {
		id := uint32(1)
		for _, tt := range []struct{ method, message, want string }{
			{"b", "x", `< 00000003 %08x 03 01  0a01'x'`},
			{"v", "x", `< 00000003 %08x 03 01  0a01'x'`},
			{"b", "", `< 00000000 %08x 03 01`},
			{"v", "", `< 00000000 %08x 03 01`},
			{"c", "x", `< 00000005 %08x 02 00  1203 0a01'x'`},
			{"u", "x", `< 00000005 %08x 02 00  1203 0a01'x'`},
			{"c", "", `< 00000000 %08x 02 00`},
			{"u", "", `< 00000000 %08x 02 00`},
		} {
			s.open(id, tt.method).returns(wrapperspb.String(tt.message), nil)
			s.play(fmt.Sprintf(tt.want, id))
			id += 2
		}
	}},
	{name: "stream, handler returns an error", run: func(s *wireServer) {
		id := uint32(1)
		for _, method := range []string{"b", "c", "v", "u"} {
			for _, tt := range []struct {
				result any
				err    error
				want   string
			}{
				{nil, status.Error(codes.NotFound, "nf"), `< 00000008 %08x 02 00  0a06 0805 1202'nf'`},
				{wrapperspb.String("dropped"), status.Error(codes.NotFound, "nf"), `< 00000008 %08x 02 00  0a06 0805 1202'nf'`},
				{nil, io.EOF, `< 00000009 %08x 02 00  0a07 080b 1203'EOF'`},
				{"text", nil, `< 00000034 %08x 02 00  0a32 080d 122e'ttrpc: error unsupported response type: string'`},
				{wrapperspb.String("\xff"), nil, `< 0000004a %08x 02 00  0a48 080d 1244'ttrpc: error marshaling payload: string field contains invalid UTF-8'`},
				{wrapperspb.Bytes(zeros[:4<<20]), nil, `< 00000043 %08x 02 00  0a41 0808 123d'message length 41943%02d exceed maximum message size of 4194304'`},
			} {
				s.open(id, method).returns(tt.result, tt.err)
				length := 9 // of a Data frame
				if method == "c" || method == "u" {
					length = 14 // of a Response
				}
				if strings.Contains(tt.want, "%02d") {
					s.play(fmt.Sprintf(tt.want, id, length))
				} else {
					s.play(fmt.Sprintf(tt.want, id))
				}
				id += 2
			}
		}
	}},

	// Cancel and unknown types.
	{name: "Cancel of a call", run: func(s *wireServer) {
		for i, cancel := range []string{
			`> 00000000 %08x 10 00`, `> 00000003 %08x 10 00  'why'`, `> 00000000 %08x 10 f7`,
		} {
			id := 2*i + 1
			s.play(fmt.Sprintf(`> 00000006 %08x 01 00  0a01's' 1201'w'`, id))
			h := s.handler()
			s.play(fmt.Sprintf(cancel, id))
			h.wantEnd(context.Canceled)
			s.play(fmt.Sprintf(`> 00000000 %08x 10 08`, id)) // too late to matter
			h.returns(wrapperspb.String("nobody waits"), nil)
			s.wantServed()
		}
	}},
	{name: "Cancel with deadline", run: func(s *wireServer) {
		s.play(`> 00000006 00000001 01 00  0a01's' 1201'w'`)
		for id, h := range map[int]*wireHandler{1: s.handler(), 3: s.open(3, "b")} {
			s.play(fmt.Sprintf(`> 00000000 %08x 10 08`, id))
			h.wantEnd(context.DeadlineExceeded)
			if h.ss != nil {
				h.wantRecvErr(context.DeadlineExceeded)
			}
			h.returns(nil, h.ctx.Err())
			s.wantServed()
		}
	}},
	{name: "Cancel of a stream", run: func(s *wireServer) {
		h := s.open(1, "b")
		s.play(`
			> 00000000 00000001 10 00
			> 00000003 00000001 03 00  0a01'x'
			> 00000000 00000001 03 05
			> 00000003 00000001 03 00  0a01'x'`)
		h.wantEnd(context.Canceled)
		h.wantRecvErr(context.Canceled)
		require.Equal(s.t, context.Canceled, h.ss.SendMsg(wrapperspb.String("x")))
		s.wantServed()
		h.returns(wrapperspb.String("nobody waits"), nil)
	}},
	{name: "Cancel of nothing", run: func(s *wireServer) {
		s.play(`
			> 00000000 00000001 10 00
			> 0000000b 00000001 01 00  0a01's' 1201'e' 1a03 0a01'x'
			< 00000005 00000001 02 00  1203 0a01'x'
			> 00000000 00000001 10 08`)
	}},
	{name: "unknown type", run: func(s *wireServer) {
		s.play(`> 00000006 00000001 01 00  0a01's' 1201'w'`)
		unary, stream := s.handler(), s.open(3, "b")
		for _, typ := range []byte{0x00, typeResponse, 0x04, 0x05, 0x0f, 0x11, 0xff} {
			for _, id := range []uint32{1, 3, 5} {
				s.write(id, typ, 0, nil)
				s.write(id, typ, 0x05, []byte("x"))
				s.write(id, typ, 0xff, []byte("x"))
			}
		}
		s.play(`
			> 00000003 00000003 03 00  0a01'x'
			> 0000000b 00000005 01 00  0a01's' 1201'e' 1a03 0a01'x'
			< 00000005 00000005 02 00  1203 0a01'x'`)
		stream.wantRecv("x")
		stream.wantLive()
		unary.wantLive()
		unary.returns(wrapperspb.String("x"), nil)
		s.play(`< 00000005 00000001 02 00  1203 0a01'x'`)
	}},

	// Connections.
	{name: "closing the writing side", socketOnly: true, run: func(s *wireServer) {
		s.play(`> 00000006 00000001 01 00  0a01's' 1201'w'`)
		unary, stream := s.handler(), s.open(3, "b")
		s.closeWrite()
		unary.wantEnd(context.Canceled)
		stream.wantEnd(context.Canceled)
		stream.wantRecvErr(context.Canceled)
		unary.returns(wrapperspb.String("x"), nil)
		s.play(`< 00000005 00000001 02 00  1203 0a01'x'`)
		stream.returns(nil, stream.ctx.Err())
		s.play(`< 00000016 00000003 02 00  0a14 0801 1210'context canceled'`)
		s.wantClosed()
		s.reconnect()
	}},
	{name: "connection lost", run: func(s *wireServer) {
		s.play(`> 00000006 00000001 01 00  0a01's' 1201'w'`)
		unary, stream := s.handler(), s.open(3, "b")
		s.reconnect()
		unary.wantEnd(context.Canceled)
		stream.wantEnd(context.Canceled)
		stream.wantRecvErr(context.Canceled)
		for range 2 {
			require.Equal(s.t, ttrpc.ErrClosed, stream.ss.SendMsg(wrapperspb.String("x")))
		}
	}},
	{name: "refusals read late", fakeTime: true, run: func(s *wireServer) {
		const n = 200
		name := strings.Repeat("x", 16<<10)
		sent := goDo(func() error {
			for i := range n {
				request := frameBytes(uint32(2*i+1), typeRequest, 0, marshal(s.t, &ttrpc.Request{Service: name}))
				if _, err := s.conn.Write(request); err != nil {
					return err
				}
			}
			return nil
		})
		synctest.Wait() // until the server waits
		for i := range n {
			s.wantRefusal(uint32(2*i+1), codes.Unimplemented, "service "+name)
		}
		require.NoError(s.t, await(s.t, sent, "the requests to be read"))
		s.nextID = 2*n + 1
	}},
	{name: "refusals not read", fakeTime: true, run: func(s *wireServer) {
		start := time.Now()
		request := marshal(s.t, &ttrpc.Request{Service: strings.Repeat("x", 16<<10)})
		var err error
		for id := uint32(1); err == nil && id < 1000; id += 2 {
			_, err = s.conn.Write(frameBytes(id, typeRequest, 0, request))
		}
		require.Error(s.t, err, "the server keeps the connection")
		require.Equal(s.t, 10*time.Second, time.Since(start))
		s.reconnect()
	}},
}
