// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package ttrpc

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// scriptConn is a connection whose Writes do what a script says.
type scriptConn struct {
	net.Conn // nil: only Write and Close are there

	// gate, if not nil, has something for every Write that may begin.
	gate chan struct{}
	// take, if not nil, is what a Write of b does; otherwise it takes all.
	take func(b []byte) (int, error)

	mu     sync.Mutex
	writes [][]byte // what was taken, Write by Write
}

func (c *scriptConn) Write(b []byte) (int, error) {
	if c.gate != nil {
		if _, ok := <-c.gate; !ok {
			return 0, net.ErrClosed
		}
	}
	n, err := len(b), error(nil)
	if c.take != nil {
		n, err = c.take(b)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writes = append(c.writes, bytes.Clone(b[:min(max(n, 0), len(b))]))
	return n, err
}

func (c *scriptConn) Close() error { return nil }

// written returns how many Writes there were, and what they took.
func (c *scriptConn) written() (writes int, b []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.writes), bytes.Join(c.writes, nil)
}

// errorLog is a writer's owner.
type errorLog struct {
	mu   sync.Mutex
	errs []error
}

func (l *errorLog) writeFailed(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.errs = append(l.errs, err)
}

// ownerFunc is a writer's owner, too.
type ownerFunc func(error)

func (f ownerFunc) writeFailed(err error) { f(err) }

func (l *errorLog) all() []error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.errs)
}

// startWriter returns a started writer.
func startWriter(conn net.Conn) (*writer, *errorLog) {
	var log errorLog
	w := newWriter(&log, messageLengthMax)
	w.start(conn, newRawConn(conn, &w.progress))
	return w, &log
}

// idleFunc is an idleHook that claims the first time.
type idleFunc func()

func (idleFunc) claimIdle() bool { return true }
func (f idleFunc) idle()         { f() }

// seal returns a Data frame with that payload, made as the library does.
func seal(ctx context.Context, w *writer, id uint32, payload []byte) (outFrame, error) {
	f, err := w.newFrame(ctx, len(payload))
	if err != nil {
		return f, err
	}
	f.seal(frameHeader{streamID: id, typ: frameData}, append(f.b, payload...))
	return f, nil
}

// sealed is seal where nothing can go wrong.
func sealed(t testing.TB, w *writer, id uint32, payload []byte) outFrame {
	t.Helper()
	f, err := seal(context.Background(), w, id, payload)
	require.NoError(t, err)
	return f
}

// owned is a frame without a buffer, as responseFrame makes it.
func owned(id uint32, payload []byte) outFrame {
	return outFrame{b: frameOf(id, frameResponse, 0, payload)}
}

// countHook gives every frame the next odd id.
type countHook struct{ last uint32 }

func (h *countHook) onSend() (uint32, error) {
	h.last += 2
	return h.last - 1, nil
}

// hookFunc is a sendHook.
type hookFunc func() (uint32, error)

func (f hookFunc) onSend() (uint32, error) { return f() }

// requireWriteShape checks the rule for connections that are not sockets: a
// Write has at most 4096 bytes, or lies inside one payload whose header went out
// in an earlier Write. PROTOCOL.md, "Connections that are not sockets".
func requireWriteShape(t testing.TB, writes [][]byte) {
	t.Helper()
	stream := bytes.Join(writes, nil)
	frames, rest := parseFrames(stream)
	require.Empty(t, rest)
	var ends []int // of frames in stream
	at := 0
	for _, f := range frames {
		at += frameHeaderLength + int(f.length)
		ends = append(ends, at)
	}
	at = 0
	for _, b := range writes {
		from, to := at, at+len(b)
		at = to
		if len(b) <= 4096 {
			continue
		}
		i, _ := slices.BinarySearch(ends, from+1) // the frame that from is in
		header := 0
		if i > 0 {
			header = ends[i-1]
		}
		if from < header+frameHeaderLength || to > ends[i] {
			require.FailNow(t, "bad Write", "%d bytes, from %d bytes into a frame of %d", len(b), from-header, ends[i]-header)
		}
	}
}

// requireTurnFree checks that no large frame holds the turn.
func requireTurnFree(t testing.TB, w *writer) {
	t.Helper()
	require.Empty(t, w.turn, "the turn is taken")
}

// spin lets other goroutines run for a while.
func spin(d time.Duration) {
	for start := time.Now(); time.Since(start) < d; {
		runtime.Gosched()
	}
}

