// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// A testCase is something to try with a pair.
type testCase struct {
	name string
	run  func(*bed, context.Context) error
}

// cases returns those of a pair, in order. All need the image, and the last ones
// look at what the others have left.
func (r *runner) cases(p pair) []testCase {
	all := []testCase{{"image: import", (*bed).importImage}}
	if p.refused != "" {
		all = append(all, testCase{"run: refused by containerd itself, before a connection", (*bed).refusedRun})
	} else {
		all = append(all,
			testCase{"run: output and status", (*bed).run},
			testCase{"run -d: one shim, the right one; kill with KILL", (*bed).detachedRun},
			testCase{"exec: output, status, standard input", (*bed).exec},
			testCase{"ps, metrics", (*bed).inspect},
			testCase{"ctr shim: state, asked of the shim itself", (*bed).shimState},
			testCase{"pause, resume", (*bed).pause},
			testCase{"kill with TERM: status of the container's own", (*bed).terminate},
			testCase{"events", (*bed).life},
			testCase{fmt.Sprintf("%d containers, one after the other", r.inARow()), (*bed).inARow},
			testCase{"10 containers at the same time", (*bed).parallelRuns},
			testCase{"10 execs at the same time, in one container", (*bed).parallelExecs},
			testCase{"daemon killed: containers go on, and the next daemon has them", (*bed).daemonKilled},
			testCase{"shim killed: the daemon cleans up", (*bed).shimKilled},
		)
	}
	return append(all,
		testCase{"nothing is left; the daemon ends when it is told to", (*bed).nothingLeft},
		testCase{"log: no panic, no complaint about ttrpc", (*bed).cleanLog},
	)
}

// importImage imports the image.
func (b *bed) importImage(ctx context.Context) error {
	args := []string{"image", "import", "--snapshotter", "native"}
	if b.pair.daemon != debian {
		args = append(args, "--local") // the daemon's own way needs snapshotters by configuration
	}
	return b.succeed(ctx, append(args, b.r.image)...)
}

// runArgs returns the arguments for a new container.
func (b *bed) runArgs(flag, id string, command ...string) []string {
	args := []string{"run", flag, "--snapshotter", "native", "--fifo-dir", filepath.Join(b.dir, "fifo-"+id), imageName, id}
	return append(args, command...)
}

// execArgs returns the arguments for a process in a container.
func (b *bed) execArgs(container, id string, command ...string) []string {
	return append([]string{"task", "exec", "--fifo-dir", filepath.Join(b.dir, "fifo-"+container+"-"+id), "--exec-id", id, container}, command...)
}

// refusedRun expects what containerd says of a shim that it does not go with.
func (b *bed) refusedRun(ctx context.Context) error {
	out, err := b.ctr(ctx, b.runArgs("--rm", "refused", "echo", "out")...)
	if err != nil {
		return err
	}
	if out.status == 0 || !strings.Contains(out.stderr, b.refused) {
		return fmt.Errorf("status %d, and not %q: %s%s", out.status, b.refused, out.stdout, out.stderr)
	}
	return nil
}

func (b *bed) run(ctx context.Context) error {
	for _, status := range []int{0, 7} {
		if err := b.answer(ctx, "out", status, b.runArgs("--rm", fmt.Sprintf("run%d", status), talk("out", status)...)...); err != nil {
			return err
		}
	}
	return nil
}

// A task is what `ctr task ls` says about a container that was started.
type task struct {
	pid    int
	status string
}

// task returns the task of a container; there may be none.
func (b *bed) task(ctx context.Context, id string) (t task, ok bool, err error) {
	out, err := b.ctr(ctx, "task", "ls")
	if err != nil {
		return task{}, false, err
	}
	if out.status != 0 {
		return task{}, false, fmt.Errorf("ctr task ls: %s", out.stderr)
	}
	for line := range strings.Lines(out.stdout) {
		f := strings.Fields(line)
		if len(f) == 3 && f[0] == id {
			pid, err := strconv.Atoi(f[1])
			return task{pid, f[2]}, true, err
		}
	}
	return task{}, false, nil
}

// until waits until a task has a status.
func (b *bed) until(ctx context.Context, id, status string) error {
	var last task
	err := poll(ctx, id+" is "+status, func() (bool, error) {
		t, _, err := b.task(ctx, id)
		last = t
		return t.status == status, err
	})
	if err != nil {
		return fmt.Errorf("%w (it is %q)", err, last.status)
	}
	return nil
}

