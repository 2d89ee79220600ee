// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package ttrpc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"
)

// StreamDesc says who may send more than one message on a stream.
type StreamDesc struct {
	StreamingClient bool
	StreamingServer bool
}

// ClientStream is a client's end of a stream. Its methods may be called at the
// same time, and each from several goroutines.
//
// A stream needs no closing, but it ends only when the server ends it, when the
// context that it was opened with ends, or with the connection. Whoever stops
// receiving before the end has to cancel that context.
type ClientStream interface {
	// CloseSend half-closes the stream: no more messages will be sent. It is an
	// error, which wraps ErrProtocol, if the client does not stream, and
	// ErrStreamClosed the second time.
	CloseSend() error

	// SendMsg sends a message; nil is an empty one. It waits while too much is
	// waiting to be written, until the stream's context ends, and returns
	// before the message has been written: an error of the connection may
	// surface later.
	//
	// It is an error, which wraps ErrProtocol, if the client does not stream,
	// and an *OversizedMessageErr if the message is too large; the stream goes
	// on. After CloseSend it returns ErrStreamClosed, and after the end of the
	// stream why it ended: the server's status or, for success,
	// ErrStreamClosed; ErrClosed for the connection; the context's error.
	SendMsg(m any) error

	// RecvMsg waits for the next message and decodes it into m. When all
	// messages are received it returns io.EOF if the server ended the stream
	// with success, and otherwise why it ended: the server's status; ErrClosed;
	// the context's error, also while messages are left; ErrStreamFull if more
	// arrived than fits the budget; an error that wraps ErrProtocol. It returns
	// that for ever. A message that cannot be decoded is passed over.
	RecvMsg(m any) error
}

// clientStream is a stream that the client opened.
//
//	          NewStream            CloseSend             last frame
//	(none) ──────────────▶ open ──────────────▶ half-closed ────────▶ ended
//	                         └──────── last frame, context ──────────▲
type clientStream struct {
	// immutable
	client *Client
	ctx    context.Context
	desc   StreamDesc

	queue receiveQueue // its end is the end of the stream

	// What came with an error status, or nil: set before that ends the queue,
	// which something else may have ended.
	errorResult atomic.Pointer[encodedResult]

	id    uint32       // set by onSend
	sends atomic.Int32 // in a row, without a receive

	mu          sync.Mutex
	localClosed bool
	unwatch     func() bool // stops watching ctx
}

// NewStream opens a stream. req is the request of a method whose client does
// not stream; otherwise it may be nil, or else it is the first message. desc
// must be what the method is declared to be: a method that the server does not
// have, or has otherwise, shows in RecvMsg.
//
// The stream lives as long as ctx. Its metadata and deadline travel to the
// server. If ctx has ended, its error is returned, and nothing is sent. Other
// errors are as for Call.
func (c *Client) NewStream(ctx context.Context, desc *StreamDesc, service, method string, req any) (ClientStream, error) {
	var e encoding
	if req != nil {
		var err error
		if e, err = c.prepare(req); err != nil {
			return nil, err
		}
	}
	timeout, err := c.timeoutNano(ctx)
	if err != nil {
		return nil, err
	}
	md, _ := GetMetadata(ctx)
	f, err := c.requestFrame(ctx, openFlags(desc, e), &outRequest{
		service:     service,
		method:      method,
		payload:     e,
		timeoutNano: timeout,
		md:          md,
	})
	if err != nil {
		return nil, err
	}
	cs := &clientStream{
		client: c,
		ctx:    ctx,
		desc:   *desc,
		queue:  newReceiveQueue(c.config.budget.perStream, &c.budget),
	}
	f.hook = cs
	if err := c.out.send(ctx, f, cs.mode()); err != nil {
		return nil, err
	}
	cs.watchContext()
	return cs, nil
}

// openFlags returns the flags of the Request. PROTOCOL.md, "Streams".
func openFlags(desc *StreamDesc, first encoding) frameFlags {
	switch {
	case !desc.StreamingClient:
		return flagRemoteClosed
	case first.size > 0:
		return flagRemoteOpen
	}
	return flagRemoteOpen | flagNoData
}

// onSend is the sendHook of the Request.
func (cs *clientStream) onSend() (uint32, error) {
	err := cs.client.register(cs, &cs.id)
	return cs.id, err
}

// watchContext has the stream end with its context.
func (cs *clientStream) watchContext() {
	if cs.ctx.Done() == nil {
		return
	}
	unwatch := context.AfterFunc(cs.ctx, cs.contextEnded)
	cs.mu.Lock()
	cs.unwatch = unwatch
	cs.mu.Unlock()
	if cs.queue.ended() != nil { // before there was anything to stop
		unwatch()
	}
}

// contextEnded runs when ctx ends before the stream does.
func (cs *clientStream) contextEnded() {
	if cs.client.forget(cs.id) {
		cs.client.cancelStream(cs.id, cs.ctx.Err())
		cs.queue.abort(cs.ctx.Err())
	}
}

// end ends the stream, for the goroutine that reads; the caller, or the
// client's end, takes it out of the table.
func (cs *clientStream) end(cause error) {
	cs.queue.finish(cause)
	cs.queue.detach()
	cs.mu.Lock()
	unwatch := cs.unwatch
	cs.mu.Unlock()
	if unwatch != nil {
		unwatch()
	}
}

