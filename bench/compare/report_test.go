// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/containerd/ttrpc/bench/internal/contender"
	"github.com/containerd/ttrpc/bench/internal/load"
)

// example is a comparison with one group.
func example() *comparison {
	return &comparison{
		lineup: lineup{base: base, candidate: candidate, rivals: []*contender.Contender{rival}},
		plan: plan{sections: []section{{title: "Goals", groups: []group{
			{axis: "callers-64", title: "64 callers", figures: []figure{
				perCall.atMost(0.5).charted("64 callers"), cpuCall,
			}},
		}}}},
		results: results{"callers-64": {{
			base:      {load.Time: 10, load.CPU: 20},
			candidate: {load.Time: 4, load.CPU: 10},
			rival:     {load.Time: 20, load.CPU: 5},
		}}},
	}
}

func TestReport(t *testing.T) {
	var text bytes.Buffer
	if err := example().writeTo(&text, "chart.svg"); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"# Comparison with upstream base\n",
		"rival is v1.\n",
		"](chart.svg)\n",
		"| 64 callers, time per call |",
		"| — CPU time per call ",
		"| ≤ 0.50 | met |",
		"1 goals met, 0 missed: NOTES.md says why.\n",
		"## Against rival\n\ncandidate loses 1 of 2 rows",
		"| Goals: 64 callers, CPU time per call |           2.00 |",
	} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the report lacks %q:\n%s", want, &text)
		}
	}
}

// Against another tree there are no goals, and without other libraries nothing
// is said about them.
func TestReportAgainstATree(t *testing.T) {
	r := example()
	r.config.base = "elsewhere"
	r.lineup.rivals = nil
	var text bytes.Buffer
	if err := r.writeTo(&text, ""); err != nil {
		t.Fatal(err)
	}
	for _, unwanted := range []string{"goal", "rival", "Against", "![", "drpc"} {
		if strings.Contains(text.String(), unwanted) {
			t.Errorf("the report has %q:\n%s", unwanted, &text)
		}
	}
}

func TestChart(t *testing.T) {
	bars := example().chart()
	if len(bars.Groups) != 1 || bars.Groups[0].Label != "64 callers" {
		t.Fatalf("the chart has groups %v", bars.Groups)
	}
	if got := bars.Groups[0].Ratios; len(got) != 2 || got[0] != 0.4 || got[1] != 2 {
		t.Errorf("ratios are %v", got)
	}
}
