// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

//go:build !linux

// Command containerd runs containers with this library, on Linux.
package main

import "fmt"

func main() { fmt.Println("SKIPPED: containerd: its containers need Linux") }
