// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package load

import "testing"

func TestProcField(t *testing.T) {
	const file = "VmHWM:\t    9000 kB\nVmRSS:\t    1024 kB\nRss: 12 kB\n"
	for name, want := range map[string]int64{"VmRSS:": 1 << 20, "Rss:": 12 << 10, "Pss:": 0} {
		if got := procField([]byte(file), name); got != want {
			t.Errorf("%s is %d, want %d", name, got, want)
		}
	}
}

func TestDifferences(t *testing.T) {
	before := spent{client: usage{CPU: 1000, Switches: 1, RSS: 100}, server: usage{CPU: 2000, Switches: 2, RSS: 1000, Goroutines: 4}}
	after := spent{client: usage{CPU: 3000, Switches: 3, RSS: 300}, server: usage{CPU: 6000, Switches: 4, RSS: 1800, Goroutines: 6, Peak: 9}}
	cost := after.costSince(before, 2)
	if cost[CPU] != 3 || cost[Switches] != 2 || cost[ServerPeak] != 9 {
		t.Errorf("costs are %v", cost)
	}
	held := after.heldSince(before, 2)
	if held[ServerRSS] != 400 || held[ClientRSS] != 100 || held[ServerGoroutines] != 1 {
		t.Errorf("held is %v", held)
	}
}
