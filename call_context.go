// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package ttrpc

import (
	"sync"
	"time"
)

// callContext is the context of a handler. It is part of the call, and makes
// the channel of Done only when somebody asks for it, which most handlers never
// do.
//
// It is not derived from the context given to Serve by the usual means: it
// has the values of that, but lives as long as the call. The server connection
// cancels the calls that are running when Serve's context ends; a call that
// comes later is not born dead.
type callContext struct {
	// immutable once the handler has been started
	sc       *serverConn // has the values of Serve's context, and the peer
	md       MD
	deadline *callDeadline // nil for none

	mu    sync.Mutex
	done  chan struct{} // nil until asked for
	err   error         // set once
	after map[*afterFunc]struct{}
}

// callDeadline is the deadline of a call that has one.
type callDeadline struct {
	at time.Time // immutable

	mu      sync.Mutex
	timer   *time.Timer // runs serverCall.deadlinePassed, then serverCall.expire
	stopped bool
}

// after has f called some time from now, unless the call ends before.
func (d *callDeadline) after(wait time.Duration, f func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.stopped {
		d.timer = time.AfterFunc(wait, f)
	}
}

// stop is called when the call has ended. A nil deadline may be stopped.
func (d *callDeadline) stop() {
	if d == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.stopped = true
	if d.timer != nil {
		d.timer.Stop()
	}
}

// afterFunc is a function to be run when the context ends.
type afterFunc struct {
	f func()
}

// closedChan is Done for a context that ended before anybody asked.
var closedChan = func() chan struct{} {
	ch := make(chan struct{})
	close(ch)
	return ch
}()

// Deadline returns the call's deadline, if the client set one.
func (c *callContext) Deadline() (time.Time, bool) {
	if c.deadline == nil {
		return time.Time{}, false
	}
	return c.deadline.at, true
}

// Done returns a channel that is closed when the call ends.
func (c *callContext) Done() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.done == nil {
		if c.err != nil {
			c.done = closedChan
		} else {
			c.done = make(chan struct{})
		}
	}
	return c.done
}

// Err returns nil while the call runs, then why it ended.
func (c *callContext) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Value returns the call's own values, and otherwise those of Serve's context.
func (c *callContext) Value(key any) any {
	switch key.(type) {
	case metadataKey:
		if c.md != nil {
			return c.md
		}
	case peerKey:
		return c.sc.peer
	}
	return c.sc.values().Value(key)
}

// AfterFunc arranges for f to be run, in a goroutine of its own, when c ends.
// Package context looks for this method, and needs no goroutine to watch c
// then.
func (c *callContext) AfterFunc(f func()) (stop func() bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		go f()
		return func() bool { return false }
	}
	if c.after == nil {
		c.after = map[*afterFunc]struct{}{}
	}
	af := &afterFunc{f: f}
	c.after[af] = struct{}{}
	return func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		_, pending := c.after[af]
		delete(c.after, af)
		return pending
	}
}

// cancel ends the context; the first cause counts.
func (c *callContext) cancel(cause error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return
	}
	c.err = cause
	if c.done != nil {
		close(c.done)
	}
	for af := range c.after {
		go af.f()
	}
	c.after = nil
}
