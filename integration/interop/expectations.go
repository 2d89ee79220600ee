// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// An expectation is the outcome that a case has with some peers, other than "ok",
// and what is wrong with them.
type expectation struct {
	name    string // of the case
	peers   func(pair) bool
	outcome string
	note    string
}

// theirServer matches pairs whose server is one of these releases, or any.
func theirServer(versions ...string) func(pair) bool {
	return func(p pair) bool { return p.server != tree && (versions == nil || slices.Contains(versions, p.server)) }
}

// theirClient matches pairs whose client is one of these releases, or any.
func theirClient(versions ...string) func(pair) bool {
	return func(p pair) bool { return p.client != tree && (versions == nil || slices.Contains(versions, p.client)) }
}

// Notes that several expectations have.
const (
	deaf    = "their server ignores Cancel (D16): the handler runs on, as it always did"
	mute    = "their client sends no Cancel (D16): the handler runs on, as it always did"
	open    = "their server leaves connections with calls in flight open (D4), and answers these"
	dropped = "their client does not send it (D17)"
	sendsOn = "their client does not notice that the stream has ended (D15), and sends on; our server refuses that, and is not harmed"
)

// expectations are what released versions are known to do. Everywhere else the
// outcome must be "ok". The numbers of defects are those of the regression tests.
var expectations = []expectation{
	{"cancel", theirServer(), "handlers: 1 released", deaf},
	{"cancel", theirClient(), "handlers: 1 released", mute},
	{"cancel of many calls", theirServer(), "handlers: N released", deaf},
	{"cancel of many calls", theirClient(), "handlers: N released", mute},
	{"stream: cancel", theirServer(), "handler: 1 released", deaf},
	{"stream: cancel", theirClient(), "handler: 1 released", mute},
	{"metadata in mixed case", theirServer(), "mixed-case: no such key",
		"their server does not fold keys (D31): a handler cannot get at it"},
	{"error with invalid UTF-8", theirServer(), "call: ErrClosed; then on this connection ErrClosed",
		"their server closes the connection over it (D6)"},
	{"oversize response", theirServer("v1.2.8", "v1.2.10"), "call: ErrClosed; another call: N ErrClosed; then on this connection ErrClosed",
		"their server closes the connection over it (D5)"},
	{"stream: oversize from the server", theirServer("v1.2.8", "v1.2.10"), "receive: ErrClosed; then on this connection ErrClosed",
		"their server closes the connection over it (D5)"},
	{"stream: oversize from the client", theirClient("v1.2.2", "v1.2.5"), "sent; receive: ResourceExhausted",
		"their client does not look at the size; our server refuses the message and ends the stream"},
	{"end of connection: half-close during a call", theirServer(), "call: 1 ErrClosed",
		"their server closes the connection without an answer"},
	{"error with details", theirClient("v1.1.2"), "the client has ended; client v1.1.2 crashed: panic: protobuf tag not enough fields in Any.state: ",
		"their client crashes over details, whichever server they come from, if it is linked with golang/protobuf v1.4 or later"},
	{"response above the client's limit", theirClient("v1.1.2"), "the client has ended; client v1.1.2 crashed: panic: runtime error: slice bounds out of range [:4194305] with capacity 0",
		"their client crashes over a response above 4 MiB. By default our server sends none, but v1.1.2's does: do not raise WithServerMaxMessageSize for such clients"},
	{"server stream, empty request", theirServer("v1.2.2"), "end: DeadlineExceeded",
		"their server does not hand an empty request to the handler, which waits for ever"},
	{"stream: cancel while the server sends", theirClient("v1.2.2", "v1.2.5", "v1.2.8"), "another call: DeadlineExceeded",
		"their client reads nothing more from the connection once messages come that nobody receives (D10)"},
	{"end of server: Close during calls", theirServer("v1.1.2"), "calls: 10 ok", open},
	{"end of server: Close during calls", theirServer(), "calls: 10 ok; streams: 10 ok", open},
	{"stream: metadata", theirClient(), "server sees: no metadata", dropped},
	{"stream: deadline", theirClient(), "server sees no deadline", dropped},
	{"stream: server ends first", theirClient(), "sends: 50 ok", sendsOn},
	{"stream on a unary method, answered", theirClient(), "send: ok", sendsOn},
	{"end of server: stream on a unary method, running", theirServer(),
		"receive: ErrClosed; then: ErrClosed; server VERSION crashed: panic: runtime error: invalid memory address or nil pointer dereference",
		"their server crashes (D1): this is a mistake in the program of the client, which calls NewStream for a unary method, and no client can know"},
}

// races are outcomes that released versions have once in a thousand runs or so. A
// case with one of these is run again.
var races = []expectation{
	{"end of connection: half-close during a call", theirClient(), "call: 1 ErrClosed",
		"passed the second time: their client may lose a response that the end of the connection follows at once"},
}

// lost returns a note if an outcome is the loser's of a race.
func (p pair) lost(name, outcome string) (note string) {
	for _, r := range races {
		if r.name == name && r.peers(p) && r.outcome == outcome {
			return r.note
		}
	}
	return ""
}

// expected returns the outcome that a case is to have, and what is wrong with the
// peer if that is not "ok".
func (p pair) expected(name string) (outcome, note string) {
	for _, e := range expectations {
		if e.name == name && e.peers(p) {
			return strings.ReplaceAll(e.outcome, "VERSION", p.theirs()), e.note
		}
	}
	return "ok", ""
}

// checkExpectations returns an error if an expectation is about no case.
func checkExpectations(cases []string) error {
	for _, e := range slices.Concat(expectations, races) {
		if !slices.Contains(cases, e.name) {
			return fmt.Errorf("an expectation is about %q, and no case is called so", e.name)
		}
	}
	return nil
}

// explanations are what released versions write to their standard error, for what
// they or the cases do.
var explanations = []struct {
	role string // its beginning
	line *regexp.Regexp
}{
	// D6.
	{"server", regexp.MustCompile(`"failed marshaling response" .*invalid UTF-8`)},
	// D5, and connections that have ended, or been ended by the multiplexer.
	{"server", regexp.MustCompile(`"failed sending message on channel" .*(ResourceExhausted|broken pipe|EOF|closed|reset by peer)`)},
	// Answers to calls that the client has cancelled, which it did not tell.
	{"client", regexp.MustCompile(`"ttrpc: received message on inactive stream"`)},
	{"client", regexp.MustCompile(`"ttrpc: failed to handle message" .*"(context canceled|ttrpc: closed|ttrpc: stream buffer full)"`)},
}

// explained reports whether it is known why a process wrote a line.
func explained(role, line string) bool {
	for _, e := range explanations {
		if strings.HasPrefix(role, e.role) && !strings.HasSuffix(role, tree) && e.line.MatchString(line) {
			return true
		}
	}
	return false
}
