// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

// Package load puts one RPC library under load and measures what that costs. It
// knows no library: a command hands it one as a Library, so that whatever is
// compared does the same work. Main is such a command's whole main function.
package load

import (
	"context"
	"net"
)

// Library is an RPC library with a service that every library has alike.
//
// All messages are google.protobuf.BytesValue. The service has a unary method
// that answers with what it was sent, and three streaming methods, see Conn.
type Library struct {
	// Serve serves connections from l until the process ends.
	Serve func(l net.Listener) error

	// Dial returns a client for conn.
	Dial func(conn net.Conn) Conn
}

// Conn is a client's end of a connection.
type Conn interface {
	// Unary sends payload and gets it back.
	Unary(ctx context.Context, payload []byte) error

	// ServerStream has the server send n messages of size bytes; received is
	// called after each.
	ServerStream(ctx context.Context, n, size int, received func()) error

	// ClientStream sends payload n times, and waits for the server's count.
	ClientStream(ctx context.Context, n int, payload []byte) error

	// Echo opens a bidirectional stream that sends every message back.
	Echo(ctx context.Context) (Echo, error)

	Close() error
}

// Echo is a stream that sends every message back.
type Echo interface {
	// Exchange sends payload and gets it back.
	Exchange(payload []byte) error
}
