// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package ttrpc_test

// Tests about upstream's defects that cannot fail there: what needs an option
// that upstream has not, and, at the end, what upstream does right next to a
// defect, and the repair must not break.

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/containerd/ttrpc"
	"github.com/stretchr/testify/require"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// panicOf is a server with a unary method and a stream that panic with what
// value returns.
func panicOf(t *testing.T, value func() any, opts ...ttrpc.ServerOpt) *ttrpc.Server {
	t.Helper()
	return faultServer(t, map[string]ttrpc.Method{
		"Panic": func(context.Context, func(any) error) (any, error) { panicInHandler(value()); return nil, nil },
	}, map[string]ttrpc.Stream{
		"PanicStream": {StreamingServer: true, Handler: func(context.Context, ttrpc.StreamServer) (any, error) {
			panicInHandler(value())
			return nil, nil
		}},
	}, opts...)
}

// panicInHandler has a name that is found in the stack.
func panicInHandler(value any) { panic(value) }

// callPanic calls Panic or PanicStream.
func callPanic(ctx context.Context, c *ttrpc.Client, method string) error {
	if method == "Panic" {
		return c.Call(ctx, faultService, method, wrapperspb.String(""), &wrapperspb.StringValue{})
	}
	cs, err := c.NewStream(ctx, &ttrpc.StreamDesc{StreamingServer: true}, faultService, method, wrapperspb.String(""))
	if err != nil {
		return err
	}
	return cs.RecvMsg(&wrapperspb.StringValue{})
}

// chanLogger is a Logger that hands on the errors.
type chanLogger chan string

func (l chanLogger) Debug(string, ...any) {}

func (l chanLogger) Error(msg string, args ...any) { l <- fmt.Sprint(append([]any{msg}, args...)...) }

// D7: with panic recovery, a panic of a handler fails its own call alone, and
// its stack is logged. Upstream has no such option.
func TestPanicRecoveryFailsOnlyItsCall(t *testing.T) {
	for _, tt := range []struct {
		name    string
		value   any
		message string
	}{
		{"string", "boom", "ttrpc: handler panicked: boom"},
		{"error", errors.New("boom"), "ttrpc: handler panicked: boom"},
		{"invalid UTF-8", "boom \xff", "ttrpc: handler panicked: boom \uFFFD"},
		{"number", 42, "ttrpc: handler panicked: 42"},
	} {
		for _, method := range []string{"Panic", "PanicStream"} {
			t.Run(tt.name+", "+method, func(t *testing.T) {
				logged := make(chanLogger, 64)
				l := serve(t, panicOf(t, func() any { return tt.value }, ttrpc.WithServerPanicRecovery(), ttrpc.WithServerLogger(logged)))
				c := newClient(t, dial(t, l))
				other, err := c.NewStream(t.Context(), &ttrpc.StreamDesc{StreamingClient: true, StreamingServer: true}, faultService, "EchoStream", nil)
				require.NoError(t, err)

				err = await(t, goDo(func() error { return callPanic(t.Context(), c, method) }), "the call")
				require.Equal(t, codes.Internal, status.Code(err), "error: %v", err)
				require.Equal(t, tt.message, status.Convert(err).Message())
				require.Contains(t, await(t, logged, "the log"), "panicInHandler")

				require.NoError(t, other.SendMsg(wrapperspb.String("x")))
				require.NoError(t, await(t, goDo(func() error { return other.RecvMsg(&wrapperspb.StringValue{}) }), "the other stream"))
				requireEcho(t, c)
			})
		}
	}
}

// D7: panic recovery covers the server's interceptors. Upstream has no such
// option.
func TestPanicRecoveryCoversInterceptor(t *testing.T) {
	srv := faultServer(t, nil, nil, ttrpc.WithServerPanicRecovery(), ttrpc.WithServerLogger(make(chanLogger, 64)),
		ttrpc.WithUnaryServerInterceptor(func(ctx context.Context, u ttrpc.Unmarshaler, _ *ttrpc.UnaryServerInfo, m ttrpc.Method) (any, error) {
			if md, _ := ttrpc.GetMetadata(ctx); md != nil {
				panic("boom")
			}
			return m(ctx, u)
		}))
	c := newClient(t, dial(t, serve(t, srv)))

	ctx := ttrpc.WithMetadata(t.Context(), ttrpc.MD{"panic": {"yes"}})
	out := await(t, goCall(ctx, c, "Echo", "x"), "the call")
	require.Equal(t, codes.Internal, status.Code(out.err), "error: %v", out.err)
	require.Equal(t, "ttrpc: handler panicked: boom", status.Convert(out.err).Message())
	requireEcho(t, c)
}

