// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

//go:build !linux || 386 || s390x || ttrpc_portable

package ttrpc

import (
	"net"
	"sync/atomic"
)

// rawConn does not exist here: every connection takes the portable path. (The
// system calls that it needs are missing from old kernels on 386 and s390x.)
type rawConn struct{}

func newRawConn(net.Conn, *atomic.Uint64) *rawConn { return nil }

func (*rawConn) readInto(*assembler) (int, error) { panic("ttrpc: no rawConn on this system") }

func (*rawConn) tryWrite([]byte) (int, error) { panic("ttrpc: no rawConn on this system") }

func (*rawConn) writeAll([]byte) error { panic("ttrpc: no rawConn on this system") }
