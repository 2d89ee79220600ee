// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package ttrpc

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// heldLimit is the bound of the tests below, in place of 1 GiB.
const heldLimit = 1000

// heldDeadline is that of the calls that have one.
const heldDeadline = time.Second

// heldPeer is a client that sends requests of a given size.
type heldPeer struct {
	t    *testing.T
	conn *memConn
	last uint32 // stream id
}

// send sends a request whose frame has a payload of size bytes, and returns its
// id.
func (p *heldPeer) send(method string, size int, timeout time.Duration) uint32 {
	p.t.Helper()
	r := &Request{Service: "service", Method: method, TimeoutNano: int64(timeout), Payload: make([]byte, size)}
	for proto.Size(r) > size {
		r.Payload = r.Payload[1:]
	}
	b, err := proto.Marshal(r)
	require.NoError(p.t, err)
	require.Len(p.t, b, size)
	p.last += 2
	id := p.last - 1
	_, err = p.conn.Write(frameOf(id, frameRequest, flagRemoteClosed, b))
	require.NoError(p.t, err)
	return id
}

// wantStatus reads the answer to the call id, which must have this status.
func (p *heldPeer) wantStatus(id uint32, code codes.Code, message string) {
	p.t.Helper()
	f, err := readFrame(p.conn)
	require.NoError(p.t, err)
	require.Equal(p.t, id, f.streamID)
	require.Equal(p.t, frameResponse, f.typ)
	var r Response
	require.NoError(p.t, proto.Unmarshal(f.payload, &r))
	require.Equal(p.t, code, codes.Code(r.GetStatus().GetCode()), "status of request %d: %v", id, r.GetStatus())
	require.Equal(p.t, message, r.GetStatus().GetMessage())
}

// wantServed makes a call whose request has size bytes.
func (p *heldPeer) wantServed(size int) {
	p.t.Helper()
	p.wantStatus(p.send("Answer", size, 0), codes.OK, "")
}

// wantRefused makes one that does not fit.
func (p *heldPeer) wantRefused(size int) {
	p.t.Helper()
	p.wantStatus(p.send("Answer", size, 0), codes.ResourceExhausted,
		fmt.Sprintf("too many bytes of requests on this connection: limit %d", heldLimit))
}

// wantEnd reads what a handler of the stream id gives that returns nil.
func (p *heldPeer) wantEnd(id uint32) {
	p.t.Helper()
	f, err := readFrame(p.conn)
	require.NoError(p.t, err)
	require.Equal(p.t, frameHeader{streamID: id, typ: frameData, flags: flagRemoteClosed | flagNoData}, f.frameHeader)
}

// The requests of one connection are kept until their handlers return, whatever
// becomes of the calls, and are bounded together. What does not fit is refused;
// what does is served meanwhile, and so are other connections.
func TestHeldRequestsAreBounded(t *testing.T) {
	for _, kind := range []struct {
		name   string
		method string
	}{
		{"unary", "Hold"},
		{"stream", "HoldStream"},
	} {
		for _, end := range []struct {
			name     string
			timeout  time.Duration
			giveUp   func(p *heldPeer, id uint32)
			answered bool // by what the handler returns
		}{
			{"returns", 0, func(*heldPeer, uint32) {}, true},
			{"is cancelled", 0, func(p *heldPeer, id uint32) {
				_, err := p.conn.Write(frameOf(id, frameCancel, 0, nil))
				require.NoError(p.t, err)
			}, false},
			{"passes its deadline", heldDeadline, func(p *heldPeer, id uint32) {
				p.wantStatus(id, codes.DeadlineExceeded, "context deadline exceeded")
			}, false},
		} {
			t.Run(kind.name+" "+end.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					leave, over := make(chan struct{}), make(chan struct{})
					t.Cleanup(func() { close(over) })
					hold := func() {
						select {
						case <-leave:
						case <-over:
						}
					}
					srv, err := NewServer()
					require.NoError(t, err)
					srv.config.maxHeldRequests = heldLimit
					srv.RegisterService("service", &ServiceDesc{
						Methods: map[string]Method{
							"Hold": func(context.Context, func(any) error) (any, error) {
								hold()
								return &wrapperspb.StringValue{}, nil
							},
							"Other": func(context.Context, func(any) error) (any, error) {
								<-over
								return &wrapperspb.StringValue{}, nil
							},
							"Answer": func(context.Context, func(any) error) (any, error) {
								return &wrapperspb.StringValue{}, nil
							},
						},
						Streams: map[string]Stream{"HoldStream": {StreamingServer: true, Handler: func(context.Context, StreamServer) (any, error) {
							hold()
							return nil, nil
						}}},
					})
					l := startTestServer(t, srv)
					p := &heldPeer{t: t, conn: l.connect()}

					p.wantRefused(heldLimit + 1)
					p.wantServed(heldLimit) // they are together more than the limit,
					p.wantServed(heldLimit) // but not held at the same time

					p.send("Other", 300, 0)
					held := p.send(kind.method, 600, end.timeout)
					for range 3 { // what is refused is not held
						p.wantRefused(101)
						p.wantServed(100)
					}
					end.giveUp(p, held)
					p.wantRefused(101)
					p.wantServed(100)
					(&heldPeer{t: t, conn: l.connect()}).wantServed(heldLimit)

					leave <- struct{}{}
					switch {
					case end.answered && kind.name == "unary":
						p.wantStatus(held, codes.OK, "")
					case end.answered:
						p.wantEnd(held)
					}
					synctest.Wait()
					p.wantRefused(701)
					p.wantServed(700)
				})
			})
		}
	}
}

// Metadata takes more memory than bytes on the wire, and counts accordingly.
func TestMetadataIsHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, err := NewServer()
		require.NoError(t, err)
		srv.config.maxHeldRequests = heldLimit
		srv.Register("service", map[string]Method{
			"Answer": func(context.Context, func(any) error) (any, error) { return &wrapperspb.StringValue{}, nil },
		})
		p := &heldPeer{t: t, conn: startTestServer(t, srv).connect()}
		send := func(values int) uint32 {
			b, err := proto.Marshal(&Request{Service: "service", Method: "Answer", Metadata: MD{"k": make([]string, values)}.keyValues()})
			require.NoError(t, err)
			require.Less(t, len(b), heldLimit/5)
			p.last += 2
			_, err = p.conn.Write(frameOf(p.last-1, frameRequest, 0, b))
			require.NoError(t, err)
			return p.last - 1
		}
		p.wantStatus(send(6), codes.OK, "")
		p.wantStatus(send(heldLimit/metadataOverhead+1), codes.ResourceExhausted,
			fmt.Sprintf("too many bytes of requests on this connection: limit %d", heldLimit))
	})
}
