// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package load

import (
	"errors"
	"os/exec"
	"time"
)

var errNeedsLinux = errors.New("the comparison needs Linux: it pins processes and reads /proc")

func pin(int) error { return errNeedsLinux }

func cpuUsage() (time.Duration, int64, error) { return 0, 0, errNeedsLinux }

// RaiseFileLimit returns zero: the limit is not known.
func RaiseFileLimit() int { return 0 }

func dieWithParent(*exec.Cmd) {}
