// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package ttrpc_test

// The contract about servers: options, registration, Serve, Shutdown, Close, and
// what handlers and interceptors get.

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/containerd/ttrpc"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// callContract calls a method of contractService with an empty request.
func callContract(ctx context.Context, c *ttrpc.Client, method string) error {
	return c.Call(ctx, contractService, method, &wrapperspb.StringValue{}, &wrapperspb.StringValue{})
}

// NewServer refuses options that contradict each other.
func TestServerOptionErrors(t *testing.T) {
	const (
		oneHandshaker  = "only one handshaker allowed per server"
		oneInterceptor = "only one unchained interceptor allowed per server"
	)
	h := semHandshake(nil)
	i := func(ctx context.Context, u ttrpc.Unmarshaler, _ *ttrpc.UnaryServerInfo, m ttrpc.Method) (any, error) {
		return m(ctx, u)
	}
	handshaker := ttrpc.WithServerHandshaker
	unary, chain := ttrpc.WithUnaryServerInterceptor, ttrpc.WithChainUnaryServerInterceptor
	own := errors.New("an error of an option")
	for _, tt := range []struct {
		name string
		opts []ttrpc.ServerOpt
		want string
	}{
		{"none", nil, ""},
		{"handshaker", []ttrpc.ServerOpt{handshaker(h)}, ""},
		{"handshaker twice", []ttrpc.ServerOpt{handshaker(h), handshaker(h)}, oneHandshaker},
		{"handshaker, nil", []ttrpc.ServerOpt{handshaker(h), handshaker(nil)}, oneHandshaker},
		{"nil, handshaker", []ttrpc.ServerOpt{handshaker(nil), handshaker(h)}, ""},
		{"unary", []ttrpc.ServerOpt{unary(i)}, ""},
		{"unary twice", []ttrpc.ServerOpt{unary(i), unary(i)}, oneInterceptor},
		{"chain, unary", []ttrpc.ServerOpt{chain(i), unary(i)}, oneInterceptor},
		{"empty chain, unary", []ttrpc.ServerOpt{chain(), unary(i)}, ""},
		{"unary, chain", []ttrpc.ServerOpt{unary(i), chain(i, i), chain(i)}, ""},
		{"unary, chain, unary", []ttrpc.ServerOpt{unary(i), chain(i), unary(i)}, oneInterceptor},
		{"nil, unary", []ttrpc.ServerOpt{unary(nil), unary(i)}, ""},
		{"nil twice", []ttrpc.ServerOpt{unary(nil), unary(nil)}, ""},
		// No program sees an option's configuration, but it can fail.
		{"an option's error", []ttrpc.ServerOpt{failingOption(own)}, own.Error()},
	} {
		t.Run(tt.name, func(t *testing.T) {
			srv, err := ttrpc.NewServer(tt.opts...)
			if tt.want == "" {
				require.NoError(t, err)
				require.NotNil(t, srv)
				return
			}
			require.EqualError(t, err, tt.want)
			require.Nil(t, srv)
		})
	}
}

// failingOption returns an option that fails, from one that would not.
func failingOption(err error) ttrpc.ServerOpt {
	return optionOf(ttrpc.WithServerHandshaker(nil), err)
}

// optionOf returns an option of the type of like, whose parameter this package
// cannot name, that returns err.
func optionOf[C any](_ func(C) error, err error) func(C) error {
	return func(C) error { return err }
}

// A service can be registered once; the panic's value is an error.
func TestRegisterDuplicatePanics(t *testing.T) {
	const text = "duplicate service ttrpc.test.Contract registered"
	register := map[string]func(*ttrpc.Server){
		"Register":        func(s *ttrpc.Server) { s.Register(contractService, map[string]ttrpc.Method{}) },
		"RegisterService": func(s *ttrpc.Server) { s.RegisterService(contractService, &ttrpc.ServiceDesc{}) },
	}
	for first := range register {
		for second := range register {
			t.Run(first+", "+second, func(t *testing.T) {
				srv := newServer(t)
				register[first](srv)
				require.PanicsWithError(t, text, func() { register[second](srv) })
				srv.Register("another", nil)
				require.PanicsWithError(t, text, func() { register[second](srv) })
			})
		}
	}
}

// A service may be empty, in any way.
func TestRegisterEmptyService(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newServer(t)
		srv.Register("nil map", nil)
		srv.RegisterService("nil description", nil)
		srv.RegisterService("empty description", &ttrpc.ServiceDesc{})
		srv.RegisterService("", &ttrpc.ServiceDesc{Methods: map[string]ttrpc.Method{"": semOK}})
		client := newClient(t, servePipe(t, srv).dialPipe(t))
		for _, service := range []string{"nil map", "nil description", "empty description"} {
			err := client.Call(t.Context(), service, "M", &wrapperspb.StringValue{}, &wrapperspb.StringValue{})
			wantStatus(t, status.New(codes.Unimplemented, "method M"), err)
		}
		require.NoError(t, client.Call(t.Context(), "", "", &wrapperspb.StringValue{}, &wrapperspb.StringValue{}))
	})
}

