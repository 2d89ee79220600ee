// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package ttrpc

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// nilError panics when asked for its text, as an error does that is a nil
// pointer in an interface.
type nilError struct{ text string }

func (e *nilError) Error() string { return e.text }

// brokenVT is a message whose fast path panics, as it does when another
// goroutine changes the message meanwhile.
type brokenVT struct {
	*wrapperspb.StringValue
	size int
}

func (m brokenVT) SizeVT() int                              { return m.size }
func (brokenVT) MarshalToSizedBufferVT([]byte) (int, error) { panic("index out of range") }

// nowhere is a Logger that writes nothing.
type nowhere struct{}

func (nowhere) Debug(string, ...any) {}
func (nowhere) Error(string, ...any) {}

// startTestServer serves a new listener until the test ends.
func startTestServer(t testing.TB, srv *Server) *memListener {
	t.Helper()
	l := newMemListener()
	served := make(chan error, 1)
	go func() { served <- srv.Serve(context.Background(), l) }()
	t.Cleanup(func() {
		srv.Close()
		receiveOrFail(t, served, "Serve")
	})
	return l
}

// What a handler returns is its own, too: an error or a message whose methods
// panic is a panic of the handler's.
func TestPanicRecoveryCoversEncodingOfResult(t *testing.T) {
	srv, err := NewServer(WithServerPanicRecovery(), WithServerVTProtobuf(), WithServerLogger(nowhere{}))
	require.NoError(t, err)
	results := map[string]Method{
		"Error": func(context.Context, func(any) error) (any, error) {
			var e *nilError
			return nil, e
		},
		"Message": func(context.Context, func(any) error) (any, error) {
			return brokenVT{wrapperspb.String("x"), 1}, nil
		},
	}
	srv.Register("service", results)
	client := NewClient(startTestServer(t, srv).connect())
	defer client.Close()
	for name := range results {
		err := client.Call(t.Context(), "service", name, wrapperspb.String(""), &wrapperspb.StringValue{})
		require.Equal(t, codes.Internal, status.Code(err), "%s: %v", name, err)
	}
	require.Zero(t, client.inFlight())
}

// A call that is answered because its deadline has passed, at the moment that its
// handler returns, while the server is being shut down, has one answer or the
// other: the connection is not closed between the decision and the answer.
func TestDeadlineDuringShutdownIsAnswered(t *testing.T) {
	const deadline = 10 * time.Millisecond
	request, err := proto.Marshal(&Request{Service: "service", Method: "Method", TimeoutNano: int64(deadline)})
	require.NoError(t, err)
	for range 300 {
		synctest.Test(t, func(t *testing.T) {
			srv, err := NewServer()
			require.NoError(t, err)
			srv.Register("service", map[string]Method{"Method": func(context.Context, func(any) error) (any, error) {
				<-time.After(deadline + deadlinePatience)
				return wrapperspb.String("in time"), nil
			}})
			l := newMemListener()
			go srv.Serve(context.Background(), l)
			conn := l.connect()
			_, err = conn.Write(frameOf(1, frameRequest, flagRemoteClosed, request))
			require.NoError(t, err)
			<-time.After(deadline / 2)
			require.NoError(t, srv.Shutdown(context.Background()))
			frames, rest := parseFrames(conn.in.take())
			require.Empty(t, rest)
			require.Len(t, frames, 1, "answers")
			conn.Close()
		})
	}
}

// A multiplexer may drop what the client has not read when the server closes the
// connection: the client gets time to read the last answer. NRI's does that.
func TestDrainedConnectionLingersBehindLastAnswer(t *testing.T) {
	const runs = 10 * time.Millisecond
	for _, tt := range []struct {
		name string
		call bool
		stop func(*Server, *memConn)
		want time.Duration // from the Shutdown to the end of the connection
	}{
		{"nothing has been answered", false, func(*Server, *memConn) {}, 0},
		{"answered", true, func(*Server, *memConn) {}, runs + lingerTime},
		{"client closes", true, func(_ *Server, client *memConn) { client.Close() }, runs},
		{"client closes its side", true, func(_ *Server, client *memConn) { client.closeWrite(io.EOF) }, runs},
		{"server closes", true, func(srv *Server, _ *memConn) { srv.Close() }, runs},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv, err := NewServer()
				require.NoError(t, err)
				srv.Register("service", map[string]Method{"Method": func(context.Context, func(any) error) (any, error) {
					<-time.After(runs)
					return wrapperspb.String("answer"), nil
				}})
				l := newMemListener()
				go srv.Serve(context.Background(), l)
				client := l.connect()
				defer client.Close()
				if tt.call {
					request, err := proto.Marshal(&Request{Service: "service", Method: "Method"})
					require.NoError(t, err)
					_, err = client.Write(frameOf(1, frameRequest, flagRemoteClosed, request))
					require.NoError(t, err)
				}
				synctest.Wait()
				start := time.Now()
				drained := make(chan error, 1)
				go func() { drained <- srv.Shutdown(context.Background()) }()
				if tt.call {
					answer, err := readFrame(client)
					require.NoError(t, err)
					require.Equal(t, frameResponse, answer.typ)
					synctest.Wait()
				}
				tt.stop(srv, client)
				require.NoError(t, <-drained)
				require.Equal(t, tt.want, time.Since(start))
			})
		})
	}
}

