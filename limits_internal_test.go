// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package ttrpc

import (
	"bytes"
	"context"
	"net"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// Limits and waits that do not show from outside, or only to those who know
// where to look.

// A stream may be aborted while its user decodes a message that lies in a batch
// with others. Nobody else gets that memory meanwhile.
func TestAbortLeavesMemoryToDecoder(t *testing.T) {
	for range 100 { // the pool does not give everything back
		q, _ := newTestQueue(1<<20, 1<<20)
		want := fill(1, 100)
		for range 2 {
			require.NoError(t, q.push(want, nil))
		}
		err := q.receive(t.Context(), func(message []byte, _ any) error {
			class := q.first.class
			q.abort(errInjected)
			other := getBuffer(bufferClasses[class])
			other.b = append(other.b, make([]byte, bufferClasses[class])...)
			require.True(t, bytes.Equal(want, message), "the message has been overwritten")
			other.release()
			return nil
		}, nil)
		require.NoError(t, err)
		_, err = pop(q)
		require.Equal(t, errInjected, err, "the second message is gone")
	}
}

// A client can make a handler panic as often as it likes. The calls come so
// slowly that only the limit of their connection holds the lines back.
func TestContainedPanicsDoNotFillLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log recordedLog
		srv, err := NewServer(WithServerPanicRecovery(), WithServerLogger(&log))
		require.NoError(t, err)
		srv.Register("service", map[string]Method{"Panic": func(context.Context, func(any) error) (any, error) {
			panic("on purpose")
		}})
		l := startTestServer(t, srv)
		// lines returns how many lines n panics on a new connection make.
		lines := func(n int) int {
			log = nil
			client := NewClient(l.connect())
			defer client.Close()
			for range n {
				err := client.Call(t.Context(), "service", "Panic", wrapperspb.String(""), &wrapperspb.StringValue{})
				require.Equal(t, codes.Internal, status.Code(err), "%v", err)
				<-time.After(logInterval)
			}
			for _, line := range log {
				require.Contains(t, line, "ttrpc: handler panicked panic on purpose method /service/Panic stack ")
			}
			return len(log)
		}
		require.Equal(t, 10, lines(25))
		require.Equal(t, 3, lines(3), "on another connection")
	})
}

// failingClient returns a client with one call and one stream, numbers 1 and 3,
// which the server has got, and a second call, whose request could not be
// written. The channels deliver what the calls return, and far is the server's
// end.
func failingClient(t *testing.T) (client *Client, far *memConn, stream ClientStream, answered, unwritten <-chan error) {
	t.Helper()
	near, far := memConns()
	client = NewClient(near)
	t.Cleanup(func() { client.Close() })
	call := func() <-chan error {
		ends := make(chan error, 1)
		go func() {
			ends <- client.Call(t.Context(), "service", "Method", wrapperspb.String(""), &wrapperspb.StringValue{})
		}()
		synctest.Wait()
		return ends
	}
	answered = call()
	stream, err := client.NewStream(t.Context(), &StreamDesc{StreamingServer: true}, "service", "Stream", wrapperspb.String(""))
	require.NoError(t, err)
	for range 2 {
		_, err = readFrame(far)
		require.NoError(t, err)
	}
	near.out.set(func(p *memPipe) { p.gone = true })
	return client, far, stream, answered, call()
}

// A server that has closed its side for reading may have answered before. The
// client reads for a second what is on its way.
func TestAnswersArriveAfterWriteHasFailed(t *testing.T) {
	t.Run("and then the client ends", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			client, far, stream, answered, unwritten := failingClient(t)
			start := time.Now()
			require.Equal(t, ErrClosed, client.Call(t.Context(), "service", "Method", wrapperspb.String(""), &wrapperspb.StringValue{}))
			<-time.After(990 * time.Millisecond)
			require.Empty(t, answered, "the call has ended")
			message, err := proto.Marshal(wrapperspb.String("late"))
			require.NoError(t, err)
			_, err = far.Write(append(frameOf(3, frameData, 0, message), frameOf(1, frameResponse, 0, nil)...))
			require.NoError(t, err)
			require.NoError(t, <-answered)
			var got wrapperspb.StringValue
			require.NoError(t, stream.RecvMsg(&got))
			require.Equal(t, "late", got.Value)

			require.Equal(t, ErrClosed, <-unwritten)
			require.Equal(t, time.Second, time.Since(start))
			require.Equal(t, ErrClosed, stream.RecvMsg(&got))
			synctest.Wait() // calls end before the connection is closed
			_, err = far.Write([]byte("x"))
			require.Error(t, err, "the connection is open")
		})
	})

	t.Run("unless the connection ends before", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			_, far, _, answered, unwritten := failingClient(t)
			start := time.Now()
			<-time.After(time.Millisecond)
			far.Close()
			require.Equal(t, ErrClosed, <-answered)
			require.Equal(t, ErrClosed, <-unwritten)
			require.Equal(t, time.Millisecond, time.Since(start))
		})
	})
}