// A service may be registered while the server serves.
func TestRegisterWhileServing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newServer(t)
		client := newClient(t, servePipe(t, srv).dialPipe(t))
		wantStatus(t, status.New(codes.Unimplemented, "service "+contractService), callContract(t.Context(), client, "M"))
		srv.Register(contractService, map[string]ttrpc.Method{"M": semOK})
		require.NoError(t, callContract(t.Context(), client, "M"))
	})
}

// scriptedListener is a listener whose connections and errors come from the test.
type scriptedListener struct {
	accept   chan any // net.Conn or error
	closed   chan struct{}
	once     sync.Once
	closings atomic.Int32
	closeErr error
}

func newScriptedListener(events ...any) *scriptedListener {
	l := &scriptedListener{accept: make(chan any, 64), closed: make(chan struct{})}
	for _, event := range events {
		l.accept <- event
	}
	return l
}

func (l *scriptedListener) Accept() (net.Conn, error) {
	select {
	case <-l.closed:
		return nil, net.ErrClosed
	default:
	}
	select {
	case event := <-l.accept:
		if conn, ok := event.(net.Conn); ok {
			return conn, nil
		}
		return nil, event.(error)
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *scriptedListener) Close() error {
	l.closings.Add(1)
	l.once.Do(func() { close(l.closed) })
	return l.closeErr
}

func (l *scriptedListener) Addr() net.Addr { return memoryAddr{} }

// Serve blocks, serves several listeners at once, even the same twice, and
// returns ErrServerClosed itself when the server is stopped.
func TestServeSeveralListeners(t *testing.T) {
	for name, stop := range map[string]func(*ttrpc.Server) error{
		"Shutdown": func(s *ttrpc.Server) error { return s.Shutdown(context.Background()) },
		"Close":    (*ttrpc.Server).Close,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := contractServer(t, ttrpc.ServiceDesc{Methods: map[string]ttrpc.Method{"M": semOK}})
				first, second := newScriptedListener(), newScriptedListener()
				var returned []<-chan error
				for _, l := range []*scriptedListener{first, first, second} {
					returned = append(returned, goDo(func() error { return srv.Serve(t.Context(), l) }))
				}
				for _, l := range []*scriptedListener{first, second, first, first} {
					near, far := net.Pipe()
					l.accept <- far
					require.NoError(t, callContract(t.Context(), newClient(t, near), "M"))
				}
				for _, r := range returned {
					require.Empty(t, r, "Serve has returned")
				}
				require.NoError(t, stop(srv))
				for _, r := range returned {
					require.Equal(t, ttrpc.ErrServerClosed, await(t, r, "Serve to return"))
				}
				require.True(t, isClosed(first.closed))
				require.True(t, isClosed(second.closed))
			})
		})
	}
}

// Serve on a server that was stopped returns ErrServerClosed, and closes the
// listener.
func TestServeAfterStop(t *testing.T) {
	for name, stop := range map[string]func(*ttrpc.Server) error{
		"Shutdown": func(s *ttrpc.Server) error { return s.Shutdown(context.Background()) },
		"Close":    (*ttrpc.Server).Close,
	} {
		t.Run(name, func(t *testing.T) {
			srv := newServer(t)
			require.NoError(t, stop(srv))
			l := newScriptedListener()
			require.Equal(t, ttrpc.ErrServerClosed, srv.Serve(t.Context(), l))
			require.True(t, isClosed(l.closed))
		})
	}
}

// Serve returns the error of Accept as it is, and has closed the listener then.
func TestServeReturnsAcceptError(t *testing.T) {
	broken := errors.New("broken")
	l := newScriptedListener(broken)
	require.Equal(t, broken, newServer(t).Serve(t.Context(), l))
	require.True(t, isClosed(l.closed))

	for name, closeEarly := range map[string]bool{"closed before": true, "closed while serving": false} {
		t.Run(name, func(t *testing.T) {
			srv, l := newServer(t), listenUnix(t)
			if closeEarly {
				require.NoError(t, l.Close())
			}
			returned := goDo(func() error { return srv.Serve(t.Context(), l) })
			if !closeEarly {
				require.NoError(t, l.Close())
			}
			err := await(t, returned, "Serve to return")
			_, raw := err.(*net.OpError) //nolint:errorlint // that it is not wrapped is the contract
			require.True(t, raw, "%T: %v", err, err)
			require.ErrorIs(t, err, net.ErrClosed)
			require.NoError(t, srv.Shutdown(t.Context()))
		})
	}
}

// temporaryError is an error of Accept that may pass.
type temporaryError struct{}

func (temporaryError) Error() string   { return "too many open files" }
func (temporaryError) Temporary() bool { return true }
func (temporaryError) Timeout() bool   { return false }

