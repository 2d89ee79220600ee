// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"github.com/containerd/ttrpc"
	"github.com/containerd/ttrpc/example"
)

// demo runs a server and a client in this process, on a real unix socket in a
// temporary directory, and prints what each does and what goes over the wire.
func demo(ctx context.Context, j *journal) error {
	directory, err := os.MkdirTemp("", "ttrpc")
	if err != nil {
		return err
	}
	defer os.RemoveAll(directory)
	socket := filepath.Join(directory, "s")

	srv, err := newServer(j)
	if err != nil {
		return err
	}
	defer srv.Close()
	l, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ctx, l) }()

	s, err := connect(ctx, socket, j)
	if err != nil {
		return err
	}
	defer s.client.Close()
	j.title("A line is about the client, the server, or a frame: -> sent, <- received by the client")
	if err := s.showAll(ctx); err != nil {
		return err
	}
	j.title("Graceful shutdown: no new connections, but what is in flight goes on")
	if err := s.shutdown(ctx, srv, served, socket); err != nil {
		return fmt.Errorf("graceful shutdown: %w", err)
	}
	j.title("All was as it should be.")
	return nil
}

// shutdown stops srv while a stream is open, and goes on with that stream.
func (s *session) shutdown(ctx context.Context, srv *ttrpc.Server, served <-chan error, socket string) error {
	ctx = ttrpc.WithMetadata(ctx, ttrpc.MD{example.NamespaceKey: {"demo"}})
	if _, err := s.tasks.Start(ctx, &example.StartRequest{Id: "build", Program: example.Program_PROGRAM_REVERSE}); err != nil {
		return err
	}
	stream, err := s.tasks.Attach(ctx)
	if err != nil {
		return err
	}
	if err := s.exchange(stream, "before", "erofeb"); err != nil {
		return err
	}

	done := make(chan error, 1)
	go func() { done <- srv.Shutdown(ctx) }()
	if err := <-served; !errors.Is(err, ttrpc.ErrServerClosed) {
		return fmt.Errorf("Serve returned %w", err)
	}
	s.journal.printf("server", "Serve has returned: %v", ttrpc.ErrServerClosed)
	if conn, err := net.Dial("unix", socket); err == nil {
		conn.Close()
		return errors.New("the server still takes connections")
	}
	s.journal.printf("client", "a new connection is refused")

	if err := s.exchange(stream, "after", "retfa"); err != nil {
		return err
	}
	if err := s.finish(stream); err != nil {
		return err
	}
	if err := <-done; err != nil {
		return err
	}
	s.journal.printf("server", "Shutdown has returned: nothing was cut")
	<-s.closed
	_, err = s.tasks.Stop(ctx, &example.StopRequest{Id: "build"})
	if !errors.Is(err, ttrpc.ErrClosed) {
		return fmt.Errorf("a call after the end returned %w", err)
	}
	s.journal.printf("client", "a call on the closed connection returns: %v", err)
	return nil
}
