// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// tree stands for the sources around this directory, in the place of a release.
const tree = "tree"

// releases are one of each line that is in use.
var releases = []string{"v1.1.2", "v1.2.2", "v1.2.5", "v1.2.8", "v1.2.10"}

// noStreams is the release that has none, and gogo's messages.
const noStreams = "v1.1.2"

// A suite lets peers call each other.
type suite struct {
	ctx   context.Context
	dir   string // for programs, sockets and logs
	race  bool   // the library of this tree is built with the race detector
	names int    // of files, so far

	cases, streamCases []string // what the peers can run
}

// fetch downloads the releases, unless they are there. An error says which one
// cannot be had.
func (s *suite) fetch() error {
	for _, version := range releases {
		if _, err := download(s.ctx, "github.com/containerd/ttrpc", version); err != nil {
			return err
		}
	}
	return nil
}

// buildAll links a peer with each release, and with the library of this tree.
func (s *suite) buildAll() error {
	for _, version := range append([]string{tree}, releases...) {
		if err := s.build(version); err != nil {
			return err
		}
	}
	all, err := s.list(tree)
	if err != nil {
		return err
	}
	unary, err := s.list(noStreams)
	if err != nil {
		return err
	}
	s.cases = all
	s.streamCases = slices.DeleteFunc(slices.Clone(all), func(name string) bool { return slices.Contains(unary, name) })
	return checkExpectations(all)
}

func (s *suite) build(version string) error {
	args := []string{"build", "-C", "peer", "-trimpath", "-buildvcs=false", "-o", s.program(version)}
	if version == tree {
		args = append(args, fmt.Sprintf("-race=%t", s.race))
	}
	_, err := output(exec.CommandContext(s.ctx, "go", append(args, s.sources(version)...)...))
	return err
}

// sources returns arguments for go that choose the release of a peer.
func (s *suite) sources(version string) []string {
	switch version {
	case tree:
		return []string{"-tags=tree", "."}
	case noStreams:
		return []string{"-tags=v11", "-modfile=" + version + ".mod", "."}
	}
	return []string{"-modfile=" + version + ".mod", "."}
}

// program returns the path of a peer.
func (s *suite) program(version string) string {
	return filepath.Join(s.dir, "peer-"+version+".exe")
}

// list returns the cases that a peer can run.
func (s *suite) list(version string) ([]string, error) {
	names, err := output(exec.CommandContext(s.ctx, s.program(version), "cases"))
	return strings.Split(strings.TrimSpace(string(names)), "\n"), err
}

// newFile returns a name that no file has.
func (s *suite) newFile(kind string) string {
	s.names++
	return filepath.Join(s.dir, fmt.Sprint(kind, s.names))
}

// A pair is a client and a server.
type pair struct {
	client, server string // versions
	mux            bool   // over NRI's multiplexer
}

// theirs returns the version that is not of this tree.
func (p pair) theirs() string {
	if p.client == tree {
		return p.server
	}
	return p.client
}

// A session is a pair that runs: processes for several cases.
type session struct {
	suite       *suite
	pair        pair
	socket      string
	serverFlags []string
	server      *process
	client      *process

	others []string // versions of servers that take turns with the first one
	past   []*process
}

func (s *suite) open(p pair, serverFlags ...string) (*session, error) {
	session := &session{suite: s, pair: p, socket: s.newFile("s"), serverFlags: serverFlags}
	if err := session.startServer(p.server); err != nil {
		return nil, err
	}
	if err := session.startClient(); err != nil {
		return nil, errors.Join(err, session.server.kill())
	}
	return session, nil
}

func (s *session) startServer(version string) error {
	if err := os.Remove(s.socket); err != nil && !errors.Is(err, os.ErrNotExist) { // one that was killed leaves it
		return err
	}
	server, err := s.start(version, append([]string{"serve", s.socket}, s.serverFlags...))
	if err == nil {
		s.server = server
	}
	return err
}

func (s *session) startClient() error {
	client, err := s.startAnother(s.pair.client)
	if err == nil {
		s.client = client
	}
	return err
}

