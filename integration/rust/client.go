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
	"strings"
	"sync"
	"time"

	"github.com/containerd/ttrpc"
	"github.com/containerd/ttrpc/integration/rust/calls"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// A client answers commands, each by one line. Those that are not a call are:
//
//	connect ADDRESS      for all calls that follow
//	disconnect
//	start NAME COMMAND   runs it behind
//	finish NAME          waits for it; its answer
//	abort NAME           gives it up
type client interface {
	answer(ctx context.Context, command string) (string, error)
}

// ours is the client of our library.
type ours struct {
	client *ttrpc.Client
	behind map[string]*call
}

// A call runs behind.
type call struct {
	cancel context.CancelFunc
	answer chan string // holds one
}

// answer implements client.
func (o *ours) answer(ctx context.Context, line string) (string, error) {
	verb, rest, _ := strings.Cut(line, " ")
	switch verb {
	case "connect":
		conn, err := net.Dial("unix", strings.TrimPrefix(rest, "unix://"))
		if err != nil {
			return "", err
		}
		if o.client != nil {
			o.client.Close()
		}
		o.client = ttrpc.NewClient(conn, ttrpc.WithUnaryClientInterceptor(toServerOnly))
		return "connected", nil
	case "disconnect":
		return "disconnected", o.client.Close()
	case "start":
		name, line, _ := strings.Cut(rest, " ")
		ctx, cancel := context.WithCancel(ctx)
		started := &call{cancel: cancel, answer: make(chan string, 1)}
		o.behind[name] = started
		go func() { started.answer <- run(ctx, o.client, line) }()
		return "started", nil
	case "finish":
		return <-o.behind[rest].answer, nil
	case "abort":
		o.behind[rest].cancel()
		return <-o.behind[rest].answer, nil
	}
	return run(ctx, o.client, line), nil
}

// serverTimeout is the context key of a timeout that is sent, and not kept.
type serverTimeout struct{}

// toServerOnly is an interceptor that puts such a timeout into the Request.
func toServerOnly(ctx context.Context, req *ttrpc.Request, resp *ttrpc.Response, _ *ttrpc.UnaryClientInfo, invoke ttrpc.Invoker) error {
	if timeout, ok := ctx.Value(serverTimeout{}).(time.Duration); ok {
		req.TimeoutNano = timeout.Nanoseconds()
	}
	return invoke(ctx, req, resp)
}

// A command is a name, an argument, and a context with a timeout and metadata.
type command struct{ name, arg string }

// parse parses a command (see peer/src/command.rs). The option server-timeout=
// exists here only.
func parse(ctx context.Context, line string) (context.Context, context.CancelFunc, command) {
	words := strings.Fields(line)
	cancel := func() {}
	c := command{name: words[0]}
	md := make(ttrpc.MD)
	for _, word := range words[1:] {
		if ms, ok := strings.CutPrefix(word, "timeout="); ok {
			ctx, cancel = context.WithTimeout(ctx, time.Duration(atoi(ms))*time.Millisecond)
		} else if ms, ok := strings.CutPrefix(word, "server-timeout="); ok {
			ctx = context.WithValue(ctx, serverTimeout{}, time.Duration(atoi(ms))*time.Millisecond)
		} else if pair, ok := strings.CutPrefix(word, "md="); ok {
			key, value, _ := strings.Cut(pair, ":")
			md.Append(key, value)
		} else {
			c.arg = word
		}
	}
	if len(md) > 0 {
		ctx = ttrpc.WithMetadata(ctx, md)
	}
	return ctx, cancel, c
}

