// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package svg

import (
	"fmt"
	"io"
	"math"
)

// LogLog is a chart of panels, two abreast, whose axes are both logarithmic.
type LogLog struct {
	Title    string
	Subtitle string
	Legend   []string // of the colours, three at most
	Panels   []Panel
}

// Panel is one of its diagrams.
type Panel struct {
	Title  string
	Note   string               // below it
	Format func(float64) string // writes a number of the vertical axis
	Lines  []Line
}

// Line is what is drawn in a panel.
type Line struct {
	Colour int // see LogLog.Legend
	Dashed bool
	Points []Point // those that are not positive are left out
}

// Point is one of a line.
type Point struct{ X, Y float64 }

// Measures of such a chart.
const (
	panelWidth  = 430
	panelHeight = 270
	panelsTop   = 92
	panelLeft   = 74 // room for the numbers of the vertical axis
	panelRight  = 28
	panelHead   = 28
	panelFoot   = 46
)

// Draw writes the chart.
func (l LogLog) Draw(w io.Writer) error {
	rows := (len(l.Panels) + 1) / 2
	c := &canvas{width: 2 * panelWidth, height: panelsTop + float64(rows)*panelHeight}
	c.text(20, 30, atStart, "title", l.Title)
	c.text(20, 50, atStart, "muted", l.Subtitle)
	x := 20.0
	for i, name := range l.Legend {
		c.rect(x, 64, 12, 12, fmt.Sprintf("fill%d", i))
		c.text(x+18, 74, atStart, "", name)
		x += 48 + 7*float64(len(name))
	}
	for i, p := range l.Panels {
		f := p.frame()
		f.left += float64(i%2) * panelWidth
		f.top += panelsTop + float64(i/2)*panelHeight
		f.draw(c)
	}
	return c.writeTo(w, l.Title)
}

// frame is a panel and where its diagram lies: the corner, and the powers of ten
// between which its axes run.
type frame struct {
	Panel
	left, top  float64
	minX, maxX int
	minY, maxY int
}

// frame returns the frame of the panel as if it were the first.
func (p Panel) frame() frame {
	f := frame{Panel: p, left: panelLeft, top: panelHead}
	first := true
	for _, l := range p.Lines {
		for _, point := range l.positive() {
			lowX, highX := decades(point.X)
			lowY, highY := decades(point.Y)
			if first {
				f.minX, f.maxX, f.minY, f.maxY = lowX, highX, lowY, highY
				first = false
			}
			f.minX, f.maxX = min(f.minX, lowX), max(f.maxX, highX)
			f.minY, f.maxY = min(f.minY, lowY), max(f.maxY, highY)
		}
	}
	f.maxX, f.maxY = max(f.maxX, f.minX+1), max(f.maxY, f.minY+1)
	return f
}

// decades returns the powers of ten next to v.
func decades(v float64) (low, high int) {
	log := math.Log10(v)
	return int(math.Floor(log)), int(math.Ceil(log))
}

// positive returns the points that a logarithmic axis has a place for.
func (l Line) positive() []Point {
	var points []Point
	for _, p := range l.Points {
		if p.X > 0 && p.Y > 0 {
			points = append(points, p)
		}
	}
	return points
}

// at returns where a point lies.
func (f frame) at(p Point) position {
	const width, height = panelWidth - panelLeft - panelRight, panelHeight - panelHead - panelFoot
	return position{
		x: f.left + width*(math.Log10(p.X)-float64(f.minX))/float64(f.maxX-f.minX),
		y: f.top + height - height*(math.Log10(p.Y)-float64(f.minY))/float64(f.maxY-f.minY),
	}
}

func (f frame) draw(c *canvas) {
	c.text(f.left, f.top-10, atStart, "", f.Title)
	corner := f.at(Point{math.Pow10(f.minX), math.Pow10(f.minY)})
	opposite := f.at(Point{math.Pow10(f.maxX), math.Pow10(f.maxY)})
	for e := f.minX; e <= f.maxX; e++ {
		at := f.at(Point{math.Pow10(e), math.Pow10(f.minY)})
		c.line(at.x, corner.y, at.x, opposite.y, "grid")
		c.text(at.x, corner.y+15, atMiddle, "muted", shortNumber(math.Pow10(e)))
	}
	for e := f.minY; e <= f.maxY; e++ {
		at := f.at(Point{math.Pow10(f.minX), math.Pow10(e)})
		c.line(corner.x, at.y, opposite.x, at.y, "grid")
		c.text(corner.x-6, at.y+4, atEnd, "muted", f.Format(math.Pow10(e)))
	}
	c.text((corner.x+opposite.x)/2, corner.y+31, atMiddle, "muted", f.Note)
	for _, l := range f.Lines {
		f.drawLine(c, l)
	}
}

func (f frame) drawLine(c *canvas, l Line) {
	var points []position
	for _, p := range l.positive() {
		at := f.at(p)
		points = append(points, at)
		c.circle(at.x, at.y, 2.5, fmt.Sprintf("fill%d", l.Colour))
	}
	class := fmt.Sprintf("line line%d", l.Colour)
	if l.Dashed {
		class += " dashed"
	}
	c.polyline(points, class)
}

// shortNumber writes a power of ten.
func shortNumber(v float64) string {
	switch {
	case v >= 1e6:
		return fmt.Sprintf("%gM", v/1e6)
	case v >= 1e3:
		return fmt.Sprintf("%gk", v/1e3)
	}
	return fmt.Sprintf("%g", v)
}
