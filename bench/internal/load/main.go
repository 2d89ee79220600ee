// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package load

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"runtime/pprof"
	"time"
)

// Main runs a command that measures lib:
//
//	COMMAND server -socket PATH [-cpu N] [-profile FILE]
//	COMMAND client -socket PATH -axis NAME [-for DURATION] [-cpu N] [-profile FILE]
//
// A server prints a line once it listens, and runs until its standard input is
// closed. A client prints its figures as JSON, by Metric. The axis "allocations"
// needs no server.
func Main(lib Library) {
	if err := run(lib, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// options are the flags of either command.
type options struct {
	socket  string
	axis    string
	cpu     int
	lasts   time.Duration
	profile string
}

func run(lib Library, args []string) error {
	if len(args) == 0 {
		return errors.New("usage: server|client [flags]")
	}
	var o options
	flags := flag.NewFlagSet(args[0], flag.ExitOnError)
	flags.StringVar(&o.socket, "socket", "", "`path` of the unix socket")
	flags.StringVar(&o.axis, "axis", "", "`name` of what the client measures")
	flags.IntVar(&o.cpu, "cpu", -1, "pin the process to the CPU of this `number`")
	flags.DurationVar(&o.lasts, "for", time.Second, "how `long` the client measures")
	flags.StringVar(&o.profile, "profile", "", "write a CPU profile to this `file`")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	if o.cpu >= 0 {
		if err := pin(o.cpu); err != nil {
			return err
		}
	}
	switch args[0] {
	case "server":
		return runServer(lib, o)
	case "client":
		return runClient(lib, o)
	}
	return fmt.Errorf("unknown command %q", args[0])
}

// runServer serves until standard input ends.
func runServer(lib Library, o options) error {
	l, err := net.Listen("unix", o.socket)
	if err != nil {
		return err
	}
	if err := serveUsage(o.socket); err != nil {
		return err
	}
	served := make(chan error, 1)
	go func() { served <- lib.Serve(l) }()
	stop, err := startProfile(o.profile)
	if err != nil {
		return err
	}
	defer stop()
	fmt.Fprintln(os.Stdout, "listening")
	inputEnded := make(chan struct{})
	go func() {
		defer close(inputEnded)
		var b [1]byte
		for {
			if _, err := os.Stdin.Read(b[:]); err != nil {
				return
			}
		}
	}()
	select {
	case err := <-served:
		return err
	case <-inputEnded:
		return nil
	}
}

// runClient measures one axis and prints what it found.
func runClient(lib Library, o options) error {
	axis, ok := FindAxis(o.axis)
	if !ok {
		return fmt.Errorf("unknown axis %q", o.axis)
	}
	figures, err := measure(lib, axis, o)
	if err != nil {
		return fmt.Errorf("%s: %w", axis.Name, err)
	}
	return json.NewEncoder(os.Stdout).Encode(figures)
}

// startProfile starts to write a CPU profile, if a file is named.
func startProfile(path string) (stop func(), err error) {
	if path == "" {
		return func() {}, nil
	}
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, err
	}
	return func() {
		pprof.StopCPUProfile()
		f.Close()
	}, nil
}
