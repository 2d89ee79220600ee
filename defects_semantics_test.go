// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package ttrpc_test

// Regression tests, each named after the symptom of one defect (or of one half
// of it) of released upstream v1.2.10 that was proven by measurement. The
// comment says how the test fails there; cases that upstream passes are marked.
// The crashes, hangs and lost calls are in defects_crash_test.go, this file has
// leaks, limits and semantics.

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/containerd/ttrpc"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

const semService = "ttrpc.test.Semantics"

// semUnary returns a server whose method Unary is m.
func semUnary(t *testing.T, m ttrpc.Method, opts ...ttrpc.ServerOpt) *ttrpc.Server {
	t.Helper()
	srv := newServer(t, opts...)
	srv.RegisterService(semService, &ttrpc.ServiceDesc{Methods: map[string]ttrpc.Method{"Unary": m}})
	return srv
}

// semStream returns a server whose stream Stream is s.
func semStream(t *testing.T, s ttrpc.Stream, opts ...ttrpc.ServerOpt) *ttrpc.Server {
	t.Helper()
	srv := newServer(t, opts...)
	srv.RegisterService(semService, &ttrpc.ServiceDesc{Streams: map[string]ttrpc.Stream{"Stream": s}})
	return srv
}

// semOK is a unary method that answers at once with an empty message.
func semOK(context.Context, func(any) error) (any, error) {
	return &wrapperspb.StringValue{}, nil
}

// semCall calls Unary with empty messages.
func semCall(ctx context.Context, client *ttrpc.Client) error {
	return client.Call(ctx, semService, "Unary", &wrapperspb.StringValue{}, &wrapperspb.StringValue{})
}

// A gate holds handlers until the test lets them go, at its end at the latest.
type gate struct {
	entered  chan struct{} // one value for each handler that got there
	released chan struct{}
	once     sync.Once
}

func newGate(t *testing.T) *gate {
	t.Helper()
	g := &gate{entered: make(chan struct{}, 1<<17), released: make(chan struct{})}
	t.Cleanup(g.release)
	return g
}

// release lets everybody through, now and later.
func (g *gate) release() { g.once.Do(func() { close(g.released) }) }

// wait is called by a handler, and ignores every context.
func (g *gate) wait() {
	g.entered <- struct{}{}
	<-g.released
}

// waitCtx is wait for a handler that leaves when its context ends; it returns
// the error of that context.
func (g *gate) waitCtx(ctx context.Context) error {
	g.entered <- struct{}{}
	select {
	case <-ctx.Done():
	case <-g.released:
	}
	return ctx.Err()
}

// D16: a client's cancel never reaches the handler. Fails on released upstream
// v1.2.10: the handler's context does not end.
func TestClientCancelDoesNotReachHandler(t *testing.T) {
	t.Run("unary", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			g, ended := newGate(t), make(chan error, 1)
			srv := semUnary(t, func(ctx context.Context, _ func(any) error) (any, error) {
				ended <- g.waitCtx(ctx)
				return nil, ctx.Err()
			})
			client := newClient(t, servePipe(t, srv).dialPipe(t))

			ctx, cancel := context.WithCancel(t.Context())
			called := make(chan error, 1)
			go func() { called <- semCall(ctx, client) }()
			await(t, g.entered, "the handler to start")
			cancel()
			require.Equal(t, context.Canceled, await(t, called, "the call to return"))
			require.Equal(t, context.Canceled, await(t, ended, "the handler's context to end"))
		})
	})

	t.Run("stream", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			g, ended := newGate(t), make(chan error, 1)
			srv := semStream(t, ttrpc.Stream{
				StreamingClient: true,
				StreamingServer: true,
				Handler: func(ctx context.Context, _ ttrpc.StreamServer) (any, error) {
					ended <- g.waitCtx(ctx)
					return nil, ctx.Err()
				},
			})
			client := newClient(t, servePipe(t, srv).dialPipe(t))

			ctx, cancel := context.WithCancel(t.Context())
			_, err := client.NewStream(ctx, &ttrpc.StreamDesc{StreamingClient: true, StreamingServer: true}, semService, "Stream", nil)
			require.NoError(t, err)
			await(t, g.entered, "the handler to start")
			cancel()
			require.Equal(t, context.Canceled, await(t, ended, "the handler's context to end"))
		})
	})

	t.Run("stream, while its handler receives", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			g, ended := newGate(t), make(chan error, 1)
			srv := semStream(t, ttrpc.Stream{
				StreamingClient: true,
				Handler: func(_ context.Context, ss ttrpc.StreamServer) (any, error) {
					g.entered <- struct{}{}
					ended <- ss.RecvMsg(&wrapperspb.StringValue{})
					return nil, nil
				},
			})
			client := newClient(t, servePipe(t, srv).dialPipe(t))

			ctx, cancel := context.WithCancel(t.Context())
			_, err := client.NewStream(ctx, &ttrpc.StreamDesc{StreamingClient: true}, semService, "Stream", nil)
			require.NoError(t, err)
			await(t, g.entered, "the handler to start")
			cancel()
			require.ErrorIs(t, await(t, ended, "RecvMsg to return"), context.Canceled)
		})
	})
}

