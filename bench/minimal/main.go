// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

// Command minimal is the smallest server there can be: its size is what the
// library costs a program.
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
	server.RegisterService("ttrpc.bench.Minimal", &ttrpc.ServiceDesc{
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
	if server.Serve(context.Background(), l) != nil {
		os.Exit(1)
	}
}