// run makes the call of a command.
func run(ctx context.Context, client *ttrpc.Client, line string) string {
	ctx, cancel, c := parse(ctx, line)
	defer cancel()
	unary, streams := calls.NewCallsClient(client), calls.NewStreamsClient(client)
	switch c.name {
	case "many":
		return many(ctx, unary, c.arg)
	case "request":
		service, method, _ := strings.Cut(c.arg, "/")
		err := client.Call(ctx, service, method, new(calls.Item), new(calls.Item))
		return shown("answered", err)
	case "echo":
		return showItem(unary.Echo(ctx, c.item()))
	case "send":
		return showItem(unary.Echo(ctx, filled(c.size())))
	case "see":
		return showSight(unary.See(ctx, c.item()))
	case "fail":
		return showItem(unary.Fail(ctx, c.failure()))
	case "fill":
		return showItem(unary.Fill(ctx, c.size()))
	case "wait":
		return showItem(unary.Wait(ctx, c.item()))
	case "started":
		return showItem(unary.Started(ctx, c.item()))
	case "release":
		return showItem(unary.Release(ctx, c.item()))
	case "ended":
		return showItem(unary.Ended(ctx, c.item()))

	case "join":
		return up(ctx, streams.Join, items(c.arg), showItem)
	case "see-join":
		return up(ctx, streams.SeeJoin, items(c.arg), showSight)
	case "fail-join":
		return up(ctx, streams.FailJoin, []*calls.Failure{c.failure()}, showItem)

	case "split":
		return down(ctx, streams.Split, c.item(), showItem)
	case "see-split":
		return down(ctx, streams.SeeSplit, c.item(), showSight)
	case "fail-split":
		return down(ctx, streams.FailSplit, c.failure(), showItem)
	case "fill-stream":
		return down(ctx, streams.Fill, c.size(), showItem)
	case "wait-stream":
		return down(ctx, streams.Wait, c.item(), showItem)

	case "turns":
		return turns(ctx, streams.Turns, items(c.arg), showItem)
	case "see-turns":
		return turns(ctx, streams.SeeTurns, items(c.arg), showSight)
	case "fail-turns":
		return failTurns(ctx, streams, c.failure())
	case "pour":
		return pour(ctx, streams, atoi(c.arg))
	}
	return "unknown command " + c.name
}

func (c command) item() *calls.Item { return &calls.Item{Text: c.arg} }

func (c command) size() *calls.Size { return &calls.Size{Bytes: uint32(atoi(c.arg))} }

func (c command) failure() *calls.Failure {
	parts := append(strings.SplitN(c.arg, ":", 3), "", "")
	return &calls.Failure{Code: int32(atoi(parts[0])), Text: parts[1], Detail: parts[2]}
}

// atoi parses a number of a command, which is right.
func atoi(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil {
		panic(err)
	}
	return n
}

// shown writes a value, or the error there is instead.
func shown(value string, err error) string {
	if err == nil {
		return value
	}
	s, ok := status.FromError(err)
	if !ok {
		return "error " + err.Error()
	}
	value = fmt.Sprintf("status %d %q", s.Code(), s.Message())
	for _, detail := range s.Proto().GetDetails() {
		item := new(calls.Item)
		value += " " + detail.GetTypeUrl() + ": " + showItem(item, proto.Unmarshal(detail.GetValue(), item))
	}
	return value
}

func showItem(item *calls.Item, err error) string {
	if n := len(item.GetData()); n > 0 {
		return shown(fmt.Sprintf("%d bytes", n), err)
	}
	return shown(strconv.Quote(item.GetText()), err)
}

func showSight(sight *calls.Sight, err error) string {
	var words []string
	for _, pair := range sight.GetMetadata() {
		words = append(words, pair.GetKey()+"="+pair.GetValue())
	}
	if sight.GetTimeoutNano() > 0 {
		words = append(words, "deadline")
	} else {
		words = append(words, "no deadline")
	}
	return shown(strings.Join(words, " "), err)
}

// many makes calls in several goroutines at the same time.
func many(ctx context.Context, unary calls.CallsService, counts string) string {
	goroutines, count, _ := strings.Cut(counts, "x")
	var (
		wait  sync.WaitGroup
		mu    sync.Mutex
		wrong []string
	)
	for i := range atoi(goroutines) {
		wait.Go(func() {
			for j := range atoi(count) {
				text := fmt.Sprintf("%d.%d", i, j)
				got, want := showItem(unary.Echo(ctx, &calls.Item{Text: text})), strconv.Quote(text)
				if got != want {
					mu.Lock()
					wrong = append(wrong, got+", not "+want)
					mu.Unlock()
				}
			}
		})
	}
	wait.Wait()
	all := atoi(goroutines) * atoi(count)
	if len(wrong) > 0 {
		return fmt.Sprintf("%d of %d not answered: %s", len(wrong), all, wrong[0])
	}
	return fmt.Sprintf("%d answered", all)
}

