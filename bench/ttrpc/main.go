// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

// Command ttrpc measures github.com/containerd/ttrpc: this tree's, or, when it
// is built with -modfile=upstream.mod, the released one. It uses only what both
// have.
package main

import "github.com/containerd/ttrpc/bench/internal/load"

func main() {
	load.Main(load.Library{Serve: serve, Dial: dial})
}
