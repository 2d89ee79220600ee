// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

// Command minimal is the smallest server there can be: its size is what the
// library costs a program, and many of them at once are what it costs a machine.
//
// It serves the unary method of load.ServiceName, whose messages have their bytes
// where ttrpc.Request has its first string: it links no other message. It prints
// a line when it listens.
package main

import (
	"context"
	"net"
	"os"

	"github.com/containerd/ttrpc"
)

func main() {
	server, err := ttrpc.NewServer()
	if err != nil {
		os.Exit(1)
	}
	server.RegisterService("ttrpc.bench.Load", &ttrpc.ServiceDesc{
		Methods: map[string]ttrpc.Method{
			"Unary": func(_ context.Context, unmarshal func(any) error) (any, error) {
				var request ttrpc.Request
				if err := unmarshal(&request); err != nil {
					return nil, err
				}
				return &request, nil
			},
		},
	})
	l, err := net.Listen("unix", os.Args[1])
	if err != nil {
		os.Exit(1)
	}
	os.Stdout.WriteString("listening\n") //nolint:errcheck // whoever does not see it does not call
	if server.Serve(context.Background(), l) != nil {
		os.Exit(1)
	}
}