// detached starts a container that runs until it is killed, and returns its task.
func (b *bed) detached(ctx context.Context, id string) (task, error) {
	if err := b.succeed(ctx, b.runArgs("-d", id, "sleep", "100000")...); err != nil {
		return task{}, err
	}
	t, ok, err := b.task(ctx, id)
	if err == nil && (!ok || t.status != "RUNNING") {
		err = fmt.Errorf("task of %s: %+v", id, t)
	}
	return t, err
}

// remove kills a container and deletes it.
func (b *bed) remove(ctx context.Context, id string) error {
	return b.removeBy(ctx, id, "KILL", 128+int(syscall.SIGKILL))
}

// removeBy ends a container by a signal and deletes it. It must end with a status,
// and there must be an event of that. It waits for the event: a shim of containerd
// v2 that is told to delete its container may end before it has sent its events,
// whatever the library.
func (b *bed) removeBy(ctx context.Context, id, signal string, status int) error {
	if err := b.succeed(ctx, "task", "kill", "-s", signal, id); err != nil {
		return err
	}
	if err := b.untilEvents(ctx, id, []string{fmt.Sprintf("/tasks/exit %d", status)}); err != nil {
		return err
	}
	return b.removeEnded(ctx, id, status)
}

// removeEnded deletes a container when it has ended, which must be with a status.
func (b *bed) removeEnded(ctx context.Context, id string, status int) error {
	if err := b.until(ctx, id, "STOPPED"); err != nil {
		return err
	}
	out, err := b.ctr(ctx, "task", "delete", id)
	if err != nil {
		return err
	}
	if !strings.Contains(out.stderr, fmt.Sprintf("exit code %d", status)) {
		return fmt.Errorf("task delete does not tell of status %d: %d: %s", status, out.status, out.stderr)
	}
	return b.succeed(ctx, "container", "delete", id)
}

// untilGone waits until the daemon itself has removed a task, and deletes the
// container.
func (b *bed) untilGone(ctx context.Context, id string) error {
	if err := poll(ctx, "the task of "+id+" is gone", func() (bool, error) {
		_, there, err := b.task(ctx, id)
		return !there, err
	}); err != nil {
		return err
	}
	return b.succeed(ctx, "container", "delete", id)
}

// shimOf returns the shim of a container. It must be the one of the pair.
func (b *bed) shimOf(id string) (shim, error) {
	of := slices.DeleteFunc(b.shims(), func(s shim) bool { return s.container != id })
	if len(of) != 1 {
		return shim{}, fmt.Errorf("%s has %d shims", id, len(of))
	}
	want, err := filepath.EvalSymlinks(filepath.Join(b.r.built[b.shim].dir, shimProgram))
	if err != nil {
		return shim{}, err
	}
	if of[0].file != want {
		return shim{}, fmt.Errorf("the shim is %s, not %s", of[0].file, want)
	}
	return of[0], nil
}

func (b *bed) detachedRun(ctx context.Context) error {
	if _, err := b.detached(ctx, "detached"); err != nil {
		return err
	}
	if _, err := b.shimOf("detached"); err != nil {
		return err
	}
	return b.remove(ctx, "detached")
}

// with runs f while a container runs.
func (b *bed) with(ctx context.Context, id string, f func(task) error) error {
	t, err := b.detached(ctx, id)
	if err != nil {
		return err
	}
	return errors.Join(f(t), b.remove(ctx, id))
}

func (b *bed) exec(ctx context.Context) error {
	return b.with(ctx, "exec", func(task) error {
		return b.answer(ctx, "out", 3, b.execArgs("exec", "e1", talk("out", 3)...)...)
	})
}

func (b *bed) inspect(ctx context.Context) error {
	return b.with(ctx, "inspect", func(t task) error {
		for _, c := range []struct {
			args []string
			want string
		}{
			{[]string{"task", "ps", "inspect"}, fmt.Sprint(t.pid)},
			{[]string{"task", "metrics", "inspect"}, "memory.usage"},
		} {
			out, err := b.ctr(ctx, c.args...)
			if err != nil {
				return err
			}
			if out.status != 0 || !strings.Contains(out.stdout, c.want) {
				return fmt.Errorf("%v prints no %s: %s%s", c.args, c.want, out.stdout, out.stderr)
			}
		}
		return nil
	})
}

