// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

//go:build !tree

package main

import "github.com/containerd/ttrpc"

// No release has options for larger messages.
var (
	serverLargeMessages []ttrpc.ServerOpt
	clientLargeMessages []ttrpc.ClientOpts
)

// flooding is the number of messages of a flood: fewer than fit the buffer of a
// stream, for clients that wait for them to be received, or lose them.
const flooding = 60
