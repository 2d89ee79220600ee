// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package ttrpc

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// serverConn is one connection of a server: it decides which call a frame
// belongs to. What is in flight is what its table holds: a call enters when its
// Request has been received, and leaves when its answer takes its place among
// the frames to be written, or when its handler returns, whichever is later.
//
// A unary call goes this way:
//
//	channel.receiveFrames ─▶ assembler.advance ─▶ serverConn.receiveFrame ─▶
//	handleRequest: parseRequest, services.find, add to the table, take a worker
//	    the worker: serverCall.run ─▶ handle, the handler ─▶ finish: answerFrame ─▶
//	    writer.send ─▶ serverCall.onSend, out of the table ─▶ rawConn.tryWrite
//
// PROTOCOL.md, "What a server does", has a row for every case in here.
type serverConn struct {
	*channel

	// immutable
	server   *Server
	serveCtx context.Context // Serve's
	budget   sharedBudget

	panics atomic.Int32 // contained so far

	// owned by serve, the reading goroutine
	peer         *Peer
	ids          streamIDs
	stopWatching func() bool // serveCtx; nil if that cannot end
	idleWatch    *idleWatch  // nil for none; immutable when frames are received

	// guarded by Server.mu
	written uint32 // how much had been, when Server.renewReaders last looked
	used    bool   // there was more than before

	// mu is taken after Server.mu and writer.mu.
	mu           sync.Mutex
	calls        streamTable[*serverCall]
	heldRequests int  // bytes of the Requests of calls
	opened       bool // the handshake is over
	draining     bool // close as soon as nothing is in flight
	inputOver    bool // the client sends nothing more
	ended        bool
	removed      bool
	answeredLate bool        // a call has been answered while draining
	linger       *time.Timer // ends a connection that has ended, but for closing it
	stall        *time.Timer // runs checkStall while draining
	grace        *time.Timer // runs graceOver when the client has closed its side
}

func newServerConn(ctx context.Context, s *Server, conn net.Conn) *serverConn {
	sc := &serverConn{
		server:   s,
		serveCtx: ctx,
	}
	sc.budget.init(s.config.budget.perConnection)
	sc.channel = newChannel(conn, sc, &s.config.limits)
	return sc
}

// serve is the connection's goroutine, started by Server.startConn: it reads
// until the connection ends. Handlers may be running then.
func (sc *serverConn) serve(conn net.Conn) {
	config := sc.server.config
	wrapped, info, err := sc.handshake(sc.values(), config.handshaker, config.handshakeTimeout)
	if err != nil {
		sc.end(err)
		return
	}
	sc.peer = &Peer{Addr: conn.RemoteAddr(), AuthInfo: info}
	if !sc.setOpened() {
		closeConn(wrapped)
		return
	}
	// A Serve context that has ended already does not end what comes later.
	if sc.serveCtx.Done() != nil && sc.serveCtx.Err() == nil {
		sc.stopWatching = context.AfterFunc(sc.serveCtx, sc.cancelCalls)
	}
	sc.watchIdle(config.idleTimeout)
	sc.receive(wrapped, sc.open(wrapped))
}

// receiveEnded implements channelOwner: the reading goroutine ends.
func (sc *serverConn) receiveEnded(err error) {
	if sc.stopWatching != nil {
		sc.stopWatching()
	}
	if errors.Is(err, io.EOF) {
		sc.inputEnded()
		sc.endLinger(errDrained)
	} else {
		sc.end(err)
	}
}

// values is a context with the values of Serve's, which does not end with that.
func (sc *serverConn) values() context.Context { return context.WithoutCancel(sc.serveCtx) }

// setOpened notes the end of the handshake, unless the connection has ended
// during it.
func (sc *serverConn) setOpened() bool {
	sc.mu.Lock()
	defer sc.mu.Unlock()
	sc.opened = !sc.ended
	return sc.opened
}

// receiveFrame is the frameReceiver of a server.
func (sc *serverConn) receiveFrame(h frameHeader, payload []byte, buf *buffer) error {
	sc.idleWatch.touch()
	if h.streamID%2 == 0 {
		buf.release()
		sc.refuse(h.streamID, "StreamID must be odd for client initiated streams")
		return nil
	}
	switch h.typ {
	case frameRequest:
		sc.handleRequest(h, payload, buf)
	case frameData:
		sc.handleData(h, payload, buf)
	case frameCancel:
		buf.release()
		sc.handleCancel(h)
	default: // of a later version, or not for a server
		buf.release()
	}
	return nil
}

// receiveOversized is the frameReceiver of a server, too.
func (sc *serverConn) receiveOversized(h frameHeader) error {
	st := oversizedStatus(int(h.length), sc.limits.maxReceive).Proto()
	if call, _ := sc.find(h.streamID); call != nil {
		call.endWith(st, context.Canceled)
		return nil
	}
	sc.postResponse(h.streamID, st)
	return nil
}

