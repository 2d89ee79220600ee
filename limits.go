// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package ttrpc

import "time"

// channelLimits are the limits of a connection that both ends have, and that do
// not concern streams. Those who share one do not write to it.
type channelLimits struct {
	// maxReceive and maxSend are the largest payload of a frame, in bytes. They
	// are below frameLengthImpossible.
	maxReceive, maxSend int

	// frameTimeout is how long a frame may take to arrive once it has begun;
	// zero is for ever.
	frameTimeout time.Duration

	// stallTimeout is how long a peer may read nothing of what it makes us wait
	// for; zero is for ever.
	stallTimeout time.Duration
}

// defaultChannelLimits are for both ends.
var defaultChannelLimits = channelLimits{
	maxReceive:   messageLengthMax,
	maxSend:      messageLengthMax,
	frameTimeout: 2 * time.Minute,
	stallTimeout: 10 * time.Second,
}

// validMessageSize tells whether n can be a limit of the payload of a frame.
func validMessageSize(n int) bool { return 0 < n && n < frameLengthImpossible }
