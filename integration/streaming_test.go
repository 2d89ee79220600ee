// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/containerd/ttrpc"
	"github.com/containerd/ttrpc/integration/streaming"
	"github.com/stretchr/testify/require"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"
)

// maxPayload is the most that a frame can carry (PROTOCOL.md, "Limits").
const maxPayload = 4 << 20

// receiveAll receives messages until the end of the stream, which must be a
// good one, and stays the end.
func receiveAll[M any](t *testing.T, recv func() (M, error)) []M {
	t.Helper()
	var received []M
	require.NoError(t, each(recv, func(m M) error {
		received = append(received, m)
		return nil
	}))
	_, err := recv()
	require.Equal(t, io.EOF, err)
	return received
}

// numbers returns the numbers of blobs.
func numbers(blobs []*streaming.Blob) []int64 {
	list := make([]int64, 0, len(blobs))
	for _, b := range blobs {
		list = append(list, b.GetNumber())
	}
	return list
}

// requireDivisionByZero requires err to be that of the service, with details.
func requireDivisionByZero(t *testing.T, err error) {
	t.Helper()
	s, ok := status.FromError(err)
	require.True(t, ok, "%v", err)
	require.Equal(t, codes.InvalidArgument, s.Code())
	require.Equal(t, "division by zero", s.Message())
	require.Len(t, s.Details(), 1)
	require.IsType(t, new(errdetails.BadRequest), s.Details()[0])
	violations := s.Details()[0].(*errdetails.BadRequest).GetFieldViolations()
	require.Len(t, violations, 1)
	require.Equal(t, "divisor", violations[0].GetField())
}

func TestUnary(t *testing.T) {
	c := start(t)
	resp, err := c.Divide(t.Context(), &streaming.Division{Dividend: 17, Divisor: 5})
	require.NoError(t, err)
	require.EqualValues(t, 3, resp.GetQuotient())
	require.EqualValues(t, 2, resp.GetRemainder())

	resp, err = c.Divide(t.Context(), &streaming.Division{Dividend: 17})
	requireDivisionByZero(t, err)
	require.Nil(t, resp)

	empty, err := c.Ping(t.Context(), &emptypb.Empty{})
	require.NoError(t, err)
	require.NotNil(t, empty)
}

func TestClientStream(t *testing.T) {
	c := start(t)
	for _, count := range []int64{0, 1, 1000} {
		t.Run(fmt.Sprint(count), func(t *testing.T) {
			stream, err := c.Sum(t.Context())
			require.NoError(t, err)
			for i := range count {
				require.NoError(t, stream.Send(&streaming.Number{Value: i}))
			}
			total, err := stream.CloseAndRecv()
			require.NoError(t, err)
			require.Equal(t, count, total.GetCount())
			require.Equal(t, count*(count-1)/2, total.GetSum())
		})
	}
}

func TestServerStream(t *testing.T) {
	c := start(t)
	for _, test := range []struct {
		dividend, divisor int64
		want              []int64
	}{
		{dividend: 10, divisor: 3, want: []int64{4, 3, 3}},
		{dividend: 0, divisor: 2, want: []int64{0, 0}},
		{dividend: 1, divisor: -1, want: nil},
	} {
		t.Run(fmt.Sprintf("%d by %d", test.dividend, test.divisor), func(t *testing.T) {
			stream, err := c.Share(t.Context(), &streaming.Division{Dividend: test.dividend, Divisor: test.divisor})
			require.NoError(t, err)
			var shares []int64
			for _, n := range receiveAll(t, stream.Recv) {
				shares = append(shares, n.GetValue())
			}
			require.Equal(t, test.want, shares)
		})
	}
}

func TestServerStreamEndsWithErrorAndDetails(t *testing.T) {
	c := start(t)
	stream, err := c.Share(t.Context(), &streaming.Division{Dividend: 1})
	require.NoError(t, err)
	_, err = stream.Recv()
	requireDivisionByZero(t, err)
}

// Hangs on upstream v1.2.10.
func TestErrorOfStreamIsThereForEveryReceive(t *testing.T) {
	c := start(t)
	stream, err := c.Share(t.Context(), &streaming.Division{Dividend: 1})
	require.NoError(t, err)
	for range 3 {
		_, err = stream.Recv()
		requireDivisionByZero(t, err)
	}
}

func TestBidirectionalStreamInTurns(t *testing.T) {
	c := start(t)
	stream, err := c.Echo(t.Context())
	require.NoError(t, err)
	for i := range int64(100) {
		sent := &streaming.Blob{Number: i, Data: bytes.Repeat([]byte{byte(i)}, int(i))}
		require.NoError(t, stream.Send(sent))
		received, err := stream.Recv()
		require.NoError(t, err)
		require.True(t, proto.Equal(sent, received))
	}
	require.NoError(t, stream.CloseSend())
	require.Empty(t, receiveAll(t, stream.Recv))
}

