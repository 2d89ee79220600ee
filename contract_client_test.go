// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package ttrpc_test

// The contract about clients: connections, calls and streams.

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
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

// pipeClient returns a client on a pipe, whose server is played by hand. It is
// for bubbles.
func pipeClient(t *testing.T, opts ...ttrpc.ClientOpts) *wireClient {
	t.Helper()
	return newWireClient(t, opts, net.Pipe)
}

// A client reads from the beginning, without being asked for anything.
func TestClientReadsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := pipeClient(t)
		c.write(99, typeResponse, 0, []byte("for nobody")) // on a pipe, somebody has to read that
		c.wantAnswered()
	})
}

// A client owns its connection.
func TestCloseClosesConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := pipeClient(t)
		require.NoError(t, c.c.Close())
		c.wantClosed()
	})
}

// connectionEnds are the ways in which a client's connection can end.
var connectionEnds = []struct {
	name string
	end  func(c *wireClient)
}{
	{"Close", func(c *wireClient) { require.NoError(c.t, c.c.Close()) }},
	{"end of file", func(c *wireClient) { require.NoError(c.t, c.conn.Close()) }},
	{"end within a frame", func(c *wireClient) {
		c.writeBytes([]byte{0, 0})
		require.NoError(c.t, c.conn.Close())
	}},
	{"protocol error", func(c *wireClient) { c.writeBytes([]byte("HTTP/1.1 4")) }},
}

// The function of WithOnClose is called once, whatever ended the connection,
// when pending calls and streams have failed.
func TestOnCloseIsCalledOnce(t *testing.T) {
	for _, tt := range connectionEnds {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var call <-chan callOutcome
				var stream *wireStream
				outcomes := make(chan error, 8)
				c := pipeClient(t, ttrpc.WithOnClose(func() {
					outcomes <- (<-call).err
					outcomes <- stream.RecvMsg(&wrapperspb.StringValue{})
				}))
				call, stream = c.call(), c.stream(t.Context(), "b")
				tt.end(c)
				require.NoError(t, c.c.UserOnCloseWait(t.Context()))
				require.NoError(t, c.c.Close())
				c.conn.Close()
				synctest.Wait()
				require.Len(t, outcomes, 2)
				require.Equal(t, ttrpc.ErrClosed, <-outcomes)
				require.Equal(t, ttrpc.ErrClosed, <-outcomes)
			})
		})
	}
}

// Of several functions given to WithOnClose, the last counts.
func TestLastOnCloseWins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		called := make(chan string, 2)
		c := pipeClient(t,
			ttrpc.WithOnClose(func() { called <- "first" }),
			ttrpc.WithOnClose(func() { called <- "last" }))
		require.NoError(t, c.c.Close())
		require.NoError(t, c.c.UserOnCloseWait(t.Context()))
		require.Len(t, called, 1)
		require.Equal(t, "last", <-called)
	})
}

// Close does not wait for the function of WithOnClose, nor for calls; so it can
// be called under a lock that the function takes.
func TestCloseUnderLockThatOnCloseTakes(t *testing.T) {
	var mu sync.Mutex // not in a bubble: there, waiting for it looks like progress
	conn, _ := connPair(t)
	closed := make(chan struct{})
	c := newClient(t, conn, ttrpc.WithOnClose(func() {
		mu.Lock()
		defer mu.Unlock()
		close(closed)
	}))
	mu.Lock()
	require.NoError(t, await(t, goDo(c.Close), "Close"))
	select {
	case <-closed:
		t.Error("OnClose did not wait for the lock")
	default:
	}
	mu.Unlock()
	await(t, closed, "OnClose")
}

// The function of WithOnClose may close the client, which has no effect then.
func TestCloseFromOnClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c *wireClient
		got := make(chan error, 3)
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		c = pipeClient(t, ttrpc.WithOnClose(func() {
			got <- c.c.Close()
			got <- c.c.UserOnCloseWait(ended) // the function has not returned
			got <- c.c.Call(context.Background(), "s", "e", wrapperspb.String("x"), &wrapperspb.StringValue{})
		}))
		require.NoError(t, c.conn.Close())
		require.NoError(t, c.c.UserOnCloseWait(t.Context()))
		require.NoError(t, <-got)
		require.Equal(t, context.Canceled, <-got)
		require.Equal(t, ttrpc.ErrClosed, <-got)
	})
}

