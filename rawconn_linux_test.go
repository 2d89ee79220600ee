// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux && !386 && !s390x && !ttrpc_portable

package ttrpc

import (
	"context"
	"io"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// serveEcho serves the method "Echo" of "service" on conn until the test ends.
func serveEcho(t testing.TB, conn net.Conn, opts ...ServerOpt) *Server {
	t.Helper()
	srv, err := NewServer(opts...)
	require.NoError(t, err)
	srv.Register("service", map[string]Method{"Echo": func(_ context.Context, unmarshal func(any) error) (any, error) {
		var m wrapperspb.BytesValue
		return &m, unmarshal(&m)
	}})
	l := newMemListener()
	l.conns <- conn
	served := make(chan error, 1)
	go func() { served <- srv.Serve(context.Background(), l) }()
	t.Cleanup(func() {
		srv.Close()
		receiveOrFail(t, served, "Serve")
	})
	return srv
}

// echo calls the method of serveEcho, and checks the answer.
func echo(t testing.TB, client *Client, message []byte) {
	t.Helper()
	var got wrapperspb.BytesValue
	ctx, cancel := context.WithTimeout(t.Context(), testPatience)
	defer cancel()
	require.NoError(t, client.Call(ctx, "service", "Echo", wrapperspb.Bytes(message), &got), "echo of %d bytes", len(message))
	require.True(t, string(message) == string(got.Value), "echo of %d bytes", len(message))
}

// frameFunc is a channelOwner that takes frames only.
type frameFunc func(frameHeader, []byte) error

func (f frameFunc) receiveFrame(h frameHeader, payload []byte, buf *buffer) error {
	err := f(h, payload)
	buf.release()
	return err
}

func (frameFunc) receiveOversized(frameHeader) error { return nil }
func (frameFunc) writeFailed(error)                  {}
func (frameFunc) frameLate(error)                    {}

// What one end has done before it writes, the other sees when it has read. The
// race detector knows that of Read and Write of package net; tests of our users'
// rely on it, which look at what a handler did once the call is over.
func TestSocketOrdersMemory(t *testing.T) {
	t.Run("a write", func(t *testing.T) {
		near, far := unixPair(t, "unix")
		raw := newRawConn(near, new(atomic.Uint64))
		var note string
		go func() {
			note = "before the write"
			raw.tryWrite([]byte("x"))
		}()
		_, err := far.Read(make([]byte, 1))
		require.NoError(t, err)
		require.Equal(t, "before the write", note)
	})

	t.Run("a read", func(t *testing.T) {
		near, far := unixPair(t, "unix")
		var note string
		ch := newChannel(near, frameFunc(func(frameHeader, []byte) error {
			require.Equal(t, "before the write", note)
			return errInjected
		}), 0)
		go func() {
			note = "before the write"
			far.Write(frameOf(1, frameData, 0, nil))
		}()
		require.Equal(t, errInjected, ch.receive(near, ch.open(near)))
	})
}

// Sockets that keep the bounds of messages lose what a Read has no room for, so
// they are not to be read and written as streams of bytes.
func TestPacketSocketIsNoStreamOfBytes(t *testing.T) {
	near, far := unixPair(t, "unixpacket")
	serveEcho(t, far)
	client := NewClient(near)
	defer client.Close()
	for _, n := range []int{0, 100, 4000, 4086, 4096, 5000, 30_000, 33_000, 60_000, 100_000} {
		echo(t, client, fill(n, n))
	}
	const callers = 8
	done := make(chan struct{}, callers)
	for c := range callers {
		go func() {
			defer func() { done <- struct{}{} }()
			for i := range 20 {
				n := []int{10, 2000, 4070, 9000}[(c+i)%4]
				var got wrapperspb.BytesValue
				if err := client.Call(t.Context(), "service", "Echo", wrapperspb.Bytes(fill(i, n)), &got); err != nil || string(got.Value) != string(fill(i, n)) {
					t.Errorf("echo of %d bytes: %d bytes, %v", n, len(got.Value), err)
					return
				}
			}
		}()
	}
	for range callers {
		receiveOrFail(t, done, "the callers")
	}
}

// Another holder of the same socket, a process that it was passed to for one,
// may have made it blocking. That must not stop this process: a read that waits
// without the scheduler's knowing holds up the garbage collector, and with it
// everything.
func TestSocketThatIsBlockingDoesNotStopProcess(t *testing.T) {
	if raceDetector {
		t.Skip("with the race detector, the scheduler knows of the system calls, and they may wait")
	}
	near, far := unixPair(t, "unix")
	rc, err := near.SyscallConn()
	require.NoError(t, err)
	require.NoError(t, rc.Control(func(fd uintptr) {
		require.NoError(t, unix.SetNonblock(int(fd), false))
	}))
	raw := newRawConn(near, new(atomic.Uint64))
	require.NotNil(t, raw)
	stuck := time.AfterFunc(testPatience/4, func() {
		t.Error("a write waits for the peer")
		far.Close()
	})
	defer stuck.Stop()
	// As many bytes as the socket takes, and more, without waiting.
	var total int
	for {
		n, err := raw.tryWrite(make([]byte, 32<<10))
		require.NoError(t, err)
		if total += n; n < 32<<10 {
			break
		}
	}
	n, err := io.CopyN(io.Discard, far, int64(total))
	require.NoError(t, err)
	require.Equal(t, int64(total), n)
}

// The end of a connection is noticed though it comes with the last bytes, in
// one event of the poller.
func TestEndBehindLastBytesIsNoticed(t *testing.T) {
	for _, how := range []struct {
		name string
		end  func(*net.UnixConn) error
	}{
		{"close", (*net.UnixConn).Close},
		{"half-close", (*net.UnixConn).CloseWrite},
	} {
		t.Run(how.name, func(t *testing.T) {
			for i := range 30 {
				near, far := unixPair(t, "unix")
				client := NewClient(near)
				_, err := far.Write(frameOf(2, frameData, 0, fill(i, i)))
				require.NoError(t, err)
				require.NoError(t, how.end(far))
				require.NoError(t, client.UserOnCloseWait(t.Context()))
				far.Close()
			}
		})
	}
}

// A short read that is not the last of what is there, because file descriptors
// came along, does not leave the rest lying.
func TestShortReadBeforeDescriptorLeavesNothing(t *testing.T) {
	near, far := unixPair(t, "unix")
	client := NewClient(near)
	defer client.Close()
	answer := func(id uint32, payload string) []byte {
		b, err := appendResponse(nil, prepareBytes(append([]byte{0x0a, byte(len(payload))}, payload...)))
		require.NoError(t, err)
		return frameOf(id, frameResponse, 0, b)
	}
	for i := range 20 {
		id := uint32(4*i + 1)
		ends := make(chan error, 2)
		var got [2]wrapperspb.StringValue
		for c := range got {
			go func() { ends <- client.Call(t.Context(), "service", "Method", &wrapperspb.StringValue{}, &got[c]) }()
		}
		for range 2 {
			_, err := readFrame(far)
			require.NoError(t, err)
		}
		first, second := answer(id, "first"), answer(id+2, "second")
		// The descriptor goes with the second Write; a read stops there.
		_, err := far.Write(first[:len(first)-3])
		require.NoError(t, err)
		_, _, err = far.WriteMsgUnix(append(first[len(first)-3:], second...), syscall.UnixRights(int(os.Stdin.Fd())), nil)
		require.NoError(t, err)
		require.NoError(t, receiveOrFail(t, ends, "the first call"))
		require.NoError(t, receiveOrFail(t, ends, "the second call"))
	}
}
