// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/containerd/ttrpc"
	"github.com/containerd/ttrpc/example"
)

// shutdownPatience is how long calls in flight may still take when the server
// is told to stop.
const shutdownPatience = 10 * time.Second

// newServer returns a server of the service Tasks that notes its calls in j.
func newServer(j *journal) (*ttrpc.Server, error) {
	srv, err := ttrpc.NewServer(
		ttrpc.WithServerHandshaker(newHandshaker()),
		ttrpc.WithUnaryServerInterceptor(noteCall(j)),
		ttrpc.WithChainStreamServerInterceptor(noteStream(j)),
	)
	if err != nil {
		return nil, err
	}
	example.RegisterTasksService(srv, example.NewSupervisor())
	return srv, nil
}

// serve serves on the unix socket until ctx ends. Then it takes no more
// connections, and returns once the calls in flight are done.
func serve(ctx context.Context, socket string, j *journal) error {
	srv, err := newServer(j)
	if err != nil {
		return err
	}
	l, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(context.WithoutCancel(ctx), l) }()
	j.printf("server", "listening on %s", socket)

	select {
	case err := <-served:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	j.printf("server", "shutting down")
	defer srv.Close()
	patience, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownPatience)
	defer cancel()
	if err := srv.Shutdown(patience); err != nil {
		return fmt.Errorf("shutdown: %w", err)
	}
	if err := <-served; !errors.Is(err, ttrpc.ErrServerClosed) {
		return fmt.Errorf("serve: %w", err)
	}
	j.printf("server", "stopped")
	return nil
}

// noteCall returns an interceptor that notes every unary call.
func noteCall(j *journal) ttrpc.UnaryServerInterceptor {
	return func(ctx context.Context, unmarshal ttrpc.Unmarshaler, info *ttrpc.UnaryServerInfo, method ttrpc.Method) (any, error) {
		note := describeCall(ctx, info.FullMethod)
		if id, ok := ttrpc.GetMetadataValue(ctx, requestIDKey); ok {
			note += ", request " + id
		}
		if _, ok := ctx.Deadline(); ok {
			note += ", with a deadline"
		} else if info.FullMethod == example.Tasks_Wait_FullMethodName {
			note += ", for as long as it takes"
		}
		j.printf("server", "%s", note)
		return method(ctx, unmarshal)
	}
}

// noteStream returns an interceptor that notes every stream, when the client
// has said all that it has to say.
func noteStream(j *journal) ttrpc.StreamServerInterceptor {
	return func(ctx context.Context, ss ttrpc.StreamServer, info *ttrpc.StreamServerInfo, handler ttrpc.StreamHandler) (any, error) {
		if info.StreamingClient {
			defer j.printf("server", "%s, read to its end", describeCall(ctx, info.FullMethod))
		} else {
			j.printf("server", "%s", describeCall(ctx, info.FullMethod))
		}
		return handler(ctx, ss)
	}
}

// describeCall says which method was called, and by whom.
func describeCall(ctx context.Context, method string) string {
	var authInfo any
	if peer, ok := ttrpc.GetPeer(ctx); ok {
		authInfo = peer.AuthInfo
	}
	namespace, _ := ttrpc.GetMetadataValue(ctx, example.NamespaceKey)
	return fmt.Sprintf("%s by a peer %s, namespace %s", method, describePeer(authInfo), namespace)
}