// Close returns nil, however often and from wherever it is called.
func TestCloseIsIdempotent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := pipeClient(t)
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				if err := c.c.Close(); err != nil {
					t.Errorf("Close: %v", err)
				}
			})
		}
		wg.Wait()
		require.NoError(t, c.c.Close())
	})
}

// UserOnCloseWait waits for the function of WithOnClose to return.
func TestUserOnCloseWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(t)
		c := pipeClient(t, ttrpc.WithOnClose(g.wait))
		ended, cancel := context.WithCancelCause(t.Context())
		cancel(errors.New("a cause that is not asked for"))

		require.Equal(t, context.Canceled, c.c.UserOnCloseWait(ended), "while the connection lives")
		require.NoError(t, c.c.Close())
		await(t, g.entered, "OnClose")
		require.Equal(t, context.Canceled, c.c.UserOnCloseWait(ended), "while OnClose runs")
		timed, cancelTimed := context.WithTimeout(t.Context(), time.Second)
		defer cancelTimed()
		require.Equal(t, context.DeadlineExceeded, c.c.UserOnCloseWait(timed), "while OnClose runs")

		g.release()
		require.NoError(t, c.c.UserOnCloseWait(t.Context()))
		require.NoError(t, c.c.UserOnCloseWait(ended), "when OnClose has returned")
	})
}

// UserOnCloseWait needs no function to wait for.
func TestUserOnCloseWaitWithoutOnClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := pipeClient(t)
		require.NoError(t, c.c.Close())
		require.NoError(t, c.c.UserOnCloseWait(t.Context()))
	})
}

// Whatever ended the connection, calls and streams fail with ErrClosed itself,
// those in flight and later ones, even if their contexts have ended as well.
func TestErrClosedIsBare(t *testing.T) {
	for _, tt := range connectionEnds {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := pipeClient(t)
				call, stream := c.call(), c.stream(t.Context(), "b")
				tt.end(c)
				c.wantErr(call, ttrpc.ErrClosed)
				stream.wantRecvErr(ttrpc.ErrClosed)
				require.Equal(t, ttrpc.ErrClosed, stream.SendMsg(wrapperspb.String("x")))
				require.Equal(t, ttrpc.ErrClosed, stream.CloseSend())

				ended, cancel := context.WithCancel(t.Context())
				cancel()
				for _, ctx := range []context.Context{t.Context(), ended} {
					c.wantErr(c.begin(ctx), ttrpc.ErrClosed)
					_, err := c.c.NewStream(ctx, &ttrpc.StreamDesc{StreamingServer: true}, "s", "v", wrapperspb.String("x"))
					require.Equal(t, ttrpc.ErrClosed, err)
				}
			})
		})
	}
}

// A context that ended is reported by its own error, not by a status, and not by
// its cause.
func TestContextErrorIsBare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := pipeClient(t)
		ctx, cancel := context.WithCancelCause(t.Context())
		call := c.begin(ctx)
		c.wantRequest(1)
		cancel(errors.New("a cause"))
		c.wantErr(call, context.Canceled)
		c.wantCancel(1, context.Canceled)

		ctx, cancelTimeout := context.WithTimeout(t.Context(), time.Second)
		defer cancelTimeout()
		call = c.begin(ctx)
		c.wantRequest(3)
		c.wantErr(call, context.DeadlineExceeded)
		c.wantCancel(3, context.DeadlineExceeded)
		c.wantErr(c.begin(ctx), context.DeadlineExceeded)
	})
}

// notMessage is no message of any kind.
type notMessage struct{ A string }

// A request that is no message is refused before anything else happens.
func TestCallRefusesWhatIsNoMessage(t *testing.T) {
	for _, tt := range []struct {
		request any
		text    string
	}{
		{nil, "ttrpc: cannot marshal unknown type: <nil>"},
		{"text", "ttrpc: cannot marshal unknown type: string"},
		{[]byte("x"), "ttrpc: cannot marshal unknown type: []uint8"},
		{notMessage{}, "ttrpc: cannot marshal unknown type: ttrpc_test.notMessage"},
		{&notMessage{}, "ttrpc: cannot marshal unknown type: *ttrpc_test.notMessage"},
	} {
		t.Run(fmt.Sprintf("%T", tt.request), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := pipeClient(t, ttrpc.WithUnaryClientInterceptor(
					func(context.Context, *ttrpc.Request, *ttrpc.Response, *ttrpc.UnaryClientInfo, ttrpc.Invoker) error {
						t.Error("the interceptor was called")
						return nil
					}))
				ended, cancel := context.WithCancel(t.Context())
				cancel()
				require.EqualError(t, c.c.Call(ended, "s", "e", tt.request, &wrapperspb.StringValue{}), tt.text)
				desc := &ttrpc.StreamDesc{StreamingClient: true, StreamingServer: true}
				if tt.request != nil {
					_, err := c.c.NewStream(ended, desc, "s", "b", tt.request)
					require.EqualError(t, err, tt.text)
				}
				stream := c.stream(t.Context(), "b")
				require.Equal(t, uint32(1), stream.id, "an id has been used")
				if tt.request != nil {
					require.EqualError(t, stream.SendMsg(tt.request), tt.text)
				}
			})
		})
	}
}

