// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package ttrpc

import (
	"context"
	"errors"
	"net"
	"sync"
)

// Server serves registered services on any number of listeners. Its methods
// may be called from several goroutines at once.
type Server struct {
	// immutable after NewServer
	config *serverConfig

	log      limitedLogger
	services services
	workers  workers
	changed  broadcast // while stopping: a call has ended, or a connection

	// mu is taken before serverConn.mu. It is never held while a connection is
	// closed, a handler runs, or anything waits.
	mu        sync.Mutex
	listeners map[*onceCloseListener]struct{}
	conns     map[*serverConn]struct{} // until they have ended and their handlers have returned
	state     serverState
	stopping  chan struct{} // closed when state leaves stateServing
}

// serverState only ever goes up.
type serverState int

const (
	stateServing  serverState = iota
	stateDraining             // Shutdown has been called
	stateClosed               // Close has been called
)

// NewServer returns a server without services. Its error is that of an option.
func NewServer(opts ...ServerOpt) (*Server, error) {
	config, err := newServerConfig(opts)
	if err != nil {
		return nil, err
	}
	s := &Server{
		config:    config,
		log:       limitedLogger{logger: config.logger},
		listeners: map[*onceCloseListener]struct{}{},
		conns:     map[*serverConn]struct{}{},
		stopping:  make(chan struct{}),
	}
	s.workers.onTrim = s.renewReaders
	return s, nil
}

// Register adds a service that has only unary methods. It may be called at any
// time, copies the map, and panics with an error if the name is taken.
func (s *Server) Register(name string, methods map[string]Method) {
	s.services.register(name, &ServiceDesc{Methods: methods})
}

// RegisterService adds a service. It may be called at any time, copies the maps,
// and panics with an error if the name is taken.
func (s *Server) RegisterService(name string, desc *ServiceDesc) {
	s.services.register(name, desc)
}

// onceCloseListener is a listener that several may close.
type onceCloseListener struct {
	net.Listener
	once sync.Once
	err  error
}

func (l *onceCloseListener) Close() error {
	l.once.Do(func() { l.err = l.Listener.Close() })
	return l.err
}

// Serve accepts connections from l, and serves them, until l fails or the
// server is stopped; it always closes l. It returns ErrServerClosed, as it is,
// once Shutdown or Close has been called, and otherwise the error of l.Accept.
// Errors of Accept that call themselves temporary are waited out, and so is the
// kernel's want of memory.
//
// The contexts of handlers have the values of ctx. When ctx ends, the handlers
// that are running then have their contexts cancelled; Serve goes on, and calls
// that come later are not affected.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	listener := &onceCloseListener{Listener: l}
	defer listener.Close()
	if !s.addListener(listener) {
		return ErrServerClosed
	}
	defer s.removeListener(listener)
	var backoff acceptBackoff
	var refusals occasionally
	for {
		conn, err := listener.Accept()
		switch {
		case err == nil:
			backoff.reset()
			s.startConn(ctx, conn, &refusals)
		case s.isStopping():
			return ErrServerClosed
		case !isTemporary(err):
			return err
		default:
			backoff.wait(s, err)
		}
	}
}

func (s *Server) addListener(l *onceCloseListener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != stateServing {
		return false
	}
	s.listeners[l] = struct{}{}
	return true
}

func (s *Server) removeListener(l *onceCloseListener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.listeners, l)
}

func (s *Server) isStopping() bool {
	select {
	case <-s.stopping:
		return true
	default:
		return false
	}
}

// renewReaders gives the connections that have become idle a new reader. The
// workers call it from time to time, and at least once after all is still.
func (s *Server) renewReaders() {
	for _, sc := range s.newlyIdle() {
		sc.renewReader()
	}
}

// newlyIdle returns the connections that have answered something, but nothing
// since it was last called.
func (s *Server) newlyIdle() []*serverConn {
	s.mu.Lock()
	defer s.mu.Unlock()
	var idle []*serverConn
	for sc := range s.conns {
		written := uint32(sc.out.progress.Load())
		switch {
		case written != sc.written:
			sc.written, sc.used = written, true
		case sc.used:
			sc.used = false
			idle = append(idle, sc)
		}
	}
	return idle
}

