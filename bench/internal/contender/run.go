// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package contender

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/containerd/ttrpc/bench/internal/load"
)

// Run is one measurement.
type Run struct {
	Axis  load.Axis
	N     int           // of a growing axis, see load.Axis.At
	Lasts time.Duration // if the axis is one that takes as long as it may
}

// patience is how long one run may take.
const patience = 3 * time.Minute

// Measure runs the contender once: a server and a client, for themselves.
func (c *Contender) Measure(ctx context.Context, r Run) (figures load.Figures, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("%s, %s: %w", c.Name, r.Axis.Name, err)
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	dir, err := os.MkdirTemp("", "ttrpc-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	flags := r.flags(filepath.Join(dir, "socket"))
	switch r.Axis.Kind {
	case load.Allocations:
	case load.Fleet:
		flags = append(flags, "-minimal", c.minimal)
	default:
		server, err := c.startServer(ctx, flags)
		if err != nil {
			return nil, err
		}
		defer server.stop()
	}
	return c.runClient(ctx, flags)
}

// flags are those of client and server.
func (r Run) flags(socket string) []string {
	flags := []string{"-socket", socket, "-axis", r.Axis.Name, "-n", strconv.Itoa(r.N), "-for", r.Lasts.String()}
	if r.Axis.CPUs == 1 {
		flags = append(flags, "-cpu", "1")
	}
	return flags
}

func (c *Contender) runClient(ctx context.Context, flags []string) (figures load.Figures, err error) {
	client := exec.CommandContext(ctx, c.command, append([]string{"client"}, flags...)...)
	var stderr bytes.Buffer
	client.Stderr = &stderr
	out, err := client.Output()
	if err != nil {
		return nil, fmt.Errorf("client: %w: %s", err, lastLines(stderr.Bytes()))
	}
	return figures, json.Unmarshal(out, &figures)
}

// lastLines returns the end of what a process said.
func lastLines(b []byte) []byte {
	return bytes.TrimSpace(b[max(0, len(b)-1000):])
}

// server is a running server process.
type server struct {
	cmd   *exec.Cmd
	input interface{ Close() error }
}

// startServer returns when the server listens.
func (c *Contender) startServer(ctx context.Context, flags []string) (*server, error) {
	cmd := exec.CommandContext(ctx, c.command, append([]string{"server"}, flags...)...)
	input, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	output, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	s := &server{cmd: cmd, input: input}
	if _, err := bufio.NewReader(output).ReadString('\n'); err != nil {
		s.stop()
		return nil, fmt.Errorf("server: %w", err)
	}
	return s, nil
}

// stop ends the server and waits for that.
func (s *server) stop() {
	s.input.Close()
	_ = s.cmd.Wait() // what it has to say, it has said
}
