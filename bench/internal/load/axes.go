// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package load

import "slices"

// Kind is what the client of an axis does.
type Kind string

const (
	Unary        Kind = "unary"         // calls, one after the other, by each caller
	ServerStream Kind = "server stream" // messages from the server
	ClientStream Kind = "client stream" // messages to the server
	PingPong     Kind = "ping-pong"     // a stream per caller, one message each way at a time
	Duplex       Kind = "duplex"        // a stream per caller, messages both ways at once
	Stall        Kind = "stall"         // calls beside a stream that is read slowly
	IdleConns    Kind = "idle conns"    // connections that have been used, and are not any more
	IdleStreams  Kind = "idle streams"  // open streams
	Blocked      Kind = "blocked"       // calls whose handlers wait
	Footprint    Kind = "footprint"     // a number of calls, then the server's memory
	Allocations  Kind = "allocations"   // calls within one process
	Fleet        Kind = "fleet"         // many minimal servers at once, mostly idle
)

// Axis is one thing that is measured, by a client process against a server
// process of its own.
type Axis struct {
	Name    string
	Kind    Kind
	CPUs    int // 1 has both processes share one CPU; 0 leaves them alone
	Conns   int
	Callers int    // spread over the connections
	Size    int    // of a message's bytes
	Count   int    // of connections, streams, calls or processes, where that is fixed
	Method  Method // of unary calls, if not Instant
	With    With   // what calls take along, if anything
}

// With is what calls take along.
type With string

const (
	Deadline     With = "deadline"     // a context with a deadline, each its own
	Cancel       With = "cancel"       // a context that can be cancelled, each its own
	Metadata     With = "metadata"     // the pairs of Pairs
	Interceptors With = "interceptors" // an interceptor on either end
)

// Sizes of messages. The largest leaves room for the envelope in 4 MiB.
const (
	small  = 64
	kib    = 1 << 10
	kib4   = 4 << 10
	kib16  = 16 << 10
	kib64  = 64 << 10
	kib256 = 256 << 10
	mib1   = 1 << 20
	mib4   = 4<<20 - 64
)

