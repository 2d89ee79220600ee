// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package ttrpc_test

// The contract about handshakes. Their time limits are in
// TestBlockedHandshakeStopsServer.

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/containerd/ttrpc"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// xorConn is a connection whose bytes are changed on the way.
type xorConn struct{ net.Conn }

func (c xorConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	for i := range b[:n] {
		b[i] ^= 0x55
	}
	return n, err
}

func (c xorConn) Write(b []byte) (int, error) {
	changed := make([]byte, len(b))
	for i := range b {
		changed[i] = b[i] ^ 0x55
	}
	return c.Conn.Write(changed)
}

// greet exchanges greetings with the other end, which does the same, and goes on
// with an xorConn.
func greet(first bool) semHandshake {
	return func(_ context.Context, conn net.Conn) (net.Conn, any, error) {
		if first {
			if _, err := conn.Write([]byte("hello")); err != nil {
				return nil, nil, err
			}
		}
		greeting := make([]byte, 5)
		if _, err := io.ReadFull(conn, greeting); err != nil {
			return nil, nil, err
		}
		if !first {
			if _, err := conn.Write([]byte("hallo")); err != nil {
				return nil, nil, err
			}
		}
		return xorConn{conn}, string(greeting), nil
	}
}

// A handshake comes before all frames, and what it returns takes the place of the
// connection; on both ends.
func TestHandshakeReplacesConnection(t *testing.T) {
	transports := map[string]func(t *testing.T, srv *ttrpc.Server) net.Conn{
		"pipe":   func(t *testing.T, srv *ttrpc.Server) net.Conn { return servePipe(t, srv).dialPipe(t) },
		"socket": func(t *testing.T, srv *ttrpc.Server) net.Conn { return dial(t, serve(t, srv)) },
	}
	for name, connect := range transports {
		t.Run(name, func(t *testing.T) {
			peers := make(chan any, 1)
			srv := contractServer(t, ttrpc.ServiceDesc{Methods: map[string]ttrpc.Method{
				"M": func(ctx context.Context, _ func(any) error) (any, error) {
					p, _ := ttrpc.GetPeer(ctx)
					peers <- p.AuthInfo
					return &wrapperspb.StringValue{}, nil
				},
			}}, ttrpc.WithServerHandshaker(greet(false)))
			client := newClient(t, connect(t, srv), ttrpc.WithClientHandshaker(greet(true)))
			require.NoError(t, callContract(t.Context(), client, "M"))
			require.Equal(t, "hello", <-peers)
		})
	}
}

// A refused connection is closed and logged, and its client gets ErrClosed.
func TestRefusedHandshake(t *testing.T) {
	for name, wrapped := range map[string]bool{"the connection": false, "one that wraps it": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				logged := make(lineLogger, 8)
				allow := false
				srv := contractServer(t, ttrpc.ServiceDesc{Methods: map[string]ttrpc.Method{"M": semOK}},
					ttrpc.WithServerLogger(logged),
					ttrpc.WithServerHandshaker(semHandshake(func(_ context.Context, conn net.Conn) (net.Conn, any, error) {
						switch {
						case allow:
							return conn, nil, nil
						case wrapped:
							return struct{ net.Conn }{conn}, nil, errors.New("not you")
						}
						return nil, nil, errors.New("not you")
					})))
				l := servePipe(t, srv)
				client := newClient(t, l.dialPipe(t))
				require.Equal(t, ttrpc.ErrClosed, callContract(t.Context(), client, "M"))
				require.Equal(t, "ttrpc: refusing connection after handshake error not you", await(t, logged, "the log"))

				allow = true
				require.NoError(t, callContract(t.Context(), newClient(t, l.dialPipe(t)), "M"))
			})
		})
	}
}