// Nothing is read before everything is sent.
func TestBidirectionalStreamKeepsOrder(t *testing.T) {
	c := start(t)
	stream, err := c.Echo(t.Context())
	require.NoError(t, err)
	var want []int64
	for i := range int64(500) {
		want = append(want, i)
		require.NoError(t, stream.Send(&streaming.Blob{Number: i}))
	}
	require.NoError(t, stream.CloseSend())
	require.Equal(t, want, numbers(receiveAll(t, stream.Recv)))
}

// A message without anything in it is a message like any other, wherever it
// stands.
func TestEmptyMessages(t *testing.T) {
	t.Run("bidirectional", func(t *testing.T) {
		stream, err := start(t).Echo(t.Context())
		require.NoError(t, err)
		want := []int64{0, 1, 0, 0, 2, 0}
		for _, number := range want {
			require.NoError(t, stream.Send(&streaming.Blob{Number: number}))
		}
		require.NoError(t, stream.CloseSend())
		require.Equal(t, want, numbers(receiveAll(t, stream.Recv)))
	})
	t.Run("client", func(t *testing.T) {
		stream, err := start(t).Sum(t.Context())
		require.NoError(t, err)
		for _, value := range []int64{0, 5, 0} {
			require.NoError(t, stream.Send(&streaming.Number{Value: value}))
		}
		total, err := stream.CloseAndRecv()
		require.NoError(t, err)
		require.EqualValues(t, 3, total.GetCount())
		require.EqualValues(t, 5, total.GetSum())
	})
	t.Run("server", func(t *testing.T) {
		stream, err := start(t).Tick(t.Context(), &streaming.Number{Value: 7})
		require.NoError(t, err)
		require.Len(t, receiveAll(t, stream.Recv), 7)
	})
	t.Run("empty request", func(t *testing.T) {
		stream, err := start(t).Tick(t.Context(), &streaming.Number{})
		require.NoError(t, err)
		require.Empty(t, receiveAll(t, stream.Recv))
	})
}

func TestServerSendsAfterClientHasClosed(t *testing.T) {
	c := start(t)
	stream, err := c.Reverse(t.Context())
	require.NoError(t, err)
	for i := range int64(5) {
		require.NoError(t, stream.Send(&streaming.Blob{Number: i}))
	}
	require.NoError(t, stream.CloseSend())
	require.ErrorIs(t, stream.Send(&streaming.Blob{}), ttrpc.ErrStreamClosed)
	require.ErrorIs(t, stream.CloseSend(), ttrpc.ErrStreamClosed)
	require.Equal(t, []int64{4, 3, 2, 1, 0}, numbers(receiveAll(t, stream.Recv)))
}

// On upstream v1.2.10 the second receive hangs, and sending reports success.
func TestServerEndsStreamWhileClientSends(t *testing.T) {
	c := start(t)
	stream, err := c.Echo(t.Context())
	require.NoError(t, err)
	require.NoError(t, stream.Send(&streaming.Blob{Number: 1}))
	require.NoError(t, stream.Send(&streaming.Blob{Number: -1}))

	received, err := stream.Recv()
	require.NoError(t, err)
	require.EqualValues(t, 1, received.GetNumber())
	for range 2 {
		_, err = stream.Recv()
		require.Equal(t, codes.OutOfRange, status.Code(err))
		require.Equal(t, "number -1 is negative", status.Convert(err).Message())
	}
	require.Equal(t, codes.OutOfRange, status.Code(stream.Send(&streaming.Blob{Number: 2})))

	_, err = c.Ping(t.Context(), &emptypb.Empty{})
	require.NoError(t, err, "the connection lives")
}

// inspectors open a stream of each kind whose handler tells what it knows.
var inspectors = map[string]func(context.Context, *fixture) (func() (*streaming.Call, error), error){
	"client does not stream": func(ctx context.Context, c *fixture) (func() (*streaming.Call, error), error) {
		stream, err := c.Hold(ctx, &emptypb.Empty{})
		if err != nil {
			return nil, err
		}
		return stream.Recv, nil
	},
	"client streams": func(ctx context.Context, c *fixture) (func() (*streaming.Call, error), error) {
		stream, err := c.Inspect(ctx)
		if err != nil {
			return nil, err
		}
		return stream.Recv, nil
	},
}