// D7: without the option, a panic of a handler ends the process, with the
// handler's stack, as upstream's does.
func TestHandlerPanicEndsProcessByDefault(t *testing.T) {
	const variable = "TTRPC_TEST_PANIC_METHOD"
	if method := os.Getenv(variable); method != "" {
		c := newClient(t, dial(t, serve(t, panicOf(t, func() any { return "boom" }))))
		t.Logf("the process lived, and the call returned: %v", callPanic(t.Context(), c, method))
		return
	}
	for _, method := range []string{"Panic", "PanicStream"} {
		t.Run(method, func(t *testing.T) {
			self := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestHandlerPanicEndsProcessByDefault$", "-test.v")
			self.Env = append(os.Environ(), variable+"="+method)
			out, err := self.CombinedOutput()
			var exit *exec.ExitError
			require.ErrorAs(t, err, &exit, "output: %s", out)
			require.Contains(t, string(out), "panic: boom")
			require.Contains(t, string(out), "panicInHandler")
		})
	}
}

// budgetMessage is a message of a bit more than 600 bytes.
var budgetMessage = wrapperspb.String(strings.Repeat("x", 600))

// D11: a stream that exceeds a server's budget ends, and no other. Upstream has
// no such option.
func TestServerReceiveBudgetEndsOnlyStreamThatExceedsIt(t *testing.T) {
	for _, tt := range []struct {
		name               string
		perStream, perConn int
		messages           []uint32         // which stream gets a message, in turn
		overfull           uint32           // whose message is too much
		kept               int              // how many it has got before
		others             map[uint32]int64 // how many the others have got
	}{
		{"of a stream", 1500, 1 << 20, []uint32{1, 3, 1, 3, 1}, 1, 2, map[uint32]int64{3: 2}},
		{"of the connection", 1 << 20, 1500, []uint32{1, 3, 5}, 5, 0, map[uint32]int64{1: 1, 3: 1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			start := make(chan struct{})
			ended := make(chan callOutcome, 1)
			srv := faultServer(t, nil, map[string]ttrpc.Stream{
				"Count": {StreamingClient: true, Handler: func(ctx context.Context, ss ttrpc.StreamServer) (any, error) {
					select {
					case <-start:
					case <-ctx.Done():
					}
					for n := int64(0); ; n++ {
						switch err := ss.RecvMsg(&wrapperspb.StringValue{}); {
						case errors.Is(err, io.EOF):
							return wrapperspb.Int64(n), nil
						case err != nil:
							ended <- callOutcome{fmt.Sprint(n), err}
							return nil, err
						}
					}
				}},
			}, ttrpc.WithServerReceiveBudget(tt.perStream, tt.perConn))
			p := newRawPeer(t, dial(t, serve(t, srv)))

			p.request(tt.overfull, flagRemoteOpen|flagNoData, faultService, "Count", nil)
			for id := range tt.others {
				p.request(id, flagRemoteOpen|flagNoData, faultService, "Count", nil)
			}
			for _, id := range tt.messages {
				p.write(id, typeData, 0, marshal(t, budgetMessage))
			}
			p.wantStatus(tt.overfull, codes.ResourceExhausted, "ttrpc: stream buffer full")
			require.Equal(t, callOutcome{fmt.Sprint(tt.kept), ttrpc.ErrStreamFull},
				await(t, ended, "the handler of the overfull stream"))

			close(start)
			for id := range tt.others {
				p.write(id, typeData, flagRemoteClosed|flagNoData, nil)
			}
			for id, resp := range p.wantResponses(len(tt.others)) {
				require.Equal(t, marshal(t, wrapperspb.Int64(tt.others[id])), resp.GetPayload(), "stream %d: %v", id, resp.GetStatus())
			}
			requireRawEcho(t, p, 101)
		})
	}
}

