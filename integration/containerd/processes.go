// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// runDir is where containerd has the sockets of shims, and runc its state, whatever
// the configuration says.
const runDir = "/run/containerd"

// A shim is one that runs.
type shim struct {
	pid       int
	container string
	file      string // that it was started from
}

// shims returns those of the bed: they are told the daemon's socket.
func (b *bed) shims() (found []shim) {
	for _, pid := range processes() {
		line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if err != nil {
			continue // it has ended
		}
		args := strings.Split(strings.TrimSuffix(string(line), "\x00"), "\x00")
		id := slices.Index(args, "-id") + 1
		if !slices.Contains(args, b.socket) || id == 0 || id >= len(args) || slices.Contains(args, "start") || slices.Contains(args, "delete") {
			continue
		}
		file, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
		if err != nil {
			continue
		}
		found = append(found, shim{pid, args[id], file})
	}
	return found
}

// processes returns the ids of all.
func processes() (pids []int) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// contained returns the processes in containers of the bed.
func (b *bed) contained() (pids []int) {
	for _, pid := range processes() {
		groups, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
		if err == nil && strings.Contains(string(groups), "/"+b.namespace+"/") && !zombie(pid) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// lives tells whether there is a process.
func lives(pid int) bool { return syscall.Kill(pid, 0) == nil && !zombie(pid) }

// zombie tells whether a process has ended, and was not waited for.
func zombie(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, after, _ := strings.Cut(string(stat), ") ")
	return err == nil && strings.HasPrefix(after, "Z")
}

// mounts returns those below the bed's directory, the last one first.
func (b *bed) mounts() (points []string) {
	info, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil
	}
	for line := range strings.Lines(string(info)) {
		if f := strings.Fields(line); len(f) > 4 && strings.HasPrefix(f[4], b.dir+"/") {
			points = append(points, f[4])
		}
	}
	slices.Reverse(points)
	return points
}

var socketPath = regexp.MustCompile(runDir + `/s/[0-9a-f]{64}`)

// noteSockets reads which sockets the shims have. One that is killed leaves its
// socket.
func (b *bed) noteSockets() {
	for _, name := range []string{"address", "bootstrap.json"} {
		files, _ := filepath.Glob(filepath.Join(b.dir, "state", "io.containerd.runtime.v2.task", b.namespace, "*", name))
		for _, file := range files {
			content, _ := os.ReadFile(file)
			for _, path := range socketPath.FindAllString(string(content), -1) {
				b.sockets[path] = true
			}
		}
	}
}

// cleanUp ends and removes all that the bed has made, whatever has happened.
func (b *bed) cleanUp() {
	b.noteSockets()
	b.kill()
	_ = poll(context.Background(), "all processes have ended", func() (bool, error) {
		pids := b.contained()
		for _, s := range b.shims() {
			pids = append(pids, s.pid)
		}
		for _, pid := range pids {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		return len(pids) == 0, nil
	})
	for _, point := range b.mounts() {
		_ = syscall.Unmount(point, syscall.MNT_DETACH)
	}
	if len(b.mounts()) == 0 { // else it would remove what is mounted
		_ = os.RemoveAll(b.dir)
	}
	for path := range b.sockets {
		_ = os.Remove(path)
	}
	_ = os.RemoveAll(filepath.Join(runDir, "runc", b.namespace))
	if b.cleanRun {
		for _, dir := range []string{"s", "runc", "fifo", ""} {
			_ = os.Remove(filepath.Join(runDir, dir)) // if it is empty
		}
	}
	for _, pattern := range []string{"/sys/fs/cgroup/*/", "/sys/fs/cgroup/"} {
		groups, _ := filepath.Glob(pattern + b.namespace)
		for _, group := range groups {
			_ = filepath.WalkDir(group, func(path string, d os.DirEntry, err error) error {
				if err == nil && d.IsDir() && path != group {
					_ = os.Remove(path)
				}
				return nil
			})
			_ = os.Remove(group)
		}
	}
}
