// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package ttrpc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// program is the source of a fuzz target's decisions: its input, byte by byte,
// and zeros behind it.
type program []byte

func (p *program) next() int {
	if len(*p) == 0 {
		return 0
	}
	b := (*p)[0]
	*p = (*p)[1:]
	return int(b)
}

func (p *program) take(n int) []byte {
	n = min(n, len(*p))
	b := (*p)[:n]
	*p = (*p)[n:]
	return b
}

// programSteps bounds a program, so that it is fast and a failure readable.
const programSteps = 60

// pauses are the times that a step may wait, on the bubble's clock.
var pauses = []time.Duration{time.Millisecond, 10 * time.Millisecond, time.Second, 11 * time.Second, 3 * time.Minute}

// heldHandler is a handler of a serverFuzz, which does what it is told.
type heldHandler struct {
	ctx      context.Context
	call     *serverCall
	stream   StreamServer
	read     func(any) error
	commands chan int

	sent     int // messages that SendMsg took
	received int // of the messages that RecvMsg delivered, the number of the last
	result   int // command that made it return
}

// Commands of a heldHandler. The first ones make it return.
const (
	returnMessage = iota
	returnNil
	returnError
	returnOversized
	panicNow
	exitNow
	returns // the number of those that return

	readAgain
	sendMessage
	sendNil
	sendMany
	receiveMessage
	waitForEnd
	commands // their number
)

// serverFuzz runs a program of frames and handler actions against a Server, and
// keeps account of what must come of them.
type serverFuzz struct {
	t    *testing.T
	code program
	srv  *Server
	l    *memListener
	conn *memConn    // the client's end
	sc   *serverConn // the server's

	mu       sync.Mutex
	handlers []*heldHandler // in the order of their start

	opened    int             // ids that newID has returned
	pushed    map[uint32]int  // messages sent on a stream
	requested map[uint32]bool // ids of Requests; true if one answer must come
	even      int             // frames sent on even ids
	wire      []byte          // what the server has written, as yet unparsed
	answers   map[uint32]int  // last frames on an id
	data      map[uint32]int  // other frames on an id
	evenSeen  int
	deaf      bool // the client reads nothing
	garbled   bool // the server may have seen anything
	broken    bool // the connection has been closed by the program
	stopped   bool // the server has been
}

func (p *serverFuzz) handle(ctx context.Context, read func(any) error, stream StreamServer) (any, error) {
	h := &heldHandler{ctx: ctx, stream: stream, read: read, commands: make(chan int, 64)}
	h.call = ctx.Value(serverCallKey{}).(*serverCall)
	p.mu.Lock()
	p.handlers = append(p.handlers, h)
	p.mu.Unlock()
	p.readRequest(h)
	for command := range h.commands {
		if command < returns {
			h.result = command
			return p.leave(h, command)
		}
		p.act(h, command)
	}
	return p.leave(h, returnMessage)
}

// readRequest checks that a unary handler gets its own request, also late.
func (p *serverFuzz) readRequest(h *heldHandler) {
	if h.read == nil {
		return
	}
	var m wrapperspb.StringValue
	if err := h.read(&m); err == nil && !p.garbled && m.Value != "" {
		require.Equal(p.t, fmt.Sprintf("u%d", h.call.id), strings.TrimRight(m.Value, "."), "request of another call")
	}
}

// leave returns from a handler.
func (p *serverFuzz) leave(h *heldHandler, command int) (any, error) {
	switch command {
	case returnNil:
		return nil, nil
	case returnError:
		return nil, errors.New("error of the handler")
	case returnOversized:
		return wrapperspb.Bytes(make([]byte, messageLengthMax)), nil
	case panicNow:
		panic("handler")
	case exitNow:
		runtime.Goexit()
	}
	return wrapperspb.String(fmt.Sprintf("r%d", h.call.id)), nil
}

