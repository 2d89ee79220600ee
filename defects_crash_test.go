// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package ttrpc_test

// Regression tests for defects D1 to D15 of released upstream v1.2.10, in the
// order of their numbers: crashes, hangs, lost calls, leaks. Each test fails
// there, in the way its comment says (integration/upstream runs them against
// it), so they use nothing that upstream does not export.

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/containerd/ttrpc"
	"github.com/stretchr/testify/require"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// faultService is the name of the service that the tests of this file serve.
const faultService = "test.Faults"

// maxPayload is the largest payload a frame may carry.
const maxPayload = 4 << 20

// heldMethod is a method, unary or bidirectional, whose calls stay in flight
// until the test releases them, or their context ends.
type heldMethod struct {
	entered chan struct{} // one value for each call that began
	ended   chan error    // one value for each call whose context ended: its error
	release func()        // lets all calls return, those to come too

	released chan struct{}
}

// newHeldMethod returns a method that is released when the test ends.
func newHeldMethod(t *testing.T) *heldMethod {
	h := &heldMethod{
		entered:  make(chan struct{}, 64),
		ended:    make(chan error, 64),
		released: make(chan struct{}),
	}
	h.release = sync.OnceFunc(func() { close(h.released) })
	t.Cleanup(h.release)
	return h
}

// wait keeps a call in flight.
func (h *heldMethod) wait(ctx context.Context) error {
	h.entered <- struct{}{}
	select {
	case <-h.released:
		return nil
	case <-ctx.Done():
		h.ended <- ctx.Err()
		return ctx.Err()
	}
}

// unary is the held method as a unary one: it answers with its request.
func (h *heldMethod) unary(ctx context.Context, unmarshal func(any) error) (any, error) {
	var req wrapperspb.StringValue
	if err := unmarshal(&req); err != nil {
		return nil, err
	}
	return &req, h.wait(ctx)
}

// echoUnary answers with its request.
func echoUnary(_ context.Context, unmarshal func(any) error) (any, error) {
	var req wrapperspb.StringValue
	return &req, unmarshal(&req)
}

// echoStream is a bidirectional method that sends back every message.
func echoStream(_ context.Context, ss ttrpc.StreamServer) (any, error) {
	for {
		var m wrapperspb.StringValue
		switch err := ss.RecvMsg(&m); {
		case errors.Is(err, io.EOF):
			return nil, nil
		case err != nil:
			return nil, err
		}
		if err := ss.SendMsg(&m); err != nil {
			return nil, err
		}
	}
}

// faultServer is a server with the methods Echo and EchoStream, and those given.
func faultServer(t *testing.T, methods map[string]ttrpc.Method, streams map[string]ttrpc.Stream, opts ...ttrpc.ServerOpt) *ttrpc.Server {
	t.Helper()
	desc := &ttrpc.ServiceDesc{
		Methods: map[string]ttrpc.Method{"Echo": echoUnary},
		Streams: map[string]ttrpc.Stream{
			"EchoStream": {Handler: echoStream, StreamingClient: true, StreamingServer: true},
		},
	}
	for name, m := range methods {
		desc.Methods[name] = m
	}
	for name, s := range streams {
		desc.Streams[name] = s
	}
	srv := newServer(t, opts...)
	srv.RegisterService(faultService, desc)
	return srv
}

// serveHeld is a server on which Held is h, and the listener it serves.
func serveHeld(t *testing.T, h *heldMethod) (*ttrpc.Server, net.Listener) {
	t.Helper()
	srv := faultServer(t, map[string]ttrpc.Method{"Held": h.unary}, nil)
	return srv, serve(t, srv)
}

// goCall makes a unary call of faultService and delivers its outcome.
func goCall(ctx context.Context, c *ttrpc.Client, method, arg string) <-chan callOutcome {
	done := make(chan callOutcome, 1)
	go func() {
		var resp wrapperspb.StringValue
		err := c.Call(ctx, faultService, method, wrapperspb.String(arg), &resp)
		done <- callOutcome{resp.GetValue(), err}
	}()
	return done
}

// callOutcome is what a call came to.
type callOutcome struct {
	value string
	err   error
}

// requireEcho makes a call on c, which must be answered.
func requireEcho(t *testing.T, c *ttrpc.Client) {
	t.Helper()
	require.Equal(t, callOutcome{value: "still here"},
		await(t, goCall(t.Context(), c, "Echo", "still here"), "a call on the same connection"))
}

// requireRawEcho makes a call on p as stream id, which must be answered.
func requireRawEcho(t *testing.T, p *rawPeer, id uint32) {
	t.Helper()
	p.request(id, 0, faultService, "Echo", marshal(t, wrapperspb.String("still here")))
	resp := p.wantResponse(id)
	require.Equal(t, codes.OK, codes.Code(resp.GetStatus().GetCode()), "status: %v", resp.GetStatus())
	require.Equal(t, marshal(t, wrapperspb.String("still here")), resp.GetPayload())
}

// goDo runs f on a goroutine of its own and delivers its error.
func goDo(f func() error) <-chan error {
	done := make(chan error, 1)
	go func() { done <- f() }()
	return done
}

// marshal is proto.Marshal for tests.
func marshal(t *testing.T, m proto.Message) []byte {
	t.Helper()
	b, err := proto.Marshal(m)
	require.NoError(t, err)
	return b
}

// shutdownNow is Shutdown with a context that has ended already: it begins the
// shutdown and reports at once whether anything was in flight.
func shutdownNow(t *testing.T, srv *ttrpc.Server) error {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return await(t, goDo(func() error { return srv.Shutdown(ctx) }), "Shutdown with an ended context")
}

// requireShutdown is Shutdown to its end, which must come without an error.
func requireShutdown(t *testing.T, srv *ttrpc.Server) {
	t.Helper()
	require.NoError(t, await(t, goDo(func() error { return srv.Shutdown(t.Context()) }), "Shutdown"))
}

// D1: a Data frame on the id of a unary call in flight is answered on that id,
// ends that call, and nothing else. Fails on released upstream v1.2.10: the
// process dies of a nil dereference.
func TestDataOnUnaryStreamDoesNotCrashServer(t *testing.T) {
	held := newHeldMethod(t)
	_, l := serveHeld(t, held)
	p := newRawPeer(t, dial(t, l))

	p.request(1, 0, faultService, "Held", nil)
	await(t, held.entered, "the handler")
	p.write(1, typeData, 0, []byte("x"))

	st := p.wantResponse(1).GetStatus()
	require.Equal(t, codes.InvalidArgument, codes.Code(st.GetCode()), "status: %v", st)
	require.Contains(t, st.GetMessage(), "data handling error: ")
	require.ErrorIs(t, await(t, held.ended, "the end of the handler's context"), context.Canceled)
	requireRawEcho(t, p, 3)
}

