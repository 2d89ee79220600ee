// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package ttrpc_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/containerd/ttrpc"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// This file has connections that are odd all the time, while those of
// faults_conn_test.go are from some place on.

// oddConn is a connection with other methods in place of its own.
type oddConn struct {
	net.Conn
	read  func(conn net.Conn, b []byte) (int, error)
	write func(conn net.Conn, b []byte) (int, error)
	close func(conn net.Conn) error
	addr  func() net.Addr
}

func (c *oddConn) Read(b []byte) (int, error) {
	if c.read != nil {
		return c.read(c.Conn, b)
	}
	return c.Conn.Read(b)
}

func (c *oddConn) Write(b []byte) (int, error) {
	if c.write != nil {
		return c.write(c.Conn, b)
	}
	return c.Conn.Write(b)
}

func (c *oddConn) Close() error {
	if c.close != nil {
		return c.close(c.Conn)
	}
	return c.Conn.Close()
}

func (c *oddConn) RemoteAddr() net.Addr {
	if c.addr != nil {
		return c.addr()
	}
	return c.Conn.RemoteAddr()
}

func (c *oddConn) LocalAddr() net.Addr { return c.RemoteAddr() }

// byteReader reads a byte at a time.
func byteReader(conn net.Conn, b []byte) (int, error) { return conn.Read(b[:1]) }

// byteWriter writes a byte at a time, and breaks the rules of io.Writer: it calls
// that success.
func byteWriter(conn net.Conn, b []byte) (int, error) { return conn.Write(b[:1]) }

// emptyReader reads nothing 99 times before it reads something.
func emptyReader() func(net.Conn, []byte) (int, error) {
	n := 0
	return func(conn net.Conn, b []byte) (int, error) {
		if n++; n%100 != 0 {
			return 0, nil
		}
		return conn.Read(b)
	}
}

// splitFrames returns the whole frames in b, and the rest of it.
func splitFrames(b []byte) (frames [][]byte, rest []byte) {
	for len(b) >= 10 {
		end := 10 + int(b[0])<<24 + int(b[1])<<16 + int(b[2])<<8 + int(b[3])
		if len(b) < end {
			break
		}
		frames = append(frames, b[:end])
		b = b[end:]
	}
	return frames, b
}

// useOfEverything makes calls and streams of several sizes, all of which must
// work, the largest with so many bytes. It returns how many bytes that were.
func useOfEverything(t *testing.T, c *ttrpc.Client, largest int) int {
	t.Helper()
	total := 0
	cs, err := c.NewStream(t.Context(), &ttrpc.StreamDesc{StreamingClient: true, StreamingServer: true}, faultService, "EchoStream", nil)
	require.NoError(t, err)
	for _, n := range []int{0, 10, 600, 5000, largest} {
		message := wrapperspb.String(strings.Repeat("x", n))
		require.NoError(t, cs.SendMsg(message))
		var got wrapperspb.StringValue
		require.NoError(t, c.Call(t.Context(), faultService, "Echo", message, &got))
		require.Equal(t, message.Value, got.Value)
		require.NoError(t, cs.RecvMsg(&got))
		require.Equal(t, message.Value, got.Value)
		total += 4 * n
	}
	require.NoError(t, cs.CloseSend())
	require.Equal(t, io.EOF, cs.RecvMsg(&wrapperspb.StringValue{}))
	return total
}

// oddConns are connections on which everything works.
var oddConns = []struct {
	name    string
	limit   int // of the bytes that it keeps
	largest int // message
	odd     func(conn net.Conn) net.Conn
}{
	{"plain", 0, 150_000, func(conn net.Conn) net.Conn { return conn }},
	{"takes a byte", 1, 20_000, func(conn net.Conn) net.Conn { return conn }},
	{"reads a byte", 0, 20_000, func(conn net.Conn) net.Conn { return &oddConn{Conn: conn, read: byteReader} }},
	{"writes a byte", 0, 20_000, func(conn net.Conn) net.Conn { return &oddConn{Conn: conn, write: byteWriter} }},
	{"reads nothing now and then", 0, 150_000, func(conn net.Conn) net.Conn { return &oddConn{Conn: conn, read: emptyReader()} }},
	{"has no addresses", 0, 150_000, func(conn net.Conn) net.Conn { return &oddConn{Conn: conn, addr: func() net.Addr { return nil }} }},
	{"fails to close", 0, 150_000, func(conn net.Conn) net.Conn {
		return &oddConn{Conn: conn, close: func(conn net.Conn) error {
			conn.Close()
			return errFault
		}}
	}},
	{"panics at deadlines", 0, 150_000, func(conn net.Conn) net.Conn { return deadlinePanics{conn} }},
	{"takes its time", 0, 150_000, func(conn net.Conn) net.Conn {
		return &oddConn{Conn: conn, read: func(conn net.Conn, b []byte) (int, error) {
			<-time.After(time.Second)
			return conn.Read(b)
		}}
	}},
}

