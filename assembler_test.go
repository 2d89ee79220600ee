// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package ttrpc

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

// gotFrame is what a frameRecorder was told: a frame, or an oversized one,
// which has no payload.
type gotFrame struct {
	frameHeader
	payload   string
	oversized bool
}

// frameRecorder is a frameReceiver that notes everything, checks the rules of
// ownership, and spoils every buffer that it gives back.
type frameRecorder struct {
	t     testing.TB
	got   []gotFrame
	err   error // returned for the frame failAt
	after int   // frames before err
}

func (r *frameRecorder) receiveFrame(h frameHeader, payload []byte, buf *buffer) error {
	require.Len(r.t, payload, int(h.length))
	r.got = append(r.got, gotFrame{frameHeader: h, payload: string(payload)})
	if buf != nil {
		require.True(r.t, len(buf.b) == len(payload) && &buf.b[0] == &payload[0], "payload must be buf.b")
		for i := range payload {
			payload[i] = 0xEE
		}
		buf.release()
	}
	return r.result()
}

func (r *frameRecorder) receiveOversized(h frameHeader) error {
	r.got = append(r.got, gotFrame{frameHeader: h, oversized: true})
	return r.result()
}

func (r *frameRecorder) result() error {
	if r.err != nil && len(r.got) > r.after {
		return r.err
	}
	return nil
}

// referenceFrames is what an assembler must make of b, done simply. The error
// is ErrProtocol where a header is impossible.
func referenceFrames(b []byte) (frames []gotFrame, err error) {
	for len(b) >= frameHeaderLength {
		h := frameHeader{
			length:   binary.BigEndian.Uint32(b),
			streamID: binary.BigEndian.Uint32(b[4:]),
			typ:      frameType(b[8]),
			flags:    frameFlags(b[9]),
		}
		if b[0] != 0 {
			return frames, ErrProtocol
		}
		b = b[frameHeaderLength:]
		if uint32(len(b)) < h.length {
			return frames, nil
		}
		f := gotFrame{frameHeader: h, oversized: h.length > 4<<20}
		if !f.oversized {
			f.payload = string(b[:h.length])
		}
		frames = append(frames, f)
		b = b[h.length:]
	}
	return frames, nil
}

// assemblerKinds are the two ways in which a channel sets up its assembler.
var assemblerKinds = []struct {
	name  string
	size  int
	whole bool
}{
	{"socket", readBufferSize, false},
	{"other", readBufferSizePortable, true},
}

// feed has a read all of stream, in pieces of the sizes that next returns, as
// far as they fit the space offered.
func feed(t testing.TB, a *testAssembler, stream []byte, next func() int) error {
	t.Helper()
	for len(stream) > 0 {
		p := a.space()
		if len(p) == 0 {
			require.FailNow(t, "no space offered")
		}
		if a.whole {
			requireWholeOffer(t, a, len(p))
		}
		n := copy(p[:min(len(p), max(next(), 1))], stream)
		stream = stream[n:]
		if err := a.advance(n); err != nil {
			return err
		}
	}
	return nil
}

// requireWholeOffer checks what a connection that is not a socket is offered:
// 4096 bytes, and the whole rest of a frame that has its own buffer or is
// skipped. PROTOCOL.md, "Connections that are not sockets".
func requireWholeOffer(t testing.TB, a *testAssembler, offered int) {
	rest := a.skip
	if a.large != nil {
		rest = int(a.head.length) - len(a.large.b)
	}
	if offered < 4096 || offered < rest {
		require.FailNow(t, "offer too small", "%d bytes for a rest of %d", offered, rest)
	}
}

// testAssembler is an assembler with the receiver of its frames.
type testAssembler struct {
	assembler
	receiver frameReceiver
}

func newTestAssembler(r frameReceiver, size int, whole bool) *testAssembler {
	return &testAssembler{assembler{size: size, limit: messageLengthMax, whole: whole}, r}
}

func (a *testAssembler) advance(n int) error { return a.assembler.advance(n, a.receiver) }