// D17: NewStream drops metadata and deadline. Fails on released upstream
// v1.2.10: the handler's context has neither.
func TestStreamLosesMetadataAndDeadline(t *testing.T) {
	// open opens a stream with ctx and returns the context of its handler,
	// which runs until the test ends.
	open := func(t *testing.T, ctx context.Context) context.Context {
		g, got := newGate(t), make(chan context.Context, 1)
		srv := semStream(t, ttrpc.Stream{
			StreamingServer: true,
			Handler: func(ctx context.Context, _ ttrpc.StreamServer) (any, error) {
				got <- ctx
				return nil, g.waitCtx(ctx)
			},
		})
		client := newClient(t, servePipe(t, srv).dialPipe(t))
		_, err := client.NewStream(ctx, &ttrpc.StreamDesc{StreamingServer: true}, semService, "Stream", &wrapperspb.StringValue{})
		require.NoError(t, err)
		return await(t, got, "the handler to start")
	}

	t.Run("metadata", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			sent := ttrpc.MD{"one": {"1"}, "two": {"2", "3"}}
			md, ok := ttrpc.GetMetadata(open(t, ttrpc.WithMetadata(t.Context(), sent)))
			require.True(t, ok, "the handler has no metadata")
			require.Equal(t, sent, md)
		})
	})

	t.Run("deadline", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			handlerCtx := open(t, ctx)
			deadline, ok := handlerCtx.Deadline()
			require.True(t, ok, "the handler has no deadline")
			require.Equal(t, time.Minute, deadline.Sub(start))

			select {
			case <-handlerCtx.Done():
			case <-time.After(2 * time.Minute):
				t.Fatal("the handler's context outlived its deadline")
			}
			require.Equal(t, context.DeadlineExceeded, handlerCtx.Err())
			require.Equal(t, time.Minute, time.Since(start))
		})
	})
}

// D18: the flag `remote closed` on a Request is ignored. Fails on released
// upstream v1.2.10: a client-streaming handler waits for ever for the end.
func TestRequestThatClosesItsSideLeavesHandlerWaiting(t *testing.T) {
	// received sends a Request with these flags and payload and returns what the
	// handler received up to io.EOF.
	received := func(t *testing.T, flags byte, payload []byte) []string {
		got, end := []string(nil), make(chan error, 1)
		srv := semStream(t, ttrpc.Stream{
			StreamingClient: true,
			Handler: func(_ context.Context, ss ttrpc.StreamServer) (any, error) {
				for {
					var m wrapperspb.StringValue
					if err := ss.RecvMsg(&m); err != nil {
						end <- err
						return &m, nil
					}
					got = append(got, m.Value)
				}
			},
		})
		raw := newRawPeer(t, servePipe(t, srv).dialPipe(t))
		raw.request(1, flags, semService, "Stream", payload)
		require.Equal(t, io.EOF, await(t, end, "the handler to receive io.EOF"))
		raw.wantStatus(1, codes.OK, "")
		return got
	}

	t.Run("without a message", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			require.Empty(t, received(t, flagRemoteClosed|flagNoData, nil))
		})
	})

	t.Run("with the only message", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			payload, err := proto.Marshal(wrapperspb.String("only"))
			require.NoError(t, err)
			require.Equal(t, []string{"only"}, received(t, flagRemoteClosed, payload))
		})
	})
}

// semHandshake is a Handshaker made of a function.
type semHandshake func(context.Context, net.Conn) (net.Conn, any, error)

func (h semHandshake) Handshake(ctx context.Context, conn net.Conn) (net.Conn, any, error) {
	return h(ctx, conn)
}

// requireDisconnected waits, in a bubble, until the other side closes conn, which
// must happen after exactly this time.
func requireDisconnected(t *testing.T, conn net.Conn, after time.Duration) {
	t.Helper()
	start, ended := time.Now(), make(chan error, 1)
	go func() {
		_, err := conn.Read(make([]byte, 1))
		ended <- err
	}()
	select {
	case err := <-ended:
		require.Equal(t, io.EOF, err)
		require.Equal(t, after, time.Since(start))
	case <-time.After(time.Hour):
		require.FailNow(t, "still connected after an hour")
	}
}

