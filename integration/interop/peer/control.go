// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/containerd/ttrpc"
)

// control obeys the lines of the standard input, with one line of answer to each,
// until it ends. They do not take the way of calls, so that they have no effect
// on connections but what they say:
//
//	started name n   # waits until n runs have started
//	release name     # releases them, waits for their ends, and says how they were
//	ended name       # the same without releasing them
//	shutdown         # calls Shutdown, and waits for a moment
//	shutdown-result  # waits for Shutdown, and says what it returned
//	close            # calls Close
func control(server *ttrpc.Server, s *service) error {
	say("serving")
	shutdown := make(chan error, 1)
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		if len(words) == 0 {
			continue
		}
		name := ""
		if len(words) > 1 {
			name = words[1]
		}
		switch words[0] {
		case "started":
			n, err := strconv.Atoi(words[2])
			if err != nil {
				return err
			}
			say(s.runs.waitStarted(name, n))
		case "release":
			say(s.runs.releaseAll(name))
		case "ended":
			say(s.runs.waitEnded(name))
		case "shutdown":
			say(startShutdown(server, shutdown))
		case "shutdown-result":
			say(describe(<-shutdown))
		case "close":
			say(describe(server.Close()))
		default:
			return fmt.Errorf("no command is called %q", words[0])
		}
	}
	return lines.Err()
}

// say writes a line to the standard output.
func say(line string) { fmt.Fprintln(os.Stdout, line) }

// moment is how long Shutdown has to wait for calls to be believed to wait.
// Releases that do not wait for them return at once, or after 200 ms.
const moment = 500 * time.Millisecond

// startShutdown calls Shutdown, whose result goes to a channel, and waits for it
// for a moment.
func startShutdown(server *ttrpc.Server, result chan error) string {
	returned := make(chan struct{})
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		result <- server.Shutdown(ctx)
		close(returned)
	}()
	select {
	case <-returned:
		return "returned"
	case <-time.After(moment):
		return "waits"
	}
}
