// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
)

// A process is a peer of ttrpc-rust that runs.
type process struct {
	command *exec.Cmd
	stdin   io.WriteCloser
	lines   *bufio.Scanner // of its standard output
}

// start starts a peer.
func start(ctx context.Context, program string, args ...string) (*process, error) {
	p := &process{command: exec.CommandContext(ctx, program, args...)}
	p.command.Stderr = os.Stderr
	var err error
	if p.stdin, err = p.command.StdinPipe(); err != nil {
		return nil, err
	}
	stdout, err := p.command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.lines = bufio.NewScanner(stdout)
	p.lines.Buffer(nil, 1<<20)
	return p, p.command.Start()
}

// line returns the next line that it prints.
func (p *process) line() (string, error) {
	if !p.lines.Scan() {
		return "", errors.Join(errors.New("the peer says nothing more"), p.lines.Err())
	}
	return p.lines.Text(), nil
}

// answer implements client.
func (p *process) answer(_ context.Context, command string) (string, error) {
	if _, err := fmt.Fprintln(p.stdin, command); err != nil {
		return "", err
	}
	line, err := p.line()
	return strings.TrimSpace(line), err
}

// restarted is a client of ttrpc-rust. It is started when it is needed, and again
// after it has failed to answer.
type restarted struct {
	start func() (*process, error)
	now   *process
}

// answer implements client.
func (r *restarted) answer(ctx context.Context, command string) (answer string, err error) {
	if r.now == nil {
		if r.now, err = r.start(); err != nil {
			return "", err
		}
	}
	p := r.now
	stop := context.AfterFunc(ctx, func() { _ = p.command.Process.Kill() })
	defer stop()
	if answer, err = p.answer(ctx, command); err != nil {
		r.now = nil
		err = errors.Join(err, p.stop())
	}
	return answer, err
}

// stop ends it.
func (r *restarted) stop() error {
	if r.now == nil {
		return nil
	}
	return r.now.stop()
}

// stop lets the peer end, which must be with success.
func (p *process) stop() error {
	return errors.Join(p.stdin.Close(), p.command.Wait())
}
