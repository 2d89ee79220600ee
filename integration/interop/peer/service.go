// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/containerd/ttrpc"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const serviceName = "interop.Peer"

// A service answers the calls of the cases.
type service struct{ runs *runs }

func newService() *service { return &service{runs: newRuns()} }

// unaryMethods returns the methods that all releases have.
func (s *service) unaryMethods() map[string]ttrpc.Method {
	return map[string]ttrpc.Method{
		"Ping":     unary(func(_ context.Context, m *empty) (*empty, error) { return m, nil }),
		"Echo":     unary(func(_ context.Context, m *blob) (*blob, error) { return m, nil }),
		"Grow":     unary(func(_ context.Context, m *count) (*blob, error) { return &blob{Value: make([]byte, m.GetValue())}, nil }),
		"Metadata": unary(func(ctx context.Context, m *text) (*text, error) { return metadata(ctx, m.GetValue()), nil }),
		"Deadline": unary(func(ctx context.Context, _ *empty) (*count, error) { return timeLeft(ctx), nil }),
		"Fail":     unary(func(_ context.Context, m *text) (*empty, error) { return nil, failure(m.GetValue()) }),
		"Wait":     unary(s.wait),
		"Ignore":   unary(s.ignore),
	}
}

// unary makes a method of a function, as generated code does.
func unary[Request, Response any](f func(context.Context, *Request) (*Response, error)) ttrpc.Method {
	return func(ctx context.Context, unmarshal func(any) error) (any, error) {
		request := new(Request)
		if err := unmarshal(request); err != nil {
			return nil, err
		}
		return f(ctx, request)
	}
}

// metadata returns the values of a key.
func metadata(ctx context.Context, key string) *text {
	md, ok := ttrpc.GetMetadata(ctx)
	if !ok {
		return &text{Value: "no metadata"}
	}
	values, ok := md.Get(key)
	if !ok {
		return &text{Value: "no such key"}
	}
	return &text{Value: strings.Join(values, ",")}
}

// timeLeft returns the time until the deadline of ctx, in nanoseconds, or 0 if
// it has none.
func timeLeft(ctx context.Context) *count {
	deadline, ok := ctx.Deadline()
	if !ok {
		return &count{}
	}
	return &count{Value: int64(time.Until(deadline))}
}

// errDetailed is an error with details.
func errDetailed() error {
	s, err := status.New(codes.InvalidArgument, "no good").WithDetails(&errdetails.BadRequest{
		FieldViolations: []*errdetails.BadRequest_FieldViolation{{Field: "value", Description: "is odd"}},
	})
	if err != nil {
		return err
	}
	return s.Err()
}

// failures are the errors that a method can be made to return.
var failures = map[string]error{
	"detailed":      errDetailed(),
	"EOF":           io.EOF,
	"UnexpectedEOF": io.ErrUnexpectedEOF,
	"NotExist":      os.ErrNotExist,
	"Exist":         os.ErrExist,
	"Permission":    os.ErrPermission,
	"Canceled":      context.Canceled,
	"Deadline":      context.DeadlineExceeded,
	"plain":         errors.New("plain"),
	"invalid UTF-8": errors.New("a\xffb"),
}

func failure(name string) error {
	if err := failures[name]; err != nil {
		return err
	}
	return fmt.Errorf("no failure is called %q", name)
}

// wait waits until it is released or its context ends.
func (s *service) wait(ctx context.Context, name *text) (*text, error) {
	return name, s.runs.start(name.GetValue()).wait(ctx)
}

// ignore waits until it is released, and has no eye on its context.
func (s *service) ignore(ctx context.Context, name *text) (*text, error) {
	run := s.runs.start(name.GetValue())
	<-run.release
	run.end(endOf(ctx))
	return name, nil
}