// Between the moment that a frame gets its stream id and its place in the queue
// nobody else can get in. Released servers refuse an id that is lower than one
// before.
func TestFirstFrameIsNotOvertaken(t *testing.T) {
	for _, kind := range writerConns {
		for _, size := range []int{10, maxCopied + 1} {
			t.Run(fmt.Sprintf("%s/%d", kind.name, size), func(t *testing.T) {
				near, far := kind.pair(t)
				w, _ := startWriter(near)
				var hook countHook
				var senders sync.WaitGroup
				send := func(f outFrame) {
					f.hook = &hook
					senders.Go(func() { w.send(context.Background(), f, sendNow) })
				}
				// A mutex for which somebody has waited too long is handed from
				// one to the next: so the rival has the lock as soon as the
				// first sender lets go of it, be it for a moment.
				first := sealed(t, w, 0, make([]byte, size))
				w.mu.Lock()
				send(first)
				spin(2 * time.Millisecond)
				w.mu.Unlock()
				w.mu.Lock()
				spin(time.Millisecond)
				send(owned(0, nil))
				spin(time.Millisecond)
				w.mu.Unlock()
				for _, want := range []uint32{1, 3} {
					f, err := readFrame(far)
					require.NoError(t, err)
					require.Equal(t, want, f.streamID)
				}
				senders.Wait()
			})
		}
	}
}

// shortWriteConn takes less of every Write than it is given, and says so
// without an error.
type shortWriteConn struct {
	net.Conn
	n int
}

func (c *shortWriteConn) Write(b []byte) (int, error) {
	c.n++
	return c.Conn.Write(b[:max(1, len(b)*(1+c.n%3)/4)])
}

// writerConns are the connections that the tests below write to. far is where
// what is written is read.
var writerConns = []struct {
	name string
	pair func(t *testing.T) (near net.Conn, far io.Reader)
}{
	{"socket", func(t *testing.T) (net.Conn, io.Reader) {
		near, far := unixPair(t, "unix")
		return near, far
	}},
	{"socket that takes little", func(t *testing.T) (net.Conn, io.Reader) {
		near, far := unixPair(t, "unix")
		require.NoError(t, near.SetWriteBuffer(1))
		return near, far
	}},
	{"pipe", func(t *testing.T) (net.Conn, io.Reader) {
		near, far := net.Pipe()
		t.Cleanup(func() { near.Close(); far.Close() })
		return near, far
	}},
	{"short writes", func(*testing.T) (net.Conn, io.Reader) {
		near, far := memConns()
		near.out.limit = 3000
		return &shortWriteConn{Conn: near}, far
	}},
}

// writerSizes are payload sizes around every size at which a frame is treated
// differently.
var writerSizes = []int{0, 1, 50, 700, maxBatchPortable - 11, maxBatchPortable - 10, maxBatchPortable - 9, 6000, maxBatch, turnSize - 1, turnSize, 150_000}

// Frames of many senders, in every mode, with contexts that end at any time:
// those that were accepted arrive whole, in the order of their hooks; the others
// do not arrive.
func TestWriterKeepsFramesWholeAndInOrder(t *testing.T) {
	const senders, each = 6, 16
	for _, kind := range writerConns {
		t.Run(kind.name, func(t *testing.T) {
			near, far := kind.pair(t)
			w, log := startWriter(near)
			var hook countHook
			var accepted [senders][each]bool
			cancelled, cancel := context.WithCancel(t.Context())
			defer cancel()

			var sending sync.WaitGroup
			for s := range senders {
				sending.Go(func() {
					for i := range each {
						ctx := context.Background()
						switch (s + i) % 3 {
						case 1:
							ctx = t.Context()
						case 2:
							ctx = cancelled
						}
						payload := fill(s*each+i, writerSizes[(s*5+i)%len(writerSizes)])
						payload = append(binary.BigEndian.AppendUint32(nil, uint32(s*each+i)), payload...)
						f, err := w.newFrame(ctx, len(payload))
						if err == nil {
							f.seal(frameHeader{typ: frameData}, append(f.b, payload...))
							f.hook = &hook
							err = w.send(ctx, f, sendMode(i%3))
						}
						if err != nil && !errors.Is(err, context.Canceled) {
							return // the reader has seen something wrong, and gone
						}
						accepted[s][i] = err == nil
						if s == 0 && i == each/2 {
							cancel()
						}
					}
				})
			}
			sending.Go(func() {
				for i := range each {
					w.post(owned(uint32(2*i), fill(i, 300)))
				}
			})
			allSent := make(chan struct{})
			go func() {
				sending.Wait()
				close(allSent)
				w.whenIdle(idleFunc(func() { near.Close() }))
			}()

			lastHook, lastPost := int64(-1), -1
			var arrived [senders][each]bool
			for {
				f, err := readFrame(far)
				if err != nil {
					require.ErrorIs(t, err, io.EOF)
					require.NotErrorIs(t, err, io.ErrUnexpectedEOF)
					break
				}
				if f.typ == frameResponse {
					require.Greater(t, int(f.streamID), lastPost, "a post has overtaken another")
					lastPost = int(f.streamID)
					require.Equal(t, fill(lastPost/2, 300), f.payload)
					continue
				}
				require.Greater(t, int64(f.streamID), lastHook, "a frame has overtaken another")
				lastHook = int64(f.streamID)
				key := int(binary.BigEndian.Uint32(f.payload))
				want := fill(key, len(f.payload)-4)
				require.True(t, bytes.Equal(want, f.payload[4:]), "payload of frame %d, of %d bytes", key, len(want))
				require.False(t, arrived[key/each][key%each], "frame %d arrived twice", key)
				arrived[key/each][key%each] = true
			}
			<-allSent
			require.Equal(t, accepted, arrived)
			require.Equal(t, 2*(each-1), lastPost)
			require.Empty(t, log.all())
			requireTurnFree(t, w)
		})
	}
}

