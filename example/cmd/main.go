// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

// Command cmd shows the service of the directory above at work.
//
//	go run ./example/cmd demo                    both ends in one process
//	go run ./example/cmd server -socket PATH     until SIGINT or SIGTERM
//	go run ./example/cmd client -socket PATH
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "example:", err)
		os.Exit(1)
	}
}

// errUsage is the answer to a command line that makes no sense.
var errUsage = errors.New("usage: demo | server -socket PATH | client -socket PATH")

// run is the program without its process.
func run(ctx context.Context, args []string, out io.Writer) error {
	if len(args) == 0 {
		return errUsage
	}
	flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
	flags.SetOutput(io.Discard) // the error says it
	socket := flags.String("socket", "", "path of the unix socket")
	if err := flags.Parse(args[1:]); errors.Is(err, flag.ErrHelp) {
		return errUsage
	} else if err != nil {
		return err
	}
	j := &journal{out: out}
	switch {
	case args[0] == "demo" && *socket == "":
		return demo(ctx, j)
	case args[0] == "server" && *socket != "":
		return serve(ctx, *socket, j)
	case args[0] == "client" && *socket != "":
		return call(ctx, *socket, j)
	default:
		return errUsage
	}
}