// Serve waits out temporary errors of Accept: 1 ms, twice as long each time, at
// most 1 s, and from the beginning after a success.
func TestServeWaitsOutTemporaryErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logged := make(lineLogger, 64)
		srv := contractServer(t, ttrpc.ServiceDesc{Methods: map[string]ttrpc.Method{"M": semOK}}, ttrpc.WithServerLogger(logged))
		l := newScriptedListener()
		var accepts []time.Time
		counted := &acceptTimes{scriptedListener: l, times: &accepts}
		near, far := net.Pipe()
		for range 13 {
			l.accept <- fmt.Errorf("wrapped: %w", temporaryError{})
		}
		l.accept <- far
		l.accept <- temporaryError{}
		serveOn(t, srv, counted)

		client := newClient(t, near)
		require.NoError(t, callContract(t.Context(), client, "M"))
		synctest.Wait() // it waits for 1 ms now
		var delays []time.Duration
		for i := range accepts[1:] {
			delays = append(delays, accepts[i+1].Sub(accepts[i]))
		}
		ms := time.Millisecond
		require.Equal(t, []time.Duration{ms, 2 * ms, 4 * ms, 8 * ms, 16 * ms, 32 * ms, 64 * ms, 128 * ms, 256 * ms, 512 * ms,
			time.Second, time.Second, time.Second, 0}, delays)
		require.Equal(t, "ttrpc: failed accept; backoff 1ms error wrapped: too many open files", <-logged)
		select {
		case line := <-logged:
			t.Errorf("a line in ten seconds is enough, and this is another: %s", line)
		default:
		}

		require.NoError(t, srv.Shutdown(t.Context()))
	})
}

// acceptTimes notes when Accept is called.
type acceptTimes struct {
	*scriptedListener
	times *[]time.Time
}

func (l *acceptTimes) Accept() (net.Conn, error) {
	*l.times = append(*l.times, time.Now())
	return l.scriptedListener.Accept()
}

// A server that is stopped does not wait out anything.
func TestShutdownEndsBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newServer(t, ttrpc.WithServerLogger(make(lineLogger, 64)))
		l := newScriptedListener()
		for range 12 {
			l.accept <- temporaryError{}
		}
		returned := goDo(func() error { return srv.Serve(t.Context(), l) })
		timer := time.NewTimer(1100 * time.Millisecond) // it waits for 1 s now
		<-timer.C
		start := time.Now()
		require.NoError(t, srv.Shutdown(t.Context()))
		require.Equal(t, ttrpc.ErrServerClosed, await(t, returned, "Serve to return"))
		require.Zero(t, time.Since(start))
	})
}

// A cancelled context does not stop Serve; it is the parent of the contexts of
// handlers for their values, and ends those of the handlers that are running.
func TestServeContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type key struct{}
		contexts := make(chan context.Context, 1)
		g := newGate(t)
		srv := contractServer(t, ttrpc.ServiceDesc{Methods: map[string]ttrpc.Method{
			"Hold": func(ctx context.Context, _ func(any) error) (any, error) {
				contexts <- ctx
				return &wrapperspb.StringValue{}, g.waitCtx(ctx)
			},
			"M": semOK,
		}})
		ctx, cancel := context.WithCancel(context.WithValue(t.Context(), key{}, "value"))
		l := newScriptedListener()
		returned := goDo(func() error { return srv.Serve(ctx, l) })
		near, far := net.Pipe()
		l.accept <- far
		client := newClient(t, near)
		held := goDo(func() error { return callContract(t.Context(), client, "Hold") })
		handlerCtx := await(t, contexts, "the handler")
		require.Equal(t, "value", handlerCtx.Value(key{}))
		cancel()
		require.Equal(t, codes.Canceled, status.Code(await(t, held, "the call")))
		require.Equal(t, context.Canceled, handlerCtx.Err())

		require.NoError(t, callContract(t.Context(), client, "M"))
		near, far = net.Pipe()
		l.accept <- far
		require.NoError(t, callContract(t.Context(), newClient(t, near), "M"))
		require.Empty(t, returned, "Serve has returned")
		require.NoError(t, srv.Close())
		require.Equal(t, ttrpc.ErrServerClosed, await(t, returned, "Serve to return"))
	})
}

// Shutdown closes the listeners at once and idle connections too, and waits for
// what is in flight, new calls on busy connections included.
func TestShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(t)
		srv := contractServer(t, ttrpc.ServiceDesc{Methods: map[string]ttrpc.Method{
			"Hold": func(ctx context.Context, _ func(any) error) (any, error) {
				return &wrapperspb.StringValue{}, g.waitCtx(ctx)
			},
			"M": semOK,
		}})
		l := newScriptedListener()
		returned := goDo(func() error { return srv.Serve(t.Context(), l) })
		idleConn, far := net.Pipe()
		l.accept <- far
		idle := newClient(t, idleConn)
		require.NoError(t, callContract(t.Context(), idle, "M"))
		busyConn, far := net.Pipe()
		l.accept <- far
		busy := newClient(t, busyConn)
		held := goDo(func() error { return callContract(t.Context(), busy, "Hold") })
		await(t, g.entered, "the handler")

		down := goDo(func() error { return srv.Shutdown(t.Context()) })
		synctest.Wait()
		require.True(t, isClosed(l.closed), "the listener is open")
		require.Equal(t, ttrpc.ErrServerClosed, await(t, returned, "Serve to return"))
		require.Equal(t, ttrpc.ErrClosed, callContract(t.Context(), idle, "M"))
		require.NoError(t, callContract(t.Context(), busy, "M"))
		require.Empty(t, down, "Shutdown has returned")
		require.Empty(t, held, "the call has returned")

		// Another Shutdown waits likewise, as long as its context lets it.
		timed, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.Equal(t, context.DeadlineExceeded, srv.Shutdown(timed))
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		require.Equal(t, context.Canceled, srv.Shutdown(ended))

		g.release()
		require.NoError(t, await(t, held, "the call"))
		require.NoError(t, await(t, down, "Shutdown"))
		require.NoError(t, busy.UserOnCloseWait(t.Context()), "the connection is open")
		require.NoError(t, srv.Shutdown(ended), "nothing to wait for")
		require.NoError(t, srv.Shutdown(t.Context()))
		require.NoError(t, srv.Close())
	})
}

