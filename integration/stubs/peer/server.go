// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"io"
	"strconv"

	"github.com/containerd/ttrpc/integration/stubs/calls"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
)

// answer returns what is answered to a text.
func answer(m *calls.Text) *calls.Text { return &calls.Text{Text: m.GetText() + " too"} }

// errNone is what the methods answer that fail.
var errNone = status.Error(codes.NotFound, "there is none")

// A receiver is the side of a stream that gets texts.
type receiver interface{ Recv() (*calls.Text, error) }

// A sender is the side of a stream that sends texts.
type sender interface{ Send(*calls.Text) error }

// join answers all texts of a stream with one.
func join(stream receiver) (*calls.Text, error) {
	all := new(calls.Text)
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		all.Text += m.GetText()
	}
}

// repeat answers a text with several.
func repeat(m *calls.Text, stream sender) error {
	for i := range repeats {
		if err := stream.Send(&calls.Text{Text: m.GetText() + strconv.Itoa(i)}); err != nil {
			return err
		}
	}
	return nil
}

// repeats is the number of messages in each stream.
const repeats = 3

// echo answers each text of a stream.
func echo(stream interface {
	sender
	receiver
}) error {
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := stream.Send(answer(m)); err != nil {
			return err
		}
	}
}

type service struct{}

var _ calls.CallsService = service{}

func (service) Unary(_ context.Context, m *calls.Text) (*calls.Text, error) { return answer(m), nil }

func (service) ClientStream(_ context.Context, stream calls.Calls_ClientStreamServer) (*calls.Text, error) {
	return join(stream)
}

func (service) ServerStream(_ context.Context, m *calls.Text, stream calls.Calls_ServerStreamServer) error {
	return repeat(m, stream)
}

func (service) Bidi(_ context.Context, stream calls.Calls_BidiServer) error { return echo(stream) }

func (service) Nothing(context.Context, *emptypb.Empty) (*emptypb.Empty, error) {
	return new(emptypb.Empty), nil
}

func (service) UnaryFails(context.Context, *calls.Text) (*calls.Text, error) { return nil, errNone }

func (service) StreamFails(_ context.Context, stream calls.Calls_StreamFailsServer) error {
	if _, err := stream.Recv(); err != nil {
		return err
	}
	return errNone
}

type snakeCased struct{}

var _ calls.SnakeCasedService = snakeCased{}

func (snakeCased) SnakeCase(_ context.Context, m *calls.Text) (*calls.Text, error) {
	return answer(m), nil
}

func (snakeCased) Lower(_ context.Context, m *calls.Text) (*calls.Text, error) { return answer(m), nil }

func (snakeCased) ClientStream(_ context.Context, stream calls.SnakeCased_ClientStreamServer) (*calls.Text, error) {
	return join(stream)
}

func (snakeCased) ServerStream(_ context.Context, m *calls.Text, stream calls.SnakeCased_ServerStreamServer) error {
	return repeat(m, stream)
}

func (snakeCased) BidiStream(_ context.Context, stream calls.SnakeCased_BidiStreamServer) error {
	return echo(stream)
}

type unary struct{}

func (unary) Do(_ context.Context, m *calls.Text) (*calls.Text, error) { return answer(m), nil }
