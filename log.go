// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package ttrpc

import (
	"fmt"
	"log"
	"strings"
	"sync"
	"time"
)

// Logger receives the few events that no caller can be told of: a connection
// that ended badly, a refused handshake, a contained panic. The arguments after
// msg are alternating keys and values. *slog.Logger is a Logger.
//
// A peer can cause at most one error line per connection, and ten for contained
// panics; all clients of a server together ten at once, and then one in a second,
// which says how many were dropped. The methods are called from several goroutines at
// once, and must not block for long.
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

const (
	// logBurst is how many lines clients of a server can cause at once.
	logBurst = 10
	// logInterval is the time after which they can cause another one.
	logInterval = time.Second
)

// limitedLogger writes errors that clients cause, but not more than a server's
// log should have to bear.
type limitedLogger struct {
	logger Logger // immutable

	mu      sync.Mutex
	spent   int       // of logBurst
	since   time.Time // when spent was last reduced
	dropped int       // lines since the last one that was written
}

// Error writes a line, or drops it.
func (l *limitedLogger) Error(msg string, args ...any) {
	dropped, ok := l.take()
	if !ok {
		return
	}
	if dropped > 0 {
		args = append(args, "dropped", dropped)
	}
	l.logger.Error(msg, args...)
}

// take reports whether a line may be written, and how many were not.
func (l *limitedLogger) take() (dropped int, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if passed := now.Sub(l.since) / logInterval; passed > 0 {
		l.spent -= min(l.spent, int(min(passed, logBurst)))
		l.since = now
	}
	if l.spent == logBurst {
		l.dropped++
		return 0, false
	}
	l.spent++
	dropped, l.dropped = l.dropped, 0
	return dropped, true
}