// D19: a blocked handshake stops all accepts, and Serve's return. Fails on
// released upstream v1.2.10: the second connection is never served; Serve stays
// after Close; the stuck connection stays open.
func TestBlockedHandshakeStopsServer(t *testing.T) {
	t.Run("another connection is served", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			g := newGate(t)
			var handshakes atomic.Int32
			l := servePipe(t, semUnary(t, semOK, ttrpc.WithServerHandshaker(semHandshake(
				func(_ context.Context, conn net.Conn) (net.Conn, any, error) {
					if handshakes.Add(1) == 1 {
						g.wait()
					}
					return conn, nil, nil
				}))))
			l.dialPipe(t)
			await(t, g.entered, "the first handshake to start")

			client, called := newClient(t, l.dialPipe(t)), make(chan error, 1)
			go func() { called <- semCall(t.Context(), client) }()
			require.NoError(t, await(t, called, "the second connection's call"))
		})
	})

	for _, end := range []struct {
		name string
		end  func(*ttrpc.Server) error
	}{
		{"Serve returns after Close", func(srv *ttrpc.Server) error { return srv.Close() }},
		{"Serve returns after Shutdown", func(srv *ttrpc.Server) error { return srv.Shutdown(context.Background()) }},
	} {
		t.Run(end.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newGate(t)
				srv := semUnary(t, semOK, ttrpc.WithServerHandshaker(semHandshake(
					func(_ context.Context, conn net.Conn) (net.Conn, any, error) {
						g.wait()
						return conn, nil, nil
					})))
				l, served := newMemoryListener(), make(chan error, 1)
				go func() { served <- srv.Serve(t.Context(), l) }()
				t.Cleanup(func() { srv.Close() })
				l.dialPipe(t)
				await(t, g.entered, "the handshake to start")

				ended := make(chan error, 1)
				go func() { ended <- end.end(srv) }()
				require.Equal(t, ttrpc.ErrServerClosed, await(t, served, "Serve to return"))
				require.NoError(t, await(t, ended, "the server to end"))
			})
		})
	}

	t.Run("a peer that says nothing is disconnected after 10 s", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			srv := semUnary(t, semOK, ttrpc.WithServerHandshaker(semHandshake(
				func(_ context.Context, conn net.Conn) (net.Conn, any, error) {
					_, err := conn.Read(make([]byte, 1))
					return conn, nil, err
				})))
			requireDisconnected(t, servePipe(t, srv).dialPipe(t), 10*time.Second)
		})
	})

	t.Run("the handshake's context ends after 10 s", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			srv := semUnary(t, semOK, ttrpc.WithServerHandshaker(semHandshake(
				func(ctx context.Context, conn net.Conn) (net.Conn, any, error) {
					<-ctx.Done()
					return conn, nil, ctx.Err()
				})))
			requireDisconnected(t, servePipe(t, srv).dialPipe(t), 10*time.Second)
		})
	})
}

// D21: no limit on the calls of one connection. Fails on released upstream
// v1.2.10: every frame of a flood starts a handler, and none is refused.
func TestRequestFloodStartsHandlersWithoutLimit(t *testing.T) {
	const (
		requests = 20_000
		batch    = 1_000
		limit    = 8192 // the default of WithServerMaxConcurrentCalls
	)
	refusal := fmt.Sprintf("too many concurrent calls on this connection: limit %d", limit)
	synctest.Test(t, func(t *testing.T) {
		g := newGate(t)
		srv := semUnary(t, func(context.Context, func(any) error) (any, error) {
			g.wait()
			return &wrapperspb.StringValue{}, nil
		})
		raw := newRawPeer(t, servePipe(t, srv).dialPipe(t))
		// answers reads n Responses with this status.
		answers := func(n int, code codes.Code, message string) {
			t.Helper()
			for i := range n {
				f := raw.read()
				var resp ttrpc.Response
				require.NoError(t, proto.Unmarshal(f.payload, &resp))
				if codes.Code(resp.GetStatus().GetCode()) != code || resp.GetStatus().GetMessage() != message {
					t.Fatalf("answer %d of %d: %v, want %v %q", i, n, resp.GetStatus(), code, message)
				}
			}
		}

		payload, err := proto.Marshal(&ttrpc.Request{Service: semService, Method: "Unary"})
		require.NoError(t, err)
		id, sent, refused := uint32(1), 0, 0
		for sent < requests {
			var frames []byte
			for range batch {
				frames = append(frames, frameBytes(id, typeRequest, 0, payload)...)
				id += 2
			}
			written := make(chan error, 1)
			go func() {
				_, err := raw.conn.Write(frames)
				written <- err
			}()
			sent += batch
			n := max(0, sent-limit) - refused
			answers(n, codes.ResourceExhausted, refusal)
			refused += n
			require.NoError(t, await(t, written, "the requests to be read"))
		}
		synctest.Wait()
		require.Len(t, g.entered, limit, "handlers started")

		g.release()
		answers(limit, codes.OK, "")
		raw.request(id, 0, semService, "Unary", nil)
		raw.wantStatus(id, codes.OK, "")
	})
}

