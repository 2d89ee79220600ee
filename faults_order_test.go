// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package ttrpc_test

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/containerd/ttrpc"
	"github.com/stretchr/testify/require"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// This file is about two things that happen at the same time, of which one has to
// come first: whichever it is, both ends must agree. In a bubble, what is due at
// the same time happens in any order, on several threads.

// orderRounds is how often a test tries.
func orderRounds() int {
	if testing.Short() {
		return 50
	}
	return 200
}

// parseRaw returns the frames in b, which must be whole.
func parseRaw(t *testing.T, b []byte) (frames []rawFrame) {
	t.Helper()
	whole, rest := splitFrames(b)
	require.Empty(t, rest, "part of a frame")
	for _, f := range whole {
		frames = append(frames, rawFrame{id: binary.BigEndian.Uint32(f[4:8]), typ: f[8], flags: f[9], payload: f[10:]})
	}
	return frames
}

// rest closes the other end's connection, and returns the frames that it has
// written since.
func (c *wireConn) rest(t *testing.T) []rawFrame {
	t.Helper()
	b, err := io.ReadAll(c)
	require.NoError(t, err)
	return parseRaw(t, b)
}

// A call whose context ends when its answer arrives has one or the other, and has
// told the server if it has not taken the answer.
func TestAnswerAndCancelAtTheSameTime(t *testing.T) {
	answered := 0
	for range orderRounds() {
		synctest.Test(t, func(t *testing.T) {
			near, far := wirePair(0)
			client := newClient(t, near)
			ctx, cancel := context.WithCancel(t.Context())
			call := goCall(ctx, client, "Any", "x")
			peer := rawPeer{t: t, conn: deadlines{far}}
			peer.wantRequest(1)
			time.AfterFunc(time.Millisecond, cancel)
			time.AfterFunc(time.Millisecond, func() { far.Write(frameBytes(1, typeResponse, 0, nil)) })
			outcome := <-call
			synctest.Wait()
			client.Close()
			if outcome.err == nil {
				answered++
				require.Empty(t, far.rest(t), "frames for a call that has its answer")
				return
			}
			require.Equal(t, callOutcome{err: context.Canceled}, outcome)
			require.Equal(t, []rawFrame{{id: 1, typ: typeCancel, payload: []byte{}}}, far.rest(t))
		})
	}
	t.Logf("%d rounds: the answer came first in %d", orderRounds(), answered)
}

// A stream whose context ends when its last frame arrives ends once: RecvMsg says
// the same whenever it is called.
func TestEndOfStreamAndCancelAtTheSameTime(t *testing.T) {
	ends := map[error]int{}
	failed := marshal(t, &ttrpc.Response{Status: &spb.Status{Code: int32(codes.NotFound)}})
	for round := range orderRounds() {
		synctest.Test(t, func(t *testing.T) {
			near, far := wirePair(0)
			client := newClient(t, near)
			ctx, cancel := context.WithCancel(t.Context())
			cs, err := client.NewStream(ctx, &ttrpc.StreamDesc{StreamingClient: true, StreamingServer: true}, faultService, "Any", nil)
			require.NoError(t, err)
			time.AfterFunc(time.Millisecond, cancel)
			time.AfterFunc(time.Millisecond, func() {
				if round%2 == 0 {
					far.Write(frameBytes(1, typeData, flagRemoteClosed|flagNoData, nil))
				} else {
					far.Write(frameBytes(1, typeResponse, 0, failed))
				}
			})
			var m wrapperspb.StringValue
			end := cs.RecvMsg(&m)
			for range 3 {
				require.Equal(t, end, cs.RecvMsg(&m))
				synctest.Wait()
			}
			client.Close()
			require.Equal(t, end, cs.RecvMsg(&m))
			sent := far.rest(t)[1:]
			switch {
			case end == context.Canceled: //nolint:errorlint // bare
				require.Len(t, sent, 1, "frames after the Request")
				require.Equal(t, byte(typeCancel), sent[0].typ)
				require.Equal(t, context.Canceled, cs.SendMsg(&m))
			case round%2 == 0:
				require.Equal(t, io.EOF, end)
			default:
				require.Equal(t, codes.NotFound, status.Code(end))
				end = errFault // for the count: all of them
			}
			ends[end]++
		})
	}
	t.Logf("%d rounds: the context came first in %d", orderRounds(), ends[context.Canceled])
}

