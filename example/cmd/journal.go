// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"sync"
)

// A journal prints what happens, line by line, in the order in which it
// happens. It may be used by several goroutines. A nil journal is silent.
type journal struct {
	mu  sync.Mutex // guards out
	out io.Writer
}

// printf prints a line about what who did.
func (j *journal) printf(who, format string, args ...any) {
	j.print(fmt.Sprintf("  %-6s | %s\n", who, fmt.Sprintf(format, args...)))
}

// title prints the heading of the lines that follow.
func (j *journal) title(text string) {
	j.print(fmt.Sprintf("\n%s\n", text))
}

func (j *journal) print(line string) {
	if j == nil {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	io.WriteString(j.out, line)
}