// removeConn forgets a connection that has ended and has no handler left.
func (s *Server) removeConn(sc *serverConn) {
	s.mu.Lock()
	delete(s.conns, sc)
	last := len(s.conns) == 0 && s.state != stateServing
	s.mu.Unlock()
	if last {
		s.workers.close()
	}
	s.changed.wake()
}

// stop moves the server on to state, and closes the listeners. It returns the
// connections, and the first error of a listener.
func (s *Server) stop(state serverState) ([]*serverConn, error) {
	s.mu.Lock()
	if s.state == stateServing {
		close(s.stopping)
	}
	s.state = max(s.state, state)
	listeners := make([]*onceCloseListener, 0, len(s.listeners))
	for l := range s.listeners {
		listeners = append(listeners, l)
	}
	conns := make([]*serverConn, 0, len(s.conns))
	for sc := range s.conns {
		conns = append(conns, sc)
	}
	s.mu.Unlock()
	if len(conns) == 0 {
		s.workers.close()
	}
	var first error
	for _, l := range listeners {
		if err := l.Close(); err != nil && first == nil && !errors.Is(err, net.ErrClosed) {
			first = err
		}
	}
	return conns, first
}

// Shutdown stops the server without cutting off what it is doing. It closes the
// listeners at once, connections that are in a handshake, too, and every other
// connection as soon as that has nothing in flight: no call or stream that has a
// handler, and no answer that is not written. It returns when there is no
// connection left, with the first error of a listener, or when ctx ends, with
// its error. It may be called more than once.
//
// While a connection has something in flight, new calls on it are still served:
// that may be what a long poll is waiting for. A call that never ends, or a
// client that always has some call in flight, holds Shutdown up until ctx ends;
// Close then cuts it off. A connection whose peer reads nothing for 10 seconds,
// while there is something to read, is closed; on a unix socket, so is one whose
// peer reads less than about 200 KB in that time.
//
// A connection, other than a socket, whose own Close takes its time is not waited
// for, but all of those together for a second.
//
// A handler may call Shutdown of its own server. It returns when nothing is left
// but calls whose handlers are in Shutdown themselves, like its own; their
// answers are still delivered.
func (s *Server) Shutdown(ctx context.Context) error {
	caller := s.callingHandler(ctx)
	if caller != nil {
		caller.addInShutdown(1)
		defer caller.addInShutdown(-1)
	}
	conns, err := s.stop(stateDraining)
	var drains sync.WaitGroup
	for _, sc := range conns {
		drains.Go(sc.drain) // which closes those that are idle
	}
	drains.Wait()
	s.changed.wake() // for another Shutdown, which may wait for caller
	for {
		changed := s.changed.wait()
		if s.drained(caller) {
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// drained reports whether nothing is left that Shutdown waits for, if caller is
// the handler that calls it, or nil.
func (s *Server) drained(caller *serverCall) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for sc := range s.conns {
		if caller == nil || !sc.onlyInShutdown() {
			return false
		}
	}
	return true
}

// callingHandler returns the call whose handler is calling, which shows by the
// context that it passes or else by the goroutine, or nil.
func (s *Server) callingHandler(ctx context.Context) *serverCall {
	if call, ok := ctx.Value(serverCallKey{}).(*serverCall); ok && call.sc.server == s {
		return call
	}
	goroutine := currentGoroutine()
	if goroutine == 0 {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for sc := range s.conns {
		if call := sc.callOfGoroutine(goroutine); call != nil {
			return call
		}
	}
	return nil
}

// Close stops the server at once: it closes the listeners and all connections,
// those in a handshake included, and cancels the contexts of handlers. It does
// not wait for them, nor for more than a second for a connection, other than a
// socket, whose own Close takes its time. It may be called more than once, also by a handler. It
// returns the first error of a listener.
func (s *Server) Close() error {
	conns, err := s.stop(stateClosed)
	var ends sync.WaitGroup
	for _, sc := range conns {
		ends.Go(func() { sc.end(ErrServerClosed) })
	}
	ends.Wait()
	return err
}

// broadcast wakes everybody who waits for a change.
type broadcast struct {
	mu sync.Mutex
	ch chan struct{} // nil if nobody waits
}

// wait returns a channel that the next wake closes.
func (b *broadcast) wait() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ch == nil {
		b.ch = make(chan struct{})
	}
	return b.ch
}

func (b *broadcast) wake() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ch != nil {
		close(b.ch)
		b.ch = nil
	}
}