// D21: memory is given away for a promise. Fails on released upstream v1.2.10:
// 500 ten-byte headers, each of which announces 4 MiB, take 2 GB of heap.
func TestHeadersAloneAllocateTheirPayloads(t *testing.T) {
	const (
		conns = 500
		bound = 64 << 20
	)
	l := serve(t, semUnary(t, semOK))
	announce := frameBytes(1, typeRequest, 0, nil)
	copy(announce, []byte{0, maxFramePayload >> 16, 0, 0})

	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	raws := make([]*rawPeer, conns)
	for i := range raws {
		raws[i] = newRawPeer(t, dial(t, l))
		// The frame before it is answered, so that the header has been read,
		// or is what the server reads next.
		raws[i].writeBytes(slices.Concat(make([]byte, 10), announce))
		raws[i].wantStatus(0, codes.InvalidArgument, "")
	}
	for _, raw := range raws {
		require.NoError(t, raw.conn.(interface{ CloseWrite() error }).CloseWrite())
	}
	for _, raw := range raws {
		raw.wantClosed()
	}
	// TotalAlloc also counts what has been freed since.
	runtime.ReadMemStats(&after)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(bound), "bytes allocated for %d headers", conns)
}

// D22: a length of 16 MiB and more is read and thrown away though its first
// byte must be zero. Fails on released upstream v1.2.10: the connection stays
// open and waits for up to 4 GiB.
func TestLengthWithNonZeroFirstByteIsSwallowed(t *testing.T) {
	for _, length := range [][4]byte{{1, 0, 0, 0}, {0x7f, 0xff, 0xff, 0xff}, {0xff, 0xff, 0xff, 0xff}} {
		header := func(id uint32, typ byte) []byte {
			h := frameBytes(id, typ, 0, nil)
			copy(h, length[:])
			return h
		}

		t.Run(fmt.Sprintf("server, %x", length), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				raw := newRawPeer(t, servePipe(t, semUnary(t, semOK)).dialPipe(t))
				raw.writeBytes(header(1, typeRequest))
				raw.wantClosed()
			})
		})

		t.Run(fmt.Sprintf("client, %x", length), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				near, far := net.Pipe()
				client, raw := newClient(t, near), newRawPeer(t, far)
				called := make(chan error, 1)
				go func() { called <- semCall(t.Context(), client) }()
				raw.writeBytes(header(raw.read().id, typeResponse))
				require.Equal(t, ttrpc.ErrClosed, await(t, called, "the call to return"))
				raw.wantClosed()
			})
		})
	}
}

// D22: half a header, or half a payload, is waited for without end. Fails on
// released upstream v1.2.10: the connection stays open.
func TestHalfFrameIsAwaitedForEver(t *testing.T) {
	frame := frameBytes(1, typeRequest, 0, make([]byte, 1000))
	for _, half := range []struct {
		name string
		size int
	}{
		{"half a header", 5},
		{"a header", 10},
		{"half a payload", 510},
	} {
		// disconnected writes half a frame and awaits the end of the connection.
		disconnected := func(t *testing.T, conn net.Conn) {
			_, err := conn.Write(frame[:half.size])
			require.NoError(t, err)
			requireDisconnected(t, conn, 2*time.Minute)
		}

		t.Run(half.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				disconnected(t, servePipe(t, semUnary(t, semOK)).dialPipe(t))
			})
		})

		t.Run(half.name+" on a connection without deadlines", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				disconnected(t, servePipe(t, semUnary(t, semOK)).dialMux(t))
			})
		})
	}
}

// D23: a stream that was abandoned floods the log. Fails on released upstream
// v1.2.10: 20,000 messages for it give 19,9xx Error lines on stderr.
func TestAbandonedStreamFloodsLog(t *testing.T) {
	// The log is what a process of its own prints.
	const child = "TTRPC_TEST_ABANDON_STREAM"
	if os.Getenv(child) != "" {
		abandonStream(t)
		return
	}
	exe, err := os.Executable()
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, exe, "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), child+"=1")
	var printed bytes.Buffer // on stderr: stdout is the test's own
	cmd.Stderr = &printed
	out, err := cmd.Output()
	line, _, _ := strings.Cut(printed.String(), "\n")
	require.Zero(t, strings.Count(printed.String(), "\n"), "lines logged, the first one: %s", line)
	require.NoError(t, err, "the process that abandons a stream: %s", out)
}