// D1: a half-close on the id of a unary call in flight says nothing new, and is
// ignored. Fails on released upstream v1.2.10: the process dies of a nil
// dereference.
func TestHalfCloseOnUnaryStreamDoesNotCrashServer(t *testing.T) {
	held := newHeldMethod(t)
	_, l := serveHeld(t, held)
	p := newRawPeer(t, dial(t, l))

	p.request(1, 0, faultService, "Held", marshal(t, wrapperspb.String("x")))
	await(t, held.entered, "the handler")
	p.write(1, typeData, flagRemoteClosed|flagNoData, nil)
	requireRawEcho(t, p, 3) // so the half-close was read before
	held.release()
	resp := p.wantResponse(1)
	require.Equal(t, codes.OK, codes.Code(resp.GetStatus().GetCode()), "status: %v", resp.GetStatus())
	require.Equal(t, marshal(t, wrapperspb.String("x")), resp.GetPayload())
}

// D1, from the public API: SendMsg on a stream that names a unary method fails
// that stream. Fails on released upstream v1.2.10: the server's process dies of
// a nil dereference.
func TestSendMsgToUnaryMethodDoesNotCrashServer(t *testing.T) {
	held := newHeldMethod(t)
	_, l := serveHeld(t, held)
	c := newClient(t, dial(t, l))

	cs, err := c.NewStream(t.Context(), &ttrpc.StreamDesc{StreamingClient: true, StreamingServer: true}, faultService, "Held", nil)
	require.NoError(t, err)
	await(t, held.entered, "the handler")
	require.NoError(t, cs.SendMsg(wrapperspb.String("x")))

	err = await(t, goDo(func() error { return cs.RecvMsg(&wrapperspb.StringValue{}) }), "RecvMsg")
	require.Equal(t, codes.InvalidArgument, status.Code(err), "error: %v", err)
	require.ErrorContains(t, err, "data handling error: ")
	require.ErrorIs(t, await(t, held.ended, "the end of the handler's context"), context.Canceled)
	requireEcho(t, c)
}

// D1, from the public API: CloseSend on a stream that names a unary method does
// no harm. Fails on released upstream v1.2.10: the server's process dies of a
// nil dereference.
func TestCloseSendToUnaryMethodDoesNotCrashServer(t *testing.T) {
	held := newHeldMethod(t)
	_, l := serveHeld(t, held)
	c := newClient(t, dial(t, l))

	cs, err := c.NewStream(t.Context(), &ttrpc.StreamDesc{StreamingClient: true}, faultService, "Held", nil)
	require.NoError(t, err)
	await(t, held.entered, "the handler")
	require.NoError(t, cs.CloseSend())
	requireEcho(t, c) // so the half-close was read before
	held.release()
	require.NoError(t, await(t, goDo(func() error { return cs.RecvMsg(&wrapperspb.StringValue{}) }), "RecvMsg"))
}

// D2: Shutdown lets a call in flight finish, even the first of its connection.
// Fails on released upstream v1.2.10: Shutdown finds nothing in flight, closes
// the connection and returns nil.
func TestShutdownLetsCallInFlightFinish(t *testing.T) {
	held := newHeldMethod(t)
	srv, l := serveHeld(t, held)
	c := newClient(t, dial(t, l))

	call := goCall(t.Context(), c, "Held", "x")
	await(t, held.entered, "the handler")
	require.ErrorIs(t, shutdownNow(t, srv), context.Canceled, "Shutdown overlooked the call")
	held.release()
	require.Equal(t, callOutcome{value: "x"}, await(t, call, "the call in flight"))
	requireShutdown(t, srv)
}

// D2: Shutdown lets a stream in flight finish, even the first of its
// connection. Fails on released upstream v1.2.10: Shutdown finds nothing in
// flight, closes the connection and returns nil.
func TestShutdownLetsStreamInFlightFinish(t *testing.T) {
	entered := make(chan struct{}, 1)
	srv := faultServer(t, nil, map[string]ttrpc.Stream{
		"Held": {StreamingClient: true, StreamingServer: true, Handler: func(ctx context.Context, ss ttrpc.StreamServer) (any, error) {
			entered <- struct{}{}
			return echoStream(ctx, ss)
		}},
	})
	c := newClient(t, dial(t, serve(t, srv)))

	cs, err := c.NewStream(t.Context(), &ttrpc.StreamDesc{StreamingClient: true, StreamingServer: true}, faultService, "Held", nil)
	require.NoError(t, err)
	await(t, entered, "the handler")
	require.ErrorIs(t, shutdownNow(t, srv), context.Canceled, "Shutdown overlooked the stream")
	require.NoError(t, cs.SendMsg(wrapperspb.String("x")))
	require.NoError(t, await(t, goDo(func() error { return cs.RecvMsg(&wrapperspb.StringValue{}) }), "the message sent back"))
	require.NoError(t, cs.CloseSend())
	require.ErrorIs(t, await(t, goDo(func() error { return cs.RecvMsg(&wrapperspb.StringValue{}) }), "the end of the stream"), io.EOF)
	requireShutdown(t, srv)
}

// D3: requests that were refused do not count against those in flight. Fails on
// released upstream v1.2.10: the counter of active calls has become negative,
// Shutdown closes the connection under the running call and returns nil.
func TestShutdownLetsCallFinishAfterRefusedRequests(t *testing.T) {
	held := newHeldMethod(t)
	srv, l := serveHeld(t, held)
	c := newClient(t, dial(t, l))

	for range 3 {
		out := await(t, goCall(t.Context(), c, "NoSuchMethod", "x"), "a refused call")
		require.Equal(t, codes.Unimplemented, status.Code(out.err), "error: %v", out.err)
	}
	call := goCall(t.Context(), c, "Held", "x")
	await(t, held.entered, "the handler")
	requireEcho(t, c) // after a response, upstream knows that the connection is active (D2)
	require.ErrorIs(t, shutdownNow(t, srv), context.Canceled, "Shutdown overlooked the call")
	held.release()
	require.Equal(t, callOutcome{value: "x"}, await(t, call, "the call in flight"))
	requireShutdown(t, srv)
}

// D4: Close ends a connection with a call in flight too. Fails on released
// upstream v1.2.10: the connection stays open and the handler runs on.
func TestCloseEndsConnectionWithCallInFlight(t *testing.T) {
	held := newHeldMethod(t)
	srv, l := serveHeld(t, held)
	c := newClient(t, dial(t, l))

	call := goCall(t.Context(), c, "Held", "x")
	await(t, held.entered, "the handler")
	requireEcho(t, c) // after a response, upstream counts the connection as active
	require.NoError(t, srv.Close())
	require.Equal(t, callOutcome{err: ttrpc.ErrClosed}, await(t, call, "the call in flight"))
	require.ErrorIs(t, await(t, held.ended, "the end of the handler's context"), context.Canceled)
}

