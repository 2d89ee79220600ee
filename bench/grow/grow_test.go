// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"math"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/containerd/ttrpc/bench/internal/contender"
	"github.com/containerd/ttrpc/bench/internal/load"
	"github.com/containerd/ttrpc/bench/internal/report"
)

func TestSubjectsAndAxesAgree(t *testing.T) {
	var subjectsAxes, axes []string
	for _, s := range subjects {
		subjectsAxes = append(subjectsAxes, s.axis)
		if !slices.IsSorted(s.sizes) || len(s.costs) != 2 {
			t.Errorf("%s has sizes %v and %d costs", s.title, s.sizes, len(s.costs))
		}
	}
	for _, axis := range load.Growing {
		axes = append(axes, axis.Name)
	}
	if !slices.Equal(subjectsAxes, axes) {
		t.Errorf("subjects are about %v, axes are %v", subjectsAxes, axes)
	}
}

func TestSizes(t *testing.T) {
	for _, test := range []struct {
		most int
		want []int
	}{
		{1000, []int{1, 10, 100}},
		{100, []int{1, 10, 100}},
		{99, []int{1, 10, 99}},
		{1, []int{1}},
	} {
		want := test.want
		if got := upTo([]int{1, 10, 100}, test.most); !slices.Equal(got, want) {
			t.Errorf("up to %d: %v, want %v", test.most, got, want)
		}
	}
	if got := maxConns(20000); got >= 20000 {
		t.Errorf("%d connections of 20000 files", got)
	}
	some := chosen(regexp.MustCompile("conns"), 10)
	if len(some) != 1 || some[0].axis != "growing-conns" || !slices.Equal(some[0].sizes, []int{1, 10}) {
		t.Errorf("chosen are %v", some)
	}
}

func TestVerdict(t *testing.T) {
	for _, test := range []struct {
		middle, largest float64
		want            string
	}{
		{10, 10, isLinear},
		{10, 15, isLinear},   // two powers of ten: the exponent is 1.09
		{10, 16, isFaster},   // 1.10
		{10, 1000, isFaster}, // 2
		{10, 6.5, isLinear},
		{10, 6, isSlower},
		{10, 0.1, isSlower}, // 0, as when the cost of all of them is that of one
		{0, 6, isUnknown},
		{-4, 6, isUnknown},
		{4, -6, isUnknown},
	} {
		v := verdict{middle: 100, largest: 10000, costMiddle: test.middle, costLargest: test.largest}
		if got := v.String(); got != test.want {
			t.Errorf("from %v to %v: %q, want %q", test.middle, test.largest, got, test.want)
		}
	}
	if got, ok := (verdict{middle: 10, largest: 1000, costMiddle: 1, costLargest: 100}).exponent(); !ok || math.Abs(got-2) > 1e-9 {
		t.Errorf("the exponent of a quadratic cost is %v, %v", got, ok)
	}
	if got := (verdict{middle: 10, largest: 10, costMiddle: 1, costLargest: 1}).String(); got != isUnknown {
		t.Errorf("of one size: %q", got)
	}
}

func TestMedianFigures(t *testing.T) {
	got := medianFigures([]load.Figures{{load.CPU: 1, load.Time: 9}, {load.CPU: 3, load.Time: 7}, {load.CPU: 2, load.Time: 8}})
	if len(got) != 2 || got[load.CPU] != 2 || got[load.Time] != 8 {
		t.Errorf("got %v", got)
	}
}

// example is a growth with one subject, whose candidate costs more and more.
func example() *growth {
	base, candidate := &contender.Contender{Name: "base"}, &contender.Contender{Name: "candidate"}
	s := subject{
		axis: "growing-conns", title: "Connections", one: "idle connection",
		sizes: []int{1, 1000, 19900}, largest: 20000, costs: memory,
	}
	return &growth{
		subjects: []subject{s}, base: base, candidate: candidate,
		figures: map[*contender.Contender]map[string][]load.Figures{
			base:      {s.axis: {{load.ServerRSS: 4096}, {load.ServerRSS: 8192}, {load.ServerRSS: 8192}}},
			candidate: {s.axis: {{load.ServerRSS: -4096}, {load.ServerRSS: 2048}, {load.ServerRSS: 4096}}},
		},
	}
}

func TestReport(t *testing.T) {
	var text bytes.Buffer
	if err := example().writeTo(&text, "growth.svg"); err != nil {
		t.Fatal(err)
	}
	got := regexp.MustCompile(` +`).ReplaceAllString(text.String(), " ")
	for _, want := range []string{
		"](growth.svg)\n",
		"| Connections, server RSS, base | 1,000 | 8.2 KB | 19,900 | 8.2 KB | 1.00 | 1.00 | linear |",
		"| Connections, server RSS, candidate | 1,000 | 2.0 KB | 19,900 | 4.1 KB | 2.00 | 1.23 | **faster than linear** |",
		"| Connections, client RSS, candidate | 1,000 | – | 19,900 | – | | | too little to tell |",
		"1 of candidate's costs grow faster than linearly",
		"Connections end at 19,900, not at 20,000",
		"| idle connection, candidate | 4.1 KB |",
		"| 1 | 4.1 KB | – | |",
		"| 19,900 | 8.2 KB | 4.1 KB | 0.50 |",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the report lacks %q:\n%s", want, &text)
		}
	}
}

func TestPlot(t *testing.T) {
	plot := example().plot()
	if len(plot.Panels) != 1 || len(plot.Panels[0].Lines) != 4 || plot.Legend[0] != "candidate" {
		t.Fatalf("the plot is %v", plot)
	}
	solid, dashed := plot.Panels[0].Lines[0], plot.Panels[0].Lines[2]
	if solid.Dashed || !dashed.Dashed || solid.Points[2].X != 19900 || solid.Points[2].Y != 4096 {
		t.Errorf("the lines are %v and %v", solid, dashed)
	}
	if got := plot.Panels[0].Format(1000); got != report.Memory.Short(1000) {
		t.Errorf("the axis says %q", got)
	}
}
