// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package ttrpc

import (
	"context"
	"errors"
	"io"
	"math"
	"net"
	"sync"
	"time"
)

// writeFailedGrace is how long a client goes on reading after a write has
// failed: the answers to earlier calls may be on their way.
const writeFailedGrace = time.Second

// Client makes calls and opens streams on one connection. Its methods may be
// called from several goroutines at once.
type Client struct {
	*channel

	// immutable after NewClient
	config *clientConfig // clients without options share one

	budget    sharedBudget
	freeCalls sync.Pool // of *clientCall; emptied by the garbage collector when idle

	// mu is taken after writer.mu.
	mu              sync.Mutex
	pending         streamTable[pendingStream] // empty when the client has ended
	ended           bool
	nextID          uint64 // odd; beyond 32 bits when all are used up
	grace           *time.Timer
	onCloseReturned bool          // config.onClose has returned, if there is one
	closeWaiter     chan struct{} // closed then; nil if nobody waits
}

// pendingStream is a call or a stream that waits for frames. Its methods are
// called by the goroutine that reads, and must not wait.
type pendingStream interface {
	// receiveFrame takes a frame; buf is as for frameReceiver. It reports
	// whether this was the last frame of the stream, which the table then
	// forgets.
	receiveFrame(h frameHeader, payload []byte, buf *buffer) (last bool)

	// fail ends the stream: there will be no frame.
	fail(err error)
}

// NewClient returns a client for conn, which it owns from then on, and starts
// to read. conn may be any net.Conn: a socket, a pipe, one end of a
// multiplexer.
func NewClient(conn net.Conn, opts ...ClientOpts) *Client {
	c := &Client{
		config: defaultClientConfig,
		nextID: 1,
	}
	if len(opts) > 0 {
		config := *defaultClientConfig
		c.config = &config
		for _, opt := range opts {
			opt(c)
		}
		config.unary = chainUnaryClient(config.unaryChain)
	}
	c.budget.init(c.config.budget.perConnection)
	c.channel = newChannel(conn, c, &c.config.limits)
	if c.config.handshaker == nil {
		go c.receive(conn, c.open(conn))
	} else {
		go c.runHandshake()
	}
	return c
}

// runHandshake is run for a client with a handshaker.
func (c *Client) runHandshake() {
	wrapped, _, err := c.handshake(context.Background(), c.config.handshaker, c.config.handshakeTimeout)
	if err != nil {
		c.shut(err)
		return
	}
	c.receive(wrapped, c.open(wrapped))
}

// receiveEnded implements channelOwner. When it returns, nothing is pending.
func (c *Client) receiveEnded(err error) { c.shut(err) }

// Close closes the connection; pending calls and streams get ErrClosed. It does
// not wait for them, nor for the function of WithOnClose. It returns nil, and
// may be called more than once, by that function too.
func (c *Client) Close() error {
	c.shut(ErrClosed)
	return nil
}

// UserOnCloseWait waits until the function of WithOnClose has returned, or
// until ctx ends, whose error it returns then.
func (c *Client) UserOnCloseWait(ctx context.Context) error {
	c.mu.Lock()
	if c.onCloseReturned {
		c.mu.Unlock()
		return nil
	}
	if c.closeWaiter == nil {
		c.closeWaiter = make(chan struct{})
	}
	done := c.closeWaiter
	c.mu.Unlock()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// shut ends the client: it is the one place where that happens. Only the first
// cause counts.
func (c *Client) shut(cause error) {
	c.mu.Lock()
	if c.ended {
		c.mu.Unlock()
		return
	}
	c.ended = true
	pending := c.pending.removeAll()
	if c.grace != nil {
		c.grace.Stop()
	}
	c.mu.Unlock()
	for _, p := range pending {
		p.fail(ErrClosed)
	}
	c.close(cause)
	c.logEnd(cause)
	go c.afterClose()
}

// logEnd reports why the client has ended, if that is worth it.
func (c *Client) logEnd(cause error) {
	var refused *handshakeError
	switch {
	case errors.Is(cause, ErrClosed), errors.Is(cause, io.EOF):
	case errors.As(cause, &refused):
		c.config.logger.Error("ttrpc: client handshake failed", "error", cause)
	case errors.Is(cause, ErrProtocol), errors.Is(cause, errPeerNotReading):
		c.config.logger.Error("ttrpc: error receiving message", "error", cause)
	default:
		c.config.logger.Debug("ttrpc: connection ended", "error", cause)
	}
}

// afterClose runs the user's function, in a goroutine that shut starts.
func (c *Client) afterClose() {
	defer c.closeDone()
	if c.config.onClose != nil {
		c.config.onClose()
	}
}

// closeDone notes that config.onClose has returned.
func (c *Client) closeDone() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.onCloseReturned = true
	if c.closeWaiter != nil {
		close(c.closeWaiter)
	}
}

