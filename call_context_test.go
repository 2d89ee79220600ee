// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package ttrpc

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

type testKey string

// newCallContext returns a context as a handler gets it.
func newCallContext() *callContext {
	return &callContext{sc: &serverConn{
		serveCtx: context.WithValue(context.Background(), testKey("of"), "Serve"),
		peer:     &Peer{AuthInfo: "peer"},
	}}
}

// contextKinds are callContext and the standard library's context, which must
// look the same to whoever uses them.
var contextKinds = []struct {
	name string
	make func() (context.Context, func())
}{
	{"standard", func() (context.Context, func()) {
		return context.WithCancel(context.Background())
	}},
	{"call", func() (context.Context, func()) {
		c := newCallContext()
		return c, func() { c.cancel(context.Canceled) }
	}},
	{"call, Done asked for before", func() (context.Context, func()) {
		c := newCallContext()
		c.Done()
		return c, func() { c.cancel(context.Canceled) }
	}},
}

// isDone reports whether ctx's channel is closed.
func isDone(ctx context.Context) bool {
	select {
	case <-ctx.Done():
		return true
	default:
		return false
	}
}

func TestCallContextBehavesLikeContext(t *testing.T) {
	for _, kind := range contextKinds {
		// Every row runs in a bubble: a goroutine left behind fails it.
		row := func(name string, f func(t *testing.T, ctx context.Context, cancel func())) {
			t.Run(kind.name+"/"+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					ctx, cancel := kind.make()
					f(t, ctx, cancel)
					cancel()
				})
			})
		}

		row("alive", func(t *testing.T, ctx context.Context, _ func()) {
			require.NoError(t, ctx.Err())
			require.NoError(t, context.Cause(ctx))
			require.False(t, isDone(ctx))
			_, ok := ctx.Deadline()
			require.False(t, ok)
		})

		row("ended", func(t *testing.T, ctx context.Context, cancel func()) {
			before := ctx.Done()
			cancel()
			require.Equal(t, context.Canceled, ctx.Err())
			require.Equal(t, context.Canceled, context.Cause(ctx))
			require.True(t, isDone(ctx))
			require.Equal(t, before, ctx.Done(), "Done must return the same channel each time")
			cancel()
			require.Equal(t, context.Canceled, ctx.Err())
		})

		row("Done is closed when Err is not nil, and not before", func(t *testing.T, ctx context.Context, cancel func()) {
			var wg sync.WaitGroup
			for range 4 {
				wg.Go(func() {
					<-ctx.Done()
					if ctx.Err() == nil {
						t.Error("done without an error")
					}
				})
				wg.Go(func() {
					for ctx.Err() == nil {
						runtime.Gosched()
					}
					if !isDone(ctx) {
						t.Error("error without being done")
					}
				})
			}
			cancel()
			wg.Wait()
		})

		row("AfterFunc runs once", func(t *testing.T, ctx context.Context, cancel func()) {
			var ran atomic.Int32
			stop := context.AfterFunc(ctx, func() { ran.Add(1) })
			synctest.Wait()
			require.Zero(t, ran.Load())
			cancel()
			cancel()
			synctest.Wait()
			require.Equal(t, int32(1), ran.Load())
			require.False(t, stop())
		})

		row("AfterFunc of an ended context", func(t *testing.T, ctx context.Context, cancel func()) {
			cancel()
			var ran atomic.Int32
			stop := context.AfterFunc(ctx, func() { ran.Add(1) })
			synctest.Wait()
			require.Equal(t, int32(1), ran.Load())
			require.False(t, stop())
		})

		row("AfterFunc stopped", func(t *testing.T, ctx context.Context, cancel func()) {
			stop := context.AfterFunc(ctx, func() { t.Error("ran") })
			require.True(t, stop())
			require.False(t, stop())
			cancel()
			synctest.Wait()
			require.False(t, stop())
		})

		row("AfterFunc may use the context", func(t *testing.T, ctx context.Context, cancel func()) {
			var err error
			context.AfterFunc(ctx, func() {
				<-ctx.Done()
				err = ctx.Err()
				context.AfterFunc(ctx, func() {})
			})
			cancel()
			synctest.Wait()
			require.Equal(t, context.Canceled, err)
		})

		row("derived contexts end with it", func(t *testing.T, ctx context.Context, cancel func()) {
			a, cancelA := context.WithCancel(ctx)
			defer cancelA()
			b, cancelB := context.WithTimeout(a, time.Hour)
			defer cancelB()
			c := context.WithValue(b, testKey("k"), 1)
			d, cancelD := context.WithCancelCause(ctx)
			defer cancelD(nil)
			for _, derived := range []context.Context{a, b, c, d} {
				require.NoError(t, derived.Err())
				require.False(t, isDone(derived))
			}
			cancel()
			synctest.Wait()
			for _, derived := range []context.Context{a, b, c, d} {
				require.Equal(t, context.Canceled, derived.Err())
				require.Equal(t, context.Canceled, context.Cause(derived))
				require.True(t, isDone(derived))
			}
		})

		row("derived contexts end alone", func(t *testing.T, ctx context.Context, cancel func()) {
			a, cancelA := context.WithCancelCause(ctx)
			b, cancelB := context.WithTimeout(ctx, time.Second)
			defer cancelB()
			cancelA(errInjected)
			<-b.Done()
			require.Equal(t, errInjected, context.Cause(a))
			require.Equal(t, context.DeadlineExceeded, b.Err())
			require.NoError(t, ctx.Err())
			require.False(t, isDone(ctx))
			cancel()
			synctest.Wait()
			require.Equal(t, errInjected, context.Cause(a))
			require.Equal(t, context.DeadlineExceeded, b.Err())
		})

		row("derived from an ended context", func(t *testing.T, ctx context.Context, cancel func()) {
			cancel()
			a, cancelA := context.WithCancel(ctx)
			defer cancelA()
			b, cancelB := context.WithTimeout(ctx, time.Hour)
			defer cancelB()
			synctest.Wait()
			require.Equal(t, context.Canceled, a.Err())
			require.Equal(t, context.Canceled, b.Err())
			require.True(t, isDone(b))
		})

		row("WithoutCancel lives on", func(t *testing.T, ctx context.Context, cancel func()) {
			w := context.WithoutCancel(ctx)
			cancel()
			require.NoError(t, w.Err())
			require.NoError(t, context.Cause(w))
			require.Nil(t, w.Done())
			a, cancelA := context.WithCancel(w)
			require.NoError(t, a.Err())
			cancelA()
			require.Equal(t, context.Canceled, context.Cause(a))
		})

		row("everything at once", func(t *testing.T, ctx context.Context, cancel func()) {
			var wg sync.WaitGroup
			var ran, stopped atomic.Int32
			for range 6 {
				wg.Go(func() {
					for range 20 {
						stop := context.AfterFunc(ctx, func() { ran.Add(1) })
						runtime.Gosched()
						if stop() {
							stopped.Add(1)
						}
					}
				})
				wg.Go(func() {
					derived, cancelDerived := context.WithCancel(ctx)
					defer cancelDerived()
					<-derived.Done()
					if ctx.Err() == nil {
						t.Error("derived context ended first")
					}
				})
			}
			runtime.Gosched()
			cancel()
			wg.Wait()
			synctest.Wait()
			require.Equal(t, int32(120), ran.Load()+stopped.Load(), "an AfterFunc is run or stopped")
		})
	}
}

