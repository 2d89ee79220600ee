// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package load

import (
	"context"
	"fmt"
	"maps"
	"net"
	"time"
)

// measure runs one axis.
func measure(ctx context.Context, lib Library, axis Axis, o options) (Figures, error) {
	switch axis.Kind {
	case Allocations:
		return measureAllocations(ctx, lib, axis)
	case Fleet:
		return measureFleet(ctx, lib, axis, o)
	}
	server, err := dialControl(o.socket)
	if err != nil {
		return nil, err
	}
	b := &bench{lib: lib, axis: axis, options: o, server: server}
	defer b.close()
	if err := b.dial(axis.Conns); err != nil {
		return nil, err
	}
	switch axis.Kind {
	case IdleConns, IdleStreams, Blocked:
		return b.measureHeld(ctx)
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
	server  *control
	conns   []Conn
}

// dial opens n more connections.
func (b *bench) dial(n int) error {
	for range n {
		socket, err := net.Dial("unix", b.options.socket)
		if err != nil {
			return err
		}
		conn, err := b.lib.Dial(socket, b.axis.settings())
		if err != nil {
			return err
		}
		b.conns = append(b.conns, conn)
	}
	return nil
}

// settings are those of an axis' server and client.
func (a Axis) settings() Settings { return Settings{Interceptors: a.With == Interceptors} }

func (b *bench) close() {
	for _, conn := range b.conns {
		conn.Close()
	}
}

func (b *bench) spent(tidy tidyFirst) (s spent, err error) {
	if s.server, err = b.server.usage(tidy); err != nil {
		return s, err
	}
	s.client, err = readUsage(tidy)
	return s, err
}

// measureLoad has the axis' callers work for a while: first to warm up, then to
// be measured.
func (b *bench) measureLoad(ctx context.Context) (Figures, error) {
	work, err := b.work(ctx)
	if err != nil {
		return nil, err
	}
	callers := newCallers(work)
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
	started := time.Now()
	if err := callers.work(b.options.lasts); err != nil {
		return nil, err
	}
	elapsed := time.Since(started)
	after, err := b.spent(asIs)
	if err != nil {
		return nil, err
	}
	stop()
	n := callers.done()
	if n == 0 {
		return nil, fmt.Errorf("nothing done in %v", b.options.lasts)
	}
	figures := after.costSince(before, n)
	figures[Time] = micros(elapsed) / float64(n)
	maps.Copy(figures, callers.latencies())
	return figures, nil
}
