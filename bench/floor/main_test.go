// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"testing"

	"github.com/containerd/ttrpc/bench/internal/contender"
	"github.com/containerd/ttrpc/bench/internal/loadtest"
)

func TestEveryAxis(t *testing.T) { loadtest.Every(t, library, contender.Floor) }
