// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package ttrpc_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// TestMain fails if the tests, all together, leave a goroutine of this module's
// or an open socket behind. Those that end by themselves need a moment; how long
// it waits for them decides only how long a failing run takes.
func TestMain(m *testing.M) {
	before := openSockets()
	code := m.Run()
	giveUp := time.Now().Add(10 * time.Second)
	for code == 0 {
		goroutines, sockets := leftGoroutines(), leftSockets(before)
		if len(goroutines)+len(sockets) == 0 {
			break
		}
		if time.Now().Before(giveUp) {
			runtime.Gosched()
			continue
		}
		for _, stack := range goroutines {
			fmt.Fprintf(os.Stderr, "left behind: %s\n\n", stack)
		}
		for _, socket := range sockets {
			fmt.Fprintf(os.Stderr, "left open: %s\n", socket)
		}
		code = 1
	}
	os.Exit(code)
}

// leftGoroutines returns the stacks of goroutines that run code of this module,
// or were started by it, except for the caller's own.
func leftGoroutines() [][]byte {
	all := make([]byte, 1<<20)
	for {
		n := runtime.Stack(all, true)
		if n < len(all) {
			all = all[:n]
			break
		}
		all = make([]byte, 2*len(all))
	}
	var left [][]byte
	for i, stack := range bytes.Split(all, []byte("\n\n")) {
		if i > 0 && bytes.Contains(stack, []byte("containerd/ttrpc")) { // the first is the caller's
			left = append(left, stack)
		}
	}
	return left
}

// openSockets returns the sockets that this process has open, where the system
// tells. Other descriptors are the runtime's and the test's.
func openSockets() map[string]bool {
	sockets := map[string]bool{}
	fds, _ := filepath.Glob("/proc/self/fd/*") // none elsewhere
	for _, fd := range fds {
		if target, err := os.Readlink(fd); err == nil && strings.HasPrefix(target, "socket:") {
			sockets[target] = true
		}
	}
	return sockets
}

// leftSockets returns those that are open now and were not before.
func leftSockets(before map[string]bool) []string {
	var left []string
	for socket := range openSockets() {
		if !before[socket] {
			left = append(left, socket)
		}
	}
	return left
}
