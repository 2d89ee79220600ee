// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package ttrpc_test

// The contract about credentials of unix sockets.

import (
	"context"
	"errors"
	"net"
	"os"
	"testing"

	"github.com/containerd/ttrpc"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

var (
	_ ttrpc.Handshaker = ttrpc.UnixCredentialsFunc(nil)
	_ ttrpc.Handshaker = ttrpc.UnixSocketRequireUidGid(0, 0)
)

// The credentials are those of the process at the other end; the connection is
// handed on as it is.
func TestUnixCredentials(t *testing.T) {
	_, server := connPair(t)
	uid, gid := os.Geteuid(), os.Getegid()
	for name, h := range map[string]ttrpc.UnixCredentialsFunc{
		"same user":        ttrpc.UnixSocketRequireSameUser(),
		"user and group":   ttrpc.UnixSocketRequireUidGid(uid, gid),
		"user, any group":  ttrpc.UnixSocketRequireUidGid(uid, -1),
		"any user, group":  ttrpc.UnixSocketRequireUidGid(-1, gid),
		"any":              ttrpc.UnixSocketRequireUidGid(-1, -1),
		"what func allows": func(*unix.Ucred) error { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			conn, info, err := h.Handshake(t.Context(), server)
			require.NoError(t, err)
			require.True(t, conn == server, "another connection")
			require.Equal(t, &unix.Ucred{Pid: int32(os.Getpid()), Uid: uint32(uid), Gid: uint32(gid)}, info)
		})
	}
}

// UnixSocketRequireRoot is for user 0 and group 0.
func TestUnixSocketRequireRoot(t *testing.T) {
	root := ttrpc.UnixSocketRequireRoot()
	require.NoError(t, root(&unix.Ucred{}))
	require.Error(t, root(&unix.Ucred{Uid: 1}))
	require.Error(t, root(&unix.Ucred{Gid: 1}))
}

// A refusal says why, in words that programs look for.
func TestUnixCredentialsTexts(t *testing.T) {
	const (
		invalid  = "ttrpc.UnixCredentialsFunc: credential check failed: ttrpc: invalid credentials: operation not permitted"
		notAUnix = "ttrpc.UnixCredentialsFunc: require unix socket: a unix socket connection is required"
	)
	_, server := connPair(t)
	pipe, _ := net.Pipe()
	t.Cleanup(func() { pipe.Close() })
	own := errors.New("an error of the function")
	uid, gid := os.Geteuid(), os.Getegid()
	for _, tt := range []struct {
		name string
		h    ttrpc.UnixCredentialsFunc
		conn net.Conn
		want string
	}{
		{"other user", ttrpc.UnixSocketRequireUidGid(uid+1, gid), server, invalid},
		{"other group", ttrpc.UnixSocketRequireUidGid(uid, gid+1), server, invalid},
		{"other user, any group", ttrpc.UnixSocketRequireUidGid(uid+1, -1), server, invalid},
		{"function", func(*unix.Ucred) error { return own }, server, "ttrpc.UnixCredentialsFunc: credential check failed: an error of the function"},
		{"pipe", ttrpc.UnixSocketRequireSameUser(), pipe, notAUnix},
		{"wrapped socket", ttrpc.UnixSocketRequireSameUser(), struct{ net.Conn }{server}, notAUnix},
	} {
		t.Run(tt.name, func(t *testing.T) {
			conn, info, err := tt.h.Handshake(t.Context(), tt.conn)
			require.EqualError(t, err, tt.want)
			require.Nil(t, conn)
			require.Nil(t, info)
		})
	}

	closed, _ := connPair(t)
	require.NoError(t, closed.Close())
	_, _, err := ttrpc.UnixSocketRequireSameUser().Handshake(t.Context(), closed)
	require.ErrorIs(t, err, net.ErrClosed)
	require.ErrorContains(t, err, "ttrpc.UnixCredentialsFunc: ")
}

// A server with credentials serves those who have them, whose handlers see them,
// and no others.
func TestServerWithUnixCredentials(t *testing.T) {
	infos := make(chan any, 1)
	desc := ttrpc.ServiceDesc{Methods: map[string]ttrpc.Method{
		"M": func(ctx context.Context, _ func(any) error) (any, error) {
			p, _ := ttrpc.GetPeer(ctx)
			infos <- p.AuthInfo
			return &wrapperspb.StringValue{}, nil
		},
	}}
	l := serve(t, contractServer(t, desc, ttrpc.WithServerHandshaker(ttrpc.UnixSocketRequireSameUser())))
	require.NoError(t, callContract(t.Context(), newClient(t, dial(t, l)), "M"))
	require.Equal(t, &unix.Ucred{Pid: int32(os.Getpid()), Uid: uint32(os.Geteuid()), Gid: uint32(os.Getegid())}, <-infos)

	logged := make(lineLogger, 1)
	l = serve(t, contractServer(t, desc, ttrpc.WithServerLogger(logged),
		ttrpc.WithServerHandshaker(ttrpc.UnixSocketRequireUidGid(os.Geteuid()+1, -1))))
	require.Equal(t, ttrpc.ErrClosed, callContract(t.Context(), newClient(t, dial(t, l)), "M"))
	require.Equal(t, "ttrpc: refusing connection after handshake error ttrpc.UnixCredentialsFunc: credential check failed: "+
		"ttrpc: invalid credentials: operation not permitted", await(t, logged, "the log"))
}
