// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"

	"github.com/containerd/ttrpc/bench/internal/load"
	"github.com/containerd/ttrpc/bench/internal/report"
)

// section is a table of the report.
type section struct {
	title  string
	text   string // below the title
	groups []group
}

// group are the rows about one axis.
type group struct {
	axis    string
	title   string
	figures []figure
}

// figure is a row: one figure of an axis, and what it should be.
type figure struct {
	metric load.Metric
	label  string // empty if the group's title says all
	unit   report.Unit

	// goal is the largest ratio to upstream or, if absolute is set, the largest
	// figure that is good enough; zero if there is none.
	goal     float64
	absolute bool

	chart string // what the chart calls it, if it is there
}

// Figures that come from the build rather than from a run.
const (
	buildAxis             = "build"
	buildSize load.Metric = "size"
	buildDeps load.Metric = "packages"
)

// fullTitle says what a figure of the group is about.
func (g group) fullTitle(f figure) string {
	if f.label == "" {
		return g.title
	}
	return g.title + ", " + f.label
}

// hasGoals reports whether there are any in the section.
func (s section) hasGoals() bool {
	for _, g := range s.groups {
		for _, f := range g.figures {
			if f.goal != 0 {
				return true
			}
		}
	}
	return false
}

// Rows that many axes have.
var (
	perCall    = figure{metric: load.Time, label: "time per call"}
	perMessage = figure{metric: load.Time, label: "time per message"}
	cpuCall    = figure{metric: load.CPU, label: "CPU time per call"}
	cpuMessage = figure{metric: load.CPU, label: "CPU time per message"}
	p50        = figure{metric: load.P50, label: "p50"}
	p99        = figure{metric: load.P99, label: "p99"}
	onOneCPU   = figure{metric: load.Mean} // where nothing else runs, its CPU time, too
)

// atMost returns f with a goal for its ratio to upstream.
func (f figure) atMost(goal float64) figure {
	f.goal = goal
	return f
}

// charted returns f as a bar of the chart, under that label.
func (f figure) charted(label string) figure {
	f.chart = label
	return f
}

// sections are the report.
var sections = []section{
	{title: "Goals", groups: goals},
	{title: "Size of messages", text: "One caller, both processes on one CPU: mean time of a call.", groups: payloads},
	{title: "Callers and connections", text: "Messages of 64 B.", groups: concurrency},
	{title: "Handlers", text: "Handlers that hash 64 KiB, or sleep for a millisecond.", groups: handlers},
	{title: "Streams", groups: streams},
	{
		title: "What calls take along",
		text: "Messages of 64 B, one caller on one CPU, and 64 callers. Deadlines and cancellable contexts: one for\n" +
			"each call. Metadata: four pairs, set for each call; the handler looks at one.",
		groups: along,
	},
	{
		title: "Hundreds of processes",
		text: fmt.Sprintf("%d minimal servers at once, each with one service, one connection, a few calls, then idle.\n"+
			"PSS counts pages that processes share, such as the program's code, only once for all of them.", fleetSize()),
		groups: fleet,
	},
}

// fleetSize is how many processes the fleet has.
func fleetSize() int {
	axis, _ := load.FindAxis("fleet")
	return axis.Count
}

