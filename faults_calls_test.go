// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package ttrpc_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/containerd/ttrpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// This file has the callers of the model, and its oracle.

// modelCaller makes the calls of one goroutine of a client.
type modelCaller struct {
	*modelPeer
	rnd  *rand.Rand
	last uint32 // number of the last call; callers of a client use different ones

	refused atomic.Int32 // operations that found the connection ended
}

// modelCall is one call, of any shape, and what may come of it.
type modelCall struct {
	*modelCaller
	shape string
	q     modelMessage // its first message

	ctx    context.Context
	cancel context.CancelFunc
	ends   time.Time // when ctx does, at the latest; zero if it does not

	oversized bool // the request is
	tooLarge  bool // the answer is
	overflows bool // a receiver may get more than it keeps
}

// modelShapes are the calls that there are.
var modelShapes = []func(*modelCall){
	(*modelCall).unary, (*modelCall).unary, (*modelCall).unary, (*modelCall).count, (*modelCall).sum, (*modelCall).echo,
	(*modelCall).pour, (*modelCall).flood, (*modelCall).drop, (*modelCall).oversize, (*modelCall).unknown,
}

// run makes calls, one after the other, and a few when the connection has ended.
func (c *modelCaller) run(calls int) {
	for c.refused.Load() < 3 && calls > 0 {
		calls--
		c.last++
		c.m.books.calls.Add(1)
		call := c.newCall()
		modelShapes[c.rnd.IntN(len(modelShapes))](call)
		call.cancel()
	}
}

// newCall makes up a call.
func (c *modelCaller) newCall() *modelCall {
	call := &modelCall{modelCaller: c, q: modelMessage{
		kind:   'q',
		client: uint32(c.n),
		call:   c.last,
		size:   c.size(),
		fill:   c.size(),
	}}
	if c.rnd.IntN(3) == 0 {
		call.q.delay = uint32(c.rnd.Int64N(c.m.scale.delay.Microseconds()))
	}
	if c.rnd.IntN(5) == 0 {
		call.q.code = byte(1 + c.rnd.IntN(16))
	}
	call.setContext()
	return call
}

// size is the size of a message: most are small.
func (c *modelCaller) size() uint32 {
	sizes := []uint32{0, 10, 100, 500, 600, 3000, 4050, 5000, 20_000, 60_000, 140_000}
	return sizes[c.rnd.IntN(1+c.rnd.IntN(len(sizes)))]
}

// setContext gives the call a context.
func (call *modelCall) setContext() {
	scale := call.m.scale
	now := time.Now()
	ctx := context.Background()
	switch kind := call.rnd.IntN(10); kind {
	case 0, 1, 2:
		call.ctx, call.cancel = ctx, func() {}
	case 3, 4, 5:
		call.ends = now.Add(scale.long)
		ctx = ttrpc.WithMetadata(ctx, ttrpc.MD{"model": {"of a call"}})
		call.ctx, call.cancel = context.WithDeadline(ctx, call.ends)
	case 6, 7:
		call.ends = now.Add(time.Duration(call.rnd.Int64N(int64(scale.short))))
		call.ctx, call.cancel = context.WithDeadline(ctx, call.ends)
	default:
		after := time.Duration(0)
		if kind == 8 {
			after = time.Duration(call.rnd.Int64N(int64(scale.short)))
		}
		call.ends = now.Add(after)
		call.ctx, call.cancel = context.WithCancel(ctx)
		time.AfterFunc(after, call.cancel)
	}
}

// done judges the outcome of an operation of the call that began at start, and
// reports whether it was a success.
func (call *modelCall) done(what string, start time.Time, err error) bool {
	late := time.Since(start)
	if !call.ends.IsZero() && call.ends.After(start) {
		late = time.Since(call.ends)
	}
	if call.m.scale.fake && !call.ends.IsZero() && late > 0 {
		call.errorf("%s of %s returned %v after its context had ended", what, call.shape, late)
	}
	if err == ttrpc.ErrClosed { //nolint:errorlint // bare
		call.refused.Add(1)
	} else if call.refused.Load() > 0 && (what == "Call" || what == "NewStream") {
		call.must(err != nil, "%s succeeds on a connection that has ended", what)
	}
	if why := call.judge(what, err); why != "" {
		call.errorf("%s of %s returned %v (%T): %s; context: %v", what, call.shape, err, err, why, call.ctx.Err())
	}
	return err == nil
}

