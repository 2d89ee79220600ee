// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package ttrpc

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// serverCall is one call that a server has received, unary or, with stream set,
// a stream. It is also the context of its handler.
//
// It is answered once: by what the handler returns, or before that by its
// deadline, by an offence of the client's, or by the client's having cancelled
// it, which is answered by silence. The handler then runs on, for nobody, until
// it sees that its context has ended.
type serverCall struct {
	callContext

	// immutable once the handler has been started
	method *unaryMethod
	stream *serverStream
	id     uint32
	size   uint32 // of the Request, in bytes

	goroutine atomic.Uint64 // the one that runs the handler

	// payloadMu is held while the payload is decoded.
	payloadMu sync.Mutex
	payload   []byte
	buf       *buffer // what payload lies in, if that is not the worker's
	returned  bool    // the handler has

	ending bool // set by onSend for finish

	// guarded by sc.mu
	answered   bool
	inShutdown int32 // how often the handler is in Server.Shutdown
}

// serverCallKey is where a handler's context has its call.
type serverCallKey struct{}

// smallPayload is the largest request that lies in its worker's memory.
const smallPayload = 512

// errAnswered says that a call needs no answer any more.
var errAnswered = errors.New("call has been answered")

func newServerCall(sc *serverConn, id uint32, req *inRequest) *serverCall {
	call := &serverCall{id: id}
	call.sc, call.md = sc, req.md
	return call
}

// Value is callContext's, and finds the call itself.
func (c *serverCall) Value(key any) any {
	if _, ok := key.(serverCallKey); ok {
		return c
	}
	return c.callContext.Value(key)
}

// keepPayload stores the request until the handler, which w is going to run, has
// returned. payload lies in buf or, if that is nil, in memory that is about to be
// used otherwise.
func (c *serverCall) keepPayload(payload []byte, buf *buffer, w *worker) {
	switch {
	case buf != nil:
		c.payload, c.buf = payload, buf
	case len(payload) <= smallPayload:
		w.input = append(w.input[:0], payload...)
		c.payload = w.input
	default:
		c.buf = copyBuffer(payload)
		c.payload = c.buf.b
	}
}

func (c *serverCall) releasePayload() {
	c.payloadMu.Lock()
	defer c.payloadMu.Unlock()
	c.buf.release()
	c.payload, c.buf, c.returned = nil, nil, true
}

// unmarshal is the Unmarshaler that the handler is given.
func (c *serverCall) unmarshal(into any) error {
	c.payloadMu.Lock()
	defer c.payloadMu.Unlock()
	if c.returned {
		return status.Error(codes.Internal, "ttrpc: request used after its handler returned")
	}
	return c.sc.server.decodeRequest(c.payload, into)
}

// startDeadline sets the deadline that came with the request, if one did.
func (c *serverCall) startDeadline(timeoutNano int64) {
	if timeoutNano == 0 {
		return
	}
	timeout := time.Duration(timeoutNano)
	c.deadline = &callDeadline{at: time.Now().Add(timeout)}
	if timeout < 0 {
		c.expire()
		return
	}
	c.deadline.after(timeout, c.deadlinePassed)
}

// deadlinePatience is how long a call's answer waits for the handler, when the
// deadline has passed. The client keeps the deadline as well, and has an error for
// it that is not a status: released ones return whichever comes first.
const deadlinePatience = 50 * time.Millisecond

// deadlinePassed lets the handler know that nobody waits for it, in a goroutine of
// the timer's. If it does not return, the call is answered without it.
func (c *serverCall) deadlinePassed() {
	c.abandon(context.DeadlineExceeded)
	c.deadline.after(deadlinePatience, c.expire)
}

// expire answers the call, whose deadline has passed, unless it has been answered.
func (c *serverCall) expire() {
	if c.answerEarly(statusFromError(context.DeadlineExceeded), context.DeadlineExceeded) {
		c.abandon(context.DeadlineExceeded)
	}
}

// takeAnswer reports whether the call has yet to be answered; it is then the
// caller's to do. The handler of a stream gets cause if it sends something after
// that.
func (c *serverCall) takeAnswer(cause error) bool {
	if err := c.Err(); err != nil {
		cause = err // its deadline may have passed already: a context ends for one reason
	}
	c.sc.mu.Lock()
	defer c.sc.mu.Unlock()
	return c.takeAnswerLocked(cause)
}

func (c *serverCall) takeAnswerLocked(cause error) bool {
	if c.answered {
		return false
	}
	c.answered = true
	if c.stream != nil {
		c.stream.sendErr = cause
	}
	return true
}

// earlyAnswer is the sendHook of an answer that does not wait for the handler:
// the call is answered at the moment that the answer has its place among the
// frames to be written.
type earlyAnswer struct {
	call  *serverCall
	cause error // as for takeAnswer
}

func (a earlyAnswer) onSend() (uint32, error) {
	if !a.call.takeAnswer(a.cause) {
		return 0, errAnswered
	}
	return a.call.id, nil
}

// answerEarly answers the call with st, unless it has been answered. cause is as
// for takeAnswer.
func (c *serverCall) answerEarly(st *spb.Status, cause error) bool {
	return c.sc.out.post(outFrame{b: responseFrame(c.id, st, c.sc.limits.maxSend), hook: earlyAnswer{c, cause}}) == nil
}

// endWith answers the call with st while its handler runs, which finds its
// context cancelled and, on a stream, gets cause from RecvMsg.
func (c *serverCall) endWith(st *spb.Status, cause error) {
	if c.answerEarly(st, context.Canceled) {
		if c.stream != nil {
			c.stream.queue.finish(cause)
		}
		c.abandon(context.Canceled)
	}
}

