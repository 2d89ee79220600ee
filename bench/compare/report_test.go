// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"testing"

	"github.com/containerd/ttrpc/bench/internal/load"
)

// Every row must be about an axis that exists and, if it takes part in a quick
// run only by name, so must the names.
func TestRowsAndAxesAgree(t *testing.T) {
	seen := map[string]bool{buildAxis: true}
	for _, axis := range load.Axes {
		seen[axis.Name] = false
	}
	for _, r := range rows {
		if _, ok := seen[r.axis]; !ok {
			t.Errorf("row %q is about %q, which is no axis", r.title, r.axis)
		}
		seen[r.axis] = true
	}
	for name, ok := range seen {
		if !ok {
			t.Errorf("no row shows axis %q", name)
		}
	}
	for name := range few {
		if _, ok := load.FindAxis(name); !ok {
			t.Errorf("few has %q, which is no axis", name)
		}
	}
	for name := range notQuick {
		if _, ok := load.FindAxis(name); !ok {
			t.Errorf("notQuick has %q, which is no axis", name)
		}
	}
	for name := range atLeast {
		if _, ok := load.FindAxis(name); !ok {
			t.Errorf("atLeast has %q, which is no axis", name)
		}
	}
}

func TestSummarize(t *testing.T) {
	r := row{metric: load.CPU}
	figures := func(v float64) load.Figures { return load.Figures{load.CPU: v} }
	got := summarize(r, []pair{
		{base: figures(10), candidate: figures(5), floor: figures(1)},
		{base: figures(20), candidate: figures(20), floor: figures(4)},
		{base: figures(10), candidate: figures(6), floor: figures(3)},
	})
	want := line{base: 10, candidate: 6, ratio: 0.6, low: 0.55, high: 0.8, floor: 0.2}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestJudge(t *testing.T) {
	tests := []struct {
		name    string
		row     row
		line    line
		goal    string
		verdict string
	}{
		{"none", row{}, line{ratio: 2}, "", ""},
		{"met", row{goal: 0.33}, line{ratio: 0.334}, "≤ 0.33", isMet},
		{"missed", row{goal: 0.33}, line{ratio: 0.336}, "≤ 0.33", isMissed},
		{"absolute, met", row{goal: 7, absolute: true, unit: count}, line{ratio: 9, candidate: 7}, "≤ 7", isMet},
		{"absolute, missed", row{goal: 7, absolute: true, unit: count}, line{candidate: 8}, "≤ 7", isMissed},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			goal, verdict := test.row.judge(test.line)
			if goal != test.goal || verdict != test.verdict {
				t.Errorf("got %q, %q, want %q, %q", goal, verdict, test.goal, test.verdict)
			}
		})
	}
}

func TestWriteTable(t *testing.T) {
	var got bytes.Buffer
	writeTable(&got, [][]string{{"", "a", "b"}, {"µs", "1", "x"}, {"s", "10", ""}})
	const want = "|    |  a | b |\n" +
		"|----|---:|---|\n" +
		"| µs |  1 | x |\n" +
		"| s  | 10 |   |\n"
	if got.String() != want {
		t.Errorf("got\n%swant\n%s", &got, want)
	}
}
