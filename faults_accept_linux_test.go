// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package ttrpc_test

import (
	"context"
	"errors"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/containerd/ttrpc"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// shortListener is a listener whose Accept fails while the process, or the
// machine, is short of something.
type shortListener struct {
	*memoryListener
	short atomic.Pointer[error]
	fails atomic.Int32
}

func (l *shortListener) Accept() (net.Conn, error) {
	if err := l.short.Load(); err != nil {
		l.fails.Add(1)
		return nil, *err
	}
	return l.memoryListener.Accept()
}

// While Accept fails for want of something, connections go on, and new ones wait;
// they are served when it is over, a second later at the latest. The log has a
// line every ten seconds.
func TestAcceptFailsForMinutes(t *testing.T) {
	for _, errno := range []syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.EINTR, syscall.ENOMEM, syscall.ENOBUFS} {
		t.Run(errno.Error(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				logged := make(lineLogger, 64)
				srv := faultServer(t, nil, nil, ttrpc.WithServerLogger(logged))
				l := &shortListener{memoryListener: newMemoryListener()}
				near, far := wirePair(0)
				l.conns <- far
				serveOn(t, srv, l)
				before := newClient(t, near)
				requireEcho(t, before)
				synctest.Wait()

				var short error = &net.OpError{Op: "accept", Net: "unix", Err: os.NewSyscallError("accept4", errno)}
				l.short.Store(&short)
				accepted, far := wirePair(0)
				l.conns <- far // the Accept that is waiting takes it
				requireEcho(t, newClient(t, accepted))
				waiting, far := wirePair(0)
				l.conns <- far
				after := goCall(t.Context(), newClient(t, waiting), "Echo", "x")
				for range 5 {
					<-time.After(time.Minute)
					requireEcho(t, before)
				}
				require.Empty(t, after, "a connection that has not been accepted is served")
				l.short.Store(nil)
				over := time.Now()
				require.Equal(t, callOutcome{value: "x"}, await(t, after, "the new connection"))
				require.LessOrEqual(t, time.Since(over), time.Second)
				require.Len(t, logged, 30, "lines in the log")
				t.Logf("%v: %d failures of Accept in 5 minutes, %d lines in the log", errno, l.fails.Load(), len(logged))
			})
		})
	}
}

// exhausted are descriptors that keep others from having any.
type exhausted struct {
	files []*os.File
}

// exhaust opens what can be opened, and reports how many that was.
func (e *exhausted) exhaust(context.Context, func(any) error) (any, error) {
	for {
		f, err := os.Open(os.DevNull)
		if errors.Is(err, syscall.EMFILE) {
			return wrapperspb.Int64(int64(len(e.files))), nil
		}
		if err != nil {
			return nil, err
		}
		e.files = append(e.files, f)
	}
}

func (e *exhausted) free(context.Context, func(any) error) (any, error) {
	for _, f := range e.files {
		f.Close()
	}
	return &wrapperspb.Int64Value{}, nil
}

// fewDescriptors is a server that may have few descriptors.
var fewDescriptors = map[string]func(t *testing.T, socket string){
	"server": func(t *testing.T, socket string) {
		limit := syscall.Rlimit{Cur: 40, Max: 40}
		require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit))
		var e exhausted
		failed := make(chanLogger, 64)
		srv := faultServer(t, map[string]ttrpc.Method{"Exhaust": e.exhaust, "Free": e.free}, nil, ttrpc.WithServerLogger(failed))
		l, err := net.Listen("unix", socket)
		require.NoError(t, err)
		go func() { tell("%s", <-failed) }()
		tell("listening")
		require.NoError(t, srv.Serve(t.Context(), l))
	},
}

// A server that has used up its descriptors goes on with the connections that it
// has, and takes new ones when there are descriptors again.
func TestServerRunsOutOfDescriptors(t *testing.T) {
	if isPeer(t, fewDescriptors) {
		return
	}
	socket := socketPath(t)
	peer := startPeer(t, "server", socket)
	peer.says("listening")
	before := dialPeer(t, socket)
	requireEcho(t, before)
	var n wrapperspb.Int64Value
	require.NoError(t, before.Call(t.Context(), faultService, "Exhaust", wrapperspb.String(""), &n))
	require.Positive(t, n.Value, "descriptors that were left")

	waiting := dialPeer(t, socket) // the kernel accepts it for now
	call := goCall(t.Context(), waiting, "Echo", "x")
	require.Contains(t, await(t, peer.lines, "the log"), "ttrpc: failed accept; backoff 1ms")
	for range 100 {
		requireEcho(t, before)
	}
	require.Empty(t, call)
	require.NoError(t, before.Call(t.Context(), faultService, "Free", wrapperspb.String(""), &wrapperspb.Int64Value{}))
	require.Equal(t, callOutcome{value: "x"}, await(t, call, "the connection that waited"))
	requireEcho(t, dialPeer(t, socket))
	requireEcho(t, before)
	t.Logf("the server had %d descriptors left, then none, and recovered", n.Value)
}
