// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package ttrpc

import (
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// A table is a map, whatever is done to it.
func TestStreamTable(t *testing.T) {
	var table streamTable[int]
	model := map[uint32]int{}
	random := rand.New(rand.NewPCG(1, 2))
	for step := range 10000 {
		id := 2*random.Uint32N(20) + 1
		want, there := model[id]
		got, ok := table.get(id)
		require.Equal(t, there, ok)
		require.Equal(t, want, got)
		switch {
		case random.IntN(3) == 0 || step%100 > 60:
			got, ok := table.remove(id)
			require.Equal(t, there, ok)
			require.Equal(t, want, got)
			delete(model, id)
		case random.IntN(200) == 0:
			require.ElementsMatch(t, slices.Collect(maps.Values(model)), table.removeAll())
			clear(model)
		case !there:
			table.put(id, step)
			model[id] = step
		}
		require.Equal(t, len(model), table.len())
		require.Equal(t, model, maps.Collect(table.all))
	}
	_, ok := table.get(0)
	require.False(t, ok)
	_, ok = table.remove(0)
	require.False(t, ok)
}

// What an idle connection holds does not depend on how busy it has been.
func TestEmptyStreamTableKeepsLittle(t *testing.T) {
	var table streamTable[int]
	table.put(1, 0)
	table.remove(1)
	require.Nil(t, table.more, "one stream at a time needs no map")
	for id := range uint32(keptTable + 3) {
		table.put(id+1, 0)
	}
	for id := range uint32(keptTable + 3) {
		table.remove(id + 1)
	}
	require.Nil(t, table.more)
}