// On a connection that is not a socket, Writes have the shape that the peer may
// rely on, however frames come together.
func TestWriterKeepsShapeOfWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, mode := range []sendMode{sendNow, sendShared, sendLater} {
			conn := &scriptConn{gate: make(chan struct{})}
			var log errorLog
			w := newWriter(&log, messageLengthMax)
			// What was queued before the start counts, too.
			for i := range 30 {
				w.post(owned(1, fill(i, writerSizes[i%8])))
			}
			go w.start(conn, nil)
			hook := &countHook{}
			for i := range 100 {
				go func() {
					f, err := seal(t.Context(), w, 0, fill(i, writerSizes[(i*7)%len(writerSizes)]))
					if i%9 == 0 {
						w.discard(f)
						f = owned(0, fill(i, 100*i)) // also large, without a buffer
					}
					f.hook = hook
					if err = errors.Join(err, w.send(t.Context(), f, mode)); err != nil {
						t.Error(err)
					}
				}()
			}
			for ; ; synctest.Wait() {
				if conn.gate <- struct{}{}; !w.busy() && hook.last == 200 {
					break
				}
				if synctest.Wait(); !w.busy() && hook.last == 200 {
					break
				}
			}
			requireWriteShape(t, conn.writes)
			_, b := conn.written()
			frames, rest := parseFrames(b)
			require.Empty(t, rest)
			require.Len(t, frames, 130)
			require.Empty(t, log.all())
			requireTurnFree(t, w)
		}
	})
}

// Frames that pile up behind a slow Write go out together.
func TestWriterCombinesSmallFrames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn := &scriptConn{gate: make(chan struct{})}
		w, _ := startWriter(conn)
		for i := range 11 {
			require.NoError(t, w.send(t.Context(), sealed(t, w, uint32(i), fill(i, 90)), sendNow))
			synctest.Wait() // the first is being written
		}
		conn.gate <- struct{}{}
		conn.gate <- struct{}{}
		synctest.Wait()
		require.False(t, w.busy())
		require.Len(t, conn.writes, 2)
		require.Len(t, conn.writes[0], 100)
		require.Len(t, conn.writes[1], 1000)
	})
}

// On a socket, too: what one Write of the peer's takes, one Write of ours makes.
func TestWriterCombinesSmallFramesOnSocket(t *testing.T) {
	near, far := unixPair(t, "unix")
	raw := newRawConn(near, new(atomic.Uint64))
	if raw == nil {
		t.Skip("every connection takes the portable path here")
	}
	var log errorLog
	w := newWriter(&log, messageLengthMax)
	for i := range 100 {
		w.post(owned(uint32(2*i), fill(i, 200)))
	}
	require.Less(t, len(w.queue), 10, "segments for 21,000 bytes")
	w.start(near, raw)
	for i := range 100 {
		f, err := readFrame(far)
		require.NoError(t, err)
		require.Equal(t, uint32(2*i), f.streamID)
		require.Equal(t, fill(i, 200), f.payload)
	}
	require.Empty(t, log.all())
}

