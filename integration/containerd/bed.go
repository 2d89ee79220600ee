// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// A bed is a daemon with directories, a socket and a namespace of its own, and all
// that it starts.
type bed struct {
	pair
	r         *runner
	dir       string
	socket    string
	namespace string // of the containers; their cgroups are called so too
	watch     watch
	sockets   map[string]bool // of shims that there were

	// of the daemon that runs
	process *exec.Cmd
	ended   chan error // gets what Wait returns
	events  *exec.Cmd  // `ctr events`
	read    chan struct{}

	cleanRun bool // containerd's directory in /run was not there
}

// newBed makes the directories.
func (r *runner) newBed(p pair) (*bed, error) {
	dir, err := os.MkdirTemp(r.dir, "bed-")
	if err != nil {
		return nil, err
	}
	_, err = os.Stat(runDir)
	return &bed{
		pair:      p,
		r:         r,
		dir:       dir,
		socket:    filepath.Join(dir, "c.sock"),
		namespace: fmt.Sprintf("test-%d-%s", os.Getpid(), strings.TrimPrefix(filepath.Base(dir), "bed-")),
		sockets:   make(map[string]bool),
		cleanRun:  errors.Is(err, os.ErrNotExist),
	}, nil
}

// config is what the daemon reads. The plugins that it leaves out would make
// directories and sockets elsewhere.
const config = `version = 2
root = "%[1]s/root"
state = "%[1]s/state"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt", "io.containerd.nri.v1.nri"]
[grpc]
  address = "%[1]s/c.sock"
`

// logFile is where the daemon writes, and its shims.
func (b *bed) logFile() string { return filepath.Join(b.dir, "daemon.log") }

// start starts the daemon, and watches its events.
func (b *bed) start(ctx context.Context) error {
	file := filepath.Join(b.dir, "config.toml")
	if err := os.WriteFile(file, fmt.Appendf(nil, config, b.dir), 0o600); err != nil {
		return err
	}
	log, err := os.OpenFile(b.logFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }() // the daemon has it
	b.process = exec.Command(filepath.Join(b.r.built[b.pair.daemon].dir, daemonProgram), "--config", file)
	// The daemon takes the first shim in PATH.
	b.process.Env = append(os.Environ(), "PATH="+b.r.built[b.shim].dir+":"+os.Getenv("PATH"))
	b.process.Stdout, b.process.Stderr = log, log
	b.process.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // an interrupt at the terminal is not for it
	if err := b.process.Start(); err != nil {
		return err
	}
	b.ended = make(chan error, 1)
	go func(c *exec.Cmd, ended chan error) { ended <- c.Wait() }(b.process, b.ended)
	if err := poll(ctx, "the daemon listens", func() (bool, error) {
		select {
		case err := <-b.ended:
			b.ended <- err
			return false, fmt.Errorf("the daemon has ended: %w", err)
		default:
		}
		conn, err := net.Dial("unix", b.socket)
		if err != nil {
			return false, nil
		}
		return true, conn.Close()
	}); err != nil {
		return err
	}
	return b.startWatch(ctx)
}

// startWatch starts to collect events, and returns when they come.
func (b *bed) startWatch(ctx context.Context) error {
	if out, err := b.ctr(ctx, "namespaces", "ls", "-q"); err != nil {
		return err
	} else if !strings.Contains(out.stdout, b.namespace) {
		if err := b.succeed(ctx, "namespaces", "create", b.namespace); err != nil {
			return err
		}
	}
	b.events = exec.Command(b.ctrPath(), b.ctrArgs("events")...)
	b.events.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	lines, err := b.events.StdoutPipe()
	if err != nil {
		return err
	}
	if err := b.events.Start(); err != nil {
		return err
	}
	b.read = make(chan struct{})
	go func(read chan struct{}) {
		defer close(read)
		for s := bufio.NewScanner(lines); s.Scan(); {
			b.watch.add(s.Text())
		}
	}(b.read)
	before := b.watch.count()
	tries := 0
	return poll(ctx, "events come", func() (bool, error) {
		tries++
		err := b.succeed(ctx, "namespaces", "label", b.namespace, fmt.Sprintf("try=%d", tries))
		return b.watch.count() > before, err
	})
}

// kill ends the daemon at once.
func (b *bed) kill() {
	if b.process == nil {
		return
	}
	_ = b.process.Process.Kill()
	if err := <-b.ended; err == nil {
		say("the daemon has ended before it was killed\n")
	}
	b.process = nil
	b.stopWatch()
}