// act does something in a handler that goes on.
func (p *serverFuzz) act(h *heldHandler, command int) {
	n := 1
	switch command {
	case readAgain:
		p.readRequest(h)
	case waitForEnd:
		<-h.ctx.Done()
	case sendMany:
		n = 20
		fallthrough
	case sendMessage, sendNil:
		if h.stream == nil {
			return
		}
		for range n {
			var m any
			if command != sendNil {
				m = wrapperspb.String(fmt.Sprintf("s%d:%d", h.call.id, h.sent))
			}
			if h.stream.SendMsg(m) == nil {
				h.sent++
			}
		}
	case receiveMessage:
		if h.stream == nil {
			return
		}
		var m wrapperspb.StringValue
		var id uint32
		var k int
		if h.stream.RecvMsg(&m) != nil || p.garbled {
			return
		}
		if _, err := fmt.Sscanf(m.Value, "m%d:%d", &id, &k); err == nil {
			require.Equal(p.t, h.call.id, id, "message of another stream")
			require.Greater(p.t, k, h.received, "message out of order")
			h.received = k
		}
	}
}

// newServerFuzz starts a server with small limits, and a connection to it.
func newServerFuzz(t *testing.T, code []byte) *serverFuzz {
	p := &serverFuzz{
		t: t, code: code, l: newMemListener(),
		pushed: map[uint32]int{}, requested: map[uint32]bool{},
		answers: map[uint32]int{}, data: map[uint32]int{},
	}
	srv, err := NewServer(WithServerMaxConcurrentCalls(6), WithServerReceiveBudget(300, 700),
		WithServerPanicRecovery(), WithServerLogger(nowhere{}))
	require.NoError(t, err)
	stream := func(client, server bool) Stream {
		return Stream{StreamingClient: client, StreamingServer: server, Handler: func(ctx context.Context, ss StreamServer) (any, error) {
			return p.handle(ctx, nil, ss)
		}}
	}
	srv.RegisterService("s", &ServiceDesc{
		Methods: map[string]Method{
			"Unary": func(ctx context.Context, read func(any) error) (any, error) { return p.handle(ctx, read, nil) },
			"Echo": func(_ context.Context, read func(any) error) (any, error) {
				m := new(wrapperspb.StringValue)
				return m, read(m)
			},
		},
		Streams: map[string]Stream{"0": stream(false, true), "1": stream(true, false), "2": stream(true, true), "3": stream(false, false)},
	})
	p.srv = srv
	go srv.Serve(context.Background(), p.l)
	p.conn = p.l.connect()
	synctest.Wait()
	for sc := range srv.conns {
		p.sc = sc
	}
	return p
}

// write sends a frame of the client's.
func (p *serverFuzz) write(id uint32, typ frameType, flags frameFlags, payload []byte) {
	if p.broken || p.garbled {
		return
	}
	if id%2 == 0 {
		p.even++
	}
	p.conn.Write(frameOf(id, typ, flags, payload))
}

// request sends a Request.
func (p *serverFuzz) request(id uint32, flags frameFlags, r *Request) {
	b, err := proto.Marshal(r)
	require.NoError(p.t, err)
	if _, again := p.requested[id]; !again && id%2 == 1 {
		p.requested[id] = true
		if p.ended() {
			p.requested[id] = false
		}
	}
	p.write(id, frameRequest, flags, b)
}

// newID returns an id that has not been used, unless anyID has made it up.
func (p *serverFuzz) newID() uint32 {
	p.opened++
	return uint32(2*p.opened - 1)
}

// anyID returns an id that is, mostly, in use.
func (p *serverFuzz) anyID() uint32 {
	b := p.code.next()
	if b >= 240 || p.opened == 0 {
		return uint32(b % 16) // even, used, unused
	}
	return uint32(2*(b%p.opened) + 1)
}

