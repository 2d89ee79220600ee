// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package ttrpc_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/containerd/ttrpc"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// sizes is a service for the limits of messages: "Echo", a unary method and a
// stream, and "Make", which answers with as many bytes as it is asked for.
func sizes(t *testing.T, opts ...ttrpc.ServerOpt) *ttrpc.Server {
	return contractServer(t, ttrpc.ServiceDesc{
		Methods: map[string]ttrpc.Method{
			"Echo": func(_ context.Context, unmarshal func(any) error) (any, error) {
				m := new(wrapperspb.BytesValue)
				return m, unmarshal(m)
			},
			"Make": func(_ context.Context, unmarshal func(any) error) (any, error) {
				n := new(wrapperspb.Int64Value)
				err := unmarshal(n)
				return wrapperspb.Bytes(make([]byte, n.GetValue())), err
			},
		},
		Streams: map[string]ttrpc.Stream{
			"EchoStream": {StreamingClient: true, StreamingServer: true, Handler: func(_ context.Context, stream ttrpc.StreamServer) (any, error) {
				for {
					m := new(wrapperspb.BytesValue)
					switch err := stream.RecvMsg(m); {
					case errors.Is(err, io.EOF):
						return nil, nil
					case err != nil:
						return nil, err
					}
					if err := stream.SendMsg(m); err != nil {
						return nil, err
					}
				}
			}},
		},
	}, opts...)
}

func echoSize(ctx context.Context, client *ttrpc.Client, n int) error {
	var got wrapperspb.BytesValue
	err := client.Call(ctx, contractService, "Echo", wrapperspb.Bytes(make([]byte, n)), &got)
	if err == nil && len(got.GetValue()) != n {
		return io.ErrShortBuffer
	}
	return err
}

// requireExhausted checks what becomes of a message that is too large.
func requireExhausted(t *testing.T, err error, limit string) {
	t.Helper()
	require.Equal(t, codes.ResourceExhausted, status.Code(err), "%v", err)
	require.Contains(t, err.Error(), "exceed maximum message size of "+limit)
}

func TestMaxMessageSize(t *testing.T) {
	const mib = 1 << 20
	const nearly16 = 16*mib - 1

	t.Run("more than the default", func(t *testing.T) {
		l := serve(t, sizes(t, ttrpc.WithServerMaxMessageSize(nearly16, nearly16)))
		client := newClient(t, dial(t, l), ttrpc.WithClientMaxMessageSize(nearly16, nearly16))
		for _, n := range []int{0, 100, 4 * mib, 5 * mib, nearly16 - 100} {
			require.NoError(t, echoSize(t.Context(), client, n), "%d bytes", n)
		}
		err := echoSize(t.Context(), client, nearly16)
		requireExhausted(t, err, "16777215")
		var oversized *ttrpc.OversizedMessageErr
		require.ErrorAs(t, err, &oversized)
		require.Equal(t, nearly16, oversized.MaximumLength())

		stream, err := client.NewStream(t.Context(), &ttrpc.StreamDesc{StreamingClient: true, StreamingServer: true}, contractService, "EchoStream", nil)
		require.NoError(t, err)
		message := wrapperspb.Bytes(bytes.Repeat([]byte("m"), 10*mib))
		require.NoError(t, stream.SendMsg(message))
		var got wrapperspb.BytesValue
		require.NoError(t, stream.RecvMsg(&got))
		require.True(t, bytes.Equal(message.Value, got.Value))
		require.NoError(t, stream.CloseSend())
		require.Equal(t, io.EOF, stream.RecvMsg(&got))
	})

	t.Run("less than the default", func(t *testing.T) {
		for _, tt := range []struct {
			name   string
			server []ttrpc.ServerOpt
			client []ttrpc.ClientOpts
			method string
		}{
			{"server receives", []ttrpc.ServerOpt{ttrpc.WithServerMaxMessageSize(1000, 4*mib)}, nil, "Echo"},
			{"client sends", nil, []ttrpc.ClientOpts{ttrpc.WithClientMaxMessageSize(4*mib, 1000)}, "Echo"},
			{"server sends", []ttrpc.ServerOpt{ttrpc.WithServerMaxMessageSize(4*mib, 1000)}, nil, "Make"},
			{"client receives", nil, []ttrpc.ClientOpts{ttrpc.WithClientMaxMessageSize(1000, 4*mib)}, "Make"},
		} {
			t.Run(tt.name, func(t *testing.T) {
				client := newClient(t, dial(t, serve(t, sizes(t, tt.server...))), tt.client...)
				var got wrapperspb.BytesValue
				var err error
				if tt.method == "Make" {
					err = client.Call(t.Context(), contractService, "Make", wrapperspb.Int64(1000), &got)
				} else {
					err = echoSize(t.Context(), client, 1000)
				}
				requireExhausted(t, err, "1000")
				require.NoError(t, echoSize(t.Context(), client, 900), "the connection stays")
			})
		}
	})

	// A status must get through however little may be sent.
	t.Run("next to nothing", func(t *testing.T) {
		client := newClient(t, dial(t, serve(t, sizes(t, ttrpc.WithServerMaxMessageSize(1, 1)))))
		requireExhausted(t, echoSize(t.Context(), client, 0), "1")
	})

	t.Run("what cannot be", func(t *testing.T) {
		for _, n := range []int{-1, 0, 16 * mib} {
			_, err := ttrpc.NewServer(ttrpc.WithServerMaxMessageSize(n, 5))
			require.ErrorContains(t, err, "message sizes of")
			_, err = ttrpc.NewServer(ttrpc.WithServerMaxMessageSize(5, n))
			require.ErrorContains(t, err, "message sizes of")
			l := serve(t, sizes(t, ttrpc.WithServerMaxMessageSize(nearly16, nearly16)))
			client := newClient(t, dial(t, l), ttrpc.WithClientMaxMessageSize(5, 5), ttrpc.WithClientMaxMessageSize(n, n))
			require.NoError(t, echoSize(t.Context(), client, 4*mib-100))
			requireExhausted(t, echoSize(t.Context(), client, 4*mib), "4194304")
		}
	})
}

