// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package ttrpc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// madeCall is a unary call that a clientFuzz has made.
type madeCall struct {
	text   string // what is sent, and what the answer must be
	cancel context.CancelFunc
	id     uint32 // once the Request has been seen
	result error
	got    string
	ended  atomic.Bool

	decided bool  // something has happened that decides the result
	want    error // which, unless lax, this one is
	lax     bool
}

// openStream is a stream that a clientFuzz has opened, and the goroutine that
// uses it.
type openStream struct {
	cancel   context.CancelFunc
	stream   ClientStream
	commands chan int
	failed   error // of NewStream
	sent     int
	received int // number of the last message
	end      error
	id       uint32
}

// Commands of an openStream.
const (
	streamSend = iota
	streamSendMany
	streamReceive
	streamReceiveAll
	streamClose
	streamCommands
)

// clientFuzz runs a program of calls and of a server's frames against a Client,
// and keeps account of what must come of them.
type clientFuzz struct {
	t      *testing.T
	code   program
	client *Client
	conn   *memConn // the server's end
	closes atomic.Int32

	calls   []*madeCall
	streams []*openStream

	wire       []byte
	deaf       bool
	lastID     uint32            // of the Requests seen
	texts      map[uint32]string // what the Request of that id said
	pushed     map[uint32]int    // messages sent to the stream of that id
	cancelled  map[uint32]bool
	halfClosed map[uint32]bool
	garbled    bool // the client may have seen anything
	broken     bool // the connection has been closed by the program
}

func newClientFuzz(t *testing.T, code []byte) *clientFuzz {
	near, far := memConns()
	p := &clientFuzz{
		t: t, code: code, conn: far,
		texts: map[uint32]string{}, pushed: map[uint32]int{},
		cancelled: map[uint32]bool{}, halfClosed: map[uint32]bool{},
	}
	p.client = NewClient(near, WithOnClose(func() { p.closes.Add(1) }),
		WithClientReceiveBudget(300, 700), WithClientLogger(nowhere{}))
	return p
}

// context returns one of the kinds of contexts that a caller may have.
func (p *clientFuzz) context(kind int) (context.Context, context.CancelFunc) {
	ctx := context.Background()
	switch kind % 4 {
	case 0:
		return ctx, nil
	case 1:
		return context.WithCancel(ctx)
	case 2:
		return context.WithTimeout(ctx, 5*time.Millisecond)
	}
	return context.WithTimeout(WithMetadata(ctx, MD{"k": {"v"}}), time.Minute)
}

func (p *clientFuzz) call(kind int) {
	ctx, cancel := p.context(kind)
	c := &madeCall{text: fmt.Sprintf("c%d%s", len(p.calls), strings.Repeat(".", kind*kind/20)), cancel: cancel}
	p.calls = append(p.calls, c)
	go func() {
		var got wrapperspb.StringValue
		err := p.client.Call(ctx, "s", "Call", wrapperspb.String(c.text), &got)
		c.result, c.got = err, got.Value
		if c.ended.Swap(true) {
			p.t.Error("a call has returned twice")
		}
	}()
}

func (p *clientFuzz) open(kind int) {
	ctx, cancel := p.context(1 + kind/4%3)
	s := &openStream{cancel: cancel, commands: make(chan int, 64)}
	p.streams = append(p.streams, s)
	desc := &StreamDesc{StreamingClient: kind&1 != 0, StreamingServer: kind&2 != 0}
	var first any
	if !desc.StreamingClient || kind&64 != 0 {
		first = wrapperspb.String("first")
	}
	n := len(p.streams)
	go func() {
		s.stream, s.failed = p.client.NewStream(ctx, desc, "s", fmt.Sprint("stream ", n), first)
		if s.failed == nil {
			p.use(s)
		}
	}()
}

// use is the goroutine of a stream.
func (p *clientFuzz) use(s *openStream) {
	s.id = s.stream.(*clientStream).id
	for command := range s.commands {
		switch command {
		case streamSend:
			p.send(s, 1)
		case streamSendMany:
			p.send(s, 20)
		case streamReceive:
			p.receive(s)
		case streamReceiveAll:
			for s.end == nil {
				p.receive(s)
			}
		case streamClose:
			s.stream.CloseSend()
		}
	}
}

