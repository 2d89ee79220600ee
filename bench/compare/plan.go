// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"regexp"
	"slices"
	"time"

	"github.com/containerd/ttrpc/bench/internal/contender"
	"github.com/containerd/ttrpc/bench/internal/load"
)

// plan says what is measured, how often, and for how long.
type plan struct {
	sections []section
	axes     []load.Axis // of the sections
	build    bool        // whether the figures of the build are among them
	quick    bool
	rounds   int
	lasts    time.Duration
}

// newPlan returns the plan for the axes whose names match only.
func newPlan(c config, only *regexp.Regexp) plan {
	p := plan{quick: c.quick, rounds: c.pairs, lasts: c.lasts}
	named := map[string]bool{}
	for _, s := range sections {
		if c.quick && !s.hasGoals() {
			continue
		}
		if s = s.only(only); len(s.groups) == 0 {
			continue
		}
		p.sections = append(p.sections, s)
		for _, g := range s.groups {
			named[g.axis] = true
		}
	}
	p.build = named[buildAxis]
	for _, axis := range load.Axes {
		if named[axis.Name] {
			p.axes = append(p.axes, axis)
		}
	}
	return p
}

// axisNames returns the names that -axis knows.
func axisNames() []string {
	var names []string
	for _, s := range sections {
		for _, g := range s.groups {
			names = append(names, g.axis)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// only returns the section with those groups only whose axes match.
func (s section) only(axes *regexp.Regexp) section {
	var groups []group
	for _, g := range s.groups {
		if axes.MatchString(g.axis) {
			groups = append(groups, g)
		}
	}
	s.groups = groups
	return s
}

// has reports whether axis is measured in that round, counted from zero. The
// figures of memory hardly vary, and take long.
func (p plan) has(axis load.Axis, round int) bool {
	if !few(axis) {
		return true
	}
	if p.quick {
		return round == 0
	}
	return round < 3
}

func few(axis load.Axis) bool {
	switch axis.Kind {
	case load.Stall, load.IdleConns, load.IdleStreams, load.Footprint, load.Allocations, load.Fleet:
		return true
	}
	return axis.Name == peakAxis
}

// peakAxis is about the peak of the memory, which it takes its time to reach.
const peakAxis = "callers-64-1m"

// run returns how axis is run.
func (p plan) run(axis load.Axis) contender.Run {
	run := contender.Run{Axis: axis, Lasts: p.lasts}
	if axis.Kind == load.Stall || axis.Name == peakAxis {
		run.Lasts = max(run.Lasts, 2*time.Second)
	}
	return run
}

// quiet reports whether runs of axis do not disturb each other: they wait, and
// then look at memory.
func quiet(axis load.Axis) bool { return axis.Kind == load.IdleConns || axis.Kind == load.IdleStreams }
