// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package load

import (
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// pinnedVariable is set in the environment of a process that has been pinned.
const pinnedVariable = "TTRPC_BENCH_PINNED"

// pin has the process run on the CPU of that number only. It starts the program
// again: a process that is pinned from its first thread on also has the number
// of threads that suits one CPU.
func pin(cpu int) error {
	if os.Getenv(pinnedVariable) != "" {
		return nil
	}
	runtime.LockOSThread()
	var set unix.CPUSet
	set.Set(cpu)
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	return unix.Exec(self, os.Args, append(os.Environ(), pinnedVariable+"=1"))
}

// cpuUsage returns the CPU time and the context switches of the process.
func cpuUsage() (time.Duration, int64, error) {
	var r unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &r); err != nil {
		return 0, 0, err
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano()), r.Nvcsw + r.Nivcsw, nil
}

// maxFiles is more than any axis needs, and what the kernel allows at most unless
// told otherwise.
const maxFiles = 1 << 20

// RaiseFileLimit has the process open as many files as it may, and returns that
// number.
func RaiseFileLimit() int {
	var limit unix.Rlimit
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: maxFiles, Max: maxFiles}); err == nil {
		return maxFiles
	}
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 0
	}
	limit.Cur = limit.Max
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 0
	}
	return int(limit.Max)
}

// dieWithParent has the process of cmd end when this one does, or the thread that
// starts it: its goroutine must be locked to it.
func dieWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