// abandonStream opens a stream, cancels it, and then gets 20,000 messages for it
// from a server that goes on sending.
func abandonStream(t *testing.T) {
	near, far := connPair(t)
	client, raw := newClient(t, near), newRawPeer(t, far)
	ctx, cancel := context.WithCancel(t.Context())
	_, err := client.NewStream(ctx, &ttrpc.StreamDesc{StreamingServer: true}, semService, "Stream", &wrapperspb.StringValue{})
	require.NoError(t, err)
	id := raw.read().id
	cancel()

	message, err := proto.Marshal(wrapperspb.String("x"))
	require.NoError(t, err)
	raw.writeBytes(bytes.Repeat(frameBytes(id, typeData, 0, message), 20_000))

	// An answer that arrives has everything before it read.
	called := make(chan error, 1)
	go func() { called <- semCall(t.Context(), client) }()
	for {
		if f := raw.read(); f.typ == typeRequest {
			raw.write(f.id, typeResponse, 0, nil)
			break
		}
	}
	require.NoError(t, await(t, called, "the call to return"))
}

// D24: SendMsg and CloseSend race. Fails on released upstream v1.2.10: the race
// detector reports them (needs -race); without it, one of the streams fails
// because a message was sent after the end.
func TestSendMsgRacesWithCloseSend(t *testing.T) {
	srv := semStream(t, ttrpc.Stream{
		StreamingClient: true,
		Handler: func(_ context.Context, ss ttrpc.StreamServer) (any, error) {
			for n := int64(0); ; n++ {
				switch err := ss.RecvMsg(&wrapperspb.StringValue{}); {
				case errors.Is(err, io.EOF):
					return wrapperspb.Int64(n), nil
				case err != nil:
					return nil, err
				}
			}
		},
	})
	client := newClient(t, dial(t, serve(t, srv)))
	ctx, cancel := context.WithTimeout(t.Context(), rawPatience)
	defer cancel()

	for range 50 {
		stream, err := client.NewStream(ctx, &ttrpc.StreamDesc{StreamingClient: true}, semService, "Stream", nil)
		require.NoError(t, err)
		sent, started := make(chan int64, 1), make(chan struct{})
		go func() {
			for n := int64(0); ; n++ {
				if n == 1 {
					close(started)
				}
				if err := stream.SendMsg(wrapperspb.String("x")); err != nil {
					if !errors.Is(err, ttrpc.ErrStreamClosed) {
						t.Errorf("SendMsg: %v, want ErrStreamClosed", err)
					}
					sent <- n
					return
				}
			}
		}()
		await(t, started, "the first message to be sent")
		require.NoError(t, stream.CloseSend())

		// What SendMsg took has arrived, and nothing after the end.
		var received wrapperspb.Int64Value
		require.NoError(t, stream.RecvMsg(&received))
		require.Equal(t, await(t, sent, "SendMsg to fail"), received.Value)
	}
}

// D25: RegisterService races with serving. Fails on released upstream v1.2.10
// (needs -race; passes without it): the race detector reports them.
func TestRegisterServiceRacesWithServing(t *testing.T) {
	srv := semUnary(t, semOK)
	client := newClient(t, dial(t, serve(t, srv)))
	ctx, cancel := context.WithTimeout(t.Context(), rawPatience)
	defer cancel()

	first, stop, ended := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		for n := 0; ; n++ {
			if n == 1 {
				close(first)
			}
			if err := semCall(ctx, client); err != nil || n > 0 && isClosed(stop) {
				ended <- err
				return
			}
		}
	}()
	await(t, first, "the first call")
	for i := range 200 {
		srv.RegisterService(fmt.Sprintf("%s.%d", semService, i), &ttrpc.ServiceDesc{
			Methods: map[string]ttrpc.Method{"Unary": semOK},
		})
	}
	close(stop)
	require.NoError(t, await(t, ended, "the last call"))
	// A service that was registered while serving is served.
	require.NoError(t, client.Call(ctx, semService+".199", "Unary", &wrapperspb.StringValue{}, &wrapperspb.StringValue{}))
}

