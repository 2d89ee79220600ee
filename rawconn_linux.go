// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux && !386 && !s390x && !ttrpc_portable

package ttrpc

import (
	"io"
	"net"
	"os"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// rawChunk is the most that one system call reads or writes, so that a long
// copy in the kernel does not keep the scheduler from its other goroutines for
// more than some 25 µs.
const rawChunk = 136 << 10

// rawConn reads and writes a kernel socket without blocking, beside the
// portable path of channel and writer. That has three advantages: system calls
// that do not involve the scheduler; a reader that holds no buffer while it
// waits for the peer; and a writer that learns that the peer does not read,
// instead of waiting for it.
//
// After a short read the socket is read again, although about half of all reads
// find nothing then. The poller reports a change once: if the end of the
// connection comes so soon after the last bytes that both are reported together,
// or if a read stops short for another reason (file descriptors that came along),
// nobody would wake the reader. A timer that looks after such readers has been
// tried: it costs more than the reads do.
//
// One goroutine may read and one may write at a time.
type rawConn struct {
	rc syscall.RawConn

	// owned by the goroutine that reads
	in     *assembler
	read   int // zero for the end
	rerrno syscall.Errno
	onRead func(fd uintptr) bool // rawConn.readReady, bound once

	// owned by the goroutine that writes
	out      []byte
	wait     bool // for the peer, rather than stop
	written  int
	werrno   syscall.Errno
	onWrite  func(fd uintptr) bool // rawConn.writeReady, bound once
	progress *atomic.Uint64        // counts the bytes written
}

// newRawConn returns nil for a connection that is not plainly a stream socket.
// It adds the bytes that are written to progress.
func newRawConn(conn net.Conn, progress *atomic.Uint64) *rawConn {
	if !isStreamSocket(conn) {
		return nil
	}
	rc, err := conn.(syscall.Conn).SyscallConn()
	if err != nil {
		return nil
	}
	refuseDescriptors(conn, rc)
	r := &rawConn{rc: rc, progress: progress}
	r.onRead, r.onWrite = r.readReady, r.writeReady
	return r
}

// refuseDescriptors has the kernel refuse file descriptors that the peer sends along
// with bytes: they would be closed while the bytes are read, which may take as long
// as the peer likes, and a rawConn's reads do not let other goroutines run meanwhile.
// Kernels before 6.16 cannot refuse them.
func refuseDescriptors(conn net.Conn, rc syscall.RawConn) {
	if _, ok := conn.(*net.UnixConn); !ok {
		return
	}
	_ = rc.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_PASSRIGHTS, 0)
	})
}

// readInto waits for bytes and puts them into a's space. It returns how many
// they are, for a.advance. What they mean is not looked at below RawConn.Read:
// that would make the stack of every idle connection's goroutine grow.
func (r *rawConn) readInto(a *assembler) (int, error) {
	r.in, r.read, r.rerrno = a, 0, 0
	err := r.rc.Read(r.onRead)
	r.in = nil
	switch {
	case r.rerrno != 0:
		return 0, os.NewSyscallError("read", r.rerrno)
	case err == nil && r.read == 0:
		return 0, io.EOF
	}
	return r.read, err
}

// readReady is the callback of readInto. It returns false to wait.
func (r *rawConn) readReady(fd uintptr) bool {
	for {
		p := r.in.space()
		n, errno := rawRead(fd, p[:min(len(p), rawChunk)])
		switch {
		case errno == unix.EINTR:
			continue
		case errno == unix.EAGAIN:
			r.in.park()
			return false
		}
		r.read, r.rerrno = n, errno
		return true
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
	r.out, r.written, r.werrno = b, 0, 0
	err := r.rc.Write(r.onWrite)
	r.out = nil
	if r.werrno != 0 {
		err = os.NewSyscallError("write", r.werrno)
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
			r.werrno = errno
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