// While a peer does not read, senders whose contexts end leave, with nothing of
// theirs on the wire; frames that were accepted arrive when it reads again.
func TestSenderLeavesWhenContextEndsThoughPeerDoesNotRead(t *testing.T) {
	t.Run("pipe", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			near, far := net.Pipe()
			defer near.Close()
			w, log := startWriter(near)
			var hook countHook
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			var sent int
			for {
				f, err := seal(ctx, w, 0, fill(sent, 5000))
				if err == nil {
					f.hook = &hook
					err = w.send(ctx, f, sendNow)
				}
				if err != nil {
					require.Equal(t, context.DeadlineExceeded, err)
					break
				}
				sent++
			}
			require.Greater(t, sent, maxQueued/5010)
			require.Less(t, sent, 3*maxQueued/5010)
			require.Equal(t, uint32(2*sent), hook.last, "a frame that was not sent has got an id")
			for i := range sent {
				f, err := readFrame(far)
				require.NoError(t, err)
				require.Equal(t, fill(i, 5000), f.payload)
			}
			synctest.Wait()
			require.False(t, w.busy())
			require.Empty(t, log.all())
		})
	})

	t.Run("socket", func(t *testing.T) {
		near, far := unixPair(t, "unix")
		w, log := startWriter(near)
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		var hook countHook
		var sent int
		for {
			// A context that has ended is good enough as long as nobody has to
			// wait for anything.
			f, err := seal(ended, w, 0, fill(sent, 5000))
			if err == nil {
				f.hook = &hook
				err = w.send(ended, f, sendNow)
			}
			if err != nil {
				require.Equal(t, context.Canceled, err)
				break
			}
			sent++
		}
		require.Equal(t, uint32(2*sent), hook.last, "a frame that was not sent has got an id")
		for i := range sent {
			f, err := readFrame(far)
			require.NoError(t, err)
			require.Equal(t, fill(i, 5000), f.payload)
		}
		idle := make(chan struct{})
		w.whenIdle(idleFunc(func() { close(idle) }))
		receiveOrFail(t, idle, "the writer to be idle")
		require.Empty(t, log.all())
	})
}

// A sender whose context can end never waits in a Write that may last for ever.
func TestSenderWithContextDoesNotWaitInWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn := &scriptConn{gate: make(chan struct{})}
		w, _ := startWriter(conn)
		for _, mode := range []sendMode{sendNow, sendShared, sendLater} {
			require.NoError(t, w.send(t.Context(), sealed(t, w, 1, nil), mode))
			conn.gate <- struct{}{}
			synctest.Wait()
			require.False(t, w.busy())
		}
	})
}

// A sender that writes what others have queued is let go after a while, though
// they queue on and on.
func TestSenderIsLetGoThoughOthersKeepQueueFilled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn := &scriptConn{gate: make(chan struct{})}
		w, _ := startWriter(conn)
		gone := make(chan error, 1)
		f := sealed(t, w, 1, nil)
		go func() { gone <- w.send(context.Background(), f, sendNow) }()
		synctest.Wait()
		for range 4 * inlineRounds {
			require.NoError(t, w.send(t.Context(), sealed(t, w, 3, nil), sendNow))
			conn.gate <- struct{}{}
			synctest.Wait()
		}
		held := len(gone) == 0
		conn.gate <- struct{}{}
		synctest.Wait()
		require.NoError(t, <-gone)
		require.False(t, held, "the first sender is still writing for the others")
	})
}

// Whoever waits for room is released by whatever makes room, or ends the writer.
func TestSendersWaitForRoom(t *testing.T) {
	full := func(t *testing.T) (*scriptConn, *writer) {
		conn := &scriptConn{gate: make(chan struct{})}
		w, _ := startWriter(conn)
		require.NoError(t, w.send(t.Context(), sealed(t, w, 1, nil), sendLater))
		synctest.Wait() // it is being written
		for w.queued < maxQueued {
			require.NoError(t, w.send(t.Context(), sealed(t, w, 1, make([]byte, 30_000)), sendNow))
		}
		return conn, w
	}
	waiting := func(w *writer, ctx context.Context) <-chan error {
		ends := make(chan error, 20)
		for range cap(ends) {
			go func() {
				ends <- w.send(ctx, owned(3, make([]byte, 100)), sendNow)
			}()
		}
		synctest.Wait()
		return ends
	}

	t.Run("the peer reads", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			conn, w := full(t)
			ends := waiting(w, context.Background())
			require.Empty(t, ends)
			conn.gate <- struct{}{} // the next batch, all that is queued, is taken
			synctest.Wait()
			require.Len(t, ends, 20)
			for range 20 {
				require.NoError(t, <-ends)
			}
			close(conn.gate)
		})
	})

	t.Run("the context ends", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			conn, w := full(t)
			ctx, cancel := context.WithCancel(t.Context())
			ends, others := waiting(w, ctx), waiting(w, context.Background())
			queued := w.queued
			cancel()
			synctest.Wait()
			for range 20 {
				require.Equal(t, context.Canceled, <-ends)
			}
			require.Empty(t, others)
			require.Equal(t, queued, w.queued)
			close(conn.gate)
			for range 20 {
				require.Equal(t, ErrClosed, <-others)
			}
		})
	})

	t.Run("the writer ends", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			conn, w := full(t)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			ends := waiting(w, ctx)
			require.True(t, w.end(errInjected))
			for range 20 {
				require.Equal(t, ErrClosed, <-ends)
			}
			close(conn.gate)
		})
	})
}

