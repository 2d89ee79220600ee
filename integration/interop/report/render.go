// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"bytes"
	_ "embed"
	"fmt"
	"slices"
	"strings"
)

//go:embed intro.md
var intro string

// Render returns integration/README.md: an introduction, a table of all results,
// and tables of the cases.
func Render(results []*Result) []byte {
	var b bytes.Buffer
	b.WriteString(intro)
	b.WriteString("\n## What was run\n\n")
	renderSummary(&b, results)
	for _, part := range group(results, func(r *Result) string { return r.Part }) {
		fmt.Fprintf(&b, "\n## %s\n", part[0].Part)
		for _, peer := range group(part, func(r *Result) string { return r.Peer }) {
			for _, direction := range directions(peer) {
				renderCases(&b, peer, direction)
			}
		}
	}
	return b.Bytes()
}

// group splits results that stand together and have the same key.
func group(results []*Result, key func(*Result) string) [][]*Result {
	var groups [][]*Result
	for _, r := range results {
		if n := len(groups); n > 0 && key(groups[n-1][0]) == key(r) {
			groups[n-1] = append(groups[n-1], r)
		} else {
			groups = append(groups, []*Result{r})
		}
	}
	return groups
}

// directions returns those of the cases, in the order in which they come.
func directions(results []*Result) []string {
	var all []string
	for _, r := range results {
		for _, c := range r.Cases {
			if !slices.Contains(all, c.Direction) {
				all = append(all, c.Direction)
			}
		}
	}
	return all
}

// in returns the result with the cases of one direction only.
func (r *Result) in(direction string) *Result {
	only := *r
	only.Cases = slices.DeleteFunc(slices.Clone(r.Cases), func(c Case) bool { return c.Direction != direction })
	return &only
}

// renderSummary writes how many cases of what ended how.
func renderSummary(b *bytes.Buffer, results []*Result) {
	b.WriteString("| part | peer | release | who calls whom | passed | failed | skipped |\n")
	b.WriteString("|---|---|---|---|---:|---:|---:|\n")
	for _, r := range results {
		for _, direction := range directions([]*Result{r}) {
			only := r.in(direction)
			fmt.Fprintf(b, "| %s | %s | %s | %s | %d | %d | %d |\n", cell(r.Part), cell(r.Peer), cell(r.Version), cell(direction),
				only.Count(Pass), only.Count(Fail), only.Count(Skip))
		}
	}
}

var marks = map[Outcome]string{Pass: "pass", Fail: "**FAIL**", Skip: "skipped"}

// renderCases writes a table of cases and releases, and below it the notes.
func renderCases(b *bytes.Buffer, results []*Result, direction string) {
	fmt.Fprintf(b, "\n### %s: %s\n\n| |", results[0].Peer, direction)
	for _, r := range results {
		fmt.Fprintf(b, " %s |", cell(r.Version))
	}
	fmt.Fprintf(b, "\n|---|%s\n", strings.Repeat("---|", len(results)))
	var notes []string
	for _, name := range names(results, direction) {
		fmt.Fprintf(b, "| %s |", cell(name))
		for _, r := range results {
			fmt.Fprintf(b, " %s |", r.mark(name, direction, &notes))
		}
		b.WriteString("\n")
	}
	for i, note := range notes {
		if i == 0 {
			b.WriteString("\n")
		}
		fmt.Fprintf(b, "%d. %s\n", i+1, strings.ReplaceAll(note, "\n", " "))
	}
}

// mark returns how a case ended, with the number of its note.
func (r *Result) mark(name, direction string, notes *[]string) string {
	i := slices.IndexFunc(r.Cases, func(c Case) bool { return c.Name == name && c.Direction == direction })
	if i < 0 {
		return ""
	}
	c := r.Cases[i]
	if c.Note == "" {
		return marks[c.Outcome]
	}
	n := slices.Index(*notes, c.Note)
	if n < 0 {
		n = len(*notes)
		*notes = append(*notes, c.Note)
	}
	return fmt.Sprintf("%s (%d)", marks[c.Outcome], n+1)
}

// names returns those of the cases of all results, each behind the one that it
// follows in a result.
func names(results []*Result, direction string) []string {
	var all []string
	for _, r := range results {
		at := 0
		for _, c := range r.in(direction).Cases {
			if i := slices.Index(all, c.Name); i >= 0 {
				at = i + 1
				continue
			}
			all = slices.Insert(all, at, c.Name)
			at++
		}
	}
	return all
}

// cell returns text that can stand in a table.
func cell(s string) string { return strings.ReplaceAll(s, "|", `\|`) }