// When the client's own handshake fails, its calls get ErrClosed, and the
// connection is closed.
func TestFailedClientHandshake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logged := make(lineLogger, 8)
		near, far := net.Pipe()
		g := newGate(t)
		client := newClient(t, near, ttrpc.WithClientLogger(logged),
			ttrpc.WithClientHandshaker(semHandshake(func(context.Context, net.Conn) (net.Conn, any, error) {
				g.wait()
				return nil, nil, errors.New("not you")
			})))
		waiting := goDo(func() error { return callContract(t.Context(), client, "M") })
		await(t, g.entered, "the handshake")
		synctest.Wait()

		ctx, cancel := context.WithCancel(t.Context())
		leaving := goDo(func() error { return callContract(ctx, client, "M") })
		synctest.Wait()
		cancel()
		require.Equal(t, context.Canceled, await(t, leaving, "a call that is cancelled meanwhile"))

		g.release()
		require.Equal(t, ttrpc.ErrClosed, await(t, waiting, "a call that waits for the handshake"))
		require.Equal(t, ttrpc.ErrClosed, callContract(t.Context(), client, "M"))
		require.NoError(t, client.UserOnCloseWait(t.Context()))
		newRawPeer(t, far).wantClosed()
		require.Contains(t, await(t, logged, "the log"), "not you")
	})
}

// Close does not wait for a handshake that is under way.
func TestCloseDuringHandshake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stuck := semHandshake(func(_ context.Context, conn net.Conn) (net.Conn, any, error) {
			for { // until the connection is closed
				if _, err := conn.Read(make([]byte, 64)); err != nil {
					return nil, nil, err
				}
			}
		})
		logged := make(lineLogger, 8)
		srv := contractServer(t, ttrpc.ServiceDesc{}, ttrpc.WithServerHandshaker(stuck), ttrpc.WithServerLogger(logged))
		l := servePipe(t, srv)
		client := newClient(t, l.dialPipe(t))
		call := goDo(func() error { return callContract(t.Context(), client, "M") })
		synctest.Wait()
		require.NoError(t, srv.Close())
		require.Equal(t, ttrpc.ErrClosed, await(t, call, "the call"))

		near, _ := net.Pipe()
		client = newClient(t, near, ttrpc.WithClientHandshaker(stuck), ttrpc.WithClientLogger(logged))
		call = goDo(func() error { return callContract(t.Context(), client, "M") })
		synctest.Wait()
		require.NoError(t, client.Close())
		require.Equal(t, ttrpc.ErrClosed, await(t, call, "the call"))
		synctest.Wait()
		select {
		case line := <-logged:
			t.Errorf("what was closed on purpose was logged: %s", line)
		default:
		}
	})
}

// A client's handshake has a time limit.
func TestClientHandshakeTimeout(t *testing.T) {
	for name, stuck := range map[string]semHandshake{
		"waiting for its context": func(ctx context.Context, _ net.Conn) (net.Conn, any, error) {
			<-ctx.Done()
			return nil, nil, ctx.Err()
		},
		"waiting for the other end": func(_ context.Context, conn net.Conn) (net.Conn, any, error) {
			_, err := conn.Read(make([]byte, 1))
			return nil, nil, err
		},
		"late": func(ctx context.Context, conn net.Conn) (net.Conn, any, error) {
			<-ctx.Done()
			return conn, nil, nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				near, far := net.Pipe()
				client := newClient(t, near, ttrpc.WithClientHandshaker(stuck),
					ttrpc.WithClientHandshakeTimeout(3*time.Second), ttrpc.WithClientLogger(make(lineLogger, 8)))
				require.Equal(t, ttrpc.ErrClosed, callContract(t.Context(), client, "M"))
				require.Equal(t, 3*time.Second, time.Since(start))
				require.NoError(t, client.UserOnCloseWait(t.Context()))
				newRawPeer(t, far).wantClosed()
			})
		})
	}
}

// A handshaker that returns neither a connection nor an error refuses the
// connection.
func TestHandshakeWithoutConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logged := make(lineLogger, 8)
		neither := semHandshake(func(context.Context, net.Conn) (net.Conn, any, error) { return nil, nil, nil })
		srv := contractServer(t, ttrpc.ServiceDesc{}, ttrpc.WithServerHandshaker(neither), ttrpc.WithServerLogger(logged))
		client := newClient(t, servePipe(t, srv).dialPipe(t))
		require.Equal(t, ttrpc.ErrClosed, callContract(t.Context(), client, "M"))
		require.Contains(t, await(t, logged, "the log"), "returned no connection")
	})
}
