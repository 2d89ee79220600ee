// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package ttrpc

import "fmt"

const (
	// readBufferSize is what a kernel socket is read through while it has data.
	readBufferSize = 32 << 10

	// readBufferSizePortable is what any other connection is read through. It
	// is held for the life of the connection.
	readBufferSizePortable = 8 << 10

	// minReadOffer is the least that is ever offered to a connection's Read.
	// Some connections fail a Read that offers less than one Write of the
	// peer, and peers write up to this much at once. PROTOCOL.md,
	// "Connections that are not sockets".
	minReadOffer = 4 << 10

	// firstChunk is the memory that the header of a large frame obtains by
	// itself; the rest follows the bytes that really arrive.
	firstChunk = 68 << 10
)

// frameReceiver is told what an assembler finds. An error that it returns ends
// the connection.
type frameReceiver interface {
	// receiveFrame takes one frame. If buf is nil, payload is valid only during
	// the call; otherwise payload is buf.b, and the receiver owns buf.
	receiveFrame(h frameHeader, payload []byte, buf *buffer) error

	// receiveOversized is told of a frame whose payload was larger than allowed
	// and has been thrown away.
	receiveOversized(h frameHeader) error
}

// assembler turns bytes into frames without doing any I/O: its user reads into
// space() and reports how much came with advance(), which passes on every frame
// that is then complete.
//
// Small frames are handed over where they lie in the read buffer. A frame that
// does not fit there is collected in a buffer of its own, which grows with what
// arrives, so that a header alone obtains little memory.
type assembler struct {
	// immutable
	size  int    // of the read buffer
	limit uint32 // of a payload
	whole bool   // always offer room for the whole rest of a frame

	// owned by the goroutine that reads
	store  *buffer     // the read buffer; nil while parked
	r, w   int         // store.b[r:w] is read but not passed on
	head   frameHeader // of the frame that large or skip is about
	large  *buffer     // the frame being collected, if it has its own buffer
	skip   int         // bytes of an oversized frame still to be thrown away
	waste  *buffer     // what they are read into, if they must be offered room at once
	direct *buffer     // what the last space() offered, if not the read buffer
	frames uint64      // frames passed on so far
}

// readBuffer returns the whole read buffer, fetching it first if need be.
func (a *assembler) readBuffer() []byte {
	if a.store == nil {
		a.store = getBuffer(a.size)
	}
	return a.store.b[:a.size]
}

// space returns where the next bytes go. It is never empty.
func (a *assembler) space() []byte {
	a.direct = nil
	switch {
	case a.large != nil && int(a.head.length)-len(a.large.b) >= minReadOffer:
		a.growLarge()
		a.direct = a.large
		end := min(cap(a.large.b), int(a.head.length))
		return a.large.b[len(a.large.b):end]
	case a.skip >= minReadOffer && a.whole:
		if a.waste == nil {
			a.waste = getBuffer(a.skip)
		}
		a.direct = a.waste
		return a.direct.b[:a.skip]
	}
	b := a.readBuffer()
	if a.r > 0 && len(b)-a.w < minReadOffer {
		a.w = copy(b, b[a.r:a.w])
		a.r = 0
	}
	return b[a.w:]
}

// advance takes note that n bytes have been put into the last space(), and
// passes the frames that they complete on to r.
func (a *assembler) advance(n int, r frameReceiver) error {
	switch {
	case a.direct == nil:
		a.w += n
	case a.direct == a.large:
		a.large.b = a.large.b[:len(a.large.b)+n]
	default:
		a.skip -= n
	}
	a.direct = nil
	for {
		more, err := a.step(r)
		if err != nil || !more {
			return err
		}
	}
}

// step passes on at most one frame. more is false when it takes more bytes to
// get any further.
func (a *assembler) step(r frameReceiver) (more bool, err error) {
	var unread []byte
	if a.store != nil {
		unread = a.store.b[a.r:a.w:a.w]
	}
	switch {
	case a.head.length > a.limit:
		return a.stepOversized(unread, r)
	case a.large != nil:
		return a.stepLarge(unread, r)
	case len(unread) < frameHeaderLength:
		return false, nil
	}
	h := parseFrameHeader(unread)
	total := frameHeaderLength + int(h.length)
	switch {
	case h.length >= frameLengthImpossible:
		return false, fmt.Errorf("frame length %d: %w", h.length, ErrProtocol)
	case h.length > a.limit:
		a.consume(frameHeaderLength)
		a.head, a.skip = h, int(h.length)
		return true, nil
	case total > a.size-minReadOffer:
		a.consume(frameHeaderLength)
		a.head, a.large = h, a.newLarge(int(h.length))
		return true, nil
	case len(unread) < total:
		return false, nil
	}
	a.consume(total)
	a.frames++
	return true, r.receiveFrame(h, unread[frameHeaderLength:total:total], nil)
}

// consume takes n bytes off the front of what is unread.
func (a *assembler) consume(n int) {
	a.r += n
	if a.r == a.w {
		a.r, a.w = 0, 0
	}
}

// newLarge returns the buffer in which a frame of n bytes is collected.
func (a *assembler) newLarge(n int) *buffer {
	if a.whole {
		return getBuffer(n)
	}
	return getBuffer(min(n, firstChunk))
}

// growLarge moves the large frame to a buffer that is about four times as large,
// if there is not room for a read of some size.
func (a *assembler) growLarge() {
	old := a.large
	missing := int(a.head.length) - len(old.b)
	if cap(old.b)-len(old.b) >= min(missing, minReadOffer) {
		return
	}
	a.large = getBuffer(min(int(a.head.length), 3*cap(old.b)))
	a.large.b = append(a.large.b, old.b...)
	old.release()
}

// stepLarge moves what is unread into the large frame, and passes that on once
// it is complete.
func (a *assembler) stepLarge(unread []byte, r frameReceiver) (more bool, err error) {
	for len(unread) > 0 && len(a.large.b) < int(a.head.length) {
		a.growLarge()
		n := min(len(unread), cap(a.large.b)-len(a.large.b), int(a.head.length)-len(a.large.b))
		a.large.b = append(a.large.b, unread[:n]...)
		unread = unread[n:]
		a.consume(n)
	}
	if len(a.large.b) < int(a.head.length) {
		return false, nil
	}
	h, buf := a.head, a.large
	a.head, a.large = frameHeader{}, nil
	a.frames++
	return true, r.receiveFrame(h, buf.b, buf)
}

// stepOversized throws away what is unread of an oversized frame, and reports
// the frame once all of it is gone.
func (a *assembler) stepOversized(unread []byte, r frameReceiver) (more bool, err error) {
	n := min(len(unread), a.skip)
	a.consume(n)
	a.skip -= n
	if a.skip > 0 {
		return false, nil
	}
	h := a.head
	a.head = frameHeader{}
	a.waste.release()
	a.waste = nil
	a.frames++
	return true, r.receiveOversized(h)
}

// partial reports whether a frame has begun and not ended.
func (a *assembler) partial() bool {
	return a.w > a.r || a.head.length != 0
}

// park gives the read buffer back if nothing is in it: an idle connection then
// holds no buffer.
func (a *assembler) park() {
	if a.r == a.w && a.store != nil {
		a.store.release()
		a.store = nil
	}
}

// close gives back whatever is held. Nothing may be called afterwards.
func (a *assembler) close() {
	a.r, a.w = 0, 0
	a.park()
	a.large.release()
	a.waste.release()
	a.large, a.waste = nil, nil
}
