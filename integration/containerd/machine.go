// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// prepareMachine installs what is missing. It returns an errSkipped if the machine
// cannot run containers, or not those of this program.
func prepareMachine(ctx context.Context, withDebian bool) error {
	if os.Geteuid() != 0 {
		return errSkipped{errors.New("containers of runc need root")}
	}
	packages := map[string]string{"runc": "runc", "busybox": "busybox-static"}
	if withDebian {
		packages["containerd"], packages["/usr/bin/"+shimProgram] = "containerd", "containerd"
	}
	var missing []string
	for program, name := range packages {
		if _, err := exec.LookPath(program); err != nil {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		if err := install(ctx, missing); err != nil {
			return errSkipped{err}
		}
	}
	if !withDebian {
		return nil
	}
	version, err := exec.CommandContext(ctx, "/usr/bin/containerd", "--version").Output()
	if err != nil {
		return err
	}
	if !strings.Contains(string(version), " 1.6.") {
		return errSkipped{fmt.Errorf("/usr/bin/containerd is not the 1.6 of Debian 12: %s (-short does without it)", strings.TrimSpace(string(version)))}
	}
	return nil
}

// install installs packages.
func install(ctx context.Context, packages []string) error {
	if _, err := exec.LookPath("apt-get"); err != nil {
		return fmt.Errorf("there is no %s, and no apt-get to install it", strings.Join(packages, ", "))
	}
	install := append([]string{"install", "-y", "--no-install-recommends"}, packages...)
	for _, args := range [][]string{{"update"}, install} {
		say("running apt-get %s\n", strings.Join(args, " "))
		c := exec.CommandContext(ctx, "apt-get", args...)
		c.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		if out, err := c.CombinedOutput(); err != nil {
			return fmt.Errorf("apt-get %s: %w\n%s", args[0], err, tail(string(out), 1000))
		}
	}
	return nil
}

// staticBusybox returns busybox, which alone must make a file system.
func staticBusybox() ([]byte, error) {
	path, err := exec.LookPath("busybox")
	if err != nil {
		return nil, err
	}
	file, err := elf.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	for _, p := range file.Progs {
		if p.Type == elf.PT_INTERP {
			return nil, errSkipped{fmt.Errorf("%s is not static: it would need a file system with libraries", path)}
		}
	}
	return os.ReadFile(path)
}
