// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/containerd/ttrpc"
	"github.com/containerd/ttrpc/example"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const (
	// requestIDKey is the metadata key of a number that the client's
	// interceptor gives to each unary call.
	requestIDKey = "request-id"

	// deadline is the time that the call with a deadline is given.
	deadline = 250 * time.Millisecond
)

// A session is the client's side of the example: each method is one thing to
// see. It returns an error as soon as something is not as it should be.
type session struct {
	tasks   example.TasksClient
	client  *ttrpc.Client
	closed  chan struct{} // closed when the connection has ended
	journal *journal
}

// connect connects to the server on the unix socket.
func connect(ctx context.Context, socket string, j *journal) (*session, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "unix", socket)
	if err != nil {
		return nil, err
	}
	s := &session{closed: make(chan struct{}), journal: j}
	s.client = ttrpc.NewClient(newTap(conn, j),
		ttrpc.WithUnaryClientInterceptor(numberCalls()),
		ttrpc.WithOnClose(func() { close(s.closed) }),
	)
	s.tasks = example.NewTasksClient(s.client)
	return s, nil
}

// numberCalls returns an interceptor that puts a number into the metadata of
// every unary call.
func numberCalls() ttrpc.UnaryClientInterceptor {
	var calls atomic.Int64
	return func(ctx context.Context, req *ttrpc.Request, resp *ttrpc.Response, _ *ttrpc.UnaryClientInfo, invoke ttrpc.Invoker) error {
		req.Metadata = append(req.Metadata, &ttrpc.KeyValue{
			Key:   requestIDKey,
			Value: strconv.FormatInt(calls.Add(1), 10),
		})
		return invoke(ctx, req, resp)
	}
}

// call connects to the server on the unix socket and shows what there is to see.
func call(ctx context.Context, socket string, j *journal) error {
	s, err := connect(ctx, socket, j)
	if err != nil {
		return err
	}
	defer s.client.Close()
	return s.showAll(ctx)
}

// showAll runs everything that needs no hand on the server. The tasks it starts
// are gone when it has succeeded, so that it can be run again.
func (s *session) showAll(ctx context.Context) error {
	ctx = ttrpc.WithMetadata(ctx, ttrpc.MD{example.NamespaceKey: {"demo"}})
	for _, part := range []struct {
		title string
		show  func(context.Context) error
	}{
		{"Unary calls, and an error status", s.unary},
		{"Client stream: many messages, one answer", s.clientStream},
		{"Bidirectional stream: an answer to every message", s.bidirectional},
		{"Server stream: one question, many answers", s.serverStream},
		{"A deadline passes", s.deadline},
		{"A cancelled call: the handler learns of it", s.cancel},
		{"Tidying up, and an error status on a stream", s.tidy},
	} {
		s.journal.title(part.title)
		if err := part.show(ctx); err != nil {
			return fmt.Errorf("%s: %w", part.title, err)
		}
	}
	return nil
}

func (s *session) unary(ctx context.Context) error {
	task, err := s.tasks.Start(ctx, &example.StartRequest{Id: "build", Program: example.Program_PROGRAM_UPPER})
	if err != nil {
		return err
	}
	s.journal.printf("client", "started %s in namespace %s", task.GetId(), task.GetNamespace())

	_, err = s.tasks.Start(ctx, &example.StartRequest{Id: "build"})
	return s.expect(codes.AlreadyExists, err)
}

func (s *session) clientStream(ctx context.Context) error {
	stream, err := s.tasks.Feed(ctx)
	if err != nil {
		return err
	}
	for _, text := range []string{"compile", "link"} {
		if err := stream.Send(&example.Line{Id: "build", Text: text}); err != nil {
			return err
		}
	}
	resp, err := stream.CloseAndRecv()
	if err != nil {
		return err
	}
	if resp.GetLines() != 2 {
		return fmt.Errorf("fed 2 lines, the task was given %d", resp.GetLines())
	}
	s.journal.printf("client", "fed %d lines", resp.GetLines())
	return nil
}

func (s *session) bidirectional(ctx context.Context) error {
	stream, err := s.tasks.Attach(ctx)
	if err != nil {
		return err
	}
	if err := s.exchange(stream, "test", "TEST"); err != nil {
		return err
	}
	if err := s.exchange(stream, "ship", "SHIP"); err != nil {
		return err
	}
	return s.finish(stream)
}

