// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"regexp"
	"slices"

	"github.com/containerd/ttrpc/bench/internal/load"
	"github.com/containerd/ttrpc/bench/internal/report"
)

// subject is something there can be more and more of.
type subject struct {
	axis  string // of load.Growing
	title string
	one   string // what one of them is called
	text  string
	sizes []int
	costs []cost

	largest int // that was asked for; more than the last size if the machine sets a limit
}

// cost is what one of them costs.
type cost struct {
	metric load.Metric
	label  string
	unit   report.Unit
}

var subjects = []subject{
	{
		axis: "growing-calls", title: "Calls in flight", one: "call",
		text:  "As many callers, each making one call of 64 B after the other: time and CPU time per call.",
		sizes: []int{1, 10, 100, 1000, 10000, 100000},
		costs: []cost{
			{load.Time, "time", report.Micro},
			{load.CPU, "CPU time", report.Micro},
		},
	},
	{
		axis: "growing-blocked", title: "Waiting calls", one: "waiting call",
		text:  "Calls of 64 B whose handlers wait: memory per call, with the goroutine that made it.",
		sizes: []int{1, 10, 100, 1000, 10000, 100000},
		costs: memory,
	},
	{
		axis: "growing-conns", title: "Connections", one: "idle connection",
		text:  "Connections that have had a call and are idle: memory per connection.",
		sizes: []int{1, 10, 100, 1000, 10000, 20000},
		costs: memory,
	},
	{
		axis: "growing-streams", title: "Streams", one: "idle open stream",
		text:  "Bidirectional streams that have had a message each way and are open: memory per stream.",
		sizes: []int{1, 10, 100, 1000, 10000, 100000},
		costs: memory,
	},
}

var memory = []cost{
	{load.ServerRSS, "server RSS", report.Memory},
	{load.ClientRSS, "client RSS", report.Memory},
}

// chosen returns the subjects that match, up to max of each if it is not zero,
// and as far as the machine allows.
func chosen(only *regexp.Regexp, most int) []subject {
	var some []subject
	for _, s := range subjects {
		if !only.MatchString(s.axis) {
			continue
		}
		if most > 0 {
			s.sizes = upTo(s.sizes, most)
		}
		s.largest = s.sizes[len(s.sizes)-1]
		if s.axis == "growing-conns" {
			s.sizes = upTo(s.sizes, maxConns(load.RaiseFileLimit()))
		}
		some = append(some, s)
	}
	return some
}

// otherFiles is how many files a process may need besides its connections.
const otherFiles = 100

// maxConns returns how many connections a process can have that may open so many
// files; zero files stand for a limit that is not known.
func maxConns(files int) int {
	if files == 0 {
		return 1000
	}
	return files - otherFiles
}

// upTo returns the sizes up to most, which itself stands in place of those that
// are larger.
func upTo(sizes []int, most int) []int {
	if i := slices.IndexFunc(sizes, func(n int) bool { return n >= most }); i >= 0 {
		return append(sizes[:i:i], most)
	}
	return sizes
}
