// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

// Package report is what the programs of the interop suite leave behind: results
// in files, of which it makes the tables in integration/README.md.
//
// A program writes a file for each release of the software that it ran against.
// The files hold nothing that changes from run to run, so a difference in one is
// a difference in what happened.
package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Result says what was run against one release of one peer, and how it ended. It
// is an object of JSON in a file of its own, in integration/interop/results.
type Result struct {
	// Part is the part of the suite. Results of a part stand together.
	Part string `json:"part"`
	// Peer is the software that the library was run against: "ttrpc-rust".
	Peer string `json:"peer"`
	// Version is the release of the peer: "v1.2.8".
	Version string `json:"version"`
	// Cases are in the order in which they are shown.
	Cases []Case `json:"cases"`
}

// Case is one thing that was tried.
type Case struct {
	// Name is the same for all releases and directions, where the case is.
	Name string `json:"name"`
	// Direction is who calls whom: "our client, their server".
	Direction string  `json:"direction"`
	Outcome   Outcome `json:"result"`
	// Note is needed if the outcome is not Pass: why it failed or was skipped. A
	// pass may have one: what the peer does wrong, and was expected to.
	Note string `json:"note,omitempty"`
}

// Outcome is how a case ended.
type Outcome string

// All outcomes.
const (
	Pass Outcome = "pass"
	Fail Outcome = "fail"
	Skip Outcome = "skip" // it could not be tried
)

// Directions.
const (
	OurClient = "our client, their server"
	OurServer = "their client, our server"
)

// Count returns the number of cases with an outcome.
func (r *Result) Count(outcome Outcome) int {
	n := 0
	for _, c := range r.Cases {
		if c.Outcome == outcome {
			n++
		}
	}
	return n
}

// Write writes a result to a file in dir. It replaces the one that an earlier run
// of the same part, peer and version has left.
func Write(dir string, r *Result) error {
	if err := r.check(); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, r.fileName()), r.encode(), 0o644)
}

// check returns an error if a case lacks something.
func (r *Result) check() error {
	for _, c := range r.Cases {
		switch {
		case c.Outcome == Pass:
		case c.Outcome != Fail && c.Outcome != Skip:
			return fmt.Errorf("%s %s: case %q has the result %q", r.Peer, r.Version, c.Name, c.Outcome)
		case c.Note == "":
			return fmt.Errorf("%s %s: case %q is no pass, and does not say why", r.Peer, r.Version, c.Name)
		}
	}
	return nil
}

// fileName returns a name made of the part, the peer and the version.
func (r *Result) fileName() string {
	name := strings.Map(func(c rune) rune {
		switch {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '.', c == '-':
			return c
		}
		return '-'
	}, strings.ToLower(r.Part+"-"+r.Peer+"-"+r.Version))
	return name + ".json"
}

// encode returns the result as JSON, one case in a line.
func (r *Result) encode() []byte {
	line := func(v any) []byte {
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		if err := e.Encode(v); err != nil {
			panic(err) // it has only strings
		}
		return bytes.TrimSpace(b.Bytes())
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "{\n\"part\": %s,\n\"peer\": %s,\n\"version\": %s,\n\"cases\": [", line(r.Part), line(r.Peer), line(r.Version))
	for i, c := range r.Cases {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "\n%s", line(c))
	}
	b.WriteString("\n]\n}\n")
	return b.Bytes()
}

// Read reads all results in dir. They are in the order of their parts, peers and
// versions.
func Read(dir string) ([]*Result, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		return nil, err
	}
	var results []*Result
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		r := new(Result)
		if err := json.Unmarshal(b, r); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		if err := r.check(); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		results = append(results, r)
	}
	slices.SortStableFunc(results, func(a, b *Result) int {
		if c := strings.Compare(a.Part, b.Part); c != 0 {
			return c
		}
		if c := strings.Compare(a.Peer, b.Peer); c != 0 {
			return c
		}
		return compareVersions(a.Version, b.Version)
	})
	return results, nil
}

// compareVersions orders v1.2.8 before v1.2.10.
func compareVersions(a, b string) int {
	for a != "" && b != "" {
		var numberA, numberB, textA, textB string
		textA, numberA, a = cutNumber(a)
		textB, numberB, b = cutNumber(b)
		if c := strings.Compare(textA, textB); c != 0 {
			return c
		}
		if c := len(numberA) - len(numberB); c != 0 {
			return c
		}
		if c := strings.Compare(numberA, numberB); c != 0 {
			return c
		}
	}
	return strings.Compare(a, b)
}

// cutNumber cuts off s what is before its first number, and that number.
func cutNumber(s string) (text, number, rest string) {
	isDigit := func(c rune) bool { return '0' <= c && c <= '9' }
	begin := strings.IndexFunc(s, isDigit)
	if begin < 0 {
		return s, "", ""
	}
	text, s = s[:begin], s[begin:]
	end := strings.IndexFunc(s, func(c rune) bool { return !isDigit(c) })
	if end < 0 {
		end = len(s)
	}
	return text, s[:end], s[end:]
}
