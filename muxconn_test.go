// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package ttrpc_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/containerd/ttrpc"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// muxQueueLen is how many writes a muxConn holds for a peer that does not read.
const muxQueueLen = 256

// maxFramePayload is the length of the largest payload of a frame (PROTOCOL.md, "Limits").
const maxFramePayload = 4 << 20

var errMuxQueueFull = errors.New("mux: the peer's receive queue is full")

// muxConn is one end of an in-memory connection that behaves like the
// connections which containerd's NRI multiplexes over one trunk, and is as
// unforgiving as they are:
//
//   - one Write is one message; a Read takes exactly one, and fails with ENOMEM
//     (the message is lost) when its buffer is shorter than that message;
//   - a Write never blocks; one Write more than muxQueueLen unread ones closes
//     the connection;
//   - deadlines are accepted and ignored.
//
// So both sides must agree on the shape of Writes. Released libraries read
// through a 4096-byte buffer, and the rest of a longer payload into a buffer of
// exactly the length that is missing; they write so that this works. See
// bufferedPeer, which models them.
//
// It needs no real time and no descriptor, so that it can be used in a synctest
// bubble.
type muxConn struct {
	peer   *muxConn
	in     chan []byte // messages for this end
	closed chan struct{}
	once   sync.Once
}

// muxPipe returns the two ends of a muxConn; both are closed when the test ends.
func muxPipe(t *testing.T) (a, b *muxConn) {
	t.Helper()
	a = &muxConn{in: make(chan []byte, muxQueueLen), closed: make(chan struct{})}
	b = &muxConn{in: make(chan []byte, muxQueueLen), closed: make(chan struct{})}
	a.peer, b.peer = b, a
	t.Cleanup(func() {
		a.Close()
		b.Close()
	})
	return a, b
}

func (c *muxConn) Read(b []byte) (int, error) {
	if isClosed(c.closed) {
		return 0, net.ErrClosed
	}
	select {
	case <-c.closed:
		return 0, net.ErrClosed
	case m := <-c.in:
		return take(b, m)
	case <-c.peer.closed:
	}
	// The peer has gone: what it wrote before that is still read.
	select {
	case m := <-c.in:
		return take(b, m)
	default:
		return 0, io.EOF
	}
}

// take hands the whole message m to a Read, or loses it.
func take(b, m []byte) (int, error) {
	if len(b) < len(m) {
		return 0, syscall.ENOMEM
	}
	return copy(b, m), nil
}

func (c *muxConn) Write(b []byte) (int, error) {
	if isClosed(c.closed) {
		return 0, net.ErrClosed
	}
	if isClosed(c.peer.closed) {
		return 0, io.ErrClosedPipe
	}
	select {
	case c.peer.in <- bytes.Clone(b):
		return len(b), nil
	default:
		c.Close()
		c.peer.Close()
		return 0, errMuxQueueFull
	}
}

func (c *muxConn) Close() error {
	c.once.Do(func() { close(c.closed) })
	return nil
}

func (c *muxConn) LocalAddr() net.Addr              { return memoryAddr{} }
func (c *muxConn) RemoteAddr() net.Addr             { return memoryAddr{} }
func (c *muxConn) SetDeadline(time.Time) error      { return nil }
func (c *muxConn) SetReadDeadline(time.Time) error  { return nil }
func (c *muxConn) SetWriteDeadline(time.Time) error { return nil }

// isClosed says whether ch, on which nothing is ever sent, has been closed.
func isClosed(ch <-chan struct{}) bool {
	select {
	case <-ch:
		return true
	default:
		return false
	}
}

// memoryAddr is the address of in-memory connections and listeners.
type memoryAddr struct{}

func (memoryAddr) Network() string { return "memory" }
func (memoryAddr) String() string  { return "memory" }

