// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package ttrpc

import (
	"context"
	"errors"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// maxQueued bounds the bytes that wait to be written: with more than this
	// queued, send waits. One frame may go beyond it.
	maxQueued = 128 << 10

	// maxPosted is how many bytes post may have queued, besides what is being
	// written, before throttle waits.
	maxPosted = 1 << 20

	// maxCopied is the largest frame that is copied into a batch with others; a
	// larger one is written from its own buffer, by a system call of its own. On
	// connections without a rawConn, it is maxBatchPortable.
	maxCopied = 16 << 10

	// maxBatch is the largest batch. On a connection that is not a kernel
	// socket, no Write but that of a payload is larger than maxBatchPortable.
	// PROTOCOL.md, "Connections that are not sockets".
	maxBatch         = 34 << 10
	maxBatchPortable = 4 << 10

	// writePiece is the largest Write on a socket that has no rawConn.
	writePiece = 64 << 10

	// turnSize is the size from which frames are encoded one at a time.
	turnSize = 128 << 10

	// inlineRounds is how many batches of others' frames a sender writes after
	// its own, before it leaves the rest to a goroutine.
	inlineRounds = 4
)

// errPeerNotReading ends a connection whose peer provokes answers, or is to get
// the last ones, and does not read them.
var errPeerNotReading = errors.New("peer does not read what is written to it")

// writerOwner is told, once and with no lock held, that nothing can be written
// any more.
type writerOwner interface {
	writeFailed(err error)
}

// idleHook decides what happens to a writer that has nothing left to write.
type idleHook interface {
	// claimIdle is called with the writer locked. If it returns true, the hook
	// is not asked again, and idle is called, with no lock held.
	claimIdle() bool
	idle()
}

// writer is the only door to the write side of a connection. Whoever finds it
// free writes, first what it brought and then what others queued meanwhile, so
// a busy connection needs neither a goroutine of its own nor a system call per
// frame. Whoever finds it busy queues its frame and goes on. Where writing may
// block, a sender leaves what others queue meanwhile to a goroutine.
//
// No frame is ever given up half-written: what the connection does not take at
// once is finished by a goroutine that exists just as long as that takes. So a
// sender can leave at any time, and a peer that does not read holds up nobody's
// context. Frames keep the order in which send accepted them.
//
// Lock order: writer.mu is taken before the mutex of a sendHook's owner.
type writer struct {
	// immutable
	owner writerOwner

	progress atomic.Uint64 // bytes that the connection took

	mu     sync.Mutex
	conn   net.Conn
	raw    *rawConn
	socket bool // conn does not mind the sizes of Writes
	active bool // somebody owns the connection's write side

	// maxSend is the largest payload of a frame, in bytes. It is immutable.
	maxSend int32

	err    error
	queue  []segment
	queued int          // bytes in queue
	posted atomic.Int64 // of these, from post; written under mu, read without

	reserved int             // bytes of frames that are being encoded
	waiting  []chan struct{} // senders that wait for room, the first first; closing one lets it in
	taken    chan struct{}   // closed when the queue is taken; nil if throttle does not wait
	onIdle   idleHook        // asked when there is nothing left to write

	// made by the first takeTurn, under mu
	turn   chan struct{} // holds a token while a large frame is under way
	failed chan struct{} // closed when the writer ends
}

// newWriter returns a writer that queues what it is given until start.
func newWriter(owner writerOwner, maxSend int) *writer {
	return &writer{owner: owner, maxSend: int32(maxSend), active: true}
}

// start gives the writer its connection and writes what has been queued.
func (w *writer) start(conn net.Conn, raw *rawConn) {
	w.mu.Lock()
	w.conn, w.raw, w.socket = conn, raw, isStreamSocket(conn)
	if len(w.queue) == 0 {
		w.releaseLocked()
		return
	}
	w.mu.Unlock()
	go w.flush() // the caller is going to read, which must not wait for this
}