// Whatever a Write does that is not plain success: it ends the writer once, and
// nothing is written behind a frame that may be broken.
func TestWriterEndsOnceWhenWriteFails(t *testing.T) {
	for _, tt := range []struct {
		name string
		take func([]byte) (int, error)
		want error
	}{
		{"nothing taken", func([]byte) (int, error) { return 0, errInjected }, errInjected},
		{"some taken", func(b []byte) (int, error) { return len(b) / 2, errInjected }, errInjected},
		{"all taken", func(b []byte) (int, error) { return len(b), errInjected }, errInjected},
		{"a count of 0", func([]byte) (int, error) { return 0, nil }, errInvalidWrite},
		{"a negative count", func([]byte) (int, error) { return -1, nil }, errInvalidWrite},
		{"a count too large", func(b []byte) (int, error) { return len(b) + 1, nil }, errInvalidWrite},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, size := range []int{10, 5000, turnSize} {
				synctest.Test(t, func(t *testing.T) {
					conn := &scriptConn{take: tt.take, gate: make(chan struct{})}
					w, log := startWriter(conn)
					idle := 0
					for range 3 {
						go func() { // the second and third may be waiting for the turn
							f, err := seal(t.Context(), w, 1, make([]byte, size))
							if err == nil {
								err = w.send(context.Background(), f, sendLater)
							}
							if err != nil && !errors.Is(err, ErrClosed) {
								t.Error(err)
							}
						}()
					}
					synctest.Wait()
					w.whenIdle(idleFunc(func() { idle++ }))
					conn.gate <- struct{}{}
					synctest.Wait()

					require.Equal(t, []error{tt.want}, log.all())
					require.Len(t, conn.writes, 1, "written behind the failure")
					require.False(t, w.busy())
					require.Zero(t, idle, "an ended writer is not idle")
					require.Equal(t, ErrClosed, w.send(t.Context(), owned(1, nil), sendNow))
					w.post(owned(1, nil))
					w.throttle(testStall)
					w.whenIdle(idleFunc(func() { idle++ }))
					require.Zero(t, idle)
					requireTurnFree(t, w)
				})
			}
		})
	}
}

// The same on a socket, whose other end has gone.
func TestWriterEndsOnceWhenPeerIsGone(t *testing.T) {
	near, far := unixPair(t, "unix")
	errs := make(chan error, 10)
	w := newWriter(ownerFunc(func(err error) { errs <- err }), messageLengthMax)
	w.start(near, newRawConn(near, &w.progress))
	require.NoError(t, far.Close())
	for {
		f, err := seal(t.Context(), w, 1, make([]byte, 1000))
		if err == nil {
			err = w.send(t.Context(), f, sendNow)
		}
		if err != nil {
			require.Equal(t, ErrClosed, err)
			break
		}
	}
	require.Error(t, receiveOrFail(t, errs, "the error"))
	require.Empty(t, errs)
}