// fail implements pendingStream.
func (cs *clientStream) fail(err error) { cs.end(err) }

// receiveFrame implements pendingStream. PROTOCOL.md, "What a client does".
func (cs *clientStream) receiveFrame(h frameHeader, payload []byte, buf *buffer) (last bool) {
	switch h.typ {
	case frameData:
		return cs.receiveData(h.flags, payload, buf)
	case frameResponse:
		cs.receiveResponse(payload)
		buf.release()
		return true
	}
	buf.release()
	cs.giveUp(unexpectedFrame(h))
	return true
}

// receiveData takes a message, or the end of the server's messages.
func (cs *clientStream) receiveData(flags frameFlags, payload []byte, buf *buffer) (last bool) {
	closing := flags.has(flagRemoteClosed)
	switch {
	case !cs.desc.StreamingServer:
		buf.release()
		if err := protocolErrorf("received data from non-streaming server"); closing {
			cs.end(err)
		} else {
			cs.giveUp(err)
		}
		return true
	case closing && flags.has(flagNoData):
		buf.release()
	default:
		if err := cs.queue.push(payload, buf); err != nil {
			cs.giveUp(err)
			return true
		}
	}
	if closing {
		cs.end(io.EOF)
	}
	return closing
}

// encodedResult is a message that came with an error status. Nobody sends one,
// but RecvMsg has always decoded it.
type encodedResult struct {
	status  error
	message []byte
}

// receiveResponse takes the answer that ends the stream.
func (cs *clientStream) receiveResponse(encoded []byte) {
	in, err := parseResponse(encoded)
	if err != nil {
		cs.end(err)
		return
	}
	if err := endError(cs.ctx, in.status); err != nil {
		cs.errorResult.Store(&encodedResult{status: err, message: slices.Clone(in.payload)})
		cs.end(err)
		return
	}
	if err = cs.queue.push(in.payload, nil); err == nil {
		err = io.EOF
	}
	cs.end(err)
}

// giveUp ends the stream at this end, while the server may go on with it.
func (cs *clientStream) giveUp(cause error) {
	cs.client.cancelStream(cs.id, cause)
	cs.end(cause)
}

// mode returns how the next message is best sent.
func (cs *clientStream) mode() sendMode {
	if cs.sends.Add(1) > pipelined {
		return sendLater
	}
	return modeAmong(cs.client.inFlight())
}

// CloseSend implements ClientStream.
func (cs *clientStream) CloseSend() error {
	if !cs.desc.StreamingClient {
		return fmt.Errorf("%w: cannot close non-streaming client", ErrProtocol)
	}
	h := frameHeader{typ: frameData, flags: flagRemoteClosed | flagNoData}
	return cs.sendFrame(h, encoding{}, cs.closeHook())
}

// SendMsg implements ClientStream.
func (cs *clientStream) SendMsg(m any) error {
	if !cs.desc.StreamingClient {
		return fmt.Errorf("%w: cannot send data from non-streaming client", ErrProtocol)
	}
	var e encoding
	if m != nil {
		var err error
		if e, err = cs.client.prepare(m); err != nil {
			return err
		}
	}
	return cs.sendFrame(frameHeader{typ: frameData}, e, (*messageHook)(cs))
}

func (cs *clientStream) sendFrame(h frameHeader, e encoding, hook sendHook) error {
	if err := cs.ctx.Err(); err != nil {
		return err
	}
	f, err := cs.client.messageFrame(cs.ctx, h, e)
	if err != nil {
		return err
	}
	f.hook = hook
	return cs.client.out.send(cs.ctx, f, cs.mode())
}

// messageHook is the sendHook of a message.
type messageHook clientStream

func (hook *messageHook) onSend() (uint32, error) {
	cs := (*clientStream)(hook)
	cs.mu.Lock()
	defer cs.mu.Unlock()
	return cs.id, cs.sendErrorLocked()
}

// closeHook is the sendHook of the half-close: what is sent before has its
// place before, and nothing is sent after.
type closeHook clientStream

func (cs *clientStream) closeHook() sendHook { return (*closeHook)(cs) }

func (hook *closeHook) onSend() (uint32, error) {
	cs := (*clientStream)(hook)
	cs.mu.Lock()
	defer cs.mu.Unlock()
	err := cs.sendErrorLocked()
	if err == nil {
		cs.localClosed = true
	}
	return cs.id, err
}

// sendErrorLocked returns why nothing can be sent, or nil.
func (cs *clientStream) sendErrorLocked() error {
	if cs.localClosed {
		return ErrStreamClosed
	}
	err := cs.queue.ended()
	if errors.Is(err, io.EOF) {
		return ErrStreamClosed
	}
	return err
}

// RecvMsg implements ClientStream.
func (cs *clientStream) RecvMsg(m any) error {
	cs.sends.Store(0)
	// The end of the context ends the queue, unless something else does: there is
	// one end.
	err := cs.queue.receive(context.Background(), cs.client.unmarshal, m)
	if err == nil || cs.queue.ended() == nil {
		return err
	}
	if result := cs.errorResult.Load(); result != nil && errors.Is(err, result.status) {
		if err := cs.client.unmarshal(result.message, m); err != nil {
			return err
		}
	}
	return err
}
