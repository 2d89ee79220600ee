// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"slices"
	"strings"
)

// A pair is a daemon and a shim that work with each other.
type pair struct {
	peer, name   string // as the tables call it
	daemon, shim build
	// refused is what containerd itself says if the two do not go together,
	// whatever the library: they agree on how a shim is started, or do not, before
	// there is a connection.
	refused string
}

// String returns what the pair is called in what is printed.
func (p pair) String() string { return p.peer + ": " + p.name }

var (
	ours24, theirs24 = build{"v2.4", ours}, build{"v2.4", upstreams}
	ours22, theirs22 = build{"v2.2", ours}, build{"v2.2", upstreams}
	ours16, theirs16 = build{"v1.6", ours}, build{"v1.6", upstreams}
	debian           = build{line: debians}
)

const (
	peer24     = "containerd v2.4.2"
	peerDebian = "containerd 1.6.20 of Debian 12"

	// What v2.4 says to a daemon of v1.6, and of a shim of v1.6.
	oldDaemon = "bootstrap parameters do not match"
	oldShim   = "type with url"
)

// allPairs are all. Where ours stands in for upstream's, the same pair without it
// is there too, so that a failure can be attributed.
var allPairs = []pair{
	{peer24, "our daemon, our shim", ours24, ours24, ""},
	{peer24, "their daemon, our shim", theirs24, ours24, ""},
	{peer24, "our daemon, their shim", ours24, theirs24, ""},
	{peer24, "their daemon, their shim", theirs24, theirs24, ""},

	{peerDebian, "Debian's daemon, our shim v1.6.36", debian, ours16, ""},
	{peerDebian, "Debian's daemon, their shim v1.6.36", debian, theirs16, ""},
	{peerDebian, "Debian's daemon, Debian's shim", debian, debian, ""},
	{peerDebian, "our daemon v2.2.9, Debian's shim", ours22, debian, ""},
	{peerDebian, "their daemon v2.2.9, Debian's shim", theirs22, debian, ""},
	{peerDebian, "our daemon v2.2.9, our shim v1.6.36", ours22, ours16, ""},

	{peerDebian, "Debian's daemon, our shim v2.4.2", debian, ours24, oldDaemon},
	{peerDebian, "Debian's daemon, their shim v2.4.2", debian, theirs24, oldDaemon},
	{peerDebian, "our daemon v2.4.2, Debian's shim", ours24, debian, oldShim},
	{peerDebian, "their daemon v2.4.2, Debian's shim", theirs24, debian, oldShim},
}

// pairs returns those that the flags ask for.
func (r *runner) pairs() []pair {
	all := allPairs
	if r.short {
		all = all[:2]
	}
	return slices.DeleteFunc(slices.Clone(all), func(p pair) bool { return !strings.Contains(p.String(), r.only) })
}

// needsDebian tells whether Debian's containerd is in one of the pairs.
func needsDebian(pairs []pair) bool {
	return slices.ContainsFunc(pairs, func(p pair) bool { return p.daemon == debian || p.shim == debian })
}
