// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

//go:build darwin || freebsd

package ttrpc

import "golang.org/x/sys/unix"

// UnixCredentialsFunc is a Handshaker for unix sockets: the kernel says which
// user it was that
// connected, at the time when it did, and the function accepts them by returning
// nil. Handlers find the *unix.Xucred in Peer.AuthInfo.
type UnixCredentialsFunc func(*unix.Xucred) error

// ucred is what the kernel says of a peer.
type ucred = unix.Xucred

// solLocal is the level of options of unix sockets.
const solLocal = 0

func getUcred(fd int) (*ucred, error) {
	return unix.GetsockoptXucred(fd, solLocal, unix.LOCAL_PEERCRED)
}

// gidOf returns the peer's effective group, which is the first of its groups.
func gidOf(creds *ucred) uint32 { return creds.Groups[0] }
