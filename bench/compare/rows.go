// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"time"

	"github.com/containerd/ttrpc/bench/internal/load"
)

// row is one line of the table: a figure of an axis, and what it should be.
type row struct {
	axis   string
	metric load.Metric
	title  string
	unit   unit

	// goal is the largest ratio to upstream or, if absolute is set, the largest
	// figure that is good enough; zero if there is none.
	goal     float64
	absolute bool
}

// unit says how a figure is written.
type unit int

const (
	micro  unit = iota // µs, or ms where that reads better
	count              // a number
	memory             // bytes, KB or MB
)

// Figures that come from the build rather than from a run.
const (
	buildAxis             = "build"
	buildSize load.Metric = "size"
	buildDeps load.Metric = "packages"
)

// rows are the lines of the table. Rows of one axis stand together.
var rows = []row{
	{axis: "unary-64", metric: load.Mean, title: "unary 64 B, one CPU, mean", goal: 0.45},
	{axis: "unary-64", metric: load.P50, title: "— p50"},
	{axis: "unary-64", metric: load.P99, title: "— p99", goal: 0.33},
	{axis: "unary-64", metric: load.CPU, title: "— CPU time per call"},
	{axis: "unary-64-2cpu", metric: load.P50, title: "unary 64 B, two CPUs, p50", goal: 0.80},
	{axis: "unary-64-2cpu", metric: load.CPU, title: "— CPU time per call", goal: 0.60},
	{axis: "unary-64-2cpu", metric: load.Switches, title: "— context switches per call", goal: 0.65, unit: count},
	{axis: "unary-64k", metric: load.Mean, title: "unary 64 KiB, one CPU, mean", goal: 0.33},
	{axis: "unary-64k", metric: load.CPU, title: "— CPU time per call"},
	{axis: "unary-1m", metric: load.Mean, title: "unary 1 MiB, one CPU, mean", goal: 0.40},
	{axis: "unary-1m", metric: load.CPU, title: "— CPU time per call"},
	{axis: "unary-1m-2cpu", metric: load.P50, title: "unary 1 MiB, two CPUs, p50", goal: 0.33},
	{axis: "unary-1m-2cpu", metric: load.CPU, title: "— CPU time per call"},
	{axis: "unary-4m", metric: load.Mean, title: "unary 4 MiB, one CPU, mean", goal: 0.40},
	{axis: "unary-4m", metric: load.CPU, title: "— CPU time per call"},
	{axis: "callers-64", metric: load.Time, title: "64 callers, time per call", goal: 0.33},
	{axis: "callers-64", metric: load.CPU, title: "— CPU time per call"},
	{axis: "callers-64", metric: load.P99, title: "— p99"},
	{axis: "callers-512", metric: load.Time, title: "512 callers, time per call", goal: 0.28},
	{axis: "callers-512", metric: load.CPU, title: "— CPU time per call"},
	{axis: "callers-4096", metric: load.Time, title: "4,096 callers, time per call", goal: 0.30},
	{axis: "callers-4096", metric: load.CPU, title: "— CPU time per call"},
	{axis: "conns-64", metric: load.Time, title: "64 connections × 1 caller, time per call", goal: 0.40},
	{axis: "conns-64", metric: load.CPU, title: "— CPU time per call"},
	{axis: "conns-64", metric: load.P99, title: "— p99", goal: 1},
	{axis: "conns-64x8", metric: load.Time, title: "64 connections × 8 callers, time per call", goal: 0.35},
	{axis: "conns-64x8", metric: load.CPU, title: "— CPU time per call"},
	{axis: "callers-8-64k", metric: load.Time, title: "8 callers × 64 KiB, time per call", goal: 0.33},
	{axis: "callers-8-64k", metric: load.CPU, title: "— CPU time per call"},
	{axis: "server-stream", metric: load.Time, title: "server stream, time per message", goal: 0.25},
	{axis: "server-stream", metric: load.CPU, title: "— CPU time per message"},
	{axis: "client-stream", metric: load.Time, title: "client stream, time per message", goal: 0.30},
	{axis: "client-stream", metric: load.CPU, title: "— CPU time per message"},
	{axis: "ping-pong", metric: load.Mean, title: "bidi ping-pong, one CPU, mean", goal: 0.60},
	{axis: "ping-pong", metric: load.CPU, title: "— CPU time per exchange"},
	{axis: "ping-pong-1000", metric: load.Time, title: "bidi ping-pong on 1,000 streams, time per exchange", goal: 0.40},
	{axis: "ping-pong-1000", metric: load.CPU, title: "— CPU time per exchange"},
	{axis: "stall", metric: load.Worst, title: "a slow stream beside calls: worst call", goal: 5000, absolute: true},
	{axis: "idle-conns", metric: load.ServerRSS, title: "idle connection, server RSS", goal: 0.30, unit: memory},
	{axis: "idle-conns", metric: load.ClientRSS, title: "— client RSS", goal: 0.30, unit: memory},
	{axis: "idle-conns", metric: load.ServerHeap, title: "— server heap", goal: 0.14, unit: memory},
	{axis: "idle-conns", metric: load.ServerGoroutines, title: "— server goroutines", goal: 1, absolute: true, unit: count},
	{axis: "idle-streams", metric: load.ServerRSS, title: "idle open stream, server RSS", goal: 0.60, unit: memory},
	{axis: "idle-streams", metric: load.ClientRSS, title: "— client RSS", goal: 0.50, unit: memory},
	{axis: "callers-64-1m", metric: load.ServerPeak, title: "64 callers × 1 MiB, server's peak RSS", goal: 0.55, unit: memory},
	{axis: "callers-64-1m", metric: load.ClientPeak, title: "— client's peak RSS", goal: 0.40, unit: memory},
	{axis: "callers-64-1m", metric: load.CPU, title: "— CPU time per call"},
	{axis: "allocations", metric: load.Allocs, title: "allocations per unary call, both ends", goal: 7, absolute: true, unit: count},
	{axis: "allocations", metric: load.AllocBytes, title: "— bytes", goal: 500, absolute: true, unit: memory},
	{axis: "footprint", metric: load.ServerRSS, title: "server's RSS after 10,000 calls", goal: 0.85, unit: memory},
	{axis: buildAxis, metric: buildSize, title: "minimal server, stripped binary", goal: 0.98, unit: memory},
	{axis: buildAxis, metric: buildDeps, title: "— packages linked", goal: 128, absolute: true, unit: count},
}

// atLeast is how long a run of an axis takes that needs its time: for the slow
// stream to end, for memory to reach its peak.
var atLeast = map[string]time.Duration{
	"stall":         2 * time.Second,
	"callers-64-1m": 2 * time.Second,
}

// notQuick are the axes that a quick run leaves out: others tell most of it.
var notQuick = map[string]bool{
	"unary-4m":      true,
	"callers-4096":  true,
	"conns-64x8":    true,
	"callers-8-64k": true,
}

// few are the axes whose figures hardly vary, or that take long. They are
// measured three times, in a quick run once.
var few = map[string]bool{
	"stall":         true,
	"callers-64-1m": true,
	"idle-conns":    true,
	"idle-streams":  true,
	"allocations":   true,
	"footprint":     true,
}