// message is an encoded message that tells its stream and its place.
func (p *serverFuzz) message(id uint32, size int) []byte {
	p.pushed[id]++
	b, err := proto.Marshal(wrapperspb.String(fmt.Sprintf("m%d:%d%s", id, p.pushed[id], strings.Repeat(".", size))))
	require.NoError(p.t, err)
	return b
}

// ended reports whether the server has ended the connection.
func (p *serverFuzz) ended() bool {
	p.sc.mu.Lock()
	defer p.sc.mu.Unlock()
	return p.sc.ended
}

// step runs one operation of the program.
func (p *serverFuzz) step() {
	timeouts := []int64{0, 0, 0, int64(5 * time.Millisecond), int64(time.Second), -1}
	switch p.code.next() % 16 {
	case 0, 1:
		b := p.code.next()
		id := p.newID()
		text, err := proto.Marshal(wrapperspb.String(fmt.Sprintf("u%d%s", id, strings.Repeat(".", b*b/20))))
		require.NoError(p.t, err)
		p.request(id, flagRemoteClosed, &Request{Service: "s", Method: "Unary", Payload: text, TimeoutNano: timeouts[b%len(timeouts)]})
	case 2, 3:
		b := p.code.next()
		id := p.newID()
		r := &Request{Service: "s", Method: fmt.Sprint(b % 4), TimeoutNano: timeouts[b/4%len(timeouts)]}
		if b&64 != 0 {
			r.Payload = p.message(id, b/4)
		}
		p.request(id, frameFlags(p.code.next()), r)
	case 4: // an id of any kind, or a method that is not there
		r := []*Request{
			{Service: "s", Method: "Unary"}, {Service: "s", Method: "2"}, {Service: "s", Method: "none"}, {Service: "none"}, {},
		}[p.code.next()%5]
		p.request(p.anyID(), frameFlags(p.code.next()), r)
	case 5, 6:
		id := p.anyID()
		flags := frameFlags(p.code.next())
		var payload []byte
		if b := p.code.next(); b&1 != 0 {
			payload = p.message(id, b/2)
		}
		p.write(id, frameData, flags, payload)
	case 7:
		p.cancel(p.anyID(), frameFlags(p.code.next()))
	case 8, 9, 10:
		p.mu.Lock()
		defer p.mu.Unlock()
		if len(p.handlers) > 0 {
			h := p.handlers[p.code.next()%len(p.handlers)]
			command := p.code.next() % commands
			if command == returnOversized && p.code.next() > 2 {
				command = returnMessage // it is slow
			}
			select {
			case h.commands <- command:
			default:
			}
		}
	case 11: // a frame of any kind
		typ := frameType(p.code.next())
		if typ == frameRequest || typ == frameCancel || typ == frameData {
			typ = frameResponse
		}
		p.write(p.anyID(), typ, frameFlags(p.code.next()), p.code.take(p.code.next()%32))
	case 12:
		<-time.After(pauses[p.code.next()%len(pauses)])
	case 13: // the client reads slowly, or the server's reads are short
		b := p.code.next()
		p.conn.in.set(func(q *memPipe) { q.limit = []int{0, 1, 30, 5000}[b%4] })
		p.deaf = b&8 != 0
	case 14:
		p.disturb(p.code.next())
	case 15:
		if !p.broken {
			p.garbled = true
			p.conn.Write(p.code.take(1 + p.code.next()%40))
		}
	}
}

// cancel sends a Cancel: a call that has not been answered gets no answer.
func (p *serverFuzz) cancel(id uint32, flags frameFlags) {
	p.sc.mu.Lock()
	call, _ := p.sc.calls.get(id)
	silent := call != nil && !call.answered
	p.sc.mu.Unlock()
	if silent && id%2 == 1 && !p.broken && !p.garbled {
		p.requested[id] = false
	}
	p.write(id, frameCancel, flags, nil)
}