func always(n int) func() int { return func() int { return n } }

// assemble runs stream through a fresh assembler.
func assemble(t testing.TB, size int, whole bool, stream []byte, next func() int) ([]gotFrame, error) {
	t.Helper()
	r := &frameRecorder{t: t}
	a := newTestAssembler(r, size, whole)
	defer a.close()
	err := feed(t, a, stream, next)
	return r.got, err
}

// requireFrames compares frames without printing megabytes.
func requireFrames(t testing.TB, want, got []gotFrame) {
	t.Helper()
	for i := range min(len(want), len(got)) {
		if want[i] != got[i] {
			require.FailNow(t, "frame differs", "frame %d: want %+v (oversized %v), got %+v (oversized %v)", i,
				want[i].frameHeader, want[i].oversized, got[i].frameHeader, got[i].oversized)
		}
	}
	require.Len(t, got, len(want))
}

// smallStream is a stream of small frames of all kinds.
func smallStream() []byte {
	var b []byte
	b = append(b, frameOf(1, frameRequest, flagRemoteOpen, fill(1, 17))...)
	b = append(b, frameOf(1, frameData, flagRemoteClosed|flagNoData, nil)...)
	b = append(b, frameOf(0xFFFFFFFF, 0xEE, 0xFF, []byte{0})...)
	b = append(b, frameOf(0, 0, 0, nil)...)
	b = append(b, frameOf(3, frameResponse, 0, fill(3, 9))...)
	return b
}

func TestAssemblerGivesSameFramesHoweverReadsAreSplit(t *testing.T) {
	for _, kind := range assemblerKinds {
		t.Run(kind.name, func(t *testing.T) {
			stream := smallStream()
			want, err := referenceFrames(stream)
			require.NoError(t, err)
			require.Len(t, want, 5)

			t.Run("in three", func(t *testing.T) {
				for i := 1; i < len(stream); i++ {
					for j := i; j < len(stream); j++ {
						cuts := []int{i, j - i, len(stream)}
						got, err := assemble(t, kind.size, kind.whole, stream, func() int {
							n := cuts[0]
							cuts = cuts[1:]
							return n
						})
						require.NoError(t, err)
						requireFrames(t, want, got)
					}
				}
			})

			t.Run("in equal pieces", func(t *testing.T) {
				for n := 1; n <= len(stream); n++ {
					got, err := assemble(t, kind.size, kind.whole, stream, always(n))
					require.NoError(t, err)
					requireFrames(t, want, got)
				}
			})
		})
	}
}

// Frames of every size at which something changes, and reads of such sizes.
func TestAssemblerGivesSameFramesAtEverySizeLimit(t *testing.T) {
	for _, kind := range assemblerKinds {
		t.Run(kind.name, func(t *testing.T) {
			var stream []byte
			var sizes []int
			for _, limit := range []int{0, minReadOffer, kind.size - minReadOffer - frameHeaderLength, kind.size - frameHeaderLength, kind.size, firstChunk, 34 << 10, 68 << 10} {
				for d := -2; d <= 2; d++ {
					sizes = append(sizes, max(limit+d, 0))
				}
			}
			for i, n := range sizes {
				stream = append(stream, frameOf(uint32(2*i+1), frameData, 0, fill(i, n))...)
			}
			want, err := referenceFrames(stream)
			require.NoError(t, err)
			require.Len(t, want, len(sizes))
			for _, n := range []int{minReadOffer - 1, minReadOffer, minReadOffer + 1, kind.size, 1 << 30} {
				t.Run(fmt.Sprintf("reads of %d", n), func(t *testing.T) {
					got, err := assemble(t, kind.size, kind.whole, stream, always(n))
					require.NoError(t, err)
					requireFrames(t, want, got)
				})
			}
			t.Run("reads of all sizes", func(t *testing.T) {
				rnd := rand.New(rand.NewPCG(1, 2))
				for range 8 {
					got, err := assemble(t, kind.size, kind.whole, stream, func() int { return 1 + rnd.IntN(1<<rnd.IntN(17)) })
					require.NoError(t, err)
					requireFrames(t, want, got)
				}
			})
		})
	}
}

