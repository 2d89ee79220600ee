// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package ttrpc

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
)

// newTestQueue returns a queue with these limits.
func newTestQueue(perStream, perConnection int) (*receiveQueue, *sharedBudget) {
	shared := &sharedBudget{limit: int64(perConnection)}
	q := newReceiveQueue(perStream, shared)
	return &q, shared
}

// into is a decode function: it copies the message into a *[]byte.
func into(b []byte, p any) error {
	*p.(*[]byte) = bytes.Clone(b)
	return nil
}

// pop receives one message, or the end, without waiting for either.
func pop(q *receiveQueue) ([]byte, error) {
	var b []byte
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	err := q.receive(ended, into, &b)
	return b, err
}

// pushAs queues a message, in a buffer of its own if large is set.
func pushAs(q *receiveQueue, message []byte, large bool) error {
	if !large {
		return q.push(message, nil)
	}
	buf := copyBuffer(message)
	return q.push(buf.b, buf)
}

func TestReceiveQueueKeepsOrder(t *testing.T) {
	q, shared := newTestQueue(1<<20, 1<<20)
	var want [][]byte
	for i, n := range []int{0, 1, 63, 64, 65, 8191, 8192, 3, 0, 70_000, 5} {
		message := fill(i, n)
		want = append(want, message)
		require.NoError(t, pushAs(q, message, i%3 == 0 && n > 0))
	}
	for i := range want {
		got, err := pop(q)
		require.NoError(t, err)
		require.True(t, bytes.Equal(want[i], got), "message %d", i)
	}
	_, err := pop(q)
	require.Equal(t, context.Canceled, err)
	require.Zero(t, q.held)
	require.Zero(t, shared.used.Load())
}

// queueModel is what a receiveQueue must be, done simply.
type queueModel struct {
	messages [][]byte
	held     int
	end      error
	detached bool
}

// A long random life, compared with the model after every step, with a second
// queue that shares the budget.
func TestReceiveQueueIsLikeItsModel(t *testing.T) {
	const perStream, perConnection = 6000, 9000
	for seed := range uint64(150) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		shared := &sharedBudget{limit: perConnection}
		var queues [2]receiveQueue
		var models [2]queueModel
		for i := range queues {
			queues[i] = newReceiveQueue(perStream, shared)
		}
		used := func() (n int) {
			for _, m := range models {
				if !m.detached {
					n += m.held
				}
			}
			return n
		}
		for step := range 150 {
			q, m := &queues[step%2], &models[step%2]
			switch action := rnd.IntN(100); {
			case action < 55:
				message := fill(step, rnd.IntN(1<<rnd.IntN(13)))
				large := len(message) > 0 && rnd.IntN(3) == 0
				cost := len(message) + queuedOverhead
				var want error
				if m.end == nil && (m.held+cost > perStream || used()+cost > perConnection) {
					want = ErrStreamFull
				}
				require.Equal(t, want, pushAs(q, message, large), "seed %d, step %d", seed, step)
				if m.end == nil && want == nil {
					m.messages = append(m.messages, message)
					m.held += cost
				}
			case action < 98:
				got, err := pop(q)
				switch {
				case len(m.messages) > 0:
					want := m.messages[0]
					m.messages = m.messages[1:]
					m.held -= len(want) + queuedOverhead
					require.NoError(t, err)
					require.True(t, bytes.Equal(want, got), "seed %d, step %d", seed, step)
				case m.end != nil:
					require.Equal(t, m.end, err)
				default:
					require.Equal(t, context.Canceled, err)
				}
			case action == 98:
				q.finish(io.EOF)
				if m.end == nil {
					m.end = io.EOF
				}
				if rnd.IntN(2) == 0 {
					q.detach()
					m.detached = true
				}
			default:
				q.abort(errInjected)
				if m.end == nil {
					*m = queueModel{end: errInjected, detached: m.detached}
				}
			}
			require.Equal(t, m.held, q.held)
			require.Equal(t, m.end, q.ended())
			require.Equal(t, int64(used()), shared.used.Load(), "seed %d, step %d", seed, step)
		}
	}
}

