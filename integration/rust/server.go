// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/containerd/ttrpc"
	"github.com/containerd/ttrpc/integration/rust/calls"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/anypb"
)

// newServer returns a server with all that clients call.
func newServer() (*ttrpc.Server, error) {
	server, err := ttrpc.NewServer()
	if err != nil {
		return nil, err
	}
	gates := &gates{byText: make(map[string]*gate)}
	calls.RegisterCallsService(server, unary{gates})
	calls.RegisterStreamsService(server, streaming{gates})
	server.RegisterService("Ends", &ttrpc.ServiceDesc{Streams: map[string]ttrpc.Stream{
		"WithMessage": {Handler: endWithMessage, StreamingServer: true},
	}})
	return server, nil
}

// endWithMessage returns a message, as no generated handler does whose server
// streams.
func endWithMessage(_ context.Context, stream ttrpc.StreamServer) (any, error) {
	if err := stream.SendMsg(&calls.Item{Text: "first"}); err != nil {
		return nil, err
	}
	return &calls.Item{Text: "last"}, nil
}

type unary struct{ gates *gates }

func (unary) Echo(_ context.Context, item *calls.Item) (*calls.Item, error) { return item, nil }

func (unary) See(ctx context.Context, _ *calls.Item) (*calls.Sight, error) { return seen(ctx), nil }

func (unary) Fail(_ context.Context, f *calls.Failure) (*calls.Item, error) { return nil, failure(f) }

func (unary) Fill(_ context.Context, s *calls.Size) (*calls.Item, error) { return filled(s), nil }

func (u unary) Wait(ctx context.Context, item *calls.Item) (*calls.Item, error) {
	return item, u.gates.wait(ctx, item.GetText())
}

func (u unary) Started(ctx context.Context, item *calls.Item) (*calls.Item, error) {
	return item, await(ctx, u.gates.of(item.GetText()).started)
}

func (u unary) Release(ctx context.Context, item *calls.Item) (*calls.Item, error) {
	g := u.gates.of(item.GetText())
	if err := await(ctx, g.started); err != nil {
		return nil, err
	}
	g.release()
	return item, nil
}

func (u unary) Ended(ctx context.Context, item *calls.Item) (*calls.Item, error) {
	g := u.gates.of(item.GetText())
	if err := await(ctx, g.ended); err != nil {
		return nil, err
	}
	return &calls.Item{Text: g.end}, nil
}

type streaming struct{ gates *gates }

func (streaming) Join(_ context.Context, stream calls.Streams_JoinServer) (*calls.Item, error) {
	var texts []string
	err := each(stream.Recv, func(item *calls.Item) error {
		texts = append(texts, item.GetText())
		return nil
	})
	return &calls.Item{Text: fmt.Sprintf("%d:%s", len(texts), strings.Join(texts, "|"))}, err
}

func (streaming) Split(_ context.Context, item *calls.Item, stream calls.Streams_SplitServer) error {
	for _, part := range items(item.GetText()) {
		if err := stream.Send(part); err != nil {
			return err
		}
	}
	return nil
}

func (streaming) Turns(_ context.Context, stream calls.Streams_TurnsServer) error {
	return each(stream.Recv, stream.Send)
}

func (streaming) SeeJoin(ctx context.Context, stream calls.Streams_SeeJoinServer) (*calls.Sight, error) {
	err := each(stream.Recv, func(*calls.Item) error { return nil })
	return seen(ctx), err
}

func (streaming) SeeSplit(ctx context.Context, _ *calls.Item, stream calls.Streams_SeeSplitServer) error {
	return stream.Send(seen(ctx))
}

func (streaming) SeeTurns(ctx context.Context, stream calls.Streams_SeeTurnsServer) error {
	return each(stream.Recv, func(*calls.Item) error { return stream.Send(seen(ctx)) })
}

func (streaming) FailJoin(_ context.Context, stream calls.Streams_FailJoinServer) (*calls.Item, error) {
	f, err := stream.Recv()
	if err == nil {
		err = each(stream.Recv, func(*calls.Failure) error { return nil })
	}
	if err != nil {
		return nil, err
	}
	return nil, failure(f)
}

