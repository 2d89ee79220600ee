// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/containerd/ttrpc/bench/internal/load"
	"github.com/containerd/ttrpc/bench/internal/report"
)

// writeTo writes the report; plot is the name of the plot's file beside it, or
// empty.
func (g *growth) writeTo(w io.Writer, plot string) error {
	var text bytes.Buffer
	fmt.Fprintf(&text, "# Cost as work grows\n\n%v\nMedians of %d runs in alternation where times are measured; took %v.\n\n",
		g.machine, pairs, g.took.Round(time.Second))
	if plot != "" {
		fmt.Fprintf(&text, "![Cost of one, over how many there are](%s)\n\n", plot)
	}
	fmt.Fprintf(&text, explanation, tolerance)
	g.writeVerdicts(&text)
	g.writeExpectations(&text)
	for _, s := range g.subjects {
		g.writeSubject(&text, s)
	}
	_, err := w.Write(text.Bytes())
	return err
}

var explanation = strings.TrimLeft(`
All costs are those of one, so that a cost that stays the same is one that grows linearly. Client and server
are two processes on unix sockets. Up to 4,096 calls or streams share a connection (this library's servers
allow 8,192 by default), more have more connections. What memory one holds is the difference between before
and after, divided by their number, after a garbage collection; below some hundreds that is mostly noise.

The exponent is the power of their number with which the cost of all of them grows, from a middling number to
the largest: one is linear, two is quadratic. Up to %g from one it is called linear.

`, "\n")

// writeVerdicts says how each cost grows.
func (g *growth) writeVerdicts(w io.Writer) {
	faster := 0 // how many costs of the candidate are
	cells := [][]string{{"", "number", "cost of one", "number", "cost of one", "ratio", "exponent", ""}}
	for _, s := range g.subjects {
		for _, of := range s.costs {
			for _, c := range g.both() {
				v := g.judge(c, s, of)
				if c == g.candidate && v.String() == isFaster {
					faster++
				}
				cells = append(cells, []string{
					s.title + ", " + of.label + ", " + c.Name,
					report.FormatInt(v.middle), format(of, v.costMiddle),
					report.FormatInt(v.largest), format(of, v.costLargest),
					ratio(v.costLargest, v.costMiddle), formatExponent(v), v.String(),
				})
			}
		}
	}
	report.WriteTable(w, cells)
	fmt.Fprintf(w, "\n%d of %s's costs grow faster than linearly.\n\n", faster, g.candidate.Name)
	for _, s := range g.subjects {
		if last := s.sizes[len(s.sizes)-1]; last < s.largest {
			fmt.Fprintf(w, "%s end at %s, not at %s: this machine's limit of open files stops them there.\n\n",
				s.title, report.FormatInt(last), report.FormatInt(s.largest))
		}
	}
}

// held is what one of something may hold.
var held = []cost{
	{load.ServerRSS, "server RSS", report.Memory},
	{load.ServerHeap, "server heap", report.Memory},
	{load.ServerGoroutines, "server goroutines", report.Count},
	{load.ClientRSS, "client RSS", report.Memory},
	{load.ClientHeap, "client heap", report.Memory},
	{load.ClientGoroutines, "client goroutines", report.Count},
}

// writeExpectations says what one costs when there are many.
func (g *growth) writeExpectations(w io.Writer) {
	fmt.Fprintf(w, "## What to expect\n\nOf one, when there are as many as were measured:\n\n")
	header := []string{""}
	for _, h := range held {
		header = append(header, h.label)
	}
	cells := [][]string{header}
	for _, s := range g.subjects {
		if s.costs[0].metric != load.ServerRSS {
			continue
		}
		for _, c := range g.both() {
			row := []string{s.one + ", " + c.Name}
			figures := g.figures[c][s.axis]
			for _, h := range held {
				row = append(row, format(h, figures[len(figures)-1][h.metric]))
			}
			cells = append(cells, row)
		}
	}
	if len(cells) > 1 {
		report.WriteTable(w, cells)
		fmt.Fprintln(w)
	}
	fmt.Fprint(w, advice)
}

const advice = `The goroutine of a waiting call's caller is counted with the client's memory, that of its handler with the
server's. A connection costs a file on either side, too.

`

// writeSubject writes the costs at all sizes.
func (g *growth) writeSubject(w io.Writer, s subject) {
	fmt.Fprintf(w, "## %s\n\n%s\n\n", s.title, s.text)
	header := []string{""}
	for _, of := range s.costs {
		for _, c := range g.both() {
			header = append(header, of.label+", "+c.Name)
		}
		header = append(header, "ratio")
	}
	cells := [][]string{header}
	for i, n := range s.sizes {
		row := []string{report.FormatInt(n)}
		for _, of := range s.costs {
			base, candidate := g.figures[g.base][s.axis][i][of.metric], g.figures[g.candidate][s.axis][i][of.metric]
			row = append(row, format(of, base), format(of, candidate), ratio(candidate, base))
		}
		cells = append(cells, row)
	}
	report.WriteTable(w, cells)
	fmt.Fprintln(w)
}

// format writes a cost; what is lost in the noise is a dash.
func format(of cost, v float64) string {
	if v <= 0 && of.unit != report.Count {
		return "–"
	}
	return of.unit.Format(v)
}

// formatExponent writes that of v, if there is one.
func formatExponent(v verdict) string {
	exponent, ok := v.exponent()
	if !ok {
		return ""
	}
	return fmt.Sprintf("%.2f", exponent)
}

// ratio writes that of two costs, unless one is lost in the noise.
func ratio(a, b float64) string {
	if a <= 0 || b <= 0 {
		return ""
	}
	return fmt.Sprintf("%.2f", a/b)
}