func TestReceiveQueueBudgets(t *testing.T) {
	t.Run("of the stream, to the byte", func(t *testing.T) {
		q, _ := newTestQueue(100, 1000)
		require.NoError(t, q.push(make([]byte, 100-queuedOverhead), nil))
		require.Equal(t, ErrStreamFull, q.push(nil, nil))
		_, err := pop(q)
		require.NoError(t, err)
		require.Equal(t, ErrStreamFull, q.push(make([]byte, 101-queuedOverhead), nil))
		require.NoError(t, q.push(make([]byte, 100-queuedOverhead), nil))
	})

	t.Run("of the connection, to the byte", func(t *testing.T) {
		a, shared := newTestQueue(1000, 200)
		b := newReceiveQueue(1000, shared)
		require.NoError(t, a.push(make([]byte, 100-queuedOverhead), nil))
		require.NoError(t, b.push(make([]byte, 100-queuedOverhead), nil))
		require.Equal(t, ErrStreamFull, a.push(nil, nil))
		require.Equal(t, ErrStreamFull, b.push(nil, nil))
		require.Equal(t, int64(200), shared.used.Load(), "a refusal costs nothing")
		b.abort(errInjected)
		require.NoError(t, a.push(make([]byte, 100-queuedOverhead), nil))
	})

	t.Run("a refused message may be followed by a smaller one", func(t *testing.T) {
		q, _ := newTestQueue(100, 1000)
		require.Equal(t, ErrStreamFull, pushAs(q, make([]byte, 200), true))
		require.NoError(t, q.ended(), "it is the caller's to end the stream")
		require.NoError(t, q.push([]byte("x"), nil))
		got, err := pop(q)
		require.NoError(t, err)
		require.Equal(t, "x", string(got))
	})

	t.Run("empty messages count", func(t *testing.T) {
		q, _ := newTestQueue(10*queuedOverhead, 1000)
		for range 10 {
			require.NoError(t, q.push(nil, nil))
		}
		require.Equal(t, ErrStreamFull, q.push(nil, nil))
	})
}

// finish leaves what is queued, abort does not; the first end counts, and is
// found for ever.
func TestReceiveQueueEnds(t *testing.T) {
	filled := func() (*receiveQueue, *sharedBudget) {
		q, shared := newTestQueue(1<<20, 1<<20)
		q.push([]byte("small"), nil)
		pushAs(q, []byte("large"), true)
		return q, shared
	}
	both := func(t *testing.T, q *receiveQueue, end error) {
		t.Helper()
		for _, want := range []string{"small", "large"} {
			got, err := pop(q)
			require.NoError(t, err)
			require.Equal(t, want, string(got))
		}
		for range 3 {
			_, err := pop(q)
			require.Equal(t, end, err)
		}
	}

	t.Run("finish", func(t *testing.T) {
		q, shared := filled()
		q.finish(io.EOF)
		q.finish(errInjected)
		require.NotZero(t, shared.used.Load(), "what is queued is still held")
		require.NoError(t, q.push([]byte("late"), nil), "nobody's fault")
		require.NoError(t, pushAs(q, []byte("late"), true))
		both(t, q, io.EOF)
		require.Zero(t, shared.used.Load())
	})

	t.Run("abort", func(t *testing.T) {
		q, shared := filled()
		q.abort(errInjected)
		q.finish(io.EOF)
		require.Zero(t, shared.used.Load())
		require.Zero(t, q.held)
		require.NoError(t, q.push([]byte("late"), nil))
		for range 3 {
			_, err := pop(q)
			require.Equal(t, errInjected, err)
		}
		require.Zero(t, shared.used.Load())
	})

	t.Run("abort after finish", func(t *testing.T) {
		q, shared := filled()
		q.finish(io.EOF)
		q.abort(errInjected)
		both(t, q, io.EOF)
		require.Zero(t, shared.used.Load())
	})

	t.Run("detach gives the connection its budget, once", func(t *testing.T) {
		q, shared := filled()
		q.finish(io.EOF)
		q.detach()
		q.detach()
		require.Zero(t, shared.used.Load())
		both(t, q, io.EOF)
		require.Zero(t, shared.used.Load())
	})

	t.Run("detach after abort", func(t *testing.T) {
		q, shared := filled()
		q.abort(errInjected)
		q.detach()
		require.Zero(t, shared.used.Load())
	})

	t.Run("in the middle of decoding", func(t *testing.T) {
		for _, end := range []func(*receiveQueue){
			func(q *receiveQueue) { q.abort(errInjected) },
			func(q *receiveQueue) { q.finish(errInjected); q.detach() },
		} {
			q, shared := filled()
			var got []string
			for range 2 {
				err := q.receive(t.Context(), func(b []byte, _ any) error {
					end(q)
					q.push(bytes.Repeat([]byte("!"), 5000), nil)
					copyBuffer(bytes.Repeat([]byte("!"), 100)).release()
					got = append(got, string(b))
					return nil
				}, nil)
				if err != nil {
					require.Equal(t, errInjected, err)
				}
			}
			require.Equal(t, "small", got[0])
			require.Zero(t, shared.used.Load())
		}
	})
}