// D26: a call whose context has ended is sent all the same. Fails on released
// upstream v1.2.10: the Request arrives, and the handler runs.
func TestEndedContextStillSendsRequest(t *testing.T) {
	for _, ended := range []struct {
		name string
		ctx  func(context.Context) (context.Context, context.CancelFunc)
		want error
	}{
		{"cancelled", func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(ctx)
			cancel()
			return ctx, cancel
		}, context.Canceled},
		{"expired", func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithDeadline(ctx, time.Now().Add(-time.Second))
		}, context.DeadlineExceeded},
	} {
		for _, use := range []struct {
			name string
			use  func(context.Context, *ttrpc.Client) error
		}{
			{"Call", semCall},
			{"NewStream", func(ctx context.Context, client *ttrpc.Client) error {
				_, err := client.NewStream(ctx, &ttrpc.StreamDesc{StreamingServer: true}, semService, "Stream", &wrapperspb.StringValue{})
				return err
			}},
		} {
			t.Run(use.name+", "+ended.name, func(t *testing.T) {
				near, far := connPair(t)
				client, raw := newClient(t, near), newRawPeer(t, far)
				ctx, cancel := ended.ctx(t.Context())
				defer cancel()

				require.Equal(t, ended.want, use.use(ctx, client))
				require.NoError(t, client.Close())
				raw.wantClosed() // and no frame before that
			})
		}
	}
}

// D27: the server does not answer at the deadline. Fails on released upstream
// v1.2.10: the answer comes when the handler returns.
func TestDeadlineIsAnsweredWhenHandlerReturns(t *testing.T) {
	stuckServer := func(t *testing.T) (*ttrpc.Server, *gate) {
		g := newGate(t)
		srv := newServer(t)
		srv.RegisterService(semService, &ttrpc.ServiceDesc{
			Methods: map[string]ttrpc.Method{
				"Unary": func(context.Context, func(any) error) (any, error) {
					g.wait()
					return &wrapperspb.StringValue{}, nil
				},
			},
			Streams: map[string]ttrpc.Stream{
				"Stream": {StreamingServer: true, Handler: func(_ context.Context, ss ttrpc.StreamServer) (any, error) {
					g.wait()
					return nil, nil
				}},
			},
		})
		return srv, g
	}

	for method, flags := range map[string]byte{"Unary": 0, "Stream": flagRemoteClosed} {
		t.Run(method, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv, g := stuckServer(t)
				raw := newRawPeer(t, servePipe(t, srv).dialPipe(t))
				start := time.Now()
				raw.requestMessage(1, flags, &ttrpc.Request{
					Service:     semService,
					Method:      method,
					TimeoutNano: (50 * time.Millisecond).Nanoseconds(),
				})
				raw.wantStatus(1, codes.DeadlineExceeded, "context deadline exceeded")
				require.Equal(t, 50*time.Millisecond+deadlinePatience, time.Since(start))

				// The handler's own answer comes too late, and is not sent.
				g.release()
				synctest.Wait()
				raw.request(3, 0, semService, "Unary", nil)
				raw.wantStatus(3, codes.OK, "")
			})
		})
	}
}

// D28: errors that wrap a known one with %w become Unknown. Fails on released
// upstream v1.2.10: the code is Unknown.
func TestWrappedErrorBecomesUnknown(t *testing.T) {
	for _, known := range []struct {
		err  error
		code codes.Code
	}{
		{context.Canceled, codes.Canceled},
		{context.DeadlineExceeded, codes.DeadlineExceeded},
		{io.EOF, codes.OutOfRange},
		{io.ErrClosedPipe, codes.FailedPrecondition},
		{io.ErrNoProgress, codes.FailedPrecondition},
		{io.ErrShortBuffer, codes.FailedPrecondition},
		{io.ErrShortWrite, codes.FailedPrecondition},
		{io.ErrUnexpectedEOF, codes.FailedPrecondition},
		{os.ErrInvalid, codes.InvalidArgument},
		{os.ErrExist, codes.AlreadyExists},
		{os.ErrNotExist, codes.NotFound},
		{os.ErrPermission, codes.PermissionDenied},
		{&os.PathError{Op: "open", Path: "/x", Err: syscall.ENOENT}, codes.NotFound},
	} {
		t.Run(known.err.Error(), func(t *testing.T) {
			wrapped := fmt.Errorf("cannot load: %w", known.err)
			srv := semUnary(t, func(context.Context, func(any) error) (any, error) { return nil, wrapped })
			client := newClient(t, dial(t, serve(t, srv)))
			got, ok := status.FromError(semCall(t.Context(), client))
			require.True(t, ok, "not a status")
			require.Equal(t, known.code, got.Code())
			require.Equal(t, wrapped.Error(), got.Message())
		})
	}
}

// resetConn is a connection whose peer's reset is first seen by Write, as it
// happens on TCP when the reset comes between a read and a write.
type resetConn struct {
	net.Conn
	reset atomic.Bool
}

