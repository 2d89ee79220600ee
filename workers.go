// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package ttrpc

import (
	"bytes"
	"runtime"
	"strconv"
	"sync"
	"time"
)

const (
	// maxIdleWorkers bounds the workers that wait for a task. There may be any
	// number that have one.
	maxIdleWorkers = 4096

	// workerPatience is how long a worker waits before it ends, or up to twice
	// that.
	workerPatience = time.Second
)

// task is what a worker runs.
type task interface {
	run(w *worker)
}

// workers is a server's pool of goroutines for handlers. A goroutine that has
// run one handler has the stack for the next; a fresh one would have to grow
// it each time. The pool empties itself when there is nothing to do.
type workers struct {
	onTrim func() // immutable; called by each trim, with no lock held; nil for none

	mu      sync.Mutex
	idle    []*worker   // the last one to become idle is at the end, and goes first
	unused  int         // the fewest that have been idle since the last trim
	trimmer *time.Timer // runs trim while there are idle workers
	closed  bool
}

// worker is a goroutine that runs one task after the other. It is started by
// start and ends when it finds the pool full or closed, or has been idle
// for a while.
type worker struct {
	pool      *workers
	tasks     chan task
	goroutine uint64
	running   bool   // owned by who has taken the worker
	input     []byte // a small request, from take to the end of the task
}

// take returns a worker that has nothing to do, for the caller to start.
func (p *workers) take() *worker {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.idle)
	if n == 0 {
		return &worker{pool: p, tasks: make(chan task, 1)}
	}
	w := p.idle[n-1]
	p.idle[n-1] = nil
	p.idle = p.idle[:n-1]
	p.unused = min(p.unused, n-1)
	return w
}

// start has w run t.
func (w *worker) start(t task) {
	if w.running {
		w.tasks <- t
		return
	}
	w.running = true
	go w.work(t)
}

// work is the worker's goroutine.
func (w *worker) work(t task) {
	w.goroutine = currentGoroutine()
	t.run(w)
	for w.pool.park(w) {
		next, ok := <-w.tasks
		if !ok {
			return
		}
		next.run(w)
	}
}

// park makes w idle, and reports false if it is not wanted any more.
func (p *workers) park(w *worker) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || len(p.idle) >= maxIdleWorkers {
		return false
	}
	p.idle = append(p.idle, w)
	if len(p.idle) > 1 {
		return true
	}
	p.unused = 0
	if p.trimmer == nil {
		p.trimmer = time.AfterFunc(workerPatience, p.trim)
	} else {
		p.trimmer.Reset(workerPatience)
	}
	return true
}

// trim ends the workers that were not needed since it last ran.
func (p *workers) trim() {
	if p.onTrim != nil {
		p.onTrim()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	n := min(p.unused, len(p.idle))
	p.endLocked(n)
	p.unused = len(p.idle)
	if len(p.idle) > 0 {
		p.trimmer.Reset(workerPatience)
	}
}

// endLocked ends the n workers that have been idle for longest.
func (p *workers) endLocked(n int) {
	for i := range n {
		close(p.idle[i].tasks)
	}
	rest := copy(p.idle, p.idle[n:])
	clear(p.idle[rest:])
	p.idle = p.idle[:rest]
	if rest == 0 {
		p.idle = nil
	}
}

// close ends the idle workers, and the others when they have finished.
func (p *workers) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	p.endLocked(len(p.idle))
	if p.trimmer != nil {
		p.trimmer.Stop()
	}
}

// currentGoroutine returns the number that stack traces give the goroutine, or 0
// if it cannot tell. It serves one purpose: Shutdown has to know whether a
// handler is calling it.
func currentGoroutine() uint64 {
	var buf [64]byte
	trace := buf[:runtime.Stack(buf[:], false)]
	fields := bytes.Fields(trace) // "goroutine 18 [running]:..."
	if len(fields) < 2 {
		return 0
	}
	n, err := strconv.ParseUint(string(fields[1]), 10, 64)
	if err != nil {
		return 0
	}
	return n
}