// slowContext is a context that has ended, while what is to be done then has not
// been done yet: as every context is for a moment.
type slowContext struct {
	context.Context
	done  chan struct{}
	after []func()
}

func (c *slowContext) Done() <-chan struct{} { return c.done }

func (c *slowContext) Err() error {
	if isClosed(c.done) {
		return context.Canceled
	}
	return nil
}

func (c *slowContext) AfterFunc(f func()) func() bool {
	c.after = append(c.after, f)
	return func() bool { return true }
}

// A stream has one end. If its last frame arrives after its context has ended, and
// before the stream knows that, RecvMsg does not return the context's error once,
// and messages after that.
func TestRecvMsgReturnsOneEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := wirePair(0)
		client := newClient(t, near)
		ctx := &slowContext{Context: t.Context(), done: make(chan struct{})}
		cs, err := client.NewStream(ctx, &ttrpc.StreamDesc{StreamingServer: true}, faultService, "Any", wrapperspb.String(""))
		require.NoError(t, err)
		close(ctx.done)
		ends := make(chan error, 3)
		go func() {
			for range cap(ends) {
				ends <- cs.RecvMsg(&wrapperspb.StringValue{})
			}
		}()
		synctest.Wait()
		far.Write(frameBytes(1, typeData, 0, nil))
		far.Write(frameBytes(1, typeData, flagRemoteClosed|flagNoData, nil))
		synctest.Wait()
		for _, f := range ctx.after {
			f()
		}
		require.NoError(t, <-ends)
		require.Equal(t, io.EOF, <-ends)
		require.Equal(t, io.EOF, <-ends)
	})
}

// A handler that returns when its deadline passes, when the client cancels its
// call, or both, is answered for once, or not at all if the Cancel came first;
// the connection goes on.
func TestReturnAndDeadlineAndCancelAtTheSameTime(t *testing.T) {
	answers := map[int]int{}
	for round := range orderRounds() {
		synctest.Test(t, func(t *testing.T) {
			srv := faultServer(t, map[string]ttrpc.Method{"Sleep": func(context.Context, func(any) error) (any, error) {
				<-time.After(time.Millisecond)
				return wrapperspb.String("x"), nil
			}}, map[string]ttrpc.Stream{"Sleep": {StreamingServer: true, Handler: func(_ context.Context, ss ttrpc.StreamServer) (any, error) {
				<-time.After(time.Millisecond)
				return nil, ss.SendMsg(wrapperspb.String("x"))
			}}})
			l := servePipe(t, srv)
			near, far := wirePair(0)
			l.conns <- far
			cancels, expires := round%2 == 0, round%4 < 2
			request := &ttrpc.Request{Service: faultService, Method: "Sleep"}
			if expires {
				request.TimeoutNano = int64(time.Millisecond)
			}
			near.Write(frameBytes(1, typeRequest, 0, marshal(t, request)))
			synctest.Wait() // the handler has begun
			if cancels {
				time.AfterFunc(time.Millisecond, func() { near.Write(frameBytes(1, typeCancel, 0, nil)) })
			}
			<-time.After(2 * time.Millisecond)
			peer := rawPeer{t: t, conn: deadlines{near}}
			requireRawEchoBehind(t, &peer, 3, func(before []rawFrame) {
				answers[len(before)]++
				require.LessOrEqual(t, len(before), 1, "answers")
				if !cancels {
					require.Len(t, before, 1, "answers")
				}
			})
			near.Close()
			require.NoError(t, srv.Shutdown(t.Context()))
		})
	}
	t.Logf("%d rounds: %d calls were answered, %d were cancelled first", orderRounds(), answers[1], answers[0])
}

