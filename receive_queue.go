// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package ttrpc

import (
	"context"
	"encoding/binary"
	"slices"
	"sync"
	"sync/atomic"
)

const (
	// defaultStreamBudget and defaultConnectionBudget bound what is received
	// and not consumed.
	defaultStreamBudget     = 16 << 20
	defaultConnectionBudget = 64 << 20

	// freeShares is how many streams could each have an equal part of the
	// connection's budget. That much every stream may queue however much others
	// do: it is not part of what they share.
	freeShares = 4096

	// queuedOverhead is counted for every queued message besides its bytes.
	queuedOverhead = 16

	// chunkSize is how much of small messages lies in one slice.
	chunkSize = 64 << 10

	// keptChunk is the largest slice that an empty queue holds on to.
	keptChunk = 4 << 10
)

// receiveBudget configures receive queues: bytes per stream and per connection.
type receiveBudget struct {
	perStream, perConnection int
}

var defaultReceiveBudget = receiveBudget{defaultStreamBudget, defaultConnectionBudget}

// sharedBudget is what the live streams of one connection may queue together.
type sharedBudget struct {
	limit int64
	free  int // what each stream may queue besides
	used  atomic.Int64
}

func newSharedBudget(perConnection int) sharedBudget {
	return sharedBudget{limit: int64(perConnection), free: perConnection / freeShares}
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
// Small messages lie back to back in chunks, which are filled at one end of the
// queue and emptied at the other; the last one emptied is filled again. A large
// message stays in the buffer that it was read into.
//
// The budget counts messages. The memory that they take is up to about twice as
// much, and two chunks: slices and buffers have room to spare.
//
// It ends once: what was queued before is still delivered, then the cause, for
// ever.
type receiveQueue struct {
	// immutable
	limit  int
	shared *sharedBudget

	// receiving is held by a user who decodes a message, which may lie in a
	// chunk. It is taken before mu.
	receiving sync.Mutex

	mu       sync.Mutex
	chunks   [][]byte  // records; the first of chunks[0][pos:] is the next
	pos      int       // chunks[0][:pos] is delivered
	spare    []byte    // an empty chunk
	large    []*buffer // the large messages that records refer to
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
	if q.held+cost > q.limit || !q.shared.take(q.shared.sharedPart(q.held+cost)-q.shared.sharedPart(q.held)) {
		buf.release()
		return ErrStreamFull
	}
	q.held += cost
	if buf != nil {
		q.large = append(q.large, buf)
		q.recordLocked(recordLarge, nil)
	} else {
		q.recordLocked(uint64(len(message))<<1, message)
	}
	q.wakeLocked()
	return nil
}

// recordLocked appends a record to the last chunk, or to a new one.
func (q *receiveQueue) recordLocked(head uint64, message []byte) {
	last := len(q.chunks) - 1
	if last < 0 || len(q.chunks[last])+len(message) > chunkSize {
		q.chunks = append(q.chunks, q.spare)
		q.spare = nil
		last++
	}
	chunk := binary.AppendUvarint(q.chunks[last], head)
	q.chunks[last] = append(chunk, message...)
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
	q.chunks, q.pos, q.spare, q.large = nil, 0, nil, nil
	q.giveLocked(q.held)
}

// detach takes what is queued out of the connection's budget, once the queue
// has ended and the connection has no more part in it: a user who does not want
// the rest must not cost other streams their room.
func (q *receiveQueue) detach() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.detached {
		q.shared.give(q.shared.sharedPart(q.held))
		q.detached = true
	}
}

// giveLocked takes n bytes off what is held.
func (q *receiveQueue) giveLocked(n int) {
	before := q.held
	q.held -= n
	if !q.detached {
		q.shared.give(q.shared.sharedPart(before) - q.shared.sharedPart(q.held))
	}
}

// sharedPart is what of held bytes counts against the connection's budget.
func (b *sharedBudget) sharedPart(held int) int { return max(0, held-b.free) }

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

// next takes the first message, if there is one, or else tells the end. What the
// last one lay in is not in use any more: the caller holds receiving.
func (q *receiveQueue) next() (message []byte, buf *buffer, ok bool, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.dropDeliveredLocked()
	if len(q.chunks) == 0 {
		return nil, nil, false, q.end
	}
	rest := q.chunks[0][q.pos:]
	record, n := binary.Uvarint(rest)
	if record == recordLarge {
		buf = q.large[0]
		q.large[0] = nil
		q.large = q.large[1:]
		message = buf.b
	} else {
		size := int(record >> 1)
		message = rest[n : n+size : n+size]
		n += size
	}
	q.pos += n
	q.giveLocked(len(message) + queuedOverhead)
	if len(q.chunks) > 1 || q.pos < len(q.chunks[0]) {
		q.wakeLocked() // another user may be waiting
	}
	return message, buf, true, nil
}

// dropDeliveredLocked takes the first chunk away if all of it is delivered. An
// empty queue lets go of what a burst has left large.
func (q *receiveQueue) dropDeliveredLocked() {
	if len(q.chunks) == 0 || q.pos < len(q.chunks[0]) {
		return
	}
	q.spare = q.chunks[0][:0]
	q.chunks, q.pos = slices.Delete(q.chunks, 0, 1), 0
	if len(q.chunks) > 0 {
		return
	}
	q.large = nil
	if cap(q.spare) > keptChunk {
		q.spare = nil
	}
	if cap(q.chunks) > 1 {
		q.chunks = nil
	}
}

// emptyLocked reports whether there is no message.
func (q *receiveQueue) emptyLocked() bool {
	return len(q.chunks) == 0 || len(q.chunks) == 1 && q.pos == len(q.chunks[0])
}

// wait blocks until next may have something.
func (q *receiveQueue) wait(ctx context.Context) error {
	q.mu.Lock()
	if !q.emptyLocked() || q.end != nil {
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
