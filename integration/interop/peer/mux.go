// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

//go:build !v11

package main

import (
	"net"

	"github.com/containerd/nri/pkg/net/multiplex"
)

// channel returns a connection that is a channel of a multiplexer on trunk.
func channel(trunk net.Conn) (net.Conn, error) {
	mux := multiplex.Multiplex(trunk, multiplex.WithBlockedRead())
	conn, err := mux.Open(multiplex.PluginServiceConn)
	if err != nil {
		return nil, err
	}
	mux.Unblock() // not before: it drops what is for no channel
	return muxChannel{conn, mux}, nil
}

// A muxChannel is the only channel of its multiplexer, and closes it: the other
// end learns of nothing else.
type muxChannel struct {
	net.Conn
	mux multiplex.Mux
}

func (c muxChannel) Close() error { return c.mux.Close() }