// takeTurn waits until no other large frame is encoded and unwritten, so that
// many large messages need the memory of one. The caller passes the turn on
// with its outFrame, or calls endTurn.
func (w *writer) takeTurn(ctx context.Context) error {
	w.mu.Lock()
	if w.err != nil {
		w.mu.Unlock()
		return ErrClosed
	}
	if w.turn == nil {
		w.turn, w.failed = make(chan struct{}, 1), make(chan struct{})
	}
	w.mu.Unlock()
	select {
	case w.turn <- struct{}{}:
		return nil
	case <-w.failed:
		return ErrClosed
	case <-ctx.Done():
	}
	select {
	case <-w.failed:
		return ErrClosed
	default:
		return ctx.Err()
	}
}

func (w *writer) endTurn() { <-w.turn }

// paceDelay is how long pace waits at most.
const paceDelay = 2 * time.Millisecond

// pace waits for the turn, too, but only for a moment. A server does so after
// each large request: one that takes them in faster than it gets its large
// answers out would gather them all in its memory.
func (w *writer) pace() {
	w.mu.Lock()
	turn, failed := w.turn, w.failed
	w.mu.Unlock()
	if len(turn) == 0 {
		return
	}
	timer := time.NewTimer(paceDelay)
	defer timer.Stop()
	select {
	case turn <- struct{}{}:
		w.endTurn()
	case <-timer.C:
	case <-failed:
	}
}

// sendMode says what send does besides queueing.
type sendMode int

const (
	// sendNow writes at once if the connection is free.
	sendNow sendMode = iota
	// sendShared lets other goroutines that are about to send do so first, and
	// writes all of it together.
	sendShared
	// sendLater leaves the writing to a goroutine: the caller has more to send.
	sendLater
)

// modeAmong returns how a frame is best sent while so many calls are in flight on
// the connection.
func modeAmong(inFlight int) sendMode {
	if inFlight > 1 {
		return sendShared
	}
	return sendNow
}

// send takes f over. It waits, at most until ctx ends, while too much is
// queued. When it returns nil the frame is written or will be; an error of the
// connection shows up elsewhere. When it returns an error the frame is not
// sent: ctx's own, the hook's, or ErrClosed.
func (w *writer) send(ctx context.Context, f outFrame, mode sendMode) error {
	w.mu.Lock()
	if err := w.ensureReservedLocked(ctx, &f); err != nil {
		w.mu.Unlock()
		w.discard(f)
		return err
	}
	if f.hook != nil {
		id, err := f.hook.onSend()
		if err != nil {
			w.mu.Unlock()
			w.discard(f)
			return err
		}
		putFrameStreamID(f.b, id)
	}
	if w.active {
		w.enqueueLocked(f)
		w.mu.Unlock()
		return nil
	}
	w.active = true
	if mode == sendNow && w.raw != nil && len(f.b) <= maxCopied {
		w.unreserveLocked(&f)
		w.mu.Unlock()
		w.writeFirst(f)
		return nil
	}
	w.enqueueLocked(f)
	if mode == sendLater || (w.raw == nil && ctx.Done() != nil) {
		// Without a rawConn a write can block for as long as the peer likes; a
		// caller whose context can end does not wait for that.
		w.mu.Unlock()
		go w.flush()
		return nil
	}
	if !w.socket {
		// A write blocks until the peer reads, if the connection is synchronous,
		// and the peer may read what others send only when the caller has gone on.
		own := w.takeLocked()
		w.mu.Unlock()
		w.writeOnce(own)
		return nil
	}
	w.mu.Unlock()
	if mode == sendShared {
		runtime.Gosched()
	}
	w.flushInline()
	return nil
}

