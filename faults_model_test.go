// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package ttrpc_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"sync/atomic"
	"testing"
	"time"

	"github.com/containerd/ttrpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// The model: clients make calls of every shape on a server, over connections on
// which things go wrong, and hold what they get against what they must get.
//
// Every message says whose it is: the client, the number of its call, the number
// of the message in that, and whether it is a question or an answer; a checksum
// stands at its end. The oracle, which is modelCaller.judge, is this:
//
//  1. Every operation returns, and never later than the context that it was
//     given ends, on the clock of a bubble to the nanosecond. If that has no end,
//     it returns because it is answered, or the connection ends: by itself, or,
//     where it has gone mute or was corrupted, because the client is closed.
//  2. Its error is of a kind that the comments of Call, NewStream, SendMsg and
//     RecvMsg list, in the form that they give it (bare, or wrapped).
//  3. On a connection that has not been corrupted, a success has all of its own
//     messages, in order, undamaged; and an error has a reason: the handler
//     returned it, the message is too large, the context has ended, more came
//     than the budget allows, or (ErrClosed, and Canceled from a handler whose
//     client seemed to be gone) something has happened to the connection.
//  4. On a corrupted connection any documented error will do, and messages may
//     be damaged, or those of another call of the same client, because the bytes
//     that tell may be the ones that were hit. But a message whose checksum is
//     right never is another client's.
//  5. What a handler gets is held against the same rules.
//
// A fault counts from the moment that it happens, not from when it is scheduled.

// modelScale is how long things take in a run: on the clock of a bubble, or on
// the wall's.
type modelScale struct {
	fake  bool
	delay time.Duration // longest delay of a connection or a handler
	short time.Duration // longest of the contexts that are to end early
	long  time.Duration // of those that are to end late
	close time.Duration // when clients are closed that might wait for ever
}

var (
	fakeScale = modelScale{true, 5 * time.Second, 10 * time.Second, 20 * time.Minute, 15 * time.Minute}
	realScale = modelScale{false, 3 * time.Millisecond, 20 * time.Millisecond, time.Minute, 300 * time.Millisecond}
)

const (
	modelService = "ttrpc.test.Model"

	modelMaxMessage = 256 << 10 // of either end
	modelMaxStream  = 64 << 10  // kept of a stream
)

// modelMessage is a message of the model, as it stands in a BytesValue.
type modelMessage struct {
	kind         byte // 'q' or 'a'
	code         byte // for the handler: what to return
	client, call uint32
	index        uint32 // of the message in its direction
	size         uint32 // for the handler: of the filler of answers
	count        uint32 // for the handler: of answers
	delay        uint32 // for the handler: before it answers, in microseconds
	fill         uint32 // size of the filler
}

const modelMessageHead = 2 + 7*4

func (m modelMessage) encode() *wrapperspb.BytesValue {
	b := make([]byte, 0, modelMessageHead+int(m.fill)+4)
	b = append(b, m.kind, m.code)
	for _, v := range []uint32{m.client, m.call, m.index, m.size, m.count, m.delay, m.fill} {
		b = binary.BigEndian.AppendUint32(b, v)
	}
	for i := range int(m.fill) {
		b = append(b, byte(int(m.call)+7*int(m.index)+i+i>>8))
	}
	return wrapperspb.Bytes(binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b)))
}

// decodeModel returns the message, and whether it is undamaged.
func decodeModel(m *wrapperspb.BytesValue) (modelMessage, bool) {
	b := m.GetValue()
	if len(b) < modelMessageHead+4 {
		return modelMessage{}, false
	}
	var v [7]uint32
	for i := range v {
		v[i] = binary.BigEndian.Uint32(b[2+4*i:])
	}
	sum := len(b) - 4
	ok := binary.BigEndian.Uint32(b[sum:]) == crc32.ChecksumIEEE(b[:sum]) && int(v[6]) == sum-modelMessageHead
	return modelMessage{b[0], b[1], v[0], v[1], v[2], v[3], v[4], v[5], v[6]}, ok
}

// answer is what a handler returns for the question m, as the message of that
// index.
func (m modelMessage) answer(index int) modelMessage {
	return modelMessage{kind: 'a', client: m.client, call: m.call, index: uint32(index), fill: m.size}
}

// modelAddr is the address of a client, by which handlers know it.
type modelAddr int

func (modelAddr) Network() string  { return "model" }
func (a modelAddr) String() string { return fmt.Sprint("client ", int(a)) }

// model is one run.
type model struct {
	t     *testing.T
	seed  uint64
	scale modelScale
	srv   *ttrpc.Server
	books *modelBooks
	peers []*modelPeer

	stopped  atomic.Bool  // the server is to stop, or has
	handlers atomic.Int32 // that run
}

