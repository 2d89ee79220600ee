// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

//go:build !v11

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/containerd/ttrpc"
)

// streamCases are those of streams.
var streamCases = []testCase{
	{"server stream", serverStreamCall},
	{"server stream, empty request", emptyRequest},
	{"server stream of empty messages", emptyMessages},
	{"server stream of nil", nilMessages},
	{"client stream", clientStreamCall},
	{"client stream without messages", emptyClientStream},
	{"bidirectional, one by one", func(c *caller) string { return c.streamEcho(100, 100) }},
	{"bidirectional, all at once", echoAtOnce},
	{"bidirectional, large messages", func(c *caller) string { return c.streamEcho(8, 1<<20) }},
	{"bidirectional, largest message", func(c *caller) string { return c.streamEcho(1, maxFrame-field) }},
	{"bidirectional, client sends nil", sendNil},
	{"half-close, then the server sends", halfClose},
	{"stream with a first message", firstMessage},
	{"stream: oversize from the client", oversizeFromClient},
	{"stream: oversize from the server", oversizeFromServer},
	{"stream: error with details", streamError},
	{"stream: unknown method", unknownStream},
	{"stream: metadata", streamMetadata},
	{"stream: deadline", streamDeadline},
	{"stream: server ends first", serverEndsFirst},
	{"stream: cancel", cancelStream},
	{"stream: cancel while the server sends", cancelFlood},
	{"concurrent streams", concurrentStreams},
	{"stream on a unary method, answered", streamOnAnswered},
	{"end of server: stream on a unary method, running", streamOnRunning},
	{"stream to a server without streams", streamWithoutStreams},
	{"end of connection: client closes during streams", closeDuringStreams},
}

// Kinds of methods.
var (
	fromServer = &ttrpc.StreamDesc{StreamingServer: true}
	fromClient = &ttrpc.StreamDesc{StreamingClient: true}
	both       = &ttrpc.StreamDesc{StreamingClient: true, StreamingServer: true}
)

// open opens a stream of the service.
func (c *connection) open(ctx context.Context, desc *ttrpc.StreamDesc, method string, request any) (ttrpc.ClientStream, error) {
	return c.NewStream(ctx, desc, serviceName, method, request)
}

// end wants the end of a stream, which stays the end.
func end(stream ttrpc.ClientStream) string {
	return join(
		wrong("end", describe(stream.RecvMsg(&blob{})), "io.EOF"),
		wrong("end, again", describe(stream.RecvMsg(&blob{})), "io.EOF"),
	)
}

// receiveCounts wants numbers in their order.
func receiveCounts(stream ttrpc.ClientStream, numbers func(yield func(int64) bool)) string {
	for want := range numbers {
		var m count
		if err := stream.RecvMsg(&m); err != nil {
			return fmt.Sprintf("message %d: %s", want, describe(err))
		}
		if m.GetValue() != want {
			return fmt.Sprintf("message %d: got %d", want, m.GetValue())
		}
	}
	return ""
}

// below yields the numbers below n.
func below(n int64) func(yield func(int64) bool) {
	return func(yield func(int64) bool) {
		for i := range n {
			if !yield(i) {
				return
			}
		}
	}
}

// downFrom yields them in the other direction.
func downFrom(n int64) func(yield func(int64) bool) {
	return func(yield func(int64) bool) {
		for i := range n {
			if !yield(n - 1 - i) {
				return
			}
		}
	}
}

func serverStreamCall(c *caller) string {
	ctx, cancel := patiently()
	defer cancel()
	for _, n := range []int64{1, int64(c.scale(300))} {
		stream, err := c.open(ctx, fromServer, "Count", &count{Value: n})
		if err != nil {
			return describe(err)
		}
		if outcome := join(receiveCounts(stream, below(n)), end(stream)); outcome != "" {
			return fmt.Sprintf("stream of %d: %s", n, outcome)
		}
	}
	return ""
}

// enough is how long to wait for what some releases never do.
const enough = 2 * time.Second

// emptyRequest opens a stream with an empty message, as any whose fields have
// their default values is.
func emptyRequest(c *caller) string {
	ctx, cancel := context.WithTimeout(context.Background(), enough)
	defer cancel()
	stream, err := c.open(ctx, fromServer, "Count", &count{})
	if err != nil {
		return describe(err)
	}
	return wrong("end", describeCode(stream.RecvMsg(&blob{})), "io.EOF")
}

func emptyMessages(c *caller) string { return c.receiveEmpty("Empties") }