// Shutdown and Close return the first error of a listener, but not that one has
// been closed already.
func TestStopReturnsListenerError(t *testing.T) {
	broken := errors.New("broken")
	for name, stop := range map[string]func(*ttrpc.Server) error{
		"Shutdown": func(s *ttrpc.Server) error { return s.Shutdown(context.Background()) },
		"Close":    (*ttrpc.Server).Close,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := newServer(t)
				l, closed := newScriptedListener(), newScriptedListener()
				l.closeErr, closed.closeErr = broken, net.ErrClosed
				serveOn(t, srv, l)
				serveOn(t, srv, closed)
				synctest.Wait()
				require.Equal(t, broken, stop(srv))
				synctest.Wait() // until Serve has returned
				require.NoError(t, stop(srv))
			})
		})
	}
}

// A handler may shut its own server down: its own call is not waited for, and is
// answered.
func TestShutdownFromHandler(t *testing.T) {
	for name, withContext := range map[string]bool{"with the handler's context": true, "with another context": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var srv *ttrpc.Server
				srv = contractServer(t, ttrpc.ServiceDesc{Methods: map[string]ttrpc.Method{
					"Stop": func(ctx context.Context, _ func(any) error) (any, error) {
						if !withContext {
							ctx = context.Background()
						}
						return &wrapperspb.StringValue{}, srv.Shutdown(ctx)
					},
				}})
				l := newScriptedListener()
				returned := goDo(func() error { return srv.Serve(t.Context(), l) })
				near, far := net.Pipe()
				l.accept <- far
				client := newClient(t, near)
				require.NoError(t, callContract(t.Context(), client, "Stop"))
				require.Equal(t, ttrpc.ErrServerClosed, await(t, returned, "Serve to return"))
				require.NoError(t, client.UserOnCloseWait(t.Context()))
			})
		})
	}
}

// Close ends everything at once: it does not wait for handlers, and can be called
// by one.
func TestServerClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(t)
		ctxErr, closed := make(chan error, 1), make(chan error, 1)
		var srv *ttrpc.Server
		srv = contractServer(t, ttrpc.ServiceDesc{Methods: map[string]ttrpc.Method{
			"Hold": func(ctx context.Context, _ func(any) error) (any, error) {
				g.wait() // whatever happens to ctx
				ctxErr <- ctx.Err()
				return &wrapperspb.StringValue{}, nil
			},
			"Close": func(context.Context, func(any) error) (any, error) {
				closed <- srv.Close()
				return &wrapperspb.StringValue{}, nil
			},
		}})
		l := servePipe(t, srv)
		held := newClient(t, l.dialPipe(t))
		call := goDo(func() error { return callContract(t.Context(), held, "Hold") })
		await(t, g.entered, "the handler")

		require.Equal(t, ttrpc.ErrClosed, callContract(t.Context(), newClient(t, l.dialPipe(t)), "Close"))
		require.NoError(t, await(t, closed, "Close in the handler"))
		require.Equal(t, ttrpc.ErrClosed, await(t, call, "the held call"))
		require.NoError(t, srv.Close())
		require.Empty(t, ctxErr, "the handler has returned")
		g.release()
		require.Equal(t, context.Canceled, await(t, ctxErr, "the handler"))
	})
}

// A client's OnClose may close the server.
func TestServerCloseFromOnClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newServer(t)
		closed := make(chan error, 1)
		client := newClient(t, servePipe(t, srv).dialPipe(t), ttrpc.WithOnClose(func() { closed <- srv.Close() }))
		require.NoError(t, client.Close())
		require.NoError(t, await(t, closed, "Close in OnClose"))
	})
}

// The context of a handler ends when the handler returns, and what it was given
// is of no use any more.
func TestHandlerContextEndsWithHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		contexts := make(chan context.Context, 2)
		streams := make(chan ttrpc.StreamServer, 1)
		srv := contractServer(t, ttrpc.ServiceDesc{
			Methods: map[string]ttrpc.Method{"M": func(ctx context.Context, _ func(any) error) (any, error) {
				contexts <- ctx
				return &wrapperspb.StringValue{}, ctx.Err()
			}},
			Streams: map[string]ttrpc.Stream{"S": {StreamingClient: true, StreamingServer: true, Handler: func(ctx context.Context, ss ttrpc.StreamServer) (any, error) {
				contexts <- ctx
				streams <- ss
				return nil, ctx.Err()
			}}},
		})
		client := newClient(t, servePipe(t, srv).dialPipe(t))
		require.NoError(t, callContract(t.Context(), client, "M"))
		stream, err := client.NewStream(t.Context(), &ttrpc.StreamDesc{StreamingClient: true, StreamingServer: true}, contractService, "S", nil)
		require.NoError(t, err)
		require.Equal(t, io.EOF, stream.RecvMsg(&wrapperspb.StringValue{}))
		for range 2 {
			ctx := <-contexts
			await(t, ctx.Done(), "the context to end")
			require.Equal(t, context.Canceled, ctx.Err())
			require.Equal(t, context.Canceled, context.Cause(ctx))
			_, timed := ctx.Deadline()
			require.False(t, timed, "a deadline that the client did not set")
			md, ok := ttrpc.GetMetadata(ctx)
			require.False(t, ok, "metadata that the client did not send")
			require.Nil(t, md)
		}
		ss := <-streams
		for range 2 {
			require.Equal(t, ttrpc.ErrClosed, ss.SendMsg(wrapperspb.String("late")))
			require.Equal(t, context.Canceled, ss.RecvMsg(&wrapperspb.StringValue{}))
		}
		require.NoError(t, callContract(t.Context(), client, "M"))
	})
}

