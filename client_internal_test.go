// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package ttrpc

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// handshakeFunc is a Handshaker.
type handshakeFunc func(context.Context, net.Conn) (net.Conn, any, error)

func (f handshakeFunc) Handshake(ctx context.Context, conn net.Conn) (net.Conn, any, error) {
	return f(ctx, conn)
}

// Calls wait for the handshake. When it is over, the client must read while it
// writes them: a server that answers one call before it reads the next would
// otherwise wait for the client for ever, and the client for it.
func TestClientReadsWhileItWritesCallsThatWaitedForHandshake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		shaken := make(chan struct{})
		client := NewClient(near, WithClientHandshaker(handshakeFunc(func(_ context.Context, conn net.Conn) (net.Conn, any, error) {
			<-shaken
			return conn, nil, nil
		})))
		const calls = 3
		ends := make(chan error, calls)
		for range calls {
			go func() {
				ends <- client.Call(t.Context(), "service", "Method", wrapperspb.String("x"), &wrapperspb.StringValue{})
			}()
		}
		synctest.Wait()
		close(shaken)
		ids := make(chan uint32, calls)
		go answerAll(far, ids)
		synctest.Wait()
		answered := len(ends)
		far.Close()
		client.Close()
		require.Equal(t, calls, answered, "calls answered")
		for range calls {
			require.NoError(t, <-ends)
		}
	})
}

// A message whose own code panics costs its call: whoever recovers can go on,
// also with large messages, which are encoded one at a time.
func TestPanicOfMessageLeavesTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := memConns()
		go answerAll(far, make(chan uint32, 100))
		client := NewClient(near, WithClientVTProtobuf())
		defer client.Close()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		stream, err := client.NewStream(ctx, &StreamDesc{StreamingClient: true}, "service", "Stream", nil)
		require.NoError(t, err)
		broken := brokenVT{wrapperspb.String("x"), turnSize}
		require.Panics(t, func() { client.Call(ctx, "service", "Method", broken, &wrapperspb.StringValue{}) })
		require.Panics(t, func() { client.NewStream(ctx, &StreamDesc{}, "service", "Stream", broken) })
		require.Panics(t, func() { stream.SendMsg(broken) })
		large := wrapperspb.Bytes(make([]byte, turnSize))
		require.NoError(t, client.Call(ctx, "service", "Method", large, &wrapperspb.StringValue{}))
	})
}

// Call and RecvMsg say in their comments what they return for an answer that
// makes no sense.
func TestMalformedAnswerIsProtocolError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := memConns()
		client := NewClient(near)
		defer client.Close()
		nonsense := []byte{0x0a, 0x05, 'x'} // a status that is cut off
		go func() {
			readFrame(far)
			far.Write(frameOf(1, frameResponse, 0, nonsense))
			readFrame(far)
			far.Write(frameOf(3, frameResponse, 0, nonsense))
		}()
		require.ErrorIs(t, client.Call(t.Context(), "s", "m", wrapperspb.String(""), &wrapperspb.StringValue{}), ErrProtocol)
		stream, err := client.NewStream(t.Context(), &StreamDesc{StreamingServer: true}, "s", "m", wrapperspb.String(""))
		require.NoError(t, err)
		require.ErrorIs(t, stream.RecvMsg(&wrapperspb.StringValue{}), ErrProtocol)
	})
}

// However calls and streams, of every size, are mixed with calls that are given
// up at any time: nobody gets what belongs to another, though records, buffers
// and goroutines are used again and again.
func TestNobodyGetsAnothersMessage(t *testing.T) {
	for _, kind := range []struct {
		name string
		pair func(*testing.T) (near, far net.Conn)
	}{
		{"socket", func(t *testing.T) (net.Conn, net.Conn) { return unixPair(t, "unix") }},
		{"pipe", func(*testing.T) (net.Conn, net.Conn) { return net.Pipe() }},
	} {
		t.Run(kind.name, func(t *testing.T) {
			near, far := kind.pair(t)
			l := startTestServer(t, allocServer(t))
			l.conns <- far
			client := NewClient(near)
			defer client.Close()
			var wg sync.WaitGroup
			for c := range 8 {
				wg.Go(func() { mixCalls(t, client, c) })
				wg.Go(func() { mixMessages(t, client, 100+c) })
			}
			wg.Wait()
		})
	}
}

// mixSizes are sizes that take different ways through both ends.
var mixSizes = []int{0, 10, 100, 600, 5000, 30_000, 40_000}