func TestReceiveQueuePassesOverWhatCannotBeDecoded(t *testing.T) {
	q, shared := newTestQueue(1000, 1000)
	for _, m := range []string{"bad", "good"} {
		require.NoError(t, pushAs(q, []byte(m), m == "bad"))
	}
	err := q.receive(t.Context(), func([]byte, any) error { return errInjected }, nil)
	require.Equal(t, errInjected, err)
	got, err := pop(q)
	require.NoError(t, err)
	require.Equal(t, "good", string(got))
	require.Zero(t, shared.used.Load())
}

// A decoder that panics costs its message, and leaves no lock behind.
func TestReceiveQueueSurvivesPanicOfDecoder(t *testing.T) {
	q, shared := newTestQueue(1000, 1000)
	require.NoError(t, q.push([]byte("bad"), nil))
	require.NoError(t, q.push([]byte("good"), nil))
	require.Panics(t, func() {
		q.receive(t.Context(), func([]byte, any) error { panic("decoder") }, nil)
	})
	require.True(t, q.receiving.TryLock(), "the next RecvMsg would wait for ever")
	q.receiving.Unlock()
	got, err := pop(q)
	require.NoError(t, err)
	require.Equal(t, "good", string(got))
	require.Zero(t, shared.used.Load())
}

// However much a queue has held, it holds no memory when it is empty.
func TestEmptyReceiveQueueHoldsNothing(t *testing.T) {
	q, _ := newTestQueue(1<<20, 1<<20)
	for range 3 {
		for range 1000 {
			require.NoError(t, q.push(make([]byte, 100), nil))
			require.NoError(t, pushAs(q, make([]byte, 10), true))
		}
		for range 2000 {
			require.NotNil(t, q.first)
			_, err := pop(q)
			require.NoError(t, err)
		}
		_, err := pop(q)
		require.Equal(t, context.Canceled, err)
		require.Nil(t, q.first)
		require.Nil(t, q.last)
		require.Nil(t, q.ready)
	}
}

// A backlog of small messages takes little more memory than they have bytes.
func TestReceiveQueueBatchesSmallMessages(t *testing.T) {
	const n, size = 10000, 64
	q, _ := newTestQueue(16<<20, 64<<20)
	for range n {
		require.NoError(t, q.push(make([]byte, size), nil))
	}
	total := 0
	for batch := q.first; batch != nil; batch = batch.next {
		total += cap(batch.b)
	}
	require.Less(t, total, n*size*11/10)
}

