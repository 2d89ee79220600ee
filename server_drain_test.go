// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package ttrpc_test

import (
	"context"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/containerd/ttrpc"
	"github.com/stretchr/testify/require"
)

// drainServer has one method, Run, which runs f. peer is connected to it.
func drainServer(t *testing.T, f func(context.Context), opts ...ttrpc.ServerOpt) (srv *ttrpc.Server, peer *rawPeer) {
	t.Helper()
	srv = newServer(t, opts...)
	srv.Register("svc", map[string]ttrpc.Method{
		"Run": func(ctx context.Context, _ func(any) error) (any, error) {
			f(ctx)
			return &ttrpc.Request{}, nil
		},
	})
	return srv, newRawPeer(t, servePipe(t, srv).dialPipe(t))
}

// An answer that a peer has had no time to read is not one that it does not
// read, though nothing has been written for ten seconds.
func TestShutdownDoesNotCutAnswerThatIsFresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		srv, peer := drainServer(t, func(context.Context) { <-release })
		peer.request(1, 0, "svc", "Run", nil)
		synctest.Wait()
		done := make(chan error, 1)
		go func() { done <- srv.Shutdown(t.Context()) }()

		<-time.After(10*time.Second - time.Millisecond)
		close(release)
		<-time.After(2 * time.Millisecond)
		peer.wantResponse(1)
		require.NoError(t, await(t, done, "Shutdown"))
	})
}

// Shutdown that is called from outside waits for a handler that has called it,
// too.
func TestShutdownWaitsForHandlerThatCalledIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var srv *ttrpc.Server
		gaveUp, release := make(chan error, 1), make(chan struct{})
		srv, peer := drainServer(t, func(ctx context.Context) {
			ctx, cancel := context.WithCancel(ctx)
			cancel()
			gaveUp <- srv.Shutdown(ctx)
			<-release
		})
		peer.request(1, 0, "svc", "Run", nil)
		require.NoError(t, await(t, gaveUp, "Shutdown, called by the handler"))

		done := make(chan error, 1)
		go func() { done <- srv.Shutdown(t.Context()) }()
		synctest.Wait()
		select {
		case err := <-done:
			t.Fatalf("Shutdown returned %v though a handler runs", err)
		default:
		}
		close(release)
		peer.wantResponse(1)
		require.NoError(t, await(t, done, "Shutdown"))
	})
}

// waitingHandshaker looks at nothing but its context.
type waitingHandshaker struct {
	began chan struct{}
	ended chan error
}

func (h waitingHandshaker) Handshake(ctx context.Context, _ net.Conn) (net.Conn, any, error) {
	close(h.began)
	<-ctx.Done()
	h.ended <- ctx.Err()
	return nil, nil, ctx.Err()
}

func TestHandshakeEndsWithItsServerOrClient(t *testing.T) {
	for _, end := range []struct {
		name string
		call func(*ttrpc.Server) error
	}{
		{"Close", (*ttrpc.Server).Close},
		{"Shutdown", func(srv *ttrpc.Server) error { return srv.Shutdown(context.Background()) }},
	} {
		t.Run("server, "+end.name, func(t *testing.T) {
			h := waitingHandshaker{make(chan struct{}), make(chan error, 1)}
			srv := newServer(t, ttrpc.WithServerHandshaker(h), ttrpc.WithServerHandshakeTimeout(0))
			conn := servePipe(t, srv).dialPipe(t)
			defer conn.Close()
			await(t, h.began, "the handshake")
			require.NoError(t, end.call(srv))
			require.Equal(t, context.Canceled, await(t, h.ended, "the handshake's context"))
		})
	}
	t.Run("client", func(t *testing.T) {
		h := waitingHandshaker{make(chan struct{}), make(chan error, 1)}
		near, far := net.Pipe()
		defer far.Close()
		client := newClient(t, near, ttrpc.WithClientHandshaker(h), ttrpc.WithClientHandshakeTimeout(0))
		await(t, h.began, "the handshake")
		require.NoError(t, client.Close())
		require.Equal(t, context.Canceled, await(t, h.ended, "the handshake's context"))
	})
}

// errorLines is a Logger that keeps its errors.
type errorLines struct {
	mu    sync.Mutex
	lines []string
}

func (*errorLines) Debug(string, ...any) {}

func (l *errorLines) Error(msg string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, arg := range args {
		if err, ok := arg.(error); ok {
			msg += ": " + err.Error()
		}
	}
	l.lines = append(l.lines, msg)
}

// What ended a connection is logged, not what its end made of other things.
func TestCauseOfEndIsLogged(t *testing.T) {
	const late = "ttrpc: error receiving message: frame incomplete after 2m0s: protocol error"

	t.Run("server", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var log errorLines
			_, peer := drainServer(t, func(context.Context) {}, ttrpc.WithServerLogger(&log))
			peer.writeBytes([]byte{0, 0, 0})
			<-time.After(3 * time.Minute)
			synctest.Wait()
			require.Equal(t, []string{late}, log.lines)
		})
	})
	t.Run("client", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var log errorLines
			near, far := net.Pipe()
			newClient(t, near, ttrpc.WithClientLogger(&log))
			newRawPeer(t, far).writeBytes([]byte{0, 0, 0})
			<-time.After(3 * time.Minute)
			synctest.Wait()
			require.Equal(t, []string{late}, log.lines)
		})
	})
}

// halfCloser is a connection made of two pipes, one for each direction, so that
// one of them can be closed.
type halfCloser struct {
	net.Conn // what is read from
	out      net.Conn
}

// halfClosers returns the two ends of one.
func halfClosers() (a, b *halfCloser) {
	ar, bw := net.Pipe()
	br, aw := net.Pipe()
	return &halfCloser{ar, aw}, &halfCloser{br, bw}
}

func (c *halfCloser) Write(b []byte) (int, error) { return c.out.Write(b) }

func (c *halfCloser) CloseWrite() error { return c.out.Close() }

func (c *halfCloser) Close() error {
	c.out.Close()
	return c.Conn.Close()
}

// Handlers that ignore their contexts do not keep the connection of a client
// that has gone for long.
func TestConnectionOfGoneClientIsClosedThoughHandlerRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		started, release := make(chan struct{}), make(chan struct{})
		srv := newServer(t)
		srv.Register("svc", map[string]ttrpc.Method{
			"Run": func(context.Context, func(any) error) (any, error) {
				close(started)
				<-release
				return &ttrpc.Request{}, nil
			},
		})
		near, far := halfClosers()
		l := servePipe(t, srv)
		l.conns <- near
		peer := newRawPeer(t, far)
		peer.request(1, 0, "svc", "Run", nil)
		await(t, started, "the handler")
		start := time.Now()
		peer.closeWrite()
		peer.wantClosed()
		require.Equal(t, 10*time.Second, time.Since(start))
		close(release)
	})
}
