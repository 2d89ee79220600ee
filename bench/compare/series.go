// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"time"

	"github.com/containerd/ttrpc/bench/internal/load"
)

// series runs the axes.
type series struct {
	config   config
	only     *regexp.Regexp
	dir      string
	variants variants

	sockets int // used so far
}

// pair is one run of either library, right after each other.
type pair struct {
	base, candidate load.Figures
	floor           load.Figures // nil where it has none
}

// results are the pairs of each axis.
type results map[string][]pair

// runPatience is how long one run may take.
const runPatience = 2 * time.Minute

func (s *series) measure(ctx context.Context) (results, error) {
	all := results{}
	if s.only.MatchString(buildAxis) {
		all[buildAxis] = []pair{{base: s.variants.base.figures(), candidate: s.variants.candidate.figures()}}
	}
	// An axis has its turn again when all others have had theirs, so that a
	// disturbance spoils one pair of several axes and not all pairs of one.
	for round := range s.config.pairs {
		for _, axis := range load.Axes {
			if !s.only.MatchString(axis.Name) || !s.takesPart(axis, round) {
				continue
			}
			p, err := s.measurePair(ctx, axis, round)
			if err != nil {
				return nil, err
			}
			all[axis.Name] = append(all[axis.Name], p)
			fmt.Fprintf(os.Stderr, "\r%d/%d %-20s", round+1, s.config.pairs, axis.Name)
		}
	}
	fmt.Fprintf(os.Stderr, "\r%30s\r", "")
	return all, nil
}

// figures are those that come from the build.
func (v *variant) figures() load.Figures {
	return load.Figures{buildSize: v.size, buildDeps: v.packages}
}

// takesPart reports whether axis is measured in that round.
func (s *series) takesPart(axis load.Axis, round int) bool {
	switch {
	case s.config.quick && notQuick[axis.Name]:
		return false
	case few[axis.Name] && s.config.quick:
		return round == 0
	case few[axis.Name]:
		return round < 3
	}
	return true
}

// measurePair runs axis for both, the base first in every other round.
func (s *series) measurePair(ctx context.Context, axis load.Axis, round int) (p pair, err error) {
	first, second := s.variants.base, s.variants.candidate
	firstFigures, secondFigures := &p.base, &p.candidate
	if round%2 == 1 {
		first, second = second, first
		firstFigures, secondFigures = secondFigures, firstFigures
	}
	if *firstFigures, err = s.run(ctx, first, axis); err != nil {
		return p, err
	}
	if *secondFigures, err = s.run(ctx, second, axis); err != nil {
		return p, err
	}
	if s.variants.floor != nil && axis.Kind == load.Unary && axis.Conns == 1 && axis.Callers == 1 {
		p.floor, err = s.run(ctx, s.variants.floor, axis)
	}
	return p, err
}

// run measures one axis once.
func (s *series) run(ctx context.Context, v *variant, axis load.Axis) (figures load.Figures, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("%s, %s: %w", v.name, axis.Name, err)
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, runPatience)
	defer cancel()
	s.sockets++
	socket := filepath.Join(s.dir, strconv.Itoa(s.sockets))
	flags := []string{"-socket", socket}
	if axis.CPUs == 1 {
		flags = append(flags, "-cpu", "1")
	}
	if axis.Kind != load.Allocations {
		server, err := startServer(ctx, v.command, flags)
		if err != nil {
			return nil, err
		}
		defer server.stop()
	}
	lasts := max(s.config.lasts, atLeast[axis.Name])
	args := append([]string{"client", "-axis", axis.Name, "-for", lasts.String()}, flags...)
	client := exec.CommandContext(ctx, v.command, args...)
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
func startServer(ctx context.Context, command string, flags []string) (*server, error) {
	cmd := exec.CommandContext(ctx, command, append([]string{"server"}, flags...)...)
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
