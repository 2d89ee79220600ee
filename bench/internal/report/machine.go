// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"bytes"
	"fmt"
	"os"
	"regexp"
	"runtime"
)

// Machine is what the reader of a table has to know about where it was made.
type Machine struct {
	cores         int
	processor     string // empty if it is not known
	system        string
	loadAtTheTime string
}

// ReadMachine reads what there is to know.
func ReadMachine() Machine {
	m := Machine{cores: runtime.NumCPU(), system: runtime.GOOS}
	if release, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		m.system = fmt.Sprintf("Linux %s", regexp.MustCompile(`^\d+\.\d+`).Find(release))
	}
	if load, err := os.ReadFile("/proc/loadavg"); err == nil {
		m.loadAtTheTime = string(regexp.MustCompile(`^[\d.]+`).Find(load))
	}
	if info, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		if name := regexp.MustCompile(`(?m)^model name\s*:\s*(.*)$`).FindSubmatch(info); name != nil {
			m.processor = string(bytes.TrimSpace(name[1]))
		}
	}
	return m
}

// String returns what there is to know, in a sentence.
func (m Machine) String() string {
	processor := ""
	if m.processor != "" {
		processor = " (" + m.processor + ")"
	}
	return fmt.Sprintf("%d CPUs%s, %s, %s, %s; load average before the run %s.",
		m.cores, processor, m.system, runtime.GOARCH, runtime.Version(), m.loadAtTheTime)
}
