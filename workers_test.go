// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package ttrpc

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// run has t run by a worker.
func (p *workers) run(t task) { p.take().start(t) }

// taskFunc is a task.
type taskFunc func(*worker)

func (f taskFunc) run(w *worker) { f(w) }

// idleWorkers returns how many wait for a task.
func idleWorkers(p *workers) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.idle)
}

// runHeld has n tasks run at once, and returns when all of them have ended.
func runHeld(p *workers, n int) {
	hold := make(chan struct{})
	for range n {
		p.run(taskFunc(func(*worker) { <-hold }))
	}
	synctest.Wait()
	close(hold)
	synctest.Wait()
}

func TestWorkersAreReused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p workers
		defer p.close()
		seen := map[*worker]uint64{}
		for range 100 {
			p.run(taskFunc(func(w *worker) {
				require.Equal(t, w.goroutine, currentGoroutine())
				seen[w] = w.goroutine
			}))
			synctest.Wait()
		}
		require.Len(t, seen, 1)
		require.Equal(t, 1, idleWorkers(&p))
	})
}

// No task waits for another one, however many there are.
func TestWorkersRunAllTasksAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p workers
		defer p.close()
		const n = 500
		var all sync.WaitGroup
		all.Add(n)
		for range n {
			p.run(taskFunc(func(*worker) {
				all.Done()
				all.Wait()
			}))
		}
		synctest.Wait()
		require.Equal(t, n, idleWorkers(&p))
	})
}

// Every worker that a burst has left ends after a while, and the pool works on.
func TestIdleWorkersEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p workers
		defer p.close()
		for range 3 {
			runHeld(&p, 50)
			require.Equal(t, 50, idleWorkers(&p))
			<-time.After(workerPatience * 3)
			synctest.Wait()
			require.Equal(t, 0, idleWorkers(&p))
		}
	})
}

// Of workers that a burst has left, those stay that are still of use.
func TestTrimKeepsWorkersInUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p workers
		defer p.close()
		runHeld(&p, 50)
		for range 10 {
			runHeld(&p, 3)
			<-time.After(workerPatience / 2)
		}
		require.Equal(t, 3, idleWorkers(&p))
	})
}

// A lone caller, whose worker comes and goes between none and one idle, does
// not keep the pool from emptying afterwards.
func TestLoneWorkerEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p workers
		defer p.close()
		for range 30 {
			runHeld(&p, 1)
			<-time.After(workerPatience / 3)
		}
		require.Equal(t, 1, idleWorkers(&p))
		<-time.After(workerPatience * 3)
		synctest.Wait()
		require.Equal(t, 0, idleWorkers(&p))
	})
}

func TestWorkersKeepNoMoreThanMaximum(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p workers
		defer p.close()
		runHeld(&p, maxIdleWorkers+10)
		require.Equal(t, maxIdleWorkers, idleWorkers(&p))
	})
}

// After close, tasks are still run, and no worker stays behind: the bubble
// would not end. Nor does the timer run.
func TestClosedWorkersRunOnAndEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p workers
		runHeld(&p, 10)
		hold := make(chan struct{})
		var ran atomic.Int32
		for range 5 {
			p.run(taskFunc(func(*worker) { <-hold; ran.Add(1) }))
		}
		synctest.Wait()
		p.close()
		p.close()
		synctest.Wait()
		require.Equal(t, 0, idleWorkers(&p))
		p.run(taskFunc(func(*worker) { ran.Add(1) }))
		close(hold)
		synctest.Wait()
		require.Equal(t, int32(6), ran.Load())
		require.Equal(t, 0, idleWorkers(&p))
	})
}

// A handler may end its goroutine; the pool does without it.
func TestWorkersSurviveGoexit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p workers
		defer p.close()
		p.run(taskFunc(func(*worker) { runtime.Goexit() }))
		synctest.Wait()
		require.Equal(t, 0, idleWorkers(&p))
		ran := false
		p.run(taskFunc(func(*worker) { ran = true }))
		synctest.Wait()
		require.True(t, ran)
	})
}

// Tasks are run once each, whatever close and trim do meanwhile.
func TestWorkersLoseNoTask(t *testing.T) {
	for range 20 {
		synctest.Test(t, func(t *testing.T) {
			var p workers
			var ran atomic.Int32
			var wg sync.WaitGroup
			for range 8 {
				wg.Go(func() {
					for range 50 {
						p.run(taskFunc(func(*worker) { ran.Add(1) }))
						runtime.Gosched()
					}
				})
			}
			wg.Go(p.trim)
			wg.Go(p.close)
			wg.Wait()
			synctest.Wait()
			require.Equal(t, int32(400), ran.Load())
			require.Equal(t, 0, idleWorkers(&p))
		})
	}
}

func TestCurrentGoroutine(t *testing.T) {
	own := currentGoroutine()
	require.NotZero(t, own)
	require.Equal(t, own, currentGoroutine())
	other := make(chan uint64)
	go func() { other <- currentGoroutine() }()
	require.NotEqual(t, own, <-other)
}
