// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

// Command grpcminimal is the smallest server there can be with
// google.golang.org/grpc, as command minimal is with ttrpc. Its messages have
// their bytes where google.protobuf.Any has its first string, which grpc links
// anyway.
package main

import (
	"context"
	"net"
	"os"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/anypb"
)

func main() {
	server := grpc.NewServer()
	server.RegisterService(&grpc.ServiceDesc{
		ServiceName: "ttrpc.bench.Load",
		HandlerType: (*any)(nil),
		Methods:     []grpc.MethodDesc{{MethodName: "Unary", Handler: unary}},
	}, struct{}{})
	l, err := net.Listen("unix", os.Args[1])
	if err != nil {
		os.Exit(1)
	}
	os.Stdout.WriteString("listening\n") //nolint:errcheck // whoever does not see it does not call
	if server.Serve(l) != nil {
		os.Exit(1)
	}
}

func unary(_ any, _ context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
	request := new(anypb.Any)
	if err := decode(request); err != nil {
		return nil, err
	}
	return request, nil
}