func (p *clientFuzz) send(s *openStream, n int) {
	for range n {
		if s.stream.SendMsg(wrapperspb.String(fmt.Sprintf("s%d:%d", s.id, s.sent))) == nil {
			s.sent++
		}
	}
}

// receive takes a message: it is for this stream, and in order. After the end
// there is only the end.
func (p *clientFuzz) receive(s *openStream) {
	var m wrapperspb.StringValue
	err := s.stream.RecvMsg(&m)
	if s.end != nil {
		require.Equal(p.t, s.end, err, "after the end")
	}
	if err != nil {
		// A message that cannot be decoded is not the end.
		if end := s.stream.(*clientStream).queue.ended(); (end != nil && errors.Is(err, end)) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
			s.end = err
		}
		return
	}
	if p.garbled {
		return
	}
	var id uint32
	var k int
	if _, err := fmt.Sscanf(m.Value, "m%d:%d", &id, &k); err == nil {
		require.Equal(p.t, s.id, id, "message of another stream")
		require.Greater(p.t, k, s.received, "message out of order")
		s.received = k
	}
}

// account reads what the client has written so far, and checks it.
func (p *clientFuzz) account() {
	if p.deaf || p.broken {
		return
	}
	p.wire = append(p.wire, p.conn.in.take()...)
	var frames []parsedFrame
	frames, p.wire = parseFrames(p.wire)
	for _, f := range frames {
		id := f.streamID
		_, opened := p.texts[id]
		switch f.typ {
		case frameRequest:
			require.False(p.t, opened)
			require.Equal(p.t, p.lastID+2-(p.lastID+1)%2, id, "ids count up")
			p.lastID = id
			p.accountRequest(id, f.payload)
		case frameData:
			require.True(p.t, opened, "data on an unknown stream %d", id)
			require.False(p.t, p.halfClosed[id], "data behind the half-close of stream %d", id)
			require.False(p.t, p.cancelled[id], "data behind the cancel of stream %d", id)
			p.halfClosed[id] = f.flags.has(flagRemoteClosed)
			if len(f.payload) > 0 {
				var m wrapperspb.StringValue
				require.NoError(p.t, proto.Unmarshal(f.payload, &m))
				require.True(p.t, strings.HasPrefix(m.Value, fmt.Sprintf("s%d:", id)), "%q on stream %d", m.Value, id)
			}
		case frameCancel:
			require.True(p.t, opened, "cancel of an unknown stream %d", id)
			require.False(p.t, p.cancelled[id], "stream %d is cancelled twice", id)
			require.Empty(p.t, f.payload)
			p.cancelled[id] = true
		default:
			require.FailNow(p.t, "unknown frame", "%+v", f)
		}
	}
}

func (p *clientFuzz) accountRequest(id uint32, b []byte) {
	var r Request
	require.NoError(p.t, proto.Unmarshal(b, &r))
	var m wrapperspb.StringValue
	require.NoError(p.t, proto.Unmarshal(r.Payload, &m))
	p.texts[id] = r.Method
	if r.Method != "Call" {
		return
	}
	p.texts[id] = m.Value
	for _, c := range p.calls {
		if c.text == m.Value && c.id == 0 {
			c.id = id
			return
		}
	}
	require.FailNow(p.t, "request of nobody", "%q", m.Value)
}

// decide notes what the first event that concerns a call makes of it. A server
// may guess the id of a Request that it has not read; it is then not known whose
// that is.
func (p *clientFuzz) decide(id uint32, want error, lax bool) {
	_, seen := p.texts[id]
	for _, c := range p.calls {
		switch {
		case c.decided || c.ended.Load():
		case seen && c.id == id:
			c.decided, c.want, c.lax = true, want, lax
		case !seen && c.id == 0:
			c.decided, c.lax = true, true
		}
	}
}

// write sends a frame of the server's.
func (p *clientFuzz) write(id uint32, typ frameType, flags frameFlags, payload []byte) {
	if !p.garbled && !p.broken {
		p.conn.Write(frameOf(id, typ, flags, payload))
	}
}

// anyID returns an id that is, mostly, one that a Request had.
func (p *clientFuzz) anyID() uint32 {
	b := p.code.next()
	if b >= 240 || p.lastID == 0 {
		return uint32(b % 16)
	}
	return uint32(b)%((p.lastID+1)/2)*2 + 1
}