// A context derived from a handler's ends with it, and has its deadline.
func TestContextDerivedFromHandlers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(t)
		type derived struct{ cancel, timeout, value context.Context }
		contexts := make(chan derived, 1)
		srv := contractServer(t, ttrpc.ServiceDesc{Methods: map[string]ttrpc.Method{
			"M": func(ctx context.Context, _ func(any) error) (any, error) {
				type key struct{}
				var d derived
				var cancel context.CancelFunc
				d.cancel, cancel = context.WithCancel(ctx)
				defer cancel()
				d.timeout, cancel = context.WithTimeout(ctx, time.Hour)
				defer cancel()
				d.value = context.WithValue(d.timeout, key{}, 1)
				contexts <- d
				g.wait()
				return &wrapperspb.StringValue{}, nil
			},
		}})
		client := newClient(t, servePipe(t, srv).dialPipe(t))
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		call := goDo(func() error { return callContract(ctx, client, "M") })
		d := await(t, contexts, "the handler")
		deadline, _ := ctx.Deadline()
		for _, derived := range []context.Context{d.cancel, d.timeout, d.value} {
			got, _ := derived.Deadline()
			require.Equal(t, deadline, got)
			require.NoError(t, derived.Err())
		}
		cancel()
		require.Equal(t, context.Canceled, await(t, call, "the call"))
		for _, derived := range []context.Context{d.cancel, d.timeout, d.value} {
			await(t, derived.Done(), "the derived context to end")
			require.Equal(t, context.Canceled, derived.Err())
		}
	})
}

// The request may be decoded several times, into any kind of message.
func TestUnmarshalSeveralTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		got := make(chan []any, 1)
		srv := contractServer(t, ttrpc.ServiceDesc{Methods: map[string]ttrpc.Method{
			"M": func(_ context.Context, unmarshal func(any) error) (any, error) {
				first, second, third := wrapperspb.String("old"), wrapperspb.Bytes([]byte("old")), wrapperspb.String("old")
				got <- []any{
					unmarshal(first), first.GetValue(), unmarshal(&notMessage{}), unmarshal(nil),
					unmarshal(second), string(second.GetValue()), unmarshal(third), third.GetValue(),
				}
				return first, nil
			},
		}})
		client := newClient(t, servePipe(t, srv).dialPipe(t))
		var resp wrapperspb.StringValue
		require.NoError(t, client.Call(t.Context(), contractService, "M", wrapperspb.String("x"), &resp))
		require.Equal(t, "x", resp.GetValue())
		results := await(t, got, "the handler")
		for _, i := range []int{2, 3} {
			err, _ := results[i].(error)
			require.Equal(t, codes.Internal, status.Code(err))
			results[i] = status.Convert(err).Message()
		}
		require.Equal(t, []any{
			nil, "x", "ttrpc: error unsupported request type: *ttrpc_test.notMessage", "ttrpc: error unsupported request type: <nil>",
			nil, "x", nil, "x",
		}, results)
	})
}