// A response that is no message is refused when it has come, before its status is
// looked at.
func TestCallRefusesToDecodeIntoWhatIsNoMessage(t *testing.T) {
	for _, tt := range []struct {
		response any
		text     string
	}{
		{nil, "ttrpc: cannot unmarshal into unknown type: <nil>"},
		{"text", "ttrpc: cannot unmarshal into unknown type: string"},
		{&notMessage{}, "ttrpc: cannot unmarshal into unknown type: *ttrpc_test.notMessage"},
	} {
		t.Run(fmt.Sprintf("%T", tt.response), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := pipeClient(t)
				for i, st := range []*status.Status{nil, notFound} {
					id := uint32(2*i + 1)
					call := goDo(func() error {
						return c.c.Call(t.Context(), "s", "e", wrapperspb.String("x"), tt.response)
					})
					c.wantRequest(id)
					c.respond(id, &ttrpc.Response{Status: st.Proto()})
					require.EqualError(t, await(t, call, "the call"), tt.text)
				}
				c.nextID = 5

				stream := c.stream(t.Context(), "b")
				c.play(`
					< 00000003 00000005 03 00  0a01'x'
					< 00000003 00000005 03 00  0a01'y'`)
				require.EqualError(t, stream.RecvMsg(tt.response), tt.text)
				stream.wantRecv("y") // the message is passed over, the stream goes on
			})
		})
	}
}

// What protobuf says of a message that cannot be encoded is returned as it is,
// and nothing is sent.
func TestCallRefusesInvalidUTF8(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := pipeClient(t)
		const text = "string field contains invalid UTF-8"
		call := func(ctx context.Context, service, method, message string) error {
			return c.c.Call(ctx, service, method, wrapperspb.String(message), &wrapperspb.StringValue{})
		}
		require.EqualError(t, call(t.Context(), "s", "e", "\xff"), text)
		require.EqualError(t, call(t.Context(), "\xff", "e", "x"), text)
		require.EqualError(t, call(t.Context(), "s", "\xff", "x"), text)
		require.EqualError(t, call(ttrpc.WithMetadata(t.Context(), ttrpc.MD{"\xff": {"v"}}), "s", "e", "x"), text)
		require.EqualError(t, call(ttrpc.WithMetadata(t.Context(), ttrpc.MD{"k": {"\xff"}}), "s", "e", "x"), text)

		stream := c.stream(t.Context(), "b")
		require.Equal(t, uint32(1), stream.id, "an id has been used")
		require.EqualError(t, stream.SendMsg(wrapperspb.String("\xff")), text)
		require.NoError(t, stream.SendMsg(wrapperspb.String("x")))
		c.play(`> 00000003 00000001 03 00  0a01'x'`)
	})
}

// A request that is too large is refused with the type itself, which says by how
// much: programs split what they send by it. The connection stays usable.
func TestOversizedRequestIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := pipeClient(t)
		ctx := ttrpc.WithMetadata(t.Context(), ttrpc.MD{"key": {"value"}})
		message := wrapperspb.Bytes(zeros[:maxFramePayload])
		request := &ttrpc.Request{
			Service: "s", Method: "e", Payload: marshal(t, message),
			Metadata: []*ttrpc.KeyValue{{Key: "key", Value: "value"}},
		}
		check := func(err error, length int) {
			t.Helper()
			oversized, ok := err.(*ttrpc.OversizedMessageErr) //nolint:errorlint // the type itself is the contract
			require.True(t, ok, "%T: %v", err, err)
			require.Equal(t, length, oversized.RejectedLength())
			require.Equal(t, maxFramePayload, oversized.MaximumLength())
			require.Equal(t, codes.ResourceExhausted, status.Code(err))
		}
		check(c.c.Call(ctx, "s", "e", message, &wrapperspb.StringValue{}), proto.Size(request))
		_, err := c.c.NewStream(ctx, &ttrpc.StreamDesc{StreamingServer: true}, "s", "e", message)
		check(err, proto.Size(request))

		c.wantAnswered()
		stream := c.stream(t.Context(), "b")
		check(stream.SendMsg(message), proto.Size(message))
		require.NoError(t, stream.SendMsg(wrapperspb.String("x")))
		c.play(`> 00000003 00000003 03 00  0a01'x'`)
	})
}

