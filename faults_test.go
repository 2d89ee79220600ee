// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package ttrpc_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/containerd/ttrpc"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// modelWorkers is how many goroutines of a client make calls.
const modelWorkers = 4

// connect gives the run a client whose connection is conn, or what stands on it.
// Its faults are those of ends.
func (m *model) connect(conn net.Conn, class faultClass, ends ...*faultConn) {
	m.connectWith(conn, class, nil, ends...)
}

// connectWith is connect with more options.
func (m *model) connectWith(conn net.Conn, class faultClass, opts []ttrpc.ClientOpts, ends ...*faultConn) {
	p := &modelPeer{m: m, n: len(m.peers), class: class, ends: ends}
	for _, end := range ends {
		if end.addr != nil {
			end.addr = modelAddr(p.n)
		}
	}
	m.peers = append(m.peers, p)
	m.books.conns.Add(1)
	p.client = ttrpc.NewClient(conn, append([]ttrpc.ClientOpts{
		ttrpc.WithOnClose(func() { p.closes.Add(1) }),
		ttrpc.WithClientLogger(nowhere{}),
		ttrpc.WithClientMaxMessageSize(modelMaxMessage, modelMaxMessage),
		ttrpc.WithClientReceiveBudget(modelMaxStream, 64<<20),
	}, opts...)...)
}

// modelGreeter is a Handshaker of both ends: they greet each other.
type modelGreeter struct {
	steps []func(net.Conn, []byte) (int, error) // Read and Write, in some order
}

var (
	greetsFirst  = modelGreeter{[]func(net.Conn, []byte) (int, error){net.Conn.Write, net.Conn.Read}}
	greetsSecond = modelGreeter{[]func(net.Conn, []byte) (int, error){net.Conn.Read, net.Conn.Write}}
)

// greeting is what they say.
const greeting = "Good day, sir or madam"

func (g modelGreeter) Handshake(_ context.Context, conn net.Conn) (net.Conn, any, error) {
	for _, step := range g.steps {
		b := []byte(greeting)
		for done := 0; done < len(b); {
			n, err := step(conn, b[done:])
			if n < 0 || n > len(b)-done {
				return nil, nil, errFault
			}
			if done += n; err != nil {
				return nil, nil, err
			}
		}
		if string(b) != greeting {
			return nil, nil, errors.New("this is no greeting")
		}
	}
	return conn, nil, nil
}

// stopLater has the server stop while calls are under way: some time from now it
// is shut down, and soon after that closed. It returns a function that waits for
// that.
func (m *model) stopLater() (wait func()) {
	after := time.Duration(seeded(m.seed, 1).Int64N(int64(4 * m.scale.delay)))
	stopped := make(chan error, 1)
	time.AfterFunc(after, func() {
		m.stopped.Store(true)
		ctx, cancel := context.WithTimeout(context.Background(), m.scale.delay)
		defer cancel()
		m.srv.Shutdown(ctx) // may be in vain
		stopped <- m.srv.Close()
	})
	return func() { require.NoError(m.t, <-stopped) }
}

// run has every client make calls, and then ends everything.
func (m *model) run(calls int) {
	if m.seed%6 == 0 {
		defer m.stopLater()()
	}
	var callers sync.WaitGroup
	var closers sync.WaitGroup
	var timers []*time.Timer
	for _, p := range m.peers {
		for w := range modelWorkers {
			part := 1000*(p.n+1) + w
			caller := &modelCaller{modelPeer: p, rnd: seeded(m.seed, part), last: uint32(1_000_000 * w)}
			callers.Go(func() { caller.run(calls) })
		}
		if p.class&(faultMuting|faultCorrupting) != 0 {
			// Calls without a deadline may wait for ever, as it should be.
			closers.Add(1)
			timers = append(timers, time.AfterFunc(m.scale.close, func() {
				defer closers.Done()
				p.closed.Store(true)
				p.client.Close()
			}))
		}
	}
	callers.Wait()
	for _, timer := range timers {
		if timer.Stop() {
			closers.Done()
		}
	}
	closers.Wait()
	for _, p := range m.peers {
		m.end(p)
	}
	require.NoError(m.t, m.srv.Close())
	ctx, cancel := context.WithTimeout(context.Background(), rawPatience)
	defer cancel()
	require.NoError(m.t, m.srv.Shutdown(ctx), "seed %d: something is left", m.seed)
	require.Zero(m.t, m.handlers.Load(), "seed %d: handlers that run", m.seed)
}

