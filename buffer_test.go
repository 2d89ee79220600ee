// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package ttrpc

import (
	"bytes"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestBufferHasRoomForWhatWasAskedFor(t *testing.T) {
	sizes := []int{0, 1, messageLengthMax, messageLengthMax + frameHeaderLength, 16 << 20}
	for _, size := range bufferClasses {
		sizes = append(sizes, size-1, size, size+1)
	}
	for _, n := range sizes {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			for range 2 { // the second may come from the pool
				buf := getBuffer(n)
				require.Empty(t, buf.b)
				require.GreaterOrEqual(t, cap(buf.b), n)
				if n > bufferClasses[len(bufferClasses)-1] {
					require.Equal(t, -1, buf.class, "too large for a pool")
				} else {
					require.GreaterOrEqual(t, bufferClasses[buf.class], n)
				}
				buf.b = buf.b[:n]
				buf.release()
			}
		})
	}
}

func TestBufferClassesAscend(t *testing.T) {
	for i := 1; i < len(bufferClasses); i++ {
		require.Greater(t, bufferClasses[i], bufferClasses[i-1])
	}
	// Every frame that may be sent or received fits a pooled buffer.
	require.GreaterOrEqual(t, bufferClass(frameHeaderLength+messageLengthMax), 0)
}

// The buffer that a connection holds for as long as it lives is of the size
// that was chosen for it.
func TestReadBuffersAreOfTheirSize(t *testing.T) {
	for _, size := range []int{readBufferSize, readBufferSizePortable} {
		buf := getBuffer(size)
		require.LessOrEqual(t, cap(buf.b), size+size/2, "memory for a read buffer of %d bytes", size)
		buf.release()
	}
}

func TestCopyBufferIsACopy(t *testing.T) {
	b := fill(1, 5000)
	buf := copyBuffer(b)
	b[0]++
	require.Equal(t, fill(1, 5000), buf.b)
	buf.release()
	empty := copyBuffer(nil)
	require.Empty(t, empty.b)
	empty.release()
}

// A buffer that has no pool is forgotten when it is released: whoever got it from
// a pool would find less room than asked for.
func TestReleaseTakesNilAndUnpooled(t *testing.T) {
	(*buffer)(nil).release()
	unpooled := map[*buffer]bool{}
	for range 20 { // a pool does not give everything back
		buf := &buffer{b: make([]byte, 3), class: -1}
		buf.release()
		unpooled[buf] = true
	}
	var taken []*buffer
	for class, size := range bufferClasses {
		for range 3 {
			buf := getBuffer(size)
			require.False(t, unpooled[buf], "a buffer of class %d has no pool", class)
			require.GreaterOrEqual(t, cap(buf.b), size)
			taken = append(taken, buf)
		}
	}
	for _, buf := range taken {
		buf.release()
	}
}

// A buffer that somebody made longer than its class is kept, and serves.
func TestBufferMayHaveGrown(t *testing.T) {
	buf := getBuffer(10)
	buf.b = append(buf.b, fill(0, 100_000)...)
	buf.release()
	again := getBuffer(10)
	require.Empty(t, again.b)
	require.GreaterOrEqual(t, cap(again.b), 10)
}

// No two owners at a time.
func TestBuffersHaveOneOwner(t *testing.T) {
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 300 {
				n := 1 + (g*37+i*101)%6000
				buf := getBuffer(n)
				buf.b = append(buf.b, fill(g*1000+i, n)...)
				other := copyBuffer(buf.b)
				if !bytes.Equal(buf.b, other.b) || !bytes.Equal(buf.b, fill(g*1000+i, n)) {
					t.Error("buffer changed under its owner")
				}
				buf.release()
				other.release()
			}
		})
	}
	wg.Wait()
}
