// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package ttrpc

import (
	"context"
	"io"
	"sync/atomic"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// StreamServer is a handler's end of a stream. SendMsg and RecvMsg may be
// called at the same time, and each from several goroutines.
type StreamServer interface {
	// SendMsg sends a message. It waits while too much is waiting to be
	// written, until the call's context ends, and returns before the message
	// has been written: an error of the connection may surface later. A
	// message that is too large is refused with an *OversizedMessageErr, and
	// the stream goes on. After the end of the stream SendMsg returns
	// ErrClosed, or why the context ended.
	SendMsg(m any) error

	// RecvMsg waits for the next message and decodes it into m. If the method
	// is not client-streaming, the first message is the request. It returns
	// io.EOF when the client has half-closed the stream; otherwise why the
	// context ended if it did, also while messages are left, or ErrStreamFull if
	// the handler was too slow for the budget.
	// A message that cannot be decoded is an error with codes.Internal, and is
	// passed over.
	RecvMsg(m any) error
}

// serverStream is the stream of a serverCall.
//
//	         Request                  Data 0x01          handler returns
//	(none) ──────────▶ open ────────────────▶ half-closed ──────────▶ ended
//	                     └────────────────── handler returns ──────────▲
type serverStream struct {
	// immutable
	call *serverCall
	desc *streamMethod

	queue receiveQueue

	// owned by the reading goroutine
	remoteClosed bool // the client sends nothing more

	// guarded by serverConn.mu
	sendErr error // once the call is answered: what SendMsg returns

	sends atomic.Int32 // in a row, without a receive
}

// pipelined is the number of sends in a row from which a stream is taken to
// have more to send: its messages are then written together.
const pipelined = 2

// newServerStream makes call a stream.
func newServerStream(call *serverCall, desc *streamMethod) {
	call.stream = &serverStream{
		call:  call,
		desc:  desc,
		queue: newReceiveQueue(call.sc.server.config.budget.perStream, &call.sc.budget),
	}
}

// receiveRequest takes what comes with the Request: the first message, unless
// the client streams and it is empty, and maybe the end. PROTOCOL.md, "Streams".
func (ss *serverStream) receiveRequest(flags frameFlags, payload []byte) {
	if !ss.desc.StreamingClient || len(payload) > 0 {
		ss.push(payload, nil)
	}
	if flags.has(flagRemoteClosed) {
		ss.closeRemote()
	}
}

// handleData takes a Data frame. PROTOCOL.md, "What a server does".
func (ss *serverStream) handleData(flags frameFlags, payload []byte, buf *buffer) {
	closing := flags.has(flagRemoteClosed)
	switch {
	case ss.remoteClosed && !flags.has(flagNoData):
		buf.release()
		ss.offend("data handling error: " + ErrStreamClosed.Error())
	case closing && len(payload) > 0:
		buf.release()
		ss.offend("data close message cannot include data")
	case flags.has(flagNoData):
		buf.release()
	default:
		ss.push(payload, buf)
	}
	if closing {
		ss.closeRemote()
	}
}

// push queues a message for the handler. If there is no room, the stream ends.
func (ss *serverStream) push(payload []byte, buf *buffer) {
	if err := ss.queue.push(payload, buf); err != nil {
		st := status.New(codes.ResourceExhausted, err.Error())
		ss.call.endWith(st.Proto(), err)
	}
}

// offend ends the stream because the client broke the protocol on it.
func (ss *serverStream) offend(message string) {
	ss.call.endWith(status.New(codes.InvalidArgument, message).Proto(), context.Canceled)
}

func (ss *serverStream) closeRemote() {
	ss.remoteClosed = true
	ss.queue.finish(io.EOF)
}

// RecvMsg implements StreamServer.
func (ss *serverStream) RecvMsg(m any) error {
	ss.sends.Store(0)
	// Whatever ends the call's context ends the queue, if that is still open.
	return ss.queue.receive(context.Background(), ss.call.sc.server.decodeRequest, m)
}

// SendMsg implements StreamServer.
func (ss *serverStream) SendMsg(m any) error {
	sc := ss.call.sc
	h := frameHeader{typ: frameData}
	var e encoding
	if isNil(m) {
		h.flags = flagNoData
	} else {
		var err error
		if e, err = sc.server.prepareResponse(m); err != nil {
			return err
		}
	}
	f, err := sc.frame(ss.call, h, e)
	if err != nil {
		return err
	}
	f.hook = ss
	mode := modeAmong(sc.inFlight())
	if ss.sends.Add(1) > pipelined {
		mode = sendLater
	}
	return sc.out.send(ss.call, f, mode)
}

// onSend is the sendHook of a message.
func (ss *serverStream) onSend() (uint32, error) {
	call := ss.call
	call.sc.mu.Lock()
	defer call.sc.mu.Unlock()
	switch {
	case call.sc.inputOver:
		return 0, ErrClosed
	case call.answered:
		return 0, ss.sendErr
	}
	return call.id, nil
}
