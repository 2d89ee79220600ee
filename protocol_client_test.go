// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package ttrpc_test

// The rows of PROTOCOL.md, "What a client does", in its order.

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/containerd/ttrpc"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// wireClient is a client whose server is played by hand.
type wireClient struct {
	*wirePeer
	c       *ttrpc.Client
	connect func() (client, server net.Conn)
	opts    []ttrpc.ClientOpts
	nextID  uint32 // of the client's next call or stream
}

func newWireClient(t *testing.T, opts []ttrpc.ClientOpts, connect func() (client, server net.Conn)) *wireClient {
	t.Helper()
	c := &wireClient{wirePeer: &wirePeer{rawPeer: &rawPeer{t: t}, sends: "<"}, connect: connect, opts: opts}
	c.reconnect()
	return c
}

// reconnect goes on with a new connection and a client for it.
func (c *wireClient) reconnect() {
	c.t.Helper()
	near, far := c.connect()
	c.c = newClient(c.t, near, c.opts...)
	c.rawPeer = newRawPeer(c.t, far)
	c.nextID = 1
}

// begin makes a call, with the request "x" and a response that is not empty
// before. The Request has yet to be read.
func (c *wireClient) begin(ctx context.Context) <-chan callOutcome {
	done := make(chan callOutcome, 1)
	client := c.c
	go func() {
		resp := wrapperspb.String("untouched")
		err := client.Call(ctx, "s", "e", wrapperspb.String("x"), resp)
		done <- callOutcome{resp.GetValue(), err}
	}()
	c.nextID += 2
	return done
}

// call is begin, and reads the Request.
func (c *wireClient) call() <-chan callOutcome {
	c.t.Helper()
	id := c.nextID
	done := c.begin(c.t.Context())
	c.play(fmt.Sprintf(`> 0000000b %08x 01 00  0a01's' 1201'e' 1a03 0a01'x'`, id))
	return done
}

// wantValue waits for a call that succeeds.
func (c *wireClient) wantValue(call <-chan callOutcome, want string) {
	c.t.Helper()
	require.Equal(c.t, callOutcome{value: want}, await(c.t, call, "a call"))
}

// wantErr waits for a call that fails with this error, as it is.
func (c *wireClient) wantErr(call <-chan callOutcome, want error) {
	c.t.Helper()
	require.Equal(c.t, callOutcome{"untouched", want}, await(c.t, call, "a call"))
}

// wantStatus waits for a call that fails with this status; value is what is then
// in its response.
func (c *wireClient) wantStatus(call <-chan callOutcome, want *status.Status, value string) {
	c.t.Helper()
	out := await(c.t, call, "a call")
	wantStatus(c.t, want, out.err)
	require.Equal(c.t, value, out.value)
}

// wantStatus says that err is want.
func wantStatus(t *testing.T, want *status.Status, err error) {
	t.Helper()
	got, ok := status.FromError(err)
	require.True(t, ok, "error: %v", err)
	require.True(t, proto.Equal(want.Proto(), got.Proto()), "error: %v", err)
	require.Equal(t, want.Err().Error(), err.Error())
}

// wantAnswered makes a call, which is answered. Whatever the client has sent
// before is read before, and would be in the way.
func (c *wireClient) wantAnswered() {
	c.t.Helper()
	id := c.nextID
	call := c.call()
	c.play(fmt.Sprintf(`< 00000005 %08x 02 00  1203 0a01'x'`, id))
	c.wantValue(call, "x")
}

// wireStream is a stream of a wireClient.
type wireStream struct {
	ttrpc.ClientStream
	t  *testing.T
	id uint32
}

