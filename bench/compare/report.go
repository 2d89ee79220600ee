// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/containerd/ttrpc/bench/internal/contender"
	"github.com/containerd/ttrpc/bench/internal/report"
)

// comparison is what a run of compare has found.
type comparison struct {
	config  config
	machine report.Machine
	plan    plan
	lineup  lineup
	results results
	took    time.Duration
}

// writeTo writes the report; chart is the name of the chart's file beside it, or
// empty.
func (r *comparison) writeTo(w io.Writer, chart string) error {
	var text bytes.Buffer
	r.writeHead(&text, chart)
	for _, s := range r.plan.sections {
		r.writeSection(&text, s)
	}
	for _, rival := range r.lineup.rivals {
		r.writeDefeats(&text, rival)
	}
	fmt.Fprint(&text, explanation)
	if len(r.lineup.others()) > 0 {
		fmt.Fprint(&text, explanationOfOthers)
	}
	_, err := w.Write(text.Bytes())
	return err
}

func (r *comparison) writeHead(w io.Writer, chart string) {
	title := "Comparison with upstream " + r.lineup.base.Name
	if !r.withGoals() {
		title = "Comparison with another tree"
	}
	fmt.Fprintf(w, "# %s\n\n%v\n", title, r.machine)
	fmt.Fprintf(w, "%d pairs of runs of %v, in alternation (fewer for memory); took %v.\n",
		r.plan.rounds, r.plan.lasts, r.took.Round(time.Second))
	for _, rival := range r.lineup.rivals {
		fmt.Fprintf(w, "%s is %s.\n", rival.Name, rival.Version)
	}
	fmt.Fprintln(w)
	if chart != "" {
		fmt.Fprintf(w, "![Ratios to upstream, drawn as bars](%s)\n\n", chart)
	}
}

// withGoals reports whether the base is what goals are about.
func (r *comparison) withGoals() bool { return r.config.base == "" }

// writeSection writes the table of s.
func (r *comparison) writeSection(w io.Writer, s section) {
	fmt.Fprintf(w, "## %s\n\n", s.title)
	if s.text != "" {
		fmt.Fprintf(w, "%s\n\n", s.text)
	}
	t := &sectionTable{comparison: r, section: s, others: r.othersIn(s)}
	t.withGoals = r.withGoals() && s.hasGoals()
	report.WriteTable(w, t.cells())
	fmt.Fprintln(w)
	if t.withGoals {
		fmt.Fprintf(w, "%d goals met, %d missed: NOTES.md says why.\n\n", t.met, t.missed)
	}
}

// othersIn returns those, besides the two, who have a figure in s.
func (r *comparison) othersIn(s section) []*contender.Contender {
	var others []*contender.Contender
	for _, c := range r.lineup.others() {
		for _, g := range s.groups {
			if rounds := r.results[g.axis]; len(rounds) > 0 && rounds[0][c] != nil {
				others = append(others, c)
				break
			}
		}
	}
	return others
}

// sectionTable is the table of a section.
type sectionTable struct {
	*comparison
	section   section
	others    []*contender.Contender
	withGoals bool

	met, missed int
}

func (t *sectionTable) cells() [][]string {
	header := []string{"", t.lineup.base.Name, t.lineup.candidate.Name, "ratio", "quartiles"}
	for _, c := range t.others {
		header = append(header, c.Name)
	}
	if t.withGoals {
		header = append(header, "goal", "")
	}
	cells := [][]string{header}
	for _, g := range t.section.groups {
		for i, f := range g.figures {
			title := g.fullTitle(f)
			if i > 0 {
				title = "— " + f.label
			}
			cells = append(cells, t.row(title, g, f))
		}
	}
	return cells
}

func (t *sectionTable) row(title string, g group, f figure) []string {
	rounds := t.results[g.axis]
	base := median(rounds, f.metric, t.lineup.base)
	candidate := median(rounds, f.metric, t.lineup.candidate)
	toBase := ratio(rounds, f.metric, t.lineup.candidate, t.lineup.base)
	cells := []string{title, f.unit.Format(base), f.unit.Format(candidate), toBase.String(), toBase.quartiles()}
	for _, c := range t.others {
		cells = append(cells, ratio(rounds, f.metric, c, t.lineup.base).String())
	}
	if !t.withGoals {
		return cells
	}
	goal, verdict := f.judge(candidate, toBase)
	switch verdict {
	case isMet:
		t.met++
	case isMissed:
		t.missed++
	}
	return append(cells, goal, verdict)
}

// writeDefeats says in which rows the candidate loses to rival.
func (r *comparison) writeDefeats(w io.Writer, rival *contender.Contender) {
	lost, of := r.defeats(rival)
	if of == 0 {
		return
	}
	fmt.Fprintf(w, "## Against %s\n\n", rival.Name)
	if len(lost) == 0 {
		fmt.Fprintf(w, "%s loses none of %d rows of CPU time or throughput.\n\n", r.lineup.candidate.Name, of)
		return
	}
	fmt.Fprintf(w, "%s loses %d of %d rows of CPU time or throughput:\n\n", r.lineup.candidate.Name, len(lost), of)
	cells := [][]string{{"", "ratio to " + rival.Name, "quartiles"}}
	for _, d := range lost {
		cells = append(cells, []string{d.title, d.ratio.String(), d.ratio.quartiles()})
	}
	report.WriteTable(w, cells)
	fmt.Fprintln(w)
}

var explanation = strings.TrimLeft(`
## How to read this

Ratios are to the first column, smaller is better: medians of pairs, with their first and third quartiles.
Client and server are two processes on a unix socket, but for the allocations; messages are
google.protobuf.BytesValue, on streams of 64 B if nothing else is said. "One CPU" has both processes
pinned to the same one. CPU time and context switches are those of both processes.
`, "\n")

const explanationOfOthers = `All libraries run with their defaults. A connection of drpc carries one call at a time; it has no part in
the rows that need more. "Floor" is what plain reads and writes of length-prefixed bytes take, without any
library.
`
