// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"sync"
)

// An event is something that containerd's daemon tells those who watch.
type event struct {
	namespace, topic string
	container        string // its id, if it is about one
	process          string // the id of an exec, or that of the container
	status           int    // of a process that has ended
}

// eventLine is how ctr prints an event: the time, which has spaces, the namespace,
// the topic, and the rest as JSON.
var eventLine = regexp.MustCompile(`^\S+ \S+ \S+ \S+ (\S+) (/\S+) (\{.*\})$`)

// parseEvent reads a line that `ctr events` has printed.
func parseEvent(line string) (event, error) {
	parts := eventLine.FindStringSubmatch(line)
	if parts == nil {
		return event{}, fmt.Errorf("no event: %q", line)
	}
	var payload struct {
		ID          string `json:"id"`
		ContainerID string `json:"container_id"`
		ExecID      string `json:"exec_id"`
		ExitStatus  int    `json:"exit_status"`
	}
	if err := json.Unmarshal([]byte(parts[3]), &payload); err != nil {
		return event{}, fmt.Errorf("event %q: %w", line, err)
	}
	e := event{namespace: parts[1], topic: parts[2], container: payload.ContainerID, status: payload.ExitStatus}
	switch {
	case e.container == "":
		e.container = payload.ID
	case payload.ExecID != "":
		e.process = payload.ExecID
	default:
		e.process = payload.ID
	}
	return e, nil
}

// A watch collects events while they come.
type watch struct {
	mu     sync.Mutex
	events []event // guarded by mu
	err    error   // guarded by mu; the first line that is no event
}

// add takes a line.
func (w *watch) add(line string) {
	e, err := parseEvent(line)
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil {
		if w.err == nil {
			w.err = err
		}
		return
	}
	w.events = append(w.events, e)
}

// of returns the events about a container, in the order in which they came.
func (w *watch) of(container string) ([]event, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(w.events), func(e event) bool { return e.container != container }), w.err
}

// count returns how many there are.
func (w *watch) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.events)
}

// String returns the event as the cases name it.
func (e event) String() string {
	s := e.topic
	if e.process != "" && e.process != e.container {
		s += " " + e.process
	}
	if e.topic == "/tasks/exit" {
		s += fmt.Sprintf(" %d", e.status)
	}
	return s
}

// lacks returns those of the wanted events that have not come. Those that have
// must be in this order.
func lacks(came []event, wanted []string) []string {
	var missing []string
	at := 0
	for _, want := range wanted {
		i := slices.IndexFunc(came[at:], func(e event) bool { return e.String() == want })
		if i < 0 {
			missing = append(missing, want)
			continue
		}
		at += i + 1
	}
	return missing
}
