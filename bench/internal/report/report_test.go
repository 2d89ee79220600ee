// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"bytes"
	"strings"
	"testing"
)

func TestWriteTable(t *testing.T) {
	var got bytes.Buffer
	WriteTable(&got, [][]string{{"", "a", ""}, {"µs", "1", "x"}, {"s", "10", ""}})
	const want = "|    |  a |   |\n" +
		"|----|---:|---|\n" +
		"| µs |  1 | x |\n" +
		"| s  | 10 |   |\n"
	if got.String() != want {
		t.Errorf("got\n%swant\n%s", &got, want)
	}
}

func TestQuantile(t *testing.T) {
	tests := []struct {
		values []float64
		q      float64
		want   float64
	}{
		{nil, 0.5, 0},
		{[]float64{3}, 0.25, 3},
		{[]float64{3, 1, 2}, 0.5, 2},
		{[]float64{4, 1, 3, 2}, 0.5, 2.5},
		{[]float64{1, 2, 3}, 0.75, 2.5},
		{[]float64{1, 2, 3}, 1, 3},
	}
	for _, test := range tests {
		if got := Quantile(test.values, test.q); got != test.want {
			t.Errorf("%v of %v: got %v, want %v", test.q, test.values, got, test.want)
		}
	}
}

func TestFormat(t *testing.T) {
	tests := []struct {
		unit Unit
		v    float64
		want string
	}{
		{Micro, 1.234, "1.23 µs"},
		{Micro, 123.4, "123 µs"},
		{Micro, 12345, "12.3 ms"},
		{Count, 7, "7"},
		{Count, 7.25, "7.2"},
		{Memory, 12, "12 B"},
		{Memory, 1234, "1.2 KB"},
		{Memory, 1234567, "1.23 MB"},
	}
	for _, test := range tests {
		if got := test.unit.Format(test.v); got != test.want {
			t.Errorf("%v is written %q, want %q", test.v, got, test.want)
		}
	}
	for _, test := range []struct {
		unit Unit
		v    float64
		want string
	}{{Micro, 0.1, "0.1 µs"}, {Micro, 1e4, "10 ms"}, {Memory, 100, "100 B"}, {Memory, 1e6, "1 MB"}, {Count, 10, "10"}} {
		if got := test.unit.Short(test.v); got != test.want {
			t.Errorf("%v is written %q for short, want %q", test.v, got, test.want)
		}
	}
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 20000: "20,000", 1002003: "1,002,003"} {
		if got := FormatInt(n); got != want {
			t.Errorf("%d is written %q", n, got)
		}
	}
}

func TestMachine(t *testing.T) {
	if got := ReadMachine().String(); !strings.Contains(got, " CPUs") || !strings.Contains(got, "go1.") {
		t.Errorf("got %q", got)
	}
}
