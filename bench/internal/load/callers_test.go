// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package load

import (
	"errors"
	"testing"
	"time"
)

func TestLatencies(t *testing.T) {
	var samples []time.Duration
	for i := 100; i > 0; i-- {
		samples = append(samples, time.Duration(i)*time.Microsecond)
	}
	got := latencies(samples)
	want := Figures{Mean: 50.5, P50: 51, P99: 100, Worst: 100}
	for metric, v := range want {
		if got[metric] != v {
			t.Errorf("%s is %v, want %v", metric, got[metric], v)
		}
	}
	if got := latencies(nil); len(got) != 0 {
		t.Errorf("of nothing: %v", got)
	}
}

// Callers count what was done, forget it when told to, and fail if one does.
func TestCallers(t *testing.T) {
	var calls int
	failing := errors.New("enough")
	all := newCallers([]func() (int, error){func() (int, error) {
		if calls++; calls == 3 {
			return 0, failing
		}
		return 10, nil
	}})
	if err := all.work(time.Hour); !errors.Is(err, failing) {
		t.Fatalf("work ended with %v", err)
	}
	if all.done() != 20 || len(all[0].samples) != 2 {
		t.Errorf("%d done, %d samples", all.done(), len(all[0].samples))
	}
	all.forget()
	if all.done() != 0 || len(all.latencies()) != 0 {
		t.Errorf("%d done that are forgotten", all.done())
	}
	if err := all.work(-time.Second); err != nil || all.done() != 0 {
		t.Errorf("%v, %d done in no time", err, all.done())
	}
}