// stop ends the daemon as it wants to be ended.
func (b *bed) stop(ctx context.Context) error {
	if err := b.process.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case err := <-b.ended:
		b.process = nil
		b.stopWatch()
		return err
	case <-ctx.Done():
		return fmt.Errorf("the daemon does not end: %w", ctx.Err())
	}
}

// stopWatch ends `ctr events`.
func (b *bed) stopWatch() {
	if b.events == nil || b.read == nil {
		return
	}
	_ = b.events.Process.Kill()
	<-b.read
	_ = b.events.Wait()
	b.events = nil
}

// An output is what ctr has printed, and its status.
type output struct {
	stdout, stderr string
	status         int
}

func (b *bed) ctrPath() string { return filepath.Join(b.r.built[b.pair.daemon].dir, ctrProgram) }

func (b *bed) ctrArgs(args ...string) []string {
	return append([]string{"--address", b.socket, "--namespace", b.namespace}, args...)
}

// ctr runs the ctr that was built with the daemon.
func (b *bed) ctr(ctx context.Context, args ...string) (output, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	c := exec.CommandContext(ctx, b.ctrPath(), b.ctrArgs(args...)...)
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.WaitDelay = 5 * time.Second
	var stdout, stderr bytes.Buffer
	c.Stdout, c.Stderr = &stdout, &stderr
	err := c.Run()
	out := output{stdout.String(), withoutDeprecations(stderr.String()), c.ProcessState.ExitCode()}
	if b.r.verbose {
		say("    ctr %s: %d\n%s%s", strings.Join(args, " "), out.status, out.stdout, out.stderr)
	}
	var exit *exec.ExitError
	if ctx.Err() != nil {
		return out, fmt.Errorf("ctr %s: %w: %s", strings.Join(args, " "), ctx.Err(), out.stderr)
	}
	if err != nil && !errors.As(err, &exit) {
		return out, err
	}
	return out, nil
}

// withoutDeprecations drops what ctr says about old kinds of cgroups each time.
func withoutDeprecations(stderr string) string {
	var kept strings.Builder
	for line := range strings.Lines(stderr) {
		if !strings.Contains(line, "DEPRECATION") {
			kept.WriteString(line)
		}
	}
	return kept.String()
}

// succeed runs ctr, which must succeed.
func (b *bed) succeed(ctx context.Context, args ...string) error {
	out, err := b.ctr(ctx, args...)
	if err == nil && out.status != 0 {
		err = fmt.Errorf("ctr %s: status %d: %s", strings.Join(args, " "), out.status, out.stderr)
	}
	return err
}

// talk is the command of a container that says something, and ends with a status
// once it is answered. Whoever prints and ends may lose what it has printed: ctr
// does not wait for it.
func talk(text string, status int) []string {
	return []string{"sh", "-c", fmt.Sprintf("echo %s; read answer; test \"$answer\" = yes && exit %d", text, status)}
}

// answer runs ctr with a command that talks: it must say the text, and end with the
// status.
func (b *bed) answer(ctx context.Context, text string, status int, args ...string) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	c := exec.CommandContext(ctx, b.ctrPath(), b.ctrArgs(args...)...)
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.WaitDelay = 5 * time.Second
	var stderr bytes.Buffer
	c.Stderr = &stderr
	stdin, err := c.StdinPipe()
	if err != nil {
		return err
	}
	stdout, err := c.StdoutPipe()
	if err != nil {
		return err
	}
	if err := c.Start(); err != nil {
		return err
	}
	said := bufio.NewScanner(stdout)
	said.Scan()
	first := said.Text()
	_, writeErr := io.WriteString(stdin, "yes\n")
	more := said.Scan()
	err = c.Wait()
	if b.r.verbose {
		say("    ctr %s: %q\n", strings.Join(args, " "), first)
	}
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || ctx.Err() != nil) {
		return fmt.Errorf("ctr %s: %w: %s", strings.Join(args, " "), err, &stderr)
	}
	if got := c.ProcessState.ExitCode(); got != status || first != text || more {
		return fmt.Errorf("ctr %s: status %d, not %d; said %q, not %q, and more: %t; %s",
			strings.Join(args, " "), got, status, first, text, more, &stderr)
	}
	return writeErr
}

// poll calls f until it is true. What it waits for happens in other processes.
func poll(ctx context.Context, what string, f func() (bool, error)) error {
	limit, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		if done, err := f(); done || err != nil {
			return err
		}
		select {
		case <-limit.Done():
			return fmt.Errorf("not seen that %s: %w", what, limit.Err())
		case <-ticker.C:
		}
	}
}
