// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package main

import (
	"context"
	"net"

	"github.com/containerd/ttrpc"
)

// anyone is a handshaker that lets everybody in. Who may connect is then up to
// the permissions of the socket's directory.
type anyone struct{}

func newHandshaker() ttrpc.Handshaker { return anyone{} }

// Handshake implements ttrpc.Handshaker.
func (anyone) Handshake(_ context.Context, conn net.Conn) (net.Conn, any, error) {
	return conn, "on this host", nil
}

// describePeer says what the handshake found out about a peer.
func describePeer(authInfo any) string {
	text, ok := authInfo.(string)
	if !ok {
		return "without a handshake"
	}
	return text
}
