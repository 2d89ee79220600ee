// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

// Command peer is one side of a connection: a server, or a client that makes
// every call there is. The command in the directory above builds it with stubs of
// several generators, and links it with several releases of the library; so it
// uses nothing that the oldest of them does not have.
//
//	peer serve socket          # until its standard input ends
//	peer call socket kind...   # prints how many calls ended as they should
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"reflect"
	"strings"
	"time"

	"github.com/containerd/ttrpc"
	"github.com/containerd/ttrpc/integration/gogo/shapes"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
)

func main() {
	err := errors.New("usage: peer serve socket, or peer call socket kind...")
	switch {
	case len(os.Args) == 3 && os.Args[1] == "serve":
		err = serve(os.Args[2])
	case len(os.Args) > 3 && os.Args[1] == "call":
		err = callAll(os.Args[2], os.Args[3:])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "peer:", err)
		os.Exit(1)
	}
}

// What stubs for streams add, where there are such stubs: a service, and the calls
// of its methods that have messages of google.golang.org/protobuf or of gogo.
var (
	registerStreams   = func(*ttrpc.Server) {}
	googleStreamCalls = func(context.Context, *ttrpc.Client) []call { return nil }
	gogoStreamCalls   = func(context.Context, *ttrpc.Client) []call { return nil }
)

// serve serves on a socket until the standard input ends.
func serve(socket string) error {
	server, err := ttrpc.NewServer()
	if err != nil {
		return err
	}
	shapes.RegisterPlainService(server, plain{})
	registerStreams(server)
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	fmt.Println("serving")
	served := make(chan error, 1)
	go func() { served <- server.Serve(context.Background(), listener) }()
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		return err
	}
	if err := server.Close(); err != nil {
		return err
	}
	if err := <-served; !errors.Is(err, ttrpc.ErrServerClosed) {
		return err
	}
	return nil
}

// plain is the service with unary methods.
type plain struct{}

func (plain) Echo(_ context.Context, m *shapes.Item) (*shapes.Item, error) { return m, nil }

func (plain) Part(_ context.Context, m *shapes.Item) (*shapes.Item_Part, error) {
	return &m.Part, nil
}

func (plain) Pass(_ context.Context, m *shapes.Small) (*shapes.Small, error) { return m, nil }

func (plain) Nothing(_ context.Context, m *emptypb.Empty) (*emptypb.Empty, error) { return m, nil }

func (plain) Old(context.Context, *shapes.Item) (*shapes.Item, error) {
	return nil, status.Error(codes.NotFound, "there is none")
}

// A call is a call, and what is to come of it.
type call struct {
	name string
	make func() (any, error)
	want any
}

// callAll makes all calls of some kinds over one connection.
func callAll(socket string, kinds []string) error {
	conn, err := net.Dial("unix", socket)
	if err != nil {
		return err
	}
	client := ttrpc.NewClient(conn)
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()

	var counts []string
	for _, kind := range kinds {
		calls := callsOf(ctx, client, kind)
		if len(calls) == 0 {
			return fmt.Errorf("there are no calls of the kind %q", kind)
		}
		for _, call := range calls {
			if err := call.check(); err != nil {
				return fmt.Errorf("%s: %s: %w", kind, call.name, err)
			}
		}
		counts = append(counts, fmt.Sprint(kind, ": ", len(calls)))
	}
	fmt.Println(strings.Join(counts, ", "))
	return nil
}

// check makes the call.
func (c call) check() error {
	got, err := c.make()
	if err != nil {
		return err
	}
	if !reflect.DeepEqual(got, c.want) {
		return fmt.Errorf("got %v, want %v", got, c.want)
	}
	return nil
}

// callsOf returns the calls of a kind.
func callsOf(ctx context.Context, client *ttrpc.Client, kind string) []call {
	switch kind {
	case "google":
		return googleCalls(ctx, shapes.NewPlainClient(client))
	case "google-streams":
		return googleStreamCalls(ctx, client)
	case "gogo":
		return gogoCalls(ctx, shapes.NewPlainClient(client))
	case "gogo-streams":
		return gogoStreamCalls(ctx, client)
	default:
		return nil
	}
}

// googleCalls returns the calls of unary methods with messages of
// google.golang.org/protobuf.
func googleCalls(ctx context.Context, client shapes.PlainService) []call {
	return []call{{"Nothing", func() (any, error) {
		_, err := client.Nothing(ctx, &emptypb.Empty{})
		return nil, err
	}, nil}}
}

// gogoCalls returns the calls of unary methods with messages of gogo.
func gogoCalls(ctx context.Context, client shapes.PlainService) []call {
	small := new(shapes.Small)
	if err := small.Unmarshal(encodedItem()); err != nil {
		panic(err)
	}
	return []call{
		{"Echo", func() (any, error) { return client.Echo(ctx, item()) }, item()},
		{"Echo of nothing", func() (any, error) {
			m, err := client.Echo(ctx, &shapes.Item{})
			if err != nil {
				return nil, err
			}
			return len(m.Id) + len(m.Label), nil
		}, 0},
		{"Echo of much", func() (any, error) {
			m, err := client.Echo(ctx, &shapes.Item{Label: strings.Repeat("x", 1<<20)})
			if err != nil {
				return nil, err
			}
			return len(m.Label), nil
		}, 1 << 20},
		{"Part", func() (any, error) { return client.Part(ctx, item()) }, &item().Part},
		{"Pass, with unknown fields", func() (any, error) { return client.Pass(ctx, small) }, small},
		{"Old, an error", func() (any, error) {
			_, err := client.Old(ctx, item())
			return status.Code(err), nil
		}, codes.NotFound},
	}
}

// item returns a message with something in every field.
func item() *shapes.Item {
	took := 90 * time.Minute
	return &shapes.Item{
		Label:  "item",
		Part:   shapes.Item_Part{Data: []byte("data"), Sizes: []int64{1, -2, 300}},
		Parts:  []shapes.Item_Part{{Data: []byte("first")}, {}},
		ByName: map[string]*shapes.Item_Part{"a": {Data: []byte("by name")}, "": {}},
		Names:  map[int32]string{-1: "minus one", 7: ""},
		Choice: &shapes.Item_Text{Text: "text"},
		At:     time.Date(2001, 2, 3, 4, 5, 6, 7, time.UTC),
		Took:   &took,
		Id:     shapes.ID{0, 255},
		Base:   &shapes.Base{Origin: "base"},
		Kind:   shapes.Some,
	}
}

// encodedItem returns the message as bytes.
func encodedItem() []byte {
	encoded, err := item().Marshal()
	if err != nil {
		panic(err)
	}
	return encoded
}