func nilMessages(c *caller) string { return c.receiveEmpty("Nils") }

func (c *caller) receiveEmpty(method string) string {
	ctx, cancel := patiently()
	defer cancel()
	stream, err := c.open(ctx, fromServer, method, &count{Value: 3})
	if err != nil {
		return describe(err)
	}
	for range 3 {
		if err := stream.RecvMsg(&blob{}); err != nil {
			return describe(err)
		}
	}
	return end(stream)
}

func clientStreamCall(c *caller) string { return c.sum(int64(c.scale(300))) }

func emptyClientStream(c *caller) string { return c.sum(0) }

// sum sends numbers and wants their sum.
func (c *caller) sum(n int64) string {
	ctx, cancel := patiently()
	defer cancel()
	stream, err := c.open(ctx, fromClient, "Sum", nil)
	if err != nil {
		return describe(err)
	}
	for i := range n {
		if err := stream.SendMsg(&count{Value: i}); err != nil {
			return describe(err)
		}
	}
	if err := stream.CloseSend(); err != nil {
		return describe(err)
	}
	var total count
	if err := stream.RecvMsg(&total); err != nil {
		return describe(err)
	}
	return join(wrong("sum", fmt.Sprint(total.GetValue()), fmt.Sprint(n*(n-1)/2)), end(stream))
}

// streamEcho sends messages, and wants each back before it sends the next one.
func (c *connection) streamEcho(messages, size int) string {
	ctx, cancel := patiently()
	defer cancel()
	stream, err := c.open(ctx, both, "StreamEcho", nil)
	if err != nil {
		return describe(err)
	}
	for i := range messages {
		sent := &blob{Value: bytes.Repeat([]byte{byte(i)}, size)}
		if err := stream.SendMsg(sent); err != nil {
			return "send: " + describe(err)
		}
		var got blob
		if err := stream.RecvMsg(&got); err != nil {
			return "receive: " + describe(err)
		}
		if !bytes.Equal(got.GetValue(), sent.GetValue()) {
			return "other bytes came back"
		}
	}
	if err := stream.CloseSend(); err != nil {
		return describe(err)
	}
	return end(stream)
}

// echoAtOnce sends while it receives.
func echoAtOnce(c *caller) string {
	messages := c.scale(1000)
	ctx, cancel := patiently()
	defer cancel()
	stream, err := c.open(ctx, both, "StreamEcho", nil)
	if err != nil {
		return describe(err)
	}
	sent := make(chan error, 1)
	go func() {
		for i := range messages {
			if err := stream.SendMsg(&blob{Value: make([]byte, i)}); err != nil {
				sent <- err
				return
			}
		}
		sent <- stream.CloseSend()
	}()
	for i := range messages {
		var m blob
		if err := stream.RecvMsg(&m); err != nil {
			return fmt.Sprintf("message %d: %s", i, describe(err))
		}
		if len(m.GetValue()) != i {
			return fmt.Sprintf("message %d has %d bytes", i, len(m.GetValue()))
		}
	}
	return join(wrong("send", describe(<-sent), "ok"), end(stream))
}

func sendNil(c *caller) string {
	ctx, cancel := patiently()
	defer cancel()
	stream, err := c.open(ctx, both, "StreamEcho", nil)
	if err != nil {
		return describe(err)
	}
	for range 3 {
		if err := stream.SendMsg(nil); err != nil {
			return describe(err)
		}
		if err := stream.RecvMsg(&blob{}); err != nil {
			return describe(err)
		}
	}
	if err := stream.CloseSend(); err != nil {
		return describe(err)
	}
	return end(stream)
}

func halfClose(c *caller) string {
	const messages = 50
	ctx, cancel := patiently()
	defer cancel()
	stream, err := c.open(ctx, both, "Reverse", nil)
	if err != nil {
		return describe(err)
	}
	for i := range messages {
		if err := stream.SendMsg(&count{Value: int64(i)}); err != nil {
			return describe(err)
		}
	}
	if err := stream.CloseSend(); err != nil {
		return describe(err)
	}
	return join(
		wrong("send after it", describe(stream.SendMsg(&count{})), ttrpc.ErrStreamClosed.Error()),
		receiveCounts(stream, downFrom(messages)),
		end(stream),
	)
}

// firstMessage opens a stream with a message in its request.
func firstMessage(c *caller) string {
	ctx, cancel := patiently()
	defer cancel()
	stream, err := c.open(ctx, both, "Reverse", &count{Value: 1})
	if err != nil {
		return describe(err)
	}
	if err := errors.Join(stream.SendMsg(&count{Value: 0}), stream.CloseSend()); err != nil {
		return describe(err)
	}
	return join(receiveCounts(stream, below(2)), end(stream))
}

