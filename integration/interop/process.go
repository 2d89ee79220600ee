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
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// A process is a peer that runs. It takes lines, and answers with lines.
type process struct {
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	lines  chan string // of its standard output; closed at its end
	stderr string      // name of the file
	ended  chan struct{}

	err error // set before ended is closed: how it ended
}

// start starts a peer, and waits for its first line.
func start(ctx context.Context, stderr, program string, args ...string) (p *process, err error) {
	log, err := os.Create(stderr)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	p = &process{
		cmd:    exec.CommandContext(ctx, program, args...),
		lines:  make(chan string),
		stderr: stderr,
		ended:  make(chan struct{}),
	}
	p.cmd.Stderr = log
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go p.read(stdout)
	if _, err := p.line(); err != nil {
		return nil, errors.Join(err, p.kill(), errors.New(p.log()))
	}
	return p, nil
}

// read passes lines on until the process has ended. It is started by start.
func (p *process) read(stdout io.Reader) {
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		p.lines <- lines.Text()
	}
	close(p.lines)
	p.err = p.cmd.Wait()
	close(p.ended)
}

// patience is how long a peer may take for a line. It is more than the peers
// themselves wait for something in a case.
const patience = time.Minute

var errSilent = errors.New("the process is silent")

// line returns the next line of a peer. It is io.EOF when the process has ended.
func (p *process) line() (string, error) {
	select {
	case line, ok := <-p.lines:
		if !ok {
			<-p.ended
			return "", io.EOF
		}
		return line, nil
	case <-time.After(patience):
		return "", errSilent
	}
}

// ask sends a line and returns the answer.
func (p *process) ask(line string) (string, error) {
	if _, err := fmt.Fprintln(p.stdin, line); err != nil {
		return "", err
	}
	return p.line()
}

// stop ends the process as its user would, and returns how it ended.
func (p *process) stop() error {
	if err := p.stdin.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
		return err
	}
	for {
		if _, err := p.line(); errors.Is(err, io.EOF) {
			return p.err
		} else if err != nil {
			return errors.Join(err, p.kill())
		}
	}
}

// drain reads until the process has ended.
func (p *process) drain() {
	for range p.lines {
		continue
	}
	<-p.ended
}

// kill ends the process at once.
func (p *process) kill() error {
	err := p.cmd.Process.Kill()
	p.drain()
	return err
}

// role says what the process is: "server v1.2.8".
func (p *process) role() string {
	version := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(p.cmd.Path), "peer-"), ".exe")
	if p.cmd.Args[1] == "serve" {
		return "server " + version
	}
	return "client " + version
}

// running reports whether the process has not ended.
func (p *process) running() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// log returns what the process wrote to its standard error.
func (p *process) log() string {
	b, err := os.ReadFile(p.stderr)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

var crashLine = regexp.MustCompile(`(?m)^(?:panic: |fatal error: |WARNING: DATA RACE).*$`)

// crash returns the line that says that the process has crashed, or "".
func (p *process) crash() string {
	line := crashLine.FindString(p.log())
	return strings.TrimSuffix(line, " [recovered]")
}