// disturb ends something, or begins to.
func (p *serverFuzz) disturb(b int) {
	switch b % 32 {
	case 0:
		p.broken = true
		p.conn.Close()
	case 1:
		p.broken = true
		p.conn.closeWrite(errInjected)
	case 2:
		p.broken = true
		p.conn.closeWrite(ErrClosed)
	case 3:
		p.stopped = true
		p.srv.Close()
	case 4:
		p.stopped = true
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		go func() {
			defer cancel()
			p.srv.Shutdown(ctx)
		}()
	case 5: // and the other way
		p.sc.cancelCalls()
	case 6: // half-closed, which no frame follows
		p.broken = true
		p.conn.closeWrite(io.EOF)
	}
}

// account reads what the server has written so far, and checks it.
func (p *serverFuzz) account() {
	if p.deaf || p.conn.in.gone {
		return
	}
	p.wire = append(p.wire, p.conn.in.take()...)
	if p.garbled {
		return
	}
	var frames []parsedFrame
	frames, p.wire = parseFrames(p.wire)
	for _, f := range frames {
		p.accountFrame(f)
	}
}

// refusals answer a frame, not a call.
var refusals = []string{
	"StreamID must be odd for client initiated streams",
	"StreamID cannot be re-used and must increment",
	"StreamID is no longer active",
}

func (p *serverFuzz) accountFrame(f parsedFrame) {
	id := f.streamID
	switch {
	case f.typ == frameResponse:
		var r Response
		require.NoError(p.t, proto.Unmarshal(f.payload, &r))
		if slices.Contains(refusals, r.GetStatus().GetMessage()) {
			if id%2 == 0 {
				p.evenSeen++
			}
			return
		}
		require.Zero(p.t, f.flags)
		if r.GetStatus().GetCode() == 0 && len(r.Payload) > 0 {
			p.requireText(r.Payload, fmt.Sprintf("r%d", id))
		}
		p.answers[id]++
	case f.typ == frameData && f.flags.has(flagRemoteClosed):
		if len(f.payload) > 0 {
			p.requireText(f.payload, fmt.Sprintf("r%d", id))
		}
		p.answers[id]++
	case f.typ == frameData:
		require.Zero(p.t, p.answers[id], "data behind the end of stream %d", id)
		if len(f.payload) > 0 {
			p.requireText(f.payload, fmt.Sprintf("s%d:%d", id, p.data[id]))
		}
		p.data[id]++
	default:
		require.FailNow(p.t, "unknown frame", "%+v", f)
	}
	_, requested := p.requested[id]
	require.True(p.t, requested, "answer on stream %d, which nobody opened", id)
	require.LessOrEqual(p.t, p.answers[id], 1, "stream %d has been answered twice", id)
}

func (p *serverFuzz) requireText(b []byte, want string) {
	p.t.Helper()
	var m wrapperspb.StringValue
	require.NoError(p.t, proto.Unmarshal(b, &m))
	require.Equal(p.t, want, m.Value, "message of another call")
}

// finish lets everything end, and checks the books.
func (p *serverFuzz) finish() {
	p.conn.in.set(func(q *memPipe) { q.limit = 0 })
	p.deaf = false
	synctest.Wait()
	// Handlers may be in the middle of something that only the end ends.
	for _, h := range p.handlers {
		close(h.commands)
	}
	synctest.Wait()
	for _, h := range p.handlers {
		if h.call.Err() == nil {
			h.call.cancel(context.Canceled) // it waits for that
		}
		if h.stream != nil {
			h.call.stream.queue.abort(context.Canceled)
		}
	}
	synctest.Wait()
	p.account()

	require.Zero(p.t, p.sc.calls.len(), "calls left in the table")
	require.Zero(p.t, p.sc.budget.used.Load(), "budget left")
	require.Empty(p.t, p.sc.out.turn, "the turn is taken")
	if !p.ended() && !p.broken && !p.garbled {
		p.requireAnswers()
	}
	if !p.stopped {
		client := NewClient(p.l.connect())
		var got wrapperspb.StringValue
		require.NoError(p.t, client.Call(context.Background(), "s", "Echo", wrapperspb.String("innocent"), &got))
		require.Equal(p.t, "innocent", got.Value)
		client.Close()
	}
	p.conn.Close()
	p.srv.Close()
	p.l.Close()
	synctest.Wait()
	require.Empty(p.t, p.srv.conns, "connections left")
	require.True(p.t, p.sc.removed)
	require.False(p.t, p.sc.stall != nil && p.sc.stall.Stop(), "timer left")
	require.False(p.t, p.sc.frameTimer != nil && p.sc.frameTimer.Stop(), "timer left")
	for _, h := range p.handlers {
		if d := h.call.deadline; d != nil && d.timer != nil {
			require.False(p.t, d.timer.Stop(), "timer left")
		}
		require.Error(p.t, h.call.Err(), "context left")
	}
}

