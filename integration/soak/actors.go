// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"github.com/containerd/ttrpc"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// act does one thing on a connection.
type act func(ctx context.Context, client *ttrpc.Client, rnd *rand.Rand) error

// actors are what goes on at once. Those with a connection of their own keep it
// for some acts, and then make another; each has as many goroutines on it as it
// says.
var actors = []struct {
	name       string
	act        act
	goroutines int
	acts       int // of each goroutine on one connection
}{
	{"call", call, 8, 500},
	{"short-lived connection", call, 1, 1},
	{"large call", largeCall, 2, 20},
	{"cancelled call", cancelled, 4, 100},
	{"late call", late, 4, 100},
	{"server stream", serverStream, 2, 50},
	{"client stream", clientStream, 2, 50},
	{"both ways", bothWays, 4, 50},
	{"abandoned stream", abandoned, 2, 50},
	{"overfull stream", overfull, 1, 5},
	{"client that goes", goes, 2, 1},
}

// work has all actors act until end.
func work(path string, end time.Time, seed uint64, t *tally) {
	ctx, cancel := context.WithDeadline(context.Background(), end)
	defer cancel()
	var wg sync.WaitGroup
	for i, a := range actors {
		wg.Go(func() {
			for n := uint64(0); ctx.Err() == nil; n++ {
				onConnection(ctx, path, func(client *ttrpc.Client) {
					var users sync.WaitGroup
					for g := range a.goroutines {
						rnd := rand.New(rand.NewPCG(seed+n<<8, uint64(i)<<32|uint64(g)))
						users.Go(func() {
							for k := 0; k < a.acts && ctx.Err() == nil; k++ {
								t.add(a.name, a.act(ctx, client, rnd))
							}
						})
					}
					users.Wait()
				}, func(err error) { t.add(a.name, err) })
			}
		})
	}
	wg.Go(func() { talkNonsense(ctx, path, rand.New(rand.NewPCG(seed, 1)), t) })
	wg.Wait()
}

// onConnection calls use with a client on a connection of its own.
func onConnection(ctx context.Context, path string, use func(*ttrpc.Client), failed func(error)) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", path)
	if err != nil {
		failed(err)
		return
	}
	client := ttrpc.NewClient(conn, ttrpc.WithClientReceiveBudget(1<<20, 8<<20))
	defer client.Close()
	use(client)
}

// payload returns n bytes that no other payload has, if there is room for that.
func payload(rnd *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := 0; i+8 <= len(b); i += 512 {
		binary.BigEndian.PutUint64(b[i:], rnd.Uint64())
	}
	return b
}

// same reports an answer that is not what it should be.
func same(want, got []byte) error {
	if !bytes.Equal(want, got) {
		return fmt.Errorf("%w: %d bytes for %d", errWrongAnswer, len(got), len(want))
	}
	return nil
}

func call(ctx context.Context, client *ttrpc.Client, rnd *rand.Rand) error {
	return echo(ctx, client, payload(rnd, rnd.IntN(1<<rnd.IntN(14))))
}

func largeCall(ctx context.Context, client *ttrpc.Client, rnd *rand.Rand) error {
	return echo(ctx, client, payload(rnd, rnd.IntN(4<<20-1<<10)))
}

func echo(ctx context.Context, client *ttrpc.Client, b []byte) error {
	var got wrapperspb.BytesValue
	if err := client.Call(ctx, service, "Echo", wrapperspb.Bytes(b), &got); err != nil {
		return err
	}
	return same(b, got.GetValue())
}

// cancelled gives a call up at some time or other.
func cancelled(ctx context.Context, client *ttrpc.Client, rnd *rand.Rand) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := time.AfterFunc(time.Duration(rnd.IntN(300))*time.Microsecond, cancel)
	defer stop.Stop()
	return client.Call(ctx, service, "Wait", &wrapperspb.BytesValue{}, &wrapperspb.BytesValue{})
}

// late makes a call whose deadline passes.
func late(ctx context.Context, client *ttrpc.Client, rnd *rand.Rand) error {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(rnd.IntN(2000))*time.Microsecond)
	defer cancel()
	return client.Call(ctx, service, "Wait", &wrapperspb.BytesValue{}, &wrapperspb.BytesValue{})
}

var (
	fromServer = &ttrpc.StreamDesc{StreamingServer: true}
	fromClient = &ttrpc.StreamDesc{StreamingClient: true}
	fromBoth   = &ttrpc.StreamDesc{StreamingClient: true, StreamingServer: true}
)