// startAnother starts a client of any version.
func (s *session) startAnother(version string) (*process, error) {
	args := []string{"call", s.socket}
	if s.pair.server == noStreams || version == noStreams || slices.Contains(s.others, noStreams) {
		args = append(args, "unary")
	}
	return s.start(version, args)
}

func (s *session) start(version string, args []string) (*process, error) {
	if s.pair.mux {
		args = append(args, "mux")
	}
	p, err := start(s.suite.ctx, s.suite.newFile("log"), s.suite.program(version), args...)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", version, args[0], err)
	}
	return p, nil
}

// run runs a case.
func (s *session) run(name string) (outcome string) {
	outcome = s.runOn(s.client, name)
	for _, p := range append(s.past, s.server, s.client) {
		if line := p.crash(); line != "" {
			outcome += "; " + p.role() + " crashed: " + line
		}
	}
	return outcome
}

// runOn runs a case on a client.
func (s *session) runOn(client *process, name string) (outcome string) {
	line, err := client.ask(name)
	for err == nil {
		if outcome, ok := strings.CutPrefix(line, "end "); ok {
			return outcome
		}
		command := strings.Fields(strings.TrimPrefix(line, "do "))
		if len(command) == 2 && command[0] == "die" {
			return s.killClient(command[1])
		}
		line, err = client.ask(s.obey(command))
	}
	if errors.Is(err, io.EOF) {
		return "the client has ended"
	}
	return "client: " + err.Error()
}

// obey has the server obey a command.
func (s *session) obey(command []string) string {
	switch command[0] {
	case "kill":
		if err := s.server.kill(); err != nil {
			return err.Error()
		}
		return "killed"
	case "replace":
		return s.replace()
	}
	answer, err := s.server.ask(strings.Join(command, " "))
	if err != nil {
		return err.Error()
	}
	return answer
}

// killClient kills the client, whose runs have this name, starts another one, and
// returns the outcome.
func (s *session) killClient(name string) string {
	if err := s.client.kill(); err != nil {
		return err.Error()
	}
	var wrong []string
	want := map[string]string{name: "10 canceled", name + "stream": "10 canceled"}
	if s.pair.theirs() == noStreams {
		want[name+"stream"] = "none"
	}
	for name, want := range want {
		if got := s.obey([]string{"ended", name}); got != want {
			wrong = append(wrong, "handlers: "+got)
		}
	}
	if err := s.startClient(); err != nil {
		return err.Error()
	}
	if outcome := s.runOn(s.client, "unary"); outcome != "ok" {
		wrong = append(wrong, "another client: "+outcome)
	}
	if len(wrong) > 0 {
		return strings.Join(wrong, "; ")
	}
	return "ok"
}

// replace ends the server, by its own way or by force, and starts another one at
// the same place. It returns its version.
func (s *session) replace() string {
	end := s.server.stop
	if len(s.past)%2 == 1 {
		end = s.server.kill
	}
	if err := end(); err != nil {
		return err.Error()
	}
	s.past = append(s.past, s.server)
	next := s.others[0]
	s.others = append(s.others[1:], next)
	if err := s.startServer(next); err != nil {
		return err.Error()
	}
	return next
}

// running reports whether both processes still run.
func (s *session) running() bool { return s.server.running() && s.client.running() }

// close ends both processes. It returns how they did that have not ended well, or wrote
// what nothing explains; crashes are in the outcomes of cases.
func (s *session) close() (wrong []string) {
	for _, p := range []*process{s.client, s.server} {
		running := p.running()
		if err := p.stop(); err != nil && running && p.crash() == "" {
			wrong = append(wrong, fmt.Sprintf("%s: %v", p.role(), err))
		}
	}
	for _, p := range append(s.past, s.server, s.client) {
		if p.crash() != "" {
			continue
		}
		for line := range strings.Lines(p.log()) {
			if !explained(p.role(), line) {
				wrong = append(wrong, fmt.Sprintf("%s: %q", p.role(), strings.TrimSpace(line)))
			}
		}
	}
	return wrong
}