// A handler whose context has ended finds one reason for it, though the call is
// answered for another: here it has a deadline, and something else happens soon
// after that.
func TestSendMsgReturnsWhyContextEnded(t *testing.T) {
	for _, tt := range []struct {
		name  string
		frame []byte
	}{
		{"cancelled", frameBytes(1, typeCancel, 0, nil)},
		{"message with the half-close", frameBytes(1, typeData, flagRemoteClosed, []byte("x"))},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ends := make(chan [2]error, 1)
				srv := faultServer(t, nil, map[string]ttrpc.Stream{"Sleep": {StreamingServer: true, Handler: func(ctx context.Context, ss ttrpc.StreamServer) (any, error) {
					<-time.After(3 * time.Millisecond)
					ends <- [2]error{ctx.Err(), ss.SendMsg(wrapperspb.String("x"))}
					return nil, nil
				}}})
				l := servePipe(t, srv)
				near, far := wirePair(0)
				defer near.Close()
				l.conns <- far
				near.Write(frameBytes(1, typeRequest, 0, marshal(t, &ttrpc.Request{Service: faultService, Method: "Sleep", TimeoutNano: int64(time.Millisecond)})))
				<-time.After(2 * time.Millisecond)
				near.Write(tt.frame)
				require.Equal(t, [2]error{context.DeadlineExceeded, context.DeadlineExceeded}, <-ends)
			})
		})
	}
}

// requireRawEchoBehind makes a call on p as stream id, which must be answered, and
// has check look at the frames that come before.
func requireRawEchoBehind(t *testing.T, p *rawPeer, id uint32, check func([]rawFrame)) {
	t.Helper()
	p.request(id, 0, faultService, "Echo", nil)
	var before []rawFrame
	for {
		f := p.read()
		if f.id == id {
			require.Equal(t, rawFrame{id: id, typ: typeResponse, payload: []byte{}}, f)
			check(before)
			return
		}
		before = append(before, f)
	}
}

// When a client is closed while it is used in every way, everything in flight, and
// all that comes later, ends with ErrClosed; what has ended before has its own
// answer.
func TestCloseAndUseAtTheSameTime(t *testing.T) {
	var rights atomic.Int32
	for round := range orderRounds() / 4 {
		synctest.Test(t, func(t *testing.T) {
			l := servePipe(t, faultServer(t, nil, nil))
			near, far := net.Pipe()
			if round%2 == 0 {
				near, far = wireConns(1000)
			}
			l.conns <- &oddConn{Conn: far, write: func(conn net.Conn, b []byte) (int, error) {
				<-time.After(10 * time.Microsecond) // so that time passes
				return conn.Write(b)
			}}
			client := newClient(t, near)
			var users sync.WaitGroup
			for i := range 4 {
				users.Go(func() {
					text := strings.Repeat("x", i*1500)
					for {
						outcome := <-goCall(context.Background(), client, "Echo", text)
						if outcome.err != nil {
							require.Equal(t, callOutcome{err: ttrpc.ErrClosed}, outcome)
							return
						}
						require.Equal(t, text, outcome.value)
						rights.Add(1)
					}
				})
				users.Go(func() { require.Equal(t, ttrpc.ErrClosed, useStreams(client, i*700, &rights)) })
			}
			time.AfterFunc(time.Duration(round)*7*time.Microsecond, func() { client.Close() })
			users.Wait()
			require.NoError(t, client.UserOnCloseWait(t.Context()))
			<-time.After(time.Second) // until the last Write has ended
		})
	}
	t.Logf("%d rounds, %d answers before the ends", orderRounds()/4, rights.Load())
}