func TestAssemblerTakesLargestFrameAndSkipsLarger(t *testing.T) {
	for _, kind := range assemblerKinds {
		t.Run(kind.name, func(t *testing.T) {
			var stream []byte
			for i, n := range []int{messageLengthMax, messageLengthMax + 1, 3} {
				stream = append(stream, frameOf(uint32(2*i+1), frameRequest, 0, fill(i, n))...)
			}
			want, err := referenceFrames(stream)
			require.NoError(t, err)
			require.Equal(t, [3]bool{false, true, false}, [3]bool{want[0].oversized, want[1].oversized, want[2].oversized})
			for _, n := range []int{64<<10 - 1, 1 << 30} {
				got, err := assemble(t, kind.size, kind.whole, stream, always(n))
				require.NoError(t, err)
				requireFrames(t, want, got)
			}
		})
	}
}

// The largest length that may be swallowed, and the first that may not.
func TestAssemblerRefusesImpossibleLength(t *testing.T) {
	for _, kind := range assemblerKinds {
		t.Run(kind.name, func(t *testing.T) {
			header := func(length uint32) []byte {
				b := make([]byte, frameHeaderLength)
				putFrameHeader(b, frameHeader{length: length, streamID: 1, typ: frameData})
				return b
			}
			got, err := assemble(t, kind.size, kind.whole, header(frameLengthImpossible-1), always(1))
			require.NoError(t, err)
			require.Empty(t, got)
			for _, length := range []uint32{frameLengthImpossible, 0x01FFFFFF, 0x80000000, 0xFFFFFFFF} {
				stream := append(frameOf(1, frameData, 0, []byte("fine")), header(length)...)
				got, err := assemble(t, kind.size, kind.whole, stream, always(3))
				require.ErrorIs(t, err, ErrProtocol)
				require.Len(t, got, 1, "what came before is delivered")
			}
		})
	}
}

// An error of the receiver ends it there and then: no frame behind it is
// passed on, whatever kind of frame it was.
func TestAssemblerStopsAtErrorOfReceiver(t *testing.T) {
	var stream []byte
	for i, n := range []int{5, 100_000, 7, messageLengthMax + 1, 9} {
		stream = append(stream, frameOf(uint32(2*i+1), frameRequest, 0, fill(i, n))...)
	}
	stop := errors.New("stop")
	for _, kind := range assemblerKinds {
		t.Run(kind.name, func(t *testing.T) {
			for after := range 5 {
				r := &frameRecorder{t: t, err: stop, after: after}
				a := newTestAssembler(r, kind.size, kind.whole)
				require.Equal(t, stop, feed(t, a, stream, always(1<<20)))
				require.Len(t, r.got, after+1)
				a.close()
			}
		})
	}
}

// Between any two reads the connection may fall idle, and give up its buffer.
func TestAssemblerParkKeepsWhatHasArrived(t *testing.T) {
	stream := smallStream()
	stream = append(stream, frameOf(5, frameData, 0, fill(5, 40_000))...)
	stream = append(stream, smallStream()...)
	want, err := referenceFrames(stream)
	require.NoError(t, err)
	for _, n := range []int{1, 13, 10_000} {
		r := &frameRecorder{t: t}
		a := newTestAssembler(r, readBufferSize, false)
		for rest := stream; len(rest) > 0; {
			a.space() // a read that finds nothing
			a.park()
			k := copy(a.space()[:min(n, len(a.space()))], rest)
			rest = rest[k:]
			require.NoError(t, a.advance(k))
			idle := !a.partial()
			a.park()
			if idle {
				require.Nil(t, a.store, "an idle connection holds a buffer")
			}
		}
		requireFrames(t, want, r.got)
		a.close()
		require.Nil(t, a.store)
	}
}