// Calls are made while the server stops, in one way or another: all of them
// return, and those that succeed have their own answer. In a bubble, a call that
// does not return is a deadlock.
func TestCallsReturnWhileServerStops(t *testing.T) {
	for round := range 30 {
		synctest.Test(t, func(t *testing.T) {
			srv, err := NewServer()
			require.NoError(t, err)
			srv.RegisterService("service", &ServiceDesc{
				Methods: map[string]Method{"Echo": func(_ context.Context, unmarshal func(any) error) (any, error) {
					<-time.After(time.Millisecond)
					m := new(wrapperspb.BytesValue)
					return m, unmarshal(m)
				}},
				Streams: map[string]Stream{"Stream": {StreamingServer: true, StreamingClient: true, Handler: func(_ context.Context, ss StreamServer) (any, error) {
					m := new(wrapperspb.BytesValue)
					for {
						if err := ss.RecvMsg(m); err != nil {
							return nil, err
						}
						<-time.After(time.Millisecond)
						if err := ss.SendMsg(m); err != nil {
							return nil, err
						}
					}
				}}},
			})
			l := newMemListener()
			go srv.Serve(context.Background(), l)
			clients := make([]*Client, 3)
			for c := range clients {
				clients[c] = NewClient(l.connect())
				for i := range 4 {
					go func() {
						if err := callUntilClosed(clients[c], fill(i, 500*i)); err != ErrClosed { //nolint:errorlint // as it is
							t.Error(err)
						}
					}()
				}
				go func() {
					if err := streamUntilClosed(clients[c]); err != ErrClosed { //nolint:errorlint // as it is
						t.Error(err)
					}
				}()
			}
			<-time.After(time.Duration(round) * 250 * time.Microsecond)
			if round%3 != 0 {
				ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
				defer cancel()
				go srv.Shutdown(ctx)
				go srv.Shutdown(ctx)
			}
			if round%3 != 1 {
				go srv.Close()
			} else {
				<-time.After(30 * time.Millisecond) // there is always a call in flight
				srv.Close()
			}
			<-time.After(time.Second) // the last handlers return
			synctest.Wait()
			require.Empty(t, srv.conns)
			for _, c := range clients {
				require.Equal(t, ErrClosed, c.Call(context.Background(), "service", "Echo", wrapperspb.Bytes(nil), &wrapperspb.BytesValue{}))
			}
		})
	}
}

// errWrongAnswer is what the functions below return for one.
var errWrongAnswer = errors.New("answer of another call")

// callUntilClosed calls Echo until that fails, and checks every answer.
func callUntilClosed(client *Client, message []byte) error {
	for {
		var got wrapperspb.BytesValue
		if err := client.Call(context.Background(), "service", "Echo", wrapperspb.Bytes(message), &got); err != nil {
			return err
		}
		if !bytes.Equal(message, got.Value) {
			return errWrongAnswer
		}
	}
}

// streamUntilClosed is callUntilClosed with messages on a stream.
func streamUntilClosed(client *Client) error {
	stream, err := client.NewStream(context.Background(), &StreamDesc{true, true}, "service", "Stream", nil)
	if err != nil {
		return err
	}
	for i := 0; ; i++ {
		message := fill(i, 100)
		if err := stream.SendMsg(wrapperspb.Bytes(message)); err != nil {
			return err
		}
		var got wrapperspb.BytesValue
		if err := stream.RecvMsg(&got); err != nil {
			return err
		}
		if !bytes.Equal(message, got.Value) {
			return errWrongAnswer
		}
	}
}
