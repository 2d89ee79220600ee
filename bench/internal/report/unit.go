// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package report

import "fmt"

// Unit says how a figure is written.
type Unit int

const (
	Micro  Unit = iota // µs, or ms where that reads better
	Count              // a number
	Memory             // bytes, KB or MB
)

// Format writes a figure.
func (u Unit) Format(v float64) string {
	switch u {
	case Count:
		return formatCount(v)
	case Memory:
		return formatMemory(v)
	}
	return formatMicros(v)
}

// Short writes a power of ten, as the number of an axis.
func (u Unit) Short(v float64) string {
	switch {
	case u == Micro:
		return short(v, "µs", "ms", "s")
	case u == Memory:
		return short(v, "B", "KB", "MB", "GB")
	}
	return fmt.Sprintf("%g", v)
}

// short writes v in the largest of the units that is not larger than it; each is a
// thousand times the one before.
func short(v float64, units ...string) string {
	for len(units) > 1 && v >= 1000 {
		v /= 1000
		units = units[1:]
	}
	return fmt.Sprintf("%g %s", v, units[0])
}

func formatCount(v float64) string {
	if v == float64(int(v)) {
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.1f", v)
}

func formatMemory(v float64) string {
	switch {
	case v >= 1e6:
		return fmt.Sprintf("%.2f MB", v/1e6)
	case v >= 1e3:
		return fmt.Sprintf("%.1f KB", v/1e3)
	}
	return fmt.Sprintf("%.0f B", v)
}

func formatMicros(v float64) string {
	switch {
	case v >= 1e4:
		return fmt.Sprintf("%.1f ms", v/1e3)
	case v >= 100:
		return fmt.Sprintf("%.0f µs", v)
	}
	return fmt.Sprintf("%.2f µs", v)
}

// FormatInt writes a number with its thousands apart.
func FormatInt(n int) string {
	if n < 1000 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%s,%03d", FormatInt(n/1000), n%1000)
}
