// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"regexp"
	"testing"

	"github.com/containerd/ttrpc/bench/internal/load"
)

// Every group must be about an axis that exists, and every axis must be shown.
func TestSectionsAndAxesAgree(t *testing.T) {
	shown := map[string]bool{buildAxis: false}
	for _, axis := range load.Axes {
		shown[axis.Name] = false
	}
	for _, s := range sections {
		for _, g := range s.groups {
			if _, ok := shown[g.axis]; !ok {
				t.Errorf("%q is about %q, which is no axis", g.title, g.axis)
			}
			shown[g.axis] = true
		}
	}
	for name, ok := range shown {
		if !ok {
			t.Errorf("nothing shows axis %q", name)
		}
	}
	if _, ok := load.FindAxis(peakAxis); !ok {
		t.Errorf("peakAxis is %q, which is no axis", peakAxis)
	}
}

// The first row of a group has the group's title, the others need a label.
func TestFiguresAreNamed(t *testing.T) {
	for _, s := range sections {
		for _, g := range s.groups {
			if g.title == "" || len(g.figures) == 0 {
				t.Errorf("section %q has a group without title or figures", s.title)
			}
			for i, f := range g.figures {
				if i > 0 && f.label == "" {
					t.Errorf("%q has a row without a label", g.title)
				}
			}
		}
	}
}

func TestPlan(t *testing.T) {
	names := func(axes []load.Axis) (names []string) {
		for _, axis := range axes {
			names = append(names, axis.Name)
		}
		return names
	}
	full := newPlan(config{pairs: 5}, regexp.MustCompile(""))
	if len(full.axes) != len(load.Axes) || !full.build {
		t.Errorf("a full run measures %q", names(full.axes))
	}
	quick := newPlan(config{pairs: 5, quick: true}, regexp.MustCompile(""))
	if len(quick.sections) != 1 || quick.sections[0].title != "Goals" {
		t.Errorf("a quick run has %d sections", len(quick.sections))
	}
	one := newPlan(config{pairs: 5}, regexp.MustCompile("^unary-4k$"))
	if got := names(one.axes); len(got) != 1 || got[0] != "unary-4k" || one.build {
		t.Errorf("a run of one axis measures %q", got)
	}
	idle, _ := load.FindAxis("idle-conns")
	for _, test := range []struct {
		plan  plan
		round int
		want  bool
	}{{full, 0, true}, {full, 2, true}, {full, 3, false}, {quick, 0, true}, {quick, 1, false}} {
		if got := test.plan.has(idle, test.round); got != test.want {
			t.Errorf("idle-conns in round %d, quick %v: %v", test.round, test.plan.quick, got)
		}
	}
}
