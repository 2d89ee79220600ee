// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package load

// Metric names a figure that an axis yields. Times are in microseconds, memory
// in bytes.
type Metric string

const (
	Time     Metric = "time"     // elapsed, per call or message: all callers together
	Mean     Metric = "mean"     // latency
	P50      Metric = "p50"      // latency
	P99      Metric = "p99"      // latency
	Worst    Metric = "worst"    // latency
	CPU      Metric = "cpu"      // of both processes, per call or message
	Switches Metric = "switches" // of context, in both processes, per call or message

	// Per connection, per stream, per call or of a process, as the axis has it.
	ServerRSS        Metric = "server-rss"
	ClientRSS        Metric = "client-rss"
	ServerPSS        Metric = "server-pss" // pages that processes share are divided among them
	ServerHeap       Metric = "server-heap"
	ClientHeap       Metric = "client-heap"
	ServerGoroutines Metric = "server-goroutines"
	ClientGoroutines Metric = "client-goroutines"

	ServerPeak Metric = "server-peak" // resident memory at its highest
	ClientPeak Metric = "client-peak"
	Startup    Metric = "startup" // from the start of the process to its first answer
	Allocs     Metric = "allocs"  // per call
	AllocBytes Metric = "alloc-bytes"
)

// Figures are what a run yields.
type Figures map[Metric]float64
