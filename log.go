// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package ttrpc

import (
	"fmt"
	"log"
	"strings"
)

// Logger receives the few events that no caller can be told of: a connection
// that ended badly, a refused handshake, a contained panic. The arguments after
// msg are alternating keys and values. *slog.Logger is a Logger.
//
// A peer can cause at most one line per connection, and ten for contained panics.
// The methods are called from several goroutines at once, and must not block for
// long.
type Logger interface {
	// Debug reports what is of interest only in the search for a fault.
	Debug(msg string, args ...any)
	// Error reports what somebody may want to act upon.
	Error(msg string, args ...any)
}

// stdLogger writes errors to the standard logger, and drops the rest.
type stdLogger struct{}

func (stdLogger) Debug(string, ...any) {}

func (stdLogger) Error(msg string, args ...any) {
	var line strings.Builder
	line.WriteString(msg)
	for i := 0; i+1 < len(args); i += 2 {
		fmt.Fprintf(&line, " %v=%q", args[i], fmt.Sprint(args[i+1]))
	}
	log.Print(line.String())
}
