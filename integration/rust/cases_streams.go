// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"strconv"
	"strings"
)

var streamCases = []testCase{
	{name: "stream from the client, an empty message in the middle", kinds: forStreams, run: func(s *session) {
		s.do("join a||b", `"3:a||b"`)
		s.wire("> Request 0x06, > Data, > Data empty, > Data, > Data 0x05 empty, < Response")
	}},
	{name: "stream from the client, one empty message", kinds: forStreams, run: func(s *session) {
		s.do("join", `"1:"`)
		s.wire("> Request 0x06, > Data empty, > Data 0x05 empty, < Response")
	}},
	{name: "stream from the client, no messages", kinds: forStreams, run: func(s *session) {
		s.do("join none", `"0:"`)
		s.wire("> Request 0x06, > Data 0x05 empty, < Response")
	}},
	{name: "stream from the client, error", kinds: forStreams, run: func(s *session) {
		s.do("fail-join 5:gone:why", statusGone)
		s.wire("> Request 0x06, > Data, > Data 0x05 empty, < Response status 5")
	}},
	{name: "stream from the server, an empty message in the middle", kinds: forStreams, run: func(s *session) {
		s.do("split a||b", `"a" "" "b" end`)
		s.wire("> Request 0x01, < Data, < Data empty, < Data, < Data 0x05 empty")
	}},
	{name: "stream from the server, one empty message", kinds: forStreams, run: func(s *session) {
		s.do("split", `"" end`)
		s.wire("> Request 0x01, < Data empty, < Data 0x05 empty")
	}},
	{name: "stream from the server, no messages", kinds: forStreams, run: func(s *session) {
		s.do("split none", `end`)
		s.wire("> Request 0x01, < Data 0x05 empty")
	}},
	{name: "stream from the server, error", kinds: forStreams, run: func(s *session) {
		s.do("fail-split 5:gone:why", `"gone" `+statusGone)
		s.wire("> Request 0x01, < Data, < Response status 5")
	}},
	{name: "stream in both directions, an empty message in the middle", kinds: forStreams, run: func(s *session) {
		s.do("turns a||b", `"a" "" "b" end`)
		s.wire("> Request 0x06, > Data, < Data, > Data empty, < Data empty, > Data, < Data, > Data 0x05 empty, < Data 0x05 empty")
	}},
	{name: "stream in both directions, one empty message", kinds: forStreams, run: func(s *session) {
		s.do("turns", `"" end`)
		s.wire("> Request 0x06, > Data empty, < Data empty, > Data 0x05 empty, < Data 0x05 empty")
	}},
	{name: "stream in both directions, no messages", kinds: forStreams, run: func(s *session) {
		s.do("turns none", `end`)
		s.wire("> Request 0x06, > Data 0x05 empty, < Data 0x05 empty")
	}},
	{name: "stream in both directions, error, and a message after it", kinds: forStreams, run: func(s *session) {
		if s.direction == oursCalls {
			s.do("fail-turns 5:gone:why", `sent "gone" `+statusGone+" "+statusGone)
			s.wire("> Request 0x06, > Data, < Data, < Response status 5")
		} else {
			s.because("ttrpc-rust sends on a stream that has ended; it ignores the refusal")
			s.do("fail-turns 5:gone:why", `sent "gone" `+statusGone+` sent`)
			s.await("< Response status 3")
			s.wire("> Request 0x06, > Data, < Data, < Response status 5, > Data, < Response status 3")
		}
	}},
	{name: "streams, metadata and deadline", kinds: forStreams, run: func(s *session) {
		const options = " md=b:1 md=a:x md=b:2 timeout=60000"
		s.do("see-join a"+options, "a=x b=1 b=2 deadline")
		s.do("see-split a"+options, "a=x b=1 b=2 deadline end")
		s.do("see-turns a"+options, "a=x b=1 b=2 deadline end")
		s.do("see-turns a", "no deadline end")
	}},
	{name: "stream from the client, 1000 messages", kinds: forStreams, run: func(s *session) {
		s.do("join "+numbers("|"), `"1000:`+numbers("|")+`"`)
	}},
	{name: "stream from the server, 1000 messages", kinds: forStreams, run: func(s *session) {
		s.do("split "+numbers("|"), `"`+numbers(`" "`)+`" end`)
	}},
	{name: "stream in both directions, 1000 messages at once", kinds: forStreams, run: func(s *session) {
		s.do("pour 1000", "sent 1000 end")
	}},
	{name: "stream, largest message", kinds: forStreams, run: func(s *session) {
		s.do("fill-stream 4194299", `4194299 bytes "sent" end`) // in Data of 4 MiB
	}},
	{name: "stream, message above 4 MiB", kinds: forStreams, run: func(s *session) {
		s.do("fill-stream 4194300", `"not sent" end`)
		s.wire("> Request 0x01, < Data, < Data 0x05 empty")
	}},
	{name: "stream, cancel", kinds: forStreams, run: func(s *session) {
		s.do("start w wait-stream "+s.unique, "started")
		s.do("started "+s.unique, quoted(s.unique))
		if s.direction == oursCalls {
			s.because("ttrpc-rust ignores Cancel; we ignore what it sends on")
			s.do("abort w", "error context canceled")
			s.await("> Cancel empty")
		} else {
			s.because("ttrpc-rust does not tell the server; it ignores what we send on")
			s.do("abort w", "aborted")
		}
		s.do("release "+s.unique, quoted(s.unique))
		s.do("ended "+s.unique, `"released"`)
		s.await("< Data 0x05 empty")
	}},
	{name: "stream, deadline that passes", kinds: forStreams, run: func(s *session) {
		s.do("start w wait-stream "+s.unique+" timeout=300", "started")
		if s.direction == oursCalls {
			s.because("ttrpc-rust keeps no deadline for streams; we ignore what it sends on")
			s.do("finish w", "error context deadline exceeded")
			s.await("> Cancel 0x08 empty")
			s.do("release "+s.unique, quoted(s.unique))
			s.do("ended "+s.unique, `"released"`)
			s.await("< Data 0x05 empty")
		} else {
			s.do("finish w", `status 4 "context deadline exceeded"`)
			s.do("ended "+s.unique, `"context deadline exceeded"`)
		}
	}},
	{name: "stream from the server that ends with a message", kinds: forStreams, only: theirsCalls, run: func(s *session) {
		s.because("ttrpc-rust delivers a message that comes with the end, but an error in the place of the end; generated handlers send none")
		s.do("open Ends/WithMessage", `"first" "last" error RemoteClosed`)
		s.wire("> Request 0x01, < Data, < Data 0x01")
	}},
	{name: "streams on several threads", kinds: []string{manyThreads}, run: severalThreads},
}

