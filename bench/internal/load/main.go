// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package load

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"runtime/pprof"
	"time"
)

// Main runs a command that measures lib:
//
//	COMMAND server -socket PATH -axis NAME [-cpu N] [-profile FILE]
//	COMMAND client -socket PATH -axis NAME [-n N] [-for DURATION] [-cpu N] [-profile FILE]
//	COMMAND client -axis fleet -minimal COMMAND
//
// A server prints a line once it listens, and runs until its standard input is
// closed. A client prints its figures as JSON, by Metric. The axes "allocations"
// and "fleet" need no server.
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
	n       int
	minimal string
	cpu     int
	lasts   time.Duration
	settle  time.Duration
	profile string
}

func run(lib Library, args []string) error {
	if len(args) == 0 {
		return errors.New("usage: server|client [flags]")
	}
	o := options{settle: settleTime}
	flags := flag.NewFlagSet(args[0], flag.ExitOnError)
	flags.StringVar(&o.socket, "socket", "", "`path` of the unix socket")
	flags.StringVar(&o.axis, "axis", "", "`name` of what the client measures")
	flags.IntVar(&o.n, "n", 0, "`number` of callers, connections or streams of a growing axis")
	flags.StringVar(&o.minimal, "minimal", "", "`command` of a minimal server, for the axis \"fleet\"")
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
	axis, ok := FindAxis(o.axis)
	if !ok {
		return fmt.Errorf("unknown axis %q", o.axis)
	}
	if o.n > 0 {
		axis = axis.At(o.n)
	}
	RaiseFileLimit()
	switch args[0] {
	case "server":
		return runServer(lib, axis, o)
	case "client":
		return runClient(lib, axis, o)
	}
	return fmt.Errorf("unknown command %q", args[0])
}

// runServer serves until standard input ends.
func runServer(lib Library, axis Axis, o options) error {
	l, err := net.Listen("unix", o.socket)
	if err != nil {
		return err
	}
	if err := serveControl(o.socket); err != nil {
		return err
	}
	served := make(chan error, 1)
	go func() { served <- lib.Serve(l, axis.settings()) }()
	stop, err := startProfile(o.profile)
	if err != nil {
		return err
	}
	defer stop()
	fmt.Fprintln(os.Stdout, "listening")
	select {
	case err := <-served:
		return err
	case <-inputEnded():
		return nil
	}
}

// inputEnded returns a channel that is closed when standard input ends.
func inputEnded() <-chan struct{} {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = io.Copy(io.Discard, os.Stdin)
	}()
	return ended
}

// runClient measures one axis and prints what it found.
func runClient(lib Library, axis Axis, o options) error {
	figures, err := measure(context.Background(), lib, axis, o)
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
