// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package ttrpc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// channelOwner is told what happens on a channel. No lock is held then.
type channelOwner interface {
	frameReceiver

	writerOwner

	// frameLate is told that a frame has not arrived in time.
	frameLate(err error)

	// receiveEnded is told, once, by the reading goroutine, why there will be no
	// more frames.
	receiveEnded(err error)
}

// channel is the I/O of one connection: it reads and writes frames, and knows
// nothing of streams. A client or a server connection owns it, receives its
// frames, and decides when it ends.
//
//	net.Conn ── rawConn (kernel sockets on Linux) or plain Read and Write
//	   │ bytes
//	channel ── assembler: bytes → frames     writer: frames → bytes
//	   │ frames
//	Client, serverConn
type channel struct {
	// immutable
	owner  channelOwner
	limits *channelLimits
	out    *writer

	in assembler

	// owned by receive
	frameTimer *time.Timer
	timedFrame uint64 // assembler.frames when frameTimer was set
	timing     bool

	renewing atomic.Bool // see renewReader

	closeMu       sync.Mutex
	conn          net.Conn           // the one that close closes; the handshake may replace it
	stopHandshake context.CancelFunc // nil unless there is one going on
	renewable     bool               // conn is read by a rawConn
	lingers       bool               // see mayDropUnread; immutable after open
	closed        bool
}

// newChannel returns a channel whose writer queues until open is called.
func newChannel(conn net.Conn, owner channelOwner, limits *channelLimits) *channel {
	return &channel{
		out:    newWriter(owner, limits.maxSend),
		in:     assembler{limit: uint32(limits.maxReceive)},
		owner:  owner,
		limits: limits,
		conn:   conn,
	}
}

// open lets frames flow over conn, which is the connection itself or what a
// handshake made of it. The caller goes on with receive.
func (ch *channel) open(conn net.Conn) *rawConn {
	raw := newRawConn(conn, &ch.out.progress)
	ch.closeMu.Lock()
	ch.conn, ch.renewable, ch.lingers = conn, raw != nil, mayDropUnread(conn)
	closed := ch.closed
	ch.closeMu.Unlock()
	if closed {
		closeConn(conn)
	}
	ch.in.whole = !isStreamSocket(conn)
	ch.in.size = readBufferSizePortable
	if raw != nil {
		ch.in.size = readBufferSize
	}
	ch.out.start(conn, raw)
	return raw
}

// mayDropUnread reports whether conn's other end may not get to read what has been
// written when conn is closed, as it is with some multiplexers. It does with
// sockets, and with net.Pipe, whose Write waits until all has been read.
func mayDropUnread(conn net.Conn) bool {
	if isStreamSocket(conn) {
		return false
	}
	addr := conn.LocalAddr()
	return addr == nil || addr.Network() != "pipe"
}

// isStreamSocket reports whether conn is plainly a socket of the kernel's that
// carries a stream of bytes, so that the sizes of reads and writes do not matter.
// PROTOCOL.md, "Connections that are not sockets".
func isStreamSocket(conn net.Conn) bool {
	switch conn.(type) {
	case *net.TCPConn:
		return true
	case *net.UnixConn:
		addr := conn.LocalAddr() // nil if it is not connected
		return addr != nil && addr.Network() == "unix"
	}
	return false
}

// receive reads frames from conn and passes them to the owner until the
// connection ends or the owner returns an error, which it tells the owner.
// Another goroutine may go on where this one returns: see renewReader.
func (ch *channel) receive(conn net.Conn, raw *rawConn) {
	err := ch.receiveFrames(conn, raw)
	if ch.renewing.Load() && errors.Is(err, os.ErrDeadlineExceeded) {
		go ch.receiveRenewed(conn, raw)
		return
	}
	ch.stopFrameTimer()
	ch.in.close()
	ch.owner.receiveEnded(err)
}

// renewReader has a new goroutine read the connection, if that is a socket: the
// stack of one that has handled a Request is twice as large as it needs to be to
// wait for the next, and never shrinks. It is for connections that have nothing
// to do: the reader is woken for it. Frames that are on their way are not
// affected, not even one that has arrived in part.
func (ch *channel) renewReader() {
	ch.closeMu.Lock()
	conn, renewable := ch.conn, ch.renewable && !ch.closed
	ch.closeMu.Unlock()
	if renewable && ch.renewing.CompareAndSwap(false, true) {
		_ = conn.SetReadDeadline(longAgo) // it may have been closed meanwhile
	}
}

// longAgo is a deadline that ends a read at once.
var longAgo = time.Unix(1, 0)