// Upstream v1.2.10 leaves both behind.
func TestMetadataAndDeadlineTravelOnStreams(t *testing.T) {
	for name, open := range inspectors {
		t.Run(name, func(t *testing.T) {
			c := start(t)
			begun := time.Now()
			deadline := begun.Add(time.Hour)
			ctx, cancel := context.WithDeadline(t.Context(), deadline)
			defer cancel()
			recv, err := open(ttrpc.WithMetadata(ctx, ttrpc.MD{"name": {"one", "two"}}), c)
			require.NoError(t, err)
			call, err := recv()
			require.NoError(t, err)
			require.Equal(t, []string{"one", "two"}, call.GetNames())

			// The handler's deadline is the caller's, later by the time that the
			// request was under way.
			received := time.Unix(0, call.GetDeadline())
			require.False(t, received.Before(deadline.Round(0)), "%v is before %v", received, deadline)
			latest := deadline.Add(time.Since(begun))
			require.False(t, received.After(latest.Round(0)), "%v is after %v", received, latest)
		})
	}
}

func TestStreamWithoutMetadataAndDeadline(t *testing.T) {
	for name, open := range inspectors {
		t.Run(name, func(t *testing.T) {
			recv, err := open(t.Context(), start(t))
			require.NoError(t, err)
			call, err := recv()
			require.NoError(t, err)
			require.Empty(t, call.GetNames())
			require.Zero(t, call.GetDeadline())
		})
	}
}

// On upstream v1.2.10 the handler never learns of it.
func TestCancelReachesHandler(t *testing.T) {
	for name, open := range inspectors {
		t.Run(name, func(t *testing.T) {
			c := start(t)
			ctx, cancel := context.WithCancel(t.Context())
			recv, err := open(ctx, c)
			require.NoError(t, err)
			_, err = recv()
			require.NoError(t, err)
			cancel()
			_, err = recv()
			require.Equal(t, context.Canceled, err)
			require.Equal(t, context.Canceled, <-c.service.ended)

			_, err = c.Ping(t.Context(), &emptypb.Empty{})
			require.NoError(t, err, "the connection lives")
		})
	}
}

// On upstream v1.2.10 the handler never learns of it.
func TestDeadlineEndsStreamOnBothSides(t *testing.T) {
	for name, open := range inspectors {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := start(t)
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			recv, err := open(ctx, c)
			require.NoError(t, err)
			for err == nil {
				_, err = recv()
			}
			require.Error(t, <-c.service.ended)

			_, err = c.Ping(t.Context(), &emptypb.Empty{})
			require.NoError(t, err, "the connection lives")
		})
	}
}

// On upstream v1.2.10 the server's Close leaves the connection open.
func TestLossOfConnectionEndsStreams(t *testing.T) {
	for _, test := range []struct {
		name  string
		close func(*fixture) error
	}{
		{"client closes", func(c *fixture) error { return c.client.Close() }},
		{"server closes", func(c *fixture) error { return c.server.Close() }},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := start(t)
			stream, err := c.Hold(t.Context(), &emptypb.Empty{})
			require.NoError(t, err)
			_, err = stream.Recv()
			require.NoError(t, err)
			require.NoError(t, test.close(c))
			_, err = stream.Recv()
			require.Equal(t, ttrpc.ErrClosed, err)
			require.Equal(t, context.Canceled, <-c.service.ended)
			require.NoError(t, c.client.UserOnCloseWait(t.Context()))
		})
	}
}

func TestManyStreamsAtOnce(t *testing.T) {
	const streams, messages = 50, 40
	c := start(t)
	failed := make(chan error, streams)
	for i := range streams {
		go func() {
			switch i % 3 {
			case 0:
				failed <- echoMany(t.Context(), c, int64(i), messages)
			case 1:
				failed <- sumMany(t.Context(), c, messages)
			default:
				failed <- divideMany(t.Context(), c, messages)
			}
		}()
	}
	for range streams {
		require.NoError(t, <-failed)
	}
}

// echoMany sends and receives at the same time.
func echoMany(ctx context.Context, c *fixture, first, messages int64) error {
	stream, err := c.Echo(ctx)
	if err != nil {
		return err
	}
	sent := make(chan error, 1)
	go func() {
		for i := range messages {
			if err := stream.Send(&streaming.Blob{Number: first + i, Data: make([]byte, 3000)}); err != nil {
				sent <- err
				return
			}
		}
		sent <- stream.CloseSend()
	}()
	next := first
	err = each(stream.Recv, func(b *streaming.Blob) error {
		if b.GetNumber() != next || len(b.GetData()) != 3000 {
			return fmt.Errorf("received number %d with %d bytes, not number %d", b.GetNumber(), len(b.GetData()), next)
		}
		next++
		return nil
	})
	if err == nil && next != first+messages {
		err = fmt.Errorf("received %d messages of %d", next-first, messages)
	}
	return errors.Join(err, <-sent)
}