// wireConns is wirePair for net.Conns.
func wireConns(limit int) (a, b net.Conn) { return wirePair(limit) }

// useStreams opens streams, and has messages sent back on them, until that fails.
func useStreams(client *ttrpc.Client, size int, rights *atomic.Int32) error {
	message := wrapperspb.String(strings.Repeat("y", size))
	for {
		cs, err := client.NewStream(context.Background(), &ttrpc.StreamDesc{StreamingClient: true, StreamingServer: true}, faultService, "EchoStream", nil)
		if err != nil {
			return err
		}
		for range 5 {
			var got wrapperspb.StringValue
			if err := cs.SendMsg(message); err != nil {
				return err
			}
			if err := cs.RecvMsg(&got); err != nil {
				return err
			}
			if got.Value != message.Value {
				return errors.New("not the message that was sent")
			}
			rights.Add(1)
		}
		if err := cs.CloseSend(); err != nil {
			return err
		}
		if err := cs.RecvMsg(message); !errors.Is(err, io.EOF) {
			return err
		}
	}
}

// resettingListener closes what it has not accepted, as the kernel does.
type resettingListener struct{ *memoryListener }

func (l resettingListener) Close() error {
	l.memoryListener.Close()
	for {
		select {
		case conn := <-l.conns:
			conn.Close()
		default:
			return nil
		}
	}
}

// A connection that comes when the server is shut down is served until it is idle,
// or closed: Shutdown waits for it if it has been accepted, and no connection is
// left open.
func TestAcceptAndShutdownAtTheSameTime(t *testing.T) {
	const clients = 6
	var right, refused int
	for round := range orderRounds() {
		synctest.Test(t, func(t *testing.T) {
			srv := faultServer(t, nil, nil)
			l := resettingListener{newMemoryListener()}
			serveOn(t, srv, l)
			var ends []<-chan callOutcome
			var closes []chan struct{}
			for i := range clients {
				near, far := wirePair(0)
				onClose := make(chan struct{})
				client := newClient(t, near, ttrpc.WithOnClose(func() { close(onClose) }))
				closes = append(closes, onClose)
				ends = append(ends, goCall(context.Background(), client, "Echo", "x"))
				time.AfterFunc(time.Duration(i/2)*time.Microsecond, func() {
					select {
					case <-l.closed:
						far.Close() // as Dial fails
					case l.conns <- far:
						if isClosed(l.closed) {
							l.Close() // too late to be seen by the other Close
						}
					}
				})
			}
			done := make(chan error, 1)
			time.AfterFunc(time.Duration(round%4)*time.Microsecond, func() { done <- srv.Shutdown(context.Background()) })
			for _, end := range ends {
				outcome := <-end
				if outcome.err == nil {
					right++
					require.Equal(t, callOutcome{value: "x"}, outcome)
					continue
				}
				refused++
				require.Equal(t, callOutcome{err: ttrpc.ErrClosed}, outcome)
			}
			require.NoError(t, <-done)
			for _, onClose := range closes {
				await(t, onClose, "the end of a connection")
			}
		})
	}
	t.Logf("%d rounds: %d calls were answered, %d refused", orderRounds(), right, refused)
}

// A stream that is opened when the server has written its last answer, and leaves
// the connection open for a moment so that the client can read it, ends with the
// connection. It is not refused as if it had been over.
func TestStreamOpenedAfterLastAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		srv := faultServer(t, map[string]ttrpc.Method{"Held": func(context.Context, func(any) error) (any, error) {
			<-release
			return wrapperspb.String(""), nil
		}}, nil)
		l := servePipe(t, srv)
		near, far := wirePair(0)
		l.conns <- far
		client := newClient(t, near)
		held := goCall(t.Context(), client, "Held", "x")
		synctest.Wait()
		done := goDo(func() error { return srv.Shutdown(t.Context()) })
		synctest.Wait()
		close(release)
		require.Equal(t, callOutcome{}, <-held)
		cs, err := client.NewStream(t.Context(), &ttrpc.StreamDesc{StreamingClient: true, StreamingServer: true}, faultService, "EchoStream", nil)
		require.NoError(t, err)
		require.NoError(t, cs.SendMsg(wrapperspb.String("x")))
		require.Equal(t, ttrpc.ErrClosed, cs.RecvMsg(&wrapperspb.StringValue{}))
		require.NoError(t, <-done)
	})
}

