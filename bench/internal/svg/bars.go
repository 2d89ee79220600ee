// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package svg

import (
	"fmt"
	"io"
)

// Bars is a chart of horizontal bars: groups of ratios, with a line at one.
type Bars struct {
	Title     string
	Subtitle  string
	Reference string   // what one is
	Series    []string // three at most
	Groups    []Group
	Max       float64 // ratios above it are cut off; their number tells
}

// Group is a label and its ratios, one per series; zero if there is none.
type Group struct {
	Label  string
	Ratios []float64
}

// Measures of a chart of bars.
const (
	barsWidth   = 860
	labelsWidth = 250
	barHeight   = 9
	groupGap    = 9
	barsTop     = 108 // where the first group begins
	rightMargin = 60  // for the numbers of the longest bars
)

// Draw writes the chart.
func (b Bars) Draw(w io.Writer) error {
	height := barsTop + float64(len(b.Groups))*b.groupHeight() + 24
	c := &canvas{width: barsWidth, height: height}
	c.text(20, 30, atStart, "title", b.Title)
	c.text(20, 50, atStart, "muted", b.Subtitle)
	b.drawLegend(c)
	b.drawGrid(c)
	for i, g := range b.Groups {
		b.drawGroup(c, g, barsTop+float64(i)*b.groupHeight())
	}
	return c.writeTo(w, b.Title)
}

func (b Bars) groupHeight() float64 { return float64(len(b.Series))*barHeight + groupGap }

// x returns where a ratio lies.
func (b Bars) x(ratio float64) float64 {
	return labelsWidth + min(ratio, b.Max)/b.Max*(barsWidth-labelsWidth-rightMargin)
}

func (b Bars) drawLegend(c *canvas) {
	x := float64(labelsWidth)
	for i, name := range b.Series {
		c.rect(x, 64, 12, 12, fmt.Sprintf("fill%d", i))
		c.text(x+18, 74, atStart, "", name)
		x += 48 + 7*float64(len(name))
	}
}

// drawGrid draws a line for every half, and the one at one.
func (b Bars) drawGrid(c *canvas) {
	bottom := c.height - 18
	for ratio := 0.0; ratio <= b.Max; ratio += 0.5 {
		c.line(b.x(ratio), barsTop-6, b.x(ratio), bottom, "grid")
		label := fmt.Sprintf("%g", ratio)
		if ratio == 1 {
			label = b.Reference
		}
		c.text(b.x(ratio), barsTop-10, atMiddle, "muted", label)
	}
	c.line(b.x(1), barsTop-6, b.x(1), bottom, "reference")
}

func (b Bars) drawGroup(c *canvas, g Group, y float64) {
	c.text(labelsWidth-10, y+b.groupHeight()/2, atEnd, "", g.Label)
	for i, ratio := range g.Ratios {
		if ratio <= 0 {
			continue
		}
		top := y + float64(i)*barHeight
		c.rect(labelsWidth, top, b.x(ratio)-labelsWidth, barHeight-1, fmt.Sprintf("fill%d", i))
		number := fmt.Sprintf("%.2f", ratio)
		if ratio > b.Max {
			number += " →"
		}
		c.text(b.x(ratio)+4, top+barHeight-1, atStart, "number", number)
	}
}