// D5: a response that is too big fails its own call alone. Fails on released
// upstream v1.2.10: the connection is closed, and all its calls with it.
func TestOversizedResponseFailsOnlyItsCall(t *testing.T) {
	held := newHeldMethod(t)
	srv := faultServer(t, map[string]ttrpc.Method{
		"Held": held.unary,
		"Big": func(context.Context, func(any) error) (any, error) {
			return wrapperspb.Bytes(make([]byte, maxPayload)), nil
		},
	}, map[string]ttrpc.Stream{
		"BigResult": {StreamingClient: true, Handler: func(context.Context, ttrpc.StreamServer) (any, error) {
			return wrapperspb.Bytes(make([]byte, maxPayload)), nil
		}},
		"BigLast": {StreamingServer: true, Handler: func(context.Context, ttrpc.StreamServer) (any, error) {
			return wrapperspb.Bytes(make([]byte, maxPayload)), nil
		}},
	})
	l := serve(t, srv)

	receive := func(ctx context.Context, c *ttrpc.Client, desc *ttrpc.StreamDesc, method string, req any) error {
		cs, err := c.NewStream(ctx, desc, faultService, method, req)
		if err != nil {
			return err
		}
		return cs.RecvMsg(&wrapperspb.BytesValue{})
	}
	for _, tt := range []struct {
		name string
		call func(ctx context.Context, c *ttrpc.Client) error
	}{
		{"unary", func(ctx context.Context, c *ttrpc.Client) error {
			return c.Call(ctx, faultService, "Big", wrapperspb.String(""), &wrapperspb.BytesValue{})
		}},
		{"result of a client stream", func(ctx context.Context, c *ttrpc.Client) error {
			return receive(ctx, c, &ttrpc.StreamDesc{StreamingClient: true}, "BigResult", nil)
		}},
		{"last message of a server stream", func(ctx context.Context, c *ttrpc.Client) error {
			return receive(ctx, c, &ttrpc.StreamDesc{StreamingServer: true}, "BigLast", wrapperspb.String(""))
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newClient(t, dial(t, l))
			other := goCall(t.Context(), c, "Held", "x")
			await(t, held.entered, "the handler of the other call")

			err := await(t, goDo(func() error { return tt.call(t.Context(), c) }), "the oversized call")
			require.Equal(t, codes.ResourceExhausted, status.Code(err), "error: %v", err)
			require.ErrorContains(t, err, "exceed maximum message size of 4194304")
			requireEcho(t, c)
			require.Empty(t, other, "the other call ended")
		})
	}
}

// D5: an error whose text does not fit into a response fails its own call
// alone. Fails on released upstream v1.2.10: the connection is closed, and the
// call with it.
func TestOversizedErrorTextFailsOnlyItsCall(t *testing.T) {
	srv := faultServer(t, map[string]ttrpc.Method{
		"Fail": func(context.Context, func(any) error) (any, error) {
			return nil, status.Error(codes.NotFound, strings.Repeat("x", maxPayload))
		},
	}, nil)
	c := newClient(t, dial(t, serve(t, srv)))

	out := await(t, goCall(t.Context(), c, "Fail", ""), "the call")
	require.Equal(t, codes.ResourceExhausted, status.Code(out.err))
	requireEcho(t, c)
}

// D5: SendMsg in a handler refuses a message that is too big, and the stream
// goes on. Fails on released upstream v1.2.10: SendMsg returns nil, and the
// connection is closed.
func TestOversizedMessageOfServerStreamIsRefused(t *testing.T) {
	sent := make(chan error, 1)
	srv := faultServer(t, nil, map[string]ttrpc.Stream{
		"Big": {StreamingServer: true, Handler: func(_ context.Context, ss ttrpc.StreamServer) (any, error) {
			sent <- ss.SendMsg(wrapperspb.Bytes(make([]byte, maxPayload)))
			return nil, ss.SendMsg(wrapperspb.Bytes([]byte("small")))
		}},
	})
	c := newClient(t, dial(t, serve(t, srv)))

	cs, err := c.NewStream(t.Context(), &ttrpc.StreamDesc{StreamingServer: true}, faultService, "Big", wrapperspb.String(""))
	require.NoError(t, err)
	var oversized *ttrpc.OversizedMessageErr
	require.ErrorAs(t, await(t, sent, "SendMsg of the big message"), &oversized)
	require.Equal(t, maxPayload, oversized.MaximumLength())
	require.Greater(t, oversized.RejectedLength(), maxPayload)

	var m wrapperspb.BytesValue
	require.NoError(t, await(t, goDo(func() error { return cs.RecvMsg(&m) }), "the small message"))
	require.Equal(t, "small", string(m.GetValue()))
	require.ErrorIs(t, await(t, goDo(func() error { return cs.RecvMsg(&m) }), "the end of the stream"), io.EOF)
}

// D6: an error text that is not valid UTF-8 reaches the caller with U+FFFD in
// place of what is invalid. Fails on released upstream v1.2.10: the response
// cannot be marshalled, and the connection is closed.
func TestInvalidUTF8InErrorFailsOnlyItsCall(t *testing.T) {
	for _, tt := range []struct {
		name    string
		err     error
		code    codes.Code
		message string
	}{
		{"plain error", errors.New("no file \xff.txt"), codes.Unknown, "no file \uFFFD.txt"},
		{"path error", &os.PathError{Op: "open", Path: "\xfe", Err: syscall.ENOENT}, codes.NotFound, "open \uFFFD: " + syscall.ENOENT.Error()},
		{"status", status.Error(codes.FailedPrecondition, "state \xc3"), codes.FailedPrecondition, "state \uFFFD"},
	} {
		srv := faultServer(t, map[string]ttrpc.Method{
			"Fail": func(context.Context, func(any) error) (any, error) { return nil, tt.err },
		}, map[string]ttrpc.Stream{
			"FailStream": {StreamingServer: true, Handler: func(context.Context, ttrpc.StreamServer) (any, error) { return nil, tt.err }},
		})
		requireStatus := func(t *testing.T, err error) {
			t.Helper()
			require.Equal(t, tt.code, status.Code(err), "error: %v", err)
			require.Equal(t, tt.message, status.Convert(err).Message())
		}
		l := serve(t, srv)
		t.Run(tt.name+", unary", func(t *testing.T) {
			c := newClient(t, dial(t, l))
			requireStatus(t, await(t, goCall(t.Context(), c, "Fail", ""), "the call").err)
			requireEcho(t, c)
		})
		t.Run(tt.name+", stream", func(t *testing.T) {
			c := newClient(t, dial(t, l))
			cs, err := c.NewStream(t.Context(), &ttrpc.StreamDesc{StreamingServer: true}, faultService, "FailStream", wrapperspb.String(""))
			require.NoError(t, err)
			requireStatus(t, await(t, goDo(func() error { return cs.RecvMsg(&wrapperspb.StringValue{}) }), "RecvMsg"))
			requireEcho(t, c)
		})
	}
}