// exchange sends a line to the task "build" and expects its answer.
func (s *session) exchange(stream example.Tasks_AttachClient, text, answer string) error {
	if err := stream.Send(&example.Line{Id: "build", Text: text}); err != nil {
		return err
	}
	return s.receive(stream.Recv, answer)
}

// receive expects the next line of a stream.
func (s *session) receive(recv func() (*example.Line, error), text string) error {
	line, err := recv()
	if err != nil {
		return err
	}
	if line.GetText() != text {
		return fmt.Errorf("received %q, want %q", line.GetText(), text)
	}
	return nil
}

// finish sends no more, and expects the server to do likewise.
func (s *session) finish(stream example.Tasks_AttachClient) error {
	if err := stream.CloseSend(); err != nil {
		return err
	}
	return s.receiveEnd(stream.Recv)
}

// receiveEnd expects the end of a stream.
func (s *session) receiveEnd(recv func() (*example.Line, error)) error {
	line, err := recv()
	if err == nil {
		return fmt.Errorf("received %q, want the end of the stream", line.GetText())
	}
	if !errors.Is(err, io.EOF) {
		return err
	}
	s.journal.printf("client", "the stream has ended")
	return nil
}

func (s *session) serverStream(ctx context.Context) error {
	stream, err := s.tasks.Logs(ctx, &example.LogsRequest{Id: "build"})
	if err != nil {
		return err
	}
	for _, text := range []string{"(started)", "COMPILE", "LINK", "TEST", "SHIP"} {
		if err := s.receive(stream.Recv, text); err != nil {
			return err
		}
	}
	return s.receiveEnd(stream.Recv)
}

func (s *session) deadline(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	_, err := s.tasks.Wait(ctx, &example.WaitRequest{Id: "build"})
	s.journal.printf("wire", "-> Cancel or <- Response, depending on whose clock is first")
	return s.expect(codes.DeadlineExceeded, err)
}

// cancel abandons a Wait, and reads in the task's log that its handler knows.
func (s *session) cancel(ctx context.Context) error {
	if _, err := s.tasks.Start(ctx, &example.StartRequest{Id: "deploy"}); err != nil {
		return err
	}
	log, err := s.tasks.Logs(ctx, &example.LogsRequest{Id: "deploy", Lines: 3})
	if err != nil {
		return err
	}
	if err := s.receive(log.Recv, "(started)"); err != nil {
		return err
	}
	waiting, cancel := context.WithCancel(ctx)
	defer cancel()
	waited := make(chan error, 1)
	go func() {
		_, err := s.tasks.Wait(waiting, &example.WaitRequest{Id: "deploy"})
		waited <- err
	}()
	if err := s.receive(log.Recv, "(a waiter has come)"); err != nil {
		return err
	}
	cancel()
	if err := s.receive(log.Recv, "(a waiter has gone: context canceled)"); err != nil {
		return err
	}
	if err := s.receiveEnd(log.Recv); err != nil {
		return err
	}
	return s.expect(codes.Canceled, <-waited)
}

func (s *session) tidy(ctx context.Context) error {
	for _, id := range []string{"build", "deploy"} {
		task, err := s.tasks.Stop(ctx, &example.StopRequest{Id: id})
		if err != nil {
			return err
		}
		s.journal.printf("client", "stopped %s", task.GetId())
	}
	stream, err := s.tasks.Logs(ctx, &example.LogsRequest{Id: "build"})
	if err != nil {
		return err
	}
	_, err = stream.Recv()
	return s.expect(codes.NotFound, err)
}

// expect notes an error that was meant to come. A context of our own that ended
// is reported as the context's error; what the server reports is a status.
func (s *session) expect(want codes.Code, err error) error {
	st := status.FromContextError(err)
	if st.Code() == codes.Unknown {
		st = status.Convert(err)
	}
	if st.Code() == codes.OK {
		return fmt.Errorf("want the status %s, got none", want)
	}
	if st.Code() != want {
		return fmt.Errorf("want the status %s, got: %w", want, err)
	}
	s.journal.printf("client", "as expected: %s: %s", st.Code(), st.Message())
	return nil
}