// memoryListener is a listener for connections made in memory; it can be used in
// a synctest bubble.
type memoryListener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newMemoryListener() *memoryListener {
	return &memoryListener{conns: make(chan net.Conn, 64), closed: make(chan struct{})}
}

func (l *memoryListener) Accept() (net.Conn, error) {
	if isClosed(l.closed) {
		return nil, net.ErrClosed
	}
	select {
	case conn := <-l.conns:
		return conn, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close closes what has not been accepted as well, as the kernel does.
func (l *memoryListener) Close() error {
	l.once.Do(func() {
		close(l.closed)
		for {
			select {
			case conn := <-l.conns:
				conn.Close()
			default:
				return
			}
		}
	})
	return nil
}

func (l *memoryListener) Addr() net.Addr { return memoryAddr{} }

// dialPipe returns the client's end of a new net.Pipe, whose other end l accepts.
func (l *memoryListener) dialPipe(t *testing.T) net.Conn {
	t.Helper()
	client, server := net.Pipe()
	l.conns <- server
	t.Cleanup(func() {
		client.Close()
		server.Close()
	})
	return client
}

// dialMux is dialPipe with a muxConn.
func (l *memoryListener) dialMux(t *testing.T) *muxConn {
	t.Helper()
	client, server := muxPipe(t)
	l.conns <- server
	return client
}

// servePipe is serve with a memoryListener.
func servePipe(t *testing.T, srv *ttrpc.Server) *memoryListener {
	t.Helper()
	l := newMemoryListener()
	done := make(chan error, 1)
	go func() { done <- srv.Serve(t.Context(), l) }()
	t.Cleanup(func() {
		srv.Close()
		select {
		case <-done:
		case <-time.After(rawPatience):
			t.Error("Serve did not return after Close")
		}
	})
	return l
}

// bufferedPeer is a connection on which frames are read and written in the
// shape of the released libraries: reads through a 4096-byte buffer, the rest
// of a payload that is longer directly; writes through a 4096-byte buffer that
// is flushed at the end of each frame. Give it to a rawPeer to be such a peer
// by hand. It has read deadlines though the connection below may have none.
type bufferedPeer struct {
	net.Conn
	r *bufio.Reader

	timer   *time.Timer
	expired atomic.Bool
}

func newBufferedPeer(conn net.Conn) *bufferedPeer {
	return &bufferedPeer{Conn: conn, r: bufio.NewReaderSize(conn, 4096)}
}

func (p *bufferedPeer) Read(b []byte) (int, error) {
	n, err := p.r.Read(b)
	if err != nil && p.expired.Load() {
		err = os.ErrDeadlineExceeded
	}
	return n, err
}

// Write writes b, which is one frame from its header on.
func (p *bufferedPeer) Write(b []byte) (int, error) {
	w := bufio.NewWriterSize(p.Conn, 4096)
	header := min(len(b), 10)
	w.Write(b[:header])
	w.Write(b[header:])
	if err := w.Flush(); err != nil {
		return 0, err
	}
	return len(b), nil
}

// SetReadDeadline arms the deadline: when it passes, the connection closes.
func (p *bufferedPeer) SetReadDeadline(at time.Time) error {
	if p.timer != nil {
		p.timer.Stop()
	}
	p.timer = time.AfterFunc(time.Until(at), func() {
		p.expired.Store(true)
		p.Conn.Close()
	})
	return nil
}

func (p *bufferedPeer) Close() error {
	if p.timer != nil {
		p.timer.Stop()
	}
	return p.Conn.Close()
}

const muxService = "ttrpc.test.Mux"

// newMuxServer returns a server whose method Echo answers with the bytes that
// it got.
func newMuxServer(t *testing.T) *ttrpc.Server {
	t.Helper()
	srv := newServer(t)
	srv.RegisterService(muxService, &ttrpc.ServiceDesc{
		Methods: map[string]ttrpc.Method{"Echo": echoBytes},
	})
	return srv
}

// echoBytes is a unary method that returns its request, a BytesValue.
func echoBytes(_ context.Context, unmarshal func(any) error) (any, error) {
	var m wrapperspb.BytesValue
	if err := unmarshal(&m); err != nil {
		return nil, err
	}
	return &m, nil
}

// muxSizes are message sizes around every size at which a Write or a Read
// changes its shape. The last one makes a Request of exactly maxFramePayload, to be
// filled by fillRequest.
func muxSizes() []int {
	sizes := []int{0, 1, 100}
	for n := 4030; n <= 4110; n += 4 {
		sizes = append(sizes, n)
	}
	return append(sizes, 8176, 8192, 32<<10, 64<<10, 256<<10, 1<<20, largestEcho())
}

// largestEcho is the length of the longest BytesValue with which a Request for
// Echo still fits into one frame.
func largestEcho() int {
	n := maxFramePayload
	for {
		req := echoRequest(n)
		over := proto.Size(req) - maxFramePayload
		if over <= 0 {
			return n
		}
		n -= over
	}
}

// echoRequest is a Request for Echo with a message of n bytes.
func echoRequest(n int) *ttrpc.Request {
	payload, err := proto.Marshal(wrapperspb.Bytes(pattern(n)))
	if err != nil {
		panic(err)
	}
	return &ttrpc.Request{Service: muxService, Method: "Echo", Payload: payload}
}

// pattern returns n bytes that differ from their neighbours near and far. They
// are shared: nobody writes to them.
func pattern(n int) []byte { return patternBytes()[:n:n] }

var patternBytes = sync.OnceValue(func() []byte {
	b := make([]byte, maxFramePayload)
	for i := range b {
		b[i] = byte(i ^ i>>8 ^ i>>16)
	}
	return b
})

// Messages of every size pass in both directions over a connection that loses
// a Write which is longer than the reader's buffer.
func TestUnaryOverMux(t *testing.T) {
	t.Run("both sides", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			client := newClient(t, servePipe(t, newMuxServer(t)).dialMux(t))
			for _, n := range muxSizes() {
				callEcho(t, client, pattern(n))
			}
		})
	})

	t.Run("the client, against a released server", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			near, far := muxPipe(t)
			client := newClient(t, near)
			go echoRawRequests(t, far)
			for _, n := range muxSizes() {
				callEcho(t, client, pattern(n))
			}
		})
	})

	t.Run("the server, against a released client", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			raw := newRawPeer(t, newBufferedPeer(servePipe(t, newMuxServer(t)).dialMux(t)))
			id := uint32(1)
			for _, n := range muxSizes() {
				req := echoRequest(n)
				raw.requestMessage(id, 0, req)
				resp := raw.wantResponse(id)
				require.Equal(t, codes.OK, codes.Code(resp.GetStatus().GetCode()))
				require.True(t, bytes.Equal(req.Payload, resp.Payload), "echo of %d bytes", n)
				id += 2
			}
		})
	})
}