// sumMany sends a stream, and calls.
func sumMany(ctx context.Context, c *fixture, messages int64) error {
	stream, err := c.Sum(ctx)
	if err != nil {
		return err
	}
	for i := range messages {
		if err := stream.Send(&streaming.Number{Value: i}); err != nil {
			return err
		}
		if _, err := c.Ping(ctx, &emptypb.Empty{}); err != nil {
			return err
		}
	}
	total, err := stream.CloseAndRecv()
	if err != nil {
		return err
	}
	if want := messages * (messages - 1) / 2; total.GetSum() != want {
		return fmt.Errorf("the sum is %d, not %d", total.GetSum(), want)
	}
	return nil
}

// divideMany calls, and receives streams.
func divideMany(ctx context.Context, c *fixture, messages int64) error {
	for i := range messages {
		if _, err := c.Divide(ctx, &streaming.Division{Dividend: i, Divisor: 1}); err != nil {
			return err
		}
	}
	stream, err := c.Share(ctx, &streaming.Division{Dividend: messages, Divisor: messages})
	if err != nil {
		return err
	}
	var shares int64
	err = each(stream.Recv, func(n *streaming.Number) error {
		shares += n.GetValue()
		return nil
	})
	if err == nil && shares != messages {
		err = fmt.Errorf("the shares add up to %d, not %d", shares, messages)
	}
	return err
}

// On upstream v1.2.10 the stream loses data, and the call waits for it to do so.
func TestUnreadStreamDelaysNobodyAndLosesNothing(t *testing.T) {
	const messages = 20_000
	c := start(t)
	stream, err := c.Tick(t.Context(), &streaming.Number{Value: messages})
	require.NoError(t, err)
	for range 100 {
		_, err := c.Ping(t.Context(), &emptypb.Empty{})
		require.NoError(t, err)
	}
	require.Len(t, receiveAll(t, stream.Recv), messages)
}

// blobOfSize returns a message that is encoded in exactly size bytes.
func blobOfSize(t *testing.T, size int) *streaming.Blob {
	t.Helper()
	data := size - protowire.SizeTag(2) - protowire.SizeVarint(uint64(size))
	blob := &streaming.Blob{Data: make([]byte, data)}
	require.Equal(t, size, proto.Size(blob))
	return blob
}

// A message on a stream is all that its frame carries.
func TestLargestMessageOnStream(t *testing.T) {
	c := start(t)
	stream, err := c.Echo(t.Context())
	require.NoError(t, err)
	sent := blobOfSize(t, maxPayload)
	require.NoError(t, stream.Send(sent))
	received, err := stream.Recv()
	require.NoError(t, err)
	require.True(t, proto.Equal(sent, received))
	require.NoError(t, stream.CloseSend())
	require.Empty(t, receiveAll(t, stream.Recv))
}

func TestTooLargeMessageLeavesStreamUsable(t *testing.T) {
	c := start(t)
	stream, err := c.Echo(t.Context())
	require.NoError(t, err)
	var tooLarge *ttrpc.OversizedMessageErr
	require.ErrorAs(t, stream.Send(blobOfSize(t, maxPayload+1)), &tooLarge)
	require.Equal(t, maxPayload+1, tooLarge.RejectedLength())
	require.Equal(t, maxPayload, tooLarge.MaximumLength())

	require.NoError(t, stream.Send(&streaming.Blob{Number: 1}))
	require.NoError(t, stream.CloseSend())
	require.Equal(t, []int64{1}, numbers(receiveAll(t, stream.Recv)))
}

// A request is carried inside of another message, which says what is called.
func TestLargestRequest(t *testing.T) {
	envelope := &ttrpc.Request{Service: "ttrpc.integration.streaming.Streaming", Method: "Copy"}
	overhead := proto.Size(envelope) + protowire.SizeTag(3) + protowire.SizeVarint(maxPayload-1)
	c := start(t)
	for _, test := range []struct {
		name string
		size int
		fits bool
	}{
		{"fits", maxPayload - overhead, true},
		{"too large by one byte", maxPayload - overhead + 1, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			sent := blobOfSize(t, test.size)
			received, err := c.Copy(t.Context(), sent)
			if test.fits {
				require.NoError(t, err)
				require.True(t, proto.Equal(sent, received))
				return
			}
			var tooLarge *ttrpc.OversizedMessageErr
			require.ErrorAs(t, err, &tooLarge)
			require.Equal(t, maxPayload+1, tooLarge.RejectedLength())
		})
	}
	_, err := c.Ping(t.Context(), &emptypb.Empty{})
	require.NoError(t, err, "the connection lives")
}