func serverStream(ctx context.Context, client *ttrpc.Client, rnd *rand.Rand) error {
	b := payload(rnd, rnd.IntN(500))
	stream, err := client.NewStream(ctx, fromServer, service, "Source", wrapperspb.Bytes(b))
	if err != nil {
		return err
	}
	for n := 0; ; n++ {
		var got wrapperspb.BytesValue
		err := stream.RecvMsg(&got)
		switch {
		case errors.Is(err, io.EOF) && n == len(b):
			return nil
		case errors.Is(err, io.EOF):
			return fmt.Errorf("%w: %d messages for %d", errWrongAnswer, n, len(b))
		case err != nil:
			return err
		}
		if err := same(b, got.GetValue()); err != nil {
			return err
		}
	}
}

func clientStream(ctx context.Context, client *ttrpc.Client, rnd *rand.Rand) error {
	stream, err := client.NewStream(ctx, fromClient, service, "Sink", nil)
	if err != nil {
		return err
	}
	n := rnd.Int64N(300)
	for range n {
		if err := stream.SendMsg(wrapperspb.Bytes(payload(rnd, rnd.IntN(5000)))); err != nil {
			return err
		}
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	var got wrapperspb.Int64Value
	if err := stream.RecvMsg(&got); err != nil {
		return err
	}
	if got.GetValue() != n {
		return fmt.Errorf("%w: %d messages for %d", errWrongAnswer, got.GetValue(), n)
	}
	return nil
}

func bothWays(ctx context.Context, client *ttrpc.Client, rnd *rand.Rand) error {
	stream, err := client.NewStream(ctx, fromBoth, service, "Both", nil)
	if err != nil {
		return err
	}
	for range rnd.IntN(100) {
		b := payload(rnd, rnd.IntN(5000))
		if err := stream.SendMsg(wrapperspb.Bytes(b)); err != nil {
			return err
		}
		var got wrapperspb.BytesValue
		if err := stream.RecvMsg(&got); err != nil {
			return err
		}
		if err := same(b, got.GetValue()); err != nil {
			return err
		}
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	if err := stream.RecvMsg(nil); !errors.Is(err, io.EOF) {
		return fmt.Errorf("at the end: %w", err)
	}
	return nil
}

// abandoned opens a stream, uses it a little, and cancels it.
func abandoned(ctx context.Context, client *ttrpc.Client, rnd *rand.Rand) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := client.NewStream(ctx, fromServer, service, "Source", wrapperspb.Bytes(payload(rnd, 1000)))
	if err != nil {
		return err
	}
	for range rnd.IntN(20) {
		if err := stream.RecvMsg(new(wrapperspb.BytesValue)); err != nil {
			return err
		}
	}
	return nil
}

// overfull sends to a handler that receives nothing, until the stream ends.
func overfull(ctx context.Context, client *ttrpc.Client, rnd *rand.Rand) error {
	stream, err := client.NewStream(ctx, fromClient, service, "Deaf", nil)
	if err != nil {
		return err
	}
	for {
		if err := stream.SendMsg(wrapperspb.Bytes(payload(rnd, 20_000))); err != nil {
			return err
		}
	}
}

// goes leaves in the middle of calls and streams.
func goes(ctx context.Context, client *ttrpc.Client, rnd *rand.Rand) error {
	stream, err := client.NewStream(ctx, fromBoth, service, "Both", nil)
	if err != nil {
		return err
	}
	go client.Call(ctx, service, "Wait", &wrapperspb.BytesValue{}, &wrapperspb.BytesValue{}) //nolint:errcheck // it will be ErrClosed
	if err := stream.SendMsg(wrapperspb.Bytes(payload(rnd, rnd.IntN(100_000)))); err != nil {
		return err
	}
	return client.Close()
}

// talkNonsense connects again and again, to send bytes that mean nothing, or
// frames that are wrong, and reads what comes back for a moment.
func talkNonsense(ctx context.Context, path string, rnd *rand.Rand, t *tally) {
	for ctx.Err() == nil {
		conn, err := net.Dial("unix", path)
		if err != nil {
			t.add("nonsense", err)
			continue
		}
		b := make([]byte, 10+rnd.IntN(2000))
		for i := range b {
			b[i] = byte(rnd.Uint32())
		}
		if rnd.IntN(4) > 0 { // like a frame
			b[0], b[1] = 0, 0
			b[8] = byte(rnd.IntN(5))
		}
		_ = conn.SetDeadline(time.Now().Add(time.Duration(rnd.IntN(5)) * time.Millisecond))
		_, _ = conn.Write(b)
		_, err = io.Copy(io.Discard, conn)
		if !errors.Is(err, net.ErrClosed) {
			err = nil // whatever came of it
		}
		t.add("nonsense", err)
		conn.Close()
	}
}