// D7: a handler that ends its goroutine ends its call with Internal, and
// nothing else. Fails on released upstream v1.2.10: the caller waits for ever.
func TestGoexitInHandlerFailsOnlyItsCall(t *testing.T) {
	srv := faultServer(t, map[string]ttrpc.Method{
		"Exit": func(context.Context, func(any) error) (any, error) {
			runtime.Goexit()
			return nil, nil
		},
	}, map[string]ttrpc.Stream{
		"ExitStream": {StreamingServer: true, Handler: func(context.Context, ttrpc.StreamServer) (any, error) {
			runtime.Goexit()
			return nil, nil
		}},
	})
	l := serve(t, srv)
	t.Run("unary", func(t *testing.T) {
		c := newClient(t, dial(t, l))
		err := await(t, goCall(t.Context(), c, "Exit", ""), "the call").err
		require.Equal(t, codes.Internal, status.Code(err), "error: %v", err)
		requireEcho(t, c)
	})
	t.Run("stream", func(t *testing.T) {
		c := newClient(t, dial(t, l))
		cs, err := c.NewStream(t.Context(), &ttrpc.StreamDesc{StreamingServer: true}, faultService, "ExitStream", wrapperspb.String(""))
		require.NoError(t, err)
		err = await(t, goDo(func() error { return cs.RecvMsg(&wrapperspb.StringValue{}) }), "RecvMsg")
		require.Equal(t, codes.Internal, status.Code(err), "error: %v", err)
		requireEcho(t, c)
	})
}

// D7: WithOnClose(nil) is no callback. Fails on released upstream v1.2.10: the
// process dies of a nil dereference when the client ends.
func TestWithOnCloseNilDoesNotPanic(t *testing.T) {
	conn, _ := connPair(t)
	c := newClient(t, conn, ttrpc.WithOnClose(nil))
	require.NoError(t, c.Close())
	require.NoError(t, await(t, goDo(func() error { return c.UserOnCloseWait(t.Context()) }), "UserOnCloseWait"))
}

// failingConn is a connection on which the end of input is read as another
// error, and whose closing is seen.
type failingConn struct {
	net.Conn
	err    error
	closed chan struct{}
	close  func()
}

func newFailingConn(conn net.Conn, err error) *failingConn {
	closed := make(chan struct{})
	return &failingConn{Conn: conn, err: err, closed: closed, close: sync.OnceFunc(func() { close(closed) })}
}

func (c *failingConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if errors.Is(err, io.EOF) {
		err = c.err
	}
	return n, err
}

func (c *failingConn) Close() error {
	c.close()
	return c.Conn.Close()
}

// wrappingListener accepts connections in the wrapping of the test's choice.
type wrappingListener struct {
	net.Listener
	wrap func(net.Conn) net.Conn
}

func (l *wrappingListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return l.wrap(conn), nil
}

// readErrors are what a connection can fail with, beside EOF and ECONNRESET.
var readErrors = []struct {
	name string
	err  error
}{
	{"out of memory", syscall.ENOMEM}, // what nri's mux returns
	{"timed out", os.ErrDeadlineExceeded},
	{"closed pipe", io.ErrClosedPipe},
	{"error of its own", errors.New("decryption failed")},
}

// D8: any error in reading ends the connection. Fails on released upstream
// v1.2.10: the server never closes it, and never reads it again.
func TestReadErrorClosesServerConnection(t *testing.T) {
	for _, tt := range readErrors {
		t.Run(tt.name, func(t *testing.T) {
			held := newHeldMethod(t)
			srv := faultServer(t, map[string]ttrpc.Method{"Held": held.unary}, nil)
			accepted := make(chan *failingConn, 1)
			l := listenUnix(t)
			serveOn(t, srv, &wrappingListener{l, func(conn net.Conn) net.Conn {
				fc := newFailingConn(conn, tt.err)
				accepted <- fc
				return fc
			}})
			p := newRawPeer(t, dial(t, l))
			conn := await(t, accepted, "the connection")

			p.request(1, 0, faultService, "Held", nil)
			await(t, held.entered, "the handler")
			p.closeWrite()
			require.ErrorIs(t, await(t, held.ended, "the end of the handler's context"), context.Canceled)
			await(t, conn.closed, "the end of the connection")
		})
	}
}

// stalledConns are connections whose other end can leave off reading: without
// a buffer, and with a socket's.
var stalledConns = []struct {
	name string
	pair func(t *testing.T) (client, server net.Conn)
}{
	{"pipe", func(t *testing.T) (client, server net.Conn) { return net.Pipe() }},
	{"socket", connPair},
}

// stallingMessage is one that no socket buffers wholly.
var stallingMessage = wrapperspb.Bytes(make([]byte, 3<<20))

// readSome reads the header of the next frame and nothing of its payload: what
// writes that frame is then stuck in the middle of it.
func readSome(t *testing.T, p *rawPeer) (header [10]byte) {
	t.Helper()
	require.NoError(t, p.conn.SetReadDeadline(time.Now().Add(rawPatience)))
	_, err := io.ReadFull(p.conn, header[:])
	require.NoError(t, err)
	return header
}

// finishFrame reads the rest of the frame that readSome began, and returns the
// length of its payload.
func finishFrame(t *testing.T, p *rawPeer, header [10]byte) int {
	t.Helper()
	n := int(header[0])<<24 | int(header[1])<<16 | int(header[2])<<8 | int(header[3])
	require.NoError(t, p.conn.SetReadDeadline(time.Now().Add(rawPatience)))
	_, err := io.ReadFull(p.conn, make([]byte, n))
	require.NoError(t, err)
	return n
}

// D9: a call leaves when its context ends, though its request is stuck half
// written; that frame is finished later, and the connection stays usable. Fails
// on released upstream v1.2.10: the call waits until the peer reads.
func TestCallLeavesWhenContextEndsWhileWriting(t *testing.T) {
	for _, tt := range stalledConns {
		for _, end := range []struct {
			name string
			ctx  func(t *testing.T) (ctx context.Context, end func())
			err  error
		}{
			{"cancelled", func(t *testing.T) (context.Context, func()) {
				return context.WithCancel(t.Context())
			}, context.Canceled},
			{"deadline", func(t *testing.T) (context.Context, func()) {
				ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
				t.Cleanup(cancel)
				return ctx, func() {}
			}, context.DeadlineExceeded},
		} {
			t.Run(tt.name+", "+end.name, func(t *testing.T) {
				mine, other := tt.pair(t)
				c := newClient(t, mine)
				p := newRawPeer(t, other)
				ctx, endCtx := end.ctx(t)

				call := goDo(func() error {
					return c.Call(ctx, faultService, "First", stallingMessage, &wrapperspb.StringValue{})
				})
				header := readSome(t, p)
				endCtx()
				require.Equal(t, end.err, await(t, call, "the call whose context ended"))

				second := goCall(t.Context(), c, "Second", "x")
				require.Greater(t, finishFrame(t, p, header), 3<<20)
				p.wantCancel(1, end.err)
				require.Equal(t, "Second", p.wantRequest(3).GetMethod())
				p.respond(3, &ttrpc.Response{Payload: marshal(t, wrapperspb.String("x"))})
				require.Equal(t, callOutcome{value: "x"}, await(t, second, "the second call"))
			})
		}
	}
}