// An upstream, a downstream and an exchange are what generated streams of the
// three shapes have in common.
type (
	upstream[Q, P any] interface {
		Send(Q) error
		CloseAndRecv() (P, error)
	}
	downstream[P any]  interface{ Recv() (P, error) }
	exchange[Q, P any] interface {
		downstream[P]
		Send(Q) error
		CloseSend() error
	}
)

// up sends messages, and receives one.
func up[S upstream[Q, P], Q, P any](ctx context.Context, open func(context.Context) (S, error), messages []Q, show func(P, error) string) string {
	stream, err := open(ctx)
	if err != nil {
		return shown("", err)
	}
	for _, message := range messages {
		if err := stream.Send(message); err != nil {
			return shown("", err)
		}
	}
	return show(stream.CloseAndRecv())
}

// down receives messages until the end.
func down[S downstream[P], Q, P any](ctx context.Context, open func(context.Context, Q) (S, error), message Q, show func(P, error) string) string {
	stream, err := open(ctx, message)
	if err != nil {
		return shown("", err)
	}
	return rest(nil, stream, show)
}

// rest receives messages until the end, and writes them behind those that were
// received before.
func rest[P any](said []string, stream downstream[P], show func(P, error) string) string {
	for {
		message, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return strings.Join(append(said, "end"), " ")
		}
		said = append(said, show(message, err))
		if err != nil {
			return strings.Join(said, " ")
		}
	}
}

// turns sends messages, and receives one after each.
func turns[S exchange[Q, P], Q, P any](ctx context.Context, open func(context.Context) (S, error), messages []Q, show func(P, error) string) string {
	stream, err := open(ctx)
	if err != nil {
		return shown("", err)
	}
	var said []string
	for _, message := range messages {
		if err := stream.Send(message); err != nil {
			return strings.Join(append(said, shown("", err)), " ")
		}
		answer, err := stream.Recv()
		said = append(said, show(answer, err))
		if err != nil {
			return strings.Join(said, " ")
		}
	}
	if err := stream.CloseSend(); err != nil {
		return strings.Join(append(said, shown("", err)), " ")
	}
	return rest(said, stream, show)
}

// failTurns sends a message, receives until there is an error, and sends once
// more.
func failTurns(ctx context.Context, streams calls.StreamsClient, f *calls.Failure) string {
	stream, err := streams.FailTurns(ctx)
	if err != nil {
		return shown("", err)
	}
	said := []string{shown("sent", stream.Send(f))}
	for err == nil {
		var item *calls.Item
		item, err = stream.Recv()
		said = append(said, showItem(item, err))
	}
	return strings.Join(append(said, shown("sent", stream.Send(f))), " ")
}

// pour sends and receives messages at the same time.
func pour(ctx context.Context, streams calls.StreamsClient, count int) string {
	stream, err := streams.Turns(ctx)
	if err != nil {
		return shown("", err)
	}
	sent := make(chan error, 1)
	go func() {
		for i := range count {
			if err := stream.Send(&calls.Item{Text: strconv.Itoa(i)}); err != nil {
				sent <- err
				return
			}
		}
		sent <- stream.CloseSend()
	}()
	received, end := 0, "end"
	err = each(stream.Recv, func(item *calls.Item) error {
		if item.GetText() != strconv.Itoa(received) {
			return fmt.Errorf("%q out of turn", item.GetText())
		}
		received++
		return nil
	})
	if err != nil {
		end = shown("", err)
	}
	return fmt.Sprintf("%s %d %s", shown("sent", <-sent), received, end)
}