// goals are the rows that have goals, and what belongs to them.
var goals = []group{
	{axis: "unary-64", title: "unary 64 B, one CPU", figures: []figure{
		{metric: load.Mean, label: "mean", goal: 0.45, chart: "unary 64 B, one CPU, mean"},
		p50,
		p99.atMost(0.33).charted("unary 64 B, one CPU, p99"),
		cpuCall,
	}},
	{axis: "unary-64-2cpu", title: "unary 64 B, two CPUs", figures: []figure{
		p50.atMost(0.80),
		cpuCall.atMost(0.60).charted("unary 64 B, two CPUs, CPU time"),
		{metric: load.Switches, label: "context switches per call", goal: 0.65, unit: report.Count},
	}},
	{axis: "unary-64k", title: "unary 64 KiB, one CPU", figures: []figure{
		{metric: load.Mean, label: "mean", goal: 0.33, chart: "unary 64 KiB, one CPU"},
		cpuCall,
	}},
	{axis: "unary-1m", title: "unary 1 MiB, one CPU", figures: []figure{
		{metric: load.Mean, label: "mean", goal: 0.40, chart: "unary 1 MiB, one CPU"},
		cpuCall,
	}},
	{axis: "unary-1m-2cpu", title: "unary 1 MiB, two CPUs", figures: []figure{p50.atMost(0.33), cpuCall}},
	{axis: "unary-4m", title: "unary 4 MiB, one CPU", figures: []figure{
		{metric: load.Mean, label: "mean", goal: 0.40}, cpuCall,
	}},
	{axis: "callers-64", title: "64 callers", figures: []figure{
		perCall.atMost(0.33).charted("64 callers, time per call"), cpuCall, p99,
	}},
	{axis: "callers-512", title: "512 callers", figures: []figure{
		perCall.atMost(0.28).charted("512 callers, time per call"), cpuCall,
	}},
	{axis: "callers-4096", title: "4,096 callers", figures: []figure{
		perCall.atMost(0.30).charted("4,096 callers, time per call"), cpuCall,
	}},
	{axis: "conns-64", title: "64 connections × 1 caller", figures: []figure{
		perCall.atMost(0.40).charted("64 connections, time per call"), cpuCall, p99.atMost(1),
	}},
	{axis: "conns-64x8", title: "64 connections × 8 callers", figures: []figure{perCall.atMost(0.35), cpuCall}},
	{axis: "callers-8-64k", title: "8 callers × 64 KiB", figures: []figure{
		perCall.atMost(0.33).charted("8 callers × 64 KiB, time per call"), cpuCall,
	}},
	{axis: "server-stream", title: "server stream", figures: []figure{
		perMessage.atMost(0.25).charted("server stream, per message"), cpuMessage,
	}},
	{axis: "client-stream", title: "client stream", figures: []figure{
		perMessage.atMost(0.30).charted("client stream, per message"), cpuMessage,
	}},
	{axis: "ping-pong", title: "bidi ping-pong, one CPU", figures: []figure{
		{metric: load.Mean, label: "mean", goal: 0.60, chart: "bidi ping-pong, one CPU"},
		{metric: load.CPU, label: "CPU time per exchange"},
	}},
	{axis: "ping-pong-1000", title: "bidi ping-pong on 1,000 streams", figures: []figure{
		{metric: load.Time, label: "time per exchange", goal: 0.40, chart: "bidi ping-pong, 1,000 streams"},
		{metric: load.CPU, label: "CPU time per exchange"},
	}},
	{axis: "stall", title: "a slow stream beside calls", figures: []figure{
		{metric: load.Worst, label: "worst call", goal: 5000, absolute: true},
	}},
	{axis: "idle-conns", title: "idle connection", figures: []figure{
		{metric: load.ServerRSS, label: "server RSS", goal: 0.30, unit: report.Memory, chart: "idle connection, server RSS"},
		{metric: load.ClientRSS, label: "client RSS", goal: 0.30, unit: report.Memory},
		{metric: load.ServerHeap, label: "server heap", goal: 0.14, unit: report.Memory},
		{metric: load.ServerGoroutines, label: "server goroutines", goal: 1, absolute: true, unit: report.Count},
	}},
	{axis: "idle-streams", title: "idle open stream", figures: []figure{
		{metric: load.ServerRSS, label: "server RSS", goal: 0.60, unit: report.Memory, chart: "idle stream, server RSS"},
		{metric: load.ClientRSS, label: "client RSS", goal: 0.50, unit: report.Memory},
	}},
	{axis: "callers-64-1m", title: "64 callers × 1 MiB", figures: []figure{
		{metric: load.ServerPeak, label: "server's peak RSS", goal: 0.55, unit: report.Memory,
			chart: "64 callers × 1 MiB, server's peak RSS"},
		{metric: load.ClientPeak, label: "client's peak RSS", goal: 0.40, unit: report.Memory,
			chart: "64 callers × 1 MiB, client's peak RSS"},
		cpuCall,
	}},
	{axis: "allocations", title: "unary call, both ends", figures: []figure{
		{metric: load.Allocs, label: "allocations", goal: 7, absolute: true, unit: report.Count, chart: "allocations per unary call"},
		{metric: load.AllocBytes, label: "bytes allocated", goal: 500, absolute: true, unit: report.Memory},
	}},
	{axis: "footprint", title: "server after 10,000 calls", figures: []figure{
		{metric: load.ServerRSS, label: "RSS", goal: 0.85, unit: report.Memory, chart: "server after 10,000 calls, RSS"},
	}},
	{axis: buildAxis, title: "minimal server", figures: []figure{
		{metric: buildSize, label: "stripped binary", goal: 0.98, unit: report.Memory, chart: "minimal server, size"},
		{metric: buildDeps, label: "packages linked", goal: 128, absolute: true, unit: report.Count},
	}},
}