// D9: a call leaves when its context ends, though another's request is stuck in
// front of its own. Fails on released upstream v1.2.10: the call waits until
// the peer reads.
func TestCallLeavesWhenContextEndsWaitingToWrite(t *testing.T) {
	for _, tt := range stalledConns {
		t.Run(tt.name, func(t *testing.T) {
			sending := make(chan struct{}, 1)
			mine, other := tt.pair(t)
			c := newClient(t, mine, ttrpc.WithUnaryClientInterceptor(
				func(ctx context.Context, req *ttrpc.Request, resp *ttrpc.Response, _ *ttrpc.UnaryClientInfo, invoke ttrpc.Invoker) error {
					if req.GetMethod() == "Second" {
						sending <- struct{}{}
					}
					return invoke(ctx, req, resp)
				}))
			p := newRawPeer(t, other)

			first := goDo(func() error {
				return c.Call(t.Context(), faultService, "First", stallingMessage, &wrapperspb.StringValue{})
			})
			header := readSome(t, p)
			ctx, cancel := context.WithCancel(t.Context())
			second := goCall(ctx, c, "Second", "x")
			await(t, sending, "the second call on its way")
			cancel()
			require.Equal(t, callOutcome{err: context.Canceled}, await(t, second, "the call whose context ended"))

			finishFrame(t, p, header)
			p.respond(1, &ttrpc.Response{})
			require.NoError(t, await(t, first, "the first call"))
		})
	}
}

// D9: NewStream leaves when its context ends, though its request is stuck half
// written. Fails on released upstream v1.2.10: it waits until the peer reads.
func TestNewStreamLeavesWhenContextEndsWhileWriting(t *testing.T) {
	for _, tt := range stalledConns {
		t.Run(tt.name, func(t *testing.T) {
			mine, other := tt.pair(t)
			c := newClient(t, mine)
			p := newRawPeer(t, other)
			ctx, cancel := context.WithCancel(t.Context())

			opened := goDo(func() (err error) {
				for err == nil { // some requests may be queued
					_, err = c.NewStream(ctx, &ttrpc.StreamDesc{StreamingServer: true}, faultService, "First", stallingMessage)
				}
				return err
			})
			readSome(t, p)
			cancel()
			require.Equal(t, context.Canceled, await(t, opened, "NewStream whose context ended"))
		})
	}
}

// D9: SendMsg leaves when the stream's context ends, though its message is
// stuck half written. Fails on released upstream v1.2.10: it waits until the
// peer reads.
func TestSendMsgLeavesWhenContextEndsWhileWriting(t *testing.T) {
	for _, tt := range stalledConns {
		t.Run(tt.name, func(t *testing.T) {
			mine, other := tt.pair(t)
			c := newClient(t, mine)
			p := newRawPeer(t, other)
			ctx, cancel := context.WithCancel(t.Context())

			sent := goDo(func() error {
				cs, err := c.NewStream(ctx, &ttrpc.StreamDesc{StreamingClient: true}, faultService, "First", nil)
				for err == nil { // some messages may be queued
					err = cs.SendMsg(stallingMessage)
				}
				return err
			})
			p.wantRequest(1)
			readSome(t, p)
			cancel()
			require.Equal(t, context.Canceled, await(t, sent, "SendMsg whose context ended"))
		})
	}
}

// D9, on the server: SendMsg leaves at the call's deadline, though the peer
// does not read. Fails on released upstream v1.2.10: the handler never returns.
func TestServerSendMsgLeavesAtDeadlineThoughPeerDoesNotRead(t *testing.T) {
	sent := make(chan error, 1)
	srv := faultServer(t, nil, map[string]ttrpc.Stream{
		"Endless": {StreamingServer: true, Handler: func(_ context.Context, ss ttrpc.StreamServer) (any, error) {
			for {
				if err := ss.SendMsg(stallingMessage); err != nil {
					sent <- err
					return nil, err
				}
			}
		}},
	})
	p := newRawPeer(t, dial(t, serve(t, srv)))
	p.requestMessage(1, flagRemoteClosed, &ttrpc.Request{
		Service: faultService, Method: "Endless", TimeoutNano: int64(50 * time.Millisecond),
	})
	require.ErrorIs(t, await(t, sent, "SendMsg in a handler past its deadline"), context.DeadlineExceeded)
}

// D10: on a client, streams that nobody reads delay no call. Fails on released
// upstream v1.2.10: its receive loop waits a second for each such stream, and
// then drops what the stream's reader would have got.
func TestUnreadStreamsDoNotDelayCallOnClient(t *testing.T) {
	const streams, messages = 40, 100
	mine, other := connPair(t)
	c := newClient(t, mine)
	p := newRawPeer(t, other)

	var script []byte
	unread := make([]ttrpc.ClientStream, streams)
	for i := range unread {
		cs, err := c.NewStream(t.Context(), &ttrpc.StreamDesc{StreamingServer: true}, faultService, "Count", wrapperspb.String(""))
		require.NoError(t, err)
		unread[i] = cs
		script = append(script, countFrames(t, p.read().id, messages)...)
	}
	call := goCall(t.Context(), c, "Any", "")
	callID := p.read().id
	script = append(script, frameBytes(callID, typeResponse, 0, nil)...)
	written := goDo(func() error { _, err := other.Write(script); return err })
	require.Equal(t, callOutcome{}, await(t, call, "the call"))
	require.NoError(t, await(t, written, "the frames to be written"))
	for _, cs := range unread {
		requireCount(t, cs, messages)
	}
}

// countFrames are the frames of a server stream that sends the numbers from 0
// up to n, and ends.
func countFrames(t *testing.T, id uint32, n int) []byte {
	t.Helper()
	var b []byte
	for i := range n {
		b = append(b, frameBytes(id, typeData, 0, marshal(t, wrapperspb.Int64(int64(i))))...)
	}
	return append(b, frameBytes(id, typeData, flagRemoteClosed|flagNoData, nil)...)
}

// requireCount receives what countFrames made, and the end of the stream.
func requireCount(t *testing.T, cs ttrpc.ClientStream, n int) {
	t.Helper()
	require.NoError(t, await(t, goDo(func() error {
		for i := range n {
			var m wrapperspb.Int64Value
			if err := cs.RecvMsg(&m); err != nil {
				return fmt.Errorf("message %d of %d: %w", i, n, err)
			}
			if m.GetValue() != int64(i) {
				return fmt.Errorf("message %d of %d is number %d", i, n, m.GetValue())
			}
		}
		return nil
	}), "all messages of a stream"))
	require.Equal(t, io.EOF, await(t, goDo(func() error { return cs.RecvMsg(&wrapperspb.Int64Value{}) }), "the end of the stream"))
}