// shimState lets ctr call the shim. The ctr of v2 asks for a service that a shim of
// v1.6 has not; it must be told so.
func (b *bed) shimState(ctx context.Context) error {
	return b.with(ctx, "state", func(t task) error {
		out, err := b.ctr(ctx, "shim", "--id", "state", "state")
		if err != nil {
			return err
		}
		if b.pair.daemon != debian && (b.shim == debian || b.shim.line == "v1.6") {
			if !strings.Contains(out.stderr, "code = Unimplemented desc = service containerd.task.v3.Task") {
				return fmt.Errorf("ctr shim state: status %d: %s%s", out.status, out.stdout, out.stderr)
			}
			return nil
		}
		var state struct{ Pid int }
		if err := json.Unmarshal([]byte(out.stdout), &state); err != nil || state.Pid != t.pid {
			return fmt.Errorf("ctr shim state: status %d: %s%s", out.status, out.stdout, out.stderr)
		}
		return nil
	})
}

func (b *bed) pause(ctx context.Context) error {
	return b.with(ctx, "pause", func(task) error {
		for _, step := range []struct{ command, status string }{{"pause", "PAUSED"}, {"resume", "RUNNING"}} {
			if err := b.succeed(ctx, "task", step.command, "pause"); err != nil {
				return err
			}
			if err := b.until(ctx, "pause", step.status); err != nil {
				return err
			}
		}
		return b.answer(ctx, "out", 0, b.execArgs("pause", "e1", talk("out", 0)...)...)
	})
}

func (b *bed) terminate(ctx context.Context) error {
	script := `trap "exit 5" TERM; echo yes >/trapped; while :; do sleep 0.1; done`
	if err := b.succeed(ctx, b.runArgs("-d", "term", "sh", "-c", script)...); err != nil {
		return err
	}
	tries := 0
	if err := poll(ctx, "the container waits for the signal", func() (bool, error) {
		tries++
		out, err := b.ctr(ctx, b.execArgs("term", fmt.Sprintf("e%d", tries), "cat", "/trapped")...)
		return out.stdout == "yes\n", err
	}); err != nil {
		return err
	}
	return b.removeBy(ctx, "term", "TERM", 5)
}

// life looks at the events of the life of a container.
func (b *bed) life(ctx context.Context) error {
	if err := b.with(ctx, "life", func(task) error {
		if err := b.answer(ctx, "out", 3, b.execArgs("life", "e1", talk("out", 3)...)...); err != nil {
			return err
		}
		if err := b.succeed(ctx, "task", "pause", "life"); err != nil {
			return err
		}
		return b.succeed(ctx, "task", "resume", "life")
	}); err != nil {
		return err
	}
	wanted := []string{
		"/containers/create", "/tasks/create", "/tasks/start",
		"/tasks/exec-added e1", "/tasks/exec-started e1", "/tasks/exit e1 3",
		"/tasks/paused", "/tasks/resumed", "/tasks/exit 137",
	}
	if b.pair.daemon == debian {
		// The later daemons leave this event to the shim: see removeBy.
		wanted = append(wanted, "/tasks/delete")
	}
	return b.untilEvents(ctx, "life", append(wanted, "/containers/delete"))
}

// untilEvents waits for events about a container.
func (b *bed) untilEvents(ctx context.Context, container string, wanted []string) error {
	var came []event
	err := poll(ctx, "all events have come", func() (bool, error) {
		var err error
		came, err = b.watch.of(container)
		return len(lacks(came, wanted)) == 0, err
	})
	if err != nil {
		return fmt.Errorf("%w: no %q among %v", err, lacks(came, wanted), came)
	}
	return nil
}

// inARow runs one container after the other, and keeps how long it took.
func (b *bed) inARow(ctx context.Context) error {
	var took []time.Duration
	for i := range b.r.inARow() {
		started := time.Now()
		text := fmt.Sprintf("out%d", i)
		if err := b.answer(ctx, text, i, b.runArgs("--rm", fmt.Sprintf("row%d", i), talk(text, i)...)...); err != nil {
			return err
		}
		took = append(took, time.Since(started))
	}
	slices.Sort(took)
	b.r.rows = append(b.r.rows, fmt.Sprintf("| %s | %d ms | %d ms |", b.pair, took[len(took)/2].Milliseconds(), took[len(took)-1].Milliseconds()))
	return nil
}