// The same with the kernel's listeners.
func TestDialAndShutdownAtTheSameTime(t *testing.T) {
	right, refused, undialled := 0, 0, 0
	for range orderRounds() / 10 {
		srv := faultServer(t, nil, nil)
		l := listenUnix(t)
		served := goDo(func() error { return srv.Serve(t.Context(), l) })
		c := newClient(t, dial(t, l))
		requireEcho(t, c)
		outcomes := make(chan callOutcome, 4)
		for range cap(outcomes) {
			go func() {
				conn, err := net.Dial(l.Addr().Network(), l.Addr().String())
				if err != nil {
					outcomes <- callOutcome{"undialled", nil}
					return
				}
				onClose := make(chan struct{})
				client := ttrpc.NewClient(conn, ttrpc.WithOnClose(func() { close(onClose) }))
				outcome := <-goCall(context.Background(), client, "Echo", "x")
				<-onClose
				outcomes <- outcome
			}()
		}
		requireShutdown(t, srv)
		require.Equal(t, ttrpc.ErrServerClosed, await(t, served, "Serve"))
		for range cap(outcomes) {
			switch outcome := await(t, outcomes, "a client"); outcome {
			case callOutcome{"x", nil}:
				right++
			case callOutcome{"undialled", nil}:
				undialled++
			default:
				refused++
				require.Equal(t, callOutcome{err: ttrpc.ErrClosed}, outcome)
			}
		}
	}
	t.Logf("%d rounds: %d calls were answered, %d refused, %d had no connection", orderRounds()/10, right, refused, undialled)
}

// Answers that have been sent before a unix socket is reset are received, though
// the server has left unread what the client wrote, and the client's writes fail.
func TestAnswerBeforeReset(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the tests have no unix sockets on Windows, and a reset of TCP takes with it what has not been read")
	}
	const calls = 50
	for range orderRounds() / 10 {
		near, far := socketPair(t, "unix")
		client := newClient(t, near)
		var ends []<-chan callOutcome
		for range calls {
			ends = append(ends, goCall(context.Background(), client, "Any", "x"))
		}
		peer := rawPeer{t: t, conn: far}
		var answers []byte
		for range calls {
			answers = append(answers, frameBytes(peer.read().id, typeResponse, 0, nil)...)
		}
		unread := goCall(context.Background(), client, "Any", strings.Repeat("x", 100_000))
		for one := make([]byte, 1); ; { // it has arrived, as far as there is room
			n, err := far.Read(one)
			require.NoError(t, err)
			if n > 0 {
				break
			}
		}
		peer.writeBytes(answers)
		far.Close() // a reset: there is something unread
		for _, end := range ends {
			require.Equal(t, callOutcome{}, await(t, end, "a call that was answered"))
		}
		require.Equal(t, callOutcome{err: ttrpc.ErrClosed}, await(t, unread, "the call that was not"))
	}
	t.Logf("%d answers arrived before resets", orderRounds()/10*calls)
}

// overflowBudget is what a stream of the tests below keeps: three messages of a
// hundred bytes.
const overflowBudget = 3 * (100 + 16)

// hundred is an encoded message of a hundred bytes.
func hundred(t *testing.T) []byte { return marshal(t, wrapperspb.Bytes(pattern(98))) }

