// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/containerd/ttrpc/bench/internal/load"
	"google.golang.org/protobuf/types/known/wrapperspb"
	"storj.io/drpc"
	"storj.io/drpc/drpcmetadata"
	"storj.io/drpc/drpcserver"
)

// serve implements load.Library.
func serve(l net.Listener, s load.Settings) error {
	if s.Interceptors {
		return errors.New("drpc has no interceptors")
	}
	return drpcserver.New(service{}).Serve(context.Background(), l)
}

// service implements drpc.Handler: a drpcmux.Mux would do the same, by
// reflection.
type service struct{}

func (service) HandleRPC(stream drpc.Stream, name string) error {
	switch name {
	case load.SourceMethod:
		return source(stream)
	case load.SinkMethod:
		return sink(stream)
	case load.EchoMethod:
		return echo(stream)
	}
	return unary(stream, load.Method(name))
}

// unary answers with what method was sent.
func unary(stream drpc.Stream, method load.Method) error {
	m := new(wrapperspb.BytesValue)
	if err := stream.MsgRecv(m, encoding{}); err != nil {
		return err
	}
	if method == load.Keyed {
		if md, _ := drpcmetadata.Get(stream.Context()); md[load.MetadataKey] == "" {
			return load.ErrNoMetadata
		}
	}
	method.Handle()
	return errors.Join(stream.MsgSend(m, encoding{}), stream.CloseSend())
}

// source sends as many messages as it is asked for.
func source(stream drpc.Stream) error {
	var m wrapperspb.BytesValue
	if err := stream.MsgRecv(&m, encoding{}); err != nil {
		return err
	}
	order, err := load.DecodeOrder(m.Value)
	if err != nil {
		return err
	}
	m.Value = make([]byte, order.Size)
	for range order.Messages {
		if err := stream.MsgSend(&m, encoding{}); err != nil {
			return fmt.Errorf("a message of %d bytes: %w", order.Size, err)
		}
	}
	return stream.CloseSend()
}

// sink counts what it is sent.
func sink(stream drpc.Stream) error {
	var m wrapperspb.BytesValue
	for n := 0; ; n++ {
		err := stream.MsgRecv(&m, encoding{})
		if errors.Is(err, io.EOF) {
			count := &wrapperspb.BytesValue{Value: load.EncodeCount(n, nil)}
			return errors.Join(stream.MsgSend(count, encoding{}), stream.CloseSend())
		}
		if err != nil {
			return err
		}
	}
}

// echo sends back what it is sent.
func echo(stream drpc.Stream) error {
	var m wrapperspb.BytesValue
	for {
		err := stream.MsgRecv(&m, encoding{})
		if errors.Is(err, io.EOF) {
			return stream.CloseSend()
		}
		if err != nil {
			return err
		}
		if err := stream.MsgSend(&m, encoding{}); err != nil {
			return err
		}
	}
}
