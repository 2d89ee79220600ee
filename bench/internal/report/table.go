// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

// Package report writes what was measured: figures, tables, and where they come
// from.
package report

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// WriteTable writes a Markdown table that reads well as it is, too. The first
// line of cells is its header; columns that have a title are aligned to the
// right.
func WriteTable(w io.Writer, cells [][]string) {
	t := table{w: w, header: cells[0], widths: make([]int, len(cells[0]))}
	for _, line := range cells {
		for i, cell := range line {
			t.widths[i] = max(t.widths[i], utf8.RuneCountInString(cell))
		}
	}
	t.writeLine(cells[0])
	t.writeRule()
	for _, line := range cells[1:] {
		t.writeLine(line)
	}
}

// table is a table being written.
type table struct {
	w      io.Writer
	header []string
	widths []int
}

// left reports whether a column is aligned to the left.
func (t table) left(column int) bool { return t.header[column] == "" }

func (t table) writeLine(cells []string) {
	for i, cell := range cells {
		padding := strings.Repeat(" ", t.widths[i]-utf8.RuneCountInString(cell))
		if t.left(i) {
			fmt.Fprintf(t.w, "| %s%s ", cell, padding)
		} else {
			fmt.Fprintf(t.w, "| %s%s ", padding, cell)
		}
	}
	fmt.Fprintln(t.w, "|")
}

// writeRule writes the line below the header, which says how columns are aligned.
func (t table) writeRule() {
	for i, width := range t.widths {
		if t.left(i) {
			fmt.Fprintf(t.w, "|%s", strings.Repeat("-", width+2))
		} else {
			fmt.Fprintf(t.w, "|%s:", strings.Repeat("-", width+1))
		}
	}
	fmt.Fprintln(t.w, "|")
}