// However many fail a writer, at whatever time: the owner is told one, and
// holds no lock.
func TestWriterFailsOnce(t *testing.T) {
	for range 30 {
		var errs []error
		var w *writer
		w = newWriter(ownerFunc(func(err error) {
			errs = append(errs, err)
			require.False(t, w.busy()) // would wait for a lock
			require.Equal(t, ErrClosed, w.send(context.Background(), owned(1, nil), sendNow))
		}), messageLengthMax)
		conn := &scriptConn{take: func([]byte) (int, error) { return 0, errInjected }}
		var wg sync.WaitGroup
		for i := range 4 {
			wg.Go(func() { w.fail(fmt.Errorf("cause %d", i)) })
			wg.Go(func() { w.post(owned(1, nil)) })
			wg.Go(func() { w.send(t.Context(), owned(1, nil), sendMode(i%3)) })
		}
		wg.Go(func() { w.start(conn, nil) })
		wg.Wait()
		require.Equal(t, ErrClosed, w.takeTurn(t.Context()))
		require.Len(t, errs, 1)
		require.Equal(t, errs[0], w.err)
		require.False(t, w.end(errInjected))
	}
}

// An end without fail is not reported.
func TestWriterEndIsSilent(t *testing.T) {
	w, log := startWriter(&scriptConn{})
	require.True(t, w.end(errInjected))
	require.False(t, w.end(ErrClosed))
	w.fail(ErrClosed)
	require.Empty(t, log.all())
	require.Equal(t, errInjected, w.err)
}

func TestSendLeavesFrameUnsentWhenHookFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn := &scriptConn{}
		w, _ := startWriter(conn)
		for _, size := range []int{10, 5000, turnSize} {
			f := sealed(t, w, 1, make([]byte, size))
			f.hook = hookFunc(func() (uint32, error) { return 7, errInjected })
			require.Equal(t, errInjected, w.send(t.Context(), f, sendNow))
			requireTurnFree(t, w)
		}
		require.False(t, w.busy())
		require.Empty(t, conn.writes)

		f := sealed(t, w, 1, []byte("x"))
		f.hook = hookFunc(func() (uint32, error) { return 7, nil })
		require.NoError(t, w.send(t.Context(), f, sendNow))
		synctest.Wait()
		_, b := conn.written()
		require.Equal(t, frameOf(7, frameData, 0, []byte("x")), b)
	})
}

// Large frames are encoded one at a time: the second waits until the first has
// been written.
func TestLargeFramesTakeTurns(t *testing.T) {
	large := func(t *testing.T, w *writer, ctx context.Context) <-chan error {
		ends := make(chan error, 1)
		go func() {
			f, err := w.newFrame(ctx, turnSize)
			if err == nil {
				f.seal(frameHeader{streamID: 1, typ: frameData}, append(f.b, make([]byte, turnSize)...))
				err = w.send(ctx, f, sendNow)
			}
			ends <- err
		}()
		synctest.Wait()
		return ends
	}

	t.Run("one after the other", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			conn := &scriptConn{gate: make(chan struct{})}
			w, _ := startWriter(conn)
			first, second := large(t, w, t.Context()), large(t, w, t.Context())
			require.NoError(t, <-first)
			require.Empty(t, second)
			// A frame just below waits for nobody.
			require.NoError(t, w.send(t.Context(), sealed(t, w, 1, make([]byte, turnSize-1)), sendNow))
			conn.gate <- struct{}{} // header
			synctest.Wait()
			require.Empty(t, second)
			conn.gate <- struct{}{} // payload
			require.NoError(t, <-second)
			for range 4 {
				conn.gate <- struct{}{}
			}
			synctest.Wait()
			require.False(t, w.busy())
			requireTurnFree(t, w)
		})
	})

	t.Run("the context ends", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			conn := &scriptConn{gate: make(chan struct{})}
			w, _ := startWriter(conn)
			require.NoError(t, <-large(t, w, t.Context()))
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			require.Equal(t, context.DeadlineExceeded, <-large(t, w, ctx))
			conn.gate <- struct{}{}
			conn.gate <- struct{}{}
			synctest.Wait()
			requireTurnFree(t, w)
		})
	})

	t.Run("the writer ends", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			conn := &scriptConn{gate: make(chan struct{})}
			w, _ := startWriter(conn)
			require.NoError(t, <-large(t, w, t.Context()))
			second, third := large(t, w, t.Context()), large(t, w, context.Background())
			w.end(errInjected)
			require.Equal(t, ErrClosed, <-second)
			require.Equal(t, ErrClosed, <-third)
			ended, cancel := context.WithCancel(t.Context())
			cancel()
			require.Equal(t, ErrClosed, <-large(t, w, ended))
			close(conn.gate)
			synctest.Wait()
			requireTurnFree(t, w)
		})
	})
}