// What comes first, the end of a stream or a message that is too many, is its end
// for the client, behind the messages that there was room for.
func TestOverflowAndEndOfStream(t *testing.T) {
	message := hundred(t)
	data := frameBytes(1, typeData, 0, message)
	success := frameBytes(1, typeResponse, 0, marshal(t, &ttrpc.Response{Payload: message}))
	failure := frameBytes(1, typeResponse, 0, marshal(t, &ttrpc.Response{Status: &spb.Status{Code: int32(codes.NotFound)}}))
	end := frameBytes(1, typeData, flagRemoteClosed|flagNoData, nil)
	last := frameBytes(1, typeData, flagRemoteClosed, message)
	for _, tt := range []struct {
		name     string
		frames   [][]byte
		messages int
		end      error
		cancels  int
	}{
		{"end of a full stream", [][]byte{data, data, data, end}, 3, io.EOF, 0},
		{"last message fits", [][]byte{data, data, last}, 3, io.EOF, 0},
		{"last message does not fit", [][]byte{data, data, data, last}, 3, ttrpc.ErrStreamFull, 1},
		{"overflow, then end", [][]byte{data, data, data, data, end}, 3, ttrpc.ErrStreamFull, 1},
		{"overflow twice", [][]byte{data, data, data, data, data, data}, 3, ttrpc.ErrStreamFull, 1},
		{"answer fits", [][]byte{data, data, success}, 3, io.EOF, 0},
		{"answer does not fit", [][]byte{data, data, data, success}, 3, ttrpc.ErrStreamFull, 0},
		{"status of a full stream", [][]byte{data, data, data, failure}, 3, status.Error(codes.NotFound, ""), 0},
		{"overflow, then status", [][]byte{data, data, data, data, failure}, 3, ttrpc.ErrStreamFull, 1},
		{"end, then too many", [][]byte{data, end, data, data, data}, 1, io.EOF, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				near, far := wirePair(0)
				client := newClient(t, near, ttrpc.WithClientReceiveBudget(overflowBudget, 1<<20))
				cs, err := client.NewStream(t.Context(), &ttrpc.StreamDesc{StreamingServer: true}, faultService, "Any", wrapperspb.String(""))
				require.NoError(t, err)
				for _, f := range tt.frames {
					far.Write(f)
				}
				synctest.Wait()
				var m wrapperspb.BytesValue
				for range tt.messages {
					require.NoError(t, cs.RecvMsg(&m))
				}
				for range 2 {
					err := cs.RecvMsg(&m)
					require.Equal(t, status.Code(tt.end), status.Code(err), "%v", err)
					require.ErrorIs(t, err, tt.end)
				}
				client.Close()
				sent := far.rest(t)[1:]
				require.Len(t, sent, tt.cancels, "Cancels")
			})
		})
	}
}

