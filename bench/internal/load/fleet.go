// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package load

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"time"
)

// callsInFleet is how many calls each server of a fleet gets.
const callsInFleet = 10

// measureFleet starts minimal servers, one after the other, gives each one
// connection and a few calls, and reads what they hold when all are idle.
func measureFleet(ctx context.Context, lib Library, axis Axis, o options) (Figures, error) {
	runtime.LockOSThread() // see dieWithParent
	dir, err := os.MkdirTemp("", "ttrpc-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	f := &fleet{lib: lib, axis: axis, command: o.minimal, dir: dir}
	defer f.stop()
	startups := make([]time.Duration, axis.Count)
	for i := range startups {
		if startups[i], err = f.start(ctx); err != nil {
			return nil, err
		}
	}
	time.Sleep(o.settle)
	var rss, pss int64
	for _, s := range f.ships {
		rollup, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", s.server.Process.Pid))
		if err != nil {
			return nil, err
		}
		rss += procField(rollup, "Rss:")
		pss += procField(rollup, "Pss:")
	}
	return Figures{
		ServerRSS: float64(rss) / float64(axis.Count),
		ServerPSS: float64(pss) / float64(axis.Count),
		Startup:   latencies(startups)[P50],
	}, nil
}

// fleet is a number of minimal servers.
type fleet struct {
	lib     Library
	axis    Axis
	command string
	dir     string
	ships   []ship
}

// ship is a running server with its one connection.
type ship struct {
	server *exec.Cmd
	conn   Conn
}

// start starts one more server and calls it; it returns how long its first
// answer took.
func (f *fleet) start(ctx context.Context) (startup time.Duration, err error) {
	path := filepath.Join(f.dir, strconv.Itoa(len(f.ships)))
	started := time.Now()
	conn, err := f.launch(ctx, path)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", f.command, err)
	}
	payload := f.axis.payload()
	for i := range callsInFleet {
		if err := conn.Unary(ctx, Instant, payload); err != nil {
			return 0, err
		}
		if i == 0 {
			startup = time.Since(started)
		}
	}
	return startup, nil
}

// launch starts a server that listens on path and connects to it.
func (f *fleet) launch(ctx context.Context, path string) (Conn, error) {
	server := exec.CommandContext(ctx, f.command, path)
	dieWithParent(server)
	output, err := server.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := server.Start(); err != nil {
		return nil, err
	}
	f.ships = append(f.ships, ship{server: server})
	if _, err := bufio.NewReader(output).ReadString('\n'); err != nil {
		return nil, fmt.Errorf("it does not listen: %w", err)
	}
	socket, err := net.Dial("unix", path)
	if err != nil {
		return nil, err
	}
	conn, err := f.lib.Dial(socket, f.axis.settings())
	f.ships[len(f.ships)-1].conn = conn
	return conn, err
}

// stop ends all servers.
func (f *fleet) stop() {
	for _, s := range f.ships {
		if s.conn != nil {
			s.conn.Close()
		}
		if err := s.server.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
			fmt.Fprintln(os.Stderr, "bench:", err)
		}
		_ = s.server.Wait() // it was killed
	}
}
