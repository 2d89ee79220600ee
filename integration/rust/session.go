// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// patience is how long a case may take; it is not to be reached.
const patience = 30 * time.Second

// A session is a run of a case: a client and a server with a tap in between. The
// first thing that is not as it should be is remembered, and nothing is done
// after it.
type session struct {
	ctx context.Context
	pairing
	client client
	socket string // the tap's
	tap    *tap
	unique string // a text for Wait
	err    error
	why    []string
	detail string // for the eye only: it may differ from run to run
}

// run runs a case, and checks that both sides are still there.
func (s *session) run(ctx context.Context, run func(*session)) {
	var cancel context.CancelFunc
	s.ctx, cancel = context.WithTimeout(ctx, patience)
	defer cancel()
	s.connect()
	run(s)
	s.alive()
	s.connect()
	s.alive()
	s.do("disconnect", "disconnected")
}

// because adds an explanation of why something is expected.
func (s *session) because(why string) { s.why = append(s.why, why) }

// note returns the explanations.
func (s *session) note() string { return strings.Join(s.why, "; ") }

// fail remembers what is wrong.
func (s *session) fail(format string, args ...any) {
	if s.err == nil {
		s.err = fmt.Errorf(format, args...)
	}
}

// answer lets the client do something, and returns its answer.
func (s *session) answer(do string) string {
	if s.err != nil {
		return ""
	}
	type answer struct {
		line string
		err  error
	}
	answered := make(chan answer, 1)
	ctx, cancel := context.WithCancel(context.WithoutCancel(s.ctx)) // without its deadline
	go func() {
		line, err := s.client.answer(ctx, do)
		answered <- answer{line, err}
	}()
	select {
	case a := <-answered:
		if a.err != nil {
			s.fail("%s: %w", do, a.err)
		}
		if strings.HasPrefix(do, "start ") {
			context.AfterFunc(s.ctx, cancel)
		} else {
			cancel()
		}
		return a.line
	case <-s.ctx.Done():
		cancel()
		s.fail("%s: the client does not answer", do)
		select { // so that nothing of this case goes on in the next
		case <-answered:
		case <-time.After(patience):
		}
		return ""
	}
}

// do lets the client do something; its answer must be want.
func (s *session) do(command, want string) {
	if got := s.answer(command); s.err == nil && got != want {
		s.fail("%s: got %s, want %s", command, abbreviate(got), abbreviate(want))
	}
}

// begins lets the client do something; its answer must begin with want.
func (s *session) begins(command, want string) {
	if got := s.answer(command); s.err == nil && !strings.HasPrefix(got, want) {
		s.fail("%s: got %s, want %s…", command, abbreviate(got), want)
	}
}

// await waits for a frame.
func (s *session) await(written string) {
	if s.err != nil {
		return
	}
	if err := s.tap.await(s.ctx, written); err != nil {
		s.fail("%w", err)
	}
}

// wire compares the frames that have come with want.
func (s *session) wire(want string) {
	frames, _ := s.tap.seen()
	if got := conversation(frames); got != want {
		s.fail("frames: %s; want %s", abbreviate(got), want)
	}
}

// connect makes a connection for what follows.
func (s *session) connect() { s.do("connect unix://"+s.socket, "connected") }

// alive checks that the connection is still good.
func (s *session) alive() { s.do("echo alive", `"alive"`) }

// abbreviate shortens what is too long to read.
func abbreviate(text string) string {
	if len(text) > 400 {
		return text[:300] + " … " + text[len(text)-80:]
	}
	return text
}
