// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux && !386 && !s390x && !ttrpc_portable

package ttrpc

import (
	"errors"
	"io"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// rawChunk is the most that one system call reads or writes, so that a long
// copy in the kernel does not keep the scheduler from its other goroutines. A
// message of 64 KiB goes in one.
const rawChunk = 68 << 10

// rawReads is how many reads in a row one RawConn.Read may do. A connection is
// not closed during that call, so it must end though the peer never pauses.
const rawReads = 64

// confirmDelay is how long it may take until a reader notices what stands behind
// a short read, in the few cases where the poller does not tell, see rawConn.
const confirmDelay = 10 * time.Millisecond

// rawConn reads and writes a kernel socket without blocking, beside the
// portable path of channel and writer. That has three advantages: a reader that
// waits for the peer holds no buffer; a short read is taken to mean that the
// socket is empty, which saves every other system call of a reader; and a
// writer learns that the peer does not read, instead of waiting for it.
//
// The poller reports a change once. If the end of the connection comes so soon
// after the last bytes that both are reported together, nobody will wake a
// reader that stops after a short read; nor if a read stops short for another
// reason (file descriptors that came along). So the first short read sets a
// timer, which looks whether a reader waits for what is there already.
//
// One goroutine may read and one may write at a time.
type rawConn struct {
	conn interface{ SetReadDeadline(time.Time) error }
	rc   syscall.RawConn

	// owned by the goroutine that reads
	ch      *channel
	end     error
	onRead  func(fd uintptr) bool // rawConn.readReady, bound once
	confirm *time.Timer           // runs confirmEmpty

	waiting atomic.Bool // the reader waits after a short read
	armed   atomic.Bool // confirm is going to run
	kicked  atomic.Bool // the read deadline is ours

	// owned by the goroutine that writes
	out      []byte
	wait     bool // for the peer, rather than stop
	written  int
	werr     error
	onWrite  func(fd uintptr) bool // rawConn.writeReady, bound once
	progress *atomic.Uint64        // counts the bytes written
}

// newRawConn returns nil for a connection that is not plainly a kernel socket.
// It adds the bytes that are written to progress.
func newRawConn(conn net.Conn, progress *atomic.Uint64) *rawConn {
	switch conn.(type) {
	case *net.UnixConn, *net.TCPConn:
	default:
		return nil
	}
	if conn.LocalAddr().Network() == "unixpacket" {
		return nil // not a stream of bytes
	}
	rc, err := conn.(syscall.Conn).SyscallConn()
	if err != nil {
		return nil
	}
	r := &rawConn{conn: conn, rc: rc, progress: progress}
	r.onRead, r.onWrite = r.readReady, r.writeReady
	return r
}

// receive reads for ch, and passes on what it reads, until that fails. It
// returns nil when ch may want to do something else before it goes on.
//
// It does so within one RawConn.Read, as long as it can: between two of them
// the poller forgets what it has reported. net.Conn.Close waits for that call to
// end, so nothing that runs within may block, or close the connection.
func (r *rawConn) receive(ch *channel) error {
	r.ch, r.end = ch, nil
	err := r.rc.Read(r.onRead)
	r.waiting.Store(false)
	switch {
	case r.end != nil:
		return r.end
	case errors.Is(err, os.ErrDeadlineExceeded) && r.kicked.Swap(false):
		return r.conn.SetReadDeadline(time.Time{})
	}
	return err
}

// readReady is the callback of receive. It returns false to wait.
func (r *rawConn) readReady(fd uintptr) bool {
	r.waiting.Store(false)
	for range rawReads {
		p := r.ch.in.space()
		p = p[:min(len(p), rawChunk)]
		n, errno := rawRead(fd, p)
		switch {
		case errno == unix.EINTR:
			continue
		case errno == unix.EAGAIN:
			r.ch.in.park()
			return false
		case errno != 0:
			r.end = os.NewSyscallError("read", errno)
			return true
		case n == 0:
			r.end = io.EOF
			return true
		}
		if r.end = r.ch.received(n); r.end != nil || r.ch.mustThrottle() {
			return true
		}
		if n < len(p) {
			r.ch.in.park()
			r.expectMore()
			return false
		}
	}
	return true
}

// expectMore notes that the reader is about to wait after a short read.
func (r *rawConn) expectMore() {
	r.waiting.Store(true)
	if r.armed.Swap(true) {
		return
	}
	if r.confirm == nil {
		r.confirm = time.AfterFunc(confirmDelay, r.confirmEmpty)
	} else {
		r.confirm.Reset(confirmDelay)
	}
}

// confirmEmpty runs some time after a short read. If a reader waits although
// there is something to read, or nothing will ever be, it wakes the reader.
func (r *rawConn) confirmEmpty() {
	r.armed.Store(false)
	if !r.waiting.Load() {
		return
	}
	var ready bool
	err := r.rc.Control(func(fd uintptr) {
		fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN | unix.POLLRDHUP}}
		n, err := unix.Poll(fds, 0)
		ready = n > 0 || err != nil
	})
	if err == nil && ready {
		r.kicked.Store(true)
		if r.conn.SetReadDeadline(time.Unix(1, 0)) != nil {
			r.kicked.Store(false) // closed meanwhile: the reader knows
		}
	}
}

// close ends what is there besides the connection.
func (r *rawConn) close() {
	if r.confirm != nil {
		r.confirm.Stop()
	}
}

// tryWrite writes as much of b as the socket takes now, and returns how much
// that was. Less than all of it without an error means that the peer does not
// read.
func (r *rawConn) tryWrite(b []byte) (int, error) {
	r.wait = false
	return r.write(b)
}

// writeAll writes b, and waits for the peer where it must.
func (r *rawConn) writeAll(b []byte) error {
	r.wait = true
	_, err := r.write(b)
	return err
}

func (r *rawConn) write(b []byte) (int, error) {
	r.out, r.written, r.werr = b, 0, nil
	err := r.rc.Write(r.onWrite)
	r.out = nil
	if r.werr != nil {
		err = r.werr
	}
	return r.written, err
}

// writeReady is the callback of write. It returns false to wait.
func (r *rawConn) writeReady(fd uintptr) bool {
	for r.written < len(r.out) {
		chunk := r.out[r.written:]
		chunk = chunk[:min(len(chunk), rawChunk)]
		n, errno := rawWrite(fd, chunk)
		switch {
		case errno == unix.EINTR:
			continue
		case errno == unix.EAGAIN:
			return !r.wait
		case errno != 0:
			r.werr = os.NewSyscallError("write", errno)
			return true
		}
		r.written += n
		r.progress.Add(uint64(n))
		if n < len(chunk) && !r.wait {
			return true
		}
	}
	return true
}