// respond sends a Response.
func (p *clientFuzz) respond(id uint32, r *Response) {
	b, err := proto.Marshal(r)
	require.NoError(p.t, err)
	p.write(id, frameResponse, frameFlags(0), b)
}

func (p *clientFuzz) message(id uint32, size int) []byte {
	p.pushed[id]++
	b, err := proto.Marshal(wrapperspb.String(fmt.Sprintf("m%d:%d%s", id, p.pushed[id], strings.Repeat(".", size))))
	require.NoError(p.t, err)
	return b
}

// step runs one operation of the program.
func (p *clientFuzz) step() {
	switch p.code.next() % 16 {
	case 0, 1:
		p.call(p.code.next())
	case 2:
		p.open(p.code.next())
	case 3, 4, 5:
		if len(p.streams) > 0 {
			s := p.streams[p.code.next()%len(p.streams)]
			select {
			case s.commands <- p.code.next() % streamCommands:
			default:
			}
		}
	case 6: // the answer
		id := p.anyID()
		payload, err := proto.Marshal(wrapperspb.String(p.texts[id]))
		require.NoError(p.t, err)
		p.decide(id, nil, p.garbled)
		p.respond(id, &Response{Payload: payload})
	case 7:
		id := p.anyID()
		st := &spb.Status{Code: int32(1 + p.code.next()%16), Message: fmt.Sprint("status of ", id)}
		p.decide(id, status.ErrorProto(st), p.garbled)
		p.respond(id, &Response{Status: st})
	case 8, 9:
		id := p.anyID()
		p.decide(id, ErrProtocol, p.garbled)
		flags := frameFlags(p.code.next())
		var payload []byte
		if b := p.code.next(); b&1 != 0 {
			payload = p.message(id, b/2)
		}
		p.write(id, frameData, flags, payload)
	case 10: // a frame of any kind
		id := p.anyID()
		p.decide(id, nil, true)
		p.write(id, frameType(p.code.next()), frameFlags(p.code.next()), p.code.take(p.code.next()%32))
	case 11:
		p.cancel(p.code.next())
	case 12:
		<-time.After(pauses[p.code.next()%len(pauses)])
	case 13: // the server reads slowly, or not at all
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

// cancel ends the context of a call or a stream.
func (p *clientFuzz) cancel(b int) {
	n := len(p.calls) + len(p.streams)
	if n == 0 {
		return
	}
	if b %= n; b >= len(p.calls) {
		p.streams[b-len(p.calls)].cancel()
		return
	}
	c := p.calls[b]
	if c.cancel == nil {
		return
	}
	if !c.decided && !c.ended.Load() {
		c.decided, c.want = true, context.Canceled
	}
	c.cancel()
}

// disturb ends the connection.
func (p *clientFuzz) disturb(b int) {
	switch b % 32 {
	case 0:
		p.conn.Close()
	case 1:
		p.conn.closeWrite(errInjected)
	case 2:
		p.client.Close()
	case 3:
		p.conn.closeWrite(io.EOF)
	case 4: // the client's writes fail, its reads do not
		p.conn.in.set(func(q *memPipe) { q.gone = true })
	default:
		return
	}
	p.broken = true
	for _, c := range p.calls {
		if !c.decided && !c.ended.Load() {
			c.decided, c.want = true, ErrClosed
			c.lax = b%32 == 4 // what is left to read is read for a while
		}
	}
}

// requireResult checks how a call has ended.
func (p *clientFuzz) requireResult(c *madeCall) {
	require.True(p.t, c.ended.Load(), "a call has not returned")
	if c.result == nil && !p.garbled && !c.lax {
		require.Equal(p.t, c.text, c.got, "answer of another call")
	}
	switch {
	case c.decided && !c.lax && !p.garbled:
		switch {
		case errors.Is(c.want, ErrProtocol):
			require.ErrorIs(p.t, c.result, ErrProtocol)
		case c.want == nil:
			require.NoError(p.t, c.result)
		case status.Code(c.want) != codes.Unknown:
			require.Equal(p.t, status.Code(c.want), status.Code(c.result), "%v", c.result)
		default:
			require.Equal(p.t, c.want, c.result)
		}
	case !c.decided && !p.garbled: // by its deadline, or by the end
		require.Contains(p.t, []error{ErrClosed, context.DeadlineExceeded}, c.result)
	}
}

// finish ends the connection, and checks the books.
func (p *clientFuzz) finish() {
	p.conn.in.set(func(q *memPipe) { q.limit = 0 })
	p.deaf = false
	synctest.Wait()
	p.account()
	p.client.Close()
	synctest.Wait()
	require.Zero(p.t, p.client.budget.used.Load(), "budget of streams that have ended")
	for _, c := range p.calls {
		p.requireResult(c)
		if c.cancel != nil {
			c.cancel()
		}
	}
	for _, s := range p.streams {
		close(s.commands)
	}
	synctest.Wait()
	for _, s := range p.streams {
		if s.failed == nil {
			// What is left is delivered, and then the end, for ever.
			for s.end == nil {
				p.receive(s)
			}
			p.receive(s)
			require.Error(p.t, s.stream.SendMsg(wrapperspb.String("late")))
		}
		s.cancel()
	}
	synctest.Wait()
	require.Zero(p.t, p.client.pending.len())
	require.Zero(p.t, p.client.budget.used.Load(), "budget")
	require.Empty(p.t, p.client.out.turn, "the turn is taken")
	require.Equal(p.t, int32(1), p.closes.Load(), "calls of OnClose")
	require.NoError(p.t, p.client.UserOnCloseWait(context.Background()))
	require.False(p.t, p.client.grace != nil && p.client.grace.Stop(), "timer left")
	require.False(p.t, p.client.frameTimer != nil && p.client.frameTimer.Stop(), "timer left")
	require.Equal(p.t, ErrClosed, p.client.Call(context.Background(), "s", "Call", wrapperspb.String(""), &wrapperspb.StringValue{}))
}

// FuzzClient runs programs against a client.
func FuzzClient(f *testing.F) {
	f.Add([]byte{0, 0, 6, 0})                                                   // a call that is answered
	f.Add([]byte{0, 200, 0, 9, 6, 1, 7, 0, 3})                                  // two, one with an error
	f.Add([]byte{0, 1, 11, 0, 6, 0, 0, 0, 6, 1})                                // a call that is cancelled, and answered late
	f.Add([]byte{2, 3, 3, 0, 0, 3, 0, 2, 8, 0, 0, 3, 3, 0, 4, 8, 0, 5, 0})      // a stream
	f.Add([]byte{2, 2, 8, 0, 0, 255, 8, 0, 0, 255, 8, 0, 0, 255, 3, 0, 3})      // a stream that is overfull
	f.Add([]byte{2, 2, 8, 0, 0, 255, 8, 0, 5, 0})                               // a stream that nobody reads
	f.Add([]byte{2, 1, 3, 0, 4, 3, 0, 0, 3, 0, 4})                              // sends behind the half-close
	f.Add([]byte{0, 2, 0, 3, 12, 1, 12, 4, 2, 11, 12, 4})                       // deadlines
	f.Add([]byte{13, 1, 0, 0, 2, 1, 3, 0, 1, 11, 1, 13, 0, 6, 0})               // a server that reads slowly
	f.Add([]byte{13, 9, 0, 1, 2, 1, 3, 0, 1, 11, 0, 14, 2})                     // one that does not read
	f.Add([]byte{0, 0, 2, 3, 14, 0, 0, 0})                                      // the server is gone
	f.Add([]byte{0, 0, 14, 4, 0, 0, 12, 3, 6, 0})                               // writes fail
	f.Add([]byte{0, 0, 14, 4, 0, 0})                                            // and the client is closed soon after
	f.Add([]byte{0, 0, 8, 0, 0, 1, 2, 1, 10, 1, 1, 0, 0, 10, 250, 2, 3, 1, 65}) // frames that make no sense
	f.Add([]byte{15, 20, 0, 0, 0, 5, 0, 0, 0, 1, 3, 0, 12, 4})                  // half a frame
	f.Fuzz(func(t *testing.T, code []byte) {
		synctest.Test(t, func(t *testing.T) {
			p := newClientFuzz(t, code)
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
