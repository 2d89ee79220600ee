// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

// Command peer is one side of a connection: a server, or a client that runs the
// cases of the suite. The program in the directory above links it with several
// releases of the library; so it uses nothing that the oldest of them has not,
// but for files with build tags:
//
//	v11     v1.1: gogo's messages, no streams
//	tree    the library of this tree, with options that no release has
//
// Usage:
//
//	peer cases                      # lists the cases
//	peer serve socket [mux] [max]   # see control.go for its standard input
//	peer call socket [mux] [unary]  # see client.go for its standard input
//
// With mux, connections are channels of NRI's multiplexer. With max, the server
// sends and receives messages above the default limit. With unary, the client
// knows that the server has no streams.
package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"

	"github.com/containerd/ttrpc"
)

func main() {
	err := errors.New("usage: peer cases, peer serve socket [mux] [max], peer call socket [mux] [unary]")
	switch {
	case len(os.Args) == 2 && os.Args[1] == "cases":
		list()
		err = nil
	case len(os.Args) > 2 && os.Args[1] == "serve":
		err = serve(newTransport(os.Args[2:]), slices.Contains(os.Args[3:], "max"))
	case len(os.Args) > 2 && os.Args[1] == "call":
		err = callAll(newTransport(os.Args[2:]), slices.Contains(os.Args[3:], "unary"))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "peer:", err)
		os.Exit(1)
	}
}

// A transport is how peers reach each other.
type transport struct {
	socket string
	mux    bool
}

func newTransport(args []string) transport {
	return transport{socket: args[0], mux: slices.Contains(args[1:], "mux")}
}

// dial connects to a server.
func (t transport) dial() (net.Conn, error) {
	conn, err := net.Dial("unix", t.socket)
	if err != nil || !t.mux {
		return conn, err
	}
	return channel(conn)
}

// listen listens for clients.
func (t transport) listen() (net.Listener, error) {
	l, err := net.Listen("unix", t.socket)
	if err != nil || !t.mux {
		return l, err
	}
	return muxListener{l}, nil
}

// A muxListener accepts channels of multiplexers.
type muxListener struct{ net.Listener }

func (l muxListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return channel(conn)
}

// serve serves on a socket until the standard input ends.
func serve(t transport, largeMessages bool) error {
	var options []ttrpc.ServerOpt
	if largeMessages {
		options = append(options, serverLargeMessages...)
	}
	if !t.mux {
		options = append(options, ttrpc.WithServerHandshaker(ttrpc.UnixSocketRequireSameUser()))
	}
	server, err := ttrpc.NewServer(options...)
	if err != nil {
		return err
	}
	s := newService()
	s.register(server)
	listener, err := t.listen()
	if err != nil {
		return err
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(context.Background(), listener) }()
	if err := control(server, s); err != nil {
		return err
	}
	if err := server.Close(); err != nil {
		return err
	}
	if err := <-served; !errors.Is(err, ttrpc.ErrServerClosed) {
		return err
	}
	return nil
}
