// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/containerd/ttrpc"
	"github.com/containerd/ttrpc/bench/internal/load"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// conn implements load.Conn.
type conn struct {
	*ttrpc.Client
}

// dial implements load.Library.
func dial(c net.Conn) load.Conn { return conn{ttrpc.NewClient(c)} }

func (c conn) Unary(ctx context.Context, payload []byte) error {
	var response wrapperspb.BytesValue
	if err := c.Call(ctx, serviceName, "Unary", &wrapperspb.BytesValue{Value: payload}, &response); err != nil {
		return err
	}
	return checkSize(&response, len(payload))
}

func (c conn) ServerStream(ctx context.Context, n, size int, received func()) error {
	o := order{messages: uint32(n), size: uint32(size)}
	stream, err := c.NewStream(ctx, &ttrpc.StreamDesc{StreamingServer: true}, serviceName, "Source",
		&wrapperspb.BytesValue{Value: o.encode()})
	if err != nil {
		return err
	}
	var m wrapperspb.BytesValue
	for range n {
		if err := stream.RecvMsg(&m); err != nil {
			return err
		}
		if err := checkSize(&m, size); err != nil {
			return err
		}
		received()
	}
	if err := stream.RecvMsg(&m); !errors.Is(err, io.EOF) {
		return fmt.Errorf("got %v at the end of a stream", err)
	}
	return nil
}

func (c conn) ClientStream(ctx context.Context, n int, payload []byte) error {
	stream, err := c.NewStream(ctx, &ttrpc.StreamDesc{StreamingClient: true}, serviceName, "Sink", nil)
	if err != nil {
		return err
	}
	m := &wrapperspb.BytesValue{Value: payload}
	for range n {
		if err := stream.SendMsg(m); err != nil {
			return err
		}
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	var count wrapperspb.BytesValue
	if err := stream.RecvMsg(&count); err != nil {
		return err
	}
	if err := checkSize(&count, 4); err != nil {
		return err
	}
	if got := binary.BigEndian.Uint32(count.Value); got != uint32(n) {
		return fmt.Errorf("server got %d messages of %d", got, n)
	}
	return nil
}

func (c conn) Echo(ctx context.Context) (load.Echo, error) {
	stream, err := c.NewStream(ctx, &ttrpc.StreamDesc{StreamingClient: true, StreamingServer: true}, serviceName, "Echo", nil)
	return echoStream{stream}, err
}

// echoStream implements load.Echo.
type echoStream struct {
	ttrpc.ClientStream
}

func (s echoStream) Exchange(payload []byte) error {
	if err := s.SendMsg(&wrapperspb.BytesValue{Value: payload}); err != nil {
		return err
	}
	var response wrapperspb.BytesValue
	if err := s.RecvMsg(&response); err != nil {
		return err
	}
	return checkSize(&response, len(payload))
}

// checkSize is there so that nobody is fast by doing less.
func checkSize(m *wrapperspb.BytesValue, want int) error {
	if got := len(m.Value); got != want {
		return fmt.Errorf("got a message of %d bytes, want %d", got, want)
	}
	return nil
}
