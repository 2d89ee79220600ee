// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/containerd/ttrpc/integration/interop/report"
)

// upstream is the peer of all parts but the consumers' tests.
const upstream = "containerd/ttrpc"

// runReleases runs all cases with one release, in both directions.
func (s *suite) runReleases(part, version string, mux bool) (*report.Result, error) {
	result := &report.Result{Part: part, Peer: upstream, Version: version}
	for _, p := range []pair{{tree, version, mux}, {version, tree, mux}} {
		cases, err := s.runPair(p)
		if err != nil {
			return nil, err
		}
		result.Cases = append(result.Cases, cases...)
	}
	return result, nil
}

// direction says who calls whom.
func (p pair) direction() string {
	if p.client == tree {
		return report.OurClient
	}
	return report.OurServer
}

// runPair runs all cases of a pair: most in one session, and in one of their own
// those that end a process.
func (s *suite) runPair(p pair) (cases []report.Case, err error) {
	add := func(name string, outcome report.Outcome, note string) {
		cases = append(cases, report.Case{Name: name, Direction: p.direction(), Outcome: outcome, Note: note})
	}
	shared, err := s.open(p)
	if err != nil {
		return nil, err
	}
	var wrongs []string
	for _, name := range s.cases {
		omit, why := s.skips(p, name)
		if omit {
			continue
		}
		if why != "" {
			add(name, report.Skip, why)
			continue
		}
		session := shared
		if ownSession(name) || !shared.running() {
			if session, err = s.open(p, serverFlags(name)...); err != nil {
				return nil, err
			}
		}
		got := session.run(name)
		again := p.lost(name, got)
		if again != "" {
			got = session.run(name)
		}
		outcome, note := p.judge(name, got)
		if note == "" {
			note = again
		}
		add(name, outcome, note)
		switch {
		case !shared.running():
			wrongs = append(wrongs, shared.close()...)
			shared = session
		case session != shared:
			wrongs = append(wrongs, session.close()...)
		}
	}
	wrongs = append(wrongs, shared.close()...)
	slices.Sort(wrongs)
	if wrongs = slices.Compact(wrongs); len(wrongs) > 0 {
		add(logCase, report.Fail, strings.Join(wrongs[:min(len(wrongs), 3)], "; "))
	} else {
		add(logCase, report.Pass, "")
	}
	return cases, nil
}

// logCase is about what the processes of a pair wrote, all cases together.
const logCase = "nothing unexplained in the logs, no exit but at the end"

// judge compares an outcome with the one that is expected.
func (p pair) judge(name, got string) (report.Outcome, string) {
	want, note := p.expected(name)
	switch {
	case matches(got, want):
		return report.Pass, note
	case want == "ok":
		return report.Fail, got
	}
	return report.Fail, fmt.Sprintf("%s; expected: %s", got, want)
}

// matches compares an outcome with a pattern, in which N stands for any number.
func matches(got, pattern string) bool {
	parts := strings.Split(pattern, "N ")
	for i, part := range parts {
		if i > 0 {
			digits := strings.TrimLeft(got, "0123456789")
			if digits == got {
				return false
			}
			got = strings.TrimPrefix(digits, " ")
		}
		rest, ok := strings.CutPrefix(got, part)
		if !ok {
			return false
		}
		got = rest
	}
	return got == ""
}

// ownSession reports whether a case ends a process, or needs one with options.
func ownSession(name string) bool {
	return strings.HasPrefix(name, "end of server: ") || strings.HasPrefix(name, "end of client: ") || serverFlags(name) != nil
}

// serverFlags returns what the server of a case is started with.
func serverFlags(name string) []string {
	if name == "response above the client's limit" {
		return []string{"max"}
	}
	return nil
}

// skips says whether a case does not exist for a pair, or why it cannot be run.
func (s *suite) skips(p pair, name string) (omit bool, why string) {
	const (
		tooMany = "NRI's multiplexer closes a connection on which 256 writes wait to be read, whoever writes them"
		tooBig  = "over NRI's multiplexer a frame above the limit ends the connection (D33)"
		closes  = "their server closes the connection as it answers (D4), and NRI's multiplexer then drops what was not yet read"
		noHalf  = "NRI's multiplexer has no half-close"
	)
	switch name {
	case replacedCase:
		return true, "" // that is another part
	case "request above the server's limit":
		omit, why = p.client != tree, onMux(p, tooBig)
	case "response above the client's limit":
		omit, why = p.server != tree, onMux(p, tooBig)
	case "1,000 concurrent calls", "1,000 concurrent calls that wait":
		why = onMux(p, tooMany)
	case "80 concurrent calls", "80 concurrent calls that wait":
		omit = !p.mux
	case "end of server: Close during calls":
		if p.server != tree {
			why = onMux(p, closes)
		}
	case "end of connection: half-close during a call":
		why = onMux(p, noHalf)
	case "stream to a server without streams":
		omit = p.server != noStreams
	default:
		if slices.Contains(s.streamCases, name) && p.theirs() == noStreams {
			why = noStreams + " has no streams"
		}
	}
	return omit, why
}

func onMux(p pair, why string) string {
	if p.mux {
		return why
	}
	return ""
}
