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
// All messages are google.protobuf.BytesValue. The service has the unary methods
// of Methods, and three streaming methods, see Conn.
type Library struct {
	// Serve serves connections from l until the process ends.
	Serve func(l net.Listener, s Settings) error

	// Dial returns a client for conn.
	Dial func(conn net.Conn, s Settings) (Conn, error)

	// WithMetadata returns a context whose calls take pairs along. It is nil if
	// the library has no metadata.
	WithMetadata func(ctx context.Context, pairs map[string]string) context.Context
}

// Settings are how servers and clients are made.
type Settings struct {
	// Interceptors asks for an interceptor of unary calls that does nothing but
	// to go on, on either end.
	Interceptors bool
}

// Conn is a client's end of a connection.
type Conn interface {
	// Unary calls method with payload and gets it back.
	Unary(ctx context.Context, method Method, payload []byte) error

	// ServerStream has the server send n messages of size bytes; received is
	// called after each.
	ServerStream(ctx context.Context, n, size int, received func()) error

	// ClientStream sends payload n times, and waits for the server's count.
	ClientStream(ctx context.Context, n int, payload []byte) error

	// Echo opens a bidirectional stream that sends every message back.
	Echo(ctx context.Context) (Echo, error)

	Close() error
}

// Echo is a stream that sends every message back. One goroutine may send while
// another receives.
type Echo interface {
	Send(payload []byte) error

	// Receive gets a message of size bytes.
	Receive(size int) error

	// Finish ends the stream after all that has been sent has been received.
	Finish() error
}

// exchange sends payload and gets it back.
func exchange(echo Echo, payload []byte) error {
	if err := echo.Send(payload); err != nil {
		return err
	}
	return echo.Receive(len(payload))
}
