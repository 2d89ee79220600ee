// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"

	"github.com/containerd/ttrpc/bench/internal/contender"
	"github.com/containerd/ttrpc/bench/internal/load"
	"github.com/containerd/ttrpc/bench/internal/report"
)

// median returns the median of a contender's figures; zero if it has none.
func median(rounds []round, metric load.Metric, c *contender.Contender) float64 {
	var values []float64
	for _, r := range rounds {
		if figures, ok := r[c]; ok {
			values = append(values, figures[metric])
		}
	}
	return report.Median(values)
}

// spread is the ratio of two contenders' figures: the median of the rounds'
// ratios, and their quartiles. All are zero if there are none.
type spread struct {
	median, low, high float64
}

// ratio returns the ratio of the figures of c to those of base.
func ratio(rounds []round, metric load.Metric, c, base *contender.Contender) spread {
	var ratios []float64
	for _, r := range rounds {
		figures, ok := r[c]
		if ok && r[base][metric] > 0 {
			ratios = append(ratios, figures[metric]/r[base][metric])
		}
	}
	return spread{
		median: report.Median(ratios),
		low:    report.Quantile(ratios, 0.25),
		high:   report.Quantile(ratios, 0.75),
	}
}

// String returns the median; nothing if there is none.
func (s spread) String() string {
	if s.median == 0 {
		return ""
	}
	return fmt.Sprintf("%.2f", s.median)
}

// quartiles returns the first and the third one.
func (s spread) quartiles() string { return fmt.Sprintf("%.2f–%.2f", s.low, s.high) }

const (
	isMet    = "met"
	isMissed = "**missed**"
)

// judge returns the goal of a row and whether it is met, as far as the last
// digit that is shown.
func (f figure) judge(figureOfCandidate float64, toBase spread) (goal, verdict string) {
	value, digit := toBase.median, 0.005
	switch {
	case f.goal == 0:
		return "", ""
	case f.absolute:
		goal = "≤ " + f.unit.Format(f.goal)
		value, digit = figureOfCandidate, 0.05
	default:
		goal = fmt.Sprintf("≤ %.2f", f.goal)
	}
	if value < f.goal+digit {
		return goal, isMet
	}
	return goal, isMissed
}

// isCost reports whether a figure of axis is one of CPU time or throughput:
// those in which no other library is to be better.
func isCost(axis load.Axis, metric load.Metric) bool {
	switch metric {
	case load.Time, load.CPU:
		return true
	case load.Mean:
		return axis.CPUs == 1
	}
	return false
}

// defeat is a row in which the candidate is worse than a rival.
type defeat struct {
	title string
	ratio spread // of the candidate to the rival
}

// defeats returns the rows of CPU time and throughput which the candidate loses
// to rival, as far as the digits that are shown, and how many there are in all.
func (r *comparison) defeats(rival *contender.Contender) (lost []defeat, of int) {
	seen := map[string]bool{} // a figure may stand in several sections
	for _, s := range r.plan.sections {
		for _, g := range s.groups {
			axis, _ := load.FindAxis(g.axis)
			for _, f := range g.figures {
				key := g.axis + " " + string(f.metric)
				if !isCost(axis, f.metric) || seen[key] {
					continue
				}
				seen[key] = true
				toRival := ratio(r.results[g.axis], f.metric, r.lineup.candidate, rival)
				if toRival.median == 0 {
					continue
				}
				of++
				if toRival.median >= 1.005 {
					lost = append(lost, defeat{s.title + ": " + g.fullTitle(f), toRival})
				}
			}
		}
	}
	return lost, of
}
