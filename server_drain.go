// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package ttrpc

import (
	"errors"
	"time"
)

// This file is how a server's connection ends: at once, by end, or, by drain, as
// soon as nothing is in flight.
//
//	in a handshake ──setOpened──▶ open ──drain──▶ draining ──claimIdle──▶ ended
//	      │                        │                 │         (lingering, maybe)
//	      └──────────── end ───────┴──────── end ────┘───────▶ ended
//
// It drains when the server shuts down, when its idleWatch says so, and when the
// client has closed its side. Whoever sets ended calls tearDown, which closes; a
// connection that lingers is torn down a moment later. It leaves the server's table
// when its last handler has returned as well: removeFromServer.

// errDrained ends a connection that has nothing to do any more.
var errDrained = errors.New("nothing in flight")

// inputGrace is how long a connection may go on after its client has closed its
// side. Mostly the client is gone, and there is nobody to answer.
const inputGrace = 10 * time.Second

// inputEnded is called when the client will send nothing more. Mostly it is
// gone; but it may have closed only its side, and still read: the answers that
// handlers give now that their contexts are cancelled are written if they can
// be. Streams send no more messages.
func (sc *serverConn) inputEnded() {
	sc.mu.Lock()
	sc.inputOver = true
	if !sc.ended && sc.calls.len() > 0 {
		sc.grace = time.AfterFunc(inputGrace, sc.graceOver)
	}
	sc.mu.Unlock()
	sc.cancelCalls()
	sc.drain()
}

// graceOver runs inputGrace after inputEnded.
func (sc *serverConn) graceOver() { sc.end(errDrained) }

// drain has the connection closed as soon as nothing is in flight.
func (sc *serverConn) drain() {
	busy := sc.out.busy()
	sc.mu.Lock()
	if sc.ended {
		sc.mu.Unlock()
		return
	}
	opened := sc.opened
	if !sc.draining {
		sc.draining = true
		sc.watchStallLocked(sc.out.progress.Load(), busy)
	}
	sc.mu.Unlock()
	if !opened { // in a handshake
		sc.end(errDrained)
		return
	}
	sc.out.whenIdle(sc)
}

// watchStallLocked has checkStall look some time from now whether the peer of a
// draining connection reads; written and busy are what there is to see now.
func (sc *serverConn) watchStallLocked(written uint64, busy bool) {
	if sc.limits.stallTimeout <= 0 {
		return
	}
	sc.stall = time.AfterFunc(sc.limits.stallTimeout, func() { sc.checkStall(written, busy) })
}

// checkStall ends a draining connection if its peer has read nothing since the
// last look, though there was something to read then already.
func (sc *serverConn) checkStall(lastWritten uint64, lastBusy bool) {
	written, busy := sc.out.progress.Load(), sc.out.busy()
	if busy && lastBusy && written == lastWritten {
		sc.end(errPeerNotReading)
		return
	}
	sc.mu.Lock()
	defer sc.mu.Unlock()
	if !sc.ended {
		sc.watchStallLocked(written, busy)
	}
}

// claimIdle implements idleHook: a connection that has nothing to write ends
// unless there is a call. It is called with the writer locked, so nothing can be
// queued meanwhile.
func (sc *serverConn) claimIdle() bool {
	sc.mu.Lock()
	defer sc.mu.Unlock()
	if !sc.draining || sc.ended || sc.calls.len() > 0 {
		return false
	}
	sc.ended = true
	if sc.mustLingerLocked() {
		sc.linger = time.AfterFunc(lingerTime, func() { sc.endLinger(errDrained) })
	}
	return true
}

// lingerTime is how long a connection may stay open behind the last answer, unless
// its client closes it: see mayDropUnread.
const lingerTime = 200 * time.Millisecond

// idle implements idleHook.
func (sc *serverConn) idle() {
	sc.mu.Lock()
	linger := sc.mustLingerLocked()
	sc.mu.Unlock()
	if !linger {
		sc.tearDown(errDrained)
	}
}

// mustLingerLocked reports whether endLinger closes the connection once it has
// nothing to write. That does not change any more when the connection has ended.
func (sc *serverConn) mustLingerLocked() bool { return sc.answeredLate && sc.lingers }

// endLinger closes a connection that lingers. Only the first call counts.
func (sc *serverConn) endLinger(cause error) {
	sc.mu.Lock()
	lingers := sc.linger != nil
	if lingers {
		sc.linger.Stop()
		sc.linger = nil
	}
	sc.mu.Unlock()
	if lingers {
		sc.tearDown(cause)
	}
}

// end closes the connection, whatever it is doing, and cancels its calls. Only
// the first call counts.
func (sc *serverConn) end(cause error) {
	sc.mu.Lock()
	first := !sc.ended
	sc.ended = true
	sc.mu.Unlock()
	if first {
		sc.tearDown(cause)
	} else {
		sc.endLinger(cause)
	}
}

// writeFailed implements channelOwner.
func (sc *serverConn) writeFailed(err error) { sc.end(err) }

// frameLate implements channelOwner.
func (sc *serverConn) frameLate(err error) { sc.end(err) }

// tearDown does what follows from ended; whoever has set it calls this, with no
// lock held.
func (sc *serverConn) tearDown(cause error) {
	sc.mu.Lock()
	for _, timer := range []*time.Timer{sc.stall, sc.grace} {
		if timer != nil {
			timer.Stop()
		}
	}
	sc.idleWatch.stopLocked()
	sc.mu.Unlock()
	sc.out.end(cause) // first, so that senders get ErrClosed
	sc.cancelCalls()
	sc.close(cause)
	sc.logEnd(cause)
	sc.removeFromServer()
}

// logEnd reports why the connection has ended, if that is worth it.
func (sc *serverConn) logEnd(cause error) {
	var refused *handshakeError
	switch {
	case errors.Is(cause, errDrained), errors.Is(cause, ErrServerClosed):
	case errors.As(cause, &refused):
		sc.server.log.Error("ttrpc: refusing connection after handshake", "error", cause)
	case errors.Is(cause, ErrProtocol), errors.Is(cause, errPeerNotReading):
		sc.server.log.Error("ttrpc: error receiving message", "error", cause)
	default:
		sc.server.config.logger.Debug("ttrpc: connection ended", "error", cause)
	}
}

// removeFromServer tells the server once the connection has ended and its last
// handler has returned.
func (sc *serverConn) removeFromServer() {
	sc.mu.Lock()
	last := sc.ended && sc.linger == nil && sc.calls.len() == 0 && !sc.removed
	if last {
		sc.removed = true
	}
	sc.mu.Unlock()
	if last {
		sc.server.removeConn(sc)
	}
}

// onlyInShutdown reports whether nothing is in flight but calls whose handlers
// are in Shutdown.
func (sc *serverConn) onlyInShutdown() bool {
	sc.mu.Lock()
	defer sc.mu.Unlock()
	for _, call := range sc.calls.all {
		if call.inShutdown == 0 {
			return false
		}
	}
	return sc.calls.len() > 0
}

// callOfGoroutine returns the call whose handler runs on that goroutine.
func (sc *serverConn) callOfGoroutine(goroutine uint64) *serverCall {
	sc.mu.Lock()
	defer sc.mu.Unlock()
	for _, call := range sc.calls.all {
		if call.goroutine.Load() == goroutine {
			return call
		}
	}
	return nil
}