func oversizeFromClient(c *caller) string {
	ctx, cancel := patiently()
	defer cancel()
	stream, err := c.open(ctx, both, "StreamEcho", nil)
	if err != nil {
		return describe(err)
	}
	if err := stream.SendMsg(&blob{Value: make([]byte, maxFrame-field+1)}); err == nil {
		return "sent; receive: " + describeCode(stream.RecvMsg(&blob{}))
	} else if code := describeCode(err); code != "ResourceExhausted" {
		return "send: " + code
	}
	if err := stream.SendMsg(&blob{}); err != nil {
		return "send again: " + describe(err)
	}
	return wrong("receive", describe(stream.RecvMsg(&blob{})), "ok")
}

// oversizeFromServer says what comes of a message that the server's handler
// cannot send.
func oversizeFromServer(c *caller) string {
	ctx, cancel := patiently()
	defer cancel()
	stream, err := c.open(ctx, fromServer, "Grow2", &count{Value: maxFrame - field + 1})
	if err != nil {
		return describe(err)
	}
	return wrong("receive", describeCode(stream.RecvMsg(&blob{})), "ResourceExhausted")
}

func streamError(c *caller) string {
	ctx, cancel := patiently()
	defer cancel()
	stream, err := c.open(ctx, both, "StreamFail", nil)
	if err != nil {
		return describe(err)
	}
	if err := stream.SendMsg(&blob{Value: []byte("x")}); err != nil {
		return describe(err)
	}
	if err := stream.RecvMsg(&blob{}); err != nil {
		return "message: " + describe(err)
	}
	return describeDetailed(stream.RecvMsg(&blob{}))
}

func unknownStream(c *caller) string {
	ctx, cancel := patiently()
	defer cancel()
	stream, err := c.open(ctx, both, "Nothing", nil)
	if err != nil {
		return "open: " + describe(err)
	}
	return wrong("receive", describe(stream.RecvMsg(&blob{})), `status Unimplemented "method Nothing"`)
}

func streamMetadata(c *caller) string {
	ctx, cancel := patiently()
	defer cancel()
	ctx = ttrpc.WithMetadata(ctx, ttrpc.MD{"key": {"one", "two"}})
	stream, err := c.open(ctx, fromServer, "StreamMetadata", &text{Value: "key"})
	if err != nil {
		return describe(err)
	}
	var m text
	if err := stream.RecvMsg(&m); err != nil {
		return describe(err)
	}
	return join(wrong("server sees", m.GetValue(), "one,two"), end(stream))
}

func streamDeadline(c *caller) string {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	stream, err := c.open(ctx, fromServer, "StreamDeadline", &text{Value: "x"})
	if err != nil {
		return describe(err)
	}
	var left count
	if err := stream.RecvMsg(&left); err != nil {
		return describe(err)
	}
	switch left := time.Duration(left.GetValue()); {
	case left == 0:
		return "server sees no deadline"
	case left < 0 || left > patience:
		return fmt.Sprint("time left: ", left)
	}
	return end(stream)
}

// serverEndsFirst sends on after the server has ended the stream.
func serverEndsFirst(c *caller) string {
	ctx, cancel := patiently()
	defer cancel()
	stream, err := c.open(ctx, fromClient, "First", nil)
	if err != nil {
		return describe(err)
	}
	var result count
	if err := stream.SendMsg(&count{Value: 7}); err != nil {
		return describe(err)
	}
	if err := stream.RecvMsg(&result); err != nil {
		return describe(err)
	}
	sends := make(map[string]int)
	for range 50 {
		sends[describe(stream.SendMsg(&count{}))]++
	}
	return join(wrong("result", fmt.Sprint(result.GetValue()), "7"), wrong("sends", tally(sends), "50 ttrpc: stream closed"))
}

func cancelStream(c *caller) string {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	stream, err := c.open(ctx, fromServer, "StreamWait", &text{Value: c.name()})
	if err != nil {
		return describe(err)
	}
	if err := stream.RecvMsg(&text{}); err != nil {
		return describe(err)
	}
	c.do("started %s 1", c.name())
	cancel()
	return join(
		wrong("receive", describe(stream.RecvMsg(&text{})), "context.Canceled"),
		wrong("ping", describe(c.ping(c.connection)), "ok"),
		wrong("handler", c.do("release %s", c.name()), "1 canceled"),
	)
}

