// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package load

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// messagesPerStream is how many messages a stream carries on the axes that
// measure messages.
const messagesPerStream = 2000

// payload returns bytes of the axis' size. They are valid UTF-8, if the minimal
// servers are to take them.
func (a Axis) payload() []byte {
	payload := make([]byte, a.Size)
	for i := range payload {
		payload[i] = byte(i)
	}
	return payload
}

// work returns what each of the axis' callers does.
func (b *bench) work(ctx context.Context) ([]func() (int, error), error) {
	payload := b.axis.payload() // the callers share it
	work := make([]func() (int, error), b.axis.Callers)
	for i := range work {
		var err error
		if work[i], err = b.workOn(ctx, b.conns[i%len(b.conns)], payload); err != nil {
			return nil, err
		}
	}
	return work, nil
}

// workOn returns what a caller does on conn.
func (b *bench) workOn(ctx context.Context, conn Conn, payload []byte) (func() (int, error), error) {
	switch b.axis.Kind {
	case Unary:
		call := b.unary(conn)
		return func() (int, error) { return 1, call(ctx, payload) }, nil
	case ServerStream:
		return func() (int, error) {
			return messagesPerStream, conn.ServerStream(ctx, messagesPerStream, b.axis.Size, func() {})
		}, nil
	case ClientStream:
		return func() (int, error) {
			return messagesPerStream, conn.ClientStream(ctx, messagesPerStream, payload)
		}, nil
	case Duplex:
		return func() (int, error) { return messagesPerStream, duplex(ctx, conn, payload) }, nil
	case PingPong:
		echo, err := conn.Echo(ctx)
		if err != nil {
			return nil, err
		}
		return func() (int, error) { return 1, exchange(echo, payload) }, nil
	case Stall:
		go func() {
			// Ends with the process, or when the library gives the stream up.
			_ = conn.ServerStream(ctx, b.axis.Count, b.axis.Size, func() { time.Sleep(time.Millisecond) })
		}()
		return func() (int, error) { return 1, conn.Unary(ctx, Instant, payload) }, nil
	}
	return nil, fmt.Errorf("no load of kind %q", b.axis.Kind)
}

// unary returns a function that makes a unary call, with what the axis has calls
// take along.
func (b *bench) unary(conn Conn) func(ctx context.Context, payload []byte) error {
	method := b.axis.Method
	if method == "" {
		method = Instant
	}
	switch b.axis.With {
	case Deadline:
		return func(ctx context.Context, payload []byte) error {
			ctx, cancel := context.WithTimeout(ctx, time.Minute)
			defer cancel()
			return conn.Unary(ctx, method, payload)
		}
	case Cancel:
		return func(ctx context.Context, payload []byte) error {
			ctx, cancel := context.WithCancel(ctx)
			defer cancel()
			return conn.Unary(ctx, method, payload)
		}
	case Metadata:
		pairs := Pairs()
		return func(ctx context.Context, payload []byte) error {
			return conn.Unary(b.lib.WithMetadata(ctx, pairs), method, payload)
		}
	}
	return func(ctx context.Context, payload []byte) error { return conn.Unary(ctx, method, payload) }
}

// duplex sends messages on a stream while it receives as many.
func duplex(ctx context.Context, conn Conn, payload []byte) error {
	echo, err := conn.Echo(ctx)
	if err != nil {
		return err
	}
	sent := make(chan error, 1)
	go func() {
		for range messagesPerStream {
			if err := echo.Send(payload); err != nil {
				sent <- err
				return
			}
		}
		sent <- nil
	}()
	for range messagesPerStream {
		if err := echo.Receive(len(payload)); err != nil {
			return errors.Join(err, echo.Finish())
		}
	}
	return errors.Join(<-sent, echo.Finish())
}
