// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux || darwin || freebsd

package ttrpc

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
)

// Handshake asks the kernel about the other end of conn, which must be the
// *net.UnixConn itself and not one that wraps it.
func (fn UnixCredentialsFunc) Handshake(_ context.Context, conn net.Conn) (net.Conn, any, error) {
	creds, err := peerCredentials(conn)
	if err != nil {
		return nil, nil, fmt.Errorf("ttrpc.UnixCredentialsFunc: %w", err)
	}
	if err := fn(creds); err != nil {
		return nil, nil, fmt.Errorf("ttrpc.UnixCredentialsFunc: credential check failed: %w", err)
	}
	return conn, creds, nil
}

var errNotUnixSocket = errors.New("a unix socket connection is required")

// peerCredentials returns who was at the other end when it connected.
func peerCredentials(conn net.Conn) (*ucred, error) {
	uc, ok := conn.(*net.UnixConn)
	if !ok {
		return nil, fmt.Errorf("require unix socket: %w", errNotUnixSocket)
	}
	rc, err := uc.SyscallConn()
	if err != nil {
		return nil, fmt.Errorf("unix socket unusable: %w", err)
	}
	var (
		creds   *ucred
		credErr error
	)
	err = rc.Control(func(fd uintptr) {
		creds, credErr = getUcred(int(fd))
	})
	if err == nil {
		err = credErr
	}
	if err != nil {
		return nil, fmt.Errorf("reading the peer's credentials: %w", err)
	}
	return creds, nil
}

// UnixSocketRequireUidGid accepts peers of that user and group; -1 stands for
// any.
func UnixSocketRequireUidGid(uid, gid int) UnixCredentialsFunc {
	return func(creds *ucred) error {
		if (uid != -1 && uint32(uid) != creds.Uid) || (gid != -1 && uint32(gid) != gidOf(creds)) {
			return fmt.Errorf("ttrpc: invalid credentials: %w", syscall.EPERM)
		}
		return nil
	}
}

// UnixSocketRequireRoot accepts peers of user 0 and group 0.
func UnixSocketRequireRoot() UnixCredentialsFunc {
	return UnixSocketRequireUidGid(0, 0)
}

// UnixSocketRequireSameUser accepts peers of the user and group that this
// process has, effectively, at the moment of this call.
func UnixSocketRequireSameUser() UnixCredentialsFunc {
	return UnixSocketRequireUidGid(os.Geteuid(), os.Getegid())
}