// end closes a client, which still works if nothing that ends a connection has
// happened to it.
func (m *model) end(p *modelPeer) {
	if !p.mayEnd() {
		ctx, cancel := context.WithTimeout(context.Background(), m.scale.long)
		defer cancel()
		q := modelMessage{kind: 'q', client: uint32(p.n), call: 1 << 31, size: 5}
		var got wrapperspb.BytesValue
		if err := p.client.Call(ctx, modelService, "Answer", q.encode(), &got); err != nil {
			p.errorf("the last call: %v", err)
		}
		p.check(&got, q.answer(0))
	}
	p.closed.Store(true)
	p.client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), rawPatience)
	defer cancel()
	require.NoError(m.t, p.client.UserOnCloseWait(ctx), "seed %d", m.seed)
	require.Equal(m.t, int32(1), p.closes.Load(), "seed %d: calls of OnClose", m.seed)
}

// randomClass draws what may happen to a connection.
func randomClass(rnd *rand.Rand) faultClass {
	return []faultClass{faultHarmless, faultHarmless, faultEnding, faultEnding, faultMuting, faultCorrupting}[rnd.IntN(6)]
}

// randomSchedules returns schedules for the two ends of a connection, of which
// one or the other has the worst.
func randomSchedules(rnd *rand.Rand, class faultClass, longest time.Duration) (near, far faultSchedule) {
	var classes [4]faultClass
	classes[rnd.IntN(4)] = class
	near.reading = randomFaults(rnd, classes[0], longest, true)
	near.writing = randomFaults(rnd, classes[1], longest, false)
	far.reading = randomFaults(rnd, classes[2], longest, true)
	far.writing = randomFaults(rnd, classes[3], longest, false)
	return near, far
}

// faultPair puts faults on both ends of a connection.
func (m *model) faultPair(rnd *rand.Rand, near, far net.Conn) (class faultClass, a, b *faultConn) {
	class = randomClass(rnd)
	atNear, atFar := randomSchedules(rnd, class, m.scale.delay)
	a, b = newFaultConn(near, atNear, &m.books.faults), newFaultConn(far, atFar, &m.books.faults)
	if rnd.IntN(8) == 0 {
		a.addr, b.addr = nil, nil
	}
	return class, a, b
}

// Clients make calls of every shape over connections in memory of every kind, on
// which everything goes wrong, and what comes of them is what the oracle says. In
// a bubble, what does not end is a deadlock, and a goroutine that is left fails
// the test.
func TestCallsUnderFaults(t *testing.T) {
	var books modelBooks
	seeds := faultSeeds(t, 30)
	for _, seed := range seeds {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				rnd := seeded(seed, 0)
				var clientOpts []ttrpc.ClientOpts
				var serverOpts []ttrpc.ServerOpt
				greets := seed%4 == 1
				if greets {
					clientOpts = append(clientOpts, ttrpc.WithClientHandshaker(greetsFirst), ttrpc.WithClientHandshakeTimeout(fakeScale.close))
					serverOpts = append(serverOpts, ttrpc.WithServerHandshaker(greetsSecond), ttrpc.WithServerHandshakeTimeout(fakeScale.close))
				}
				m := newModel(t, seed, fakeScale, &books, serverOpts...)
				l := newMemoryListener()
				for range 2 + rnd.IntN(5) {
					near, far, whole := randomPair(t, rnd, !greets)
					class, a, b := m.faultPair(rnd, near, far)
					a.whole, b.whole = whole, whole
					m.connectWith(a, class, clientOpts, a, b)
					l.conns <- b
				}
				serveOn(t, m.srv, l)
				m.run(12)
			})
		})
	}
	t.Logf("%d seeds: %v", len(seeds), &books)
}

// randomPair returns a connection in memory: one that keeps some bytes or any
// number, one that is synchronous, or, if that may be, one that keeps the bounds of
// Writes, which whole says.
func randomPair(t *testing.T, rnd *rand.Rand, mayBeWhole bool) (near, far net.Conn, whole bool) {
	switch kind := rnd.IntN(8); {
	case kind < 2:
		near, far = net.Pipe()
	case kind == 2 && mayBeWhole:
		a, b := muxPipe(t)
		return a, b, true
	default:
		limit := []int{0, 64, 500, 5000, 1 << 17}[rnd.IntN(5)]
		near, far = wirePair(limit)
	}
	return near, far, false
}
