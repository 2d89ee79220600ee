// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package ttrpc

import "sync"

// buffer is a byte slice that comes from, and goes back to, the pool of its
// size class. A buffer has one owner at a time: whoever holds the pointer
// either passes it on or calls release, once.
type buffer struct {
	b     []byte
	class int // index into bufferClasses, or -1 for a buffer that has no pool

	// for a receiveQueue
	next   *buffer
	single bool // one message, not a batch
}

// bufferClasses are the capacities of pooled buffers. Each class from 34 KiB on
// has some room above the round number, so that a round payload and its envelope
// fit. None is much more than twice the one before, so no buffer is much more
// than twice what it was asked for.
var bufferClasses = [...]int{
	1 << 10,
	4 << 10,
	8 << 10,
	17 << 10,
	34 << 10,
	68 << 10,
	136 << 10,
	264 << 10,
	520 << 10,
	1<<20 + 8<<10,
	2<<20 + 8<<10,
	messageLengthMax + 8<<10,
}

var bufferPools [len(bufferClasses)]sync.Pool

// bufferClass returns the smallest class that holds n bytes, or -1.
func bufferClass(n int) int {
	for i, size := range bufferClasses {
		if n <= size {
			return i
		}
	}
	return -1
}

// getBuffer returns an empty buffer with room for at least n bytes.
func getBuffer(n int) *buffer {
	class := bufferClass(n)
	if class < 0 {
		return &buffer{b: make([]byte, 0, n), class: class}
	}
	if buf, ok := bufferPools[class].Get().(*buffer); ok {
		return buf
	}
	return &buffer{b: make([]byte, 0, bufferClasses[class]), class: class}
}

// copyBuffer returns a buffer that holds a copy of p.
func copyBuffer(p []byte) *buffer {
	buf := getBuffer(len(p))
	buf.b = append(buf.b, p...)
	return buf
}

// release gives the buffer back; the caller must not touch it afterwards.
// A nil buffer may be released.
func (buf *buffer) release() {
	if buf == nil || buf.class < 0 {
		return
	}
	buf.b, buf.single = buf.b[:0], false
	bufferPools[buf.class].Put(buf)
}