// parallel calls f for 0 to 9 at the same time.
func parallel(f func(i int) error) error {
	var wg sync.WaitGroup
	errs := make([]error, 10)
	for i := range errs {
		wg.Go(func() { errs[i] = f(i) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

func (b *bed) parallelRuns(ctx context.Context) error {
	return parallel(func(i int) error {
		text := fmt.Sprintf("out%d", i)
		return b.answer(ctx, text, i, b.runArgs("--rm", fmt.Sprintf("par%d", i), talk(text, i)...)...)
	})
}

func (b *bed) parallelExecs(ctx context.Context) error {
	return b.with(ctx, "execs", func(task) error {
		return parallel(func(i int) error {
			text := fmt.Sprintf("out%d", i)
			return b.answer(ctx, text, i, b.execArgs("execs", fmt.Sprintf("e%d", i), talk(text, i)...)...)
		})
	})
}

// daemonKilled kills the daemon while two containers run. One ends while there is
// no daemon.
func (b *bed) daemonKilled(ctx context.Context) error {
	goes, err := b.detached(ctx, "goes")
	if err != nil {
		return err
	}
	ends, err := b.detached(ctx, "ends")
	if err != nil {
		return err
	}
	before, err := b.shimOf("goes")
	if err != nil {
		return err
	}
	b.kill()
	if err := syscall.Kill(ends.pid, syscall.SIGKILL); err != nil {
		return err
	}
	if err := poll(ctx, "the shim has seen that a container has ended", func() (bool, error) {
		return errors.Is(syscall.Kill(ends.pid, 0), syscall.ESRCH), nil // nor is it a zombie
	}); err != nil {
		return err
	}
	if err := b.start(ctx); err != nil {
		return err
	}
	if t, _, err := b.task(ctx, "goes"); err != nil || t != (task{goes.pid, "RUNNING"}) {
		return fmt.Errorf("the container that goes on is %+v: %w", t, err)
	}
	if after, err := b.shimOf("goes"); err != nil || after != before {
		return fmt.Errorf("the shim was %+v, and is %+v: %w", before, after, err)
	}
	if err := b.answer(ctx, "out", 0, b.execArgs("goes", "e1", talk("out", 0)...)...); err != nil {
		return err
	}
	if err := b.removeFound(ctx, "ends"); err != nil {
		return err
	}
	if err := b.remove(ctx, "goes"); err != nil {
		return err
	}
	// The shim has found the new daemon as well.
	return b.untilEvents(ctx, "goes", []string{"/tasks/exec-started e1", "/tasks/exit e1 0", "/tasks/exit 137"})
}

// removeFound deletes a container that a new daemon has found at its end. If its
// shim told it that at once, it has removed the task; the daemon of v1.6 never does.
func (b *bed) removeFound(ctx context.Context, id string) error {
	var there bool
	if err := poll(ctx, "the daemon knows that "+id+" has ended", func() (bool, error) {
		var t task
		var err error
		t, there, err = b.task(ctx, id)
		return t.status != "RUNNING", err
	}); err != nil {
		return err
	}
	if there {
		return b.removeEnded(ctx, id, 137)
	}
	return b.succeed(ctx, "container", "delete", id)
}

// shimKilled kills a shim. The daemon ends and removes what it has left.
func (b *bed) shimKilled(ctx context.Context) error {
	t, err := b.detached(ctx, "orphan")
	if err != nil {
		return err
	}
	s, err := b.shimOf("orphan")
	if err != nil {
		return err
	}
	b.noteSockets()
	if err := syscall.Kill(s.pid, syscall.SIGKILL); err != nil {
		return err
	}
	if err := poll(ctx, "the container has ended", func() (bool, error) { return !lives(t.pid), nil }); err != nil {
		return err
	}
	if err := b.untilEvents(ctx, "orphan", []string{"/tasks/exit 137"}); err != nil {
		return err
	}
	if err := b.untilGone(ctx, "orphan"); err != nil {
		return err
	}
	return b.answer(ctx, "again", 0, b.runArgs("--rm", "orphan", talk("again", 0)...)...)
}

// nothingLeft looks for what should have ended.
func (b *bed) nothingLeft(ctx context.Context) error {
	if err := poll(ctx, "all shims have ended", func() (bool, error) {
		return len(b.shims()) == 0 && len(b.contained()) == 0, nil
	}); err != nil {
		return fmt.Errorf("%w: %v, and in containers %v", err, b.shims(), b.contained())
	}
	if mounts := b.mounts(); len(mounts) > 0 {
		return fmt.Errorf("still mounted: %v", mounts)
	}
	return b.stop(ctx)
}
