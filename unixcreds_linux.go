// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package ttrpc

import "golang.org/x/sys/unix"

// UnixCredentialsFunc is a Handshaker for unix sockets: the kernel says which
// process and user it was that
// connected, at the time when it did, and the function accepts them by returning
// nil. Handlers find the *unix.Ucred in Peer.AuthInfo.
type UnixCredentialsFunc func(*unix.Ucred) error

// ucred is what the kernel says of a peer.
type ucred = unix.Ucred

func getUcred(fd int) (*ucred, error) {
	return unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
}

func gidOf(creds *ucred) uint32 { return creds.Gid }
