// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"fmt"
	"os"
	"runtime"
	"testing"
	"time"
)

// TestMain fails if the tests leave a goroutine behind.
func TestMain(m *testing.M) {
	before := runtime.NumGoroutine()
	code := m.Run()
	if code == 0 && !goroutinesEnd(before) {
		fmt.Fprintf(os.Stderr, "goroutines left behind: %d before the tests, %d after\n\n%s\n",
			before, runtime.NumGoroutine(), stacks())
		code = 1
	}
	os.Exit(code)
}

// goroutinesEnd waits until there are no more than limit goroutines. Those of a
// connection that was closed need a moment to notice; how long it waits decides
// nothing but the duration of a failing run.
func goroutinesEnd(limit int) bool {
	for giveUp := time.Now().Add(20 * time.Second); time.Now().Before(giveUp); runtime.Gosched() {
		if runtime.NumGoroutine() <= limit {
			return true
		}
	}
	return false
}

// stacks returns the stacks of all goroutines.
func stacks() []byte {
	buf := make([]byte, 1<<20)
	return buf[:runtime.Stack(buf, true)]
}
