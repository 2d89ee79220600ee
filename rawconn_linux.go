// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux && !ttrpc_portable

package ttrpc

import (
	"io"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// rawChunk is the most that one system call reads or writes, so that a long
// copy in the kernel does not keep the scheduler from its other goroutines.
const rawChunk = 64 << 10

// rawConn reads and writes a kernel socket without blocking, beside the
// portable path of channel and writer, which it improves in two ways: a reader
// holds no buffer while it waits for the peer; a writer learns that the peer
// does not read, instead of waiting for it.
//
// One goroutine may read and one may write at a time.
type rawConn struct {
	rc syscall.RawConn

	// owned by the goroutine that reads
	in     *assembler
	read   int
	rerr   error
	onRead func(fd uintptr) bool // rawConn.readReady, bound once

	// owned by the goroutine that writes
	out     []byte
	written int
	werr    error
	onWrite func(fd uintptr) bool // rawConn.writeReady, bound once
}

// newRawConn returns nil for a connection that is not plainly a kernel socket.
func newRawConn(conn net.Conn) *rawConn {
	var (
		rc  syscall.RawConn
		err error
	)
	switch c := conn.(type) {
	case *net.UnixConn:
		rc, err = c.SyscallConn()
	case *net.TCPConn:
		rc, err = c.SyscallConn()
	default:
		return nil
	}
	if err != nil {
		return nil
	}
	r := &rawConn{rc: rc}
	r.onRead, r.onWrite = r.readReady, r.writeReady
	return r
}

// readInto waits for bytes and puts them into a's space. It returns how many
// they are, for a.advance.
//
// A short read is not taken to mean that the socket is empty: the end of the
// connection may stand behind the last bytes, and the poller reports both at
// once, only once.
func (r *rawConn) readInto(a *assembler) (int, error) {
	r.in, r.read, r.rerr = a, 0, nil
	err := r.rc.Read(r.onRead)
	r.in = nil
	if r.rerr != nil {
		err = r.rerr
	}
	return r.read, err
}

// readReady is the callback of readInto. It says that it is done unless there
// is nothing to read yet.
func (r *rawConn) readReady(fd uintptr) bool {
	for {
		p := r.in.space()
		n, err := unix.Read(int(fd), p[:min(len(p), rawChunk)])
		switch {
		case err == unix.EINTR:
			continue
		case err == unix.EAGAIN:
			r.in.park()
			return false
		case err != nil:
			r.rerr = os.NewSyscallError("read", err)
		case n == 0:
			r.rerr = io.EOF
		default:
			r.read = n
		}
		return true
	}
}

// tryWrite writes as much of b as the socket takes now, and returns how much
// that was. Less than all of it without an error means that the peer does not
// read.
func (r *rawConn) tryWrite(b []byte) (int, error) {
	r.out, r.written, r.werr = b, 0, nil
	err := r.rc.Write(r.onWrite)
	r.out = nil
	if r.werr != nil {
		err = r.werr
	}
	return r.written, err
}

// writeReady is the callback of tryWrite. It always says that it is done: it
// never waits.
func (r *rawConn) writeReady(fd uintptr) bool {
	for r.written < len(r.out) {
		chunk := r.out[r.written:]
		chunk = chunk[:min(len(chunk), rawChunk)]
		n, err := unix.Write(int(fd), chunk)
		switch {
		case err == unix.EINTR:
			continue
		case err == unix.EAGAIN:
			return true
		case err != nil:
			r.werr = os.NewSyscallError("write", err)
			return true
		}
		r.written += n
		if n < len(chunk) {
			return true
		}
	}
	return true
}
