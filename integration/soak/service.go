// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"io"

	"github.com/containerd/ttrpc"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

const service = "ttrpc.soak"

// newServer returns a server with methods of every shape. It reports nothing:
// some of its clients send nonsense, on and on.
func newServer() (*ttrpc.Server, error) {
	server, err := ttrpc.NewServer(
		ttrpc.WithServerLogger(silence{}),
		ttrpc.WithServerReceiveBudget(1<<20, 8<<20),
	)
	if err != nil {
		return nil, err
	}
	server.RegisterService(service, &ttrpc.ServiceDesc{
		Methods: map[string]ttrpc.Method{
			"Echo": func(_ context.Context, unmarshal func(any) error) (any, error) {
				m := new(wrapperspb.BytesValue)
				return m, unmarshal(m)
			},
			"Wait": func(ctx context.Context, _ func(any) error) (any, error) {
				<-ctx.Done()
				return nil, ctx.Err()
			},
		},
		Streams: map[string]ttrpc.Stream{
			"Source": {StreamingServer: true, Handler: source},
			"Sink":   {StreamingClient: true, Handler: sink},
			"Both":   {StreamingClient: true, StreamingServer: true, Handler: both},
			"Deaf":   {StreamingClient: true, Handler: deaf},
		},
	})
	return server, nil
}

// silence is a Logger that drops everything.
type silence struct{}

func (silence) Debug(string, ...any) {}
func (silence) Error(string, ...any) {}

// source sends its request back as often as it has bytes.
func source(_ context.Context, stream ttrpc.StreamServer) (any, error) {
	m := new(wrapperspb.BytesValue)
	if err := stream.RecvMsg(m); err != nil {
		return nil, err
	}
	for range m.GetValue() {
		if err := stream.SendMsg(m); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// sink returns the number of messages.
func sink(_ context.Context, stream ttrpc.StreamServer) (any, error) {
	n := int64(0)
	for {
		err := stream.RecvMsg(new(wrapperspb.BytesValue))
		switch {
		case errors.Is(err, io.EOF):
			return wrapperspb.Int64(n), nil
		case err != nil:
			return nil, err
		}
		n++
	}
}

// both sends every message back.
func both(_ context.Context, stream ttrpc.StreamServer) (any, error) {
	for {
		m := new(wrapperspb.BytesValue)
		err := stream.RecvMsg(m)
		switch {
		case errors.Is(err, io.EOF):
			return nil, nil
		case err != nil:
			return nil, err
		}
		if err := stream.SendMsg(m); err != nil {
			return nil, err
		}
	}
}

// deaf receives nothing, until its stream ends.
func deaf(ctx context.Context, _ ttrpc.StreamServer) (any, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}