// deadlinePanics is a connection that has no deadlines, and no mercy.
type deadlinePanics struct{ net.Conn }

func (deadlinePanics) SetDeadline(time.Time) error      { panic("SetDeadline") }
func (deadlinePanics) SetReadDeadline(time.Time) error  { panic("SetReadDeadline") }
func (deadlinePanics) SetWriteDeadline(time.Time) error { panic("SetWriteDeadline") }

// A connection may read and write as little at a time as it likes, do without
// addresses and deadlines, and be slow: everything works on it, on either end.
func TestOddConnectionsWork(t *testing.T) {
	for _, kind := range oddConns {
		t.Run(kind.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := faultServer(t, nil, nil)
				l := servePipe(t, srv)
				near, far := wirePair(kind.limit)
				l.conns <- kind.odd(far)
				client := ttrpc.NewClient(kind.odd(near))
				total := useOfEverything(t, client, kind.largest)
				require.NoError(t, client.Close())
				require.NoError(t, srv.Shutdown(t.Context()))
				<-time.After(time.Minute) // for connections that take their time
				t.Logf("%d bytes there and back", total)
			})
		})
	}
}

// A peer that reads and writes a byte at a time on a socket is slow, and that is
// all.
func TestPeerReadsOneByteAtATime(t *testing.T) {
	srv := faultServer(t, nil, nil)
	l := serve(t, srv)
	t.Run("the client", func(t *testing.T) {
		client := newClient(t, &oddConn{Conn: dial(t, l), read: byteReader, write: byteWriter})
		t.Logf("%d bytes there and back", useOfEverything(t, client, 10_000))
	})
	t.Run("the server", func(t *testing.T) {
		near, far := socketPair(t, "unix")
		slow := newMemoryListener()
		slow.conns <- &oddConn{Conn: far, read: byteReader, write: byteWriter}
		serveOn(t, faultServer(t, nil, nil), slow)
		t.Logf("%d bytes there and back", useOfEverything(t, newClient(t, near), 10_000))
	})
}

// readAnd returns a Read that does what conn does until odd, which is asked when
// there is something to read, wants it otherwise.
func readAnd(odd func(n int) (int, error)) func(net.Conn, []byte) (int, error) {
	return func(conn net.Conn, b []byte) (int, error) {
		n, err := conn.Read(b)
		if err != nil {
			return n, err
		}
		return odd(len(b))
	}
}

// fatalConns are connections that break the rules of io.Reader and io.Writer, or
// fail, in ways that can only be the end of them.
var fatalConns = []struct {
	name string
	odd  oddConn
}{
	{"reads a negative number", oddConn{read: readAnd(func(int) (int, error) { return -1, nil })}},
	{"reads more than there is room for", oddConn{read: readAnd(func(n int) (int, error) { return n + 1, nil })}},
	{"reads nothing for ever", oddConn{read: func(net.Conn, []byte) (int, error) { return 0, nil }}},
	{"reads an end in layers", oddConn{read: readAnd(func(int) (int, error) { return 0, wrapError(io.EOF) })}},
	{"reads an error that nobody knows", oddConn{read: readAnd(func(int) (int, error) { return 0, errFault })}},
	{"reads an error that has no text", oddConn{read: readAnd(func(int) (int, error) { return 0, errors.New("") })}},
	{"reads ErrClosed of a layer below", oddConn{read: readAnd(func(int) (int, error) { return 0, wrapError(ttrpc.ErrClosed) })}},
	{"writes a negative number", oddConn{write: func(net.Conn, []byte) (int, error) { return -1, nil }}},
	{"writes nothing", oddConn{write: func(net.Conn, []byte) (int, error) { return 0, nil }}},
	{"writes more than there is", oddConn{write: func(_ net.Conn, b []byte) (int, error) { return len(b) + 1, nil }}},
	{"writes all, and an error", oddConn{write: func(conn net.Conn, b []byte) (int, error) {
		n, _ := conn.Write(b)
		return n, wrapError(errFault)
	}}},
	{"writes EOF", oddConn{write: func(net.Conn, []byte) (int, error) { return 0, io.EOF }}},
}