// judge is the oracle for errors: it returns what is wrong with one, or "".
func (call *modelCall) judge(what string, err error) string {
	st, hasStatus := status.FromError(err)
	var oversized *ttrpc.OversizedMessageErr
	switch {
	case err == nil:
		return ""
	case err == context.Canceled: //nolint:errorlint // bare
		return complain(call.ctx.Err() == err, "its context has not been cancelled") //nolint:errorlint // bare
	case err == context.DeadlineExceeded: //nolint:errorlint // bare; the context itself may be a moment late
		return complain(call.expired(), "its deadline has not passed")
	case err == ttrpc.ErrClosed: //nolint:errorlint // bare
		return complain(call.mayEnd(), "nothing has happened to the connection")
	case errors.As(err, &oversized):
		return complain(call.oversized, "the message is not too large")
	case err == ttrpc.ErrStreamFull: //nolint:errorlint // bare
		return complain(call.overflows || call.corrupted(), "there is room")
	case err == ttrpc.ErrStreamClosed: //nolint:errorlint // bare
		return complain(call.corrupted() || (what == "SendMsg" || what == "CloseSend") && call.shape == "a stream of Deaf",
			"nobody has closed the stream")
	case err == io.EOF: //nolint:errorlint // bare
		return complain(what == "RecvMsg", "nothing can have an end here")
	case errors.Is(err, ttrpc.ErrProtocol), errors.Is(err, proto.Error):
		return complain(call.corrupted(), "nobody has broken the protocol")
	case !hasStatus:
		return "it is of no kind that is documented"
	case call.corrupted(), call.q.code != 0 && st.Message() == status.Convert(call.q.status()).Message() && st.Code() == codes.Code(call.q.code):
		return ""
	}
	switch st.Code() {
	case codes.Canceled: // by a server whose client seems to be gone
		return complain(call.mayEnd(), "nothing has happened to the connection")
	case codes.ResourceExhausted:
		return complain(call.overflows || call.tooLarge, "there is room")
	case codes.Unimplemented:
		return complain(call.shape == "a call of nothing", "the method is there")
	}
	if call.mayEnd() && st.Message() == ttrpc.ErrClosed.Error() {
		return "" // from SendMsg of a handler whose client has half-closed
	}
	return "the handler has not returned it"
}

// expired reports whether the call's deadline has passed.
func (call *modelCall) expired() bool {
	deadline, ok := call.ctx.Deadline()
	return ok && !time.Now().Before(deadline)
}

// complain returns text unless ok.
func complain(ok bool, text string) string {
	if ok {
		return ""
	}
	return text
}

// end books the end of a call.
func (call *modelCall) end(err error) {
	var oversized *ttrpc.OversizedMessageErr
	st, hasStatus := status.FromError(err)
	end := endCorrupted
	switch {
	case err == nil, errors.Is(err, io.EOF), hasStatus && st.Code() == codes.Code(call.q.code):
		end = endAnswered
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded), st.Code() == codes.DeadlineExceeded:
		end = endContext
	case errors.Is(err, ttrpc.ErrClosed), st.Code() == codes.Canceled, st.Message() == ttrpc.ErrClosed.Error():
		end = endClosed
	case errors.As(err, &oversized), errors.Is(err, ttrpc.ErrStreamFull), st.Code() == codes.ResourceExhausted, st.Code() == codes.Unimplemented:
		end = endRefused
	}
	call.m.books.ends[end].Add(1)
}

// must reports something that is wrong unless the connection was corrupted.
func (call *modelCall) must(ok bool, format string, args ...any) {
	if !ok && !call.corrupted() {
		call.errorf("%s: %s", call.shape, fmt.Sprintf(format, args...))
	}
}

// unary calls Answer.
func (call *modelCall) unary() {
	call.shape = "a unary call"
	var got wrapperspb.BytesValue
	start := time.Now()
	err := call.client.Call(call.ctx, modelService, "Answer", call.q.encode(), &got)
	if call.done("Call", start, err) {
		call.must(call.q.code == 0, "success, want %v", call.q.status())
		call.check(&got, call.q.answer(0))
	}
	call.end(err)
}

// oversize calls Answer with too much, or for too much.
func (call *modelCall) oversize() {
	call.shape = "a call that is too large"
	call.q.code = 0
	if call.rnd.IntN(2) == 0 {
		call.oversized = true
		call.q.fill = modelMaxMessage + 1
	} else {
		call.tooLarge = true
		call.q.size = modelMaxMessage + 1
	}
	start := time.Now()
	err := call.client.Call(call.ctx, modelService, "Answer", call.q.encode(), &wrapperspb.BytesValue{})
	call.must(!call.done("Call", start, err), "success")
	call.end(err)
}

// unknown calls what is not there.
func (call *modelCall) unknown() {
	call.shape = "a call of nothing"
	start := time.Now()
	err := call.client.Call(call.ctx, modelService, "Nothing", call.q.encode(), &wrapperspb.BytesValue{})
	call.must(!call.done("Call", start, err), "success")
	call.end(err)
}

// open opens a stream.
func (call *modelCall) open(method string, client, server bool, req any) ttrpc.ClientStream {
	call.shape = "a stream of " + method
	start := time.Now()
	cs, err := call.client.NewStream(call.ctx, &ttrpc.StreamDesc{StreamingClient: client, StreamingServer: server}, modelService, method, req)
	if !call.done("NewStream", start, err) {
		call.end(err)
		return nil
	}
	return cs
}

