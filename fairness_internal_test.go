// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package ttrpc

import (
	"io"
	"net"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

// floodConn always has something to read, until somebody else has run.
type floodConn struct {
	net.Conn
	reads int
	ran   chan struct{}
}

func (c *floodConn) Read(b []byte) (int, error) {
	c.reads++
	if c.reads == 1 {
		go close(c.ran)
	}
	select {
	case <-c.ran:
		return 0, io.EOF
	default:
		return copy(b, make([]byte, len(b)/frameHeaderLength*frameHeaderLength)), nil // empty frames
	}
}

// floodOwner is a channelOwner that counts frames.
type floodOwner struct {
	frames int
	ended  chan error
}

func (o *floodOwner) receiveFrame(frameHeader, []byte, *buffer) error {
	o.frames++
	return nil
}

func (o *floodOwner) receiveOversized(frameHeader) error { return nil }
func (o *floodOwner) writeFailed(error)                  {}
func (o *floodOwner) frameLate(error)                    {}
func (o *floodOwner) receiveEnded(err error)             { o.ended <- err }

// A connection that always has something to read does not keep the processor.
func TestFloodedReaderLetsOthersRun(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	near, far := net.Pipe()
	defer far.Close()
	conn := &floodConn{Conn: near, ran: make(chan struct{})}
	owner := &floodOwner{ended: make(chan error, 1)}
	ch := newChannel(conn, owner, &defaultChannelLimits)
	go ch.receive(conn, ch.open(conn))
	require.ErrorIs(t, <-owner.ended, io.EOF)
	ch.close(nil)
	require.LessOrEqual(t, conn.reads, 3, "reads before others ran")
	t.Logf("%d reads, %d frames", conn.reads, owner.frames)
}
