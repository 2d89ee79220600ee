// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

//go:build unix

package ttrpc_test

import (
	"bufio"
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
	"syscall"
	"testing"
	"time"

	"github.com/containerd/ttrpc"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// The tests of this file, and of faults_accept_linux_test.go, have two processes,
// which a unix socket connects: that of the test, and one that runs the same test
// binary, in which the test finds its part in the environment.
const (
	peerRole   = "TTRPC_TEST_FAULT_ROLE"
	peerSocket = "TTRPC_TEST_FAULT_SOCKET"
)

// peerSays is in front of what the other process says on its standard output.
const peerSays = "peer: "

// faultPeer is the other process.
type faultPeer struct {
	t     *testing.T
	cmd   *exec.Cmd
	lines chan string // what it says; closed when it has ended
}

// startPeer starts the other process, with that part in the test, and that
// socket. It ends with the test, at the latest.
func startPeer(t *testing.T, role, socket string) *faultPeer {
	t.Helper()
	name, _, _ := strings.Cut(t.Name(), "/")
	cmd := exec.Command(os.Args[0], "-test.run=^"+name+"$", "-test.v")
	cmd.Env = append(os.Environ(), peerRole+"="+role, peerSocket+"="+socket)
	cmd.Stderr = os.Stderr
	_, err := cmd.StdinPipe() // it ends when this process does
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	p := &faultPeer{t: t, cmd: cmd, lines: make(chan string, 64)}
	read := make(chan struct{})
	go func() {
		defer close(read)
		p.read(out)
	}()
	t.Cleanup(func() {
		cmd.Process.Kill() // it may have ended
		<-read
		cmd.Wait()
	})
	return p
}

// read reads what the process says until it ends.
func (p *faultPeer) read(out io.Reader) {
	defer close(p.lines)
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if line, ok := strings.CutPrefix(lines.Text(), peerSays); ok {
			p.lines <- line
		}
	}
}

// says waits until the process says that.
func (p *faultPeer) says(want string) {
	p.t.Helper()
	require.Equal(p.t, want, await(p.t, p.lines, "the other process to say "+want))
}

// kill ends the process as the kernel does when memory is short.
func (p *faultPeer) kill() { require.NoError(p.t, p.cmd.Process.Kill()) }

// stop stops the process, and returns when it has stopped.
func (p *faultPeer) stop() {
	p.t.Helper()
	require.NoError(p.t, p.cmd.Process.Signal(syscall.SIGSTOP))
	var status syscall.WaitStatus
	for {
		_, err := syscall.Wait4(p.cmd.Process.Pid, &status, syscall.WUNTRACED, nil)
		if !errors.Is(err, syscall.EINTR) {
			require.NoError(p.t, err)
			break
		}
	}
	require.True(p.t, status.Stopped())
}

func (p *faultPeer) resume() { require.NoError(p.t, p.cmd.Process.Signal(syscall.SIGCONT)) }

// tell is how the other process says something.
func tell(format string, args ...any) { fmt.Fprintf(os.Stdout, peerSays+format+"\n", args...) }

// isPeer plays the other process's part, and reports whether this is it. Mostly it
// does not return.
func isPeer(t *testing.T, roles map[string]func(t *testing.T, socket string)) bool {
	role := os.Getenv(peerRole)
	if role == "" {
		return false
	}
	go func() {
		io.Copy(io.Discard, os.Stdin)
		os.Exit(3) // the test is over
	}()
	roles[role](t, os.Getenv(peerSocket))
	return true
}

// forEver is how long the other process waits for its end.
func forEver() { <-make(chan struct{}) }

// handlerEnd is how a handler ended.
type handlerEnd struct {
	method string
	err    error
}

// watchedServer is faultsServer on a unix socket, with the news of its handlers.
func watchedServer(t *testing.T) (srv *ttrpc.Server, l net.Listener, entered chan string, ended chan handlerEnd) {
	entered, ended = make(chan string, 64), make(chan handlerEnd, 64)
	srv = faultsServer(t, func(method string) { entered <- method }, func(method string, err error) { ended <- handlerEnd{method, err} })
	return srv, serve(t, srv), entered, ended
}

// awaitNoGoroutines waits until no goroutine of the library's is left.
func awaitNoGoroutines(t *testing.T) {
	t.Helper()
	for giveUp := time.Now().Add(rawPatience); ; runtime.Gosched() {
		left := slices.DeleteFunc(leftGoroutines(), func(stack []byte) bool {
			return !bytes.Contains(stack, []byte("containerd/ttrpc."))
		})
		if len(left) == 0 {
			return
		}
		require.True(t, time.Now().Before(giveUp), "left behind: %s", bytes.Join(left, []byte("\n\n")))
	}
}

