// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package load

// Kind is what the client of an axis does.
type Kind string

const (
	Unary        Kind = "unary"         // calls, one after the other, by each caller
	ServerStream Kind = "server stream" // messages from the server
	ClientStream Kind = "client stream" // messages to the server
	PingPong     Kind = "ping-pong"     // a stream per caller, one message each way at a time
	Stall        Kind = "stall"         // calls beside a stream that is read slowly
	IdleConns    Kind = "idle conns"    // connections that have been used, and are not any more
	IdleStreams  Kind = "idle streams"  // open streams of one connection
	Footprint    Kind = "footprint"     // a number of calls, then the server's memory
	Allocations  Kind = "allocations"   // calls within one process
)

// Axis is one thing that is measured, by a client process against a server
// process of its own.
type Axis struct {
	Name    string
	Kind    Kind
	CPUs    int // 1 has both processes share one CPU; 0 leaves them alone
	Conns   int
	Callers int // per connection
	Size    int // of a message's bytes
	Count   int // of connections, streams or calls, where that is fixed
}

// Sizes of messages. The largest leaves room for the envelope in 4 MiB.
const (
	small = 64
	kib64 = 64 << 10
	mib1  = 1 << 20
	mib4  = 4<<20 - 1<<10
)

// Axes are all there are. The names are what the -axis flags take.
var Axes = []Axis{
	{Name: "unary-64", Kind: Unary, CPUs: 1, Conns: 1, Callers: 1, Size: small},
	{Name: "unary-64-2cpu", Kind: Unary, Conns: 1, Callers: 1, Size: small},
	{Name: "unary-64k", Kind: Unary, CPUs: 1, Conns: 1, Callers: 1, Size: kib64},
	{Name: "unary-1m", Kind: Unary, CPUs: 1, Conns: 1, Callers: 1, Size: mib1},
	{Name: "unary-1m-2cpu", Kind: Unary, Conns: 1, Callers: 1, Size: mib1},
	{Name: "unary-4m", Kind: Unary, CPUs: 1, Conns: 1, Callers: 1, Size: mib4},
	{Name: "callers-64", Kind: Unary, Conns: 1, Callers: 64, Size: small},
	{Name: "callers-512", Kind: Unary, Conns: 1, Callers: 512, Size: small},
	{Name: "callers-4096", Kind: Unary, Conns: 1, Callers: 4096, Size: small},
	{Name: "conns-64", Kind: Unary, Conns: 64, Callers: 1, Size: small},
	{Name: "conns-64x8", Kind: Unary, Conns: 64, Callers: 8, Size: small},
	{Name: "callers-8-64k", Kind: Unary, Conns: 1, Callers: 8, Size: kib64},
	{Name: "server-stream", Kind: ServerStream, Conns: 1, Callers: 1, Size: small},
	{Name: "client-stream", Kind: ClientStream, Conns: 1, Callers: 1, Size: small},
	{Name: "ping-pong", Kind: PingPong, CPUs: 1, Conns: 1, Callers: 1, Size: small},
	{Name: "ping-pong-1000", Kind: PingPong, Conns: 1, Callers: 1000, Size: small},
	{Name: "stall", Kind: Stall, Conns: 1, Callers: 1, Size: small, Count: 2000},
	{Name: "idle-conns", Kind: IdleConns, Size: small, Count: 1000},
	{Name: "idle-streams", Kind: IdleStreams, Conns: 1, Size: small, Count: 1000},
	{Name: "callers-64-1m", Kind: Unary, Conns: 1, Callers: 64, Size: mib1},
	{Name: "footprint", Kind: Footprint, Conns: 1, Size: small, Count: 10000},
	{Name: "allocations", Kind: Allocations, Size: small, Count: 20000},
}

// FindAxis returns the axis of that name.
func FindAxis(name string) (Axis, bool) {
	for _, axis := range Axes {
		if axis.Name == name {
			return axis, true
		}
	}
	return Axis{}, false
}

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

	ServerRSS        Metric = "server-rss" // per connection, per stream, or of the process
	ClientRSS        Metric = "client-rss"
	ServerHeap       Metric = "server-heap" // in use, per connection
	ServerGoroutines Metric = "server-goroutines"
	ServerPeak       Metric = "server-peak" // resident memory at its highest
	ClientPeak       Metric = "client-peak"
	Allocs           Metric = "allocs" // per call
	AllocBytes       Metric = "alloc-bytes"
)
