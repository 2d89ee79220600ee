// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package ttrpc_test

import (
	"context"
	"fmt"
	"os"

	"github.com/containerd/ttrpc"
	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

func ExampleUnixSocketRequireSameUser() {
	whoIs := func(ctx context.Context, unmarshal ttrpc.Unmarshaler, _ *ttrpc.UnaryServerInfo, method ttrpc.Method) (any, error) {
		peer, _ := ttrpc.GetPeer(ctx)
		ucred := peer.AuthInfo.(*unix.Ucred)
		fmt.Println("me:", ucred.Uid == uint32(os.Geteuid()), ucred.Pid == int32(os.Getpid()))
		return method(ctx, unmarshal)
	}
	conn, stop := exampleServer(
		ttrpc.WithServerHandshaker(ttrpc.UnixSocketRequireSameUser()),
		ttrpc.WithUnaryServerInterceptor(whoIs),
	)
	defer stop()
	client := ttrpc.NewClient(conn)
	defer client.Close()

	var greeting wrapperspb.StringValue
	err := client.Call(context.Background(), "example.Greeter", "Greet", wrapperspb.String("world"), &greeting)
	fmt.Println(greeting.Value, err)
	// Output:
	// me: true true
	// Hello, world <nil>
}
