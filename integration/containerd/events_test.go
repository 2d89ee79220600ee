// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"slices"
	"testing"
)

// eventLines are as ctr prints them.
var eventLines = []string{
	`2026-11-20 20:58:33.51931438 +0000 UTC ns /containers/create {"id":"c2","image":"busybox:1","runtime":{"name":"io.containerd.runc.v2"}}`,
	`2026-11-20 20:58:33.816112615 +0000 UTC ns /tasks/exec-added {"container_id":"c2","exec_id":"e2"}`,
	`2026-11-20 20:58:33.86537578 +0000 UTC ns /tasks/exit {"container_id":"c2","id":"e2","pid":7011,"exited_at":{"seconds":1795208313}}`,
	`2026-11-20 20:58:33.920964921 +0000 UTC ns /tasks/exit {"container_id":"c2","id":"c2","pid":6944,"exit_status":137}`,
}

func TestEventsAreRead(t *testing.T) {
	for i, want := range []string{"/containers/create", "/tasks/exec-added e2", "/tasks/exit e2 0", "/tasks/exit 137"} {
		e, err := parseEvent(eventLines[i])
		if err != nil {
			t.Errorf("%s: %v", eventLines[i], err)
			continue
		}
		if e.String() != want || e.container != "c2" || e.namespace != "ns" {
			t.Errorf("%s: %v of %q in %q", eventLines[i], e, e.container, e.namespace)
		}
	}
}

func TestWhatIsNoEventIsAnError(t *testing.T) {
	for _, line := range []string{"", "ctr: not there", `2026-11-20 20:58:33 +0000 UTC ns /tasks/exit {"id":1}`} {
		if e, err := parseEvent(line); err == nil {
			t.Errorf("%q is the event %v", line, e)
		}
	}
	var w watch
	w.add(eventLines[0])
	w.add("ctr: not there")
	if events, err := w.of("c2"); len(events) != 1 || err == nil {
		t.Errorf("the watch has %v, and the error %v", events, err)
	}
}

func TestEventsAreMissedIfTheyDoNotComeOrComeInAnotherOrder(t *testing.T) {
	var w watch
	for _, line := range eventLines {
		w.add(line)
	}
	came, err := w.of("c2")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ wanted, missing []string }{
		{[]string{"/containers/create", "/tasks/exit e2 0", "/tasks/exit 137"}, nil},
		{[]string{"/tasks/exit 137", "/tasks/exit e2 0"}, []string{"/tasks/exit e2 0"}},
		{[]string{"/containers/create", "/tasks/delete"}, []string{"/tasks/delete"}},
	} {
		if missing := lacks(came, c.wanted); !slices.Equal(missing, c.missing) {
			t.Errorf("of %v are missing %v, not %v", c.wanted, missing, c.missing)
		}
	}
	if others, _ := w.of("c3"); len(others) != 0 {
		t.Errorf("another container has the events %v", others)
	}
}
