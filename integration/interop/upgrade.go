// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"

	"github.com/containerd/ttrpc/integration/interop/report"
)

// replacedCase is run with servers that take turns.
const replacedCase = "end of server: replaced by another release, and back"

// runUpgrade lets a server of one release take the place of one of the other, and
// back, under clients of either; and lets clients of both call one server.
func (s *suite) runUpgrade(part, version string) (*report.Result, error) {
	result := &report.Result{Part: part, Peer: upstream, Version: version}
	add := func(name, direction, got, want string) {
		c := report.Case{Name: name, Direction: direction, Outcome: report.Pass}
		if got != want {
			c.Outcome, c.Note = report.Fail, got
		}
		result.Cases = append(result.Cases, c)
	}
	for _, p := range []pair{{client: tree, server: version}, {client: version, server: version}} {
		direction := "our client, servers in turn"
		if p.client == version {
			direction = "their client, servers in turn"
		}
		got, err := s.replaceInTurn(p, tree)
		if err != nil {
			return nil, err
		}
		add("their server, ours, theirs, ours, theirs", direction, got, strings.Join([]string{tree, version, tree, version}, ", "))
	}
	for _, p := range []pair{{client: tree, server: version}, {client: version, server: tree}} {
		direction := "both clients, their server"
		if p.server == tree {
			direction = "both clients, our server"
		}
		got, err := s.callFromBoth(p)
		if err != nil {
			return nil, err
		}
		add("clients of both at the same time", direction, got, "ok")
	}
	return result, nil
}

// replaceInTurn runs the case whose server is replaced.
func (s *suite) replaceInTurn(p pair, other string) (outcome string, err error) {
	session, err := s.open(p)
	if err != nil {
		return "", err
	}
	session.others = []string{other, p.server}
	outcome = session.run(replacedCase)
	return strings.Join(append([]string{outcome}, session.close()...), "; "), nil
}

// bothCases are run by two clients at the same time.
var bothCases = []string{"unary", "metadata", "errors of Go", "1,000 concurrent calls", "cancel while the answer comes"}

// callFromBoth lets clients of both versions of a pair call the server.
func (s *suite) callFromBoth(p pair) (outcome string, err error) {
	session, err := s.open(p)
	if err != nil {
		return "", err
	}
	another, err := session.startAnother(p.theirsOrOurs())
	if err != nil {
		return "", err
	}
	outcomes := make(chan string)
	for _, client := range []*process{session.client, another} {
		go func() {
			var wrong []string
			for _, name := range bothCases {
				if outcome := session.runOn(client, name); outcome != "ok" {
					wrong = append(wrong, client.role()+": "+name+": "+outcome)
				}
			}
			outcomes <- strings.Join(wrong, "; ")
		}()
	}
	wrong := []string{<-outcomes, <-outcomes}
	session.past = append(session.past, another)
	if err := another.stop(); err != nil {
		wrong = append(wrong, another.role()+": "+err.Error())
	}
	wrong = append(wrong, session.close()...)
	if outcome = strings.Trim(strings.Join(wrong, "; "), "; "); outcome == "" {
		outcome = "ok"
	}
	return outcome, nil
}

// theirsOrOurs returns the version of the pair that the client is not.
func (p pair) theirsOrOurs() string {
	if p.client == tree {
		return p.theirs()
	}
	return tree
}