// sendAll sends n messages, and half-closes the stream. It stops where that
// cannot go on.
func (call *modelCall) sendAll(cs ttrpc.ClientStream, n int) {
	for i := range n {
		m := call.q
		m.index = uint32(i)
		start := time.Now()
		if err := cs.SendMsg(m.encode()); !call.done("SendMsg", start, err) {
			return
		}
		call.m.books.messages.Add(1)
	}
	start := time.Now()
	err := cs.CloseSend()
	if call.done("CloseSend", start, err) {
		call.must(cs.SendMsg(call.q.encode()) != nil, "SendMsg succeeds after CloseSend")
	}
}

// receive receives messages until there are no more, and returns how many there
// were. last is the index that the last of them has, if that is not the number of
// those before.
func (call *modelCall) receive(cs ttrpc.ClientStream, last int) (n int, err error) {
	for {
		var got wrapperspb.BytesValue
		start := time.Now()
		if err = cs.RecvMsg(&got); !call.done("RecvMsg", start, err) {
			break
		}
		index := n
		if last > 0 {
			index = last
		}
		call.check(&got, call.q.answer(index))
		n++
		call.must(n <= max(1, int(call.q.count)), "message %d of %d", n, call.q.count)
		if n > 2000 {
			break // a corrupted stream may be any length
		}
	}
	if err != nil && !call.corrupted() {
		again := cs.RecvMsg(&wrapperspb.BytesValue{})
		call.must(again != nil && again.Error() == err.Error(), "RecvMsg returned %v, and then %v", err, again)
	}
	return n, err
}

// finish judges the end of a stream that had n of all the messages that it was to
// have.
func (call *modelCall) finish(n, all int, err error) {
	_, isStatus := status.FromError(err)
	switch {
	case errors.Is(err, io.EOF):
		call.must(n == all, "%d messages, want %d", n, all)
		call.must(call.q.code == 0, "success, want %v", call.q.status())
	case isStatus && status.Code(err) == codes.Code(call.q.code) && call.q.code != byte(codes.ResourceExhausted) &&
		call.q.code != byte(codes.Canceled) && call.q.code != byte(codes.DeadlineExceeded):
		call.must(n == all, "%d messages before the status, want %d", n, all)
	}
	call.end(err)
}

// small bounds messages, so that all of a stream's fit the budget.
func (call *modelCall) small(n int) {
	call.q.size = min(call.q.size, uint32(modelMaxStream/2/n))
	call.q.fill = min(call.q.fill, uint32(modelMaxStream/2/n))
}

// count has the server stream.
func (call *modelCall) count() {
	n := 1 + call.rnd.IntN(20)
	call.small(n)
	call.q.count = uint32(n)
	if cs := call.open("Count", false, true, call.q.encode()); cs != nil {
		got, err := call.receive(cs, 0)
		call.finish(got, n, err)
	}
}

// sum has the client stream.
func (call *modelCall) sum() {
	n := 1 + call.rnd.IntN(20)
	call.small(n)
	if cs := call.open("Sum", true, false, nil); cs != nil {
		call.sendAll(cs, n)
		got, err := call.receive(cs, n)
		want := 1
		if call.q.code != 0 {
			want = 0
		}
		call.finish(got, want, err)
	}
}

// echo has both stream, at the same time.
func (call *modelCall) echo() {
	n := 1 + call.rnd.IntN(20)
	call.small(n)
	call.q.count = uint32(n)
	if cs := call.open("Echo", true, true, nil); cs != nil {
		var sending sync.WaitGroup
		sending.Go(func() { call.sendAll(cs, n) })
		got, err := call.receive(cs, 0)
		sending.Wait()
		call.finish(got, n, err)
	}
}

// pour sends more than the server keeps, to a handler that does not receive it.
func (call *modelCall) pour() {
	call.overflows = true
	call.q.fill, call.q.count = 2000, 0
	if cs := call.open("Deaf", true, true, nil); cs != nil {
		call.sendAll(cs, 50)
		got, err := call.receive(cs, 0)
		call.finish(got, 0, err)
	}
}

// flood gets more than the client keeps, and receives it late.
func (call *modelCall) flood() {
	call.overflows = true
	call.q.size, call.q.count = 2000, 50
	if cs := call.open("Count", false, true, call.q.encode()); cs != nil {
		<-time.After(time.Duration(call.rnd.Int64N(int64(call.m.scale.delay))))
		got, err := call.receive(cs, 0)
		if errors.Is(err, ttrpc.ErrStreamFull) {
			call.must(got*2000 > modelMaxStream/2, "the stream is full after %d messages", got)
		}
		call.finish(got, 50, err)
	}
}

// drop leaves a stream, which its context then ends.
func (call *modelCall) drop() {
	call.overflows = true
	call.q.size, call.q.count = 2000, 50
	if cs := call.open("Count", false, true, call.q.encode()); cs != nil {
		call.cancel()
		call.end(context.Canceled)
	}
}
