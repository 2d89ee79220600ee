// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

//go:build tree

package main

import "github.com/containerd/ttrpc"

// Options that let messages be larger than other peers take them.
const largeMessage = 8 << 20

var (
	serverLargeMessages = []ttrpc.ServerOpt{ttrpc.WithServerMaxMessageSize(largeMessage, largeMessage)}
	clientLargeMessages = []ttrpc.ClientOpts{ttrpc.WithClientMaxMessageSize(largeMessage, largeMessage)}
)

// flooding is the number of messages of a flood.
const flooding = 2000