// The limit is inclusive.
func TestLargestRequestIsSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := pipeClient(t)
		message := wrapperspb.Bytes(zeros[:maxFramePayload-16]) // 5 bytes more when encoded, 11 in the Request
		call := goDo(func() error { return c.c.Call(t.Context(), "s", "e", message, &wrapperspb.StringValue{}) })
		f := c.read()
		require.Len(t, f.payload, maxFramePayload)
		c.play(`< 00000000 00000001 02 00`)
		require.NoError(t, await(t, call, "the call"))
		c.nextID = 3
		c.wantAnswered()
	})
}

// What a client puts on the wire, to the byte.
func TestClientFrames(t *testing.T) {
	ctx := context.Background()
	bidi, fromServer := ttrpc.StreamDesc{StreamingClient: true, StreamingServer: true}, ttrpc.StreamDesc{StreamingServer: true}
	fromClient, neither := ttrpc.StreamDesc{StreamingClient: true}, ttrpc.StreamDesc{}
	withMD := func(md ttrpc.MD) context.Context { return ttrpc.WithMetadata(ctx, md) }
	var typedNil *wrapperspb.StringValue

	call := func(ctx context.Context, req any) func(*ttrpc.Client) error {
		return func(c *ttrpc.Client) error { return c.Call(ctx, "s", "e", req, &wrapperspb.StringValue{}) }
	}
	open := func(ctx context.Context, desc ttrpc.StreamDesc, req any, sends ...func(ttrpc.ClientStream) error) func(*ttrpc.Client) error {
		return func(c *ttrpc.Client) error {
			cs, err := c.NewStream(ctx, &desc, "s", "e", req)
			for _, send := range sends {
				if err == nil {
					err = send(cs)
				}
			}
			return err
		}
	}
	send := func(m any) func(ttrpc.ClientStream) error {
		return func(cs ttrpc.ClientStream) error { return cs.SendMsg(m) }
	}
	for _, tt := range []struct {
		name   string
		do     func(*ttrpc.Client) error
		script string
	}{
		{"call", call(ctx, wrapperspb.String("x")), `> 0000000b 00000001 01 00  0a01's' 1201'e' 1a03 0a01'x'`},
		{"call, empty message", call(ctx, wrapperspb.String("")), `> 00000006 00000001 01 00  0a01's' 1201'e'`},
		{"call, typed nil", call(ctx, typedNil), `> 00000006 00000001 01 00  0a01's' 1201'e'`},
		{"call, metadata", call(withMD(ttrpc.MD{"k": {"2", "1", ""}}), wrapperspb.String("x")),
			`> 00000020 00000001 01 00  0a01's' 1201'e' 1a03 0a01'x' 2a06 0a01'k' 1201'2' 2a06 0a01'k' 1201'1' 2a03 0a01'k'`},
		{"call, key as given", call(withMD(ttrpc.MD{"Key": {"v"}}), wrapperspb.String("x")),
			`> 00000015 00000001 01 00  0a01's' 1201'e' 1a03 0a01'x' 2a08 0a03'Key' 1201'v'`},
		{"call, keys without values", call(withMD(ttrpc.MD{"a": {}, "b": nil}), wrapperspb.String("x")),
			`> 0000000b 00000001 01 00  0a01's' 1201'e' 1a03 0a01'x'`},
		{"call, nil metadata", call(withMD(nil), wrapperspb.String("x")), `> 0000000b 00000001 01 00  0a01's' 1201'e' 1a03 0a01'x'`},

		{"server streams", open(ctx, fromServer, wrapperspb.String("x")), `> 0000000b 00000001 01 01  0a01's' 1201'e' 1a03 0a01'x'`},
		{"server streams, empty", open(ctx, fromServer, wrapperspb.String("")), `> 00000006 00000001 01 01  0a01's' 1201'e'`},
		{"server streams, nil", open(ctx, fromServer, nil), `> 00000006 00000001 01 01  0a01's' 1201'e'`},
		{"neither streams", open(ctx, neither, wrapperspb.String("x")), `> 0000000b 00000001 01 01  0a01's' 1201'e' 1a03 0a01'x'`},
		{"client streams", open(ctx, fromClient, nil), `> 00000006 00000001 01 06  0a01's' 1201'e'`},
		{"both stream", open(ctx, bidi, nil), `> 00000006 00000001 01 06  0a01's' 1201'e'`},
		{"both stream, typed nil", open(ctx, bidi, typedNil), `> 00000006 00000001 01 06  0a01's' 1201'e'`},
		{"both stream, with a message", open(ctx, bidi, wrapperspb.String("x")), `> 0000000b 00000001 01 02  0a01's' 1201'e' 1a03 0a01'x'`},
		{"both stream, metadata", open(withMD(ttrpc.MD{"k": {"v"}}), bidi, nil), `> 0000000e 00000001 01 06  0a01's' 1201'e' 2a06 0a01'k' 1201'v'`},

		{"messages", open(ctx, bidi, nil, send(wrapperspb.String("x")), send(wrapperspb.String("")), send(nil), send(typedNil), ttrpc.ClientStream.CloseSend), `
			> 00000006 00000001 01 06  0a01's' 1201'e'
			> 00000003 00000001 03 00  0a01'x'
			> 00000000 00000001 03 00
			> 00000000 00000001 03 00
			> 00000000 00000001 03 00
			> 00000000 00000001 03 05`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := pipeClient(t)
				done := goDo(func() error { return tt.do(c.c) })
				c.play(tt.script)
				c.play(`< 00000000 00000001 02 00`) // ends a call
				require.NoError(t, await(t, done, "the client"))
			})
		})
	}

	t.Run("deadline", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c := pipeClient(t)
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			for id, do := range map[int]func(*ttrpc.Client) error{
				1: call(ctx, wrapperspb.String("x")), 3: open(ctx, fromServer, wrapperspb.String("x")),
			} {
				done := goDo(func() error { return do(c.c) })
				f := c.read()
				require.Equal(t, fmt.Sprintf("%x", wireBytes(t, `00000011 00000001 01 00  0a01's' 1201'e' 1a03 0a01'x' 208094ebdc03`)[10:]),
					fmt.Sprintf("%x", f.payload), "call %d", id)
				c.play(fmt.Sprintf(`< 00000000 %08x 02 00`, f.id))
				require.NoError(t, await(t, done, "the client"))
			}
		})
	})
}