func TestWhenIdle(t *testing.T) {
	t.Run("at once", func(t *testing.T) {
		w, _ := startWriter(&scriptConn{})
		called := 0
		w.whenIdle(idleFunc(func() { called++ }))
		require.Equal(t, 1, called)
	})

	t.Run("before the start", func(t *testing.T) {
		w := newWriter(nil, messageLengthMax)
		called := 0
		w.whenIdle(idleFunc(func() { called++ }))
		require.Zero(t, called)
		w.start(&scriptConn{}, nil)
		require.Equal(t, 1, called)
	})

	t.Run("when all is written, once, without a lock", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			conn := &scriptConn{gate: make(chan struct{})}
			w, _ := startWriter(conn)
			var called []int
			for range 3 {
				require.NoError(t, w.send(t.Context(), sealed(t, w, 1, make([]byte, 5000)), sendNow))
			}
			w.whenIdle(idleFunc(func() {
				writes, _ := conn.written()
				called = append(called, writes)
				require.False(t, w.busy())
				w.post(owned(1, nil))
			}))
			for range 6 {
				require.Empty(t, called)
				conn.gate <- struct{}{}
				synctest.Wait()
			}
			require.Equal(t, []int{6}, called)
			conn.gate <- struct{}{}
			synctest.Wait()
			require.Equal(t, []int{6}, called)
		})
	})

	t.Run("not when the writer ends", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			conn := &scriptConn{gate: make(chan struct{})}
			w, _ := startWriter(conn)
			w.post(owned(1, nil))
			w.whenIdle(idleFunc(func() { t.Error("not idle") }))
			w.end(errInjected)
			close(conn.gate)
			synctest.Wait()
		})
	})
}

// The write side changes hands between senders all the time; none of the hand
// overs may lose a frame, or leave one lying. In a bubble, that is a deadlock.
func TestWriterLosesNoWakeUp(t *testing.T) {
	for range 30 {
		synctest.Test(t, func(t *testing.T) {
			near, far := net.Pipe()
			w, log := startWriter(near)
			var read atomic.Int64
			go func() {
				for {
					if _, err := readFrame(far); err != nil {
						return
					}
					read.Add(1)
				}
			}()
			const senders, each = 6, 30
			for s := range senders {
				go func() {
					ctx := context.Background()
					if s%2 == 0 {
						ctx = t.Context()
					}
					for i := range each {
						if i%5 == 0 {
							runtime.Gosched()
						}
						f := owned(1, make([]byte, 40*s))
						if s == 5 {
							w.post(f)
							continue
						}
						if err := w.send(ctx, f, sendMode(i%3)); err != nil {
							t.Error(err)
						}
					}
				}()
			}
			synctest.Wait()
			require.Equal(t, int64(senders*each), read.Load())
			require.False(t, w.busy())
			require.Zero(t, w.queued)
			require.Empty(t, log.all())
			near.Close()
			far.Close()
		})
	}
}

const testStall = 10 * time.Second

// The reading goroutine waits while a peer lets its answers pile up, and gives
// the peer up only if that takes nothing at all.
func TestThrottle(t *testing.T) {
	flood := func(w *writer) {
		for range maxPosted/1000 + 10 {
			w.post(owned(2, make([]byte, 1000)))
		}
	}

	t.Run("the peer does not read", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			conn := &scriptConn{gate: make(chan struct{})}
			w, log := startWriter(conn)
			w.post(owned(2, nil))
			synctest.Wait() // it is being written, and the rest is not
			flood(w)
			start := time.Now()
			w.throttle(testStall)
			require.Equal(t, testStall, time.Since(start))
			require.Equal(t, []error{errPeerNotReading}, log.all())
			require.Equal(t, ErrClosed, w.send(t.Context(), owned(1, nil), sendNow))
			close(conn.gate)
			synctest.Wait()
		})
	})

	t.Run("the peer reads slowly", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			conn := &scriptConn{gate: make(chan struct{})}
			w, log := startWriter(conn)
			w.post(owned(2, make([]byte, 8000)))
			conn.take = func(b []byte) (int, error) { return min(len(b), 1000), nil }
			synctest.Wait()
			flood(w)
			released := false
			go func() {
				w.throttle(testStall)
				released = true
			}()
			for range 8 { // the header is a Write of its own
				synctest.Wait()
				require.False(t, released)
				<-time.After(testStall - time.Second)
				conn.gate <- struct{}{}
			}
			conn.gate <- struct{}{}
			synctest.Wait()
			require.True(t, released)
			require.Empty(t, log.all())
			w.end(errInjected)
			close(conn.gate)
			synctest.Wait()
		})
	})

	t.Run("one answer is larger than the limit", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			conn := &scriptConn{}
			w, log := startWriter(conn)
			w.post(owned(2, make([]byte, 3*maxPosted)))
			w.throttle(testStall)
			synctest.Wait()
			require.Empty(t, log.all())
			require.False(t, w.busy())
			_, b := conn.written()
			require.Len(t, b, frameHeaderLength+3*maxPosted)
		})
	})

	t.Run("the writer ends", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			conn := &scriptConn{gate: make(chan struct{})}
			w, log := startWriter(conn)
			w.post(owned(2, nil))
			synctest.Wait()
			flood(w)
			go w.end(errInjected)
			w.throttle(testStall)
			require.Empty(t, log.all())
			close(conn.gate)
			synctest.Wait()
		})
	})
}