func TestAssemblerKnowsWhetherFrameHasBegun(t *testing.T) {
	for _, kind := range assemblerKinds {
		t.Run(kind.name, func(t *testing.T) {
			stream := frameOf(1, frameData, 0, fill(0, 50))
			stream = append(stream, frameOf(1, frameData, 0, fill(0, 9_000))...)
			stream = append(stream, frameOf(1, frameData, 0, fill(0, messageLengthMax+1))...)
			ends := map[int]bool{0: true, 60: true, 9_070: true, len(stream): true}
			a := newTestAssembler(&frameRecorder{t: t}, kind.size, kind.whole)
			defer a.close()
			for at := 0; ; {
				require.Equal(t, !ends[at], a.partial(), "at byte %d", at)
				if at == len(stream) {
					break
				}
				n := 1
				if at > 9_200 {
					n = 300_000
				}
				n = copy(a.space()[:min(n, len(a.space()))], stream[at:])
				require.NoError(t, a.advance(n))
				at += n
			}
		})
	}
}

// A Read is never offered less than minReadOffer, whatever has arrived so far:
// for some connections that is a condition, for a socket it saves system calls.
func TestAssemblerNeverOffersLessThanMinimum(t *testing.T) {
	for _, kind := range assemblerKinds {
		t.Run(kind.name, func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(3, 4))
			for range 50 {
				var stream []byte
				for range 5 {
					stream = append(stream, frameOf(1, frameData, 0, make([]byte, rnd.IntN(1<<(8+rnd.IntN(10)))))...)
				}
				a := newTestAssembler(&frameRecorder{t: t}, kind.size, kind.whole)
				for at := 0; at < len(stream); {
					p := a.space()
					require.GreaterOrEqual(t, len(p), minReadOffer, "at byte %d of frames whose header says %d", at, a.head.length)
					n := copy(p[:1+rnd.IntN(len(p))], stream[at:])
					require.NoError(t, a.advance(n))
					at += n
				}
				a.close()
			}
		})
	}
}

// emptyPools makes the pools forget all buffers.
func emptyPools() {
	runtime.GC()
	runtime.GC()
}

// The memory for a frame follows what has arrived of it: a header alone, or a
// header and a little, does not obtain what the header promises.
func TestMemoryForLargeFrameFollowsArrival(t *testing.T) {
	emptyPools()
	a := newTestAssembler(&frameRecorder{t: t}, readBufferSize, false)
	defer a.close()
	header := make([]byte, frameHeaderLength)
	putFrameHeader(header, frameHeader{length: messageLengthMax, streamID: 1, typ: frameRequest})
	require.NoError(t, a.advance(copy(a.space(), header)))
	for arrived := 0; arrived < messageLengthMax; {
		p := a.space()
		// Buffers come in classes that are up to four times apart, and growing
		// by less than that would copy often.
		require.LessOrEqual(t, cap(a.large.b), max(2*firstChunk, 8*arrived), "memory for %d bytes that have arrived", arrived)
		n := min(len(p), 1000)
		require.NoError(t, a.advance(n))
		arrived += n
	}
}

// An oversized frame on a connection that is not a socket, where every Read has
// to be offered the whole rest, obtains that memory once, however small the
// pieces are in which it arrives.
func TestOversizedFrameInSmallPiecesObtainsMemoryOnce(t *testing.T) {
	const length, pieces = 8 << 20, 20
	a := newTestAssembler(&frameRecorder{t: t}, readBufferSizePortable, true)
	defer a.close()
	header := make([]byte, frameHeaderLength)
	putFrameHeader(header, frameHeader{length: length, streamID: 1, typ: frameRequest})
	require.NoError(t, a.advance(copy(a.space(), header)))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range pieces {
		a.space()
		require.NoError(t, a.advance(1))
	}
	runtime.ReadMemStats(&after)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(2*length), "bytes allocated for %d bytes of a frame", pieces)
}