// callEcho calls Echo with want and checks the answer.
func callEcho(t *testing.T, client *ttrpc.Client, want []byte) {
	t.Helper()
	var got wrapperspb.BytesValue
	require.NoError(t, client.Call(t.Context(), muxService, "Echo", wrapperspb.Bytes(want), &got), "echo of %d bytes", len(want))
	require.True(t, bytes.Equal(want, got.Value), "echo of %d bytes", len(want))
}

// echoRawRequests is a released server with the method Echo on conn, by hand;
// it returns when conn has ended.
func echoRawRequests(t *testing.T, conn net.Conn) {
	peer := newBufferedPeer(conn)
	raw := rawPeer{t: t, conn: peer}
	defer peer.Close()
	for {
		f, err := raw.tryRead()
		if err != nil {
			return
		}
		var req ttrpc.Request
		if err := proto.Unmarshal(f.payload, &req); err != nil {
			t.Errorf("request: %v", err)
			return
		}
		resp, err := proto.Marshal(&ttrpc.Response{Payload: req.Payload})
		if err != nil {
			t.Errorf("response: %v", err)
			return
		}
		if _, err := peer.Write(frameBytes(f.id, typeResponse, 0, resp)); err != nil {
			return
		}
	}
}

// muxCallers is how many calls the tests below have in flight at once: with at
// most three Writes for a call, fewer than muxQueueLen.
const muxCallers = 64