// A frame that was queued belongs to the writer, and one that has no buffer of
// its own belongs to the sender again: its bytes may change at once.
func TestWriterCopiesFramesThatStayTheSenders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn := &scriptConn{gate: make(chan struct{})}
		w, _ := startWriter(conn)
		var want []byte
		for _, size := range []int{5, 4000, 5000, 40_000} {
			f := owned(1, fill(size, size))
			want = append(want, f.b...)
			require.NoError(t, w.send(t.Context(), f, sendNow))
			clear(f.b)
		}
		for w.busy() {
			conn.gate <- struct{}{}
			synctest.Wait()
		}
		_, b := conn.written()
		require.True(t, bytes.Equal(want, b))
	})
}

// What a socket has not taken keeps its place in front of what others have
// queued meanwhile.
func TestUnwrittenRestStaysInFront(t *testing.T) {
	for _, tt := range []struct {
		name string
		// write has the write side, and writes f as far as the socket takes it;
		// others queue a frame meanwhile.
		write func(w *writer, f outFrame, others func())
	}{
		{"first frame", func(w *writer, f outFrame, others func()) {
			others()
			w.writeFirst(f)
		}},
		{"batch", func(w *writer, f outFrame, others func()) {
			w.mu.Lock()
			w.enqueueLocked(f)
			w.mu.Unlock()
			batch := w.take()
			others()
			rest, err := w.tryWriteAll(batch)
			if err != nil || len(rest) == 0 {
				panic("the socket takes it all")
			}
			w.requeue(rest)
			go w.flush()
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			near, far := unixPair(t, "unix")
			w, log := startWriter(near)
			if w.raw == nil {
				t.Skip("every connection takes the portable path here")
			}
			var filler int
			for {
				n, err := w.raw.tryWrite(make([]byte, 1000))
				require.NoError(t, err)
				if filler += n; n < 1000 {
					break
				}
			}
			w.mu.Lock()
			w.active = true
			w.mu.Unlock()
			tt.write(w, sealed(t, w, 1, fill(1, 3000)), func() {
				for i := range 5 {
					w.post(owned(uint32(3+2*i), fill(3+2*i, 3000)))
				}
			})
			_, err := io.CopyN(io.Discard, far, int64(filler))
			require.NoError(t, err)
			for i := range 6 {
				f, err := readFrame(far)
				require.NoError(t, err)
				require.Equal(t, uint32(1+2*i), f.streamID)
				require.Equal(t, fill(1+2*i, 3000), f.payload)
			}
			require.Empty(t, log.all())
		})
	}
}

// A sender may find out that the writer has ended when it has a part of its
// frame still to write: that is dropped, with the turn that it holds.
func TestRequeueAfterEndDropsRest(t *testing.T) {
	w, _ := startWriter(&scriptConn{})
	f := sealed(t, w, 1, make([]byte, turnSize))
	w.mu.Lock()
	w.active = true
	w.enqueueLocked(f)
	w.mu.Unlock()
	batch := w.take()
	require.True(t, w.end(errInjected))
	w.requeue(batch)
	require.Empty(t, w.queue)
	require.Zero(t, w.queued)
	requireTurnFree(t, w)
}

// post tells whether its frame will be written.
func TestPostReportsRefusal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn := &scriptConn{}
		w, _ := startWriter(conn)
		f := owned(1, nil)
		f.hook = hookFunc(func() (uint32, error) { return 0, errInjected })
		require.Equal(t, errInjected, w.post(f))
		require.NoError(t, w.post(owned(3, nil)))
		synctest.Wait()
		_, b := conn.written()
		require.Equal(t, frameOf(3, frameResponse, 0, nil), b)
		w.end(errInjected)
		require.Equal(t, ErrClosed, w.post(owned(5, nil)))
	})
}