// Ids count up by two, for calls and streams together.
func TestClientCountsIDs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := pipeClient(t)
		c.wantAnswered()
		require.Equal(t, uint32(3), c.stream(t.Context(), "b").id)
		c.wantAnswered()
		require.Equal(t, uint32(7), c.stream(t.Context(), "v").id)
	})
}

// A method that the server does not have shows when its stream is received from.
func TestNewStreamOfUnknownMethod(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := newClient(t, servePipe(t, contractServer(t, ttrpc.ServiceDesc{})).dialPipe(t))
		for _, desc := range []ttrpc.StreamDesc{{true, true}, {true, false}, {false, true}, {false, false}} {
			stream, err := client.NewStream(t.Context(), &desc, contractService, "Nope", nil)
			require.NoError(t, err)
			wantStatus(t, status.New(codes.Unimplemented, "method Nope"), stream.RecvMsg(&wrapperspb.StringValue{}))
		}
	})
}

// The client of a method whose client does not stream sends nothing more.
func TestNonStreamingClientCannotSend(t *testing.T) {
	for _, method := range []string{"v", "u"} {
		t.Run(method, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := pipeClient(t)
				stream := c.stream(t.Context(), method)
				err := stream.SendMsg(wrapperspb.String("x"))
				require.EqualError(t, err, "protocol error: cannot send data from non-streaming client")
				require.ErrorIs(t, err, ttrpc.ErrProtocol)
				err = stream.CloseSend()
				require.EqualError(t, err, "protocol error: cannot close non-streaming client")
				require.ErrorIs(t, err, ttrpc.ErrProtocol)
				c.wantAnswered()
				c.play(`< 00000005 00000001 02 00  1203 0a01'y'`)
				stream.wantRecv("y")
			})
		})
	}
}