// D11: a budget limits what waits, not what passes: a stream whose reader keeps
// up carries any amount. Upstream has no such option.
func TestReceiveBudgetIsGivenBack(t *testing.T) {
	const messages = 100
	srv := faultServer(t, nil, nil, ttrpc.WithServerReceiveBudget(1024, 1024))
	c := newClient(t, dial(t, serve(t, srv)), ttrpc.WithClientReceiveBudget(1024, 1024))

	cs, err := c.NewStream(t.Context(), &ttrpc.StreamDesc{StreamingClient: true, StreamingServer: true}, faultService, "EchoStream", nil)
	require.NoError(t, err)
	require.NoError(t, await(t, goDo(func() error {
		for range messages {
			if err := cs.SendMsg(budgetMessage); err != nil {
				return err
			}
			if err := cs.RecvMsg(&wrapperspb.StringValue{}); err != nil {
				return err
			}
		}
		return nil
	}), "all messages"))
}

// D11: a stream that exceeds a client's budget ends, and no other; its server
// is told. Upstream has no such option.
func TestClientReceiveBudgetEndsOnlyStreamThatExceedsIt(t *testing.T) {
	for _, tt := range []struct {
		name               string
		perStream, perConn int
		messages           []uint32 // which stream gets a message, in turn
		overfull           uint32   // whose message is too much
		received           map[uint32]int
	}{
		{"of a stream", 1500, 1 << 20, []uint32{1, 3, 1, 3, 1}, 1, map[uint32]int{1: 2, 3: 2, 5: 0}},
		{"of the connection", 1 << 20, 1500, []uint32{1, 3, 5}, 5, map[uint32]int{1: 1, 3: 1, 5: 0}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			mine, other := connPair(t)
			c := newClient(t, mine, ttrpc.WithClientReceiveBudget(tt.perStream, tt.perConn))
			p := newRawPeer(t, other)
			streams := make(map[uint32]ttrpc.ClientStream)
			for range tt.received {
				cs, err := c.NewStream(t.Context(), &ttrpc.StreamDesc{StreamingServer: true}, faultService, "Any", wrapperspb.String(""))
				require.NoError(t, err)
				streams[p.read().id] = cs
			}

			for _, id := range tt.messages {
				p.write(id, typeData, 0, marshal(t, budgetMessage))
			}
			p.wantCancel(tt.overfull, ttrpc.ErrStreamFull)
			for id, cs := range streams {
				want := io.EOF
				if id == tt.overfull {
					want = ttrpc.ErrStreamFull
				}
				p.write(id, typeData, flagRemoteClosed|flagNoData, nil) // for the overfull one, this comes too late
				require.Equal(t, want, await(t, goDo(func() error {
					for range tt.received[id] {
						if err := cs.RecvMsg(&wrapperspb.StringValue{}); err != nil {
							return err
						}
					}
					return cs.RecvMsg(&wrapperspb.StringValue{})
				}), "a stream's messages"), "stream %d", id)
			}
		})
	}
}

// Beside D8: upstream's client, unlike its server, ends with any error in
// reading.
func TestReadErrorClosesClientConnection(t *testing.T) {
	for _, tt := range readErrors {
		t.Run(tt.name, func(t *testing.T) {
			mine, other := connPair(t)
			conn := newFailingConn(mine, tt.err)
			onClose := make(chan struct{})
			c := newClient(t, conn, ttrpc.WithOnClose(func() { close(onClose) }))
			p := newRawPeer(t, other)

			call := goCall(t.Context(), c, "Any", "x")
			p.wantRequest(1)
			p.closeWrite()
			require.Equal(t, callOutcome{err: ttrpc.ErrClosed}, await(t, call, "the call in flight"))
			await(t, onClose, "OnClose")
			await(t, conn.closed, "the end of the connection")
			require.Equal(t, callOutcome{err: ttrpc.ErrClosed}, await(t, goCall(t.Context(), c, "Any", "x"), "a later call"))
		})
	}
}

// truncations are the places where a frame can be cut.
var truncations = []struct {
	name  string
	bytes int
}{
	{"in the header", 5},
	{"after the header", 10},
	{"in the payload", 15},
}