// handleRequest opens a call or a stream.
func (sc *serverConn) handleRequest(h frameHeader, payload []byte, buf *buffer) {
	if !sc.ids.use(h.streamID) {
		buf.release()
		sc.refuse(h.streamID, "StreamID cannot be re-used and must increment")
		return
	}
	req, err := parseRequest(payload)
	if errors.Is(err, errMetadataTooLarge) {
		buf.release()
		sc.postResponse(h.streamID, status.New(codes.ResourceExhausted, err.Error()).Proto())
		return
	}
	if err != nil {
		buf.release()
		sc.refuse(h.streamID, "unmarshal request error: "+err.Error())
		return
	}
	method, stream, refusal := sc.server.services.find(req.service, req.method)
	if refusal != nil {
		buf.release()
		sc.postResponse(h.streamID, refusal)
		return
	}
	if req.apart {
		buf.release()
		buf = nil
	}
	call := newServerCall(sc, h.streamID, &req)
	call.size = uint32(len(payload) + req.mdSize)
	call.method = method
	if stream != nil {
		newServerStream(call, stream)
	}
	if !sc.add(call) {
		buf.release()
		return
	}
	w := sc.server.workers.take()
	if stream != nil {
		call.stream.receiveRequest(h.flags, req.payload)
		buf.release()
	} else {
		call.keepPayload(req.payload, buf, w)
	}
	call.startDeadline(req.timeoutNano)
	w.start(call)
	if len(payload) >= turnSize {
		sc.out.pace()
	}
}

// add puts call into the table, or refuses it.
func (sc *serverConn) add(call *serverCall) bool {
	sc.mu.Lock()
	if sc.ended {
		sc.mu.Unlock()
		return false
	}
	if limit := sc.server.config.maxCalls; sc.calls.len() >= limit {
		sc.mu.Unlock()
		st := status.Newf(codes.ResourceExhausted, "too many concurrent calls on this connection: limit %d", limit)
		sc.postResponse(call.id, st.Proto())
		return false
	}
	if limit := sc.server.config.maxHeldRequests; sc.heldRequests+int(call.size) > limit {
		sc.mu.Unlock()
		st := status.Newf(codes.ResourceExhausted, "too many bytes of requests on this connection: limit %d", limit)
		sc.postResponse(call.id, st.Proto())
		return false
	}
	sc.heldRequests += int(call.size)
	sc.calls.put(call.id, call)
	sc.mu.Unlock()
	return true
}

// find returns the call of that id, or nil, and whether it has been answered.
func (sc *serverConn) find(id uint32) (call *serverCall, answered bool) {
	sc.mu.Lock()
	defer sc.mu.Unlock()
	call, _ = sc.calls.get(id)
	return call, call != nil && call.answered
}

// handleData passes a message, or the end of the client's messages, to a
// stream.
func (sc *serverConn) handleData(h frameHeader, payload []byte, buf *buffer) {
	call, answered := sc.find(h.streamID)
	switch {
	case call == nil:
		buf.release()
		sc.refuse(h.streamID, "StreamID is no longer active")
	case answered: // sent before the client knew
		buf.release()
	case call.stream == nil:
		buf.release()
		if len(payload) > 0 && (h.flags.has(flagRemoteClosed) || !h.flags.has(flagNoData)) {
			err := protocolErrorf("data for a unary method")
			call.endWith(status.New(codes.InvalidArgument, "data handling error: "+err.Error()).Proto(), err)
		}
	default:
		call.stream.handleData(h.flags, payload, buf)
	}
}

// handleCancel ends a call that the client has given up. It gets no answer.
func (sc *serverConn) handleCancel(h frameHeader) {
	cause := context.Canceled
	if h.flags.has(flagDeadline) {
		cause = context.DeadlineExceeded
	}
	if call, _ := sc.find(h.streamID); call != nil && call.takeAnswer(cause) {
		call.abandon(cause)
	}
}

// refuse answers a frame that belongs to no call, or is not fit for it.
func (sc *serverConn) refuse(id uint32, message string) {
	sc.postResponse(id, validStatus(status.New(codes.InvalidArgument, message).Proto()))
}

// postResponse queues a Response with a status, without waiting. A connection that
// lingers is silent: what comes in now finds it closed.
func (sc *serverConn) postResponse(id uint32, st *spb.Status) {
	sc.mu.Lock()
	ended := sc.ended
	sc.mu.Unlock()
	if ended {
		return
	}
	_ = sc.out.post(outFrame{b: responseFrame(id, st, sc.limits.maxSend)}) // if there is still somebody
}

// remove takes call out of the table, because its handler has returned.
func (sc *serverConn) remove(call *serverCall) {
	sc.mu.Lock()
	ending := sc.removeLocked(call)
	sc.mu.Unlock()
	if ending {
		sc.afterRemove()
	}
}

// removeLocked is remove, and reports whether afterRemove must be called once
// no lock is held.
func (sc *serverConn) removeLocked(call *serverCall) (ending bool) {
	if in, _ := sc.calls.get(call.id); in == call {
		sc.answeredLate = sc.answeredLate || sc.draining
		sc.calls.remove(call.id)
		sc.idleWatch.touch()
		sc.heldRequests -= int(call.size)
	}
	return sc.draining || sc.ended
}

// afterRemove does what follows from a call's leaving a connection that is to
// be closed, or is closed already.
func (sc *serverConn) afterRemove() {
	sc.out.whenIdle(sc)
	sc.removeFromServer()
	sc.server.changed.wake()
}

// inFlight returns the number of calls in the table.
func (sc *serverConn) inFlight() int { return sc.calls.len() }

// cancelCalls cancels the calls that are running.
func (sc *serverConn) cancelCalls() {
	sc.mu.Lock()
	calls := make([]*serverCall, 0, sc.calls.len())
	for _, call := range sc.calls.all {
		calls = append(calls, call)
	}
	sc.mu.Unlock()
	for _, call := range calls {
		call.abandon(context.Canceled)
	}
}