// A stream that the client has half-closed sends nothing more, and receives.
func TestNothingIsSentAfterCloseSend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := pipeClient(t)
		stream := c.stream(t.Context(), "b")
		closed := goDo(stream.CloseSend)
		c.play(`> 00000000 00000001 03 05`)
		require.NoError(t, await(t, closed, "CloseSend"))
		for range 2 {
			require.Equal(t, ttrpc.ErrStreamClosed, stream.SendMsg(wrapperspb.String("x")))
			require.Equal(t, ttrpc.ErrStreamClosed, stream.SendMsg(nil))
			require.Equal(t, ttrpc.ErrStreamClosed, stream.CloseSend())
		}
		c.wantAnswered()
		c.play(`
			< 00000003 00000001 03 00  0a01'1'
			< 00000003 00000001 03 00  0a01'2'
			< 00000000 00000001 03 05`)
		stream.wantRecv("1")
		stream.wantRecv("2")
		stream.wantRecvErr(io.EOF)
		require.Equal(t, ttrpc.ErrStreamClosed, stream.CloseSend())
	})
}

// An expired or cancelled context opens no stream, and uses no id.
func TestNewStreamWithEndedContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := pipeClient(t)
		cancelled, cancel := context.WithCancel(t.Context())
		cancel()
		expired, cancel := context.WithTimeout(t.Context(), -time.Second)
		defer cancel()
		for ctx, want := range map[context.Context]error{cancelled: context.Canceled, expired: context.DeadlineExceeded} {
			_, err := c.c.NewStream(ctx, &ttrpc.StreamDesc{StreamingServer: true}, "s", "v", wrapperspb.String("x"))
			require.Equal(t, want, err)
		}
		c.wantAnswered()
	})
}

// Interceptors run in the order of their options; WithUnaryClientInterceptor
// replaces those before it.
func TestClientInterceptorOrder(t *testing.T) {
	var order string
	named := func(name string) ttrpc.UnaryClientInterceptor {
		return func(ctx context.Context, req *ttrpc.Request, resp *ttrpc.Response, info *ttrpc.UnaryClientInfo, invoke ttrpc.Invoker) error {
			order += name
			defer func() { order += "/" + name }()
			return invoke(ctx, req, resp)
		}
	}
	unary := ttrpc.WithUnaryClientInterceptor
	chain := ttrpc.WithChainUnaryClientInterceptor
	a, b, c := named("a"), named("b"), named("c")
	for _, tt := range []struct {
		name string
		opts []ttrpc.ClientOpts
		want string
	}{
		{"none", nil, ""},
		{"unary(a)", []ttrpc.ClientOpts{unary(a)}, "a/a"},
		{"chain(a,b,c)", []ttrpc.ClientOpts{chain(a, b, c)}, "abc/c/b/a"},
		{"chain(a,b)+chain(c)", []ttrpc.ClientOpts{chain(a, b), chain(c)}, "abc/c/b/a"},
		{"chain(a)+chain()+chain(b)", []ttrpc.ClientOpts{chain(a), chain(), chain(b)}, "ab/b/a"},
		{"unary(a)+chain(b)", []ttrpc.ClientOpts{unary(a), chain(b)}, "ab/b/a"},
		{"unary(a)+chain(b,c)", []ttrpc.ClientOpts{unary(a), chain(b, c)}, "abc/c/b/a"},
		{"chain(a)+unary(b)", []ttrpc.ClientOpts{chain(a), unary(b)}, "b/b"},
		{"chain(a,b)+unary(c)", []ttrpc.ClientOpts{chain(a, b), unary(c)}, "c/c"},
		{"unary(a)+unary(b)", []ttrpc.ClientOpts{unary(a), unary(b)}, "b/b"},
		{"unary(a)+unary(b)+chain(c)", []ttrpc.ClientOpts{unary(a), unary(b), chain(c)}, "bc/c/b"},
		{"unary(a)+chain()", []ttrpc.ClientOpts{unary(a), chain()}, "a/a"},
		{"chain()", []ttrpc.ClientOpts{chain()}, ""},
		{"unary(nil)", []ttrpc.ClientOpts{unary(nil)}, ""},
		{"unary(a)+unary(nil)", []ttrpc.ClientOpts{unary(a), unary(nil)}, ""},
		{"chain(nil)", []ttrpc.ClientOpts{chain(nil)}, ""},
		{"chain(a,nil,b)", []ttrpc.ClientOpts{chain(a, nil, b)}, "ab/b/a"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				order = ""
				cl := pipeClient(t, tt.opts...)
				cl.wantAnswered()
				require.Equal(t, tt.want, order)
				order = ""
				cl.stream(t.Context(), "b")
				require.Empty(t, order, "interceptors of calls have no part in streams")
			})
		})
	}
}

