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

	// freeShares is how many streams could each have an equal part of the
	// connection's budget. That much every stream may queue however much others
	// do: it is not part of what they share.
	freeShares = 4096

	// queuedOverhead is counted for every queued message besides its bytes.
	queuedOverhead = 16

	// maxQueueBatch bounds the batches of small messages: see receiveQueue.
	maxQueueBatch = 17 << 10
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
	ready atomic.Pointer[sync.Pool] // of chan struct{}, empty, for those who wait for messages
}

// takeReady returns a channel for those who wait for messages of a stream.
// Most connections have no streams, so the pool is made when one waits.
func (b *sharedBudget) takeReady() chan struct{} {
	pool := b.ready.Load()
	if pool == nil {
		b.ready.CompareAndSwap(nil, new(sync.Pool))
		pool = b.ready.Load()
	}
	if ready, ok := pool.Get().(chan struct{}); ok {
		return ready
	}
	return make(chan struct{}, 1)
}

// giveReady takes a channel back that nobody waits for and nothing is in.
func (b *sharedBudget) giveReady(ready chan struct{}) { b.ready.Load().Put(ready) }

// init sets the limit. A budget in use must not be copied.
func (b *sharedBudget) init(perConnection int) {
	b.limit, b.free = int64(perConnection), perConnection/freeShares
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
// It is a list of buffers. A large message stays in the one that it was read
// into; small ones lie back to back in batches, each behind its length as a
// uvarint. A batch goes back to its pool as soon as the last message in it has
// been decoded, so an empty queue holds no memory.
//
// The budget counts messages. The memory that they take is up to about twice as
// much: buffers have room to spare.
//
// It ends once: what was queued before is still delivered, then the cause, for
// ever.
type receiveQueue struct {
	// immutable
	limit  int
	shared *sharedBudget

	// receiving is held by a user who decodes a message, which may lie in first.
	// It is taken before mu.
	receiving sync.Mutex

	mu       sync.Mutex
	first    *buffer // the rest hangs on it by buffer.next
	last     *buffer
	pos      int           // first.b[:pos] is delivered, if first is a batch
	held     int           // bytes counted against limit
	detached bool          // held is not part of shared any more
	end      error         // why there will be no more
	ready    chan struct{} // nil if nobody waits
	waiters  int
}

func newReceiveQueue(limit int, shared *sharedBudget) receiveQueue {
	return receiveQueue{limit: limit, shared: shared}
}

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
		buf.single = true
		q.appendLocked(buf)
	} else {
		q.pushSmallLocked(message)
	}
	q.wakeLocked()
	return nil
}

// pushSmallLocked puts a message into the last batch, or into a new one, which
// is larger than the one before.
func (q *receiveQueue) pushSmallLocked(message []byte) {
	batch := q.last
	need := binary.MaxVarintLen32 + len(message)
	if batch == nil || batch.single || cap(batch.b)-len(batch.b) < need {
		size := need
		if batch != nil && !batch.single {
			size = max(need, min(4*cap(batch.b), maxQueueBatch))
		}
		batch = getBuffer(size)
		q.appendLocked(batch)
	}
	batch.b = binary.AppendUvarint(batch.b, uint64(len(message)))
	batch.b = append(batch.b, message...)
}

func (q *receiveQueue) appendLocked(buf *buffer) {
	if q.first == nil {
		q.first = buf
	} else {
		q.last.next = buf
	}
	q.last = buf
}

// removeFirstLocked takes the first buffer away.
func (q *receiveQueue) removeFirstLocked() *buffer {
	buf := q.first
	q.first, q.pos, buf.next = buf.next, 0, nil
	if q.first == nil {
		q.last = nil
	}
	return buf
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
	if q.pos > 0 {
		// It may be in the hands of a user who decodes: it is left to the garbage
		// collector.
		q.removeFirstLocked()
	}
	for q.first != nil {
		q.removeFirstLocked().release()
	}
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

// next takes the first message, if there is one, or else tells the end. The
// caller releases buf, which may be nil, when it has decoded the message.
func (q *receiveQueue) next() (message []byte, buf *buffer, ok bool, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	first := q.first
	switch {
	case first == nil:
		return nil, nil, false, q.end
	case first.single:
		buf = q.removeFirstLocked()
		message = buf.b
	default:
		size, n := binary.Uvarint(first.b[q.pos:])
		start := q.pos + n
		q.pos = start + int(size)
		message = first.b[start:q.pos:q.pos]
		if q.pos == len(first.b) {
			buf = q.removeFirstLocked()
		}
	}
	q.giveLocked(len(message) + queuedOverhead)
	if q.first != nil {
		q.wakeLocked() // another user may be waiting
	}
	return message, buf, true, nil
}

// wait blocks until next may have something.
func (q *receiveQueue) wait(ctx context.Context) error {
	q.mu.Lock()
	if q.first != nil || q.end != nil {
		q.mu.Unlock()
		return nil
	}
	if q.ready == nil {
		q.ready = q.shared.takeReady()
	}
	q.waiters++
	ready := q.ready
	q.mu.Unlock()
	var err error
	select {
	case <-ready:
	case <-ctx.Done():
		err = ctx.Err()
	}
	q.mu.Lock()
	q.leaveLocked(err)
	q.mu.Unlock()
	return err
}

// leaveLocked ends a wait, which ended with err.
func (q *receiveQueue) leaveLocked(err error) {
	q.waiters--
	if q.waiters > 0 {
		if q.end != nil || err != nil {
			q.wakeLocked() // pass it on
		}
		return
	}
	select {
	case <-q.ready:
	default:
	}
	q.shared.giveReady(q.ready)
	q.ready = nil
}
