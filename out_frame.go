// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package ttrpc

import "context"

// outFrame is a frame on its way to the writer: header and payload in one
// piece.
type outFrame struct {
	b []byte

	// buf, if not nil, is the buffer that b lies in; it goes to the writer with
	// the frame. If nil, b is the sender's again when send returns.
	buf *buffer

	// hook, if not nil, is called when the frame takes its place in the order
	// of frames.
	hook sendHook

	// turn says that the sender has taken the writer's turn, which ends when
	// the frame has been written.
	turn bool

	reserved int // bytes reserved for it in the writer's queue
}

// sendHook binds what must happen in the order of frames to that order.
type sendHook interface {
	// onSend returns the stream id for the frame's header. It is called with
	// the writer locked; an error keeps the frame from being sent.
	onSend() (streamID uint32, err error)
}

// encodeFrame returns a frame with the payload that appendPayload appends, which has
// at most size bytes. Its errors are those of newFrame and of appendPayload, which
// may also panic: a message's own code may run, and somebody may recover.
func (w *writer) encodeFrame(ctx context.Context, h frameHeader, size int, appendPayload func([]byte) ([]byte, error)) (outFrame, error) {
	f, err := w.newFrame(ctx, size)
	if err != nil {
		return outFrame{}, err
	}
	sealed := false
	defer func() {
		if !sealed {
			w.discard(f)
		}
	}()
	b, err := appendPayload(f.b)
	if err != nil {
		return outFrame{}, err
	}
	f.seal(h, b)
	sealed = true
	return f, nil
}

// maxUnreserved is the largest payload for which newFrame reserves no room: encoded,
// the message takes less than the goroutine that waits with it.
const maxUnreserved = 1<<10 - frameHeaderLength

// newFrame returns a frame with room for a payload of size bytes behind its
// header. It waits for the turn if it is large, and, unless it is small, for room
// in the writer's queue: with a peer that does not read, messages wait unencoded.
// The payload is to be appended to b, and the result given to seal. Its errors are
// an *OversizedMessageErr, ctx's, and ErrClosed.
func (w *writer) newFrame(ctx context.Context, size int) (outFrame, error) {
	if size > int(w.maxSend) {
		return outFrame{}, newOversizedMessageErr(size, int(w.maxSend))
	}
	var f outFrame
	if size >= turnSize {
		if err := w.takeTurn(ctx); err != nil {
			return outFrame{}, err
		}
		f.turn = true
	}
	if size > maxUnreserved {
		w.mu.Lock()
		err := w.reserveLocked(ctx, frameHeaderLength+size)
		w.mu.Unlock()
		if err != nil {
			w.discard(f)
			return outFrame{}, err
		}
		f.reserved = frameHeaderLength + size
	}
	f.buf = getBuffer(frameHeaderLength + size)
	f.b = f.buf.b[:frameHeaderLength]
	return f, nil
}

// seal completes a frame, whose header and payload are b.
func (f *outFrame) seal(h frameHeader, b []byte) {
	h.length = uint32(len(b) - frameHeaderLength)
	putFrameHeader(b, h)
	f.b, f.buf.b = b, b
}

// discard gives back what came with a frame: it is not sent, or a copy is.
func (w *writer) discard(f outFrame) {
	f.buf.release()
	if f.turn {
		w.endTurn()
	}
	if f.reserved > 0 {
		w.mu.Lock()
		w.unreserveLocked(&f)
		w.mu.Unlock()
	}
}