// Package context watches a callContext without a goroutine per derived one.
func TestContextDerivedFromCallCostsNoGoroutine(t *testing.T) {
	c := newCallContext()
	var cancels []func()
	for range 50 {
		_, cancel := context.WithCancel(c)
		cancels = append(cancels, cancel)
	}
	require.Len(t, c.after, 50, "package context does not use AfterFunc")
	for _, cancel := range cancels {
		cancel()
	}
	require.Empty(t, c.after, "contexts that ended are still known to their parent")
}

func TestCallContextKeepsFirstCause(t *testing.T) {
	c := newCallContext()
	derived, cancel := context.WithCancel(c)
	defer cancel()
	c.cancel(context.DeadlineExceeded)
	c.cancel(context.Canceled)
	require.Equal(t, context.DeadlineExceeded, c.Err())
	require.Equal(t, context.DeadlineExceeded, context.Cause(c))
	<-derived.Done()
	require.Equal(t, context.DeadlineExceeded, derived.Err())
	require.Equal(t, context.DeadlineExceeded, context.Cause(derived))
}

func TestCallContextDeadline(t *testing.T) {
	c := newCallContext()
	c.deadline = &callDeadline{at: time.Now().Add(time.Hour)}
	derived, cancel := context.WithTimeout(c, 2*time.Hour)
	defer cancel()
	deadline, ok := derived.Deadline()
	require.True(t, ok)
	require.Equal(t, c.deadline.at, deadline)
}