// frameLate implements channelOwner. Nothing can follow a frame that does not
// end.
func (c *Client) frameLate(err error) { c.shut(err) }

// writeFailed implements channelOwner.
func (c *Client) writeFailed(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.ended {
		c.grace = time.AfterFunc(writeFailedGrace, func() { c.shut(err) })
	}
}

// register gives p a place in the table, and the next stream id, which it
// stores in id first. It is called with the writer locked, so ids go out in
// ascending order.
func (c *Client) register(p pendingStream, id *uint32) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.ended:
		return ErrClosed
	case c.nextID > math.MaxUint32:
		go c.shut(errOutOfIDs)
		return ErrClosed
	}
	*id = uint32(c.nextID)
	c.pending.put(*id, p)
	c.nextID += 2
	return nil
}

// errOutOfIDs ends a connection on which every stream id has been used: the
// caller has to make a new one.
var errOutOfIDs = errors.New("stream ids used up")

// forget takes the stream of that id out of the table, and reports whether it
// was there: if not, it has been given its last frame, or has failed.
func (c *Client) forget(id uint32) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, ok := c.pending.remove(id)
	return ok
}

// inFlight returns the number of pending calls and streams.
func (c *Client) inFlight() int { return c.pending.len() }

// cancelStream tells the server that nobody waits for the stream any more, and
// whether that is because of the deadline. PROTOCOL.md, "Cancel".
func (c *Client) cancelStream(id uint32, cause error) {
	h := frameHeader{streamID: id, typ: frameCancel}
	if errors.Is(cause, context.DeadlineExceeded) {
		h.flags = flagDeadline
	}
	f := outFrame{b: make([]byte, frameHeaderLength)}
	putFrameHeader(f.b, h)
	_ = c.out.post(f) // if there is still somebody
}

// receiveFrame is the frameReceiver of a client. What belongs to no pending
// stream is dropped: it is late, or for nobody.
func (c *Client) receiveFrame(h frameHeader, payload []byte, buf *buffer) error {
	c.mu.Lock()
	p, _ := c.pending.get(h.streamID)
	_, unary := p.(*clientCall)
	if unary {
		// One frame ends a call. Who takes it out of the table owns its end.
		c.pending.remove(h.streamID)
	}
	c.mu.Unlock()
	if p == nil {
		buf.release()
		return nil
	}
	if last := p.receiveFrame(h, payload, buf); last && !unary {
		c.forget(h.streamID)
	}
	return nil
}

// receiveOversized is the frameReceiver of a client, too.
func (c *Client) receiveOversized(h frameHeader) error {
	c.mu.Lock()
	p, _ := c.pending.remove(h.streamID)
	c.mu.Unlock()
	if p == nil {
		return nil
	}
	p.fail(oversizedStatus(int(h.length), c.limits.maxReceive).Err())
	if h.typ != frameResponse {
		c.cancelStream(h.streamID, nil)
	}
	return nil
}

// timeoutNano returns what a Request says of ctx's deadline; an error if that
// has passed, or ctx has ended otherwise, so that nothing is to be sent.
func (c *Client) timeoutNano(ctx context.Context) (int64, error) {
	err := ctx.Err()
	if err == nil {
		deadline, ok := ctx.Deadline()
		if !ok {
			return 0, nil
		}
		if left := time.Until(deadline); left > 0 {
			return left.Nanoseconds(), nil
		}
		err = context.DeadlineExceeded
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return 0, ErrClosed
	}
	return 0, err
}
