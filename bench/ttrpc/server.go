// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"

	"github.com/containerd/ttrpc"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

const serviceName = "ttrpc.bench.Load"

// serve implements load.Library.
func serve(l net.Listener) error {
	server, err := ttrpc.NewServer()
	if err != nil {
		return err
	}
	server.RegisterService(serviceName, &ttrpc.ServiceDesc{
		Methods: map[string]ttrpc.Method{"Unary": unary},
		Streams: map[string]ttrpc.Stream{
			"Source": {Handler: source, StreamingServer: true},
			"Sink":   {Handler: sink, StreamingClient: true},
			"Echo":   {Handler: echo, StreamingClient: true, StreamingServer: true},
		},
	})
	return server.Serve(context.Background(), l)
}

// unary answers with what it was sent.
func unary(_ context.Context, unmarshal func(any) error) (any, error) {
	var m wrapperspb.BytesValue
	if err := unmarshal(&m); err != nil {
		return nil, err
	}
	return &m, nil
}

// order is the request of source.
type order struct {
	messages, size uint32
}

func (o order) encode() []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, o.messages), o.size)
}

func decodeOrder(b []byte) (order, error) {
	if len(b) != 8 {
		return order{}, errors.New("bad request")
	}
	return order{binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:])}, nil
}

// source sends as many messages as it is asked for.
func source(_ context.Context, stream ttrpc.StreamServer) (any, error) {
	var m wrapperspb.BytesValue
	if err := stream.RecvMsg(&m); err != nil {
		return nil, err
	}
	o, err := decodeOrder(m.Value)
	if err != nil {
		return nil, err
	}
	m.Value = make([]byte, o.size)
	for range o.messages {
		if err := stream.SendMsg(&m); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// sink counts what it is sent.
func sink(_ context.Context, stream ttrpc.StreamServer) (any, error) {
	var m wrapperspb.BytesValue
	for n := uint32(0); ; n++ {
		err := stream.RecvMsg(&m)
		if errors.Is(err, io.EOF) {
			return &wrapperspb.BytesValue{Value: binary.BigEndian.AppendUint32(nil, n)}, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// echo sends back what it is sent.
func echo(_ context.Context, stream ttrpc.StreamServer) (any, error) {
	var m wrapperspb.BytesValue
	for {
		err := stream.RecvMsg(&m)
		if errors.Is(err, io.EOF) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		if err := stream.SendMsg(&m); err != nil {
			return nil, err
		}
	}
}
