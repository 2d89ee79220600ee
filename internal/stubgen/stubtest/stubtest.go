// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

// Package stubtest is what the tests of the generators have in common.
package stubtest

import (
	"context"
	"go/ast"
	"go/types"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"github.com/containerd/ttrpc"
	"github.com/stretchr/testify/require"
)

// Connect starts a server with some services, and returns a client of it. Both
// end with the test.
func Connect(t *testing.T, register func(*ttrpc.Server)) *ttrpc.Client {
	t.Helper()
	return ConnectWith(t, register, nil, nil)
}

// ConnectWith does it with options.
func ConnectWith(t *testing.T, register func(*ttrpc.Server), serverOptions []ttrpc.ServerOpt, clientOptions []ttrpc.ClientOpts) *ttrpc.Client {
	t.Helper()
	server, err := ttrpc.NewServer(serverOptions...)
	require.NoError(t, err)
	register(server)
	listener, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- server.Serve(context.Background(), listener) }()
	t.Cleanup(func() {
		require.NoError(t, server.Close())
		require.ErrorIs(t, <-served, ttrpc.ErrServerClosed)
	})

	conn, err := net.Dial("unix", listener.Addr().String())
	require.NoError(t, err)
	client := ttrpc.NewClient(conn, clientOptions...)
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	return client
}

// RequireSameLines requires that two files are the same, and shows no more than
// the first line in which they differ. The hint says what writes the wanted one.
func RequireSameLines(t *testing.T, want, got, hint string) {
	t.Helper()
	hint = "after a change that is wanted, " + hint
	wantLines, gotLines := strings.SplitAfter(want, "\n"), strings.SplitAfter(got, "\n")
	for i := range min(len(wantLines), len(gotLines)) {
		require.Equal(t, wantLines[i], gotLines[i], "line %d; %s", i+1, hint)
	}
	require.Len(t, gotLines, len(wantLines), hint)
}

// Signature returns the parameters and results of a function without names.
func Signature(f *ast.FuncType) string {
	return "(" + strings.Join(typesOf(f.Params), ", ") + ") (" + strings.Join(typesOf(f.Results), ", ") + ")"
}

// typesOf returns the type of each parameter or result.
func typesOf(fields *ast.FieldList) (list []string) {
	if fields == nil {
		return nil
	}
	for _, field := range fields.List {
		for range max(1, len(field.Names)) {
			list = append(list, types.ExprString(field.Type))
		}
	}
	return list
}
