// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package report

import "slices"

// Median returns the median of values, in which it sorts them; zero if there are
// none.
func Median(values []float64) float64 { return Quantile(values, 0.5) }

// Quantile sorts values and interpolates between them; it is zero if there are
// none.
func Quantile(values []float64, q float64) float64 {
	if len(values) == 0 {
		return 0
	}
	slices.Sort(values)
	at := q * float64(len(values)-1)
	i := int(at)
	if i+1 == len(values) {
		return values[i]
	}
	return values[i] + (at-float64(i))*(values[i+1]-values[i])
}
