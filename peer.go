// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package ttrpc

import (
	"context"
	"net"
)

// Peer says who is at the other end of the connection that a call came in on.
// It is shared by all calls of the connection and must not be changed.
type Peer struct {
	// Addr is the connection's remote address. Clients of unix sockets mostly
	// have none of their own; it is then empty, or "@".
	Addr net.Addr

	// AuthInfo is the second result of the server's Handshaker, and nil
	// without one. UnixCredentialsFunc yields a *unix.Ucred on Linux.
	AuthInfo any
}

type peerKey struct{}

// GetPeer returns the peer of the call that ctx belongs to: ctx is a handler's
// or an interceptor's context on a server, or derived from it. For any other
// context it returns nil, false.
func GetPeer(ctx context.Context) (*Peer, bool) {
	p, ok := ctx.Value(peerKey{}).(*Peer)
	return p, ok
}