// Interceptors of unary calls run in the order of their options, each once.
// v1.2.10 runs some of them twice.
func TestServerInterceptorOrder(t *testing.T) {
	var order string
	named := func(name string) ttrpc.UnaryServerInterceptor {
		return func(ctx context.Context, u ttrpc.Unmarshaler, info *ttrpc.UnaryServerInfo, m ttrpc.Method) (any, error) {
			order += name
			defer func() { order += "/" + name }()
			return m(ctx, u)
		}
	}
	unary, chain := ttrpc.WithUnaryServerInterceptor, ttrpc.WithChainUnaryServerInterceptor
	a, b, c := named("a"), named("b"), named("c")
	for _, tt := range []struct {
		name string
		opts []ttrpc.ServerOpt
		want string
	}{
		{"none", nil, ""},
		{"unary(a)", []ttrpc.ServerOpt{unary(a)}, "a/a"},
		{"chain(a,b,c)", []ttrpc.ServerOpt{chain(a, b, c)}, "abc/c/b/a"},
		{"chain(a,b)+chain(c)", []ttrpc.ServerOpt{chain(a, b), chain(c)}, "abc/c/b/a"},
		{"unary(a)+chain(b)", []ttrpc.ServerOpt{unary(a), chain(b)}, "ab/b/a"},
		{"unary(a)+chain(b,c)", []ttrpc.ServerOpt{unary(a), chain(b, c)}, "abc/c/b/a"},
		{"unary(a)+chain()", []ttrpc.ServerOpt{unary(a), chain()}, "a/a"},
		{"chain()+unary(a)", []ttrpc.ServerOpt{chain(), unary(a)}, "a/a"},
		{"chain()", []ttrpc.ServerOpt{chain()}, ""},
		{"unary(nil)", []ttrpc.ServerOpt{unary(nil)}, ""},
		{"unary(nil)+unary(a)", []ttrpc.ServerOpt{unary(nil), unary(a)}, "a/a"},
		{"chain(a,nil,b)", []ttrpc.ServerOpt{chain(a, nil, b)}, "ab/b/a"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				order = ""
				srv := contractServer(t, ttrpc.ServiceDesc{
					Methods: map[string]ttrpc.Method{"M": semOK},
					Streams: map[string]ttrpc.Stream{"S": {Handler: func(context.Context, ttrpc.StreamServer) (any, error) { return nil, nil }}},
				}, tt.opts...)
				client := newClient(t, servePipe(t, srv).dialPipe(t))
				require.NoError(t, callContract(t.Context(), client, "M"))
				require.Equal(t, tt.want, order)

				order = ""
				require.Equal(t, codes.Unimplemented, status.Code(callContract(t.Context(), client, "Nope")))
				stream, err := client.NewStream(t.Context(), &ttrpc.StreamDesc{}, contractService, "S", &wrapperspb.StringValue{})
				require.NoError(t, err)
				require.NoError(t, stream.RecvMsg(&wrapperspb.StringValue{}))
				require.Empty(t, order, "for an unknown method, or for a stream")
			})
		})
	}
}

// An interceptor may change what goes in and what comes out, or answer itself.
func TestServerInterceptorChangesCall(t *testing.T) {
	type key struct{}
	srv := newServer(t, ttrpc.WithChainUnaryServerInterceptor(
		func(ctx context.Context, u ttrpc.Unmarshaler, info *ttrpc.UnaryServerInfo, m ttrpc.Method) (any, error) {
			if md, _ := ttrpc.GetMetadataValue(ctx, "answer"); md != "" {
				return nil, status.Error(codes.PermissionDenied, info.FullMethod)
			}
			result, err := m(context.WithValue(ctx, key{}, "from the context"), u)
			if err == nil {
				result.(*wrapperspb.StringValue).Value += ", out"
			}
			return result, err
		},
		func(ctx context.Context, u ttrpc.Unmarshaler, _ *ttrpc.UnaryServerInfo, m ttrpc.Method) (any, error) {
			return m(ctx, func(into any) error {
				err := u(into)
				into.(*wrapperspb.StringValue).Value += ", in"
				return err
			})
		}))
	srv.Register("a.b/../s", map[string]ttrpc.Method{"M": func(ctx context.Context, unmarshal func(any) error) (any, error) {
		var m wrapperspb.StringValue
		err := unmarshal(&m)
		m.Value += fmt.Sprint(", ", ctx.Value(key{}))
		return &m, err
	}})
	synctest.Test(t, func(t *testing.T) {
		client := newClient(t, servePipe(t, srv).dialPipe(t))
		var resp wrapperspb.StringValue
		require.NoError(t, client.Call(t.Context(), "a.b/../s", "M", wrapperspb.String("x"), &resp))
		require.Equal(t, "x, in, from the context, out", resp.GetValue())
		ctx := ttrpc.WithMetadata(t.Context(), ttrpc.MD{"answer": {"yes"}})
		wantStatus(t, status.New(codes.PermissionDenied, "/s/M"), client.Call(ctx, "a.b/../s", "M", wrapperspb.String("x"), &resp))
	})
}

// recordedStream is a stream that notes what is received and sent.
type recordedStream struct {
	ttrpc.StreamServer
	seen *[]string
}

func (s recordedStream) RecvMsg(m any) error {
	err := s.StreamServer.RecvMsg(m)
	*s.seen = append(*s.seen, fmt.Sprintf("received %v", err))
	return err
}

func (s recordedStream) SendMsg(m any) error {
	*s.seen = append(*s.seen, "sent")
	return s.StreamServer.SendMsg(m)
}

// Interceptors of streams run for streams only, learn about them, and may wrap
// them.
func TestStreamServerInterceptors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var seen []string
		named := func(name string) ttrpc.StreamServerInterceptor {
			return func(ctx context.Context, ss ttrpc.StreamServer, info *ttrpc.StreamServerInfo, h ttrpc.StreamHandler) (any, error) {
				seen = append(seen, fmt.Sprintf("%s %+v", name, *info))
				return h(ctx, ss)
			}
		}
		record := func(ctx context.Context, ss ttrpc.StreamServer, _ *ttrpc.StreamServerInfo, h ttrpc.StreamHandler) (any, error) {
			result, err := h(ctx, recordedStream{ss, &seen})
			seen = append(seen, fmt.Sprintf("returned %v", err))
			return result, err
		}
		srv := contractServer(t, ttrpc.ServiceDesc{
			Methods: map[string]ttrpc.Method{"M": semOK},
			Streams: map[string]ttrpc.Stream{"S": {StreamingClient: true, StreamingServer: true, Handler: echoStream}},
		}, ttrpc.WithChainStreamServerInterceptor(named("a"), nil, named("b")), ttrpc.WithChainStreamServerInterceptor(record))
		client := newClient(t, servePipe(t, srv).dialPipe(t))
		require.NoError(t, callContract(t.Context(), client, "M"))
		require.Empty(t, seen, "for a unary call")

		stream, err := client.NewStream(t.Context(), &ttrpc.StreamDesc{StreamingClient: true, StreamingServer: true}, contractService, "S", nil)
		require.NoError(t, err)
		require.NoError(t, stream.SendMsg(wrapperspb.String("x")))
		require.NoError(t, stream.RecvMsg(&wrapperspb.StringValue{}))
		require.NoError(t, stream.CloseSend())
		require.Equal(t, io.EOF, stream.RecvMsg(&wrapperspb.StringValue{}))
		info := fmt.Sprintf("%+v", ttrpc.StreamServerInfo{FullMethod: "/" + contractService + "/S", StreamingClient: true, StreamingServer: true})
		require.Equal(t, []string{"a " + info, "b " + info, "received <nil>", "sent", "received EOF", "returned <nil>"}, seen)
	})
}

