// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package main

import "github.com/containerd/ttrpc"

// forAll are the kinds for frames by hand. On one thread, what is written at once is
// handled in order.
var forAll = []string{oneThread, synchronous}

// maxPayload is the most that a frame may have (PROTOCOL.md, "Limits").
const maxPayload = 4 << 20

// What PROTOCOL.md says of servers of ttrpc-rust ("Old peers", "ttrpc-rust"): we
// rely on it where we send what they do not know, and avoid some of it.
var byHandCases = []testCase{
	{name: "stream opened with 0x02, without a message", kinds: forStreams, only: byHandCalls, run: handled(func(s *session, h *byHand) {
		s.because("the handler gets an empty message first; we open such streams with 0x06")
		h.request(1, 0x02, streamsName, "Join", "")
		h.send(1, kindData, 0, item("a"))
		h.send(1, kindData, 0x05, nil)
		h.want(1, "< Response", "2:|a")
	})},
	{name: "stream opened with a message", kinds: forStreams, only: byHandCalls, run: handled(func(s *session, h *byHand) {
		s.because("the handler gets the message with 0x02, and not with 0x06; we open such streams with 0x02")
		h.request(1, 0x02, streamsName, "Join", "a")
		h.send(1, kindData, 0x05, nil)
		h.want(1, "< Response", "1:a")
		h.request(3, 0x06, streamsName, "Join", "a")
		h.send(3, kindData, 0x05, nil)
		h.want(3, "< Response", "0:")
	})},
	{name: "stream half-closed with 0x01", kinds: forStreams, only: byHandCalls, run: handled(func(s *session, h *byHand) {
		s.because("the handler gets an error in the place of the end; we half-close with 0x05")
		h.request(1, 0x06, streamsName, "Join", "")
		h.send(1, kindData, 0x01, nil)
		h.want(1, "< Response status 2", "")
	})},
	{name: "Data with an unknown flag", kinds: forStreams, only: byHandCalls, run: handled(func(s *session, h *byHand) {
		s.because("the handler gets an empty message")
		h.request(1, 0x06, streamsName, "Join", "")
		h.send(1, kindData, 0x08, nil)
		h.send(1, kindData, 0x05, nil)
		h.want(1, "< Response", "1:")
	})},
	{name: "Data without a message", kinds: forStreams, only: byHandCalls, run: handled(func(s *session, h *byHand) {
		s.because("the handler gets an empty message all the same")
		h.request(1, 0x06, streamsName, "Join", "")
		h.send(1, kindData, 0x04, nil)
		h.send(1, kindData, 0x05, nil)
		h.want(1, "< Response", "1:")
	})},
	{name: "unknown types on odd ids", kinds: forAll, only: byHandCalls, run: handled(func(s *session, h *byHand) {
		s.because("they are ignored, and the ids stay usable")
		h.send(1, kindCancel, 0, nil)
		h.send(3, 0x7f, 0xff, []byte("whatever"))
		for id := range uint32(4) {
			h.echo(2*id + 1)
		}
	})},
	{name: "frames on even ids", kinds: forAll, only: byHandCalls, run: handled(func(s *session, h *byHand) {
		if s.kind == synchronous {
			s.because("unknown types are ignored, and Requests served")
			h.send(0, 0, 0, nil)
			h.echo(2)
			return
		}
		h.send(0, 0, 0, nil)
		h.want(0, "< Response status 3", "")
		h.request(2, 0, callsName, "Echo", "a")
		h.want(2, "< Response status 3", "")
	})},
	{name: "id used before", kinds: forAll, only: byHandCalls, run: handled(func(s *session, h *byHand) {
		s.because("it is served again")
		h.echo(3)
		h.echo(3)
		h.echo(1)
	})},
	{name: "Data on the id of a call in flight", kinds: forAll, only: byHandCalls, run: handled(func(s *session, h *byHand) {
		h.request(1, 0, callsName, "Wait", s.unique)
		s.do("started "+s.unique, quoted(s.unique))
		h.send(1, kindData, 0, item("a"))
		if s.kind == synchronous {
			s.because("it is ignored")
		} else {
			s.because("it is refused, and the call goes on")
			h.want(1, "< Response status 3", "")
		}
		s.do("release "+s.unique, quoted(s.unique))
		h.want(1, "< Response", s.unique)
	})},
	{name: "frame above 4 MiB", kinds: forAll, only: byHandCalls, run: handled(func(s *session, h *byHand) {
		s.because("it is refused with InvalidArgument, and the id stays usable")
		h.send(1, kindRequest, 0, make([]byte, maxPayload+1))
		h.want(1, "< Response status 3", "")
		h.echo(1)
	})},
	{name: "Request that does not decode", kinds: forAll, only: byHandCalls, run: handled(func(_ *session, h *byHand) {
		h.send(1, kindRequest, 0, []byte{0xff})
		h.want(1, "< Response status 3", "")
		h.echo(3)
	})},
	{name: "message that does not decode", kinds: forAll, only: byHandCalls, run: handled(func(s *session, h *byHand) {
		h.send(1, kindRequest, 0, encode(&ttrpc.Request{Service: callsName, Method: "Echo", Payload: []byte{0xff}}))
		if s.kind == synchronous {
			s.because("it is not answered, and neither is anything that follows on the connection")
			h.request(3, 0, callsName, "Echo", "a")
			h.closeWrite()
			h.wantEnd()
			return
		}
		h.want(1, "< Response status 2", "")
		h.echo(3)
	})},
	{name: "connection half-closed with a call in flight", kinds: forAll, only: byHandCalls, run: handled(func(s *session, h *byHand) {
		h.request(1, 0, callsName, "Wait", s.unique)
		s.do("started "+s.unique, quoted(s.unique))
		h.closeWrite()
		if s.kind == synchronous {
			s.because("the call is answered")
			s.do("release "+s.unique, quoted(s.unique))
			h.want(1, "< Response", s.unique)
		} else {
			s.because("the handler is dropped, and the connection closed")
		}
		h.wantEnd()
	})},
}

// handled runs a case with a client whose frames are written by hand.
func handled(run func(*session, *byHand)) func(*session) {
	return func(s *session) {
		h := s.byHand()
		defer h.close()
		run(s, h)
	}
}
