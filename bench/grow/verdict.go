// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"math"

	"github.com/containerd/ttrpc/bench/internal/contender"
)

// verdict says how a cost grows.
type verdict struct {
	middle, largest         int     // sizes
	costMiddle, costLargest float64 // of one, at these sizes
}

// tolerance is how far from one an exponent may be for a cost to count as linear:
// caches that no longer hold everything, and noise.
const tolerance = 0.1

const (
	isFaster  = "**faster than linear**"
	isLinear  = "linear"
	isSlower  = "slower than linear"
	isUnknown = "too little to tell"
)

// judge compares what one costs when there are most of them with what it costs
// when there are a middling number.
func (g *growth) judge(c *contender.Contender, s subject, of cost) verdict {
	middle, last := len(s.sizes)/2, len(s.sizes)-1
	figures := g.figures[c][s.axis]
	return verdict{
		middle: s.sizes[middle], largest: s.sizes[last],
		costMiddle: figures[middle][of.metric], costLargest: figures[last][of.metric],
	}
}

// exponent returns the power of their number with which the cost of all grows:
// one if it is linear, two if it is quadratic. It is not ok if that cannot be
// said.
func (v verdict) exponent() (exponent float64, ok bool) {
	if v.costMiddle <= 0 || v.costLargest <= 0 || v.largest <= v.middle {
		return 0, false
	}
	return 1 + math.Log(v.costLargest/v.costMiddle)/math.Log(float64(v.largest)/float64(v.middle)), true
}

// String returns the verdict in words.
func (v verdict) String() string {
	switch exponent, ok := v.exponent(); {
	case !ok:
		return isUnknown
	case exponent > 1+tolerance:
		return isFaster
	case exponent < 1-tolerance:
		return isSlower
	}
	return isLinear
}