// Every message goes to one receiver, whatever receivers come and go, and those
// that are waiting when the end comes all learn of it.
func TestReceiversShareMessages(t *testing.T) {
	for round := range 40 {
		synctest.Test(t, func(t *testing.T) {
			const receivers, messages = 7, 60
			q, shared := newTestQueue(1<<20, 1<<20)
			leaving, leave := context.WithCancel(t.Context())
			defer leave()
			var mu sync.Mutex
			var got []int
			var left atomic.Int32
			for r := range receivers {
				ctx := t.Context()
				if r%3 == 2 {
					ctx = leaving
				}
				go func() {
					for {
						var b []byte
						switch err := q.receive(ctx, into, &b); {
						case err == nil:
							mu.Lock()
							got = append(got, int(binary.BigEndian.Uint16(b)))
							mu.Unlock()
						case errors.Is(err, context.Canceled), errors.Is(err, io.EOF):
							left.Add(1)
							return
						}
					}
				}()
			}
			for i := range messages {
				require.NoError(t, pushAs(q, binary.BigEndian.AppendUint16(nil, uint16(i)), i%4 == 0))
				if i%(1+round%7) == 0 {
					synctest.Wait()
				}
				if i == messages/2 {
					go leave()
				}
			}
			synctest.Wait()
			require.Len(t, got, messages, "messages lie there while receivers wait")
			require.Equal(t, int32(receivers/3), left.Load())
			q.finish(io.EOF)
			synctest.Wait()
			require.Equal(t, int32(receivers), left.Load(), "receivers that have not learnt of the end")
			slices.Sort(got)
			for i := range messages {
				require.Equal(t, i, got[i])
			}
			require.Zero(t, shared.used.Load())
			require.Zero(t, q.waiters)
		})
	}
}

// One token may be on its way to a receiver that leaves instead: the next one
// must get it.
func TestReceiverThatLeavesPassesWakeUpOn(t *testing.T) {
	for range 200 {
		synctest.Test(t, func(t *testing.T) {
			q, _ := newTestQueue(1<<20, 1<<20)
			ctx, cancel := context.WithCancel(t.Context())
			var leaver, stayer error
			var b1, b2 []byte
			done := make(chan struct{}, 2)
			go func() { leaver = q.receive(ctx, into, &b1); done <- struct{}{} }()
			go func() { stayer = q.receive(t.Context(), into, &b2); done <- struct{}{} }()
			synctest.Wait()
			go cancel()
			go q.push([]byte("m"), nil)
			synctest.Wait()
			if leaver == nil {
				// It has got the message. Another is for the one who stays.
				require.NoError(t, q.push([]byte("m"), nil))
			}
			<-done
			<-done
			require.NoError(t, stayer)
			require.Equal(t, "m", string(b2))
		})
	}
}

func TestReceiveWaitsForContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, _ := newTestQueue(100, 100)
		ctx, cancel := context.WithTimeout(t.Context(), 1)
		defer cancel()
		var b []byte
		require.Equal(t, context.DeadlineExceeded, q.receive(ctx, into, &b))
	})
}

// Several streams of a connection, each with its pusher and its reader, that
// end at any time: in the end nothing is held.
func TestSharedBudgetIsGivenBackExactly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := &sharedBudget{limit: 3000}
		var full atomic.Int32
		for s := range 12 {
			q := newReceiveQueue(2000, shared)
			go func() {
				for i := range 200 {
					if err := pushAs(&q, make([]byte, (i*s)%400), i%5 == 1); err != nil {
						full.Add(1)
						break
					}
				}
				switch s % 3 {
				case 0:
					q.abort(errInjected)
				case 1:
					q.finish(io.EOF)
				default:
					q.finish(io.EOF)
					q.detach()
				}
			}()
			go func() {
				for range 50 * (s % 4) {
					var b []byte
					if q.receive(t.Context(), into, &b) != nil {
						return
					}
				}
				// Leaves, as a handler does that returns.
				q.abort(errInjected)
				q.detach()
			}()
		}
		synctest.Wait()
		require.Zero(t, shared.used.Load())
		t.Logf("%d streams were full", full.Load())
	})
}
