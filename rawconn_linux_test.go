// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package ttrpc_test

import (
	"context"
	"net"
	"os"
	"testing"

	"github.com/containerd/ttrpc"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// rawConnRounds is how often a race with the poller is given its chance.
const rawConnRounds = 100

// The poller reports the last bytes of a connection and its end as one event,
// if they come close together; a reader that believes the first short read
// would wait for ever.
func TestEndBehindLastRequestIsNoticed(t *testing.T) {
	ended := make(chan error, 1)
	srv := newServer(t)
	srv.Register("svc", map[string]ttrpc.Method{
		"Wait": func(ctx context.Context, _ func(any) error) (any, error) {
			<-ctx.Done()
			ended <- ctx.Err()
			return nil, ctx.Err()
		},
	})
	l := serve(t, srv)
	payload, err := proto.Marshal(&ttrpc.Request{Service: "svc", Method: "Wait"})
	require.NoError(t, err)
	for range rawConnRounds {
		conn, err := net.Dial(l.Addr().Network(), l.Addr().String())
		require.NoError(t, err)
		_, err = conn.Write(frameBytes(1, typeRequest, 0, payload))
		require.NoError(t, err)
		require.NoError(t, conn.Close())
		require.Equal(t, context.Canceled, await(t, ended, "the handler to learn that its client has gone"))
	}
}

func TestEndBehindLastResponseIsNoticed(t *testing.T) {
	l := listenUnix(t)
	for range rawConnRounds {
		closed := make(chan struct{})
		client := newClient(t, dial(t, l), ttrpc.WithOnClose(func() { close(closed) }))
		conn, err := l.Accept()
		require.NoError(t, err)
		answered := make(chan error, 1)
		go func() {
			answered <- client.Call(t.Context(), "svc", "Echo", &wrapperspb.StringValue{}, &wrapperspb.StringValue{})
		}()
		p := newRawPeer(t, conn)
		p.read()
		p.write(1, typeResponse, 0, nil)
		require.NoError(t, conn.Close())
		require.NoError(t, await(t, answered, "the call"))
		await(t, closed, "the client to notice that the server has gone")
	}
}

// A read stops short behind bytes that came with file descriptors, though there
// are more.
func TestRequestBehindFileDescriptorsIsRead(t *testing.T) {
	srv := newServer(t)
	srv.Register("svc", map[string]ttrpc.Method{
		"Echo": func(_ context.Context, unmarshal func(any) error) (any, error) {
			m := new(wrapperspb.StringValue)
			return m, unmarshal(m)
		},
	})
	conn := dial(t, serve(t, srv)).(*net.UnixConn)
	p := newRawPeer(t, conn)
	payload, err := proto.Marshal(&ttrpc.Request{Service: "svc", Method: "Echo"})
	require.NoError(t, err)
	file, err := os.Open(os.DevNull)
	require.NoError(t, err)
	defer file.Close()
	for id := uint32(1); id < 2*rawConnRounds; id += 4 {
		_, _, err := conn.WriteMsgUnix(frameBytes(id, typeRequest, 0, payload), unix.UnixRights(int(file.Fd())), nil)
		require.NoError(t, err)
		p.write(id+2, typeRequest, 0, payload)
		answered := []uint32{p.read().id, p.read().id}
		require.ElementsMatch(t, []uint32{id, id + 2}, answered)
	}
}
