// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"errors"
	"os"
	"regexp"
	"slices"
	"strings"
)

var (
	panicked  = regexp.MustCompile(`panic|^fatal error|^goroutine \d+ \[`)
	complaint = regexp.MustCompile(`level=(warning|error|fatal).*(?i:ttrpc)`)
)

// explained are complaints about what has to be: the cases kill the daemon while
// shims have events for it, and shims end before the daemon has answered.
var explained = []*regexp.Regexp{
	regexp.MustCompile(`msg="failed sending message on channel" error="write unix \S+: write: broken pipe"`),
	regexp.MustCompile(`msg="post event" error="failed to connect: dial unix \S+: connect: connection refused"`),
}

// cleanLog reads what the daemon has written, and the shims, which write to its
// log.
func (b *bed) cleanLog(context.Context) error {
	log, err := os.ReadFile(b.logFile())
	if err != nil {
		return err
	}
	var unexplained []string
	for line := range strings.Lines(string(log)) {
		switch {
		case panicked.MatchString(line), complaint.MatchString(line) && !isExplained(line):
			unexplained = append(unexplained, tail(line, 500))
		case complaint.MatchString(line) && b.r.verbose:
			say("    as expected: %s", line)
		}
	}
	if len(unexplained) > 0 {
		return errors.New(strings.Join(unexplained, "; "))
	}
	return nil
}

// isExplained tells whether a complaint is one that has to come.
func isExplained(line string) bool {
	return slices.ContainsFunc(explained, func(e *regexp.Regexp) bool { return e.MatchString(line) })
}
