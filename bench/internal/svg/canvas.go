// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

// Package svg draws charts as SVG text. They lie on a card of their own, light or
// dark as the reader prefers, and use no font that must be there.
package svg

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"
)

// canvas is a drawing in the making.
type canvas struct {
	width, height float64
	body          strings.Builder
}

// style gives the classes that are used below: text, muted text, lines, and a
// colour for each of up to three series. The colours can be told apart by those
// who see no red or green, too.
const style = `
.card { fill: #ffffff; stroke: #d0d7de }
text { fill: #1f2328; font: 12px -apple-system, "Segoe UI", Helvetica, Arial, sans-serif }
.title { font-size: 15px; font-weight: 600 }
.muted { fill: #59636e }
.number { font-size: 9px; paint-order: stroke; stroke: #ffffff; stroke-width: 3px }
.grid { stroke: #d0d7de; stroke-width: 1 }
.reference { stroke: #59636e; stroke-width: 1.5; stroke-dasharray: 4 3 }
.fill0 { fill: #0969da } .line0 { stroke: #0969da }
.fill1 { fill: #bc6c00 } .line1 { stroke: #bc6c00 }
.fill2 { fill: #8c959f } .line2 { stroke: #8c959f }
.line { fill: none; stroke-width: 2 }
.dashed { stroke-dasharray: 6 4 }
@media (prefers-color-scheme: dark) {
  .card { fill: #0d1117; stroke: #3d444d }
  text { fill: #f0f6fc }
  .muted { fill: #9198a1 }
  .number { stroke: #0d1117 }
  .grid { stroke: #30363d }
  .reference { stroke: #9198a1 }
  .fill0 { fill: #4493f8 } .line0 { stroke: #4493f8 }
  .fill1 { fill: #e3a03c } .line1 { stroke: #e3a03c }
  .fill2 { fill: #7d8590 } .line2 { stroke: #7d8590 }
}`

// anchor says which point of a text its position is.
type anchor string

const (
	atStart  anchor = "start"
	atMiddle anchor = "middle"
	atEnd    anchor = "end"
)

func (c *canvas) text(x, y float64, at anchor, class, s string) {
	fmt.Fprintf(&c.body, `<text x="%.1f" y="%.1f" text-anchor="%s" class="%s">%s</text>`+"\n", x, y, at, class, escape(s))
}

func (c *canvas) rect(x, y, width, height float64, class string) {
	fmt.Fprintf(&c.body, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" rx="1" class="%s"/>`+"\n",
		x, y, width, height, class)
}

func (c *canvas) line(x1, y1, x2, y2 float64, class string) {
	fmt.Fprintf(&c.body, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" class="%s"/>`+"\n", x1, y1, x2, y2, class)
}

func (c *canvas) circle(x, y, r float64, class string) {
	fmt.Fprintf(&c.body, `<circle cx="%.1f" cy="%.1f" r="%.1f" class="%s"/>`+"\n", x, y, r, class)
}

// position is a point of a canvas.
type position struct{ x, y float64 }

func (c *canvas) polyline(points []position, class string) {
	var coordinates []string
	for _, p := range points {
		coordinates = append(coordinates, fmt.Sprintf("%.1f,%.1f", p.x, p.y))
	}
	fmt.Fprintf(&c.body, `<polyline points="%s" class="%s"/>`+"\n", strings.Join(coordinates, " "), class)
}

// writeTo writes the drawing, which title describes.
func (c *canvas) writeTo(w io.Writer, title string) error {
	_, err := fmt.Fprintf(w, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %[1]g %[2]g" width="%[1]g" height="%[2]g" role="img">
<title>%[3]s</title>
<style>%[4]s
</style>
<rect x="0.5" y="0.5" width="%[5]g" height="%[6]g" rx="6" class="card"/>
%[7]s</svg>
`, c.width, c.height, escape(title), style, c.width-1, c.height-1, c.body.String())
	return err
}

func escape(s string) string {
	var escaped strings.Builder
	_ = xml.EscapeText(&escaped, []byte(s)) // into memory
	return escaped.String()
}