// An interceptor sees the Request as it will be sent, and the name of the method
// in one piece.
func TestClientInterceptorSeesRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		seen := make(chan *ttrpc.Request, 1)
		names := make(chan string, 8)
		c := pipeClient(t, ttrpc.WithUnaryClientInterceptor(
			func(ctx context.Context, req *ttrpc.Request, resp *ttrpc.Response, info *ttrpc.UnaryClientInfo, invoke ttrpc.Invoker) error {
				names <- info.FullMethod
				seen <- proto.CloneOf(req)
				return invoke(ctx, req, resp)
			}))
		ctx, cancel := context.WithTimeout(ttrpc.WithMetadata(t.Context(), ttrpc.MD{"k": {"1", "2"}}), time.Second)
		defer cancel()
		id := uint32(1)
		for _, tt := range []struct{ service, method, name string }{
			{"s", "m", "/s/m"}, {"a.b.S", "M", "/a.b.S/M"}, {"a.b/../s", "m", "/s/m"}, {"", "m", "/m"}, {"s", "", "/s"}, {"", "", "/"},
		} {
			call := goDo(func() error {
				return c.c.Call(ctx, tt.service, tt.method, wrapperspb.String("x"), &wrapperspb.StringValue{})
			})
			want := &ttrpc.Request{
				Service: tt.service, Method: tt.method, Payload: marshal(t, wrapperspb.String("x")),
				TimeoutNano: time.Second.Nanoseconds(),
				Metadata:    []*ttrpc.KeyValue{{Key: "k", Value: "1"}, {Key: "k", Value: "2"}},
			}
			sent := c.wantRequest(id)
			require.True(t, proto.Equal(want, sent), "sent: %v", sent)
			got := await(t, seen, "the interceptor")
			require.True(t, proto.Equal(want, got), "seen: %v", got)
			require.Equal(t, tt.name, await(t, names, "the interceptor"))
			c.play(fmt.Sprintf(`< 00000000 %08x 02 00`, id))
			require.NoError(t, await(t, call, "the call"))
			id += 2
		}
	})
}

// interceptedClient is a client with one interceptor, whose next call is id 1.
func interceptedClient(t *testing.T, intercept ttrpc.UnaryClientInterceptor) *wireClient {
	t.Helper()
	return pipeClient(t, ttrpc.WithChainUnaryClientInterceptor(intercept))
}

// What an interceptor makes of the Request is sent: nothing of the context is
// added to it again.
func TestClientInterceptorRewritesRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := interceptedClient(t, func(ctx context.Context, req *ttrpc.Request, resp *ttrpc.Response, _ *ttrpc.UnaryClientInfo, invoke ttrpc.Invoker) error {
			req.Service, req.Method, req.Payload = "t", "f", []byte("raw")
			req.TimeoutNano, req.Metadata = 7, nil
			return invoke(ctx, req, resp)
		})
		ctx, cancel := context.WithTimeout(ttrpc.WithMetadata(t.Context(), ttrpc.MD{"k": {"v"}}), time.Second)
		defer cancel()
		call := c.begin(ctx)
		c.play(`
			> 0000000d 00000001 01 00  0a01't' 1201'f' 1a03'raw' 2007
			< 00000005 00000001 02 00  1203 0a01'y'`)
		c.wantValue(call, "y")

		c = interceptedClient(t, func(ctx context.Context, req *ttrpc.Request, resp *ttrpc.Response, _ *ttrpc.UnaryClientInfo, invoke ttrpc.Invoker) error {
			return invoke(ctx, &ttrpc.Request{Service: "s", Method: "e", Metadata: []*ttrpc.KeyValue{{Key: "K", Value: "w"}}}, resp)
		})
		call = c.begin(ctx)
		c.play(`
			> 0000000e 00000001 01 00  0a01's' 1201'e' 2a06 0a01'K' 1201'w'
			< 00000005 00000001 02 00  1203 0a01'y'`)
		c.wantValue(call, "y")
	})
}