// faultsServer has the methods Echo, Held, HeldStream, which sends a message
// first, and Pour; it is told when their handlers begin to wait or to pour.
func faultsServer(t *testing.T, entered func(method string), ended func(method string, err error)) *ttrpc.Server {
	hold := func(ctx context.Context, method string) error {
		entered(method)
		<-ctx.Done()
		ended(method, ctx.Err())
		return ctx.Err()
	}
	held := func(ctx context.Context, unmarshal func(any) error) (any, error) {
		var req wrapperspb.BytesValue
		if err := unmarshal(&req); err != nil {
			return nil, err
		}
		return &req, hold(ctx, "Held")
	}
	heldStream := func(ctx context.Context, ss ttrpc.StreamServer) (any, error) {
		if err := ss.SendMsg(wrapperspb.String("x")); err != nil {
			return nil, err
		}
		return nil, hold(ctx, "HeldStream")
	}
	pour := func(_ context.Context, ss ttrpc.StreamServer) (any, error) {
		entered("Pour")
		for {
			if err := ss.SendMsg(wrapperspb.Bytes(pattern(64 << 10))); err != nil {
				ended("Pour", err)
				return nil, err
			}
		}
	}
	return faultServer(t, map[string]ttrpc.Method{"Held": held}, map[string]ttrpc.Stream{
		"HeldStream": {Handler: heldStream, StreamingClient: true, StreamingServer: true},
		"Pour":       {Handler: pour, StreamingServer: true},
	})
}

// A connection that breaks the rules ends, without a panic, with ErrClosed for
// all that is on it, and with OnClose.
func TestFatalConnectionsEnd(t *testing.T) {
	for _, kind := range fatalConns {
		t.Run("client, "+kind.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				near, far := wirePair(0)
				odd := kind.odd
				odd.Conn = near
				onClose := make(chan struct{})
				client := newClient(t, &odd, ttrpc.WithOnClose(func() { close(onClose) }))
				// A call without a context that ends, and one with it.
				calls := []<-chan callOutcome{
					goCall(context.Background(), client, "Any", "x"), goCall(t.Context(), client, "Any", "x"),
				}
				far.Write(frameBytes(2, typeData, 0, nil)) // so that there is something to read
				for _, call := range calls {
					require.Equal(t, callOutcome{err: ttrpc.ErrClosed}, await(t, call, "a call"))
				}
				await(t, onClose, "OnClose")
				require.Equal(t, callOutcome{err: ttrpc.ErrClosed}, await(t, goCall(t.Context(), client, "Any", "x"), "a later call"))
				_, err := io.Copy(io.Discard, far)
				require.NoError(t, err, "the connection is open")
			})
		})
		t.Run("server, "+kind.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ended := make(chan error, 4)
				srv := faultsServer(t, func(string) {}, func(_ string, err error) { ended <- err })
				l := servePipe(t, srv)
				near, far := wirePair(0)
				odd := kind.odd
				odd.Conn = far
				l.conns <- &odd
				near.Write(frameBytes(2, typeData, 0, nil)) // which is to be refused
				near.Write(frameBytes(1, typeRequest, 0, marshal(t, &ttrpc.Request{Service: faultService, Method: "Held"})))
				_, err := io.Copy(io.Discard, near)
				require.NoError(t, err, "the connection is open")
				require.NoError(t, srv.Shutdown(t.Context()), "nothing is left")
			})
		})
	}
	t.Logf("%d ways to break a connection, at either end", len(fatalConns))
}

