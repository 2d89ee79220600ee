// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"slices"
	"testing"

	"github.com/containerd/ttrpc/bench/internal/contender"
	"github.com/containerd/ttrpc/bench/internal/load"
	"github.com/containerd/ttrpc/bench/internal/report"
)

var (
	base      = &contender.Contender{Name: "base"}
	candidate = &contender.Contender{Name: "candidate"}
	rival     = &contender.Contender{Name: "rival", Version: "v1"}
)

// newRound returns a round with those figures, in the order of the contenders
// above; a negative one stands for none.
func newRound(metric load.Metric, figures ...float64) round {
	r := round{}
	for i, c := range []*contender.Contender{base, candidate, rival}[:len(figures)] {
		if figures[i] >= 0 {
			r[c] = load.Figures{metric: figures[i]}
		}
	}
	return r
}

func TestRatio(t *testing.T) {
	rounds := []round{
		newRound(load.CPU, 10, 5, 1),
		newRound(load.CPU, 20, 20, -1),
		newRound(load.CPU, 10, 6, 3),
		newRound(load.CPU, 0, 6, 3), // no ratio to zero
	}
	for _, test := range []struct {
		name string
		c    *contender.Contender
		want spread
	}{
		{"in every round", candidate, spread{median: 0.6, low: 0.55, high: 0.8}},
		{"in some rounds", rival, spread{median: 0.2, low: 0.15, high: 0.25}},
		{"in none", &contender.Contender{}, spread{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := ratio(rounds, load.CPU, test.c, base)
			for i, pair := range [][2]float64{{got.median, test.want.median}, {got.low, test.want.low}, {got.high, test.want.high}} {
				if d := pair[0] - pair[1]; d > 1e-9 || d < -1e-9 {
					t.Errorf("figure %d is %v, want %v", i, pair[0], pair[1])
				}
			}
		})
	}
	if got := median(rounds, load.CPU, candidate); got != 6 {
		t.Errorf("median is %v", got)
	}
}

func TestJudge(t *testing.T) {
	tests := []struct {
		name      string
		figure    figure
		candidate float64
		ratio     float64
		goal      string
		verdict   string
	}{
		{"none", figure{}, 0, 2, "", ""},
		{"met", figure{goal: 0.33}, 0, 0.334, "≤ 0.33", isMet},
		{"missed", figure{goal: 0.33}, 0, 0.336, "≤ 0.33", isMissed},
		{"absolute, met", figure{goal: 7, absolute: true, unit: report.Count}, 7, 9, "≤ 7", isMet},
		{"absolute, missed", figure{goal: 7, absolute: true, unit: report.Count}, 8, 0, "≤ 7", isMissed},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			goal, verdict := test.figure.judge(test.candidate, spread{median: test.ratio})
			if goal != test.goal || verdict != test.verdict {
				t.Errorf("got %q, %q, want %q, %q", goal, verdict, test.goal, test.verdict)
			}
		})
	}
}

// A defeat is a row of CPU time or throughput, told once, with what it is about.
func TestDefeats(t *testing.T) {
	one, two := "unary-64", "unary-64-2cpu" // on one CPU a mean is CPU time, on two it is not
	all := figure{metric: load.CPU, label: "CPU time"}
	latency := figure{metric: load.Mean, label: "mean"}
	r := &comparison{
		lineup: lineup{base: base, candidate: candidate, rivals: []*contender.Contender{rival}},
		plan: plan{sections: []section{
			{title: "first", groups: []group{{axis: one, title: "one", figures: []figure{all, latency}}}},
			{groups: []group{{axis: one, title: "again", figures: []figure{all}}, {axis: two, title: "two", figures: []figure{latency}}}},
		}},
		results: results{
			one: {{candidate: {load.CPU: 3, load.Mean: 1}, rival: {load.CPU: 2, load.Mean: 2}}},
			two: {{candidate: {load.Mean: 9}, rival: {load.Mean: 1}}},
		},
	}
	lost, of := r.defeats(rival)
	if of != 2 {
		t.Errorf("looked at %d rows, want 2", of)
	}
	want := []defeat{{"first: one, CPU time", spread{1.5, 1.5, 1.5}}}
	if !slices.Equal(lost, want) {
		t.Errorf("got %v, want %v", lost, want)
	}
}
