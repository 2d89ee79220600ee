// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package load

import (
	"context"
	"net"
	"path/filepath"
	"time"
)

// Try runs an axis once, as small and short as can be, with both ends in this
// process. It is for tests, which thereby see that lib does what is measured.
// The server stays until the process ends; dir is for its sockets.
func Try(ctx context.Context, lib Library, axis Axis, dir string) (Figures, error) {
	axis = axis.small()
	o := options{socket: filepath.Join(dir, "socket"), lasts: time.Millisecond}
	l, err := net.Listen("unix", o.socket)
	if err != nil {
		return nil, err
	}
	if err := serveControl(o.socket); err != nil {
		return nil, err
	}
	go lib.Serve(l, axis.settings()) //nolint:errcheck // it ends with the process
	return measure(ctx, lib, axis, o)
}

// small returns the axis with a few of what it has many of.
func (a Axis) small() Axis {
	const few = 3
	if a.Conns == 0 {
		a = a.At(few)
	}
	a.Conns, a.Callers, a.Count = min(a.Conns, few), min(a.Callers, few), min(a.Count, 10)
	return a
}