// statusGone is how an error is written.
const statusGone = `status 5 "gone" type.googleapis.com/ttrpc.integration.rust.Item: "why"`

// numbers returns the numbers below 1000, with something in between.
func numbers(between string) string {
	var all []string
	for i := range 1000 {
		all = append(all, strconv.Itoa(i))
	}
	return strings.Join(all, between)
}

// quoted writes a text as clients do.
func quoted(text string) string { return strconv.Quote(text) }

// severalThreads shows that we send what is to be sent, whatever becomes of it.
func severalThreads(s *session) {
	command, first := "join ", "> "
	if s.direction == theirsCalls {
		command, first = "split ", "< "
	}
	answer := s.answer(command + numbers("|"))
	if s.direction == theirsCalls && s.version == "0.10.0" {
		if answer != `"`+numbers(`" "`)+`" end` {
			s.fail("%s", abbreviate(answer))
		}
	} else {
		s.because("on a runtime with several threads ttrpc-rust delivers messages out of order, and drops those that it handles after the end")
		s.detail = abbreviate(answer)
	}
	s.await(first + "Data 0x05 empty")
	var sent [][]byte
	frames, _ := s.tap.seen()
	for _, f := range frames {
		if f.kind == kindData && f.fromServer == (s.direction == theirsCalls) {
			sent = append(sent, f.payload)
		}
	}
	var want [][]byte
	for text := range strings.SplitSeq(numbers(" "), " ") {
		want = append(want, item(text))
	}
	want = append(want, nil)
	if got, want := bytes.Join(sent, []byte{'|'}), bytes.Join(want, []byte{'|'}); !bytes.Equal(got, want) {
		s.fail("messages sent: %s", abbreviate(string(got)))
	}
}