// clientRoles are what a client can be doing when it is killed, or stopped.
var clientRoles = map[string]func(t *testing.T, socket string){
	"calls and streams in flight": func(t *testing.T, socket string) {
		c := dialPeer(t, socket)
		for range 3 {
			goCall(t.Context(), c, "Held", "x")
			_, err := c.NewStream(t.Context(), &ttrpc.StreamDesc{StreamingClient: true, StreamingServer: true}, faultService, "HeldStream", nil)
			require.NoError(t, err)
		}
		forEver()
	},
	"a server that pours into it": func(t *testing.T, socket string) {
		c := dialPeer(t, socket)
		_, err := c.NewStream(t.Context(), &ttrpc.StreamDesc{StreamingServer: true}, faultService, "Pour", wrapperspb.String(""))
		require.NoError(t, err)
		goCall(t.Context(), c, "Held", "x")
		forEver()
	},
	"a frame that is half written": func(t *testing.T, socket string) {
		c := dialPeer(t, socket)
		goCall(t.Context(), c, "Held", "x")
		conn, err := net.Dial("unix", socket)
		require.NoError(t, err)
		p := newRawPeer(t, conn)
		p.request(1, 0, faultService, "Held", nil)
		p.writeBytes(frameBytes(3, typeRequest, 0, pattern(100_000))[:50_000])
		forEver()
	},
}

func dialPeer(t *testing.T, socket string) *ttrpc.Client {
	t.Helper()
	conn, err := net.Dial("unix", socket)
	require.NoError(t, err)
	return newClient(t, conn)
}

// A client process that is killed, whatever it is doing, ends its calls, and
// nothing else: their handlers' contexts are cancelled, no goroutine and no
// connection is left, and other clients notice nothing.
func TestClientProcessIsKilled(t *testing.T) {
	if isPeer(t, clientRoles) {
		return
	}
	handlers := map[string]int{"calls and streams in flight": 6, "a server that pours into it": 2, "a frame that is half written": 2}
	for role, n := range handlers {
		for _, stopped := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/stopped before %v", role, stopped), func(t *testing.T) {
				srv, l, entered, ended := watchedServer(t)
				other := newClient(t, dial(t, l))
				requireEcho(t, other)
				peer := startPeer(t, role, l.Addr().String())
				for range n {
					await(t, entered, "a handler")
				}
				if stopped {
					peer.stop() // so that the buffers of the socket fill up
					requireEcho(t, other)
				}
				peer.kill()
				for range n {
					end := await(t, ended, "the end of a handler")
					if end.method != "Pour" || !errors.Is(end.err, ttrpc.ErrClosed) {
						require.Equal(t, context.Canceled, end.err, end.method)
					}
				}
				requireEcho(t, other)
				require.NoError(t, other.Close())
				requireShutdown(t, srv) // which needs no Close: nothing is left
				awaitNoGoroutines(t)
				t.Logf("killed a client with %d handlers in flight", n)
			})
		}
	}
}

// serverRoles are the parts of a server.
var serverRoles = map[string]func(t *testing.T, socket string){
	"server": func(t *testing.T, socket string) {
		srv := faultsServer(t, func(method string) { tell("entered %s", method) }, func(string, error) {})
		l, err := net.Listen("unix", socket)
		require.NoError(t, err)
		tell("listening")
		require.NoError(t, srv.Serve(t.Context(), l))
	},
}

// startServer starts a server process, and returns a client of it.
func startServer(t *testing.T, onClose func()) (*faultPeer, *ttrpc.Client) {
	t.Helper()
	socket := socketPath(t)
	peer := startPeer(t, "server", socket)
	peer.says("listening")
	conn, err := net.Dial("unix", socket)
	require.NoError(t, err)
	return peer, newClient(t, conn, ttrpc.WithOnClose(onClose))
}

