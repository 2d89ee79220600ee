// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// patience is how long to wait for what should be immediate.
const patience = 10 * time.Second

// Runs are the handlers that wait, by the names that clients gave them.
type runs struct {
	mu      sync.Mutex
	byName  map[string][]*run
	started chan struct{} // closed, and replaced, when one starts
}

func newRuns() *runs { return &runs{byName: make(map[string][]*run), started: make(chan struct{})} }

// A run is a handler that waits.
type run struct {
	release chan struct{} // closed to end it
	ended   chan struct{} // closed when it has ended

	how string // it ended: set before ended is closed
}

func (rs *runs) start(name string) *run {
	r := &run{release: make(chan struct{}), ended: make(chan struct{})}
	rs.mu.Lock()
	defer rs.mu.Unlock()
	rs.byName[name] = append(rs.byName[name], r)
	close(rs.started)
	rs.started = make(chan struct{})
	return r
}

// end is called by the handler when it returns.
func (r *run) end(how string) {
	r.how = how
	close(r.ended)
}

// wait waits until the run is released or its context ends, and ends it.
func (r *run) wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
	case <-r.release:
	}
	r.end(endOf(ctx))
	return ctx.Err()
}

// endOf says how a run ended whose context is ctx: only those are released whose
// context had not ended by then.
func endOf(ctx context.Context) string {
	switch err := ctx.Err(); {
	case errors.Is(err, context.Canceled):
		return "canceled"
	case errors.Is(err, context.DeadlineExceeded):
		return "deadline"
	}
	return "released"
}

// waitStarted waits until n runs have started.
func (rs *runs) waitStarted(name string, n int) string {
	tooLate := time.After(patience)
	for {
		rs.mu.Lock()
		running, started := len(rs.byName[name]), rs.started
		rs.mu.Unlock()
		if running >= n {
			return fmt.Sprintf("%d started", running)
		}
		select {
		case <-started:
		case <-tooLate:
			return fmt.Sprintf("only %d started", running)
		}
	}
}

// waitEnded waits until all runs of a name have ended, says how they did, and
// forgets them.
func (rs *runs) waitEnded(name string) string {
	rs.mu.Lock()
	all := rs.byName[name]
	delete(rs.byName, name)
	rs.mu.Unlock()
	tooLate := time.After(patience)
	ends := make(map[string]int)
	for _, r := range all {
		select {
		case <-r.ended:
			ends[r.how]++
		case <-tooLate:
			ends["running"]++
		}
	}
	return tally(ends)
}

// releaseAll releases all runs of a name, and goes on as waitEnded.
func (rs *runs) releaseAll(name string) string {
	rs.mu.Lock()
	for _, r := range rs.byName[name] {
		close(r.release)
	}
	rs.mu.Unlock()
	return rs.waitEnded(name)
}

// tally returns counts as text.
func tally(counts map[string]int) string {
	var list []string
	for what, n := range counts {
		list = append(list, fmt.Sprintf("%d %s", n, what))
	}
	slices.Sort(list)
	if list == nil {
		return "none"
	}
	return strings.Join(list, ", ")
}
