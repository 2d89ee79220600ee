// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux && !386 && !s390x && !ttrpc_portable

package ttrpc

import (
	"context"
	"io"
	"net"
	"os"
	"runtime"
	"sync"
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

// frameOwner is a channelOwner that takes frames, and the end.
type frameOwner struct {
	frameFunc
	ended chan error
}

func (o frameOwner) receiveEnded(err error) { o.ended <- err }

// frameFunc is what a frameOwner does with frames.
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
		owner := frameOwner{func(frameHeader, []byte) error {
			require.Equal(t, "before the write", note)
			return errInjected
		}, make(chan error, 1)}
		ch := newChannel(near, owner, &defaultChannelLimits)
		go func() {
			note = "before the write"
			far.Write(frameOf(1, frameData, 0, nil))
		}()
		ch.receive(near, ch.open(near))
		require.Equal(t, errInjected, <-owner.ended)
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
	passDescriptors(t, near)
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

// passDescriptors lets descriptors through again, where the kernel can refuse them.
func passDescriptors(t *testing.T, conn *net.UnixConn) {
	setPassRights(t, conn, 1)
}

// setPassRights returns the error of the kernel, if it does not know the option.
func setPassRights(t *testing.T, conn *net.UnixConn, value int) (unknown error) {
	rc, err := conn.SyscallConn()
	require.NoError(t, err)
	require.NoError(t, rc.Control(func(fd uintptr) {
		unknown = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_PASSRIGHTS, value)
	}))
	if unknown != nil {
		require.ErrorIs(t, unknown, unix.ENOPROTOOPT)
	}
	return unknown
}

// A peer cannot have us close descriptors, which may take long, while we read.
func TestDescriptorsAreRefused(t *testing.T) {
	near, far := unixPair(t, "unix")
	if err := setPassRights(t, far, 0); err != nil {
		t.Skip("the kernel cannot refuse descriptors, which came with Linux 6.16:", err)
	}
	client := NewClient(near)
	defer client.Close()
	call := func() error {
		return client.Call(t.Context(), "service", "Method", &wrapperspb.StringValue{}, &wrapperspb.StringValue{})
	}
	ends := make(chan error, 1)
	go func() { ends <- call() }()
	_, err := readFrame(far) // so the client has the connection open
	require.NoError(t, err)
	answer := frameOf(1, frameResponse, 0, nil)
	_, _, err = far.WriteMsgUnix(answer, syscall.UnixRights(int(os.Stdin.Fd())), nil)
	require.ErrorIs(t, err, unix.EPERM)
	_, err = far.Write(answer)
	require.NoError(t, err)
	require.NoError(t, receiveOrFail(t, ends, "the call"))
}

// A frame may be under way, or arrive at that very moment, when a connection
// gets a new reader.
func TestRenewedReaderLosesNothing(t *testing.T) {
	near, far := unixPair(t, "unix")
	readers := make(chan uint64, 1)
	owner := frameOwner{func(h frameHeader, payload []byte) error {
		require.Equal(t, fill(int(h.streamID), 100), payload)
		readers <- currentGoroutine()
		return nil
	}, make(chan error, 1)}
	ch := newChannel(near, owner, &defaultChannelLimits)
	go ch.receive(near, ch.open(near))

	frame := func(id uint32) []byte { return frameOf(id, frameData, 0, fill(int(id), 100)) }
	write := func(b []byte) {
		_, err := far.Write(b)
		require.NoError(t, err)
	}
	// renew has a new reader take over, and waits until that has happened.
	renew := func() {
		ch.renewReader()
		for ch.renewing.Load() {
			runtime.Gosched()
		}
	}
	write(frame(1))
	first := <-readers
	renew()
	write(frame(3))
	second := <-readers
	require.NotEqual(t, first, second)

	write(frame(5)[:50]) // in part
	renew()
	write(frame(5)[50:])
	require.NotEqual(t, second, <-readers)

	var wg sync.WaitGroup
	wg.Go(func() {
		for range 1000 {
			ch.renewReader()
			runtime.Gosched()
		}
	})
	for id := uint32(7); id < 7+2*1000; id += 2 {
		write(frame(id))
		<-readers
	}
	wg.Wait()
	require.NoError(t, far.Close())
	require.Equal(t, io.EOF, <-owner.ended)
}

// The workers' second look at an idle connection gives it a new reader.
func TestIdleConnectionGetsNewReader(t *testing.T) {
	near, far := unixPair(t, "unix")
	server := serveEcho(t, far)
	server.workers.onTrim = nil // which would look, too
	client := NewClient(near)
	defer client.Close()
	renewed := func() int {
		idle := server.newlyIdle()
		for _, sc := range idle {
			sc.renewReader()
		}
		return len(idle)
	}
	require.Zero(t, renewed()) // it has not been used
	for range 3 {
		echo(t, client, fill(1, 10))
		require.Zero(t, renewed(), "at the first look")
		for renewed() == 0 {
			runtime.Gosched() // the answer may be here before its sender has counted it
		}
		require.Zero(t, renewed(), "after it has a new reader")
	}
	echo(t, client, fill(1, 10))
}

// A connection that is closed in that moment ends as always.
func TestClosedConnectionGetsNoNewReader(t *testing.T) {
	for range 100 {
		near, far := unixPair(t, "unix")
		owner := frameOwner{func(frameHeader, []byte) error { return nil }, make(chan error, 1)}
		ch := newChannel(near, owner, &defaultChannelLimits)
		go ch.receive(near, ch.open(near))
		go ch.renewReader()
		ch.close(ErrClosed)
		require.ErrorIs(t, <-owner.ended, net.ErrClosed)
		ch.renewReader()
		far.Close()
	}
}