// post queues f without ever waiting. Whoever makes a peer's frames into answers
// by it has to call throttle now and then. Its error is the hook's or ErrClosed.
func (w *writer) post(f outFrame) error {
	w.mu.Lock()
	if w.err != nil {
		w.mu.Unlock()
		w.discard(f)
		return ErrClosed
	}
	if f.hook != nil {
		if _, err := f.hook.onSend(); err != nil {
			w.mu.Unlock()
			w.discard(f)
			return err
		}
	}
	w.posted.Add(int64(len(f.b)))
	w.enqueueLocked(f)
	start := !w.active
	w.active = true
	w.mu.Unlock()
	if start {
		go w.flush()
	}
	return nil
}

// mustThrottle reports whether throttle would wait.
func (w *writer) mustThrottle() bool { return w.posted.Load() > maxPosted }

// throttle waits while a peer has let very much of what was posted pile up, and
// fails the connection if the peer reads none of it for as long as stall, unless
// that is zero.
func (w *writer) throttle(stall time.Duration) {
	if !w.mustThrottle() {
		return
	}
	var stalled <-chan time.Time
	if stall > 0 {
		ticker := time.NewTicker(stall)
		defer ticker.Stop()
		stalled = ticker.C
	}
	written := w.progress.Load()
	w.mu.Lock()
	for w.err == nil && w.mustThrottle() {
		if w.taken == nil {
			w.taken = make(chan struct{})
		}
		taken := w.taken
		w.mu.Unlock()
		select {
		case <-taken:
		case <-stalled:
			before := written
			if written = w.progress.Load(); written == before {
				w.fail(errPeerNotReading)
			}
		}
		w.mu.Lock()
	}
	w.mu.Unlock()
}

// writeFirst writes a small frame that found the connection free, from where it
// lies.
func (w *writer) writeFirst(f outFrame) {
	n, err := w.raw.tryWrite(f.b)
	if err != nil {
		w.discard(f)
		w.fail(err)
		return
	}
	if n == len(f.b) {
		w.discard(f)
		w.finishRound()
		return
	}
	// The rest goes to the front: others may have queued meanwhile.
	rest := copyBuffer(f.b[n:])
	w.discard(f)
	w.mu.Lock()
	w.queued += len(rest.b)
	w.queue = append([]segment{{buf: rest}}, w.queue...)
	w.mu.Unlock()
	go w.flush()
}

// finishRound is called by the owner of the write side after a write: it goes
// on with what was queued meanwhile.
func (w *writer) finishRound() {
	w.mu.Lock()
	if len(w.queue) > 0 && w.err == nil {
		w.mu.Unlock()
		w.flushInline()
		return
	}
	w.releaseLocked()
}

// releaseLocked ends the ownership of the write side, and unlocks.
func (w *writer) releaseLocked() {
	w.active = false
	w.askIdleLocked()
}

// askIdleLocked asks the idleHook, if there is one, and unlocks.
func (w *writer) askIdleLocked() {
	hook := w.onIdle
	if hook == nil || !hook.claimIdle() {
		w.mu.Unlock()
		return
	}
	w.onIdle = nil
	w.mu.Unlock()
	hook.idle()
}

// flushInline writes what is queued on behalf of a sender, which gets away as
// soon as the peer stops reading or others keep the queue filled.
func (w *writer) flushInline() {
	for range inlineRounds {
		batch := w.take()
		if batch == nil {
			return
		}
		if w.raw == nil {
			w.writeOnce(batch)
			return
		}
		rest, err := w.tryWriteAll(batch)
		if err != nil {
			w.drop(rest)
			w.fail(err)
			return
		}
		if len(rest) > 0 {
			w.requeue(rest)
			break
		}
	}
	go w.flush()
}

// writeOnce writes a batch on behalf of a sender, where that may block, and leaves
// to a goroutine what others queue meanwhile.
func (w *writer) writeOnce(batch []segment) {
	if rest, err := w.writeAll(batch); err != nil {
		w.drop(rest)
		w.fail(err)
		return
	}
	w.mu.Lock()
	if len(w.queue) == 0 || w.err != nil {
		w.releaseLocked()
		return
	}
	w.mu.Unlock()
	go w.flush()
}