// What a Read returns together with an error counts.
func TestReadReturnsBytesAndError(t *testing.T) {
	for _, end := range []error{io.EOF, wrapError(io.EOF), wrapError(errFault)} {
		synctest.Test(t, func(t *testing.T) {
			near, far := wirePair(0)
			answers := bytes.Join([][]byte{
				frameBytes(1, typeResponse, 0, nil), frameBytes(3, typeData, 0, nil), frameBytes(3, typeData, flagRemoteClosed|flagNoData, nil),
			}, nil)
			asked := make(chan struct{})
			client := newClient(t, &oddConn{Conn: near, read: func(_ net.Conn, b []byte) (int, error) {
				<-asked
				return copy(b, answers), end
			}})
			call := goCall(t.Context(), client, "Any", "x")
			peer := rawPeer{t: t, conn: deadlines{far}}
			peer.wantRequest(1)
			cs, err := client.NewStream(t.Context(), &ttrpc.StreamDesc{StreamingServer: true}, faultService, "Any", wrapperspb.String(""))
			require.NoError(t, err)
			peer.wantRequest(3)
			close(asked)
			require.Equal(t, callOutcome{}, await(t, call, "the call"))
			require.NoError(t, cs.RecvMsg(&wrapperspb.StringValue{}))
			require.Equal(t, io.EOF, cs.RecvMsg(&wrapperspb.StringValue{}))
			synctest.Wait()
			require.Equal(t, callOutcome{err: ttrpc.ErrClosed}, await(t, goCall(t.Context(), client, "Any", "x"), "a later call"))
			t.Logf("a call and a stream were answered together with: %v", end)
		})
	}
}

// deadlines is a connection that takes deadlines, and forgets them.
type deadlines struct{ net.Conn }

func (deadlines) SetDeadline(time.Time) error      { return nil }
func (deadlines) SetReadDeadline(time.Time) error  { return nil }
func (deadlines) SetWriteDeadline(time.Time) error { return nil }

// stuck returns a function that waits until the bubble's test ends.
func stuck(t *testing.T) func() {
	release := make(chan struct{})
	t.Cleanup(func() { close(release) })
	return func() { <-release }
}

// A Write that never returns, not even when the connection is closed, keeps
// nobody whose context ends, and nobody else when the client is closed, but the
// one caller whose frame it is, if its context cannot end.
func TestWriteNeverReturns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := wirePair(0)
		defer far.Close()
		wait := stuck(t)
		client := newClient(t, &oddConn{Conn: near, write: func(net.Conn, []byte) (int, error) {
			wait()
			return 0, net.ErrClosed
		}})
		cancellable, cancel := context.WithCancel(t.Context())
		defer cancel()
		first := goCall(cancellable, client, "Any", "x")
		synctest.Wait()
		var inTime, others []<-chan callOutcome
		ctx, cancelEarly := context.WithTimeout(t.Context(), time.Minute)
		defer cancelEarly()
		for i := range 50 {
			message := strings.Repeat("x", i%2*150_000)
			inTime = append(inTime, goCall(ctx, client, "Any", message))
			others = append(others, goCall(context.Background(), client, "Any", message))
		}
		start := time.Now()
		for _, call := range inTime {
			require.Equal(t, callOutcome{err: context.DeadlineExceeded}, <-call)
		}
		require.Equal(t, time.Minute, time.Since(start))
		require.NoError(t, client.Close())
		for _, call := range append(others, first) {
			require.Equal(t, callOutcome{err: ttrpc.ErrClosed}, await(t, call, "a call without a deadline"))
		}
		require.NoError(t, client.UserOnCloseWait(t.Context()))
		t.Logf("%d calls left a Write that does not return", len(inTime)+len(others)+1)
	})
}

// A peer that reads one frame, answers it, and reads the next only when the caller
// has gone on, is served, also on a connection that keeps nothing: a caller waits
// for its own frame to be read, not for those of others.
func TestCallerDoesNotWaitForFramesOfOthers(t *testing.T) {
	for _, pending := range []int{0, 3} {
		synctest.Test(t, func(t *testing.T) {
			near, far := net.Pipe()
			client := newClient(t, near)
			raw := newRawPeer(t, far)
			calls := map[string]<-chan callOutcome{}
			for i := range pending { // so that those that follow are not alone
				goCall(context.Background(), client, "Any", string(rune('a'+i)))
				raw.read()
			}
			for _, name := range []string{"x", "y", "z"} {
				calls[name] = goCall(context.Background(), client, "Any", name)
			}
			synctest.Wait()
			for len(calls) > 0 {
				f := raw.read()
				raw.respond(f.id, &ttrpc.Response{})
				synctest.Wait()
				returned := 0
				for name, call := range calls {
					if len(call) > 0 {
						require.Equal(t, callOutcome{}, <-call)
						delete(calls, name)
						returned++
					}
				}
				require.Equal(t, 1, returned, "callers that got an answer and returned")
			}
		})
	}
}

