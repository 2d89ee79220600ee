// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"slices"
)

// The kinds of peers, as they are called on the command line: synchronous ones,
// and asynchronous ones whose runtime has one thread or several.
const (
	oneThread   = "async-one"
	manyThreads = "async-many"
	synchronous = "sync"
)

// A testCase is run in sessions with the kinds it names, both with our client and
// with theirs, or with one of them.
type testCase struct {
	name  string
	kinds []string
	only  direction // both, if it is empty
	run   func(*session)
}

// with tells whether the case is one for a pairing.
func (c *testCase) with(p pairing) bool {
	only := c.only
	if only == byHandCalls {
		only = oursCalls
	}
	return slices.Contains(c.kinds, p.kind) && (only == "" || only == p.direction)
}

// A direction says who is the client.
type direction string

const (
	oursCalls   direction = "our client, their server"
	theirsCalls direction = "their client, our server"
	// byHandCalls is only for cases: their server is there for oursCalls.
	byHandCalls direction = "frames by hand, their server"
)

// Unary calls are made on several threads. Streams are not, because ttrpc-rust
// mixes up their messages there, see "streams on several threads".
var (
	forCalls   = []string{manyThreads, synchronous}
	forStreams = []string{oneThread}
)

// cases are all cases, in the order in which they are run.
var cases = slices.Concat(callCases, streamCases, byHandCases)

var callCases = []testCase{
	{name: "unary call", kinds: forCalls, run: func(s *session) {
		s.do("echo hello", `"hello"`)
		s.wire("> Request, < Response")
	}},
	{name: "unary call, empty messages", kinds: forCalls, run: func(s *session) {
		s.do("echo", `""`)
		if s.direction == oursCalls {
			s.because("ttrpc-rust sends an empty status with success")
			s.wire("> Request, < Response")
		} else {
			s.wire("> Request, < Response empty")
		}
	}},
	{name: "concurrent unary calls", kinds: forCalls, run: concurrentCalls},
	{name: "metadata of a call", kinds: forCalls, run: func(s *session) {
		s.do("see md=b:1 md=a:x md=b:2", "a=x b=1 b=2 no deadline")
		s.do("see md=Mixed:Case md=empty:", "empty= mixed=Case no deadline")
		s.do("see", "no deadline")
	}},
	{name: "deadline of a call", kinds: forCalls, run: func(s *session) {
		s.do("see timeout=60000", "deadline")
	}},
	{name: "error", kinds: forCalls, run: func(s *session) {
		s.do("fail 5:gone", `status 5 "gone"`)
		s.wire("> Request, < Response status 5")
	}},
	{name: "error with a detail", kinds: forCalls, run: func(s *session) {
		s.do("fail 5:gone:why", `status 5 "gone" type.googleapis.com/ttrpc.integration.rust.Item: "why"`)
	}},
	{name: "error without a status", kinds: forCalls, run: func(s *session) {
		if s.direction == oursCalls {
			s.because("ttrpc-rust sends its error as it is written for debugging")
			s.do("fail -1:plain", `status 2 "Others(\"plain\")"`)
		} else {
			s.do("fail -1:plain", `status 2 "plain"`)
		}
	}},
	{name: "error with a code that gRPC has not", kinds: forCalls, run: func(s *session) {
		if s.direction == oursCalls {
			s.do("fail 99:odd", `status 99 "odd"`)
		} else {
			s.because("ttrpc-rust takes codes that it does not know for success")
			s.do("fail 99:odd", `""`)
			s.wire("> Request, < Response status 99")
		}
	}},
	{name: "unknown service", kinds: forCalls, run: func(s *session) {
		switch {
		case s.direction == theirsCalls:
			s.do("request nobody/Echo", `status 12 "service nobody"`)
		case s.kind == synchronous:
			s.because("ttrpc-rust answers InvalidArgument")
			s.do("request nobody/Echo", `status 3 "/nobody/Echo does not exist"`)
		default:
			s.because("ttrpc-rust answers InvalidArgument")
			s.do("request nobody/Echo", `status 3 "nobody service does not exist"`)
		}
	}},
	{name: "unknown method", kinds: forCalls, run: func(s *session) {
		switch {
		case s.direction == theirsCalls:
			s.do("request "+callsName+"/Nothing", `status 12 "method Nothing"`)
		case s.kind == synchronous:
			s.because("the synchronous server of ttrpc-rust answers InvalidArgument")
			s.do("request "+callsName+"/Nothing", `status 3 "/`+callsName+`/Nothing does not exist"`)
		default:
			s.do("request "+callsName+"/Nothing", `status 12 "Nothing method"`)
		}
	}},
	{name: "largest request", kinds: forCalls, run: func(s *session) {
		s.do("send 4194258", "4194258 bytes") // in a Request of 4 MiB
	}},
	{name: "request above 4 MiB", kinds: forCalls, run: func(s *session) {
		if s.direction == oursCalls {
			s.begins("send 4194259", "status 8 ")
		} else {
			s.because("ttrpc-rust refuses to send it, without a status")
			s.begins("send 4194259", "error Others(")
		}
		s.wire("")
	}},
	{name: "largest reply", kinds: forCalls, run: func(s *session) {
		if s.direction == oursCalls {
			s.do("fill 4194292", "4194292 bytes") // in a Response of 4 MiB, with an empty status
		} else {
			s.do("fill 4194294", "4194294 bytes") // in a Response of 4 MiB
		}
	}},
	{name: "reply above 4 MiB, with a call in flight", kinds: forCalls, run: func(s *session) {
		s.do("start w wait "+s.unique, "started")
		s.do("started "+s.unique, quoted(s.unique))
		if s.direction == oursCalls {
			s.because("ttrpc-rust answers InvalidArgument")
			s.begins("fill 4194295", "status 3 ")
		} else {
			s.do("fill 4194295", `status 8 "message length 4194305 exceed maximum message size of 4194304"`)
		}
		s.do("release "+s.unique, quoted(s.unique))
		s.do("finish w", quoted(s.unique))
	}},
	{name: "deadline that passes at the client", kinds: forCalls, run: timeoutAtClient},
	{name: "deadline that passes at the server", kinds: forCalls, only: oursCalls, run: timeoutAtServer},
	{name: "cancel of a call", kinds: forCalls, only: oursCalls, run: func(s *session) {
		s.because("ttrpc-rust ignores Cancel")
		s.do("start w wait "+s.unique, "started")
		s.do("started "+s.unique, quoted(s.unique))
		s.do("abort w", "error context canceled")
		s.await("> Cancel empty")
		s.do("release "+s.unique, quoted(s.unique))
		s.do("ended "+s.unique, `"released"`)
	}},
	{name: "cancel of a call", kinds: []string{manyThreads}, only: theirsCalls, run: func(s *session) {
		s.because("ttrpc-rust does not tell the server; it ignores the answer")
		s.do("start w wait "+s.unique, "started")
		s.do("started "+s.unique, quoted(s.unique))
		s.do("abort w", "aborted")
		s.alive()
		s.do("release "+s.unique, quoted(s.unique))
		s.do("ended "+s.unique, `"released"`)
	}},
	{name: "connection lost in a call", kinds: forCalls, run: connectionLost},
	{name: "stream at a server that has none", kinds: []string{synchronous}, only: oursCalls, run: func(s *session) {
		s.begins("split a", "status 3 ")
	}},
}