// Types that no option of v1.2.10 uses are there all the same.
var (
	_ ttrpc.StreamServerInterceptor = func(context.Context, ttrpc.StreamServer, *ttrpc.StreamServerInfo, ttrpc.StreamHandler) (any, error) {
		return nil, nil
	}
	_ ttrpc.StreamClientInterceptor = func(context.Context) {}
)

// Handlers and interceptors know their peer: its address, and what the handshake
// found out.
func TestGetPeer(t *testing.T) {
	peers := make(chan *ttrpc.Peer, 3)
	note := func(ctx context.Context) {
		p, _ := ttrpc.GetPeer(ctx)
		peers <- p
	}
	h := semHandshake(func(_ context.Context, conn net.Conn) (net.Conn, any, error) { return conn, "who it is", nil })
	srv := contractServer(t, ttrpc.ServiceDesc{
		Methods: map[string]ttrpc.Method{"M": func(ctx context.Context, _ func(any) error) (any, error) {
			note(ctx)
			return &wrapperspb.StringValue{}, nil
		}},
		Streams: map[string]ttrpc.Stream{"S": {Handler: func(ctx context.Context, _ ttrpc.StreamServer) (any, error) {
			note(ctx)
			return nil, nil
		}}},
	}, ttrpc.WithServerHandshaker(h), ttrpc.WithUnaryServerInterceptor(
		func(ctx context.Context, u ttrpc.Unmarshaler, _ *ttrpc.UnaryServerInfo, m ttrpc.Method) (any, error) {
			note(ctx)
			return m(ctx, u)
		}))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	serveOn(t, srv, l)
	conn := dial(t, l)
	client := newClient(t, conn)
	require.NoError(t, callContract(t.Context(), client, "M"))
	stream, err := client.NewStream(t.Context(), &ttrpc.StreamDesc{}, contractService, "S", &wrapperspb.StringValue{})
	require.NoError(t, err)
	require.NoError(t, stream.RecvMsg(&wrapperspb.StringValue{}))
	for range 3 {
		p := <-peers
		require.NotNil(t, p)
		require.Equal(t, conn.LocalAddr().String(), p.Addr.String())
		require.Equal(t, "who it is", p.AuthInfo)
	}
	p, ok := ttrpc.GetPeer(t.Context())
	require.False(t, ok)
	require.Nil(t, p)
}

// Handlers of one connection run at the same time, however many.
func TestHandlersRunConcurrently(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 100
		g := newGate(t)
		srv := contractServer(t, ttrpc.ServiceDesc{Methods: map[string]ttrpc.Method{
			"M": func(ctx context.Context, _ func(any) error) (any, error) {
				return &wrapperspb.StringValue{}, g.waitCtx(ctx)
			},
		}})
		client := newClient(t, servePipe(t, srv).dialPipe(t))
		var calls []<-chan error
		for range n {
			calls = append(calls, goDo(func() error { return callContract(t.Context(), client, "M") }))
		}
		for range n {
			await(t, g.entered, "all handlers")
		}
		g.release()
		for _, call := range slices.Backward(calls) {
			require.NoError(t, await(t, call, "a call"))
		}
	})
}

// What is no message is refused on a stream, too: the message is passed over, and
// the stream goes on.
func TestServerStreamRefusesWhatIsNoMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		results := make(chan error, 4)
		srv := contractServer(t, ttrpc.ServiceDesc{Streams: map[string]ttrpc.Stream{
			"S": {StreamingClient: true, Handler: func(_ context.Context, ss ttrpc.StreamServer) (any, error) {
				var m wrapperspb.StringValue
				results <- ss.RecvMsg(&notMessage{})
				results <- ss.RecvMsg(nil)
				results <- ss.RecvMsg(&m)
				results <- ss.SendMsg(notMessage{})
				return &m, nil
			}},
		}})
		client := newClient(t, servePipe(t, srv).dialPipe(t))
		stream, err := client.NewStream(t.Context(), &ttrpc.StreamDesc{StreamingClient: true}, contractService, "S", nil)
		require.NoError(t, err)
		for _, value := range []string{"1", "2", "3"} {
			require.NoError(t, stream.SendMsg(wrapperspb.String(value)))
		}
		var m wrapperspb.StringValue
		require.NoError(t, stream.RecvMsg(&m))
		require.Equal(t, "3", m.GetValue())
		wantStatus(t, status.New(codes.Internal, "ttrpc: error unsupported request type: *ttrpc_test.notMessage"), <-results)
		wantStatus(t, status.New(codes.Internal, "ttrpc: error unsupported request type: <nil>"), <-results)
		require.NoError(t, <-results)
		wantStatus(t, status.New(codes.Internal, "ttrpc: error unsupported response type: ttrpc_test.notMessage"), <-results)
	})
}