// Beside D8: a connection that ends in the middle of a frame has ended.
func TestTruncatedFrameClosesServerConnection(t *testing.T) {
	frame := frameBytes(3, typeRequest, 0, marshal(t, &ttrpc.Request{Service: faultService, Method: "Echo"}))
	for _, tt := range truncations {
		t.Run(tt.name, func(t *testing.T) {
			p := newRawPeer(t, dial(t, serve(t, faultServer(t, nil, nil))))
			requireRawEcho(t, p, 1)
			p.writeBytes(frame[:tt.bytes])
			p.closeWrite()
			p.wantClosed()
		})
	}
}

// Beside D8: a connection that ends in the middle of a frame has ended.
func TestTruncatedFrameClosesClientConnection(t *testing.T) {
	frame := frameBytes(1, typeResponse, 0, marshal(t, &ttrpc.Response{Payload: []byte("payload")}))
	for _, tt := range truncations {
		t.Run(tt.name, func(t *testing.T) {
			mine, other := connPair(t)
			c := newClient(t, mine)
			p := newRawPeer(t, other)
			call := goCall(t.Context(), c, "Any", "x")
			p.wantRequest(1)
			p.writeBytes(frame[:tt.bytes])
			p.closeWrite()
			require.Equal(t, callOutcome{err: ttrpc.ErrClosed}, await(t, call, "the call in flight"))
		})
	}
}

// Beside D14: upstream keeps nothing of a unary call that was refused or
// cancelled.
func TestClientForgetsCallsThatFailed(t *testing.T) {
	notFound := marshal(t, &ttrpc.Response{Status: &spb.Status{Code: int32(codes.NotFound)}})
	t.Run("error status", func(t *testing.T) {
		mine, other := connPair(t)
		go answerRequests(other, func(id uint32) []byte { return frameBytes(id, typeResponse, 0, notFound) })
		c := newClient(t, mine)
		requireNothingKept(t, 1000, func() {
			err := c.Call(t.Context(), faultService, "Any", wrapperspb.String(""), &wrapperspb.StringValue{})
			require.Equal(t, codes.NotFound, status.Code(err), "error: %v", err)
		})
	})
	t.Run("cancelled", func(t *testing.T) {
		mine, other := connPair(t)
		arrived := make(chan struct{}, 1)
		go answerRequests(other, func(uint32) []byte { arrived <- struct{}{}; return nil })
		c := newClient(t, mine)
		requireNothingKept(t, 1000, func() {
			ctx, cancel := context.WithCancel(t.Context())
			call := goCall(ctx, c, "Any", "")
			await(t, arrived, "the request")
			cancel()
			require.Equal(t, callOutcome{err: context.Canceled}, await(t, call, "the cancelled call"))
		})
	})
}

// Beside D15: SendMsg on a stream whose connection is gone returns ErrClosed,
// by whichever way it finds out.
func TestSendMsgOnLostConnectionReturnsErrClosed(t *testing.T) {
	stream := func(t *testing.T) (ttrpc.ClientStream, net.Conn) {
		mine, other := connPair(t)
		c := newClient(t, mine)
		p := newRawPeer(t, other)
		cs, err := c.NewStream(t.Context(), &ttrpc.StreamDesc{StreamingClient: true, StreamingServer: true}, faultService, "Any", nil)
		require.NoError(t, err)
		p.wantRequest(1)
		return cs, other
	}
	t.Run("known from RecvMsg", func(t *testing.T) {
		cs, other := stream(t)
		require.NoError(t, other.Close())
		require.Equal(t, ttrpc.ErrClosed, await(t, goDo(func() error { return cs.RecvMsg(&wrapperspb.StringValue{}) }), "RecvMsg"))
		require.Equal(t, ttrpc.ErrClosed, await(t, goDo(func() error { return cs.SendMsg(wrapperspb.String("x")) }), "SendMsg"))
	})
	t.Run("found by sending", func(t *testing.T) {
		cs, other := stream(t)
		require.NoError(t, other.Close())
		require.Equal(t, ttrpc.ErrClosed, await(t, goDo(func() (err error) {
			for err == nil { // some messages may be queued
				err = cs.SendMsg(wrapperspb.String("x"))
			}
			return err
		}), "SendMsg"))
	})
}