// stream opens a stream of a method that wireServer has, without a first message
// if its client streams, and with the request "x" otherwise.
func (c *wireClient) stream(ctx context.Context, method string) *wireStream {
	c.t.Helper()
	cs := &wireStream{t: c.t, id: c.nextID}
	c.nextID += 2
	desc, req, want := &ttrpc.StreamDesc{}, any(wrapperspb.String("x")), `> 0000000b %08x 01 01  0a01's' 1201'%s' 1a03 0a01'x'`
	if method == "b" || method == "c" {
		desc.StreamingClient, req = true, nil
		want = `> 00000006 %08x 01 06  0a01's' 1201'%s'`
	}
	desc.StreamingServer = method == "b" || method == "v"
	opened := goDo(func() (err error) {
		cs.ClientStream, err = c.c.NewStream(ctx, desc, "s", method, req)
		return err
	})
	c.play(fmt.Sprintf(want, cs.id, method))
	require.NoError(c.t, await(c.t, opened, "NewStream"))
	return cs
}

// recv is RecvMsg.
func (cs *wireStream) recv() (string, error) {
	cs.t.Helper()
	m := wrapperspb.String("untouched")
	err := await(cs.t, goDo(func() error { return cs.RecvMsg(m) }), "RecvMsg")
	return m.GetValue(), err
}

// wantRecv receives this message.
func (cs *wireStream) wantRecv(want string) {
	cs.t.Helper()
	got, err := cs.recv()
	require.NoError(cs.t, err)
	require.Equal(cs.t, want, got)
}

// wantRecvErr receives nothing but this error, again and again.
func (cs *wireStream) wantRecvErr(want error) {
	cs.t.Helper()
	for range 2 {
		_, err := cs.recv()
		require.Equal(cs.t, want, err)
	}
}

// wantRecvStatus is wantRecvErr for a status.
func (cs *wireStream) wantRecvStatus(want *status.Status) {
	cs.t.Helper()
	for range 2 {
		_, err := cs.recv()
		wantStatus(cs.t, want, err)
	}
}

// wantRecvProtocolErr is wantRecvErr for an error that wraps ErrProtocol.
func (cs *wireStream) wantRecvProtocolErr(text string) {
	cs.t.Helper()
	for range 2 {
		_, err := cs.recv()
		require.EqualError(cs.t, err, text)
		require.ErrorIs(cs.t, err, ttrpc.ErrProtocol)
	}
}

// clientRow is a row of the tables.
type clientRow struct {
	name string
	run  func(c *wireClient)
	opts []ttrpc.ClientOpts

	fakeTime   bool // only in a bubble: the row takes time, or waits for the client to be idle
	socketOnly bool // only on a socket
}

// TestClientProtocol runs each row on a pipe, where every Write waits for a Read,
// and on a socket of the kernel. Behind each row it checks that nothing else is
// lost.
func TestClientProtocol(t *testing.T) {
	for _, row := range clientRows {
		run := func(t *testing.T, connect func() (client, server net.Conn)) {
			c := newWireClient(t, row.opts, connect)
			row.run(c)
			c.wantAnswered()
		}
		t.Run(row.name, func(t *testing.T) {
			if !row.socketOnly {
				t.Run("pipe", func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) { run(t, net.Pipe) })
				})
			}
			if !row.fakeTime {
				t.Run("socket", func(t *testing.T) {
					run(t, func() (client, server net.Conn) { return connPair(t) })
				})
			}
		})
	}
}

// notFound is the status of several rows.
var notFound = status.New(codes.NotFound, "nf")

