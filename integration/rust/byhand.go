// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/containerd/ttrpc"
	"github.com/containerd/ttrpc/integration/rust/calls"
	"google.golang.org/protobuf/proto"
)

// Names as they go over the wire.
const (
	callsName   = "ttrpc.integration.rust.Calls"
	streamsName = "ttrpc.integration.rust.Streams"
)

// byHand is a client that writes frames one by one.
type byHand struct {
	s    *session
	conn *net.UnixConn
}

// byHand connects such a client.
func (s *session) byHand() *byHand {
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: s.socket, Net: "unix"})
	if err != nil {
		s.fail("%w", err)
		return &byHand{s: s}
	}
	deadline, _ := s.ctx.Deadline()
	if err := conn.SetDeadline(deadline); err != nil {
		s.fail("%w", err)
	}
	return &byHand{s: s, conn: conn}
}

// close ends the connection.
func (h *byHand) close() {
	if h.conn == nil {
		return
	}
	if err := h.conn.Close(); err != nil {
		h.s.fail("%w", err)
	}
}

// closeWrite ends the writing side of the connection.
func (h *byHand) closeWrite() {
	if h.s.err != nil {
		return
	}
	if err := h.conn.CloseWrite(); err != nil {
		h.s.fail("%w", err)
	}
}

// wantEnd reads the end of the connection.
func (h *byHand) wantEnd() {
	if h.s.err != nil {
		return
	}
	if f, err := readFrame(h.conn); !errors.Is(err, io.EOF) {
		h.s.fail("got %v %v, want the end of the connection", f, err)
	}
}

// send writes a frame.
func (h *byHand) send(id uint32, kind, flags byte, payload []byte) {
	if h.s.err != nil {
		return
	}
	f := &frame{id: id, kind: kind, flags: flags, payload: payload}
	if err := f.write(h.conn); err != nil {
		h.s.fail("writing %s: %w", f, err)
	}
}

// request writes a Request.
func (h *byHand) request(id uint32, flags byte, service, method, text string) {
	h.send(id, kindRequest, flags, encode(&ttrpc.Request{Service: service, Method: method, Payload: item(text)}))
}

// want reads a frame, which must be that.
func (h *byHand) want(id uint32, written, text string) {
	if h.s.err != nil {
		return
	}
	f, err := readFrame(h.conn)
	if err != nil {
		h.s.fail("waiting for %s: %w", written, err)
		return
	}
	f.fromServer = true
	payload := f.payload
	if f.kind == kindResponse {
		response := new(ttrpc.Response)
		if err := proto.Unmarshal(payload, response); err != nil {
			h.s.fail("%s: %w", f, err)
		}
		payload = response.GetPayload()
	}
	got := new(calls.Item)
	if err := proto.Unmarshal(payload, got); err != nil {
		h.s.fail("%s: %w", f, err)
	}
	if f.id != id || f.String() != written || got.GetText() != text {
		h.s.fail("got %d %s %q, want %d %s %q", f.id, f, got.GetText(), id, written, text)
	}
}

// echo makes a call, of which the answer must be the next frame.
func (h *byHand) echo(id uint32) {
	text := fmt.Sprint("call ", id)
	h.request(id, 0, callsName, "Echo", text)
	h.want(id, "< Response", text)
}

// item returns an encoded Item.
func item(text string) []byte { return encode(&calls.Item{Text: text}) }

// encode encodes a message, which cannot fail.
func encode(m proto.Message) []byte {
	encoded, err := proto.Marshal(m)
	if err != nil {
		panic(err)
	}
	return encoded
}
