// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package ttrpc

import (
	"context"
	"errors"
	"net"
	"syscall"
	"time"
)

// isTemporary reports whether an error of Accept may pass, like the lack of
// file descriptors, or of memory in the kernel, which package syscall does not
// count as temporary.
func isTemporary(err error) bool {
	var temporary interface{ Temporary() bool }
	return errors.As(err, &temporary) && temporary.Temporary() ||
		errors.Is(err, syscall.ENOMEM) || errors.Is(err, syscall.ENOBUFS)
}

// occasionally lets something be logged once in a while, so that lasting trouble
// does not fill the log.
type occasionally struct {
	last time.Time
}

// acceptLogPause is the least time between two lines on the same trouble.
const acceptLogPause = 10 * time.Second

// due reports whether it is time for a line.
func (o *occasionally) due() bool {
	now := time.Now()
	if !o.last.IsZero() && now.Sub(o.last) < acceptLogPause {
		return false
	}
	o.last = now
	return true
}

// acceptBackoff spaces out attempts to accept: from 1 ms, doubling, to 1 s.
type acceptBackoff struct {
	delay time.Duration
	lines occasionally
}

const maxAcceptBackoff = time.Second

func (b *acceptBackoff) reset() { b.delay = 0 }

// wait waits for the next attempt or for the server to stop.
func (b *acceptBackoff) wait(s *Server, err error) {
	b.delay = min(max(time.Millisecond, 2*b.delay), maxAcceptBackoff)
	if b.lines.due() {
		s.config.logger.Error("ttrpc: failed accept; backoff "+b.delay.String(), "error", err)
	}
	timer := time.NewTimer(b.delay)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.stopping:
	}
}

// startConn serves conn in a goroutine of its own, or closes it.
func (s *Server) startConn(ctx context.Context, conn net.Conn, refusals *occasionally) {
	sc := newServerConn(ctx, s, conn)
	s.mu.Lock()
	serving, full := s.state == stateServing, len(s.conns) >= s.config.maxConns
	if serving && !full {
		s.conns[sc] = struct{}{}
	}
	s.mu.Unlock()
	switch {
	case serving && !full:
		go sc.serve(conn)
		return
	case serving && refusals.due():
		s.config.logger.Error("ttrpc: connection refused: there are too many", "limit", s.config.maxConns)
	}
	go closeConn(conn) // which may take its time
}