// The standard library's structured logger is a Logger.
var _ ttrpc.Logger = (*slog.Logger)(nil)

// A connection that ends by a protocol error is logged, once; one that just ends
// is not.
func TestProtocolErrorIsLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logged := make(lineLogger, 8)
		l := servePipe(t, contractServer(t, ttrpc.ServiceDesc{}, ttrpc.WithServerLogger(logged)))
		p := newRawPeer(t, l.dialPipe(t))
		require.NoError(t, p.conn.Close())
		p = newRawPeer(t, l.dialPipe(t))
		p.writeBytes([]byte{0, 0})
		require.NoError(t, p.conn.Close())

		p = newRawPeer(t, l.dialPipe(t))
		p.writeBytes([]byte("GET / HTTP"))
		p.wantClosed()
		synctest.Wait()
		require.Len(t, logged, 1)
		require.Equal(t, "ttrpc: error receiving message error frame length 1195725856: protocol error", <-logged)
	})
}

// Options refuse values that make no sense.
func TestServerOptionValues(t *testing.T) {
	for name, opt := range map[string]ttrpc.ServerOpt{
		"handshake timeout":       ttrpc.WithServerHandshakeTimeout(-1),
		"frame timeout":           ttrpc.WithServerFrameTimeout(-1),
		"no concurrent calls":     ttrpc.WithServerMaxConcurrentCalls(0),
		"no budget of streams":    ttrpc.WithServerReceiveBudget(0, 1),
		"no budget of connection": ttrpc.WithServerReceiveBudget(1, 0),
		"no logger":               ttrpc.WithServerLogger(nil),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ttrpc.NewServer(opt)
			require.ErrorContains(t, err, "ttrpc: ")
		})
	}
	_, err := ttrpc.NewServer(ttrpc.WithServerHandshakeTimeout(0), ttrpc.WithServerFrameTimeout(0))
	require.NoError(t, err)
}

// With WithServerPanicRecovery, whatever a handler does other than return costs
// its own call alone, and nothing is left behind.
func TestHandlerThatDoesNotReturn(t *testing.T) {
	var nothing any
	var none []int
	index := 0
	for _, tt := range []struct {
		name   string
		do     func()
		text   string
		logged bool
	}{
		{"panic", func() { panic("boom") }, "ttrpc: handler panicked: boom", true},
		{"panic with nil", func() { panic(nothing) }, "ttrpc: handler panicked: " + new(runtime.PanicNilError).Error(), true},
		{"runtime error", func() { _ = none[index] }, "ttrpc: handler panicked: runtime error: index out of range [0] with length 0", true},
		{"Goexit", runtime.Goexit, "ttrpc: handler exited without returning", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				logged := make(lineLogger, 8)
				contexts := make(chan context.Context, 2)
				srv := contractServer(t, ttrpc.ServiceDesc{
					Methods: map[string]ttrpc.Method{"M": func(ctx context.Context, _ func(any) error) (any, error) {
						contexts <- ctx
						tt.do()
						return &wrapperspb.StringValue{}, nil
					}},
					Streams: map[string]ttrpc.Stream{"S": {StreamingClient: true, StreamingServer: true, Handler: func(ctx context.Context, ss ttrpc.StreamServer) (any, error) {
						contexts <- ctx
						if err := ss.SendMsg(wrapperspb.String("before")); err != nil {
							return nil, err
						}
						tt.do()
						return nil, nil
					}}},
				}, ttrpc.WithServerPanicRecovery(), ttrpc.WithServerLogger(logged))
				client := newClient(t, servePipe(t, srv).dialPipe(t))
				wantStatus(t, status.New(codes.Internal, tt.text), callContract(t.Context(), client, "M"))
				stream, err := client.NewStream(t.Context(), &ttrpc.StreamDesc{StreamingClient: true, StreamingServer: true}, contractService, "S", nil)
				require.NoError(t, err)
				require.NoError(t, stream.RecvMsg(&wrapperspb.StringValue{}))
				wantStatus(t, status.New(codes.Internal, tt.text), stream.RecvMsg(&wrapperspb.StringValue{}))
				for _, method := range []string{"M", "S"} {
					ctx := await(t, contexts, "the handler")
					await(t, ctx.Done(), "its context to end")
					if tt.logged {
						line := await(t, logged, "the log")
						require.Contains(t, line, strings.TrimPrefix(tt.text, "ttrpc: handler panicked: "))
						require.Contains(t, line, "/"+contractService+"/"+method)
					}
				}
				require.NoError(t, srv.Shutdown(t.Context()), "something is in flight")
				require.Empty(t, logged)
			})
		})
	}
}
