// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"

	"github.com/containerd/ttrpc"
	"golang.org/x/sys/unix"
)

// newHandshaker returns the server's handshaker: it lets in the processes of the
// server's own user, which the kernel vouches for.
func newHandshaker() ttrpc.Handshaker {
	return ttrpc.UnixSocketRequireSameUser()
}

// describePeer says what the handshake found out about a peer.
func describePeer(authInfo any) string {
	credentials, ok := authInfo.(*unix.Ucred)
	switch {
	case !ok:
		return "without credentials"
	case int(credentials.Uid) == os.Geteuid():
		return "of the same user"
	default:
		return fmt.Sprintf("of user %d", credentials.Uid)
	}
}
