// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package ttrpc_test

// The contract with programs that were written for v1.2.10: what they can see of
// the library, line by line, in contract_*_test.go. What goes over the wire is in
// protocol_*_test.go.

import (
	"fmt"
	"strings"
	"testing"

	"github.com/containerd/ttrpc"
)

// contractService is the service of the contract tests.
const contractService = "ttrpc.test.Contract"

// contractServer is a server with that service.
func contractServer(t *testing.T, desc ttrpc.ServiceDesc, opts ...ttrpc.ServerOpt) *ttrpc.Server {
	t.Helper()
	srv := newServer(t, opts...)
	srv.RegisterService(contractService, &desc)
	return srv
}

// lineLogger is a Logger that hands on the errors, a line each.
type lineLogger chan string

func (l lineLogger) Debug(string, ...any) {}

func (l lineLogger) Error(msg string, args ...any) {
	l <- strings.TrimSpace(fmt.Sprintln(append([]any{msg}, args...)...))
}