func TestMaxConnections(t *testing.T) {
	lines := make(lineLogger, 10)
	l := serve(t, sizes(t, ttrpc.WithServerMaxConnections(2), ttrpc.WithServerLogger(lines)))
	first, second := newClient(t, dial(t, l)), newClient(t, dial(t, l))
	require.NoError(t, echoSize(t.Context(), first, 1))
	require.NoError(t, echoSize(t.Context(), second, 1))

	for range 5 {
		newRawPeer(t, dial(t, l)).wantClosed()
	}
	require.Equal(t, "ttrpc: connection refused: there are too many limit 2", await(t, lines, "a line"))
	require.Empty(t, lines, "one line in a while")
	require.NoError(t, echoSize(t.Context(), second, 1))

	// There is room as soon as one has ended, which the server has to notice.
	require.NoError(t, first.Close())
	for echoSize(t.Context(), newClient(t, dial(t, l)), 1) != nil {
		require.NoError(t, t.Context().Err())
	}
	_, err := ttrpc.NewServer(ttrpc.WithServerMaxConnections(0))
	require.EqualError(t, err, "ttrpc: limit of 0 connections")
}

func TestIdleTimeout(t *testing.T) {
	const timeout = time.Minute

	t.Run("nothing happens", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			closed := make(chan time.Time, 1)
			newClient(t, servePipe(t, sizes(t, ttrpc.WithServerIdleTimeout(timeout))).dialPipe(t),
				ttrpc.WithOnClose(func() { closed <- time.Now() }))
			start := time.Now()
			require.Equal(t, timeout, (<-closed).Sub(start))
		})
	})

	t.Run("calls put it off", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			closed := make(chan time.Time, 1)
			client := newClient(t, servePipe(t, sizes(t, ttrpc.WithServerIdleTimeout(timeout))).dialPipe(t),
				ttrpc.WithOnClose(func() { closed <- time.Now() }))
			for range 5 {
				<-time.After(timeout - time.Second)
				require.NoError(t, echoSize(t.Context(), client, 1))
			}
			last := time.Now()
			require.Equal(t, timeout, (<-closed).Sub(last))
		})
	})

	t.Run("so does an open stream", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			closed := make(chan time.Time, 1)
			client := newClient(t, servePipe(t, sizes(t, ttrpc.WithServerIdleTimeout(timeout))).dialPipe(t),
				ttrpc.WithOnClose(func() { closed <- time.Now() }))
			stream, err := client.NewStream(t.Context(), &ttrpc.StreamDesc{StreamingClient: true, StreamingServer: true}, contractService, "EchoStream", nil)
			require.NoError(t, err)
			<-time.After(10*timeout + timeout/2)
			require.NoError(t, stream.SendMsg(wrapperspb.Bytes(nil)))
			require.NoError(t, stream.RecvMsg(new(wrapperspb.BytesValue)))
			require.NoError(t, stream.CloseSend())
			require.Equal(t, io.EOF, stream.RecvMsg(nil))
			last := time.Now()
			// When it looks depends on when the stream was open.
			idle := (<-closed).Sub(last)
			require.GreaterOrEqual(t, idle, timeout)
			require.Less(t, idle, 2*timeout)
		})
	})

	t.Run("none by default", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			client := newClient(t, servePipe(t, sizes(t)).dialPipe(t))
			<-time.After(1000 * time.Hour)
			require.NoError(t, echoSize(t.Context(), client, 1))
		})
	})

	_, err := ttrpc.NewServer(ttrpc.WithServerIdleTimeout(-1))
	require.EqualError(t, err, "ttrpc: negative idle timeout -1ns")
}

// Answers that the peer does not read end a connection after the time that an
// option sets.
func TestStallTimeout(t *testing.T) {
	for _, tt := range []struct {
		name string
		opts []ttrpc.ServerOpt
		want time.Duration
	}{
		{"default", nil, 10 * time.Second},
		{"longer", []ttrpc.ServerOpt{ttrpc.WithServerStallTimeout(time.Hour)}, time.Hour},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				conn := servePipe(t, sizes(t, tt.opts...)).dialPipe(t)
				start := time.Now()
				_, err := conn.Write(frameBytes(1, typeRequest, 0, []byte("\xff"))) // refused
				for err == nil {
					_, err = conn.Write(bytes.Repeat(frameBytes(2, typeRequest, 0, nil), 100)) // even ids are, too
				}
				require.Equal(t, tt.want, time.Since(start))
			})
		})
	}

	_, err := ttrpc.NewServer(ttrpc.WithServerStallTimeout(-1))
	require.EqualError(t, err, "ttrpc: negative stall timeout -1ns")
}
