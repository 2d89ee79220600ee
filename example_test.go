// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package ttrpc_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/containerd/ttrpc"
	"github.com/containerd/ttrpc/example"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// greeter is what a generated Register function would pass to RegisterService.
var greeter = &ttrpc.ServiceDesc{
	Methods: map[string]ttrpc.Method{
		"Greet": func(ctx context.Context, unmarshal func(any) error) (any, error) {
			var name wrapperspb.StringValue
			if err := unmarshal(&name); err != nil {
				return nil, err
			}
			if name.Value == "" {
				return nil, status.Error(codes.InvalidArgument, "whom?")
			}
			greeting, ok := ttrpc.GetMetadataValue(ctx, "greeting")
			if !ok {
				greeting = "Hello"
			}
			return wrapperspb.String(greeting + ", " + name.Value), nil
		},
		"Sleep": func(ctx context.Context, _ func(any) error) (any, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		},
	},
	Streams: map[string]ttrpc.Stream{
		"Shout": {
			StreamingClient: true,
			StreamingServer: true,
			Handler: func(_ context.Context, stream ttrpc.StreamServer) (any, error) {
				for {
					var m wrapperspb.StringValue
					switch err := stream.RecvMsg(&m); {
					case errors.Is(err, io.EOF):
						return nil, nil
					case err != nil:
						return nil, err
					}
					if err := stream.SendMsg(wrapperspb.String(strings.ToUpper(m.Value))); err != nil {
						return nil, err
					}
				}
			},
		},
	},
}

// exampleServer serves greeter on a unix socket. It returns a connection to it,
// and what stops it.
func exampleServer(opts ...ttrpc.ServerOpt) (conn net.Conn, stop func()) {
	server, err := ttrpc.NewServer(opts...)
	if err != nil {
		log.Fatal(err)
	}
	server.RegisterService("example.Greeter", greeter)
	example.RegisterTasksService(server, tasks{})
	dir, err := os.MkdirTemp("", "ttrpc")
	if err != nil {
		log.Fatal(err)
	}
	l, err := net.Listen("unix", filepath.Join(dir, "socket"))
	if err != nil {
		log.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(context.Background(), l) }()
	if conn, err = net.Dial("unix", l.Addr().String()); err != nil {
		log.Fatal(err)
	}
	return conn, func() {
		server.Close()
		<-served
		os.RemoveAll(dir)
	}
}

func ExampleServer() {
	server, err := ttrpc.NewServer()
	if err != nil {
		log.Fatal(err)
	}
	server.RegisterService("example.Greeter", greeter) // mostly by generated code

	dir, err := os.MkdirTemp("", "ttrpc")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	l, err := net.Listen("unix", filepath.Join(dir, "socket"))
	if err != nil {
		log.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(context.Background(), l) }()

	// Later: finish what is in flight, but do not wait for it for ever.
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	fmt.Println("Shutdown:", server.Shutdown(ctx))
	fmt.Println("Serve:", <-served)
	// Output:
	// Shutdown: <nil>
	// Serve: ttrpc: server closed
}

func ExampleClient_Call() {
	conn, stop := exampleServer()
	defer stop()
	client := ttrpc.NewClient(conn)
	defer client.Close()

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var greeting wrapperspb.StringValue
	err := client.Call(ctx, "example.Greeter", "Greet", wrapperspb.String("world"), &greeting)
	fmt.Println(greeting.Value, err)

	err = client.Call(ctx, "example.Greeter", "Greet", wrapperspb.String(""), &greeting)
	fmt.Println(status.Code(err), err)
	// Output:
	// Hello, world <nil>
	// InvalidArgument rpc error: code = InvalidArgument desc = whom?
}

func ExampleClient_Call_cancel() {
	conn, stop := exampleServer()
	defer stop()
	client := ttrpc.NewClient(conn)
	defer client.Close()

	ctx, cancel := context.WithCancel(context.Background())
	time.AfterFunc(time.Millisecond, cancel)
	err := client.Call(ctx, "example.Greeter", "Sleep", &wrapperspb.StringValue{}, &wrapperspb.StringValue{})
	fmt.Println(err) // the handler's context has ended, too
	// Output: context canceled
}

func ExampleClient_NewStream() {
	conn, stop := exampleServer()
	defer stop()
	client := ttrpc.NewClient(conn)
	defer client.Close()

	// A context of its own: whoever leaves before the end cancels it.
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	desc := &ttrpc.StreamDesc{StreamingClient: true, StreamingServer: true}
	stream, err := client.NewStream(ctx, desc, "example.Greeter", "Shout", nil)
	if err != nil {
		log.Fatal(err)
	}
	for _, word := range []string{"one", "two"} {
		if err := stream.SendMsg(wrapperspb.String(word)); err != nil {
			log.Fatal(err)
		}
	}
	if err := stream.CloseSend(); err != nil {
		log.Fatal(err)
	}
	for {
		var m wrapperspb.StringValue
		if err := stream.RecvMsg(&m); err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(m.Value)
	}
	// Output:
	// ONE
	// TWO
	// EOF
}

