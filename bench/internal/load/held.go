// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package load

import (
	"context"
	"sync"
	"time"
)

// settleTime is how long connections are left alone before their memory is read:
// a library may keep what it will need again for a moment.
const settleTime = 3 * time.Second

// measureHeld opens connections or streams, using each once, or has calls wait,
// and reads what they hold when nothing has happened for a while.
func (b *bench) measureHeld(ctx context.Context) (Figures, error) {
	payload := b.axis.payload()
	before, err := b.heldAtFirst(ctx, payload)
	if err != nil {
		return nil, err
	}
	finish, err := b.open(ctx, payload)
	if err != nil {
		return nil, err
	}
	time.Sleep(b.options.settle)
	after, err := b.spent(tidied)
	if err != nil {
		return nil, err
	}
	return after.heldSince(before, b.axis.Count), finish()
}

// heldAtFirst reads what the processes hold once everything has been used.
func (b *bench) heldAtFirst(ctx context.Context, payload []byte) (spent, error) {
	for range 100 {
		for _, conn := range b.conns {
			if err := conn.Unary(ctx, Instant, payload); err != nil {
				return spent{}, err
			}
		}
	}
	time.Sleep(b.options.settle)
	return b.spent(tidied)
}

// open opens what the axis is about. What it opened is held until finish has
// been called, which uses it once more: it must not have been collected.
func (b *bench) open(ctx context.Context, payload []byte) (finish func() error, err error) {
	switch b.axis.Kind {
	case IdleConns:
		return b.openConns(ctx, payload)
	case IdleStreams:
		return b.openStreams(ctx, payload)
	default:
		return b.openBlocked(ctx, payload)
	}
}

func (b *bench) openConns(ctx context.Context, payload []byte) (finish func() error, err error) {
	first := len(b.conns)
	for range b.axis.Count {
		if err := b.dial(1); err != nil {
			return nil, err
		}
		if err := b.conns[len(b.conns)-1].Unary(ctx, Instant, payload); err != nil {
			return nil, err
		}
	}
	return func() error {
		for _, conn := range b.conns[first:] {
			if err := conn.Unary(ctx, Instant, payload); err != nil {
				return err
			}
		}
		return nil
	}, nil
}

func (b *bench) openStreams(ctx context.Context, payload []byte) (finish func() error, err error) {
	echoes := make([]Echo, b.axis.Count)
	for i := range echoes {
		if echoes[i], err = b.conns[i%len(b.conns)].Echo(ctx); err != nil {
			return nil, err
		}
		if err := exchange(echoes[i], payload); err != nil {
			return nil, err
		}
	}
	return func() error {
		for _, echo := range echoes {
			if err := exchange(echo, payload); err != nil {
				return err
			}
		}
		return nil
	}, nil
}

// openBlocked makes calls, each in a goroutine of its own, and returns when all
// their handlers wait.
func (b *bench) openBlocked(ctx context.Context, payload []byte) (finish func() error, err error) {
	errs := make(chan error, b.axis.Count)
	var calls sync.WaitGroup
	for i := range b.axis.Count {
		conn := b.conns[i%len(b.conns)]
		calls.Go(func() {
			if err := conn.Unary(ctx, Wait, payload); err != nil {
				errs <- err
			}
		})
	}
	arrived := make(chan error, 1)
	go func() { arrived <- b.server.awaitWaiting(b.axis.Count) }()
	select {
	case err := <-errs:
		return nil, err // the process is about to end, the goroutines with it
	case err := <-arrived:
		if err != nil {
			return nil, err
		}
	}
	return func() error {
		if err := b.server.release(); err != nil {
			return err
		}
		calls.Wait()
		close(errs)
		return <-errs
	}, nil
}

// measureFootprint makes a number of calls and reads the server's memory as it
// then is.
func (b *bench) measureFootprint(ctx context.Context) (Figures, error) {
	payload := b.axis.payload()
	for range b.axis.Count {
		if err := b.conns[0].Unary(ctx, Instant, payload); err != nil {
			return nil, err
		}
	}
	after, err := b.spent(asIs)
	return Figures{ServerRSS: float64(after.server.RSS)}, err
}
