// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package ttrpc

import (
	"context"
	"slices"
)

// segment is a piece of the writer's queue: either a batch of whole frames, or
// one large frame.
type segment struct {
	buf  *buffer
	off  int  // buf.b[:off] is written
	one  bool // one large frame
	turn bool // the frame holds the turn
}

// enqueueLocked puts f at the end of the queue, small frames side by side.
func (w *writer) enqueueLocked(f outFrame) {
	w.queued += len(f.b)
	w.unreserveLocked(&f)
	if len(f.b) > w.copyLimit() && f.buf != nil {
		w.queue = append(w.queue, segment{buf: f.buf, one: true, turn: f.turn})
		return
	}
	w.copyLocked(f.b)
	w.discard(f)
}

// copyLimit is the size of the largest frame that is copied.
func (w *writer) copyLimit() int {
	if w.raw != nil {
		return maxCopied
	}
	return maxBatchPortable
}

// copyLocked appends a copy of b, one whole frame, to the last batch or to a
// new one.
func (w *writer) copyLocked(b []byte) {
	limit := maxBatch
	if !w.socket {
		limit = maxBatchPortable
	}
	if n := len(w.queue); n > 0 {
		last := &w.queue[n-1]
		if !last.one && len(last.buf.b)+len(b) <= min(cap(last.buf.b), limit) {
			last.buf.b = append(last.buf.b, b...)
			return
		}
	}
	size := max(len(b), maxBatchPortable)
	if len(w.queue) > 0 {
		size = max(len(b), limit) // the first batch was not enough
	}
	buf := getBuffer(size)
	buf.b = append(buf.b, b...)
	w.queue = append(w.queue, segment{buf: buf, one: len(b) > limit})
}

// takeLocked takes the whole queue and makes room for more.
func (w *writer) takeLocked() []segment {
	batch := w.queue
	w.queue, w.queued = nil, 0
	w.posted.Store(0)
	if w.taken != nil {
		close(w.taken)
		w.taken = nil
	}
	w.admitLocked()
	return batch
}

// fullLocked reports whether a sender has to wait for room.
func (w *writer) fullLocked() bool { return w.queued+w.reserved >= maxQueued }

// reserveLocked reserves room for n bytes, which may be more than there is, as
// soon as there is any; senders get in one after the other. It waits until then,
// or until ctx ends, and returns with the writer locked.
func (w *writer) reserveLocked(ctx context.Context, n int) error {
	for again := false; w.err == nil && (w.fullLocked() || !again && len(w.waiting) > 0); again = true {
		if err := w.waitLocked(ctx, again); err != nil {
			return err
		}
	}
	if w.err != nil {
		return ErrClosed
	}
	w.reserved += n
	w.admitLocked() // there may be room for the next one, too
	return nil
}

// waitLocked waits to be let in: behind the others or, if this sender has been
// let in before but others were faster, in front of them.
func (w *writer) waitLocked(ctx context.Context, again bool) error {
	admitted := make(chan struct{})
	if again {
		w.waiting = slices.Insert(w.waiting, 0, admitted)
	} else {
		w.waiting = append(w.waiting, admitted)
	}
	w.mu.Unlock()
	select {
	case <-admitted:
		w.mu.Lock()
		return nil
	case <-ctx.Done():
	}
	w.mu.Lock()
	if i := slices.Index(w.waiting, admitted); i >= 0 {
		w.waiting = slices.Delete(w.waiting, i, i+1)
	} else {
		w.admitLocked() // it had been let in: somebody else, then
	}
	if w.err != nil {
		return ErrClosed
	}
	return ctx.Err()
}

// admitLocked lets the next sender in, if there is room.
func (w *writer) admitLocked() {
	if len(w.waiting) > 0 && !w.fullLocked() {
		close(w.waiting[0])
		w.waiting = slices.Delete(w.waiting, 0, 1)
	}
}

// ensureReservedLocked reserves room for a frame that newFrame has not.
func (w *writer) ensureReservedLocked(ctx context.Context, f *outFrame) error {
	if f.reserved > 0 {
		if w.err != nil {
			return ErrClosed
		}
		return nil
	}
	if err := w.reserveLocked(ctx, len(f.b)); err != nil {
		return err
	}
	f.reserved = len(f.b)
	return nil
}

// unreserveLocked ends the reservation of a frame.
func (w *writer) unreserveLocked(f *outFrame) {
	if f.reserved > 0 {
		w.reserved -= f.reserved
		f.reserved = 0
		w.admitLocked()
	}
}

// requeue puts segments back to the front of the queue.
func (w *writer) requeue(rest []segment) {
	w.mu.Lock()
	if w.err != nil {
		w.mu.Unlock()
		w.drop(rest)
		return
	}
	for i := range rest {
		w.queued += len(rest[i].buf.b) - rest[i].off
	}
	w.queue = append(rest, w.queue...)
	w.mu.Unlock()
}

// drop gives back segments that are written or never will be.
func (w *writer) drop(batch []segment) {
	for i := range batch {
		batch[i].buf.release()
		if batch[i].turn {
			w.endTurn()
		}
		batch[i] = segment{}
	}
}