// endingContext is a context that has ended, while those who wait for that have
// not been told yet: as every context is for a moment.
type endingContext struct {
	context.Context
	done chan struct{}
	tell []func() // what they want to be run then
}

func (c *endingContext) Done() <-chan struct{} { return c.done }
func (*endingContext) Err() error              { return context.Canceled }

func (c *endingContext) AfterFunc(f func()) func() bool {
	c.tell = append(c.tell, f)
	return func() bool { return true }
}

// What Serve's context ends are the handlers that run then: not those of
// connections that come later.
func TestConnectionAfterServeContextIsServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		entered, leave := make(chan context.Context), make(chan struct{})
		srv, err := NewServer()
		require.NoError(t, err)
		srv.Register("service", map[string]Method{"Method": func(ctx context.Context, _ func(any) error) (any, error) {
			entered <- ctx
			<-leave
			return wrapperspb.String("served"), ctx.Err()
		}})
		ctx := &endingContext{Context: context.Background(), done: make(chan struct{})}
		l := newMemListener()
		served := make(chan error, 1)
		go func() { served <- srv.Serve(ctx, l) }()
		t.Cleanup(func() {
			srv.Close()
			require.ErrorIs(t, <-served, ErrServerClosed)
		})
		client := NewClient(l.connect())
		defer client.Close()
		ends := make(chan error, 1)
		var got wrapperspb.StringValue
		go func() {
			ends <- client.Call(t.Context(), "service", "Method", wrapperspb.String(""), &got)
		}()
		handler := <-entered
		for _, f := range ctx.tell {
			f()
		}
		synctest.Wait()
		cancelled := handler.Err()
		close(leave)
		err = <-ends
		require.NoError(t, cancelled, "the handler's context")
		require.NoError(t, err)
		require.Equal(t, "served", got.Value)
	})
}

// deadlineConn remembers the deadlines of its reads.
type deadlineConn struct {
	*memConn

	mu        sync.Mutex
	deadlines []time.Time
}

func (c *deadlineConn) SetReadDeadline(at time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deadlines = append(c.deadlines, at)
	return nil
}

// set returns the deadlines that have been set.
func (c *deadlineConn) set() []time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.deadlines)
}

// The server's workers see to it, when all is still, that a connection which has
// been used gets a new reader, and one that has not been does not.
func TestWorkersRenewReaderOfIdleConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := allocServer(t)
		l := startTestServer(t, srv)
		var conns [2]*deadlineConn
		var clients [2]*Client
		for i := range conns {
			near, far := memConns()
			conns[i] = &deadlineConn{memConn: far}
			l.conns <- conns[i]
			clients[i] = NewClient(near)
			defer clients[i].Close()
		}
		synctest.Wait()
		srv.mu.Lock()
		for sc := range srv.conns {
			sc.closeMu.Lock()
			sc.renewable = true // as if it were a socket
			sc.closeMu.Unlock()
		}
		srv.mu.Unlock()
		message := wrapperspb.Bytes(fill(1, 10))
		require.NoError(t, clients[0].Call(t.Context(), "service", "Echo", message, &wrapperspb.BytesValue{}))
		synctest.Wait()
		require.Empty(t, conns[0].set(), "just after the call")
		<-time.After(10 * workerPatience)
		require.Equal(t, []time.Time{longAgo}, conns[0].set())
		require.Empty(t, conns[1].set(), "of the connection that has not been used")
	})
}

// readerNotes is a serverConn that tells, for every frame, which goroutine reads.
type readerNotes struct {
	*serverConn
	readers chan uint64
}

func (n readerNotes) receiveFrame(h frameHeader, payload []byte, buf *buffer) error {
	n.readers <- currentGoroutine()
	return n.serverConn.receiveFrame(h, payload, buf)
}