func ExampleWithMetadata() {
	conn, stop := exampleServer()
	defer stop()
	client := ttrpc.NewClient(conn)
	defer client.Close()

	ctx := ttrpc.WithMetadata(context.Background(), ttrpc.MD{"greeting": {"Good evening"}})
	var greeting wrapperspb.StringValue
	err := client.Call(ctx, "example.Greeter", "Greet", wrapperspb.String("Ada"), &greeting)
	fmt.Println(greeting.Value, err)
	// Output: Good evening, Ada <nil>
}

func ExampleWithChainUnaryServerInterceptor() {
	trace := func(name string) ttrpc.UnaryServerInterceptor {
		return func(ctx context.Context, unmarshal ttrpc.Unmarshaler, info *ttrpc.UnaryServerInfo, method ttrpc.Method) (any, error) {
			fmt.Println(name, "before", info.FullMethod)
			defer fmt.Println(name, "after")
			return method(ctx, unmarshal)
		}
	}
	conn, stop := exampleServer(ttrpc.WithChainUnaryServerInterceptor(trace("outer"), trace("inner")))
	defer stop()
	client := ttrpc.NewClient(conn)
	defer client.Close()

	var greeting wrapperspb.StringValue
	err := client.Call(context.Background(), "example.Greeter", "Greet", wrapperspb.String("world"), &greeting)
	fmt.Println(greeting.Value, err)
	// Output:
	// outer before /example.Greeter/Greet
	// inner before /example.Greeter/Greet
	// inner after
	// outer after
	// Hello, world <nil>
}

// tasks implements a generated interface, but for methods that it leaves to the
// type that it embeds: these answer Unimplemented.
type tasks struct {
	example.UnimplementedTasksService
}

func (tasks) Start(_ context.Context, req *example.StartRequest) (*example.Task, error) {
	return &example.Task{Id: req.GetId()}, nil
}

// The names by which interceptors know methods are generated, too.
func ExampleWithUnaryServerInterceptor() {
	guard := func(ctx context.Context, unmarshal ttrpc.Unmarshaler, info *ttrpc.UnaryServerInfo, method ttrpc.Method) (any, error) {
		if info.FullMethod == example.Tasks_Stop_FullMethodName {
			return nil, status.Error(codes.PermissionDenied, "nobody stops tasks here")
		}
		return method(ctx, unmarshal)
	}
	conn, stop := exampleServer(ttrpc.WithUnaryServerInterceptor(guard))
	defer stop()
	connection := ttrpc.NewClient(conn)
	defer connection.Close()
	client := example.NewTasksClient(connection)

	task, err := client.Start(context.Background(), &example.StartRequest{Id: "build"})
	fmt.Println(task.GetId(), err)
	_, err = client.Stop(context.Background(), &example.StopRequest{Id: "build"})
	fmt.Println(err)
	_, err = client.Wait(context.Background(), &example.WaitRequest{Id: "build"})
	fmt.Println(err)
	// Output:
	// build <nil>
	// rpc error: code = PermissionDenied desc = nobody stops tasks here
	// rpc error: code = Unimplemented desc = method Wait not implemented
}

func ExampleWithUnaryClientInterceptor() {
	conn, stop := exampleServer()
	defer stop()
	// Try again what failed, and change the request meanwhile.
	retry := func(ctx context.Context, req *ttrpc.Request, resp *ttrpc.Response, info *ttrpc.UnaryClientInfo, invoke ttrpc.Invoker) error {
		err := invoke(ctx, req, resp)
		if err == nil && codes.Code(resp.GetStatus().GetCode()) == codes.Unimplemented {
			fmt.Println("no", info.FullMethod)
			req.Method = "Greet"
			resp.Reset()
			err = invoke(ctx, req, resp)
		}
		return err
	}
	client := ttrpc.NewClient(conn, ttrpc.WithUnaryClientInterceptor(retry))
	defer client.Close()

	var greeting wrapperspb.StringValue
	err := client.Call(context.Background(), "example.Greeter", "Salute", wrapperspb.String("world"), &greeting)
	fmt.Println(greeting.Value, err)
	// Output:
	// no /example.Greeter/Salute
	// Hello, world <nil>
}

func ExampleWithOnClose() {
	conn, stop := exampleServer()
	closed := make(chan struct{})
	client := ttrpc.NewClient(conn, ttrpc.WithOnClose(func() { close(closed) }))

	stop() // the server goes away
	<-closed
	err := client.Call(context.Background(), "example.Greeter", "Greet", wrapperspb.String("world"), &wrapperspb.StringValue{})
	fmt.Println(err, errors.Is(err, ttrpc.ErrClosed))
	// Output: ttrpc: closed true
}
