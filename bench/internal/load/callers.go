// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package load

import (
	"slices"
	"sync"
	"time"
)

// caller does one thing over and over.
type caller struct {
	// once does it, and reports how many calls or messages that were.
	once func() (int, error)

	n       int
	samples []time.Duration
}

// callers work at the same time.
type callers []*caller

// samplesAtFirst is the room that all callers together have for their samples
// before it has to grow; no one has more than the second number.
const (
	samplesAtFirst    = 1 << 22
	samplesEachAtMost = 1 << 10
)

// newCallers returns a caller for each thing to do.
func newCallers(things []func() (int, error)) callers {
	all := make(callers, len(things))
	for i, once := range things {
		room := min(samplesEachAtMost, samplesAtFirst/len(things))
		all[i] = &caller{once: once, samples: make([]time.Duration, 0, room)}
	}
	return all
}

// work has every caller work for that long; it returns when all have finished
// what they were at.
func (all callers) work(lasts time.Duration) error {
	end := time.Now().Add(lasts)
	errs := make(chan error, len(all))
	var wait sync.WaitGroup
	for _, c := range all {
		wait.Go(func() {
			if err := c.work(end); err != nil {
				errs <- err
			}
		})
	}
	wait.Wait()
	close(errs)
	return <-errs
}

func (c *caller) work(end time.Time) error {
	for start := time.Now(); start.Before(end); {
		n, err := c.once()
		if err != nil {
			return err
		}
		now := time.Now()
		c.n += n
		c.samples = append(c.samples, now.Sub(start))
		start = now
	}
	return nil
}

// forget drops what has been counted.
func (all callers) forget() {
	for _, c := range all {
		c.n, c.samples = 0, c.samples[:0]
	}
}

// done returns how many calls or messages there were.
func (all callers) done() int {
	n := 0
	for _, c := range all {
		n += c.n
	}
	return n
}

func (all callers) latencies() Figures {
	var samples []time.Duration
	for _, c := range all {
		samples = append(samples, c.samples...)
	}
	return latencies(samples)
}

// latencies sorts samples and returns what is to be said about them.
func latencies(samples []time.Duration) Figures {
	if len(samples) == 0 {
		return Figures{}
	}
	slices.Sort(samples)
	var sum time.Duration
	for _, s := range samples {
		sum += s
	}
	return Figures{
		Mean:  micros(sum) / float64(len(samples)),
		P50:   micros(samples[len(samples)/2]),
		P99:   micros(samples[len(samples)*99/100]),
		Worst: micros(samples[len(samples)-1]),
	}
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