// D10: on a server, streams that nobody reads delay no call. Fails on released
// upstream v1.2.10: its receive loop waits for each such stream, and then
// drops what the stream's handler would have got.
func TestUnreadStreamsDoNotDelayCallOnServer(t *testing.T) {
	const streams, messages = 20, 100
	start := make(chan struct{})
	srv := faultServer(t, nil, map[string]ttrpc.Stream{
		"Count": {StreamingClient: true, Handler: func(_ context.Context, ss ttrpc.StreamServer) (any, error) {
			<-start
			for n := int64(0); ; n++ {
				switch err := ss.RecvMsg(&wrapperspb.StringValue{}); {
				case errors.Is(err, io.EOF):
					return wrapperspb.Int64(n), nil
				case err != nil:
					return nil, err
				}
			}
		}},
	})
	p := newRawPeer(t, dial(t, serve(t, srv)))
	letRead := sync.OnceFunc(func() { close(start) })
	t.Cleanup(letRead)

	var script []byte
	for i := range uint32(streams) {
		id := 2*i + 1
		script = append(script, frameBytes(id, typeRequest, flagRemoteOpen|flagNoData,
			marshal(t, &ttrpc.Request{Service: faultService, Method: "Count"}))...)
		for range messages {
			script = append(script, frameBytes(id, typeData, 0, marshal(t, wrapperspb.String("x")))...)
		}
		script = append(script, frameBytes(id, typeData, flagRemoteClosed|flagNoData, nil)...)
	}
	p.writeBytes(script)
	requireRawEcho(t, p, 2*streams+1)
	letRead()
	for id, resp := range p.wantResponses(streams) {
		require.Equal(t, codes.OK, codes.Code(resp.GetStatus().GetCode()), "stream %d: %v", id, resp.GetStatus())
		require.Equal(t, marshal(t, wrapperspb.Int64(messages)), resp.GetPayload(), "stream %d", id)
	}
}

// D11: a reader that begins late gets every message of its stream. Fails on
// released upstream v1.2.10: after a second the stream is cut behind its 64th
// message.
func TestLateStreamReaderLosesNothing(t *testing.T) {
	const messages = 200
	mine, other := connPair(t)
	c := newClient(t, mine)
	p := newRawPeer(t, other)

	cs, err := c.NewStream(t.Context(), &ttrpc.StreamDesc{StreamingServer: true}, faultService, "Count", wrapperspb.String(""))
	require.NoError(t, err)
	p.wantRequest(1)
	call := goCall(t.Context(), c, "Any", "")
	p.wantRequest(3)
	p.writeBytes(countFrames(t, 1, messages))
	p.respond(3, &ttrpc.Response{})
	require.Equal(t, callOutcome{}, await(t, call, "the call")) // so all messages have arrived
	requireCount(t, cs, messages)
}

// D11: a handler whose stream the client gave up learns of it. Fails on
// released upstream v1.2.10: the client drops the stream and tells nobody, the
// handler sends on into the void.
func TestHandlerLearnsThatClientDroppedStream(t *testing.T) {
	const size = 1 << 20
	var sent int
	told := make(chan error, 1)
	srv := faultServer(t, nil, map[string]ttrpc.Stream{
		"Flood": {StreamingServer: true, Handler: func(ctx context.Context, ss ttrpc.StreamServer) (any, error) {
			for sent < 100 && ss.SendMsg(wrapperspb.Bytes(make([]byte, size))) == nil {
				sent++
			}
			<-ctx.Done()
			told <- ctx.Err()
			return nil, ctx.Err()
		}},
	})
	c := newClient(t, dial(t, serve(t, srv)))

	cs, err := c.NewStream(t.Context(), &ttrpc.StreamDesc{StreamingServer: true}, faultService, "Flood", wrapperspb.String(""))
	require.NoError(t, err)
	require.ErrorIs(t, await(t, told, "the end of the handler's context"), context.Canceled)
	requireEcho(t, c)

	received, err := 0, error(nil)
	for err == nil {
		if err = cs.RecvMsg(&wrapperspb.BytesValue{}); err == nil {
			received++
		}
	}
	require.Equal(t, ttrpc.ErrStreamFull, err)
	require.Positive(t, received)
	require.LessOrEqual(t, received*size, 16<<20, "more was kept than the budget allows")
}

// D11: a stream that gets more than its handler's budget holds ends, on both
// ends, with an error that says so, and it alone; what fitted is delivered.
// Fails on released upstream v1.2.10: it counts messages, not bytes, and keeps
// up to 64 of them, of any size, for a handler that does not read.
func TestOverfullServerStreamEndsAlone(t *testing.T) {
	type outcome struct {
		received int
		err      error
	}
	ended := make(chan outcome, 1)
	srv := faultServer(t, nil, map[string]ttrpc.Stream{
		"Late": {StreamingClient: true, Handler: func(ctx context.Context, ss ttrpc.StreamServer) (any, error) {
			<-ctx.Done()
			for n := 0; ; n++ {
				if err := ss.RecvMsg(&wrapperspb.BytesValue{}); err != nil {
					ended <- outcome{n, err}
					return nil, err
				}
			}
		}},
	})
	p := newRawPeer(t, dial(t, serve(t, srv)))

	p.request(1, flagRemoteOpen|flagNoData, faultService, "Late", nil)
	for range 4 { // not quite the 16 MiB of the default budget
		p.write(1, typeData, 0, marshal(t, wrapperspb.Bytes(make([]byte, maxPayload-1024))))
	}
	p.write(1, typeData, 0, marshal(t, wrapperspb.Bytes(make([]byte, 1<<20))))
	p.wantStatus(1, codes.ResourceExhausted, "ttrpc: stream buffer full")
	require.Equal(t, outcome{4, ttrpc.ErrStreamFull}, await(t, ended, "the handler"))
	requireRawEcho(t, p, 3)
}

// bigUnary answers with more than a socket buffers.
func bigUnary(context.Context, func(any) error) (any, error) { return stallingMessage, nil }

// requireEnd reads what is still to come until the other side closes the
// connection, wherever in a frame that is.
func requireEnd(t *testing.T, p *rawPeer) {
	t.Helper()
	require.NoError(t, p.conn.SetReadDeadline(time.Now().Add(rawPatience)))
	_, err := io.Copy(io.Discard, p.conn)
	require.NotErrorIs(t, err, os.ErrDeadlineExceeded, "the connection stayed open")
}

// D12: a response that the peer has not read yet is in flight, and Shutdown
// waits for it. Fails on released upstream v1.2.10: Shutdown returns nil at
// once and leaves connection and goroutines behind.
func TestShutdownWaitsForResponseThatPeerHasNotRead(t *testing.T) {
	srv := faultServer(t, map[string]ttrpc.Method{"Big": bigUnary}, nil)
	p := newRawPeer(t, dial(t, serve(t, srv)))

	requireRawEcho(t, p, 1) // after a response, upstream knows that the connection is active (D2)
	p.request(3, 0, faultService, "Big", nil)
	header := readSome(t, p)
	require.ErrorIs(t, shutdownNow(t, srv), context.Canceled, "Shutdown overlooked the response")
	require.Greater(t, finishFrame(t, p, header), 3<<20)
	p.wantClosed()
	requireShutdown(t, srv)
}

