// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package ttrpc

import (
	"sync/atomic"
	"time"
)

// idleWatch closes a connection on which nothing has happened for a while. It
// exists for connections of servers with WithServerIdleTimeout; the methods of a
// nil one do nothing.
type idleWatch struct {
	// immutable
	sc      *serverConn
	timeout time.Duration
	start   time.Time

	last  atomic.Int64 // when something last happened, in nanoseconds since start
	timer *time.Timer  // runs check; guarded by sc.mu
}

// watchIdle starts to watch a connection whose handshake is over.
func (sc *serverConn) watchIdle(timeout time.Duration) {
	if timeout <= 0 {
		return
	}
	sc.mu.Lock()
	defer sc.mu.Unlock()
	if sc.ended {
		return
	}
	w := &idleWatch{sc: sc, timeout: timeout, start: time.Now()}
	w.timer = time.AfterFunc(timeout, w.check)
	sc.idleWatch = w
}

// touch notes that something has happened: a frame has arrived, or a call has
// ended.
func (w *idleWatch) touch() {
	if w != nil {
		w.last.Store(int64(time.Since(w.start)))
	}
}

// check closes the connection if it is time, or else looks again when it may be.
func (w *idleWatch) check() {
	sc := w.sc
	sc.mu.Lock()
	left := w.timeout - (time.Since(w.start) - time.Duration(w.last.Load()))
	if sc.calls.len() > 0 {
		left = w.timeout
	}
	if left > 0 && !sc.ended {
		w.timer.Reset(left)
	}
	sc.mu.Unlock()
	if left <= 0 {
		sc.drain()
	}
}

// stopLocked ends the watch.
func (w *idleWatch) stopLocked() {
	if w != nil {
		w.timer.Stop()
	}
}
