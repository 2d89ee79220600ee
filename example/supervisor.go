// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

// Package example is a service written with ttrpc: a supervisor of tasks with
// one method of every shape. The program in example/cmd serves and calls it.
package example

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/containerd/ttrpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// NamespaceKey is the metadata key that names the namespace of a call.
const NamespaceKey = "namespace"

// Supervisor implements the service Tasks. Its tasks are pieces of memory that
// edit text, so that it runs anywhere and leaves nothing behind.
type Supervisor struct {
	UnimplementedTasksService // for methods that the service may get

	mu    sync.Mutex // guards tasks and every task in it
	tasks map[taskKey]*task
}

var _ TasksService = (*Supervisor)(nil)

// NewSupervisor returns a Supervisor without tasks.
func NewSupervisor() *Supervisor {
	return &Supervisor{tasks: make(map[taskKey]*task)}
}

type taskKey struct{ namespace, id string }

// A task is guarded by the mutex of its Supervisor.
type task struct {
	key     taskKey
	program Program
	stopped bool
	log     []string
	changed chan struct{} // closed, and made anew, when stopped or log changes
}

// Start implements TasksService.
func (s *Supervisor) Start(ctx context.Context, req *StartRequest) (*Task, error) {
	key, err := keyOf(ctx, req.GetId())
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, taken := s.tasks[key]; taken {
		return nil, status.Errorf(codes.AlreadyExists, "task %q exists in namespace %q", key.id, key.namespace)
	}
	t := &task{
		key:     key,
		program: req.GetProgram(),
		log:     []string{"(started)"},
		changed: make(chan struct{}),
	}
	s.tasks[key] = t
	return t.messageLocked(), nil
}

// Stop implements TasksService.
func (s *Supervisor) Stop(ctx context.Context, req *StopRequest) (*Task, error) {
	t, err := s.find(ctx, req.GetId())
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.tasks, t.key)
	t.stopped = true
	t.wakeLocked()
	return t.messageLocked(), nil
}

// Wait implements TasksService. What becomes of a waiter is noted in the
// task's log, where everybody can see that an abandoned call does not linger.
func (s *Supervisor) Wait(ctx context.Context, req *WaitRequest) (*Task, error) {
	t, err := s.find(ctx, req.GetId())
	if err != nil {
		return nil, err
	}
	s.write(t, "(a waiter has come)")
	for {
		s.mu.Lock()
		stopped, changed, message := t.stopped, t.changed, t.messageLocked()
		s.mu.Unlock()
		if stopped {
			return message, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			// The caller cancelled or hung up, or its deadline has passed.
			s.write(t, fmt.Sprintf("(a waiter has gone: %v)", ctx.Err()))
			return nil, ctx.Err()
		}
	}
}

// Feed implements TasksService.
func (s *Supervisor) Feed(ctx context.Context, stream Tasks_FeedServer) (*FeedResponse, error) {
	var n uint32
	err := s.run(ctx, stream.Recv, func(*Line) error {
		n++
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &FeedResponse{Lines: n}, nil
}

// Attach implements TasksService.
func (s *Supervisor) Attach(ctx context.Context, stream Tasks_AttachServer) error {
	return s.run(ctx, stream.Recv, stream.Send)
}

// Logs implements TasksService.
func (s *Supervisor) Logs(ctx context.Context, req *LogsRequest, stream Tasks_LogsServer) error {
	t, err := s.find(ctx, req.GetId())
	if err != nil {
		return err
	}
	for sent := 0; ; {
		s.mu.Lock()
		lines, stopped, changed := slices.Clone(t.log[sent:]), t.stopped, t.changed
		s.mu.Unlock()
		for _, text := range lines {
			if err := stream.Send(&Line{Id: t.key.id, Text: text}); err != nil {
				return err
			}
			if sent++; sent == int(req.GetLines()) {
				return nil
			}
		}
		if stopped || req.GetLines() == 0 {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// run gives the lines that recv yields to the task that the first one names,
// and hands each line of output to emit, until recv ends.
func (s *Supervisor) run(ctx context.Context, recv func() (*Line, error), emit func(*Line) error) error {
	var t *task
	for {
		in, err := recv()
		if errors.Is(err, io.EOF) {
			return nil // the caller has sent its last line
		}
		if err != nil {
			return err
		}
		if t == nil {
			if t, err = s.find(ctx, in.GetId()); err != nil {
				return err
			}
		}
		text := t.edit(in.GetText())
		s.write(t, text)
		if err := emit(&Line{Id: t.key.id, Text: text}); err != nil {
			return err
		}
	}
}

// find returns the task of ctx's namespace with this id.
func (s *Supervisor) find(ctx context.Context, id string) (*task, error) {
	key, err := keyOf(ctx, id)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t, ok := s.tasks[key]
	if !ok {
		return nil, status.Errorf(codes.NotFound, "no task %q in namespace %q", key.id, key.namespace)
	}
	return t, nil
}

// write appends a line to the task's log.
func (s *Supervisor) write(t *task, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t.log = append(t.log, text)
	t.wakeLocked()
}

// keyOf joins the namespace of a call with the id of a task.
func keyOf(ctx context.Context, id string) (taskKey, error) {
	namespace, ok := ttrpc.GetMetadataValue(ctx, NamespaceKey)
	if !ok || namespace == "" {
		return taskKey{}, status.Errorf(codes.FailedPrecondition, "the metadata has no %q", NamespaceKey)
	}
	if id == "" {
		return taskKey{}, status.Error(codes.InvalidArgument, "the id of the task is empty")
	}
	return taskKey{namespace: namespace, id: id}, nil
}

// edit does to a line what the task's program does. It reads only what never
// changes.
func (t *task) edit(text string) string {
	switch t.program {
	case Program_PROGRAM_UPPER:
		return strings.ToUpper(text)
	case Program_PROGRAM_REVERSE:
		runes := []rune(text)
		slices.Reverse(runes)
		return string(runes)
	default:
		return text
	}
}

// wakeLocked wakes those who wait for the task to change.
func (t *task) wakeLocked() {
	close(t.changed)
	t.changed = make(chan struct{})
}

// messageLocked returns the task as its callers see it. The mutex is held.
func (t *task) messageLocked() *Task {
	return &Task{
		Id:        t.key.id,
		Namespace: t.key.namespace,
		Program:   t.program,
		Running:   !t.stopped,
		Lines:     uint32(len(t.log)),
	}
}