func (streaming) FailSplit(_ context.Context, f *calls.Failure, stream calls.Streams_FailSplitServer) error {
	if err := stream.Send(&calls.Item{Text: f.GetText()}); err != nil {
		return err
	}
	return failure(f)
}

func (streaming) FailTurns(_ context.Context, stream calls.Streams_FailTurnsServer) error {
	f, err := stream.Recv()
	if err != nil {
		return err
	}
	if err := stream.Send(&calls.Item{Text: f.GetText()}); err != nil {
		return err
	}
	return failure(f)
}

func (streaming) Fill(_ context.Context, s *calls.Size, stream calls.Streams_FillServer) error {
	text := "sent"
	if err := stream.Send(filled(s)); err != nil {
		text = "not sent"
	}
	return stream.Send(&calls.Item{Text: text})
}

func (s streaming) Wait(ctx context.Context, item *calls.Item, stream calls.Streams_WaitServer) error {
	if err := s.gates.wait(ctx, item.GetText()); err != nil {
		return err
	}
	return stream.Send(&calls.Item{Text: "released"})
}

// items returns an item for each text between |, and none for "none".
func items(text string) []*calls.Item {
	if text == "none" {
		return nil
	}
	var items []*calls.Item
	for part := range strings.SplitSeq(text, "|") {
		items = append(items, &calls.Item{Text: part})
	}
	return items
}

// each receives messages until the end of the stream, and does something with
// each.
func each[M any](recv func() (M, error), do func(M) error) error {
	for {
		message, err := recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := do(message); err != nil {
			return err
		}
	}
}

// seen returns what a handler sees.
func seen(ctx context.Context) *calls.Sight {
	sight := new(calls.Sight)
	md, _ := ttrpc.GetMetadata(ctx)
	var keys []string
	for key := range md {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	for _, key := range keys {
		for _, value := range md[key] {
			sight.Metadata = append(sight.Metadata, &calls.Pair{Key: key, Value: value})
		}
	}
	if deadline, ok := ctx.Deadline(); ok {
		sight.TimeoutNano = int64(time.Until(deadline))
	}
	return sight
}

func filled(s *calls.Size) *calls.Item {
	return &calls.Item{Data: make([]byte, s.GetBytes())}
}

// failure returns the error that a client has asked for; a negative code asks
// for one without a status.
func failure(f *calls.Failure) error {
	if f.GetCode() < 0 {
		return errors.New(f.GetText())
	}
	s := &spb.Status{Code: f.GetCode(), Message: f.GetText()}
	if f.GetDetail() != "" {
		detail, err := anypb.New(&calls.Item{Text: f.GetDetail()})
		if err != nil {
			return status.Error(codes.Internal, err.Error())
		}
		s.Details = append(s.Details, detail)
	}
	return status.FromProto(s).Err()
}

// gates are the handlers that wait, by the texts that they were called with.
type gates struct {
	mu     sync.Mutex
	byText map[string]*gate
}

// A gate belongs to one handler. Its channels are closed.
type gate struct {
	started, released, ended chan struct{}
	release                  func()
	end                      string // written before ended is closed
}

// of returns the gate for a text.
func (g *gates) of(text string) *gate {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.byText[text] == nil {
		released := make(chan struct{})
		g.byText[text] = &gate{
			started:  make(chan struct{}),
			released: released,
			release:  sync.OnceFunc(func() { close(released) }),
			ended:    make(chan struct{}),
		}
	}
	return g.byText[text]
}

// wait is the handler.
func (g *gates) wait(ctx context.Context, text string) error {
	gate := g.of(text)
	close(gate.started)
	err := await(ctx, gate.released)
	gate.end = "released"
	if err != nil {
		gate.end = err.Error()
	}
	close(gate.ended)
	return err
}

// await waits for a channel to be closed.
func await(ctx context.Context, ended <-chan struct{}) error {
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