// A handler that returns when a message too many arrives, or the half-close behind
// one, is answered for once.
func TestOverflowAndReturnAtTheSameTime(t *testing.T) {
	codesSeen := map[codes.Code]int{}
	for round := range orderRounds() {
		synctest.Test(t, func(t *testing.T) {
			srv := faultServer(t, nil, map[string]ttrpc.Stream{"Sleep": {StreamingClient: true, StreamingServer: true, Handler: func(_ context.Context, ss ttrpc.StreamServer) (any, error) {
				<-time.After(time.Millisecond)
				if round%2 == 0 {
					return nil, nil
				}
				var m wrapperspb.BytesValue
				for n := 0; ; n++ {
					switch err := ss.RecvMsg(&m); {
					case errors.Is(err, io.EOF), errors.Is(err, ttrpc.ErrStreamFull):
						require.GreaterOrEqual(t, n, 3, "messages that fit")
						return nil, err
					case err != nil:
						return nil, err
					}
				}
			}}}, ttrpc.WithServerReceiveBudget(overflowBudget, 1<<20))
			l := servePipe(t, srv)
			near, far := wirePair(0)
			l.conns <- far
			near.Write(frameBytes(1, typeRequest, flagRemoteOpen|flagNoData, marshal(t, &ttrpc.Request{Service: faultService, Method: "Sleep"})))
			synctest.Wait()
			message := frameBytes(1, typeData, 0, hundred(t))
			for range 3 {
				near.Write(message)
			}
			time.AfterFunc(time.Millisecond, func() {
				near.Write(message)
				near.Write(frameBytes(1, typeData, flagRemoteClosed|flagNoData, nil))
			})
			<-time.After(2 * time.Millisecond)
			peer := rawPeer{t: t, conn: deadlines{near}}
			requireRawEchoBehind(t, &peer, 3, func(before []rawFrame) {
				ends := 0
				for _, f := range before {
					switch {
					case f.typ == typeData:
						require.Equal(t, byte(flagRemoteClosed|flagNoData), f.flags)
						ends++
						codesSeen[codes.OK]++
					default:
						var r ttrpc.Response
						require.NoError(t, proto.Unmarshal(f.payload, &r))
						code := codes.Code(r.GetStatus().GetCode())
						if code == codes.InvalidArgument { // of a frame behind the end
							require.Equal(t, "StreamID is no longer active", r.GetStatus().GetMessage())
							continue
						}
						ends++
						codesSeen[code]++
					}
				}
				require.Equal(t, 1, ends, "ends of the stream: %v", before)
			})
			near.Close()
		})
	}
	t.Logf("%d rounds: %v", orderRounds(), codesSeen)
}

// jumped is t, as it looks when the wall clock has been set forward by d since it
// was taken: t has its place on the monotonic clock, and its wall reading is in
// the past by d.
func jumped(t *testing.T, at time.Time, d time.Duration) time.Time {
	before := at
	// The wall reading is in the first word, whose seconds begin at bit 30.
	*(*uint64)(unsafe.Pointer(&at)) -= uint64(d/time.Second) << 30
	require.Zero(t, at.Sub(before), "the monotonic clock")
	require.Equal(t, -d, at.Round(0).Sub(before.Round(0)), "the wall clock")
	return at
}

// jumpedContext has a deadline that was set before the wall clock was.
type jumpedContext struct {
	context.Context
	deadline time.Time
}

func (c jumpedContext) Deadline() (time.Time, bool) { return c.deadline, true }

// The wall clock may be set, forward or back, while calls are under way: what
// goes over the wire is the time that is left, and a handler's deadline has its
// place on the monotonic clock.
func TestWallClockJumps(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	deadline, _ := ctx.Deadline()
	for _, jump := range []time.Duration{time.Hour, -time.Hour} {
		near, far := socketPair(t, "unix")
		client := newClient(t, near)
		peer := newRawPeer(t, far)
		after := jumpedContext{ctx, jumped(t, deadline, jump)}
		requireTimeout := func(id uint32) {
			left := time.Duration(peer.wantRequest(id).TimeoutNano)
			require.Greater(t, left, 30*time.Second)
			require.LessOrEqual(t, left, time.Minute)
		}
		call := goCall(after, client, "Any", "x")
		requireTimeout(1)
		peer.respond(1, &ttrpc.Response{})
		require.Equal(t, callOutcome{}, await(t, call, "the call"))
		_, err := client.NewStream(after, &ttrpc.StreamDesc{StreamingClient: true}, faultService, "Any", nil)
		require.NoError(t, err)
		requireTimeout(3)
	}

	deadlines := make(chan time.Time, 1)
	srv := faultServer(t, map[string]ttrpc.Method{"Deadline": func(ctx context.Context, _ func(any) error) (any, error) {
		deadline, _ := ctx.Deadline()
		deadlines <- deadline
		return wrapperspb.String(""), nil
	}}, nil)
	client := newClient(t, dial(t, serve(t, srv)))
	require.Equal(t, callOutcome{}, await(t, goCall(ctx, client, "Deadline", ""), "the call"))
	require.Contains(t, (<-deadlines).String(), " m=", "a deadline without its place on the monotonic clock")
}
