// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package load

import (
	"slices"
	"testing"
)

func TestAxesHaveNamesOfTheirOwn(t *testing.T) {
	seen := map[string]bool{}
	for _, axis := range slices.Concat(Axes, Growing) {
		if seen[axis.Name] {
			t.Errorf("there are two of %q", axis.Name)
		}
		seen[axis.Name] = true
		if axis.With == Metadata && axis.Method != Keyed {
			t.Errorf("nobody looks at the metadata of %q", axis.Name)
		}
	}
}

func TestAt(t *testing.T) {
	tests := []struct {
		axis                  string
		n                     int
		conns, callers, count int
	}{
		{"growing-calls", 1, 1, 1, 0},
		{"growing-calls", perConn, 1, perConn, 0},
		{"growing-calls", 100000, 25, 100000, 0},
		{"growing-blocked", perConn + 1, 2, 0, perConn + 1},
		{"growing-streams", 100000, 25, 0, 100000},
		{"growing-conns", 20000, 1, 0, 20000}, // besides the one of the baseline
	}
	for _, test := range tests {
		axis, ok := FindAxis(test.axis)
		if !ok {
			t.Fatalf("no axis %q", test.axis)
		}
		got := axis.At(test.n)
		if got.Conns != test.conns || got.Callers != test.callers || got.Count != test.count {
			t.Errorf("%s at %d is %+v", test.axis, test.n, got)
		}
	}
}

func TestNeeds(t *testing.T) {
	tests := []struct {
		axis string
		want []Need
	}{
		{"unary-64", nil},
		{"conns-64", nil},
		{"conns-64x8", []Need{NeedSharing}},
		{"callers-64", []Need{NeedSharing}},
		{"stall", []Need{NeedSharing, NeedStreams}},
		{"duplex", []Need{NeedStreams}},
		{"work-64", []Need{NeedSharing, NeedHandlers}},
		{"with-metadata", []Need{NeedHandlers, NeedMetadata}},
		{"with-cancel", []Need{NeedCancellation}},
		{"with-deadline", []Need{NeedDeadlines}},
		{"with-interceptors", []Need{NeedInterceptors}},
		{"fleet", []Need{NeedServer}},
		{"growing-calls", []Need{NeedSharing}},
		{"growing-blocked", []Need{NeedSharing, NeedHandlers}},
	}
	for _, test := range tests {
		axis, ok := FindAxis(test.axis)
		if !ok {
			t.Fatalf("no axis %q", test.axis)
		}
		if got := axis.Needs(); !slices.Equal(got, test.want) {
			t.Errorf("%s needs %v, want %v", test.axis, got, test.want)
		}
	}
}