// Axes are those of the comparison. The names are what the -axis flags take.
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
	{Name: "conns-64", Kind: Unary, Conns: 64, Callers: 64, Size: small},
	{Name: "conns-64x8", Kind: Unary, Conns: 64, Callers: 512, Size: small},
	{Name: "callers-8-64k", Kind: Unary, Conns: 1, Callers: 8, Size: kib64},
	{Name: "server-stream", Kind: ServerStream, Conns: 1, Callers: 1, Size: small},
	{Name: "client-stream", Kind: ClientStream, Conns: 1, Callers: 1, Size: small},
	{Name: "ping-pong", Kind: PingPong, CPUs: 1, Conns: 1, Callers: 1, Size: small},
	{Name: "ping-pong-1000", Kind: PingPong, Conns: 1, Callers: 1000, Size: small},
	{Name: "stall", Kind: Stall, Conns: 1, Callers: 1, Size: small, Count: 2000},
	{Name: "idle-conns", Kind: IdleConns, Conns: 1, Size: small, Count: 1000},
	{Name: "idle-streams", Kind: IdleStreams, Conns: 1, Size: small, Count: 1000},
	{Name: "callers-64-1m", Kind: Unary, Conns: 1, Callers: 64, Size: mib1},
	{Name: "footprint", Kind: Footprint, Conns: 1, Size: small, Count: 10000},
	{Name: "allocations", Kind: Allocations, Size: small, Count: 20000},

	{Name: "unary-0", Kind: Unary, CPUs: 1, Conns: 1, Callers: 1},
	{Name: "unary-1k", Kind: Unary, CPUs: 1, Conns: 1, Callers: 1, Size: kib},
	{Name: "unary-4k", Kind: Unary, CPUs: 1, Conns: 1, Callers: 1, Size: kib4},
	{Name: "unary-16k", Kind: Unary, CPUs: 1, Conns: 1, Callers: 1, Size: kib16},
	{Name: "unary-256k", Kind: Unary, CPUs: 1, Conns: 1, Callers: 1, Size: kib256},

	{Name: "callers-4", Kind: Unary, Conns: 1, Callers: 4, Size: small},
	{Name: "callers-16", Kind: Unary, Conns: 1, Callers: 16, Size: small},
	{Name: "callers-256", Kind: Unary, Conns: 1, Callers: 256, Size: small},
	{Name: "callers-1024", Kind: Unary, Conns: 1, Callers: 1024, Size: small},
	{Name: "conns-4", Kind: Unary, Conns: 4, Callers: 4, Size: small},
	{Name: "conns-16", Kind: Unary, Conns: 16, Callers: 16, Size: small},

	{Name: "work", Kind: Unary, CPUs: 1, Conns: 1, Callers: 1, Size: small, Method: Work},
	{Name: "work-64", Kind: Unary, Conns: 1, Callers: 64, Size: small, Method: Work},
	{Name: "sleep-64", Kind: Unary, Conns: 1, Callers: 64, Size: small, Method: Sleep},
	{Name: "sleep-1024", Kind: Unary, Conns: 1, Callers: 1024, Size: small, Method: Sleep},

	{Name: "server-stream-4k", Kind: ServerStream, Conns: 1, Callers: 1, Size: kib4},
	{Name: "client-stream-4k", Kind: ClientStream, Conns: 1, Callers: 1, Size: kib4},
	{Name: "duplex", Kind: Duplex, Conns: 1, Callers: 1, Size: small},
	{Name: "duplex-16", Kind: Duplex, Conns: 1, Callers: 16, Size: small},

	{Name: "with-deadline", Kind: Unary, CPUs: 1, Conns: 1, Callers: 1, Size: small, With: Deadline},
	{Name: "with-cancel", Kind: Unary, CPUs: 1, Conns: 1, Callers: 1, Size: small, With: Cancel},
	{Name: "with-metadata", Kind: Unary, CPUs: 1, Conns: 1, Callers: 1, Size: small, Method: Keyed, With: Metadata},
	{Name: "with-interceptors", Kind: Unary, CPUs: 1, Conns: 1, Callers: 1, Size: small, With: Interceptors},
	{Name: "with-deadline-64", Kind: Unary, Conns: 1, Callers: 64, Size: small, With: Deadline},
	{Name: "with-cancel-64", Kind: Unary, Conns: 1, Callers: 64, Size: small, With: Cancel},
	{Name: "with-metadata-64", Kind: Unary, Conns: 1, Callers: 64, Size: small, Method: Keyed, With: Metadata},
	{Name: "with-interceptors-64", Kind: Unary, Conns: 1, Callers: 64, Size: small, With: Interceptors},

	{Name: "fleet", Kind: Fleet, Size: small, Count: 200},
}

// Growing are the axes whose cost is looked at as their size grows, see At.
var Growing = []Axis{
	{Name: "growing-calls", Kind: Unary, Size: small},
	{Name: "growing-blocked", Kind: Blocked, Size: small, Method: Wait},
	{Name: "growing-conns", Kind: IdleConns, Conns: 1, Size: small},
	{Name: "growing-streams", Kind: IdleStreams, Size: small},
}

// perConn is how many calls or streams of a growing axis share a connection:
// libraries limit that.
const perConn = 4096

// At returns the axis with n callers, blocked calls, connections or streams.
func (a Axis) At(n int) Axis {
	switch a.Kind {
	case Unary:
		a.Callers = n
	default:
		a.Count = n
	}
	if a.Kind != IdleConns {
		a.Conns = (n + perConn - 1) / perConn
	}
	return a
}

// FindAxis returns the axis of that name.
func FindAxis(name string) (Axis, bool) {
	for _, axis := range slices.Concat(Axes, Growing) {
		if axis.Name == name {
			return axis, true
		}
	}
	return Axis{}, false
}