var payloads = []group{
	{axis: "unary-0", title: "empty", figures: []figure{onOneCPU}},
	{axis: "unary-64", title: "64 B", figures: []figure{onOneCPU}},
	{axis: "unary-1k", title: "1 KiB", figures: []figure{onOneCPU}},
	{axis: "unary-4k", title: "4 KiB", figures: []figure{onOneCPU}},
	{axis: "unary-16k", title: "16 KiB", figures: []figure{onOneCPU}},
	{axis: "unary-64k", title: "64 KiB", figures: []figure{onOneCPU}},
	{axis: "unary-256k", title: "256 KiB", figures: []figure{onOneCPU}},
	{axis: "unary-1m", title: "1 MiB", figures: []figure{onOneCPU}},
	{axis: "unary-4m", title: "4 MiB − 64 B", figures: []figure{onOneCPU}},
}

var concurrency = []group{
	{axis: "unary-64-2cpu", title: "1 caller", figures: []figure{perCall, cpuCall}},
	{axis: "callers-4", title: "4 callers", figures: []figure{perCall, cpuCall}},
	{axis: "callers-16", title: "16 callers", figures: []figure{perCall, cpuCall}},
	{axis: "callers-64", title: "64 callers", figures: []figure{perCall, cpuCall}},
	{axis: "callers-256", title: "256 callers", figures: []figure{perCall, cpuCall}},
	{axis: "callers-1024", title: "1,024 callers", figures: []figure{perCall, cpuCall}},
	{axis: "callers-4096", title: "4,096 callers", figures: []figure{perCall, cpuCall}},
	{axis: "conns-4", title: "4 connections", figures: []figure{perCall, cpuCall}},
	{axis: "conns-16", title: "16 connections", figures: []figure{perCall, cpuCall}},
	{axis: "conns-64", title: "64 connections", figures: []figure{perCall, cpuCall}},
}

var handlers = []group{
	{axis: "work", title: "hashing, one caller on one CPU", figures: []figure{onOneCPU}},
	{axis: "work-64", title: "hashing, 64 callers", figures: []figure{perCall, cpuCall, p99}},
	{axis: "sleep-64", title: "sleeping, 64 callers", figures: []figure{p50, cpuCall, p99}},
	{axis: "sleep-1024", title: "sleeping, 1,024 callers", figures: []figure{perCall, cpuCall, p99}},
}

var streams = []group{
	{axis: "server-stream-4k", title: "server stream of 4 KiB messages", figures: []figure{perMessage, cpuMessage}},
	{axis: "client-stream-4k", title: "client stream of 4 KiB messages", figures: []figure{perMessage, cpuMessage}},
	{axis: "duplex", title: "64 B both ways at once", figures: []figure{perMessage, cpuMessage}},
	{axis: "duplex-16", title: "64 B both ways at once on 16 streams", figures: []figure{perMessage, cpuMessage}},
}

var along = []group{
	{axis: "with-deadline", title: "deadline, one caller", figures: []figure{onOneCPU}},
	{axis: "with-deadline-64", title: "deadline, 64 callers", figures: []figure{perCall, cpuCall}},
	{axis: "with-cancel", title: "cancellable context, one caller", figures: []figure{onOneCPU}},
	{axis: "with-cancel-64", title: "cancellable context, 64 callers", figures: []figure{perCall, cpuCall}},
	{axis: "with-metadata", title: "metadata, one caller", figures: []figure{onOneCPU}},
	{axis: "with-metadata-64", title: "metadata, 64 callers", figures: []figure{perCall, cpuCall}},
	{axis: "with-interceptors", title: "an interceptor on either end, one caller", figures: []figure{onOneCPU}},
	{axis: "with-interceptors-64", title: "an interceptor on either end, 64 callers", figures: []figure{perCall, cpuCall}},
}

var fleet = []group{
	{axis: "fleet", title: "a process", figures: []figure{
		{metric: load.ServerPSS, label: "PSS", unit: report.Memory, chart: "one of 200 processes, PSS"},
		{metric: load.ServerRSS, label: "RSS", unit: report.Memory},
		{metric: load.Startup, label: "from its start to its first answer", chart: "process start to first answer"},
	}},
	{axis: buildAxis, title: "its program", figures: []figure{
		{metric: buildSize, label: "size, stripped", unit: report.Memory},
		{metric: buildDeps, label: "packages linked", unit: report.Count},
	}},
}