// A Close that never returns holds up whoever closes for a second, and nobody
// else: calls end at once, OnClose runs, and the server stops, however many such
// connections it has.
func TestCloseNeverReturns(t *testing.T) {
	stuckConn := func(t *testing.T, conn net.Conn) net.Conn {
		wait := stuck(t)
		return &oddConn{Conn: conn, close: func(conn net.Conn) error {
			conn.Close()
			wait()
			return nil
		}}
	}
	t.Run("client", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			near, far := wirePair(0)
			defer far.Close()
			client := newClient(t, stuckConn(t, near))
			call := goCall(context.Background(), client, "Any", "x")
			synctest.Wait()
			start := time.Now()
			closed := goDo(client.Close)
			require.Equal(t, callOutcome{err: ttrpc.ErrClosed}, await(t, call, "the call"))
			require.Zero(t, time.Since(start))
			require.NoError(t, await(t, closed, "Close"))
			require.NoError(t, client.UserOnCloseWait(t.Context()))
			require.LessOrEqual(t, time.Since(start), time.Second)
		})
	})
	const conns = 20
	for name, stop := range map[string]func(*ttrpc.Server) error{
		"Close":    (*ttrpc.Server).Close,
		"Shutdown": func(srv *ttrpc.Server) error { return srv.Shutdown(context.Background()) },
	} {
		t.Run("server, "+name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := faultServer(t, nil, nil)
				l := servePipe(t, srv)
				for range conns {
					near, far := wirePair(0)
					l.conns <- stuckConn(t, far)
					requireEcho(t, newClient(t, near))
				}
				start := time.Now()
				require.NoError(t, stop(srv))
				require.LessOrEqual(t, time.Since(start), time.Second)
				require.NoError(t, srv.Shutdown(t.Context()))
				t.Logf("%s ended %d connections that do not close", name, conns)
			})
		})
	}
}

// lateHandshaker returns a connection when it is too late, whatever its context
// says.
type lateHandshaker struct {
	wrap func(net.Conn) net.Conn
}

func (h lateHandshaker) Handshake(_ context.Context, conn net.Conn) (net.Conn, any, error) {
	<-time.After(time.Minute)
	return h.wrap(conn), nil, nil
}

// A handshake that is late, and leaves a connection whose Close never returns, is
// the end of that connection all the same.
func TestLateHandshakeLeavesConnectionThatDoesNotClose(t *testing.T) {
	t.Run("client", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			near, far := wirePair(0)
			defer far.Close()
			wait := stuck(t)
			client := newClient(t, near, ttrpc.WithClientLogger(nowhere{}), ttrpc.WithClientHandshaker(lateHandshaker{func(conn net.Conn) net.Conn {
				return &oddConn{Conn: conn, close: func(net.Conn) error {
					wait()
					return nil
				}}
			}}))
			call := goCall(context.Background(), client, "Any", "x")
			<-time.After(2 * time.Minute)
			require.Equal(t, callOutcome{err: ttrpc.ErrClosed}, await(t, call, "the call"))
			require.NoError(t, client.UserOnCloseWait(t.Context()))
		})
	})
	t.Run("server", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			wait := stuck(t)
			srv := faultServer(t, nil, nil, ttrpc.WithServerMaxConnections(1), ttrpc.WithServerLogger(nowhere{}),
				ttrpc.WithServerHandshaker(lateHandshaker{func(conn net.Conn) net.Conn {
					return &oddConn{Conn: conn, close: func(net.Conn) error {
						wait()
						return nil
					}}
				}}), ttrpc.WithServerHandshakeTimeout(30*time.Second))
			l := servePipe(t, srv)
			near, far := wirePair(0)
			defer near.Close()
			l.conns <- far
			<-time.After(2 * time.Minute)
			// Its place is free: another connection is not refused.
			near, far = wirePair(0)
			l.conns <- far
			defer near.Close()
			synctest.Wait()
			_, err := near.Write([]byte("x"))
			require.NoError(t, err)
			<-time.After(2 * time.Minute) // until the handshaker has ended
		})
	})
}

