// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package ttrpc_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"runtime"
	"sync"
	"testing"

	"github.com/containerd/ttrpc"
	"github.com/stretchr/testify/require"
)

// faultRelay passes bytes on between two sockets, so that faults can befall the
// connection of a client and a server that both have a plain socket, which they
// treat otherwise than a net.Conn of any kind.
type faultRelay struct {
	up, down *faultConn // from the client, from the server
	done     sync.WaitGroup
}

// newFaultRelay starts to relay between two ends, which it owns. It ends with the
// test.
func newFaultRelay(t *testing.T, up, down *faultConn) *faultRelay {
	r := &faultRelay{up: up, down: down}
	r.done.Go(func() { r.pass(up, down) })
	r.done.Go(func() { r.pass(down, up) })
	t.Cleanup(func() {
		up.Close()
		down.Close()
		r.done.Wait()
	})
	return r
}

// pass passes on what from reads until that ends, which it passes on, too.
func (r *faultRelay) pass(from, to *faultConn) {
	b := make([]byte, 32<<10)
	for {
		n, err := from.Read(b)
		if n > 0 && n <= len(b) {
			if _, err := to.Conn.Write(b[:n]); err != nil {
				from.Close() // so that the writer notices
				return
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			closeWrite(to.Conn)
			return
		case err != nil, n < 0, n > len(b):
			from.Conn.Close()
			to.Conn.Close()
			return
		}
	}
}

// socketPair returns the two ends of a connection of that kind, "unix" or "tcp".
func socketPair(t *testing.T, network string) (near, far net.Conn) {
	t.Helper()
	address := socketPath(t)
	if network == "tcp" || runtime.GOOS == "windows" {
		network, address = "tcp", "127.0.0.1:0"
	}
	l, err := net.Listen(network, address)
	require.NoError(t, err)
	defer l.Close()
	near = dial(t, l)
	far, err = l.Accept()
	require.NoError(t, err)
	t.Cleanup(func() { far.Close() })
	return near, far
}

// takeLittle makes the buffers of sockets as small as can be.
func takeLittle(conns ...net.Conn) {
	for _, conn := range conns {
		conn.(interface{ SetWriteBuffer(int) error }).SetWriteBuffer(1)
	}
}

// identify is a Handshaker that tells handlers which client it is.
type identify map[net.Conn]int

func (ids identify) Handshake(_ context.Context, conn net.Conn) (net.Conn, any, error) {
	return conn, modelAddr(ids[conn]), nil
}

// The same on sockets, where time is what it is: with the faults beside each end,
// which is then no plain socket any more, or on the way between both.
func TestCallsUnderFaultsOnSockets(t *testing.T) {
	var books modelBooks
	seeds := faultSeeds(t, 6)
	for _, seed := range seeds {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			ids := identify{}
			m := newModel(t, seed, realScale, &books, ttrpc.WithServerHandshaker(ids))
			l := newMemoryListener()
			rnd := seeded(seed, 0)
			for n := range 6 {
				network := []string{"unix", "unix", "tcp"}[n%3]
				near, far := socketPair(t, network)
				var server net.Conn
				if n%2 == 0 {
					takeLittle(near, far)
				}
				if n < 2 {
					class, a, b := m.faultPair(rnd, near, far)
					m.connect(a, class, a, b)
					server = b
				} else {
					server = m.connectByRelay(t, rnd, network, near, far)
				}
				ids[server] = n
				l.conns <- server
			}
			serveOn(t, m.srv, l)
			m.run(6)
		})
	}
	t.Logf("%d seeds: %v", len(seeds), &books)
}

// connectByRelay connects a client with near, and far with the connection that it
// returns.
func (m *model) connectByRelay(t *testing.T, rnd *rand.Rand, network string, near, far net.Conn) (server net.Conn) {
	class := randomClass(rnd)
	up, down := randomSchedules(rnd, class, m.scale.delay)
	up.writing, down.writing = nil, nil
	next, server := socketPair(t, network)
	if rnd.IntN(2) == 0 {
		takeLittle(next, server)
	}
	r := newFaultRelay(t, newFaultConn(far, up, &m.books.faults), newFaultConn(next, down, &m.books.faults))
	m.connect(near, class, r.up, r.down)
	return server
}
