// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package ttrpc

import (
	"context"
	"fmt"
	"net"
	"time"
)

// Handshaker takes a new connection before any frame is read from or written to
// it: to check who is there, to negotiate, to encrypt.
type Handshaker interface {
	// Handshake returns the connection to use from then on, which is conn or
	// one that wraps it, and anything that it wants to tell about the peer:
	// on a server, handlers find that in Peer.AuthInfo.
	//
	// An error refuses the connection: conn is closed, the other end gets
	// ErrClosed, and a line is logged unless the server is stopping anyway.
	//
	// It runs in a goroutine of the connection's own, so it may block without
	// delaying others, until ctx ends: after WithServerHandshakeTimeout or
	// WithClientHandshakeTimeout, or when the server or client is closed or shut
	// down. conn is then closed under it, and so is what it returns. Closing
	// conn otherwise is not its business.
	Handshake(ctx context.Context, conn net.Conn) (net.Conn, any, error)
}

// defaultHandshakeTimeout is for both ends.
const defaultHandshakeTimeout = 10 * time.Second

// handshakeError is the cause of the end of a connection that was refused.
type handshakeError struct {
	err error
}

func (e *handshakeError) Error() string { return e.err.Error() }

func (e *handshakeError) Unwrap() error { return e.err }

// handshake runs h on conn until ctx ends, or for at most timeout unless that is
// zero.
func handshake(ctx context.Context, h Handshaker, timeout time.Duration, conn net.Conn) (net.Conn, any, error) {
	if timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	// A Handshaker that is stuck in Read or Write does not see ctx.
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	wrapped, info, err := h.Handshake(ctx, conn)
	stopped := stop()
	if ended := ctx.Err(); ended != nil { // conn is closed, or about to be
		if stopped {
			closeConn(conn)
		}
		if wrapped != nil {
			closeConn(wrapped)
		}
		err = ended
	}
	if err == nil && wrapped == nil {
		err = fmt.Errorf("handshaker %T returned no connection", h)
	}
	if err != nil {
		return nil, nil, &handshakeError{err}
	}
	return wrapped, info, nil
}
