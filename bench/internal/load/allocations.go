// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package load

import (
	"context"
	"math"
	"net"
	"os"
	"path/filepath"
	"runtime"
)

// measureAllocations counts the allocations of unary calls with both ends in
// this process, those for the messages included.
func measureAllocations(ctx context.Context, lib Library, axis Axis) (Figures, error) {
	dir, err := os.MkdirTemp("", "ttrpc-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	l, err := net.Listen("unix", filepath.Join(dir, "socket"))
	if err != nil {
		return nil, err
	}
	go lib.Serve(l, axis.settings()) //nolint:errcheck // it ends with the process
	socket, err := net.Dial("unix", l.Addr().String())
	if err != nil {
		return nil, err
	}
	conn, err := lib.Dial(socket, axis.settings())
	if err != nil {
		return nil, err
	}
	defer conn.Close()

	payload := axis.payload()
	call := func(n int) error {
		for range n {
			if err := conn.Unary(ctx, Instant, payload); err != nil {
				return err
			}
		}
		return nil
	}
	if err := call(axis.Count / 10); err != nil {
		return nil, err
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if err := call(axis.Count); err != nil {
		return nil, err
	}
	runtime.ReadMemStats(&after)
	n := float64(axis.Count)
	return Figures{
		// Rounded down, as by testing.AllocsPerRun: pools lose some to collections.
		Allocs:     math.Floor(float64(after.Mallocs-before.Mallocs) / n),
		AllocBytes: float64(after.TotalAlloc-before.TotalAlloc) / n,
	}, nil
}