// requireAnswers checks that every Request has got what it must get.
func (p *serverFuzz) requireAnswers() {
	require.Empty(p.t, p.wire, "part of a frame")
	require.Equal(p.t, p.even, p.evenSeen, "answers to frames with even ids")
	for id, answered := range p.requested {
		want := 0
		if answered {
			want = 1
		}
		require.Equal(p.t, want, p.answers[id], "answers on stream %d", id)
	}
	for _, h := range p.handlers {
		require.Equal(p.t, h.sent, p.data[h.call.id], "messages on stream %d", h.call.id)
	}
}

// FuzzServer runs programs against a server.
func FuzzServer(f *testing.F) {
	f.Add([]byte{0, 5, 8, 0, 0})                                                            // a call that is answered
	f.Add([]byte{0, 200, 0, 9, 7, 0, 0, 8, 1, 2, 8, 0, 7})                                  // two calls, one is cancelled
	f.Add([]byte{2, 2, 2, 5, 0, 0, 3, 8, 0, 10, 8, 0, 7, 8, 0, 0, 5, 0, 1, 0})              // a stream
	f.Add([]byte{2, 66, 6, 5, 0, 0, 255, 5, 0, 0, 255, 5, 0, 0, 255, 8, 0, 10})             // a stream that is overfull
	f.Add([]byte{0, 3, 12, 1, 8, 0, 0})                                                     // a deadline
	f.Add([]byte{13, 1, 2, 0, 1, 8, 0, 9, 8, 0, 9, 12, 3, 13, 0})                           // a client that reads slowly
	f.Add([]byte{13, 9, 2, 0, 1, 8, 0, 10, 14, 4, 8, 0, 1, 12, 3, 12, 3})                   // a client that does not read, and a shutdown
	f.Add([]byte{0, 1, 14, 4, 0, 1, 8, 0, 0, 8, 1, 0})                                      // shutdown
	f.Add([]byte{0, 1, 2, 2, 0, 14, 0, 8, 0, 12})                                           // the client is gone
	f.Add([]byte{0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 8, 0, 4, 8, 1, 5, 8, 2, 3, 0})   // too many calls; panic, Goexit, oversized
	f.Add([]byte{4, 2, 241, 0, 4, 0, 240, 0, 4, 0, 0, 0, 5, 250, 0, 1, 11, 5, 0, 0, 2, 65}) // refusals
	f.Add([]byte{0, 1, 8, 0, 0, 4, 0, 0, 0, 8, 1, 0, 4, 1, 0, 0})                           // an id twice
	f.Add([]byte{15, 20, 0, 0, 0, 5, 0, 0, 0, 1, 3, 0, 12, 4})                              // half a frame
	f.Fuzz(func(t *testing.T, code []byte) {
		synctest.Test(t, func(t *testing.T) {
			p := newServerFuzz(t, code)
			for range programSteps {
				if len(p.code) == 0 {
					break
				}
				p.step()
				synctest.Wait()
				p.account()
			}
			p.finish()
		})
	})
}