// take takes the queue, to be written by the caller, who owns the write side. If
// there is nothing to write, it ends that ownership and returns nil.
func (w *writer) take() []segment {
	w.mu.Lock()
	if len(w.queue) == 0 || w.err != nil {
		w.releaseLocked()
		return nil
	}
	batch := w.takeLocked()
	w.mu.Unlock()
	return batch
}

// tryWriteAll writes segments as far as the socket takes them now, and returns
// those that are left.
func (w *writer) tryWriteAll(batch []segment) ([]segment, error) {
	for len(batch) > 0 {
		s := &batch[0]
		n, err := w.raw.tryWrite(s.buf.b[s.off:])
		s.off += n
		if err != nil || s.off < len(s.buf.b) {
			return batch, err
		}
		w.drop(batch[:1])
		batch = batch[1:]
	}
	return nil, nil
}

// flush writes, waiting for the peer where needed, until the queue is empty.
// Its goroutine is started by whoever owned the write side and did not want to
// wait; it ends with the queue, or with the connection.
func (w *writer) flush() {
	for {
		batch := w.take()
		if batch == nil {
			return
		}
		if rest, err := w.writeAll(batch); err != nil {
			w.drop(rest)
			w.fail(err)
			return
		}
	}
}

// writeAll writes segments, waiting for the peer. With an error it returns
// those that are left.
func (w *writer) writeAll(batch []segment) ([]segment, error) {
	for i := range batch {
		if err := w.writeSegment(&batch[i]); err != nil {
			return batch[i:], err
		}
		w.drop(batch[i : i+1])
	}
	return nil, nil
}

// writeSegment writes s in Writes of the shape that the connection wants.
func (w *writer) writeSegment(s *segment) error {
	if w.raw != nil {
		return w.raw.writeAll(s.buf.b[s.off:])
	}
	if s.one && !w.socket {
		if err := w.write(s.buf.b[:frameHeaderLength]); err != nil {
			return err
		}
		s.off = frameHeaderLength
	}
	return w.write(s.buf.b[s.off:])
}

// write writes b by conn.Write.
func (w *writer) write(b []byte) error {
	for len(b) > 0 {
		part := b
		if w.socket {
			part = b[:min(len(b), writePiece)] // so that progress shows
		}
		n, err := w.conn.Write(part)
		if err != nil {
			return err
		}
		if n <= 0 || n > len(part) {
			return errInvalidWrite
		}
		w.progress.Add(uint64(n))
		b = b[n:]
	}
	return nil
}

// errInvalidWrite ends a connection whose Write breaks io.Writer's rules.
var errInvalidWrite = errors.New("connection returned an invalid count from Write")

// fail ends the writer: nothing more is written, and every sender gets
// ErrClosed. The first cause wins and is reported to the owner.
func (w *writer) fail(err error) {
	if w.end(err) {
		w.owner.writeFailed(err)
	}
}

// end is fail without the report. It tells whether it was the first.
func (w *writer) end(err error) bool {
	w.mu.Lock()
	if w.err != nil {
		w.mu.Unlock()
		return false
	}
	w.err = err
	rest := w.takeLocked()
	for _, admitted := range w.waiting {
		close(admitted)
	}
	w.waiting = nil
	w.onIdle = nil
	if w.failed != nil {
		close(w.failed)
	}
	w.mu.Unlock()
	w.drop(rest)
	return true
}

// whenIdle asks hook as soon as nothing is queued or being written, and again
// whenever that is so, until hook claims it or the writer ends.
func (w *writer) whenIdle(hook idleHook) {
	w.mu.Lock()
	if w.err != nil {
		w.mu.Unlock()
		return
	}
	w.onIdle = hook
	if w.active {
		w.mu.Unlock()
		return
	}
	w.askIdleLocked()
}

// busy reports whether something is queued or being written.
func (w *writer) busy() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.active && w.err == nil
}