// The invoker returns nil for an error status: it is in the Response, and is the
// outcome of the call unless the interceptor changes it.
func TestClientInterceptorSeesStatusInResponse(t *testing.T) {
	const answer = `< 0000000d 00000001 02 00  0a06 0805 1202'nf' 1203 0a01'x'`
	for _, tt := range []struct {
		name   string
		change func(*ttrpc.Response) error
		check  func(c *wireClient, call <-chan callOutcome)
	}{
		{"left", func(*ttrpc.Response) error { return nil }, func(c *wireClient, call <-chan callOutcome) {
			c.wantStatus(call, notFound, "x")
		}},
		{"removed", func(resp *ttrpc.Response) error { resp.Status = nil; return nil }, func(c *wireClient, call <-chan callOutcome) {
			c.wantValue(call, "x")
		}},
		{"replaced by an error", func(*ttrpc.Response) error { return io.ErrNoProgress }, func(c *wireClient, call <-chan callOutcome) {
			c.wantErr(call, io.ErrNoProgress)
		}},
		{"with another payload", func(resp *ttrpc.Response) error {
			resp.Status, resp.Payload = nil, []byte{0x0a, 0x01, 'y'}
			return nil
		}, func(c *wireClient, call <-chan callOutcome) {
			c.wantValue(call, "y")
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				invoked := make(chan error, 1)
				c := interceptedClient(t, func(ctx context.Context, req *ttrpc.Request, resp *ttrpc.Response, _ *ttrpc.UnaryClientInfo, invoke ttrpc.Invoker) error {
					invoked <- invoke(ctx, req, resp)
					if !proto.Equal(resp, &ttrpc.Response{Status: notFound.Proto(), Payload: []byte{0x0a, 0x01, 'x'}}) {
						t.Errorf("response: %v", resp)
					}
					return tt.change(resp)
				})
				call := c.call()
				c.play(answer)
				tt.check(c, call)
				require.NoError(t, await(t, invoked, "the invoker"))
			})
		})
	}
}

// The invoker's errors are those of the call: it got no Response.
func TestInvokerErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		invoked := make(chan error, 1)
		c := interceptedClient(t, func(_ context.Context, req *ttrpc.Request, resp *ttrpc.Response, _ *ttrpc.UnaryClientInfo, invoke ttrpc.Invoker) error {
			err := invoke(ctx, req, resp)
			invoked <- err
			return err
		})
		call := c.call()
		cancel()
		c.wantErr(call, context.Canceled)
		require.Equal(t, context.Canceled, await(t, invoked, "the invoker"))
		c.wantCancel(1, context.Canceled)

		c.wantErr(c.begin(t.Context()), context.Canceled) // not sent, so its id is free
		require.Equal(t, context.Canceled, await(t, invoked, "the invoker"))

		ctx = t.Context()
		large := wrapperspb.Bytes(zeros[:maxFramePayload])
		var oversized *ttrpc.OversizedMessageErr
		require.ErrorAs(t, c.c.Call(t.Context(), "s", "e", large, &wrapperspb.StringValue{}), &oversized)
		require.Equal(t, proto.Size(&ttrpc.Request{Service: "s", Method: "e", Payload: marshal(t, large)}), oversized.RejectedLength())
		require.Equal(t, oversized, await(t, invoked, "the invoker"))

		c.nextID = 3
		call = c.call()
		require.NoError(t, c.conn.Close())
		c.wantErr(call, ttrpc.ErrClosed)
		require.Equal(t, ttrpc.ErrClosed, await(t, invoked, "the invoker"))
	})
}

// An interceptor may answer in the invoker's place, or call it more than once.
func TestClientInterceptorCallsInvokerAsItLikes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := interceptedClient(t, func(context.Context, *ttrpc.Request, *ttrpc.Response, *ttrpc.UnaryClientInfo, ttrpc.Invoker) error {
			return nil
		})
		c.wantValue(c.begin(t.Context()), "")

		c = interceptedClient(t, func(ctx context.Context, req *ttrpc.Request, resp *ttrpc.Response, _ *ttrpc.UnaryClientInfo, invoke ttrpc.Invoker) error {
			if err := invoke(ctx, req, new(ttrpc.Response)); err != nil {
				return err
			}
			return invoke(ctx, req, resp)
		})
		call := c.begin(t.Context())
		c.play(`
			> 0000000b 00000001 01 00  0a01's' 1201'e' 1a03 0a01'x'
			< 00000008 00000001 02 00  0a06 0805 1202'nf'
			> 0000000b 00000003 01 00  0a01's' 1201'e' 1a03 0a01'x'
			< 00000005 00000003 02 00  1203 0a01'y'`)
		c.wantValue(call, "y")
	})
}
