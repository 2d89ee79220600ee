// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package load

import (
	"context"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"
)

// Figures are what a run yields.
type Figures map[Metric]float64

// measure runs one axis.
func measure(lib Library, axis Axis, o options) (Figures, error) {
	ctx := context.Background()
	if axis.Kind == Allocations {
		return measureAllocations(ctx, lib, axis)
	}
	server, err := dialUsage(o.socket)
	if err != nil {
		return nil, err
	}
	b := &bench{lib: lib, axis: axis, options: o, server: server}
	defer b.close()
	if err := b.dial(axis.Conns); err != nil {
		return nil, err
	}
	switch axis.Kind {
	case IdleConns, IdleStreams:
		return b.measureIdle(ctx)
	case Footprint:
		return b.measureFootprint(ctx)
	}
	return b.measureLoad(ctx)
}

// bench is the run of one axis against a server.
type bench struct {
	lib     Library
	axis    Axis
	options options
	server  *serverUsage
	conns   []Conn
}

// dial opens n more connections.
func (b *bench) dial(n int) error {
	for range n {
		conn, err := net.Dial("unix", b.options.socket)
		if err != nil {
			return err
		}
		b.conns = append(b.conns, b.lib.Dial(conn))
	}
	return nil
}

func (b *bench) close() {
	for _, conn := range b.conns {
		conn.Close()
	}
}

// spent is what client and server have used.
type spent struct {
	at             time.Time
	client, server usage
}

func (b *bench) spent(tidy tidyFirst) (s spent, err error) {
	if s.server, err = b.server.read(tidy); err != nil {
		return s, err
	}
	s.client, err = readUsage(tidy)
	s.at = time.Now()
	return s, err
}

// measureLoad has the axis' callers work for a while: first to warm up, then to
// be measured.
func (b *bench) measureLoad(ctx context.Context) (Figures, error) {
	callers, err := b.newCallers(ctx)
	if err != nil {
		return nil, err
	}
	if err := callers.work(b.options.lasts / 4); err != nil {
		return nil, err
	}
	callers.forget()
	stop, err := startProfile(b.options.profile)
	if err != nil {
		return nil, err
	}
	before, err := b.spent(asIs)
	if err != nil {
		return nil, err
	}
	if err := callers.work(b.options.lasts); err != nil {
		return nil, err
	}
	elapsed := time.Since(before.at)
	after, err := b.spent(asIs)
	if err != nil {
		return nil, err
	}
	stop()
	figures := callers.latencies()
	n := float64(callers.done())
	if n == 0 {
		return nil, fmt.Errorf("nothing done in %v", b.options.lasts)
	}
	cpu := after.client.CPU - before.client.CPU + after.server.CPU - before.server.CPU
	switches := after.client.Switches - before.client.Switches + after.server.Switches - before.server.Switches
	figures[Time] = micros(elapsed) / n
	figures[CPU] = micros(cpu) / n
	figures[Switches] = float64(switches) / n
	figures[ServerPeak] = float64(after.server.Peak)
	figures[ClientPeak] = float64(after.client.Peak)
	return figures, nil
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// caller does one thing over and over.
type caller struct {
	// once does it, and reports how many calls or messages that were.
	once func() (int, error)

	n       int
	samples []time.Duration
}

// callers work at the same time.
type callers []*caller

func (b *bench) newCallers(ctx context.Context) (callers, error) {
	payload := make([]byte, b.axis.Size) // the callers share it
	for i := range payload {
		payload[i] = byte(i)
	}
	var all callers
	for _, conn := range b.conns {
		for range b.axis.Callers {
			once, err := b.work(ctx, conn, payload)
			if err != nil {
				return nil, err
			}
			all = append(all, &caller{once: once, samples: make([]time.Duration, 0, 1<<10)})
		}
	}
	return all, nil
}

// messagesPerStream is how many messages a stream carries on the axes that
// measure messages.
const messagesPerStream = 2000

// work returns what a caller does on conn.
func (b *bench) work(ctx context.Context, conn Conn, payload []byte) (func() (int, error), error) {
	switch b.axis.Kind {
	case Unary:
		return func() (int, error) { return 1, conn.Unary(ctx, payload) }, nil
	case ServerStream:
		return func() (int, error) {
			return messagesPerStream, conn.ServerStream(ctx, messagesPerStream, b.axis.Size, func() {})
		}, nil
	case ClientStream:
		return func() (int, error) {
			return messagesPerStream, conn.ClientStream(ctx, messagesPerStream, payload)
		}, nil
	case PingPong:
		echo, err := conn.Echo(ctx)
		if err != nil {
			return nil, err
		}
		return func() (int, error) { return 1, echo.Exchange(payload) }, nil
	case Stall:
		go func() {
			// Ends with the process, or when the library gives the stream up.
			_ = conn.ServerStream(ctx, b.axis.Count, b.axis.Size, func() { time.Sleep(time.Millisecond) })
		}()
		return func() (int, error) { return 1, conn.Unary(ctx, payload) }, nil
	}
	return nil, fmt.Errorf("no load of kind %q", b.axis.Kind)
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

// settle is how long connections are left alone before their memory is read: a
// library may keep what it will need again for a moment.
const settle = 3 * time.Second

// measureIdle opens connections or streams, uses each once, and reads what they
// hold when nothing has happened for a while.
func (b *bench) measureIdle(ctx context.Context) (Figures, error) {
	payload := make([]byte, b.axis.Size)
	before, err := b.idleBaseline(ctx, payload)
	if err != nil {
		return nil, err
	}
	var echoes []Echo
	for range b.axis.Count {
		if b.axis.Kind == IdleConns {
			if err := b.dial(1); err != nil {
				return nil, err
			}
			if err := b.conns[len(b.conns)-1].Unary(ctx, payload); err != nil {
				return nil, err
			}
			continue
		}
		echo, err := b.conns[0].Echo(ctx)
		if err != nil {
			return nil, err
		}
		if err := echo.Exchange(payload); err != nil {
			return nil, err
		}
		echoes = append(echoes, echo)
	}
	time.Sleep(settle)
	after, err := b.spent(tidied)
	if err != nil {
		return nil, err
	}
	for _, echo := range echoes { // they still work, and have not been collected
		if err := echo.Exchange(payload); err != nil {
			return nil, err
		}
	}
	n := float64(b.axis.Count)
	return Figures{
		ServerRSS:        float64(after.server.RSS-before.server.RSS) / n,
		ClientRSS:        float64(after.client.RSS-before.client.RSS) / n,
		ServerHeap:       float64(after.server.Heap-before.server.Heap) / n,
		ServerGoroutines: float64(after.server.Goroutines-before.server.Goroutines) / n,
	}, nil
}

// idleBaseline reads what the processes hold once everything has been used.
func (b *bench) idleBaseline(ctx context.Context, payload []byte) (spent, error) {
	if len(b.conns) == 0 {
		if err := b.dial(1); err != nil {
			return spent{}, err
		}
	}
	for range 100 {
		if err := b.conns[0].Unary(ctx, payload); err != nil {
			return spent{}, err
		}
	}
	time.Sleep(settle)
	return b.spent(tidied)
}

// measureFootprint makes a number of calls and reads the server's memory as it
// then is.
func (b *bench) measureFootprint(ctx context.Context) (Figures, error) {
	payload := make([]byte, b.axis.Size)
	for range b.axis.Count {
		if err := b.conns[0].Unary(ctx, payload); err != nil {
			return nil, err
		}
	}
	after, err := b.spent(asIs)
	return Figures{ServerRSS: float64(after.server.RSS)}, err
}