// concurrentCalls goes on until a Request has come out of order, if the client
// sends them so.
func concurrentCalls(s *session) {
	const rounds = 50
	outOfOrder := 0
	for range rounds {
		s.do("many 16x50", "800 answered")
		frames, _ := s.tap.seen()
		outOfOrder = 0
		highest := uint32(0)
		for _, f := range frames {
			if f.kind != kindRequest {
				continue
			}
			if f.id < highest {
				outOfOrder++
			}
			highest = max(highest, f.id)
		}
		if s.direction == oursCalls || s.kind == synchronous || outOfOrder > 0 {
			break
		}
	}
	s.detail = fmt.Sprintf("%d ids out of order", outOfOrder)
	switch {
	case s.direction == oursCalls && outOfOrder > 0:
		s.fail("%s", s.detail)
	case s.direction == theirsCalls && s.kind == manyThreads:
		s.because("ids come out of order")
		if outOfOrder == 0 {
			s.fail("no id came out of order in %d rounds: the case shows nothing", rounds)
		}
	}
}

// timeoutAtClient holds the server's answer back, so that the client has to do
// without.
func timeoutAtClient(s *session) {
	s.tap.hold()
	s.do("start w wait "+s.unique+" timeout=300", "started")
	if s.direction == oursCalls {
		s.do("finish w", "error context deadline exceeded")
		s.await("> Cancel 0x08 empty")
	} else {
		s.because("ttrpc-rust does not tell the server, and reports no status")
		s.begins("finish w", "error Others(")
	}
	s.tap.release()
	s.alive()
	switch {
	case s.direction == theirsCalls:
		s.do("ended "+s.unique, `"context deadline exceeded"`)
	case s.kind == synchronous:
		s.because("the synchronous server of ttrpc-rust lets the handler run on")
		s.do("release "+s.unique, quoted(s.unique))
		s.do("ended "+s.unique, `"released"`)
	default:
		s.do("ended "+s.unique, `"dropped"`)
	}
}

// timeoutAtServer shows what the server answers.
func timeoutAtServer(s *session) {
	s.do("start w wait "+s.unique+" server-timeout=300", "started")
	if s.kind == synchronous {
		s.because("the synchronous server of ttrpc-rust keeps no deadline")
		s.do("started "+s.unique, quoted(s.unique))
		s.do("release "+s.unique, quoted(s.unique))
		s.do("finish w", quoted(s.unique))
		return
	}
	s.do("finish w", `status 4 "timeout"`)
	s.do("ended "+s.unique, `"dropped"`)
}

// connectionLost ends the connection while the handler runs.
func connectionLost(s *session) {
	s.do("start w wait "+s.unique, "started")
	s.do("started "+s.unique, quoted(s.unique))
	s.tap.cut()
	if s.direction == oursCalls {
		s.do("finish w", "error ttrpc: closed")
	} else {
		s.begins("finish w", "error ")
	}
	s.connect()
	if s.direction == theirsCalls {
		s.do("ended "+s.unique, `"context canceled"`)
		return
	}
	if s.kind != synchronous {
		s.do("ended "+s.unique, `"dropped"`)
		return
	}
	s.because("the synchronous server of ttrpc-rust lets the handler run on")
	s.do("release "+s.unique, quoted(s.unique))
	s.do("ended "+s.unique, `"released"`)
}