// What an assembler holds when its connection ends is given back, once.
func TestAssemblerCloseGivesBuffersBack(t *testing.T) {
	for _, kind := range assemblerKinds {
		t.Run(kind.name, func(t *testing.T) {
			stream := frameOf(1, frameData, 0, fill(1, 20<<10+kind.size))
			for cut := 1; cut < len(stream); cut += 1013 {
				a := newTestAssembler(&frameRecorder{t: t}, kind.size, kind.whole)
				require.NoError(t, feed(t, a, stream[:cut], always(2048)))
				a.close()
				require.Nil(t, a.store)
				require.Nil(t, a.large)
			}
		})
	}
}

// FuzzReceive feeds the assembler a stream of bytes in arbitrary pieces, and
// compares with referenceFrames.
func FuzzReceive(f *testing.F) {
	f.Add(smallStream(), []byte{1}, true)
	f.Add(smallStream(), []byte{7, 200, 3}, false)
	f.Add(append(frameOf(1, frameRequest, 0, fill(1, 5000)), smallStream()...), []byte{255, 255, 9}, true)
	f.Add(append(frameOf(1, frameRequest, 0, fill(1, 5000)), frameOf(3, frameData, 5, fill(1, 4087))...), []byte{250}, true)
	f.Add([]byte("\x00\x40\x00\x01\x00\x00\x00\x01\x01\x00 oversized"), []byte{4, 4}, false)
	f.Add([]byte("\x00\x00\x70\x00\x00\x00\x00\x01\x01\x00 large on a socket"), []byte{4, 4}, false)
	f.Add([]byte("\x01\x00\x00\x00\x00\x00\x00\x01\x01\x00"), []byte{}, true)
	f.Fuzz(func(t *testing.T, stream, cuts []byte, whole bool) {
		// Sizes grow with the square, so that a byte reaches past every limit.
		i := 0
		next := func() int {
			if i++; len(cuts) == 0 || i > 500 {
				return 1 << 20
			}
			n := int(cuts[i%len(cuts)])
			return 1 + n*n/4
		}
		want, wantErr := referenceFrames(stream)
		// To throw an oversized frame away takes, on a connection that is not a
		// socket, as much memory as it promises: too slow to be tried so often.
		whole = whole && !promisesOversized(stream)
		size := readBufferSize
		if whole {
			size = readBufferSizePortable
		}
		r := &frameRecorder{t: t}
		a := newTestAssembler(r, size, whole)
		defer a.close()
		err := feed(t, a, stream, next)
		requireFrames(t, want, r.got)
		require.Equal(t, wantErr != nil, errors.Is(err, ErrProtocol), "error: %v", err)
		if err == nil {
			// What is partial is what the reference has left over.
			left := len(stream)
			for _, f := range want {
				left -= frameHeaderLength + int(f.length)
			}
			require.Equal(t, left > 0, a.partial())
		}
	})
}

// promisesOversized reports whether stream has the header of an oversized frame.
func promisesOversized(stream []byte) bool {
	for len(stream) >= frameHeaderLength {
		length := int(parseFrameHeader(stream).length)
		if length > messageLengthMax {
			return true
		}
		stream = stream[min(frameHeaderLength+length, len(stream)):]
	}
	return false
}

// The header's encoding is its decoding backwards, byte for byte.
func FuzzFrameHeader(f *testing.F) {
	f.Add(smallStream()[:frameHeaderLength])
	f.Add([]byte("\x00\x40\x00\x00\xff\xff\xff\xff\x10\x08"))
	f.Add(bytes.Repeat([]byte{0xFF}, frameHeaderLength))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) < frameHeaderLength {
			return
		}
		h := parseFrameHeader(b)
		require.Equal(t, binary.BigEndian.Uint32(b), h.length)
		var again [frameHeaderLength]byte
		putFrameHeader(again[:], h)
		require.Equal(t, b[:frameHeaderLength], again[:])
		putFrameStreamID(again[:], ^h.streamID)
		h.streamID = ^h.streamID
		require.Equal(t, h, parseFrameHeader(again[:]))
	})
}