// abandon lets the handler know that nobody waits for it.
func (c *serverCall) abandon(cause error) {
	c.cancel(cause)
	if c.stream != nil {
		c.stream.queue.abort(cause)
	}
}

// addInShutdown counts the calls of Shutdown that the handler is in.
func (c *serverCall) addInShutdown(n int32) {
	c.sc.mu.Lock()
	defer c.sc.mu.Unlock()
	c.inShutdown += n
}

// run runs the handler and answers the call with what it returns. It is the
// task of a worker.
func (c *serverCall) run(w *worker) {
	c.goroutine.Store(w.goroutine)
	finished := false
	defer func() {
		if finished {
			return
		}
		var cause any
		if c.sc.server.config.recoverPanics {
			cause = recover()
		}
		c.handlerLost(cause)
	}()
	result, err := c.handle()
	c.goroutine.Store(0)
	c.finish(result, err) // this may run code of the result's, too
	finished = true
}

// handle calls the interceptors and the handler.
func (c *serverCall) handle() (any, error) {
	config := c.sc.server.config
	if ss := c.stream; ss != nil {
		if config.stream != nil {
			return config.stream(c, ss, ss.desc.info, ss.desc.Handler)
		}
		return ss.desc.Handler(c, ss)
	}
	if config.unary != nil {
		return config.unary(c, c.unmarshal, c.method.info, c.method.handler)
	}
	return c.method.handler(c, c.unmarshal)
}

// handlerLost answers a call whose handler did not return: it panicked, or
// called runtime.Goexit. Unless the panic has been recovered, the process is
// about to end.
func (c *serverCall) handlerLost(recovered any) {
	c.goroutine.Store(0)
	message := "ttrpc: handler exited without returning"
	if recovered != nil {
		value := fmt.Sprint(recovered)
		value = value[:min(len(value), maxPanicValue)]
		message = "ttrpc: handler panicked: " + value
		if c.sc.panics.Add(1) <= maxLoggedPanics {
			c.sc.server.log.Error("ttrpc: handler panicked",
				"panic", value, "method", c.fullMethod(), "stack", stackTrace())
		}
	}
	c.answerEarly(statusFromError(status.Error(codes.Internal, message)), ErrClosed)
	c.release()
	c.sc.remove(c)
}

// maxLoggedPanics is how many contained panics of one connection are logged: its
// peer may be able to cause any number.
const maxLoggedPanics = 10

// maxPanicValue is how much of a panic's value is logged and answered: it may be
// the peer's.
const maxPanicValue = 1 << 10

// stackTrace returns the stack of this goroutine, or the top of it.
func stackTrace() string {
	b := make([]byte, 16<<10)
	return string(b[:runtime.Stack(b, false)])
}

func (c *serverCall) fullMethod() string {
	if c.stream != nil {
		return c.stream.desc.info.FullMethod
	}
	return c.method.info.FullMethod
}

// release ends what exists for the handler only.
func (c *serverCall) release() {
	c.deadline.stop()
	c.releasePayload()
	c.abandon(context.Canceled)
	if c.stream != nil {
		c.stream.queue.detach()
	}
}

// finish answers the call, unless that has been done, and ends it.
func (c *serverCall) finish(result any, err error) {
	c.release()
	sc := c.sc
	f, err := c.answerFrame(result, err)
	if err == nil {
		f.hook = c
		err = sc.out.send(context.Background(), f, modeAmong(sc.inFlight()))
	}
	if err != nil { // answered already, or the connection has ended
		sc.remove(c)
		return
	}
	if c.ending {
		sc.afterRemove()
	}
}

// onSend is the sendHook of the answer: the call leaves the table at the moment
// that its answer is sure to be written before anything that follows from it.
func (c *serverCall) onSend() (uint32, error) {
	c.sc.mu.Lock()
	defer c.sc.mu.Unlock()
	if !c.takeAnswerLocked(ErrClosed) {
		return 0, errAnswered
	}
	c.ending = c.sc.removeLocked(c)
	return c.id, nil
}

// answerFrame encodes what the handler has returned. Its error is ErrClosed.
func (c *serverCall) answerFrame(result any, err error) (outFrame, error) {
	if err == nil {
		var f outFrame
		if f, err = c.resultFrame(result); err == nil || errors.Is(err, ErrClosed) {
			return f, err
		}
		var oversized *OversizedMessageErr
		if errors.As(err, &oversized) {
			err = oversized.err
		}
	}
	return outFrame{b: responseFrame(0, statusFromError(err), c.sc.limits.maxSend)}, nil
}

// resultFrame encodes the result of a handler that succeeded. PROTOCOL.md, "End
// of a stream".
func (c *serverCall) resultFrame(result any) (outFrame, error) {
	none := isNil(result)
	switch {
	case c.stream == nil && none:
		return outFrame{}, status.Error(codes.Unknown, "ttrpc: marshal called with nil")
	case none && c.stream.desc.StreamingServer:
		return c.sc.frame(context.Background(), frameHeader{typ: frameData, flags: flagRemoteClosed | flagNoData}, encoding{})
	case none:
		return c.sc.frame(context.Background(), frameHeader{typ: frameResponse}, encoding{})
	}
	e, err := c.sc.server.prepareResponse(result)
	if err != nil {
		return outFrame{}, err
	}
	if c.stream != nil && c.stream.desc.StreamingServer {
		return c.sc.frame(context.Background(), frameHeader{typ: frameData, flags: flagRemoteClosed}, e)
	}
	return c.sc.frame(context.Background(), frameHeader{typ: frameResponse}, e)
}
