// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package ttrpc

import (
	"context"
	"net"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// handshakeFunc is a Handshaker.
type handshakeFunc func(context.Context, net.Conn) (net.Conn, any, error)

func (f handshakeFunc) Handshake(ctx context.Context, conn net.Conn) (net.Conn, any, error) {
	return f(ctx, conn)
}

// Calls wait for the handshake. When it is over, the client must read while it
// writes them: a server that answers one call before it reads the next would
// otherwise wait for the client for ever, and the client for it.
func TestClientReadsWhileItWritesCallsThatWaitedForHandshake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		shaken := make(chan struct{})
		client := NewClient(near, WithClientHandshaker(handshakeFunc(func(_ context.Context, conn net.Conn) (net.Conn, any, error) {
			<-shaken
			return conn, nil, nil
		})))
		const calls = 3
		ends := make(chan error, calls)
		for range calls {
			go func() {
				ends <- client.Call(t.Context(), "service", "Method", wrapperspb.String("x"), &wrapperspb.StringValue{})
			}()
		}
		synctest.Wait()
		close(shaken)
		ids := make(chan uint32, calls)
		go answerAll(far, ids)
		synctest.Wait()
		answered := len(ends)
		far.Close()
		client.Close()
		require.Equal(t, calls, answered, "calls answered")
		for range calls {
			require.NoError(t, <-ends)
		}
	})
}