// cancelFlood cancels a stream of which many messages are still to come.
func cancelFlood(c *caller) string {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	stream, err := c.open(ctx, fromServer, "Flood", &text{Value: fmt.Sprintf("%s %d", c.name(), c.scale(flooding))})
	if err != nil {
		return describe(err)
	}
	for range 10 {
		if err := stream.RecvMsg(&blob{}); err != nil {
			return describe(err)
		}
	}
	cancel()
	if ended := c.do("ended %s", c.name()); ended == "1 running" {
		return "the handler still runs"
	}
	ctx, cancel = context.WithTimeout(context.Background(), enough)
	defer cancel()
	err = c.call(ctx, "Ping", &empty{}, &empty{})
	c.stuck = err != nil
	return wrong("another call", describeCode(err), "OK")
}

func concurrentStreams(c *caller) string {
	n := c.scale(200) / 2
	ends := parallel(n, func(i int) error {
		if outcome := c.streamEcho(10, 100*i); outcome != "" {
			return errors.New(outcome)
		}
		return nil
	})
	return wrong("streams", ends, fmt.Sprintf("%d ok", n))
}

// streamOnAnswered opens a stream on a method that is unary, and sends when it
// has the answer.
func streamOnAnswered(c *caller) string {
	ctx, cancel := patiently()
	defer cancel()
	stream, err := c.open(ctx, both, "Ping", nil)
	if err != nil {
		return describe(err)
	}
	if err := stream.RecvMsg(&empty{}); err != nil {
		return describe(err)
	}
	return wrong("send", describe(stream.SendMsg(&empty{})), ttrpc.ErrStreamClosed.Error())
}

// streamOnRunning sends while the method runs.
func streamOnRunning(c *caller) string {
	ctx, cancel := patiently()
	defer cancel()
	stream, err := c.open(ctx, both, "Wait", &text{Value: c.name()})
	if err != nil {
		return describe(err)
	}
	c.do("started %s 1", c.name())
	if err := stream.SendMsg(&text{Value: "more"}); err != nil {
		return "send: " + describe(err)
	}
	return join(
		wrong("receive", describeCode(stream.RecvMsg(&text{})), "InvalidArgument"),
		wrong("then", describe(c.ping(c.connection)), "ok"),
	)
}

// streamWithoutStreams opens streams at a server that knows only calls.
func streamWithoutStreams(c *caller) string {
	ctx, cancel := patiently()
	defer cancel()
	for _, desc := range []*ttrpc.StreamDesc{fromServer, fromClient, both} {
		stream, err := c.open(ctx, desc, "Count", &count{Value: 3})
		if err != nil {
			return describe(err)
		}
		if desc.StreamingClient {
			for range 3 { // until the answer is there; it says what is wrong
				_ = stream.SendMsg(&count{})
			}
		}
		if code := describeCode(stream.RecvMsg(&count{})); code != "Unimplemented" {
			return "receive: " + code
		}
	}
	return ""
}

func closeDuringStreams(c *caller) string {
	ctx, cancel := patiently()
	defer cancel()
	wait := c.openWaiting(ctx, c.name())
	err := c.connection.Close()
	return join(
		wrong("Close", describe(err), "ok"),
		wrong("streams", wait(), fmt.Sprintf("%d ErrClosed", callsInFlight)),
		wrong("handlers", c.do("ended %s", c.name()), fmt.Sprintf("%d canceled", callsInFlight)),
	)
}

// openWaiting opens streams whose handlers wait. The result waits for their ends,
// and says how they were.
func (c *caller) openWaiting(ctx context.Context, name string) (wait func() string) {
	ends := make(chan string, callsInFlight)
	for range callsInFlight {
		stream, err := c.open(ctx, fromServer, "StreamWait", &text{Value: name})
		if err != nil {
			ends <- describe(err)
			continue
		}
		go func() {
			var err error
			for err == nil {
				err = stream.RecvMsg(&text{})
			}
			if errors.Is(err, io.EOF) {
				err = nil
			}
			ends <- describe(err)
		}()
	}
	c.do("started %s %d", name, callsInFlight)
	return func() string {
		all := make(map[string]int)
		for range callsInFlight {
			all[<-ends]++
		}
		return tally(all)
	}
}

// useStreams uses some streams, and returns what was wrong.
func (c *caller) useStreams() string {
	return join(serverStreamCall(c), clientStreamCall(c), c.streamEcho(10, 10))
}
