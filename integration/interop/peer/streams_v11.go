// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

//go:build v11

package main

import (
	"context"

	"github.com/containerd/ttrpc"
)

// register registers all methods: v1.1 has no streams.
func (s *service) register(server *ttrpc.Server) { server.Register(serviceName, s.unaryMethods()) }

// streamCases would be the cases with streams.
var streamCases []testCase

// openWaiting and useStreams would open streams.
func (c *caller) openWaiting(context.Context, string) (wait func() string) { return nil }

func (c *caller) useStreams() string { return "" }