// D12: a peer that never reads cannot keep Shutdown for ever: its connection is
// closed. Fails on released upstream v1.2.10: if the response is the first of
// its connection, Shutdown returns nil at once, but connection and goroutines
// stay; if it is a later one, Shutdown waits as long as its context lets it.
func TestShutdownEndsThoughPeerNeverReads(t *testing.T) {
	for _, tt := range []struct {
		name  string
		calls uint32 // calls answered before
	}{
		{"first response", 0},
		{"later response", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := faultServer(t, map[string]ttrpc.Method{"Big": bigUnary}, nil)
				l := newPipeListener(t)
				accepted := make(chan *failingConn, 1)
				serveOn(t, srv, &wrappingListener{l, func(conn net.Conn) net.Conn {
					fc := newFailingConn(conn, io.EOF)
					accepted <- fc
					return fc
				}})
				p := newRawPeer(t, l.dial(t))

				for i := range tt.calls {
					requireRawEcho(t, p, 2*i+1)
				}
				p.request(2*tt.calls+1, 0, faultService, "Big", nil)
				readSome(t, p)
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				require.NoError(t, srv.Shutdown(ctx))
				await(t, (<-accepted).closed, "the end of the connection")
			})
		})
	}
}

// pipeListener is a listener whose connections are pipes, for tests in a
// synctest bubble.
type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
	close  func()
}

func newPipeListener(t *testing.T) *pipeListener {
	closed := make(chan struct{})
	l := &pipeListener{
		conns:  make(chan net.Conn),
		closed: closed,
		close:  sync.OnceFunc(func() { close(closed) }),
	}
	t.Cleanup(l.close)
	return l
}

// dial returns the client's end of a new connection.
func (l *pipeListener) dial(t *testing.T) net.Conn {
	t.Helper()
	client, server := net.Pipe()
	select {
	case l.conns <- server:
	case <-l.closed:
		require.FailNow(t, "dial on a closed listener")
	}
	return client
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conns:
		return conn, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.close()
	return nil
}

func (l *pipeListener) Addr() net.Addr { return pipeAddr{} }

// pipeAddr is the address of a pipeListener.
type pipeAddr struct{}

func (pipeAddr) Network() string { return "pipe" }
func (pipeAddr) String() string  { return "pipe" }

// D12: Close ends a handler that is stuck in SendMsg, and its connection, though
// the peer does not read. Fails on released upstream v1.2.10: Close returns nil,
// connection and handler stay for ever.
func TestCloseEndsHandlerStuckInSendMsg(t *testing.T) {
	ended := make(chan error, 1)
	srv := faultServer(t, nil, map[string]ttrpc.Stream{
		"Endless": {StreamingServer: true, Handler: func(_ context.Context, ss ttrpc.StreamServer) (any, error) {
			for {
				if err := ss.SendMsg(stallingMessage); err != nil {
					ended <- err
					return nil, err
				}
			}
		}},
	})
	p := newRawPeer(t, dial(t, serve(t, srv)))

	p.request(1, flagRemoteClosed, faultService, "Endless", nil)
	readSome(t, p)
	require.NoError(t, await(t, goDo(srv.Close), "Close"))
	require.Equal(t, ttrpc.ErrClosed, await(t, ended, "the handler's SendMsg"))
	requireEnd(t, p)
}

// D13: a stream that has ended is forgotten, however quickly its handler
// returned: Data on its id is refused. Fails on released upstream v1.2.10: some
// of the streams stay in its table for ever, and Data for them is handled, or
// swallowed.
func TestServerForgetsStreamsThatEndAtOnce(t *testing.T) {
	const conns, streams = 32, 400
	// The server has to be preempted between two instructions. That is often
	// enough only if there are many more threads than processors.
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(128))
	l := serve(t, faultServer(t, nil, map[string]ttrpc.Stream{
		"Nothing": {StreamingClient: true, Handler: func(context.Context, ttrpc.StreamServer) (any, error) { return nil, nil }},
	}))

	request := marshal(t, &ttrpc.Request{Service: faultService, Method: "Nothing"})
	var requests, data []byte
	for i := range uint32(streams) {
		requests = append(requests, frameBytes(2*i+1, typeRequest, flagRemoteOpen|flagNoData, request)...)
		data = append(data, frameBytes(2*i+1, typeData, 0, []byte("x"))...)
	}
	var done []<-chan error
	for range conns {
		conn := dial(t, l)
		done = append(done, goDo(func() error {
			p := &rawPeer{t: t, conn: bufferedConn{conn, bufio.NewReader(conn)}}
			if err := exchangeResponses(p, requests, streams, codes.OK, ""); err != nil {
				return fmt.Errorf("requests: %w", err)
			}
			if err := exchangeResponses(p, data, streams, codes.InvalidArgument, "StreamID is no longer active"); err != nil {
				return fmt.Errorf("data for streams that have ended: %w", err)
			}
			return nil
		}))
	}
	for _, ch := range done {
		require.NoError(t, <-ch) // which ends, as each of its reads does
	}
}

// exchangeResponses writes frames and reads n responses, all with this status.
func exchangeResponses(p *rawPeer, frames []byte, n int, code codes.Code, message string) error {
	written := goDo(func() error { _, err := p.conn.Write(frames); return err })
	for i := range n {
		f, err := p.tryRead()
		if err != nil {
			return fmt.Errorf("response %d of %d: %w", i, n, err)
		}
		var resp ttrpc.Response
		if err := proto.Unmarshal(f.payload, &resp); err != nil {
			return err
		}
		if st := resp.GetStatus(); f.typ != typeResponse || codes.Code(st.GetCode()) != code || st.GetMessage() != message {
			return fmt.Errorf("stream %d: frame type %d, status %v", f.id, f.typ, st)
		}
	}
	return <-written
}

// bufferedConn is a connection that is read through a buffer, where a test
// reads many frames.
type bufferedConn struct {
	net.Conn
	r *bufio.Reader
}

func (c bufferedConn) Read(b []byte) (int, error) { return c.r.Read(b) }

// requireNothingKept runs f n times, after some times to warm up, and fails if
// the heap then holds an object more, or several, for each time.
func requireNothingKept(t *testing.T, n int, f func()) {
	t.Helper()
	objects := func() int {
		runtime.GC()
		runtime.GC() // the second empties what sync.Pools kept through the first
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int(m.HeapObjects)
	}
	for range n / 10 {
		f()
	}
	before := objects()
	for range n {
		f()
	}
	require.Less(t, objects()-before, n, "heap objects kept by %d calls", n)
}

