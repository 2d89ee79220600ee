// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// report is what a run of compare has to say.
type report struct {
	text bytes.Buffer
}

// WriteTo implements io.WriterTo; it may be called more than once.
func (r *report) WriteTo(w io.Writer) (int64, error) {
	n, err := w.Write(r.text.Bytes())
	return int64(n), err
}

func newReport(c config, m machine, compared variants, all results, took time.Duration) *report {
	r := new(report)
	title := "Comparison with upstream " + compared.base.name
	withGoals := c.base == ""
	if !withGoals {
		title = "Comparison with another tree"
	}
	fmt.Fprintf(&r.text, "# %s\n\n", title)
	fmt.Fprintf(&r.text, "%d CPUs, %s, %s. ", m.cores, m.system, m.go_)
	fmt.Fprintf(&r.text, "%d pairs of runs of %v, in alternation (fewer for memory); took %v; load average before it %s.\n\n",
		c.pairs, c.lasts, took.Round(time.Second), m.loadAtTheTime)
	header := []string{"", compared.base.name, compared.candidate.name, "ratio", "quartiles"}
	if compared.floor != nil {
		header = append(header, compared.floor.name)
	}
	if withGoals {
		header = append(header, "goal", "")
	}
	table := [][]string{header}
	met, missed := 0, 0
	for _, row := range rows {
		pairs := all[row.axis]
		if len(pairs) == 0 {
			continue
		}
		line := summarize(row, pairs)
		cells := []string{row.title, row.unit.format(line.base), row.unit.format(line.candidate),
			fmt.Sprintf("%.2f", line.ratio), fmt.Sprintf("%.2f–%.2f", line.low, line.high)}
		switch {
		case compared.floor == nil:
		case line.floor == 0:
			cells = append(cells, "")
		default:
			cells = append(cells, fmt.Sprintf("%.2f", line.floor))
		}
		if withGoals {
			goal, verdict := row.judge(line)
			cells = append(cells, goal, verdict)
			switch verdict {
			case isMet:
				met++
			case isMissed:
				missed++
			}
		}
		table = append(table, cells)
	}
	writeTable(&r.text, table)
	if withGoals {
		fmt.Fprintf(&r.text, "\n%d goals met, %d missed. ", met, missed)
	} else {
		fmt.Fprintln(&r.text)
	}
	fmt.Fprint(&r.text, explanation)
	if compared.floor != nil {
		fmt.Fprint(&r.text, explanationOfFloor)
	}
	return r
}

const explanation = `Ratios are this tree to the other, smaller is better: medians of pairs, with
their first and third quartiles. Client and server are two processes on a unix socket, but for the
allocations; messages are google.protobuf.BytesValue, on streams of 64 B. "One CPU" has both processes
pinned to the same one. CPU time and context switches are those of both processes.
`

const explanationOfFloor = `"Floor" is what plain reads and writes of length-prefixed bytes take, without any library, as a ratio
to the same.
`

// line is what the pairs of a row come to.
type line struct {
	base, candidate  float64 // medians
	ratio, low, high float64 // median and quartiles of the pairs' ratios
	floor            float64 // median of the floor's ratios; zero if it has none
}

func summarize(row row, pairs []pair) line {
	var base, candidate, ratios, floors []float64
	for _, p := range pairs {
		b, c := p.base[row.metric], p.candidate[row.metric]
		base, candidate = append(base, b), append(candidate, c)
		if b == 0 {
			continue
		}
		ratios = append(ratios, c/b)
		if p.floor != nil {
			floors = append(floors, p.floor[row.metric]/b)
		}
	}
	return line{
		base:      quantile(base, 0.5),
		candidate: quantile(candidate, 0.5),
		ratio:     quantile(ratios, 0.5),
		low:       quantile(ratios, 0.25),
		high:      quantile(ratios, 0.75),
		floor:     quantile(floors, 0.5),
	}
}

// quantile sorts values and interpolates between them.
func quantile(values []float64, q float64) float64 {
	if len(values) == 0 {
		return 0
	}
	slices.Sort(values)
	at := q * float64(len(values)-1)
	i := int(at)
	if i+1 == len(values) {
		return values[i]
	}
	return values[i] + (at-float64(i))*(values[i+1]-values[i])
}

const (
	isMet    = "met"
	isMissed = "**missed**"
)

// judge returns the goal of a row and whether it is met, as far as the last
// digit that is shown.
func (r row) judge(l line) (goal, verdict string) {
	value, digit := l.ratio, 0.005
	switch {
	case r.goal == 0:
		return "", ""
	case r.absolute:
		goal = "≤ " + r.unit.format(r.goal)
		value, digit = l.candidate, 0.05
	default:
		goal = fmt.Sprintf("≤ %.2f", r.goal)
	}
	if value < r.goal+digit {
		return goal, isMet
	}
	return goal, isMissed
}

// format writes a figure.
func (u unit) format(v float64) string {
	switch {
	case u == count && v == float64(int(v)):
		return fmt.Sprintf("%.0f", v)
	case u == count:
		return fmt.Sprintf("%.1f", v)
	case u == memory && v >= 1e6:
		return fmt.Sprintf("%.2f MB", v/1e6)
	case u == memory && v >= 1e3:
		return fmt.Sprintf("%.1f KB", v/1e3)
	case u == memory:
		return fmt.Sprintf("%.0f B", v)
	case v >= 1e4:
		return fmt.Sprintf("%.1f ms", v/1e3)
	case v >= 100:
		return fmt.Sprintf("%.0f µs", v)
	}
	return fmt.Sprintf("%.2f µs", v)
}

// writeTable writes a Markdown table that reads well as it is, too.
func writeTable(w *bytes.Buffer, table [][]string) {
	widths := make([]int, len(table[0]))
	for _, cells := range table {
		for i, cell := range cells {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for n, cells := range table {
		for i, cell := range cells {
			padding := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if i == 0 || i == len(widths)-1 {
				cell += padding
			} else {
				cell = padding + cell
			}
			fmt.Fprintf(w, "| %s ", cell)
		}
		fmt.Fprintln(w, "|")
		if n > 0 {
			continue
		}
		for i, width := range widths {
			if i == 0 || i == len(widths)-1 {
				fmt.Fprintf(w, "|%s", strings.Repeat("-", width+2))
			} else {
				fmt.Fprintf(w, "|%s:", strings.Repeat("-", width+1))
			}
		}
		fmt.Fprintln(w, "|")
	}
}
