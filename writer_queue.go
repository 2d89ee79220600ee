// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package ttrpc

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
	if len(f.b) > maxCopied && f.buf != nil {
		w.queue = append(w.queue, segment{buf: f.buf, one: true, turn: f.turn})
		return
	}
	w.copyLocked(f.b)
	w.discard(f)
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
	size := len(b)
	if len(b) <= maxBatchPortable {
		size = maxBatchPortable
		if len(w.queue) > 0 {
			size = limit // the first batch was not enough
		}
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
	w.wakeLocked()
	return batch
}

func (w *writer) wakeLocked() {
	if w.room != nil {
		close(w.room)
		w.room = nil
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
