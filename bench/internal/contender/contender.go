// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

// Package contender builds the load programs of the libraries that are compared,
// and runs them. See package load for what those programs do.
package contender

import (
	"slices"

	"github.com/containerd/ttrpc/bench/internal/load"
)

// Contender is a library whose load program has been built.
type Contender struct {
	Name     string
	Version  string  // of its module, if it is a released one
	Size     float64 // of its minimal server, in bytes; zero if there is none
	Packages float64 // that its minimal server links

	command string // the load program
	minimal string // the minimal server, if there is one
	lacks   []load.Need
	only    []load.Kind // what it can do, if that is not everything
}

// The libraries that are compared with ttrpc, before they have been built.
var (
	GRPC = Contender{Name: "grpc-go"}

	// A connection of drpc carries one call or stream at a time.
	DRPC = Contender{
		Name:  "drpc",
		lacks: []load.Need{load.NeedSharing, load.NeedDeadlines, load.NeedInterceptors, load.NeedServer},
	}

	// The floor is no library, but plain reads and writes.
	Floor = Contender{
		Name: "floor",
		lacks: []load.Need{load.NeedSharing, load.NeedHandlers, load.NeedDeadlines, load.NeedCancellation,
			load.NeedMetadata, load.NeedInterceptors},
		only: []load.Kind{load.Unary},
	}
)

// Can reports whether the contender can do what axis is about.
func (c *Contender) Can(axis load.Axis) bool {
	if c.only != nil && !slices.Contains(c.only, axis.Kind) {
		return false
	}
	return !slices.ContainsFunc(axis.Needs(), func(n load.Need) bool { return slices.Contains(c.lacks, n) })
}