// receiveRenewed is receive in the goroutine that renewReader has wanted.
func (ch *channel) receiveRenewed(conn net.Conn, raw *rawConn) {
	_ = conn.SetReadDeadline(time.Time{}) // it may have been closed meanwhile
	ch.renewing.Store(false)              // no sooner: the deadline is ours until then
	ch.receive(conn, raw)
}

// receiveFrames is what receive does until there is an error, which it returns.
func (ch *channel) receiveFrames(conn net.Conn, raw *rawConn) error {
	for empty := 0; ; {
		var n int
		var err error
		if raw != nil {
			n, err = raw.readInto(&ch.in)
		} else {
			space := ch.in.space()
			if n, err = conn.Read(space); n < 0 || n > len(space) {
				return errInvalidRead
			}
		}
		if n > 0 {
			empty = 0
			if err := ch.in.advance(n, ch.owner); err != nil {
				return err
			}
			if ch.out.mustThrottle() {
				ch.stopFrameTimer() // what is late now is late because of us
				ch.out.throttle(ch.limits.stallTimeout)
			}
			ch.timeFrame()
			if n >= ch.in.size/2 {
				// There is probably more, and others want to read as well: a peer that
				// floods us must not keep a processor for a whole time slice.
				runtime.Gosched()
			}
		}
		if err != nil {
			return ch.readError(err)
		}
		if empty++; empty > maxEmptyReads {
			return io.ErrNoProgress
		}
	}
}

// errInvalidRead ends a connection whose Read breaks io.Reader's rules.
var errInvalidRead = errors.New("connection returned an invalid count from Read")

// maxEmptyReads is how often in a row a Read may return neither bytes nor an
// error.
const maxEmptyReads = 100

// timeFrame sees to it that a frame which has begun to arrive does so in time.
func (ch *channel) timeFrame() {
	if ch.limits.frameTimeout <= 0 {
		return
	}
	if !ch.in.partial() {
		ch.stopFrameTimer()
		return
	}
	if ch.timing && ch.timedFrame == ch.in.frames {
		return
	}
	ch.timing, ch.timedFrame = true, ch.in.frames
	if ch.frameTimer == nil {
		ch.frameTimer = time.AfterFunc(ch.limits.frameTimeout, ch.frameTimedOut)
		return
	}
	ch.frameTimer.Reset(ch.limits.frameTimeout)
}

func (ch *channel) stopFrameTimer() {
	if ch.timing {
		ch.frameTimer.Stop()
		ch.timing = false
	}
}

// frameTimedOut runs when frameTimer fires.
func (ch *channel) frameTimedOut() {
	ch.owner.frameLate(fmt.Errorf("frame incomplete after %v: %w", ch.limits.frameTimeout, ErrProtocol))
}

// readError says what err, from the connection's Read, ended.
func (ch *channel) readError(err error) error {
	if errors.Is(err, io.EOF) && ch.in.partial() {
		return io.ErrUnexpectedEOF
	}
	return err
}

// close closes the connection and ends the writer, which releases every sender
// and the reader. It may be called more than once, from any goroutine.
func (ch *channel) close(cause error) {
	ch.out.end(cause)
	ch.closeMu.Lock()
	conn, first, stopHandshake := ch.conn, !ch.closed, ch.stopHandshake
	ch.closed = true
	ch.closeMu.Unlock()
	if stopHandshake != nil {
		stopHandshake()
	}
	if first {
		closeConn(conn)
	}
}

// closePatience is how long closing a connection that is not a socket may hold
// up whoever closes it.
const closePatience = time.Second

// closeConn closes conn. A connection that is not a socket may have much to do
// then, and may wait for the peer; it does so by itself.
func closeConn(conn net.Conn) {
	if isStreamSocket(conn) {
		conn.Close()
		return
	}
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		conn.Close()
	}()
	timer := time.NewTimer(closePatience)
	defer timer.Stop()
	select {
	case <-closed:
	case <-timer.C:
	}
}

// handshake runs h on the connection, for at most timeout unless that is zero. A
// nil h accepts the connection as it is. The context that h gets has the values
// of values, and ends with the channel.
func (ch *channel) handshake(values context.Context, h Handshaker, timeout time.Duration) (net.Conn, any, error) {
	if h == nil {
		return ch.conn, nil, nil
	}
	ctx, cancel := context.WithCancel(values)
	defer cancel()
	ch.closeMu.Lock()
	conn, closed := ch.conn, ch.closed
	ch.stopHandshake = cancel
	ch.closeMu.Unlock()
	if closed {
		return nil, nil, ErrClosed
	}
	wrapped, info, err := handshake(ctx, h, timeout, conn)
	ch.closeMu.Lock()
	ch.stopHandshake = nil
	ch.closeMu.Unlock()
	return wrapped, info, err
}