// When a server process is killed, all that its client has in flight ends with
// ErrClosed, and OnClose runs, whatever the client is doing: waiting for an
// answer or for messages, leaving messages unreceived, or, if the server had
// stopped before, writing.
func TestServerProcessIsKilled(t *testing.T) {
	if isPeer(t, serverRoles) {
		return
	}
	for _, stopped := range []bool{false, true} {
		t.Run(fmt.Sprintf("stopped before %v", stopped), func(t *testing.T) {
			onClose := make(chan struct{})
			peer, c := startServer(t, func() { close(onClose) })
			requireEcho(t, c)
			both := &ttrpc.StreamDesc{StreamingClient: true, StreamingServer: true}
			var ends []<-chan error
			for range 3 {
				ends = append(ends, goDo(func() error { return (<-goCall(context.Background(), c, "Held", "x")).err }))
				cs, err := c.NewStream(t.Context(), both, faultService, "HeldStream", nil)
				require.NoError(t, err)
				ends = append(ends, goDo(func() error {
					var m wrapperspb.StringValue
					if err := cs.RecvMsg(&m); err != nil {
						return fmt.Errorf("instead of the message: %w", err)
					}
					return cs.RecvMsg(&m)
				}))
			}
			unreceived, err := c.NewStream(t.Context(), both, faultService, "HeldStream", nil)
			require.NoError(t, err)
			for range 7 {
				require.Contains(t, await(t, peer.lines, "a handler"), "entered Held")
			}
			requireEcho(t, c) // its answer comes behind the streams' messages
			if stopped {
				peer.stop()
				for i := range 20 { // more than the buffers of a socket take
					ends = append(ends, goDo(func() error {
						return c.Call(context.Background(), faultService, "Held", wrapperspb.Bytes(pattern(200_000+i)), &wrapperspb.BytesValue{})
					}))
				}
			}
			peer.kill()
			for _, end := range ends {
				require.Equal(t, ttrpc.ErrClosed, await(t, end, "the end of a call"))
			}
			await(t, onClose, "OnClose")
			var m wrapperspb.StringValue
			require.NoError(t, unreceived.RecvMsg(&m), "what had arrived before")
			require.Equal(t, ttrpc.ErrClosed, unreceived.RecvMsg(&m))
			require.Equal(t, ttrpc.ErrClosed, unreceived.SendMsg(&m))
			require.Equal(t, callOutcome{err: ttrpc.ErrClosed}, await(t, goCall(t.Context(), c, "Echo", "x"), "a later call"))
			awaitNoGoroutines(t)
			t.Logf("killed a server with %d calls in flight", len(ends))
		})
	}
}

// A server process that is stopped holds nobody up whose context ends, also when
// it has left unread what fills the buffers of the socket. When it goes on, so
// does the connection.
func TestServerProcessIsStopped(t *testing.T) {
	if isPeer(t, serverRoles) {
		return
	}
	peer, c := startServer(t, func() {})
	requireEcho(t, c)
	cs, err := c.NewStream(t.Context(), &ttrpc.StreamDesc{StreamingClient: true, StreamingServer: true}, faultService, "EchoStream", nil)
	require.NoError(t, err)
	peer.stop()

	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	const calls = 40
	var ends [calls]<-chan error
	for i := range ends {
		message := wrapperspb.String(strings.Repeat("x", 10+i%2*100_000))
		ends[i] = goDo(func() error { return c.Call(ctx, faultService, "Echo", message, &wrapperspb.StringValue{}) })
	}
	for _, end := range ends {
		require.Equal(t, context.DeadlineExceeded, await(t, end, "a call of a server that is stopped"))
	}
	require.Equal(t, context.DeadlineExceeded, await(t, goDo(func() error {
		_, err := c.NewStream(ctx, &ttrpc.StreamDesc{StreamingClient: true}, faultService, "EchoStream", nil)
		return err
	}), "NewStream"))

	peer.resume()
	requireEcho(t, c)
	require.NoError(t, cs.SendMsg(wrapperspb.String("x")))
	require.NoError(t, await(t, goDo(func() error { return cs.RecvMsg(&wrapperspb.StringValue{}) }), "the stream"))
	t.Logf("%d calls left a server that was stopped", calls+1)
}

// stoppedClientRoles is a client that is stopped while its streams are poured
// into, one of which has a deadline.
var stoppedClientRoles = map[string]func(t *testing.T, socket string){
	"client": func(t *testing.T, socket string) {
		c := dialPeer(t, socket)
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		var receiving sync.WaitGroup
		cs, err := c.NewStream(ctx, &ttrpc.StreamDesc{StreamingServer: true}, faultService, "Pour", wrapperspb.String(""))
		require.NoError(t, err)
		receiving.Go(func() {
			for err == nil {
				var m wrapperspb.BytesValue
				if err = cs.RecvMsg(&m); err == nil && string(m.Value) != string(pattern(64<<10)) {
					tell("a damaged message")
				}
			}
			tell("stream: %v", err)
		})
		receiving.Wait()
		tell("echo: %v", (<-goCall(t.Context(), c, "Echo", "x")).err)
		forEver()
	},
}

// A client process that is stopped ends the calls that have a deadline, and holds
// up no other client. When it goes on, so does its connection.
func TestClientProcessIsStopped(t *testing.T) {
	if isPeer(t, stoppedClientRoles) {
		return
	}
	_, l, entered, ended := watchedServer(t)
	other := newClient(t, dial(t, l))
	peer := startPeer(t, "client", l.Addr().String())
	require.Equal(t, "Pour", await(t, entered, "the handler"))
	peer.stop()
	requireEcho(t, other)
	require.Equal(t, handlerEnd{"Pour", context.DeadlineExceeded}, await(t, ended, "the end of the handler"))
	requireEcho(t, other)
	peer.resume()
	peer.says("stream: context deadline exceeded")
	peer.says("echo: <nil>")
	t.Log("a handler left a client that was stopped")
}