func (c *resetConn) Write(b []byte) (int, error) {
	if c.reset.Load() {
		return 0, &net.OpError{Op: "write", Net: "tcp", Err: os.NewSyscallError("write", syscall.ECONNRESET)}
	}
	return c.Conn.Write(b)
}

// D29: ECONNRESET from a write to TCP is not mapped to ErrClosed. Fails on
// released upstream v1.2.10: the caller gets the write's error.
func TestConnectionResetDuringWriteIsNotErrClosed(t *testing.T) {
	t.Run("Call", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			near, far := net.Pipe()
			defer far.Close()
			conn := &resetConn{Conn: near}
			client := newClient(t, conn)
			conn.reset.Store(true)
			require.Equal(t, ttrpc.ErrClosed, semCall(t.Context(), client))
			// The connection is over for everybody else, too.
			require.Equal(t, ttrpc.ErrClosed, semCall(t.Context(), client))
		})
	})

	t.Run("SendMsg", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			near, far := net.Pipe()
			conn, raw := &resetConn{Conn: near}, newRawPeer(t, far)
			client := newClient(t, conn)
			opened := make(chan struct{})
			go func() {
				defer close(opened)
				raw.tryRead()
			}()
			stream, err := client.NewStream(t.Context(), &ttrpc.StreamDesc{StreamingClient: true}, semService, "Stream", nil)
			require.NoError(t, err)
			await(t, opened, "the stream's Request")
			conn.reset.Store(true)
			// SendMsg need not wait for the write: a later one has the error.
			for range 10 {
				if err = stream.SendMsg(&wrapperspb.StringValue{}); err != nil {
					break
				}
				synctest.Wait()
			}
			require.Equal(t, ttrpc.ErrClosed, err)
		})
	})
}

// D30: Shutdown polls every 200 ms. Fails on released upstream v1.2.10: it
// returns at the next multiple of 200 ms after the last call.
func TestShutdownPolls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(t)
		srv := newServer(t)
		srv.RegisterService(semService, &ttrpc.ServiceDesc{Methods: map[string]ttrpc.Method{
			"Unary": semOK,
			"Wait": func(context.Context, func(any) error) (any, error) {
				g.wait()
				return &wrapperspb.StringValue{}, nil
			},
		}})
		client := newClient(t, servePipe(t, srv).dialPipe(t))
		called := make(chan error, 1)
		go func() {
			called <- client.Call(t.Context(), semService, "Wait", &wrapperspb.StringValue{}, &wrapperspb.StringValue{})
		}()
		await(t, g.entered, "the handler to start")
		// Upstream counts calls in flight only after it wrote an answer (D2).
		require.NoError(t, semCall(t.Context(), client))
		synctest.Wait()

		shutdown := make(chan error, 1)
		go func() { shutdown <- srv.Shutdown(t.Context()) }()
		synctest.Wait()
		require.Empty(t, shutdown, "Shutdown did not wait for the call")

		last := time.Now()
		g.release()
		require.NoError(t, await(t, called, "the call to return"))
		require.NoError(t, await(t, shutdown, "Shutdown to return"))
		require.Zero(t, time.Since(last), "time between the last answer and Shutdown's return")
	})
}

// D31: metadata keys in mixed case arrive unreachable by Get. Fails on released
// upstream v1.2.10: Get does not find them.
func TestMixedCaseMetadataKeyIsUnreachable(t *testing.T) {
	newMDServer := func(t *testing.T) (*ttrpc.Server, <-chan ttrpc.MD) {
		got := make(chan ttrpc.MD, 1)
		return semUnary(t, func(ctx context.Context, _ func(any) error) (any, error) {
			md, _ := ttrpc.GetMetadata(ctx)
			got <- md
			return &wrapperspb.StringValue{}, nil
		}), got
	}
	// wantValues checks that key is found in every case.
	wantValues := func(t *testing.T, md ttrpc.MD, key string, want ...string) {
		t.Helper()
		for _, key := range []string{key, strings.ToLower(key), strings.ToUpper(key)} {
			values, ok := md.Get(key)
			require.True(t, ok, "no value for %q in %v", key, md)
			require.Equal(t, want, values)
		}
	}

	t.Run("from a client's map", func(t *testing.T) {
		srv, got := newMDServer(t)
		client := newClient(t, dial(t, serve(t, srv)))
		ctx := ttrpc.WithMetadata(t.Context(), ttrpc.MD{"Mixed-Case": {"1", "2"}})
		require.NoError(t, semCall(ctx, client))
		wantValues(t, await(t, got, "the handler"), "Mixed-Case", "1", "2")
	})

	t.Run("from the wire", func(t *testing.T) {
		srv, got := newMDServer(t)
		raw := newRawPeer(t, dial(t, serve(t, srv)))
		raw.requestMessage(1, 0, &ttrpc.Request{Service: semService, Method: "Unary", Metadata: []*ttrpc.KeyValue{
			{Key: "Mixed-Case", Value: "1"},
			{Key: "mixed-case", Value: "2"},
			{Key: "MIXED-CASE", Value: "3"},
		}})
		raw.wantStatus(1, codes.OK, "")
		wantValues(t, await(t, got, "the handler"), "Mixed-Case", "1", "2", "3")
	})
}

