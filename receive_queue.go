// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package ttrpc

import (
	"context"
	"encoding/binary"
	"sync"
	"sync/atomic"
)

const (
	// defaultStreamBudget and defaultConnectionBudget bound what is received
	// and not consumed.
	defaultStreamBudget     = 16 << 20
	defaultConnectionBudget = 64 << 20

	// queuedOverhead is counted for every queued message besides its bytes.
	queuedOverhead = 16

	// keptQueue is the largest slice that an empty queue holds on to.
	keptQueue = 4 << 10
)

// receiveBudget configures receive queues: bytes per stream and per connection.
type receiveBudget struct {
	perStream, perConnection int
}

var defaultReceiveBudget = receiveBudget{defaultStreamBudget, defaultConnectionBudget}

// sharedBudget is what the live streams of one connection may queue together.
type sharedBudget struct {
	limit int64
	used  atomic.Int64
}

// take reserves n bytes, or reports that there is no room for them.
func (b *sharedBudget) take(n int) bool {
	if b.used.Add(int64(n)) > b.limit {
		b.used.Add(int64(-n))
		return false
	}
	return true
}

func (b *sharedBudget) give(n int) { b.used.Add(int64(-n)) }

// receiveQueue holds the messages of one stream between the goroutine that
// reads the connection, which never waits here, and the stream's user, who may
// take as long as they like. What does not fit the budget ends the stream.
//
// Small messages lie back to back in a byte slice; when the user has emptied
// theirs, it changes places with the one that has been filled meanwhile. A
// large message stays in the buffer that it was read into.
//
// The budget counts messages. The memory that they take is up to two and a half
// times as much: slices and buffers have room to spare.
//
// It ends once: what was queued before is still delivered, then the cause, for
// ever.
type receiveQueue struct {
	// immutable
	limit  int
	shared *sharedBudget

	// receiving is held by a user who decodes a message, which may lie in out.
	// It is taken before mu.
	receiving sync.Mutex

	mu       sync.Mutex
	in       []byte    // records that arrived since the last swap
	spare    []byte    // the slice that out lies in; changes places with in
	out      []byte    // records being delivered: the rest of spare
	large    []*buffer // the large messages that records in out and in refer to
	held     int       // bytes counted against limit
	detached bool      // held is not part of shared any more
	end      error     // why there will be no more
	ready    chan struct{}
	waiters  int
}

func newReceiveQueue(limit int, shared *sharedBudget) receiveQueue {
	return receiveQueue{limit: limit, shared: shared}
}

// A record is a uvarint and, for a small message, its bytes. The uvarint is
// twice the length of a small message; for a large one, it is recordLarge, and
// the message is the next one in receiveQueue.large.
const recordLarge = 1

// push queues a message, or ErrStreamFull says that it does not fit. buf is as
// for frameReceiver.receiveFrame. After the end it does nothing.
func (q *receiveQueue) push(message []byte, buf *buffer) error {
	cost := len(message) + queuedOverhead
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.end != nil {
		buf.release()
		return nil
	}
	if q.held+cost > q.limit || !q.shared.take(cost) {
		buf.release()
		return ErrStreamFull
	}
	q.held += cost
	if buf != nil {
		q.large = append(q.large, buf)
		q.in = append(q.in, recordLarge)
	} else {
		q.in = binary.AppendUvarint(q.in, uint64(len(message))<<1)
		q.in = append(q.in, message...)
	}
	q.wakeLocked()
	return nil
}

// finish ends the queue behind what is in it. The first cause counts.
func (q *receiveQueue) finish(cause error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.finishLocked(cause)
}

func (q *receiveQueue) finishLocked(cause error) bool {
	if q.end != nil {
		return false
	}
	q.end = cause
	q.wakeLocked()
	return true
}

// abort ends the queue and throws away what is in it, unless it has ended
// before.
func (q *receiveQueue) abort(cause error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.finishLocked(cause) {
		return
	}
	for _, buf := range q.large {
		buf.release()
	}
	// The slices may be in the hands of a user who decodes: they are left to the
	// garbage collector.
	q.in, q.spare, q.out, q.large = nil, nil, nil, nil
	q.giveLocked(q.held)
}

// detach takes what is queued out of the connection's budget, once the queue
// has ended and the connection has no more part in it: a user who does not want
// the rest must not cost other streams their room.
func (q *receiveQueue) detach() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.detached {
		q.shared.give(q.held)
		q.detached = true
	}
}

// giveLocked takes n bytes off what is held.
func (q *receiveQueue) giveLocked(n int) {
	q.held -= n
	if !q.detached {
		q.shared.give(n)
	}
}

// ended returns the cause of the end, or nil.
func (q *receiveQueue) ended() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.end
}

func (q *receiveQueue) wakeLocked() {
	if q.waiters == 0 {
		return
	}
	select {
	case q.ready <- struct{}{}:
	default:
	}
}

// receive waits for a message, decodes it by calling decode, and returns what
// that returns. Instead of a message there may be the end of the queue or of
// ctx. decode must keep nothing of its argument.
func (q *receiveQueue) receive(ctx context.Context, decode func([]byte, any) error, into any) error {
	for {
		ok, err := q.tryReceive(decode, into)
		if ok || err != nil {
			return err
		}
		if err := q.wait(ctx); err != nil {
			return err
		}
	}
}

// tryReceive is receive, but does not wait: ok says that there was a message.
func (q *receiveQueue) tryReceive(decode func([]byte, any) error, into any) (ok bool, err error) {
	q.receiving.Lock()
	defer q.receiving.Unlock() // also if decode panics
	message, buf, ok, err := q.next()
	if !ok {
		return false, err
	}
	defer buf.release()
	return true, decode(message, into)
}

// next takes the first message, if there is one, or else tells the end.
func (q *receiveQueue) next() (message []byte, buf *buffer, ok bool, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.out) == 0 {
		q.swapLocked()
	}
	if len(q.out) == 0 {
		return nil, nil, false, q.end
	}
	record, n := binary.Uvarint(q.out)
	q.out = q.out[n:]
	if record == recordLarge {
		buf = q.large[0]
		q.large[0] = nil
		q.large = q.large[1:]
		message = buf.b
	} else {
		size := int(record >> 1)
		message = q.out[:size:size]
		q.out = q.out[size:]
	}
	q.giveLocked(len(message) + queuedOverhead)
	if len(q.out) > 0 || len(q.in) > 0 {
		q.wakeLocked() // another user may be waiting
	}
	return message, buf, true, nil
}

// swapLocked makes what has arrived available for delivery. When there is
// nothing, it lets go of slices that a burst has left large.
func (q *receiveQueue) swapLocked() {
	q.in, q.spare = q.spare[:0], q.in
	q.out = q.spare
	if len(q.out) > 0 {
		return
	}
	if cap(q.in) > keptQueue {
		q.in = nil
	}
	if cap(q.spare) > keptQueue {
		q.spare, q.out = nil, nil
	}
	q.large = nil
}

// wait blocks until next may have something.
func (q *receiveQueue) wait(ctx context.Context) error {
	q.mu.Lock()
	if len(q.out) > 0 || len(q.in) > 0 || q.end != nil {
		q.mu.Unlock()
		return nil
	}
	if q.ready == nil {
		q.ready = make(chan struct{}, 1)
	}
	q.waiters++
	q.mu.Unlock()
	var err error
	select {
	case <-q.ready:
	case <-ctx.Done():
		err = ctx.Err()
	}
	q.mu.Lock()
	q.waiters--
	if q.end != nil || err != nil {
		q.wakeLocked() // pass it on
	}
	q.mu.Unlock()
	return err
}