// answerRequests answers every Request that arrives on conn with the frames
// that answer makes of its id, until the connection ends. Other frames are
// dropped.
func answerRequests(conn net.Conn, answer func(id uint32) []byte) {
	p := &rawPeer{conn: bufferedConn{conn, bufio.NewReader(conn)}}
	for {
		f, err := p.tryRead()
		if err != nil {
			return
		}
		if f.typ != typeRequest {
			continue
		}
		if _, err := conn.Write(answer(f.id)); err != nil {
			return
		}
	}
}

// D14: a client keeps nothing of a request that was too big to send. Fails on
// released upstream v1.2.10: the call, or stream, stays in its table.
func TestClientForgetsOversizedRequests(t *testing.T) {
	oversized := wrapperspb.Bytes(make([]byte, maxPayload))
	t.Run("call", func(t *testing.T) {
		mine, _ := connPair(t)
		c := newClient(t, mine)
		requireNothingKept(t, 60, func() {
			err := c.Call(t.Context(), faultService, "Any", oversized, &wrapperspb.StringValue{})
			require.Equal(t, codes.ResourceExhausted, status.Code(err), "error: %v", err)
		})
	})
	t.Run("stream", func(t *testing.T) {
		mine, _ := connPair(t)
		c := newClient(t, mine)
		requireNothingKept(t, 60, func() {
			_, err := c.NewStream(t.Context(), &ttrpc.StreamDesc{StreamingServer: true}, faultService, "Any", oversized)
			require.Equal(t, codes.ResourceExhausted, status.Code(err), "error: %v", err)
		})
	})
}

// D14: a client keeps nothing of a stream that the server ended with an error.
// Fails on released upstream v1.2.10: the stream stays in its table.
func TestClientForgetsStreamsThatEndedWithError(t *testing.T) {
	notFound := marshal(t, &ttrpc.Response{Status: &spb.Status{Code: int32(codes.NotFound)}})
	mine, other := connPair(t)
	go answerRequests(other, func(id uint32) []byte { return frameBytes(id, typeResponse, 0, notFound) })
	c := newClient(t, mine)
	requireNothingKept(t, 1000, func() {
		cs, err := c.NewStream(t.Context(), &ttrpc.StreamDesc{StreamingServer: true}, faultService, "Any", wrapperspb.String(""))
		require.NoError(t, err)
		err = cs.RecvMsg(&wrapperspb.StringValue{})
		require.Equal(t, codes.NotFound, status.Code(err), "error: %v", err)
	})
}

// D14: a client keeps nothing of a stream whose context has ended, though the
// server never ends it. Fails on released upstream v1.2.10: the stream stays in
// its table.
func TestClientForgetsCancelledStreams(t *testing.T) {
	mine, other := connPair(t)
	arrived := make(chan struct{}, 1)
	go answerRequests(other, func(uint32) []byte { arrived <- struct{}{}; return nil })
	c := newClient(t, mine)
	requireNothingKept(t, 1000, func() {
		ctx, cancel := context.WithCancel(t.Context())
		cs, err := c.NewStream(ctx, &ttrpc.StreamDesc{StreamingServer: true}, faultService, "Any", wrapperspb.String(""))
		require.NoError(t, err)
		await(t, arrived, "the request")
		cancel()
		require.Equal(t, context.Canceled, cs.RecvMsg(&wrapperspb.StringValue{}))
	})
}

// D15: the error that ended a stream is what every later RecvMsg returns. Fails
// on released upstream v1.2.10: the second RecvMsg waits for ever.
func TestRecvMsgAfterErrorStatusReturnsItAgain(t *testing.T) {
	srv := faultServer(t, nil, map[string]ttrpc.Stream{
		"Fail": {StreamingServer: true, Handler: func(context.Context, ttrpc.StreamServer) (any, error) {
			return nil, status.Error(codes.NotFound, "no such thing")
		}},
	})
	c := newClient(t, dial(t, serve(t, srv)))

	cs, err := c.NewStream(t.Context(), &ttrpc.StreamDesc{StreamingServer: true}, faultService, "Fail", wrapperspb.String(""))
	require.NoError(t, err)
	for range 3 {
		err := await(t, goDo(func() error { return cs.RecvMsg(&wrapperspb.StringValue{}) }), "RecvMsg")
		require.Equal(t, codes.NotFound, status.Code(err), "error: %v", err)
		require.Equal(t, "no such thing", status.Convert(err).Message())
	}
}

// D15: SendMsg on a stream that the server ended says so. Fails on released
// upstream v1.2.10: it returns nil, and the message goes nowhere.
func TestSendMsgOnStreamThatServerEndedFails(t *testing.T) {
	fail := make(chan error, 1)
	srv := faultServer(t, nil, map[string]ttrpc.Stream{
		"End": {StreamingClient: true, StreamingServer: true, Handler: func(context.Context, ttrpc.StreamServer) (any, error) {
			return nil, <-fail
		}},
	})
	l := serve(t, srv)
	for _, tt := range []struct {
		name string
		end  error // what the handler returns
		recv func(t *testing.T, err error)
		send func(t *testing.T, err error)
	}{
		{
			"with an error", status.Error(codes.NotFound, "no such thing"),
			func(t *testing.T, err error) { require.Equal(t, codes.NotFound, status.Code(err), "error: %v", err) },
			func(t *testing.T, err error) { require.Equal(t, codes.NotFound, status.Code(err), "error: %v", err) },
		},
		{
			"without", nil,
			func(t *testing.T, err error) { require.Equal(t, io.EOF, err) },
			func(t *testing.T, err error) { require.Equal(t, ttrpc.ErrStreamClosed, err) },
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newClient(t, dial(t, l))
			cs, err := c.NewStream(t.Context(), &ttrpc.StreamDesc{StreamingClient: true, StreamingServer: true}, faultService, "End", nil)
			require.NoError(t, err)
			fail <- tt.end
			tt.recv(t, await(t, goDo(func() error { return cs.RecvMsg(&wrapperspb.StringValue{}) }), "RecvMsg"))
			tt.send(t, await(t, goDo(func() error { return cs.SendMsg(wrapperspb.String("x")) }), "SendMsg"))
			requireEcho(t, c)
		})
	}
}

// D15: SendMsg on a stream whose context has ended returns its error. Fails on
// released upstream v1.2.10: it returns nil.
func TestSendMsgOnStreamWhoseContextEndedFails(t *testing.T) {
	c := newClient(t, dial(t, serve(t, faultServer(t, nil, nil))))
	ctx, cancel := context.WithCancel(t.Context())
	cs, err := c.NewStream(ctx, &ttrpc.StreamDesc{StreamingClient: true, StreamingServer: true}, faultService, "EchoStream", nil)
	require.NoError(t, err)
	require.NoError(t, cs.SendMsg(wrapperspb.String("x")))
	require.NoError(t, await(t, goDo(func() error { return cs.RecvMsg(&wrapperspb.StringValue{}) }), "RecvMsg"))
	cancel()
	require.Equal(t, context.Canceled, await(t, goDo(func() error { return cs.SendMsg(wrapperspb.String("x")) }), "SendMsg"))
}
