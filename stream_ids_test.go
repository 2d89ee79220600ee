// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package ttrpc

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// requireGaps checks what streamIDs says of itself: gaps are odd, ascending,
// apart from each other, below the highest id, and not too many.
func requireGaps(t *testing.T, s *streamIDs) {
	t.Helper()
	require.LessOrEqual(t, len(s.gaps), maxIDGaps)
	last := int64(-2)
	for _, g := range s.gaps {
		odd := g.first%2 == 1 && g.last%2 == 1
		apart := int64(g.first) > last+2 && g.first <= g.last && g.last < s.highest
		if !odd || !apart {
			require.FailNow(t, "bad gap", "%v behind %d, below %d", g, last, s.highest)
		}
		last = int64(g.last)
	}
}

// Against a map of all ids: as long as the gaps are few, streamIDs is exact.
func TestStreamIDsAreLikeAMap(t *testing.T) {
	for seed := range uint64(50) {
		rnd := rand.New(rand.NewPCG(seed, 0))
		window := 1 + rnd.IntN(300)
		var ids streamIDs
		used := map[uint32]bool{}
		top := 0
		for range 600 {
			n := max(0, top-rnd.IntN(window)+rnd.IntN(1+window/3))
			top = max(top, n)
			id := uint32(2*n + 1)
			if ids.use(id) == used[id] {
				require.FailNow(t, "not like a map", "seed %d, id %d, used before: %v", seed, id, used[id])
			}
			used[id] = true
		}
		requireGaps(t, &ids)
		// Every id up to the highest is now known, one way or the other.
		for id := uint32(1); id <= ids.highest; id += 2 {
			if ids.use(id) == used[id] {
				require.FailNow(t, "not like a map", "seed %d, id %d, used before: %v", seed, id, used[id])
			}
		}
		require.Empty(t, ids.gaps)
	}
}

func TestStreamIDsInOrderLeaveNoGaps(t *testing.T) {
	var ids streamIDs
	for id := uint32(1); id < 1000; id += 2 {
		require.True(t, ids.use(id))
		require.False(t, ids.use(id))
		require.Empty(t, ids.gaps)
	}
}

func TestStreamIDsTakeGapApart(t *testing.T) {
	gap := func(first, last uint32) []idGap { return []idGap{{first, last}} }
	for _, tt := range []struct {
		name string
		use  []uint32
		want []idGap
	}{
		{"first id is not 1", []uint32{9}, gap(1, 7)},
		{"front", []uint32{9, 1}, gap(3, 7)},
		{"back", []uint32{9, 7}, gap(1, 5)},
		{"middle", []uint32{9, 3}, []idGap{{1, 1}, {5, 7}}},
		{"all, from both sides", []uint32{9, 1, 7, 3, 5}, nil},
		{"a gap of one", []uint32{3, 1}, nil},
		{"the largest ids", []uint32{math.MaxUint32 - 2, math.MaxUint32}, gap(1, math.MaxUint32-4)},
		{"the largest id alone", []uint32{math.MaxUint32}, gap(1, math.MaxUint32-2)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var ids streamIDs
			for _, id := range tt.use {
				require.True(t, ids.use(id), "id %d", id)
			}
			for _, id := range tt.use {
				require.False(t, ids.use(id), "id %d", id)
			}
			require.ElementsMatch(t, tt.want, ids.gaps)
			requireGaps(t, &ids)
		})
	}
}

// Of too many gaps the oldest count as used; never does a used id count as new.
func TestStreamIDsForgetOldestGaps(t *testing.T) {
	t.Run("ids passed over", func(t *testing.T) {
		var ids streamIDs
		for n := range uint32(maxIDGaps + 10) {
			require.True(t, ids.use(4*n+3)) // passes over 4n+1
		}
		requireGaps(t, &ids)
		require.Len(t, ids.gaps, maxIDGaps)
		for n := range uint32(10) {
			require.False(t, ids.use(4*n+1), "forgotten")
		}
		require.True(t, ids.use(4*10+1))
	})

	t.Run("a gap taken apart", func(t *testing.T) {
		var ids streamIDs
		require.True(t, ids.use(4*maxIDGaps*2+1))
		for n := range uint32(maxIDGaps + 10) {
			require.True(t, ids.use(4*n+3), "n = %d", n)
			requireGaps(t, &ids)
		}
		require.False(t, ids.use(1), "forgotten")
		require.False(t, ids.use(3), "used")
	})
}

// Whatever ids come: none is accepted twice.
func TestStreamIDsAreAcceptedOnce(t *testing.T) {
	rnd := rand.New(rand.NewPCG(7, 7))
	var ids streamIDs
	used := map[uint32]bool{}
	for range 20_000 {
		id := rnd.Uint32()>>rnd.IntN(32) | 1
		if ids.use(id) {
			require.False(t, used[id], "id %d", id)
			used[id] = true
		}
	}
	requireGaps(t, &ids)
}