// A UnixConn that has never been connected, and so has no address, is a connection
// that fails, and no reason to panic.
func TestUnconnectedUnixConn(t *testing.T) {
	client := newClient(t, new(net.UnixConn))
	require.Equal(t, callOutcome{err: ttrpc.ErrClosed}, await(t, goCall(t.Context(), client, "Any", "x"), "the call"))
	srv := faultServer(t, nil, nil)
	l := servePipe(t, srv)
	l.conns <- new(net.UnixConn)
	requireEcho(t, newClient(t, l.dialPipe(t)))
}

// A peer that reads nothing for minutes, so that the buffers of the connection
// are full, loses nothing: when it reads on, everything arrives, in order. Until
// then nobody waits for it but those who send to it, and they no longer than their
// contexts let them.
func TestBuffersAreFullForMinutes(t *testing.T) {
	const messages = 2000 // many times what is queued
	t.Run("the client does not read", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var sent atomic.Int32
			srv := faultServer(t, nil, map[string]ttrpc.Stream{"Many": {StreamingServer: true, Handler: func(_ context.Context, ss ttrpc.StreamServer) (any, error) {
				for i := range messages {
					if err := ss.SendMsg(wrapperspb.Bytes(pattern(1000 + i))); err != nil {
						return nil, err
					}
					sent.Add(1)
				}
				return nil, nil
			}}})
			l := servePipe(t, srv)
			near, far := wirePair(10_000)
			l.conns <- far
			peer := rawPeer{t: t, conn: deadlines{near}}
			defer near.Close()
			peer.request(1, flagRemoteClosed, faultService, "Many", nil)
			synctest.Wait()
			peer.request(3, 0, faultService, "Echo", nil)
			<-time.After(10 * time.Minute)
			require.Less(t, sent.Load(), int32(messages), "messages that SendMsg took, though nobody reads them")
			requireEcho(t, newClient(t, l.dialPipe(t))) // others are served

			answered := false
			for i := 0; i < messages; {
				f := peer.read()
				if f.id == 3 {
					answered = true
					continue
				}
				require.True(t, bytes.Equal(marshal(t, wrapperspb.Bytes(pattern(1000+i))), f.payload), "message %d", i)
				i++
			}
			require.Equal(t, rawFrame{id: 1, typ: typeData, flags: flagRemoteClosed | flagNoData, payload: []byte{}}, peer.read())
			require.True(t, answered, "the call, whose answer waits for no more than is queued a few times over")
			t.Logf("%d messages arrived after 10 minutes", messages)
		})
	})
	t.Run("the server does not read", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			pause := make(chan struct{})
			srv := faultServer(t, nil, nil)
			l := servePipe(t, srv)
			near, far := wirePair(10_000)
			l.conns <- &oddConn{Conn: far, read: func(conn net.Conn, b []byte) (int, error) {
				<-pause
				return conn.Read(b)
			}}
			client := newClient(t, near)
			cs, err := client.NewStream(t.Context(), &ttrpc.StreamDesc{StreamingClient: true, StreamingServer: true}, faultService, "EchoStream", nil)
			require.NoError(t, err)
			sent := goDo(func() error {
				for i := range messages {
					if err := cs.SendMsg(wrapperspb.String(strings.Repeat("x", 1000+i))); err != nil {
						return err
					}
				}
				return cs.CloseSend()
			})
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
			defer cancel()
			require.Equal(t, callOutcome{err: context.DeadlineExceeded}, <-goCall(ctx, client, "Echo", "late"))
			require.Empty(t, sent, "SendMsg takes any number of messages that nobody reads")
			close(pause)
			for i := range messages {
				var got wrapperspb.StringValue
				require.NoError(t, cs.RecvMsg(&got))
				require.Len(t, got.Value, 1000+i)
			}
			require.Equal(t, io.EOF, cs.RecvMsg(&wrapperspb.StringValue{}))
			require.NoError(t, await(t, sent, "the sender"))
			requireEcho(t, client)
			t.Logf("%d messages arrived after 10 minutes", messages)
		})
	})
}