// D32: after the context of Serve was cancelled, Serve goes on, but every
// handler gets a dead context. Fails on released upstream v1.2.10: the context
// of a later call has ended before the handler starts.
func TestCancelledServeContextKillsLaterCalls(t *testing.T) {
	type key struct{}
	synctest.Test(t, func(t *testing.T) {
		g := newGate(t)
		got, ended := make(chan context.Context, 1), make(chan error, 1)
		srv := newServer(t)
		srv.RegisterService(semService, &ttrpc.ServiceDesc{Methods: map[string]ttrpc.Method{
			"Unary": func(ctx context.Context, _ func(any) error) (any, error) {
				if ctx.Err() != nil {
					return nil, status.Error(codes.Aborted, "the handler's context is dead")
				}
				got <- ctx
				return &wrapperspb.StringValue{}, nil
			},
			"Wait": func(ctx context.Context, _ func(any) error) (any, error) {
				ended <- g.waitCtx(ctx)
				return &wrapperspb.StringValue{}, nil
			},
		}})
		l, served := newMemoryListener(), make(chan error, 1)
		ctx, cancel := context.WithCancel(context.WithValue(context.Background(), key{}, "value"))
		go func() { served <- srv.Serve(ctx, l) }()
		t.Cleanup(func() { srv.Close() })
		client := newClient(t, l.dialPipe(t))

		// Upstream passes this part: what runs when it is cancelled ends.
		called := make(chan error, 1)
		go func() {
			called <- client.Call(t.Context(), semService, "Wait", &wrapperspb.StringValue{}, &wrapperspb.StringValue{})
		}()
		await(t, g.entered, "the handler to start")
		cancel()
		require.Equal(t, context.Canceled, await(t, ended, "the handler's context to end"))
		require.NoError(t, await(t, called, "the call to return"))

		for _, client := range []*ttrpc.Client{client, newClient(t, l.dialPipe(t))} {
			require.NoError(t, semCall(t.Context(), client))
			require.Equal(t, "value", await(t, got, "the handler's context").Value(key{}))
		}

		require.NoError(t, srv.Close())
		require.Equal(t, ttrpc.ErrServerClosed, await(t, served, "Serve to return"))
	})
}

// D33: an oversized frame over a multiplexed connection (see muxConn) ends the
// use of that connection, as the payload is thrown away in pieces which such a
// connection does not give. Fails on released upstream v1.2.10: nothing is
// answered any more, and the connection stays open (D8).
func TestOversizedFrameKillsMultiplexedConnection(t *testing.T) {
	sizes := []int{maxFramePayload + 1, maxFramePayload + 4096, 5 << 20, 16<<20 - 1}

	t.Run("server", func(t *testing.T) {
		for _, size := range sizes {
			t.Run(fmt.Sprint(size), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					raw := newRawPeer(t, newBufferedPeer(servePipe(t, newMuxServer(t)).dialMux(t)))
					raw.write(1, typeRequest, 0, make([]byte, size))
					raw.wantStatus(1, codes.ResourceExhausted,
						fmt.Sprintf("message length %v exceed maximum message size of %v", size, maxFramePayload))
					raw.requestMessage(3, 0, echoRequest(5000))
					raw.wantStatus(3, codes.OK, "")
				})
			})
		}
	})

	t.Run("client", func(t *testing.T) {
		for _, size := range sizes {
			t.Run(fmt.Sprint(size), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					near, far := muxPipe(t)
					client, raw := newClient(t, near), newRawPeer(t, newBufferedPeer(far))
					called := make(chan error, 1)
					go func() { called <- semCall(t.Context(), client) }()
					raw.write(raw.read().id, typeResponse, 0, make([]byte, size))
					require.Equal(t, codes.ResourceExhausted, status.Code(await(t, called, "the call to return")))

					go func() { called <- semCall(t.Context(), client) }()
					raw.write(raw.read().id, typeResponse, 0, nil)
					require.NoError(t, await(t, called, "the second call to return"))
				})
			})
		}
	})
}
