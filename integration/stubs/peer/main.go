// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

// Command peer is one side of a connection: a server, or a client that makes
// every call there is. The command in the directory above builds it with stubs of
// several generators, and links it with several releases of the library; so it
// uses nothing that the oldest of them does not have.
//
//	peer serve socket   # until its standard input ends
//	peer call socket    # prints one line per call: its name, and its code
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"

	"github.com/containerd/ttrpc"
	"github.com/containerd/ttrpc/integration/stubs/calls"
)

func main() {
	err := errors.New("usage: peer serve|call socket")
	if len(os.Args) == 3 {
		switch os.Args[1] {
		case "serve":
			err = serve(os.Args[2])
		case "call":
			err = callAll(os.Args[2])
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "peer:", err)
		os.Exit(1)
	}
}

// serve serves on a socket until the standard input ends.
func serve(socket string) error {
	server, err := ttrpc.NewServer()
	if err != nil {
		return err
	}
	calls.RegisterCallsService(server, service{})
	calls.RegisterSnakeCasedService(server, snakeCased{})
	calls.RegisterUnaryService(server, unary{})
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	fmt.Println("serving")
	served := make(chan error, 1)
	go func() { served <- server.Serve(context.Background(), listener) }()
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
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
