// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package load

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"time"
)

// usage is what a process has used so far, or holds.
type usage struct {
	CPU        time.Duration // user and system
	Switches   int64         // context switches, of either kind
	RSS, Peak  int64         // bytes
	Heap       int64         // bytes in use
	Goroutines int
}

// tidyFirst says whether memory that is no longer in use goes back to the system
// before a usage is read.
type tidyFirst bool

const (
	asIs   tidyFirst = false
	tidied tidyFirst = true
)

// readUsage returns the usage of this process.
func readUsage(tidy tidyFirst) (usage, error) {
	u := usage{Goroutines: runtime.NumGoroutine()}
	if tidy {
		// Twice: a pool lets go of what is in it at the second collection.
		runtime.GC()
		debug.FreeOSMemory()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		u.Heap = int64(m.HeapAlloc)
	}
	var err error
	if u.CPU, u.Switches, err = cpuUsage(); err != nil {
		return u, err
	}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return u, err
	}
	u.RSS = procField(status, "VmRSS:")
	u.Peak = procField(status, "VmHWM:")
	return u, nil
}

// procField returns a field of a file like /proc/self/status in bytes.
func procField(file []byte, name string) int64 {
	for line := range bytes.Lines(file) {
		if !bytes.HasPrefix(line, []byte(name)) {
			continue
		}
		var kib int64
		fmt.Sscanf(string(line[len(name):]), "%d kB", &kib) //nolint:errcheck // zero will stand out
		return kib << 10
	}
	return 0
}

// spent is what client and server have used, or hold.
type spent struct {
	client, server usage
}

// heldSince returns what has come to be held since before, by each of n.
func (s spent) heldSince(before spent, n int) Figures {
	each := func(after, before int64) float64 { return float64(after-before) / float64(n) }
	return Figures{
		ServerRSS:        each(s.server.RSS, before.server.RSS),
		ClientRSS:        each(s.client.RSS, before.client.RSS),
		ServerHeap:       each(s.server.Heap, before.server.Heap),
		ClientHeap:       each(s.client.Heap, before.client.Heap),
		ServerGoroutines: each(int64(s.server.Goroutines), int64(before.server.Goroutines)),
		ClientGoroutines: each(int64(s.client.Goroutines), int64(before.client.Goroutines)),
	}
}

// costSince returns what has been used since before, for each of n calls.
func (s spent) costSince(before spent, n int) Figures {
	cpu := s.client.CPU - before.client.CPU + s.server.CPU - before.server.CPU
	switches := s.client.Switches - before.client.Switches + s.server.Switches - before.server.Switches
	return Figures{
		CPU:        micros(cpu) / float64(n),
		Switches:   float64(switches) / float64(n),
		ServerPeak: float64(s.server.Peak),
		ClientPeak: float64(s.client.Peak),
	}
}