// On a socket, it is another goroutine that reads then.
func TestTrimRenewsReaderOfIdleSocket(t *testing.T) {
	near, far := unixPair(t, "unix")
	srv := allocServer(t)
	t.Cleanup(func() { srv.Close() })
	sc := newServerConn(context.Background(), srv, far)
	notes := readerNotes{sc, make(chan uint64, 1)}
	sc.owner = notes
	srv.mu.Lock()
	srv.conns[sc] = struct{}{}
	srv.mu.Unlock()
	go sc.serve(far)

	payload, err := proto.Marshal(&Request{Service: "service", Method: "Echo"})
	require.NoError(t, err)
	require.NoError(t, near.SetDeadline(time.Now().Add(testPatience)))
	written := uint64(0)
	// reader makes a call, and returns who has read its request.
	reader := func(id uint32) uint64 {
		t.Helper()
		_, err := near.Write(frameOf(id, frameRequest, flagRemoteClosed, payload))
		require.NoError(t, err)
		answer, err := readFrame(near)
		require.NoError(t, err)
		for written += frameHeaderLength + uint64(answer.length); sc.out.progress.Load() < written; {
			runtime.Gosched() // the answer may be here before its sender has counted it
		}
		return receiveOrFail(t, notes.readers, "the request")
	}
	first := reader(1)
	sc.closeMu.Lock()
	renewable := sc.renewable
	sc.closeMu.Unlock()
	if !renewable {
		t.Skip("every connection takes the portable path here")
	}
	for range 2 { // it has been used; it has not been since
		srv.workers.trim()
	}
	for sc.renewing.Load() {
		runtime.Gosched()
	}
	require.NotEqual(t, first, reader(3), "the goroutine that reads")
}

// pace waits for the turn, but not for long, and does not keep it.
func TestPaceWaitsForTurn(t *testing.T) {
	const delay, soon = 2 * time.Millisecond, 700 * time.Microsecond
	nothing := func(*writer) {}
	fail := func(w *writer) { w.end(errInjected) }
	take := func(w *writer) { w.turn <- struct{}{} }
	for _, tt := range []struct {
		name          string
		before, later func(*writer) // what is done before pace, and soon after it has begun
		want          time.Duration
		turns         int // taken in the end
	}{
		{"the turn is free", nothing, nothing, 0, 0},
		{"it is taken", take, nothing, delay, 1},
		{"it becomes free", take, (*writer).endTurn, soon, 0},
		{"the writer fails", take, fail, soon, 1},
		{"the writer has failed", func(w *writer) { take(w); fail(w) }, nothing, 0, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, _ := startWriter(&scriptConn{})
				w.pace() // there has been no large frame
				require.NoError(t, w.takeTurn(t.Context()))
				w.endTurn()
				tt.before(w)
				start := time.Now()
				time.AfterFunc(soon, func() { tt.later(w) })
				w.pace()
				require.Equal(t, tt.want, time.Since(start))
				<-time.After(2 * delay)
				require.Len(t, w.turn, tt.turns)
			})
		})
	}
}

// A server that cannot get its large answers out takes in large requests more
// slowly.
func TestServerPacesLargeRequests(t *testing.T) {
	for _, tt := range []struct {
		name string
		size int // of the second request's payload
		want time.Duration
	}{
		{"small", turnSize - 100, 0},
		{"large", turnSize, 2 * time.Millisecond},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				entered := make(chan time.Time, 2)
				srv, err := NewServer()
				require.NoError(t, err)
				srv.Register("service", map[string]Method{
					"Large": func(context.Context, func(any) error) (any, error) {
						return wrapperspb.Bytes(make([]byte, turnSize)), nil
					},
					"Note": func(context.Context, func(any) error) (any, error) {
						entered <- time.Now()
						return &wrapperspb.StringValue{}, nil
					},
				})
				near, far := net.Pipe()
				defer near.Close()
				startTestServer(t, srv).conns <- far
				id := uint32(1)
				send := func(method string, size int) {
					payload, err := proto.Marshal(&Request{Service: "service", Method: method, Payload: make([]byte, size)})
					require.NoError(t, err)
					_, err = near.Write(frameOf(id, frameRequest, flagRemoteClosed, payload))
					require.NoError(t, err)
					id += 2
				}
				send("Large", 0)
				synctest.Wait() // its answer waits for us to read
				start := time.Now()
				send("Note", tt.size)
				send("Note", 0)
				require.Equal(t, start, <-entered)
				require.Equal(t, tt.want, (<-entered).Sub(start), "until the next request is served")
			})
		})
	}
}
