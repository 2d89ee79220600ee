// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

// Package loadtest tests the commands that measure a library.
package loadtest

import (
	"slices"
	"testing"

	"github.com/containerd/ttrpc/bench/internal/contender"
	"github.com/containerd/ttrpc/bench/internal/load"
)

// Every runs every axis that c can do once, as small as can be, with lib. Only
// the fleet is left out: its servers are programs of their own.
func Every(t *testing.T, lib load.Library, c contender.Contender) {
	t.Helper()
	for _, axis := range slices.Concat(load.Axes, load.Growing) {
		if !c.Can(axis) || axis.Kind == load.Fleet {
			continue
		}
		t.Run(axis.Name, func(t *testing.T) {
			figures, err := load.Try(t.Context(), lib, axis, t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			if len(figures) == 0 {
				t.Error("no figures")
			}
		})
	}
}