// modelBooks is what all runs of a test did.
type modelBooks struct {
	faults            faultTally
	conns, calls      atomic.Int64
	messages, checked atomic.Int64
	ends              [modelEnds]atomic.Int64
}

// modelEnd is a way in which a call can end.
type modelEnd int

const (
	endAnswered modelEnd = iota // with success, or the status that was wanted
	endRefused                  // too large, too much, or not there
	endContext
	endClosed
	endCorrupted // with anything else, which only corruption explains
	modelEnds    // their number
)

func (b *modelBooks) String() string {
	n := func(end modelEnd) int64 { return b.ends[end].Load() }
	return fmt.Sprintf("%d connections, %d calls: %d answered, %d refused, %d left by their contexts, %d found the connection closed, "+
		"%d failed of corruption; %d messages sent, %d checked; %s",
		b.conns.Load(), b.calls.Load(), n(endAnswered), n(endRefused), n(endContext), n(endClosed), n(endCorrupted),
		b.messages.Load(), b.checked.Load(), &b.faults)
}

// modelPeer is one client and its connection.
type modelPeer struct {
	m      *model
	n      int
	ends   []*faultConn // those that have faults
	class  faultClass
	client *ttrpc.Client
	closed atomic.Bool // by the run
	closes atomic.Int32
}

// may reports whether faults of these classes have happened.
func (p *modelPeer) may(classes faultClass) bool {
	for _, end := range p.ends {
		if end.has(classes) {
			return true
		}
	}
	return false
}

func (p *modelPeer) corrupted() bool { return p.may(faultCorrupting) }

// mayEnd reports whether something has happened that may have ended the
// connection.
func (p *modelPeer) mayEnd() bool {
	return p.may(faultEnding|faultMuting|faultCorrupting) || p.closed.Load() || p.m.stopped.Load()
}

// errorf reports what must not be.
func (p *modelPeer) errorf(format string, args ...any) {
	p.m.t.Helper()
	p.m.t.Errorf("seed %d, client %d: %s (class %b, ended %v, closed %v, stopped %v)", p.m.seed, p.n, fmt.Sprintf(format, args...),
		p.class, p.mayEnd(), p.closed.Load(), p.m.stopped.Load())
	for _, end := range p.ends {
		p.m.t.Logf("schedule: %v", end.schedule)
	}
}

// check holds a message that this client, or a handler of its calls, has got
// against what it must be: rules 3 and 4.
func (p *modelPeer) check(got *wrapperspb.BytesValue, want modelMessage) {
	p.m.books.checked.Add(1)
	m, ok := decodeModel(got)
	switch {
	case ok && m.client != uint32(p.n):
		p.errorf("got a message of client %d", m.client)
	case p.corrupted():
	case !ok:
		p.errorf("got a damaged message, want %+v", want)
	case m != want:
		p.errorf("got %+v, want %+v", m, want)
	}
}

// newModel returns a server for the run, which has every shape of method.
func newModel(t *testing.T, seed uint64, scale modelScale, books *modelBooks, opts ...ttrpc.ServerOpt) *model {
	m := &model{t: t, seed: seed, scale: scale, books: books}
	m.srv = newServer(t, append([]ttrpc.ServerOpt{
		ttrpc.WithServerMaxMessageSize(modelMaxMessage, modelMaxMessage),
		ttrpc.WithServerReceiveBudget(modelMaxStream, 64<<20),
		ttrpc.WithServerLogger(nowhere{}),
	}, opts...)...)
	stream := func(client, server bool, f func(modelStream) (any, error)) ttrpc.Stream {
		return ttrpc.Stream{StreamingClient: client, StreamingServer: server, Handler: func(ctx context.Context, ss ttrpc.StreamServer) (any, error) {
			m.handlers.Add(1)
			defer m.handlers.Add(-1)
			return f(modelStream{m, m.peerOf(ctx), ctx, ss})
		}}
	}
	m.srv.RegisterService(modelService, &ttrpc.ServiceDesc{
		Methods: map[string]ttrpc.Method{"Answer": m.answer},
		Streams: map[string]ttrpc.Stream{
			"Count": stream(false, true, modelStream.count),
			"Sum":   stream(true, false, modelStream.sum),
			"Echo":  stream(true, true, modelStream.echo),
			"Deaf":  stream(true, true, modelStream.deaf),
		},
	})
	return m
}

// nowhere is a Logger that drops all.
type nowhere struct{}

func (nowhere) Debug(string, ...any) {}
func (nowhere) Error(string, ...any) {}

// peerOf returns the client of a handler, or nil if its connection does not say.
func (m *model) peerOf(ctx context.Context) *modelPeer {
	peer, _ := ttrpc.GetPeer(ctx)
	for _, says := range []any{peer.Addr, peer.AuthInfo} {
		if n, ok := says.(modelAddr); ok {
			return m.peers[n]
		}
	}
	return nil
}