func TestCallContextValues(t *testing.T) {
	c := newCallContext()
	require.Equal(t, "Serve", c.Value(testKey("of")))
	require.Nil(t, c.Value(testKey("unknown")))
	require.Nil(t, c.Value(nil))
	peer, ok := GetPeer(context.WithValue(c, testKey("k"), 1))
	require.True(t, ok)
	require.Equal(t, "peer", peer.AuthInfo)
	_, ok = GetPeer(t.Context())
	require.False(t, ok)

	_, ok = GetMetadata(c)
	require.False(t, ok, "no metadata is none, not an empty one")
	c.sc.serveCtx = WithMetadata(t.Context(), MD{"k": {"Serve's"}})
	md, ok := GetMetadata(c)
	require.True(t, ok)
	require.Equal(t, MD{"k": {"Serve's"}}, md)
	c.md = MD{"k": {"call's"}}
	md, ok = GetMetadata(c)
	require.True(t, ok)
	require.Equal(t, MD{"k": {"call's"}}, md)
}

// The context of Serve ends for a reason of its own; a call that comes later
// and ends for another one has nothing to do with that.
func TestCauseOfCallIsNotThatOfServe(t *testing.T) {
	serve, cancel := context.WithCancelCause(context.Background())
	cancel(errors.New("reason of Serve's context"))
	srv, err := NewServer()
	require.NoError(t, err)
	near, _ := memConns()
	sc := newServerConn(serve, srv, near)
	call := newServerCall(sc, 1, &inRequest{})
	require.NoError(t, context.Cause(call))
	derived, cancelDerived := context.WithCancel(call)
	defer cancelDerived()
	call.cancel(context.DeadlineExceeded)
	require.Equal(t, context.DeadlineExceeded, call.Err())
	require.Equal(t, context.DeadlineExceeded, context.Cause(call))
	<-derived.Done()
	require.Equal(t, context.DeadlineExceeded, context.Cause(derived))
}

// Package context asks whether a context has ended before it calls AfterFunc; it
// may end in between.
func TestAfterFuncOfCallThatEndsMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCallContext()
		c.cancel(context.Canceled)
		ran := false
		stop := c.AfterFunc(func() { ran = true })
		synctest.Wait()
		require.True(t, ran)
		require.False(t, stop())
	})
}

// What a deadline was going to do is not done once the call has ended, and the call
// is not kept for it.
func TestCallDeadlineStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ran []string
		var first, second callDeadline
		first.after(time.Second, func() {
			ran = append(ran, "deadline")
			first.after(time.Second, func() { ran = append(ran, "patience") })
		})
		second.after(time.Second, func() { ran = append(ran, "stopped") })
		second.stop()
		second.after(time.Second, func() { ran = append(ran, "after the end") })
		<-time.After(time.Second)
		synctest.Wait()
		first.stop()
		<-time.After(time.Minute)
		require.Equal(t, []string{"deadline"}, ran)
	})
}
