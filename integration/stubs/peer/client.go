// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/containerd/ttrpc"
	"github.com/containerd/ttrpc/integration/stubs/calls"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
)

// patience is how long a call may take.
const patience = 5 * time.Second

// callAll makes every call over one connection, and prints how each ended.
func callAll(socket string) error {
	conn, err := net.Dial("unix", socket)
	if err != nil {
		return err
	}
	connection := ttrpc.NewClient(conn)
	defer connection.Close()
	var (
		client     = calls.NewCallsClient(connection)
		snakeCased = calls.NewSnakeCasedClient(connection)
		unary      = calls.NewUnaryClient(connection)
	)
	for _, call := range []struct {
		name string // in the .proto file
		make func(context.Context) error
	}{
		{"Unary", func(ctx context.Context) error { return callUnary(ctx, client.Unary) }},
		{"ClientStream", func(ctx context.Context) error { return callClientStream(client.ClientStream(ctx)) }},
		{"ServerStream", func(ctx context.Context) error { return callServerStream(client.ServerStream(ctx, hello())) }},
		{"Bidi", func(ctx context.Context) error { return callBidi(client.Bidi(ctx)) }},
		{"Nothing", func(ctx context.Context) error { _, err := client.Nothing(ctx, new(emptypb.Empty)); return err }},
		{"UnaryFails", func(ctx context.Context) error { return wantNone(callUnary(ctx, client.UnaryFails)) }},
		{"StreamFails", func(ctx context.Context) error { return wantNone(callBidi(client.StreamFails(ctx))) }},
		{"snake_case", func(ctx context.Context) error { return callUnary(ctx, snakeCased.SnakeCase) }},
		{"lower", func(ctx context.Context) error { return callUnary(ctx, snakeCased.Lower) }},
		{"client_stream", func(ctx context.Context) error { return callClientStream(snakeCased.ClientStream(ctx)) }},
		{"server_stream", func(ctx context.Context) error { return callServerStream(snakeCased.ServerStream(ctx, hello())) }},
		{"bidi_stream", func(ctx context.Context) error { return callBidi(snakeCased.BidiStream(ctx)) }},
		{"Do", func(ctx context.Context) error { return callUnary(ctx, unary.Do) }},
	} {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		err := call.make(ctx)
		cancel()
		if err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", call.name, err)
		}
		fmt.Fprintln(os.Stdout, call.name, status.Code(err))
	}
	return nil
}

// hello returns a message to send.
func hello() *calls.Text { return &calls.Text{Text: "hello"} }

// wantText returns an error unless a message has a text.
func wantText(m *calls.Text, text string) error {
	if m.GetText() != text {
		return fmt.Errorf("got %q, want %q", m.GetText(), text)
	}
	return nil
}

// wantEnd returns an error unless a stream has ended well.
func wantEnd(stream receiver) error {
	if m, err := stream.Recv(); err == nil {
		return fmt.Errorf("got %q, want the stream's end", m.GetText())
	} else if !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// wantNone returns an error unless err is what the methods answer that fail.
func wantNone(err error) error {
	if status.Code(err) != codes.NotFound || status.Convert(err).Message() != "there is none" {
		return fmt.Errorf("got %w, want %w", err, errNone)
	}
	return nil
}

// callUnary calls a method.
func callUnary(ctx context.Context, method func(context.Context, *calls.Text) (*calls.Text, error)) error {
	m, err := method(ctx, hello())
	if err != nil {
		return err
	}
	return wantText(m, "hello too")
}

// callClientStream sends several messages and wants one. Like the next two it
// takes what a stub returns.
func callClientStream(stream interface {
	sender
	CloseAndRecv() (*calls.Text, error)
}, err error) error {
	if err != nil {
		return err
	}
	for range repeats {
		if err := stream.Send(hello()); err != nil {
			return err
		}
	}
	m, err := stream.CloseAndRecv()
	if err != nil {
		return err
	}
	return wantText(m, strings.Repeat("hello", repeats))
}

// callServerStream wants several messages.
func callServerStream(stream receiver, err error) error {
	if err != nil {
		return err
	}
	for i := range repeats {
		m, err := stream.Recv()
		if err != nil {
			return err
		}
		if err := wantText(m, "hello"+strconv.Itoa(i)); err != nil {
			return err
		}
	}
	return wantEnd(stream)
}

// callBidi sends several messages and wants one for each.
func callBidi(stream interface {
	sender
	receiver
	CloseSend() error
}, err error) error {
	if err != nil {
		return err
	}
	for range repeats {
		if err := stream.Send(hello()); err != nil {
			return err
		}
		m, err := stream.Recv()
		if err != nil {
			return err
		}
		if err := wantText(m, "hello too"); err != nil {
			return err
		}
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	return wantEnd(stream)
}
