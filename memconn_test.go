// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package ttrpc

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// memConn is one end of an in-memory connection that is as obliging or as
// hostile as its knobs say. It has no deadlines. All of its waiting is durable
// blocking in a synctest bubble.
type memConn struct {
	in, out *memPipe

	// maxRead, if not zero, is the most that one Read returns.
	maxRead int
}

// memPipe is one direction of a memConn.
type memPipe struct {
	mu     sync.Mutex
	change sync.Cond
	buf    []byte
	limit  int   // Write waits while this much is unread; 0 for no limit
	eof    error // what Read returns behind the last byte; nil while open
	gone   bool  // the reader is gone: Write fails
}

func newMemPipe() *memPipe {
	p := &memPipe{}
	p.change.L = &p.mu
	return p
}

// memConns returns the two ends of a connection without limits.
func memConns() (a, b *memConn) {
	ab, ba := newMemPipe(), newMemPipe()
	return &memConn{in: ba, out: ab}, &memConn{in: ab, out: ba}
}

func (p *memPipe) read(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.buf) == 0 {
		switch {
		case p.gone:
			return 0, net.ErrClosed
		case p.eof != nil:
			return 0, p.eof
		}
		p.change.Wait()
	}
	n := copy(b, p.buf)
	p.buf = p.buf[n:]
	p.change.Broadcast()
	return n, nil
}

func (p *memPipe) write(b []byte) (n int, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		switch {
		case p.eof != nil:
			return n, net.ErrClosed
		case p.gone:
			return n, syscall.EPIPE
		}
		part := b[n:]
		if p.limit > 0 {
			part = part[:min(len(part), max(p.limit-len(p.buf), 0))]
		}
		p.buf = append(p.buf, part...)
		n += len(part)
		p.change.Broadcast()
		if n == len(b) {
			return n, nil
		}
		p.change.Wait()
	}
}

// set changes the pipe, and wakes whoever waits for a change.
func (p *memPipe) set(change func(*memPipe)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(p)
	p.change.Broadcast()
}

// take returns what is unread, without waiting.
func (p *memPipe) take() []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	b := p.buf
	p.buf = nil
	p.change.Broadcast()
	return b
}

func (c *memConn) Read(b []byte) (int, error) {
	if c.maxRead > 0 {
		b = b[:min(len(b), c.maxRead)]
	}
	return c.in.read(b)
}

func (c *memConn) Write(b []byte) (int, error) { return c.out.write(b) }

func (c *memConn) Close() error {
	c.out.set(func(p *memPipe) {
		if p.eof == nil {
			p.eof = io.EOF
		}
	})
	c.in.set(func(p *memPipe) { p.gone = true; p.buf = nil })
	return nil
}

// closeWrite makes the other end read err behind what has been written.
func (c *memConn) closeWrite(err error) { c.out.set(func(p *memPipe) { p.eof = err }) }

func (*memConn) LocalAddr() net.Addr              { return memAddr{} }
func (*memConn) RemoteAddr() net.Addr             { return memAddr{} }
func (*memConn) SetDeadline(time.Time) error      { return nil }
func (*memConn) SetReadDeadline(time.Time) error  { return nil }
func (*memConn) SetWriteDeadline(time.Time) error { return nil }

type memAddr struct{}

func (memAddr) Network() string { return "mem" }
func (memAddr) String() string  { return "mem" }

// memListener accepts what is given to it by connect.
type memListener struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newMemListener() *memListener {
	return &memListener{conns: make(chan net.Conn, 16), done: make(chan struct{})}
}

func (l *memListener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conns:
		return conn, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// Close resets the connections that have not been accepted, as a socket does.
func (l *memListener) Close() error {
	l.once.Do(func() { close(l.done) })
	for {
		select {
		case conn := <-l.conns:
			conn.Close()
		default:
			return nil
		}
	}
}

func (l *memListener) Addr() net.Addr { return memAddr{} }

// connect returns the client's end of a new connection.
func (l *memListener) connect() *memConn {
	client, server := memConns()
	l.conns <- server
	return client
}

// unixPair returns the two ends of a connected unix socket of this kind:
// "unix" or "unixpacket".
func unixPair(t testing.TB, network string) (a, b *net.UnixConn) {
	t.Helper()
	l, err := net.Listen(network, t.TempDir()+"/s")
	if network != "unix" && err != nil {
		t.Skipf("no %s sockets here: %v", network, err)
	}
	require.NoError(t, err)
	defer l.Close()
	conn, err := net.Dial(network, l.Addr().String())
	require.NoError(t, err)
	far, err := l.Accept()
	require.NoError(t, err)
	t.Cleanup(func() {
		conn.Close()
		far.Close()
	})
	return conn.(*net.UnixConn), far.(*net.UnixConn)
}

// testPatience bounds the wait of a test for what must come; it only decides
// how long a failing test takes.
const testPatience = 20 * time.Second

// receiveOrFail returns what ch delivers.
func receiveOrFail[T any](t testing.TB, ch <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(testPatience):
		require.FailNow(t, "timed out", "waiting for %s", what)
		panic("unreachable")
	}
}

// frameOf encodes one frame.
func frameOf(id uint32, typ frameType, flags frameFlags, payload []byte) []byte {
	b := make([]byte, frameHeaderLength, frameHeaderLength+len(payload))
	putFrameHeader(b, frameHeader{length: uint32(len(payload)), streamID: id, typ: typ, flags: flags})
	return append(b, payload...)
}

// parsedFrame is a frame as parseFrames finds it.
type parsedFrame struct {
	frameHeader
	payload []byte
}

// parseFrames is the simplest possible reader of frames: it takes the whole
// ones off the front of b and returns the rest.
func parseFrames(b []byte) (frames []parsedFrame, rest []byte) {
	for len(b) >= frameHeaderLength {
		h := parseFrameHeader(b)
		end := frameHeaderLength + int(h.length)
		if len(b) < end {
			break
		}
		frames = append(frames, parsedFrame{h, b[frameHeaderLength:end]})
		b = b[end:]
	}
	return frames, b
}

// readFrame reads one frame from conn, which need not be the last one.
func readFrame(conn io.Reader) (parsedFrame, error) {
	var b [frameHeaderLength]byte
	if _, err := io.ReadFull(conn, b[:]); err != nil {
		return parsedFrame{}, err
	}
	f := parsedFrame{frameHeader: parseFrameHeader(b[:])}
	f.payload = make([]byte, f.length)
	_, err := io.ReadFull(conn, f.payload)
	return f, err
}

// fill returns n bytes that tell seed and their place.
func fill(seed, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(seed + i + i>>8*7)
	}
	return b
}

// errInjected is an error that a test puts into a connection.
var errInjected = os.NewSyscallError("injected", syscall.EIO)
