// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package ttrpc

import "encoding/binary"

const (
	// frameHeaderLength is the size of the header in front of every payload.
	// PROTOCOL.md, "Frame".
	frameHeaderLength = 10

	// messageLengthMax is the largest payload of a frame, inclusive.
	// PROTOCOL.md, "Limits".
	messageLengthMax = 4 << 20

	// frameLengthImpossible is the first length that no peer can mean: the
	// first byte of the header is then not zero. PROTOCOL.md, "Limits".
	frameLengthImpossible = 1 << 24
)

// frameType says what a frame's payload is. PROTOCOL.md, "Frame types".
type frameType uint8

const (
	frameRequest  frameType = 0x01
	frameResponse frameType = 0x02
	frameData     frameType = 0x03
	frameCancel   frameType = 0x10
)

// String returns the word that error texts use for a frame that a client did
// not expect.
func (t frameType) String() string {
	switch t {
	case frameRequest:
		return "request"
	case frameResponse:
		return "response"
	case frameData:
		return "data"
	}
	return "unknown"
}

// frameFlags qualify a frame. Bits without a name are ignored.
// PROTOCOL.md, "Flags".
type frameFlags uint8

const (
	// flagRemoteClosed: the sender sends nothing more on this stream.
	flagRemoteClosed frameFlags = 0x01
	// flagRemoteOpen: on a Request, the sender will send Data on this stream.
	flagRemoteOpen frameFlags = 0x02
	// flagNoData: the frame carries no message, not even an empty one.
	flagNoData frameFlags = 0x04
	// flagDeadline: on a Cancel, the client's deadline has passed.
	flagDeadline frameFlags = 0x08
)

// has reports whether all bits of want are set.
func (f frameFlags) has(want frameFlags) bool { return f&want == want }

// frameHeader is the decoded header of a frame.
type frameHeader struct {
	length   uint32 // of the payload, in bytes
	streamID uint32
	typ      frameType
	flags    frameFlags
}

// parseFrameHeader decodes the first frameHeaderLength bytes of b.
func parseFrameHeader(b []byte) frameHeader {
	_ = b[frameHeaderLength-1]
	return frameHeader{
		length:   binary.BigEndian.Uint32(b[0:4]),
		streamID: binary.BigEndian.Uint32(b[4:8]),
		typ:      frameType(b[8]),
		flags:    frameFlags(b[9]),
	}
}

// putFrameHeader encodes h into the first frameHeaderLength bytes of b.
func putFrameHeader(b []byte, h frameHeader) {
	_ = b[frameHeaderLength-1]
	binary.BigEndian.PutUint32(b[0:4], h.length)
	putFrameStreamID(b, h.streamID)
	b[8] = byte(h.typ)
	b[9] = byte(h.flags)
}

// putFrameStreamID rewrites the stream id in the encoded header b. A frame is
// encoded before its stream id is known, see writer.
func putFrameStreamID(b []byte, id uint32) {
	binary.BigEndian.PutUint32(b[4:8], id)
}
