// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"github.com/containerd/ttrpc/bench/internal/contender"
	"github.com/containerd/ttrpc/bench/internal/svg"
)

// chart draws the rows that have a label for it.
func (r *comparison) chart() svg.Bars {
	shown := append([]*contender.Contender{r.lineup.candidate}, r.lineup.rivals...)
	bars := svg.Bars{
		Title:     "Cost of " + r.lineup.candidate.Name + ", as a ratio to upstream " + r.lineup.base.Name,
		Subtitle:  "shorter is better; medians of paired runs, two processes on a unix socket",
		Reference: r.lineup.base.Name,
		Max:       3,
	}
	for _, c := range shown {
		bars.Series = append(bars.Series, c.Name)
	}
	for _, s := range r.plan.sections {
		for _, g := range s.groups {
			for _, f := range g.figures {
				if f.chart == "" {
					continue
				}
				group := svg.Group{Label: f.chart}
				for _, c := range shown {
					group.Ratios = append(group.Ratios, ratio(r.results[g.axis], f.metric, c, r.lineup.base).median)
				}
				bars.Groups = append(bars.Groups, group)
			}
		}
	}
	return bars
}
