// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"github.com/containerd/ttrpc/bench/internal/contender"
	"github.com/containerd/ttrpc/bench/internal/svg"
)

// plot draws a panel for each subject.
func (g *growth) plot() svg.LogLog {
	plot := svg.LogLog{
		Title:    "Cost of one, over how many there are",
		Subtitle: "a line that is level, or falls, is a cost that grows linearly, or slower",
		Legend:   []string{g.candidate.Name, g.base.Name},
	}
	for _, s := range g.subjects {
		panel := svg.Panel{Title: s.title, Format: s.costs[0].unit.Short}
		panel.Note = "solid: " + s.costs[0].label + ", dashed: " + s.costs[1].label
		for i, of := range s.costs {
			for colour, c := range []*contender.Contender{g.candidate, g.base} {
				line := svg.Line{Colour: colour, Dashed: i > 0}
				for at, figures := range g.figures[c][s.axis] {
					line.Points = append(line.Points, svg.Point{X: float64(s.sizes[at]), Y: figures[of.metric]})
				}
				panel.Lines = append(panel.Lines, line)
			}
		}
		plot.Panels = append(plot.Panels, panel)
	}
	return plot
}