// mixCalls makes calls, of which every third is given up, sooner or later.
func mixCalls(t *testing.T, client *Client, seed int) {
	rnd := rand.New(rand.NewPCG(uint64(seed), 0))
	var got wrapperspb.BytesValue
	for i := range 40 {
		message := fill(1000*seed+i, mixSizes[rnd.IntN(len(mixSizes))])
		ctx, cancel := context.WithCancel(t.Context())
		if i%3 == 0 {
			go func() {
				if i%2 == 0 {
					client.inFlight() // a little later
				}
				cancel()
			}()
		}
		err := client.Call(ctx, "service", "Echo", wrapperspb.Bytes(message), &got)
		cancel()
		switch {
		case err == nil && !bytes.Equal(message, got.Value):
			t.Errorf("caller %d: the answer to call %d belongs to another", seed, i)
		case err != nil && (i%3 != 0 || !errors.Is(err, context.Canceled)):
			t.Errorf("caller %d: call %d: %v", seed, i, err)
		}
	}
}

// mixMessages sends messages on a stream, a few ahead of the receiver; what is
// left at the end is given up.
func mixMessages(t *testing.T, client *Client, seed int) {
	rnd := rand.New(rand.NewPCG(uint64(seed), 0))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for s := range 3 {
		if err := mixStream(ctx, client, rnd, 1000*seed+100*s); err != nil {
			t.Errorf("stream %d of %d: %v", s, seed, err)
		}
	}
}

func mixStream(ctx context.Context, client *Client, rnd *rand.Rand, seed int) error {
	stream, err := client.NewStream(ctx, &StreamDesc{true, true}, "service", "EchoStream", nil)
	if err != nil {
		return err
	}
	var sent [][]byte
	var got wrapperspb.BytesValue
	for i := range 20 {
		sent = append(sent, fill(seed+i, mixSizes[rnd.IntN(len(mixSizes))]))
		if err := stream.SendMsg(wrapperspb.Bytes(sent[i])); err != nil {
			return err
		}
		if i < 3 {
			continue
		}
		if err := stream.RecvMsg(&got); err != nil {
			return err
		}
		if !bytes.Equal(sent[i-3], got.Value) {
			return fmt.Errorf("message %d belongs to another", i-3)
		}
	}
	return stream.CloseSend()
}

// When a call's context ends at the moment that its answer arrives, the
// goroutine that reads has the record in its hands: the caller waits for it, and
// takes the answer.
func TestCallerWaitsForAnswerThatIsJustArriving(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, _ := memConns()
		client := NewClient(near)
		defer client.Close()
		call := client.newCall()
		require.NoError(t, client.register(call, &call.id))
		require.True(t, client.forget(call.id)) // as the reader does
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		ends := make(chan error, 1)
		go func() { ends <- call.wait(ctx) }()
		synctest.Wait()
		require.Empty(t, ends, "the caller has left, and somebody else writes to its record")
		call.receiveFrame(frameHeader{typ: frameResponse}, []byte("answer"), nil)
		require.NoError(t, <-ends)
		require.Equal(t, "answer", string(call.response))
	})
}

// A context that lives longer than the streams that were opened with it does not
// hold on to them.
func TestStreamThatHasEndedIsForgottenByItsContext(t *testing.T) {
	answer := func(b []byte) func(*memConn, *Client) { return func(far *memConn, _ *Client) { far.Write(b) } }
	for _, tt := range []struct {
		name string
		end  func(*memConn, *Client)
	}{
		{"success", answer(frameOf(1, frameData, flagRemoteClosed|flagNoData, nil))},
		{"status", answer(responseFrame(1, oversizedStatus(5, messageLengthMax).Proto(), messageLengthMax))},
		{"nonsense", answer(frameOf(1, frameRequest, 0, nil))},
		{"connection", func(far *memConn, _ *Client) { far.Close() }},
		{"client", func(_ *memConn, client *Client) { client.Close() }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				near, far := memConns()
				client := NewClient(near)
				ctx := newCallContext()
				_, err := client.NewStream(ctx, &StreamDesc{StreamingServer: true}, "s", "m", wrapperspb.String(""))
				require.NoError(t, err)
				synctest.Wait()
				require.Len(t, ctx.after, 1)
				tt.end(far, client)
				synctest.Wait()
				require.Empty(t, ctx.after)
				client.Close()
			})
		})
	}
}

// lazyContext is a context that has ended, while the functions that are to be
// run then have not been yet: as every context is for a moment.
type lazyContext struct {
	context.Context
	done chan struct{}
}

func (c *lazyContext) Done() <-chan struct{} { return c.done }

func (c *lazyContext) Err() error {
	select {
	case <-c.done:
		return context.DeadlineExceeded
	default:
		return nil
	}
}

func (*lazyContext) AfterFunc(func()) func() bool { return func() bool { return true } }

// A handshake that comes to its end because its context has ended is too late,
// whatever it says, and its connection is closed.
func TestLateHandshakeIsRefused(t *testing.T) {
	near, far := memConns()
	ctx := &lazyContext{context.Background(), make(chan struct{})}
	late := handshakeFunc(func(context.Context, net.Conn) (net.Conn, any, error) {
		close(ctx.done)
		return near, nil, nil
	})
	wrapped, _, err := handshake(ctx, late, 0, near)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Nil(t, wrapped)
	_, err = far.Write([]byte("x"))
	require.Error(t, err, "the connection is open")
}
