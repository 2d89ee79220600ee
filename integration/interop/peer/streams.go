// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

//go:build !v11

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/containerd/ttrpc"
)

// register registers all methods.
func (s *service) register(server *ttrpc.Server) {
	server.RegisterService(serviceName, &ttrpc.ServiceDesc{
		Methods: s.unaryMethods(),
		Streams: map[string]ttrpc.Stream{
			"Count":   serverStream(counts),
			"Empties": serverStream(empties),
			"Nils":    serverStream(nils),
			"Grow2":   serverStream(growTwice),
			"StreamMetadata": serverStream(func(ctx context.Context, m *text, stream ttrpc.StreamServer) error {
				return stream.SendMsg(metadata(ctx, m.GetValue()))
			}),
			"StreamDeadline": serverStream(func(ctx context.Context, _ *empty, stream ttrpc.StreamServer) error {
				return stream.SendMsg(timeLeft(ctx))
			}),
			"StreamWait": serverStream(s.streamWait),
			"Flood":      serverStream(s.flood),
			"Sum":        {Handler: sum, StreamingClient: true},
			"StreamEcho": {Handler: streamEcho, StreamingClient: true, StreamingServer: true},
			"Reverse":    {Handler: reverse, StreamingClient: true, StreamingServer: true},
			"First":      {Handler: first, StreamingClient: true},
			"StreamFail": {Handler: streamFail, StreamingClient: true, StreamingServer: true},
		},
	})
}

// serverStream makes a stream from the server of a function, as generated code
// does.
func serverStream[Request any](f func(context.Context, *Request, ttrpc.StreamServer) error) ttrpc.Stream {
	return ttrpc.Stream{StreamingServer: true, Handler: func(ctx context.Context, stream ttrpc.StreamServer) (any, error) {
		request := new(Request)
		if err := stream.RecvMsg(request); err != nil {
			return nil, err
		}
		return nil, f(ctx, request, stream)
	}}
}

// counts sends the numbers below a number.
func counts(_ context.Context, m *count, stream ttrpc.StreamServer) error {
	for i := range m.GetValue() {
		if err := stream.SendMsg(&count{Value: i}); err != nil {
			return err
		}
	}
	return nil
}

// empties sends some empty messages.
func empties(_ context.Context, m *count, stream ttrpc.StreamServer) error {
	for range m.GetValue() {
		if err := stream.SendMsg(&empty{}); err != nil {
			return err
		}
	}
	return nil
}

// nils sends nil a few times.
func nils(_ context.Context, m *count, stream ttrpc.StreamServer) error {
	for range m.GetValue() {
		if err := stream.SendMsg(nil); err != nil {
			return err
		}
	}
	return nil
}

// growTwice sends a message of some size, and a small one.
func growTwice(_ context.Context, m *count, stream ttrpc.StreamServer) error {
	if err := stream.SendMsg(&blob{Value: make([]byte, m.GetValue())}); err != nil {
		return err
	}
	return stream.SendMsg(&blob{Value: []byte("small")})
}

// streamWait sends a message, and waits until it is released or its context ends.
func (s *service) streamWait(ctx context.Context, name *text, stream ttrpc.StreamServer) error {
	if err := stream.SendMsg(name); err != nil {
		return err
	}
	return s.runs.start(name.GetValue()).wait(ctx)
}

// flood sends messages, as long as it can. The request is the name of the run and
// their number.
func (s *service) flood(ctx context.Context, request *text, stream ttrpc.StreamServer) error {
	var (
		name string
		n    int
	)
	if _, err := fmt.Sscan(request.GetValue(), &name, &n); err != nil {
		return err
	}
	run := s.runs.start(name)
	message := &blob{Value: make([]byte, 1000)}
	for range n {
		if err := stream.SendMsg(message); err != nil {
			run.end(endOf(ctx))
			return err
		}
	}
	run.end("sent all")
	return nil
}

// sum adds up numbers.
func sum(_ context.Context, stream ttrpc.StreamServer) (any, error) {
	total := new(count)
	for {
		var m count
		err := stream.RecvMsg(&m)
		if errors.Is(err, io.EOF) {
			return total, nil
		}
		if err != nil {
			return nil, err
		}
		total.Value += m.GetValue()
	}
}

// streamEcho sends back each message.
func streamEcho(_ context.Context, stream ttrpc.StreamServer) (any, error) {
	for {
		m := new(blob)
		err := stream.RecvMsg(m)
		if errors.Is(err, io.EOF) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		if err := stream.SendMsg(m); err != nil {
			return nil, err
		}
	}
}

// reverse waits for the end of the client's messages, and sends them back, last
// one first.
func reverse(_ context.Context, stream ttrpc.StreamServer) (any, error) {
	var all []*count
	for {
		m := new(count)
		err := stream.RecvMsg(m)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		all = append(all, m)
	}
	for _, m := range slices.Backward(all) {
		if err := stream.SendMsg(m); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// first returns the first message, while the client may send more.
func first(_ context.Context, stream ttrpc.StreamServer) (any, error) {
	m := new(count)
	err := stream.RecvMsg(m)
	return m, err
}

// streamFail sends back a message, and fails.
func streamFail(_ context.Context, stream ttrpc.StreamServer) (any, error) {
	m := new(blob)
	if err := stream.RecvMsg(m); err != nil {
		return nil, err
	}
	if err := stream.SendMsg(m); err != nil {
		return nil, err
	}
	return nil, errDetailed()
}