// question checks what a handler has got: the message of that index, of the
// client that called. A message that is damaged is not answered.
func (m *model) question(peer *modelPeer, got *wrapperspb.BytesValue, index int) (modelMessage, error) {
	q, ok := decodeModel(got)
	if peer != nil {
		want := q
		want.kind, want.client, want.index = 'q', uint32(peer.n), uint32(index)
		peer.check(got, want)
	}
	if !ok {
		return q, status.Error(codes.DataLoss, "damaged")
	}
	return q, nil
}

// finish is the end of a handler: after a while it returns what q wants.
func (m *model) finish(ctx context.Context, q modelMessage, result any) (any, error) {
	if q.delay > 0 {
		timer := time.NewTimer(min(time.Duration(q.delay)*time.Microsecond, m.scale.delay))
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if q.code != 0 {
		return nil, q.status()
	}
	return result, nil
}

// status is the error that the handler is to return.
func (m modelMessage) status() error {
	return status.Errorf(codes.Code(m.code), "status of call %d of client %d", m.call, m.client)
}

// answer is a unary method.
func (m *model) answer(ctx context.Context, unmarshal func(any) error) (any, error) {
	m.handlers.Add(1)
	defer m.handlers.Add(-1)
	peer := m.peerOf(ctx)
	var req wrapperspb.BytesValue
	if err := unmarshal(&req); err != nil {
		if peer != nil && !peer.corrupted() {
			peer.errorf("unmarshal of a request: %v", err)
		}
		return nil, err
	}
	q, err := m.question(peer, &req, 0)
	if err != nil {
		return nil, err
	}
	return m.finish(ctx, q, q.answer(0).encode())
}

// modelStream is a handler's end of a stream.
type modelStream struct {
	m    *model
	peer *modelPeer // nil if it is not known
	ctx  context.Context
	ss   ttrpc.StreamServer
}

// receive receives the message of that index.
func (s modelStream) receive(index int) (modelMessage, error) {
	var req wrapperspb.BytesValue
	if err := s.ss.RecvMsg(&req); err != nil {
		if !errors.Is(err, io.EOF) {
			s.judge("RecvMsg", err)
		}
		return modelMessage{}, err
	}
	return s.m.question(s.peer, &req, index)
}

func (s modelStream) send(a modelMessage) error {
	err := s.ss.SendMsg(a.encode())
	if err != nil {
		s.judge("SendMsg", err)
		return err
	}
	s.m.books.messages.Add(1)
	return nil
}

// judge holds an error of a handler's stream against the comments of
// StreamServer. The context may end a moment later than the stream.
func (s modelStream) judge(what string, err error) {
	if s.peer == nil || s.peer.corrupted() {
		return
	}
	switch err { //nolint:errorlint // errors that are bare
	case context.Canceled, context.DeadlineExceeded:
		<-s.ctx.Done()
		if s.ctx.Err() == err { //nolint:errorlint // likewise
			return
		}
	case ttrpc.ErrStreamFull:
		if what == "RecvMsg" {
			return
		}
	case ttrpc.ErrClosed:
		if what == "SendMsg" && s.peer.mayEnd() {
			return
		}
	}
	s.peer.errorf("%s of a handler returned %v, its context: %v", what, err, s.ctx.Err())
}

// count sends as many answers as it is asked for.
func (s modelStream) count() (any, error) {
	q, err := s.receive(0)
	if err != nil {
		return nil, err
	}
	for i := range int(q.count) {
		if err := s.send(q.answer(i)); err != nil {
			return nil, err
		}
	}
	return s.m.finish(s.ctx, q, nil)
}

// sum answers the last of the messages that it receives.
func (s modelStream) sum() (any, error) {
	var last modelMessage
	for i := 0; ; i++ {
		q, err := s.receive(i)
		if errors.Is(err, io.EOF) {
			return s.m.finish(s.ctx, last, last.answer(i).encode())
		}
		if err != nil {
			return nil, err
		}
		last = q
	}
}

// echo answers every message.
func (s modelStream) echo() (any, error) {
	var last modelMessage
	for i := 0; ; i++ {
		q, err := s.receive(i)
		if errors.Is(err, io.EOF) {
			return s.m.finish(s.ctx, last, nil)
		}
		if err != nil {
			return nil, err
		}
		if err := s.send(q.answer(i)); err != nil {
			return nil, err
		}
		last = q
	}
}

// deaf receives the first message only.
func (s modelStream) deaf() (any, error) {
	q, err := s.receive(0)
	if err != nil {
		return nil, err
	}
	return s.m.finish(s.ctx, q, nil)
}
