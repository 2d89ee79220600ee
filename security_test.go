// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package ttrpc_test

import (
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
)

// The bounds of SECURITY.md that no other test holds.

// TestStreamIDGapsAreBounded passes over more ids than the server remembers.
func TestStreamIDGapsAreBounded(t *testing.T) {
	t.Parallel()
	const remembered = 1024
	p := newRawPeer(t, dial(t, serve(t, newServer(t))))
	refused := func(id uint32) {
		t.Helper()
		p.request(id, 0, "unknown.Service", "Method", nil)
		p.wantStatus(id, codes.InvalidArgument, "StreamID cannot be re-used and must increment")
	}
	served := func(id uint32) {
		t.Helper()
		p.request(id, 0, "unknown.Service", "Method", nil)
		p.wantStatus(id, codes.Unimplemented, "service unknown.Service")
	}

	served(1)
	last := uint32(1)
	for range remembered + 1 { // each leaves the id before it out
		last += 4
		served(last)
	}
	refused(3)       // forgotten: it counts as used
	served(7)        // the oldest that is remembered
	refused(7)       // but only once
	served(last - 2) // the newest
	served(last + 2)
}

// TestAnswersForPeerThatDoesNotReadAreBounded sends what calls for an answer,
// for as long as the server takes it, and reads none.
func TestAnswersForPeerThatDoesNotReadAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := servePipe(t, newServer(t))
		conn := l.dialPipe(t)
		bad := frameBytes(2, typeRequest, 0, nil) // an even id
		var frames int
		for {
			if _, err := conn.Write(bad); err != nil {
				break // the server has closed the connection
			}
			frames++
		}
		// What is being written does not count, so it is somewhat more than 1 MiB.
		const answer = 10 + len("StreamID must be odd for client initiated streams")
		require.Less(t, frames*answer, 2<<20)
	})
}