var clientRows = []clientRow{
	// Calls.
	{name: "call: Response", run: func(c *wireClient) {
		call := c.call()
		c.play(`< 00000005 00000001 02 00  1203 0a01'x'`)
		c.wantValue(call, "x")
	}},
	{name: "call: Response, empty", run: func(c *wireClient) {
		call := c.call()
		c.play(`< 00000000 00000001 02 00`)
		c.wantValue(call, "")
		call = c.call()
		c.play(`< 00000002 00000003 02 00  1200`)
		c.wantValue(call, "")
	}},
	{name: "call: Response with status OK", run: func(c *wireClient) {
		call := c.call()
		c.play(`< 00000007 00000001 02 00  0a00 1203 0a01'x'`)
		c.wantValue(call, "x")
		call = c.call()
		c.play(`< 00000009 00000003 02 00  0a020800 1203 0a01'x'`)
		c.wantValue(call, "x")
		call = c.call()
		c.play(`< 00000008 00000005 02 00  0a06 1204'fine'`)
		c.wantValue(call, "")
	}},
	{name: "call: Response with flags", run: func(c *wireClient) {
		for i, flags := range []byte{0x01, 0x02, 0x04, 0x05, 0x08, 0xff} {
			call := c.call()
			c.play(fmt.Sprintf(`< 00000005 %08x 02 %02x  1203 0a01'x'`, 2*i+1, flags))
			c.wantValue(call, "x")
		}
	}},
	{name: "call: Response with unknown fields", run: func(c *wireClient) {
		call := c.call()
		c.play(`< 00000012 00000001 02 00  1a03'new' 1203 0a01'x' 0801 c23e03'far'`)
		c.wantValue(call, "x")
	}},
	{name: "call: error status", run: func(c *wireClient) {
		call := c.call()
		c.play(`< 00000008 00000001 02 00  0a06 0805 1202'nf'`)
		c.wantStatus(call, notFound, "")
		call = c.call()
		c.play(`< 00000004 00000003 02 00  0a020802`)
		c.wantStatus(call, status.New(codes.Unknown, ""), "")
		call = c.call()
		c.play(`< 00000040 00000005 02 00  0a3e 0805 1202'nf' 1a36 0a2f'type.googleapis.com/google.protobuf.StringValue' 1203 0a01'd'`)
		detailed, err := notFound.WithDetails(wrapperspb.String("d"))
		require.NoError(c.t, err)
		c.wantStatus(call, detailed, "")
	}},
	{name: "call: error status with payload", run: func(c *wireClient) {
		call := c.call()
		c.play(`< 0000000d 00000001 02 00  0a06 0805 1202'nf' 1203 0a01'x'`)
		c.wantStatus(call, notFound, "x")
	}},
	{name: "call: unknown code", run: func(c *wireClient) {
		call := c.call()
		c.play(`< 00000009 00000001 02 00  0a07 088f4e 1202'nf'`)
		c.wantStatus(call, status.New(9999, "nf"), "")
		call = c.call()
		c.play(`< 00000011 00000003 02 00  0a0f 08ffffffffffffffffff01 1202'nf'`)
		c.wantStatus(call, status.New(0xffffffff, "nf"), "")
	}},
	{name: "call: malformed Response", run: func(c *wireClient) {
		for i, payload := range [][]byte{{0xff, 0xff, 0xff}, {0x12, 0x05, 0x0a}, {0x0a, 0x02, 0xff, 0xff}, {0x0a, 0x03, 0x12, 0x01, 0xff}} {
			call := c.call()
			c.write(uint32(2*i+1), typeResponse, 0, payload)
			out := await(c.t, call, "a call")
			require.EqualError(c.t, out.err, protobufError(c.t, payload, &ttrpc.Response{}))
			require.Equal(c.t, "untouched", out.value)
		}
	}},
	{name: "call: malformed payload", run: func(c *wireClient) {
		id := 1
		for _, payload := range [][]byte{{0xff}, {0x0a, 0x05, 'x'}, {0x0a, 0x01, 0xff}} {
			for _, st := range []*status.Status{nil, notFound} {
				call := c.call()
				c.respond(uint32(id), &ttrpc.Response{Status: st.Proto(), Payload: payload})
				require.EqualError(c.t, await(c.t, call, "a call").err, protobufError(c.t, payload, &wrapperspb.StringValue{}))
				id += 2
			}
		}
	}},
	{name: "call: Response of 4 MiB", run: func(c *wireClient) {
		call := c.call()
		// A payload with the field 1, and one that is not known.
		payload := []byte{0x0a, 0x01, 'x', 0x12, 0xf3, 0xff, 0xff, 0x01}
		payload = append(payload, zeros[:4<<20-13]...)
		response := append([]byte{0x12, 0xfb, 0xff, 0xff, 0x01}, payload...)
		require.Len(c.t, response, 4<<20)
		c.write(1, typeResponse, 0, response)
		c.wantValue(call, "x")
	}},
	{name: "call: Response above 4 MiB", run: func(c *wireClient) {
		call := c.call()
		c.write(1, typeResponse, 0, zeros[:4<<20+1])
		c.wantStatus(call, status.New(codes.ResourceExhausted, "message length 4194305 exceed maximum message size of 4194304"), "untouched")
		call = c.call()
		c.write(3, typeResponse, 0, zeros[:1<<24-1])
		c.wantStatus(call, status.New(codes.ResourceExhausted, "message length 16777215 exceed maximum message size of 4194304"), "untouched")
	}},
	{name: "call: unexpected type", run: func(c *wireClient) {
		id := 1
		for _, tt := range []struct {
			typ  byte
			name string
		}{{typeRequest, "request"}, {typeData, "data"}, {0x00, "unknown"}, {0x04, "unknown"}, {typeCancel, "unknown"}, {0xff, "unknown"}} {
			for _, flags := range []byte{0x00, 0x04, 0x05, 0xff} {
				call := c.call()
				c.play(fmt.Sprintf(`
					< 00000003 %08x %02x %02x  0a01'x'
					> 00000000 %08[1]x 10 00
					< 00000005 %08[1]x 02 00  1203 0a01'y'`, id, tt.typ, flags))
				out := await(c.t, call, "a call")
				require.EqualError(c.t, out.err, `unexpected "`+tt.name+`" message received: protocol error`)
				require.ErrorIs(c.t, out.err, ttrpc.ErrProtocol)
				require.Equal(c.t, "untouched", out.value)
				id += 2
			}
		}
	}},
	{name: "call: answers out of order", run: func(c *wireClient) {
		first, second := c.call(), c.call()
		c.play(`< 00000005 00000003 02 00  1203 0a01'2'`)
		c.wantValue(second, "2")
		c.play(`< 00000005 00000001 02 00  1203 0a01'1'`)
		c.wantValue(first, "1")
	}},
	{name: "call: second Response", run: func(c *wireClient) {
		call := c.call()
		c.play(`
			< 00000005 00000001 02 00  1203 0a01'x'
			< 00000005 00000001 02 00  1203 0a01'y'
			< 00000008 00000001 02 00  0a06 0805 1202'nf'`)
		c.wantValue(call, "x")
	}},
	{name: "call: frame for nobody", run: func(c *wireClient) {
		call := c.call()
		for _, id := range []uint32{0, 2, 3, 99, 0xffffffff} {
			for _, typ := range []byte{0x00, typeRequest, typeResponse, typeData, 0x04, typeCancel, 0xff} {
				c.write(id, typ, 0, nil)
				c.write(id, typ, 0x05, []byte("x"))
			}
		}
		c.write(99, typeResponse, 0, zeros[:4<<20+1])
		c.play(`< 00000005 00000001 02 00  1203 0a01'x'`)
		c.wantValue(call, "x")
	}},
	{name: "call: answer after cancel", run: func(c *wireClient) {
		ctx, cancel := context.WithCancel(c.t.Context())
		defer cancel()
		call := c.begin(ctx)
		c.play(`> 0000000b 00000001 01 00  0a01's' 1201'e' 1a03 0a01'x'`)
		cancel()
		c.wantErr(call, context.Canceled)
		c.play(`
			> 00000000 00000001 10 00
			< 00000005 00000001 02 00  1203 0a01'x'`)
	}},
	{name: "call: answer after deadline", fakeTime: true, run: func(c *wireClient) {
		ctx, cancel := context.WithTimeout(c.t.Context(), time.Second)
		defer cancel()
		call := c.begin(ctx)
		c.play(`> 00000011 00000001 01 00  0a01's' 1201'e' 1a03 0a01'x' 208094ebdc03`)
		start := time.Now()
		c.wantErr(call, context.DeadlineExceeded)
		require.Equal(c.t, time.Second, time.Since(start))
		c.play(`
			> 00000000 00000001 10 08
			< 0000001f 00000001 02 00  0a1d 0804 1219'context deadline exceeded'`)
	}},
	{name: "call: server that does not read", fakeTime: true, run: func(c *wireClient) {
		ctx, cancel := context.WithCancel(c.t.Context())
		defer cancel()
		first := c.begin(ctx)
		synctest.Wait() // until its frame is being written
		second := c.begin(ctx)
		synctest.Wait()
		cancel()
		c.wantErr(first, context.Canceled)
		c.wantErr(second, context.Canceled)
		c.play(`
			> 0000000b 00000001 01 00  0a01's' 1201'e' 1a03 0a01'x'
			> 0000000b 00000003 01 00  0a01's' 1201'e' 1a03 0a01'x'`)
		cancelled := map[uint32]rawFrame{}
		for range 2 {
			f := c.read()
			cancelled[f.id] = f
		}
		require.Equal(c.t, map[uint32]rawFrame{
			1: {id: 1, typ: typeCancel, payload: []byte{}},
			3: {id: 3, typ: typeCancel, payload: []byte{}},
		}, cancelled)
	}},

	// Streams.
	{name: "stream: Data", run: func(c *wireClient) {
		for _, method := range []string{"b", "v"} {
			cs := c.stream(c.t.Context(), method)
			for _, flags := range []byte{0x00, 0x02, 0x08, 0x80, 0xfa} {
				c.play(fmt.Sprintf(`< 00000003 %08x 03 %02x  0a01'x'`, cs.id, flags))
				cs.wantRecv("x")
			}
		}
	}},
	{name: "stream: Data, empty", run: func(c *wireClient) {
		cs := c.stream(c.t.Context(), "b")
		for _, flags := range []byte{0x00, 0x02, 0xf8} {
			c.play(fmt.Sprintf(`< 00000000 00000001 03 %02x`, flags))
			cs.wantRecv("")
		}
	}},
	{name: "stream: Data, no data", run: func(c *wireClient) {
		cs := c.stream(c.t.Context(), "b")
		c.play(`
			< 00000000 00000001 03 04
			< 00000000 00000001 03 06
			< 00000003 00000001 03 04  0a01'x'`)
		cs.wantRecv("")
		cs.wantRecv("")
		cs.wantRecv("x")
	}},
	{name: "stream: end", run: func(c *wireClient) {
		for _, flags := range []byte{0x05, 0x07} {
			cs := c.stream(c.t.Context(), "b")
			c.play(fmt.Sprintf(`
				< 00000003 %08x 03 00  0a01'x'
				< 00000000 %08[1]x 03 %02x`, cs.id, flags))
			cs.wantRecv("x")
			cs.wantRecvErr(io.EOF)
			require.Equal(c.t, ttrpc.ErrStreamClosed, cs.SendMsg(wrapperspb.String("x")))
			require.Equal(c.t, ttrpc.ErrStreamClosed, cs.CloseSend())
		}
	}},
	{name: "stream: end with a message", run: func(c *wireClient) {
		for _, tt := range []struct{ end, want string }{
			{`< 00000003 %08x 03 01  0a01'y'`, "y"},
			{`< 00000003 %08x 03 83  0a01'y'`, "y"},
			{`< 00000000 %08x 03 01`, ""},
		} {
			for _, method := range []string{"b", "v"} {
				cs := c.stream(c.t.Context(), method)
				c.play(fmt.Sprintf(`< 00000003 %08x 03 00  0a01'x'`, cs.id))
				c.play(fmt.Sprintf(tt.end, cs.id))
				cs.wantRecv("x")
				cs.wantRecv(tt.want)
				cs.wantRecvErr(io.EOF)
			}
		}
	}},
	{name: "stream: end with dropped payload", run: func(c *wireClient) {
		cs := c.stream(c.t.Context(), "b")
		c.play(`< 00000003 00000001 03 05  0a01'x'`)
		cs.wantRecvErr(io.EOF)
	}},
	{name: "stream: Response", run: func(c *wireClient) {
		for _, method := range []string{"b", "c", "v", "u"} {
			for _, tt := range []struct{ end, want string }{
				{`< 00000005 %08x 02 00  1203 0a01'x'`, "x"},
				{`< 0000000f %08x 02 00  0a08 0800 1204'fine' 1203 0a01'x'`, "x"},
				{`< 00000000 %08x 02 00`, ""},
				{`< 00000002 %08x 02 ff  0a00`, ""},
			} {
				cs := c.stream(c.t.Context(), method)
				c.play(fmt.Sprintf(tt.end, cs.id))
				cs.wantRecv(tt.want)
				cs.wantRecvErr(io.EOF)
			}
		}
		cs := c.stream(c.t.Context(), "b")
		c.play(fmt.Sprintf(`
			< 00000003 %08x 03 00  0a01'x'
			< 00000005 %08[1]x 02 00  1203 0a01'y'`, cs.id))
		cs.wantRecv("x")
		cs.wantRecv("y")
		cs.wantRecvErr(io.EOF)
	}},
	{name: "stream: error status", run: func(c *wireClient) {
		for _, method := range []string{"b", "c", "v", "u"} {
			cs := c.stream(c.t.Context(), method)
			c.play(fmt.Sprintf(`< 00000008 %08x 02 00  0a06 0805 1202'nf'`, cs.id))
			cs.wantRecvStatus(notFound)

			cs = c.stream(c.t.Context(), method)
			c.play(fmt.Sprintf(`< 0000000d %08x 02 00  0a06 0805 1202'nf' 1203 0a01'x'`, cs.id))
			value, err := cs.recv()
			wantStatus(c.t, notFound, err)
			require.Equal(c.t, "x", value)
		}
		cs := c.stream(c.t.Context(), "b")
		c.play(fmt.Sprintf(`
			< 00000003 %08x 03 00  0a01'x'
			< 00000008 %08[1]x 02 00  0a06 0805 1202'nf'`, cs.id))
		cs.wantRecv("x")
		cs.wantRecvStatus(notFound)
		wantStatus(c.t, notFound, cs.SendMsg(wrapperspb.String("x")))
		wantStatus(c.t, notFound, cs.CloseSend())
	}},
	{name: "stream: frames after the end", run: func(c *wireClient) {
		cs := c.stream(c.t.Context(), "b")
		c.play(`
			< 00000000 00000001 03 05
			< 00000003 00000001 03 00  0a01'x'
			< 00000008 00000001 02 00  0a06 0805 1202'nf'
			< 00000000 00000001 03 05`)
		c.wantAnswered()
		cs.wantRecvErr(io.EOF)

		cs = c.stream(c.t.Context(), "b")
		c.play(fmt.Sprintf(`
			< 00000008 %08x 02 00  0a06 0805 1202'nf'
			< 00000003 %08[1]x 03 00  0a01'x'
			< 00000000 %08[1]x 03 05`, cs.id))
		c.wantAnswered()
		cs.wantRecvStatus(notFound)
	}},
	{name: "stream: malformed message", run: func(c *wireClient) {
		cs := c.stream(c.t.Context(), "b")
		c.play(`
			< 00000002 00000001 03 00  ffff
			< 00000003 00000001 03 00  0a01'x'`)
		_, err := cs.recv()
		require.EqualError(c.t, err, protobufError(c.t, []byte{0xff, 0xff}, &wrapperspb.StringValue{}))
		cs.wantRecv("x")
	}},
	{name: "stream: malformed Response", run: func(c *wireClient) {
		malformed := []byte{0xff, 0xff, 0xff}
		for _, method := range []string{"b", "c", "v", "u"} {
			cs := c.stream(c.t.Context(), method)
			c.write(cs.id, typeResponse, 0, malformed)
			for range 2 {
				_, err := cs.recv()
				require.EqualError(c.t, err, protobufError(c.t, malformed, &ttrpc.Response{}))
			}

			cs = c.stream(c.t.Context(), method)
			c.respond(cs.id, &ttrpc.Response{Payload: malformed})
			_, err := cs.recv()
			require.EqualError(c.t, err, protobufError(c.t, malformed, &wrapperspb.StringValue{}))
			cs.wantRecvErr(io.EOF)
		}
	}},
	{name: "stream: unexpected type", run: func(c *wireClient) {
		for _, tt := range []struct {
			typ  byte
			name string
		}{{typeRequest, "request"}, {0x00, "unknown"}, {0x04, "unknown"}, {typeCancel, "unknown"}, {0xff, "unknown"}} {
			for _, method := range []string{"b", "c", "v", "u"} {
				cs := c.stream(c.t.Context(), method)
				c.play(fmt.Sprintf(`
					< 00000003 %08x %02x 00  0a01'x'
					> 00000000 %08[1]x 10 00
					< 00000003 %08[1]x 03 00  0a01'x'`, cs.id, tt.typ))
				cs.wantRecvProtocolErr(`unexpected "` + tt.name + `" message received: protocol error`)
			}
		}
	}},
	{name: "stream: Data from a non-streaming server", run: func(c *wireClient) {
		for _, method := range []string{"c", "u"} {
			for _, frames := range []string{`
				< 00000003 %08x 03 00  0a01'x'
				> 00000000 %08[1]x 10 00`, `
				< 00000000 %08x 03 04
				> 00000000 %08[1]x 10 00`, `
				< 00000000 %08x 03 05`, `
				< 00000003 %08x 03 01  0a01'x'`,
			} {
				cs := c.stream(c.t.Context(), method)
				c.play(fmt.Sprintf(frames, cs.id))
				cs.wantRecvProtocolErr("received data from non-streaming server: protocol error")
				c.wantAnswered()
			}
		}
	}},
	{name: "stream: frame above 4 MiB", run: func(c *wireClient) {
		tooLarge := status.New(codes.ResourceExhausted, "message length 4194305 exceed maximum message size of 4194304")
		cs := c.stream(c.t.Context(), "b")
		c.play(`< 00000003 00000001 03 00  0a01'x'`)
		c.write(1, typeData, 0, zeros[:4<<20+1])
		c.play(`> 00000000 00000001 10 00`)
		cs.wantRecv("x")
		cs.wantRecvStatus(tooLarge)

		cs = c.stream(c.t.Context(), "c")
		c.write(3, typeResponse, 0, zeros[:4<<20+1])
		cs.wantRecvStatus(tooLarge)
	}},
	{
		name: "stream: Data beyond the budget",
		opts: []ttrpc.ClientOpts{ttrpc.WithClientReceiveBudget(100, 1000)},
		run: func(c *wireClient) {
			first, second := c.stream(c.t.Context(), "b"), c.stream(c.t.Context(), "b")
			message := strings.Repeat("x", 30) // 32 bytes, and counts 48
			for range 2 {
				c.write(1, typeData, 0, marshal(c.t, wrapperspb.String(message)))
				c.write(3, typeData, 0, marshal(c.t, wrapperspb.String(message)))
			}
			c.play(`
				< 00000003 00000001 03 00  0a01'y'
				> 00000000 00000001 10 00`)
			first.wantRecv(message)
			first.wantRecv(message)
			first.wantRecvErr(ttrpc.ErrStreamFull)
			second.wantRecv(message)
			second.wantRecv(message)
			c.play(`< 00000000 00000003 03 05`)
			second.wantRecvErr(io.EOF)
		},
	},
	{name: "stream: frames after cancel", run: func(c *wireClient) {
		for _, method := range []string{"b", "c", "v", "u"} {
			ctx, cancel := context.WithCancel(c.t.Context())
			cs := c.stream(ctx, method)
			cancel()
			c.play(fmt.Sprintf(`
				> 00000000 %08x 10 00
				< 00000003 %08[1]x 03 00  0a01'x'
				< 00000005 %08[1]x 02 00  1203 0a01'x'`, cs.id))
			cs.wantRecvErr(context.Canceled)
			if method == "b" || method == "c" {
				require.Equal(c.t, context.Canceled, cs.SendMsg(wrapperspb.String("x")))
				require.Equal(c.t, context.Canceled, cs.CloseSend())
			}
		}
	}},

	// Connections of a client.
	{name: "connection: closed", run: func(c *wireClient) {
		whole := wireBytes(c.t, `00000005 00000001 02 00  1203 0a01'x'`)
		for _, length := range []int{0, 1, 9, 10, len(whole) - 1} {
			call, cs := c.call(), c.stream(c.t.Context(), "b")
			c.play(`< 00000003 00000003 03 00  0a01'x'`)
			c.writeBytes(whole[:length])
			require.NoError(c.t, c.conn.Close())
			c.wantErr(call, ttrpc.ErrClosed)
			c.wantErr(c.begin(c.t.Context()), ttrpc.ErrClosed)
			cs.wantRecv("x")
			cs.wantRecvErr(ttrpc.ErrClosed)
			require.Equal(c.t, ttrpc.ErrClosed, cs.SendMsg(wrapperspb.String("x")))
			require.Equal(c.t, ttrpc.ErrClosed, cs.CloseSend())
			c.reconnect()
		}
	}},
	{name: "connection: reset", socketOnly: true, run: func(c *wireClient) {
		call := c.begin(c.t.Context())
		_, err := io.ReadFull(c.conn, make([]byte, 10)) // the rest stays unread
		require.NoError(c.t, err)
		require.NoError(c.t, c.conn.Close())
		c.wantErr(call, ttrpc.ErrClosed)
		c.wantErr(c.begin(c.t.Context()), ttrpc.ErrClosed)
		c.reconnect()
	}},
	{name: "connection: writing side closed", socketOnly: true, run: func(c *wireClient) {
		call := c.call()
		c.closeWrite()
		c.wantErr(call, ttrpc.ErrClosed)
		c.wantErr(c.begin(c.t.Context()), ttrpc.ErrClosed)
		c.wantClosed()
		c.reconnect()
	}},
	{name: "connection: frame of 16 MiB or more", run: func(c *wireClient) {
		for _, header := range []string{"\x01\x00\x00\x00\x00\x00\x00\x01\x02\x00", "\xff\xff\xff\xff\x00\x00\x00\x63\x03\x00", "HTTP/1.1 4"} {
			call, cs := c.call(), c.stream(c.t.Context(), "b")
			c.play(`< 00000003 00000003 03 00  0a01'x'`)
			c.writeBytes([]byte(header))
			c.wantErr(call, ttrpc.ErrClosed)
			c.wantErr(c.begin(c.t.Context()), ttrpc.ErrClosed)
			cs.wantRecv("x")
			cs.wantRecvErr(ttrpc.ErrClosed)
			c.wantClosed()
			c.reconnect()
		}
	}},
	{
		name: "connection: frame that does not come",
		opts: []ttrpc.ClientOpts{ttrpc.WithClientFrameTimeout(10 * time.Second)}, fakeTime: true,
		run: func(c *wireClient) {
			whole := wireBytes(c.t, `00000005 00000001 02 00  1203 0a01'x'`)
			for _, length := range []int{1, 9, 10, len(whole) - 1} {
				call := c.call()
				start := time.Now()
				c.writeBytes(whole[:length])
				c.wantErr(call, ttrpc.ErrClosed)
				require.Equal(c.t, 10*time.Second, time.Since(start))
				c.wantClosed()
				c.reconnect()
			}
		},
	},
}
