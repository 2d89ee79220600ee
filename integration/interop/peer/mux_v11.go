// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

//go:build v11

package main

import (
	"errors"
	"net"
)

// channel is for later releases: NRI never used v1.1.
func channel(net.Conn) (net.Conn, error) { return nil, errors.New("no multiplexer") }