// muxCallerSize is the message size of the caller i: small ones that a writer
// may join, among some that must be split.
func muxCallerSize(i int) int {
	return []int{10, 100, 1000, 2000, 4070, 4086, 5000, 20000}[i%8]
}

// However frames of concurrent calls are combined into Writes, a peer that
// reads through 4096 bytes gets all of them.
func TestConcurrentCallsOverMux(t *testing.T) {
	// callAll makes muxCallers concurrent calls, four in a row each.
	callAll := func(t *testing.T, client *ttrpc.Client) {
		var wg sync.WaitGroup
		for i := range muxCallers {
			wg.Go(func() {
				want := pattern(muxCallerSize(i))
				for range 4 {
					var got wrapperspb.BytesValue
					err := client.Call(t.Context(), muxService, "Echo", wrapperspb.Bytes(want), &got)
					if err != nil || !bytes.Equal(want, got.Value) {
						t.Errorf("caller %d: %d of %d bytes, %v", i, len(got.Value), len(want), err)
					}
				}
			})
		}
		wg.Wait()
	}

	t.Run("both sides", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			callAll(t, newClient(t, servePipe(t, newMuxServer(t)).dialMux(t)))
		})
	})

	t.Run("the client, against a released server", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			near, far := muxPipe(t)
			client := newClient(t, near)
			go echoRawRequests(t, far)
			callAll(t, client)
		})
	})

	t.Run("the server, against a released client", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			raw := newRawPeer(t, newBufferedPeer(servePipe(t, newMuxServer(t)).dialMux(t)))
			want := make(map[uint32][]byte)
			for i := range muxCallers {
				req, id := echoRequest(muxCallerSize(i)), uint32(2*i+1)
				want[id] = req.Payload
				raw.requestMessage(id, 0, req)
			}
			for range muxCallers {
				f := raw.read()
				var resp ttrpc.Response
				require.NoError(t, proto.Unmarshal(f.payload, &resp))
				require.True(t, bytes.Equal(want[f.id], resp.Payload), "answer on stream %d", f.id)
				delete(want, f.id)
			}
			require.Empty(t, want)
		})
	})
}

// A client goes on reading while nobody receives from one of its streams: a
// multiplexed connection would close after muxQueueLen unread writes. Fails on
// released upstream v1.2.10: the connection closes (as D10, on such a conn).
func TestUnreadStreamOverMux(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := muxPipe(t)
		client := newClient(t, near)
		raw := newRawPeer(t, newBufferedPeer(far))

		stream, err := client.NewStream(t.Context(), &ttrpc.StreamDesc{StreamingServer: true}, muxService, "Count", wrapperspb.String("go"))
		require.NoError(t, err)
		id := raw.read().id

		const messages = 4 * muxQueueLen
		for i := range messages {
			m, err := proto.Marshal(wrapperspb.Int64(int64(i)))
			require.NoError(t, err)
			raw.write(id, typeData, 0, m)
			// Everybody who can run runs; only a reader that waits for its
			// stream's consumer leaves the message in the queue.
			synctest.Wait()
		}
		raw.write(id, typeData, flagRemoteClosed|flagNoData, nil)

		for i := range messages {
			var m wrapperspb.Int64Value
			require.NoError(t, stream.RecvMsg(&m), "message %d", i)
			require.Equal(t, int64(i), m.Value)
		}
		require.ErrorIs(t, stream.RecvMsg(&wrapperspb.Int64Value{}), io.EOF)
	})
}
