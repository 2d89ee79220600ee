// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

// Package stubs tests what protoc-gen-gogottrpc has generated into testdata, by
// calls. It is apart from the program's own tests for these can then mend what
// does not compile.
package stubs

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/containerd/ttrpc"
	"github.com/containerd/ttrpc/internal/stubgen/stubtest"
	"github.com/gogo/protobuf/types"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	// That generated code compiles is shown by its being here.
	"github.com/containerd/ttrpc/cmd/protoc-gen-gogottrpc/testdata/endings"
	"github.com/containerd/ttrpc/cmd/protoc-gen-gogottrpc/testdata/names"
	namescodes "github.com/containerd/ttrpc/cmd/protoc-gen-gogottrpc/testdata/names/codes"
	namescontext "github.com/containerd/ttrpc/cmd/protoc-gen-gogottrpc/testdata/names/context"
	"github.com/containerd/ttrpc/cmd/protoc-gen-gogottrpc/testdata/proto2"
	"github.com/containerd/ttrpc/cmd/protoc-gen-gogottrpc/testdata/shapes"
	"github.com/containerd/ttrpc/cmd/protoc-gen-gogottrpc/testdata/shapes/google"
	"github.com/containerd/ttrpc/cmd/protoc-gen-gogottrpc/testdata/wellknown"
)

// A side is stubs and the messages that they were generated for: the same .proto
// files, by gogo's generator or by that of google.golang.org/protobuf.
type side struct {
	name     string
	register func(*ttrpc.Server)
	unary    func(*testing.T, *ttrpc.Client)
	streams  func(*testing.T, *ttrpc.Client)
}

var sides = []side{
	{"gogo", registerGogo, gogoUnary, gogoStreams},
	{"google", registerGoogle, googleUnary, googleStreams},
}

// TestStubs makes every client call every server. All methods send their request
// back, or some of it.
func TestStubs(t *testing.T) {
	for _, clients := range sides {
		for _, servers := range sides {
			t.Run("client "+clients.name+", server "+servers.name, func(t *testing.T) {
				client := stubtest.Connect(t, servers.register)
				t.Run("unary", func(t *testing.T) { clients.unary(t, client) })
				t.Run("streams", func(t *testing.T) { clients.streams(t, client) })
			})
		}
	}
}

// gogoItem and googleItem are the same message, with something in every field.

func gogoItem() *shapes.Item {
	took := 90 * time.Minute
	return &shapes.Item{
		Label:  "item",
		Part:   shapes.Item_Part{Data: []byte("data"), Sizes: []int64{1, -2, 300}},
		Parts:  []shapes.Item_Part{{Data: []byte("first")}, {}},
		ByName: map[string]*shapes.Item_Part{"a": {Data: []byte("by name")}, "": {}},
		Names:  map[int32]string{-1: "minus one", 7: ""},
		Choice: &shapes.Item_Other{Other: &shapes.Item_Part{Data: []byte("other")}},
		At:     time.Date(2001, 2, 3, 4, 5, 6, 7, time.UTC),
		Took:   &took,
		Id:     shapes.ID{0, 255},
		Base:   &shapes.Base{Origin: "base"},
		Kind:   shapes.Some,
	}
}

func googleItem() *google.Item {
	return &google.Item{
		Name:   "item",
		Part:   &google.Item_Part{Data: []byte("data"), Sizes: []int64{1, -2, 300}},
		Parts:  []*google.Item_Part{{Data: []byte("first")}, {}},
		ByName: map[string]*google.Item_Part{"a": {Data: []byte("by name")}, "": {}},
		Names:  map[int32]string{-1: "minus one", 7: ""},
		Choice: &google.Item_Other{Other: &google.Item_Part{Data: []byte("other")}},
		At:     timestamppb.New(time.Date(2001, 2, 3, 4, 5, 6, 7, time.UTC)),
		Took:   durationpb.New(90 * time.Minute),
		Id:     []byte{0, 255},
		Base:   &google.Base{Origin: "base"},
		Kind:   google.Kind_SOME,
	}
}

// That items come back from the other side says little if that understands them
// otherwise.
func TestItemsAreTheSame(t *testing.T) {
	encoded, err := gogoItem().Marshal()
	require.NoError(t, err)
	item := new(google.Item)
	require.NoError(t, proto.Unmarshal(encoded, item))
	requireSame(t, googleItem(), item)
	require.Empty(t, item.ProtoReflect().GetUnknown())
}

// requireSame requires that two messages are equal.
func requireSame(t *testing.T, want, got proto.Message) {
	t.Helper()
	require.True(t, proto.Equal(want, got), "want %v, got %v", want, got)
}

// The services with messages of gogo.

func registerGogo(s *ttrpc.Server) {
	shapes.RegisterPlainService(s, gogoPlain{})
	shapes.RegisterCasesService(s, gogoCases{})
	shapes.RegisterEmptyService(s, nil)
	shapes.RegisterStreamsService(s, gogoStreamsService{})
}

type gogoPlain struct {
	shapes.UnimplementedPlainService
} // without Old

func (gogoPlain) Echo(_ context.Context, m *shapes.Item) (*shapes.Item, error) { return m, nil }

func (gogoPlain) Part(_ context.Context, m *shapes.Item) (*shapes.Item_Part, error) {
	return &m.Part, nil
}

func (gogoPlain) Pass(_ context.Context, m *shapes.Small) (*shapes.Small, error) { return m, nil }

func (gogoPlain) Nothing(_ context.Context, m *types.Empty) (*types.Empty, error) { return m, nil }

type gogoCases struct{}

func (gogoCases) Snake_case(_ context.Context, m *shapes.Item) (*shapes.Item, error) { return m, nil }
func (gogoCases) SnakeCase_(_ context.Context, m *shapes.Item) (*shapes.Item, error) { return m, nil }
func (gogoCases) Lower(_ context.Context, m *shapes.Item) (*shapes.Item, error)      { return m, nil }

type gogoStreamsService struct{}

func (gogoStreamsService) Unary(_ context.Context, m *shapes.Item) (*shapes.Item, error) {
	return m, nil
}

func (gogoStreamsService) ClientStream(_ context.Context, stream shapes.Streams_ClientStreamServer) (*shapes.Item_Part, error) {
	last, err := last(stream)
	if err != nil {
		return nil, err
	}
	return &last.Part, nil
}

func (gogoStreamsService) ServerStream(_ context.Context, m *shapes.Item_Part, stream shapes.Streams_ServerStreamServer) error {
	return stream.Send(&shapes.Item{Part: *m})
}

func (gogoStreamsService) Bidi(_ context.Context, stream shapes.Streams_BidiServer) error {
	return echo(stream)
}

func (gogoStreamsService) ClientStreamOfNothing(_ context.Context, stream shapes.Streams_ClientStreamOfNothingServer) (*types.Empty, error) {
	return last(stream)
}

func (gogoStreamsService) ServerStreamOfNothing(_ context.Context, m *types.Empty, stream shapes.Streams_ServerStreamOfNothingServer) error {
	return stream.Send(m)
}

func (gogoStreamsService) SnakeBidi(_ context.Context, stream shapes.Streams_SnakeBidiServer) error {
	return echo(stream)
}

func (gogoStreamsService) SnakeBidiToo(_ context.Context, stream shapes.Streams_SnakeBidiTooServer) error {
	return echo(stream)
}

func gogoUnary(t *testing.T, client *ttrpc.Client) {
	t.Helper()
	plain, cases := shapes.NewPlainClient(client), shapes.NewCasesClient(client)
	for name, call := range map[string]func(context.Context, *shapes.Item) (*shapes.Item, error){
		"Echo": plain.Echo, "Snake_case": cases.Snake_case, "SnakeCase_": cases.SnakeCase_, "Lower": cases.Lower,
	} {
		resp, err := call(t.Context(), gogoItem())
		require.NoError(t, err, name)
		require.Equal(t, gogoItem(), resp, name)
	}
	empty, err := plain.Echo(t.Context(), &shapes.Item{})
	require.NoError(t, err)
	require.Empty(t, empty.Id)
	require.Empty(t, empty.Label)
	require.Zero(t, empty.At)
	part, err := plain.Part(t.Context(), gogoItem())
	require.NoError(t, err)
	require.Equal(t, &gogoItem().Part, part)
	_, err = plain.Nothing(t.Context(), &types.Empty{})
	require.NoError(t, err)
	_, err = plain.Old(t.Context(), gogoItem()) //nolint:staticcheck // deprecated methods can be called
	require.Equal(t, codes.Unimplemented, status.Code(err))
	require.ErrorContains(t, err, "method Old not implemented")

	encoded, err := gogoItem().Marshal()
	require.NoError(t, err)
	small := new(shapes.Small)
	require.NoError(t, small.Unmarshal(encoded))
	passed, err := plain.Pass(t.Context(), small)
	require.NoError(t, err)
	require.Equal(t, small, passed, "with what Small does not know")
}

func gogoStreams(t *testing.T, client *ttrpc.Client) {
	t.Helper()
	streams := shapes.NewStreamsClient(client)
	resp, err := streams.Unary(t.Context(), gogoItem())
	require.NoError(t, err)
	require.Equal(t, gogoItem(), resp)

	up, err := streams.ClientStream(t.Context())
	require.NoError(t, err)
	require.NoError(t, up.Send(&shapes.Item{}))
	require.NoError(t, up.Send(gogoItem()))
	part, err := up.CloseAndRecv()
	require.NoError(t, err)
	require.Equal(t, &gogoItem().Part, part)

	down, err := streams.ServerStream(t.Context(), &gogoItem().Part)
	require.NoError(t, err)
	require.Equal(t, gogoItem().Part, receiveOnly(t, down).Part)

	both, err := streams.Bidi(t.Context())
	require.NoError(t, err)
	require.Equal(t, gogoItem(), exchange(t, both, gogoItem()))
	snake, err := streams.SnakeBidi(t.Context())
	require.NoError(t, err)
	require.Equal(t, gogoItem(), exchange(t, snake, gogoItem()))
	snakeToo, err := streams.SnakeBidiToo(t.Context())
	require.NoError(t, err)
	require.Equal(t, gogoItem(), exchange(t, snakeToo, gogoItem()))

	upOfNothing, err := streams.ClientStreamOfNothing(t.Context())
	require.NoError(t, err)
	require.NoError(t, upOfNothing.Send(&types.Empty{}))
	_, err = upOfNothing.CloseAndRecv()
	require.NoError(t, err)
	downOfNothing, err := streams.ServerStreamOfNothing(t.Context(), &types.Empty{})
	require.NoError(t, err)
	receiveOnly(t, downOfNothing)
}

// The services with messages of google.golang.org/protobuf.

func registerGoogle(s *ttrpc.Server) {
	google.RegisterPlainService(s, googlePlain{})
	google.RegisterCasesService(s, googleCases{})
	google.RegisterEmptyService(s, nil)
	google.RegisterStreamsService(s, googleStreamsService{})
}

type googlePlain struct {
	google.UnimplementedPlainService
}

func (googlePlain) Echo(_ context.Context, m *google.Item) (*google.Item, error) { return m, nil }

func (googlePlain) Part(_ context.Context, m *google.Item) (*google.Item_Part, error) {
	return m.GetPart(), nil
}

func (googlePlain) Pass(_ context.Context, m *google.Small) (*google.Small, error) { return m, nil }

func (googlePlain) Nothing(_ context.Context, m *emptypb.Empty) (*emptypb.Empty, error) {
	return m, nil
}

type googleCases struct{}

func (googleCases) SnakeCase(_ context.Context, m *google.Item) (*google.Item, error)  { return m, nil }
func (googleCases) SnakeCase_(_ context.Context, m *google.Item) (*google.Item, error) { return m, nil }
func (googleCases) Lower(_ context.Context, m *google.Item) (*google.Item, error)      { return m, nil }

type googleStreamsService struct{}

func (googleStreamsService) Unary(_ context.Context, m *google.Item) (*google.Item, error) {
	return m, nil
}

func (googleStreamsService) ClientStream(_ context.Context, stream google.Streams_ClientStreamServer) (*google.Item_Part, error) {
	last, err := last(stream)
	return last.GetPart(), err
}

func (googleStreamsService) ServerStream(_ context.Context, m *google.Item_Part, stream google.Streams_ServerStreamServer) error {
	return stream.Send(&google.Item{Part: m})
}

func (googleStreamsService) Bidi(_ context.Context, stream google.Streams_BidiServer) error {
	return echo(stream)
}

func (googleStreamsService) ClientStreamOfNothing(_ context.Context, stream google.Streams_ClientStreamOfNothingServer) (*emptypb.Empty, error) {
	return last(stream)
}

func (googleStreamsService) ServerStreamOfNothing(_ context.Context, m *emptypb.Empty, stream google.Streams_ServerStreamOfNothingServer) error {
	return stream.Send(m)
}

func (googleStreamsService) SnakeBidi(_ context.Context, stream google.Streams_SnakeBidiServer) error {
	return echo(stream)
}

func (googleStreamsService) SnakeBidiToo(_ context.Context, stream google.Streams_SnakeBidiTooServer) error {
	return echo(stream)
}

func googleUnary(t *testing.T, client *ttrpc.Client) {
	t.Helper()
	plain, cases := google.NewPlainClient(client), google.NewCasesClient(client)
	for name, call := range map[string]func(context.Context, *google.Item) (*google.Item, error){
		"Echo": plain.Echo, "SnakeCase": cases.SnakeCase, "SnakeCase_": cases.SnakeCase_, "Lower": cases.Lower,
	} {
		resp, err := call(t.Context(), googleItem())
		require.NoError(t, err, name)
		requireSame(t, googleItem(), resp)
	}
	part, err := plain.Part(t.Context(), googleItem())
	require.NoError(t, err)
	requireSame(t, googleItem().GetPart(), part)
	_, err = plain.Nothing(t.Context(), &emptypb.Empty{})
	require.NoError(t, err)
	_, err = plain.Old(t.Context(), googleItem()) //nolint:staticcheck // deprecated methods can be called
	require.Equal(t, codes.Unimplemented, status.Code(err))

	// What gogo's messages have no pointer to, they always send.
	empty, err := plain.Echo(t.Context(), &google.Item{})
	require.NoError(t, err)
	require.Empty(t, empty.GetName())

	encoded, err := proto.MarshalOptions{Deterministic: true}.Marshal(googleItem())
	require.NoError(t, err)
	small := new(google.Small)
	require.NoError(t, proto.Unmarshal(encoded, small))
	require.NotEmpty(t, small.ProtoReflect().GetUnknown())
	passed, err := plain.Pass(t.Context(), small)
	require.NoError(t, err)
	requireSame(t, small, passed)
}

func googleStreams(t *testing.T, client *ttrpc.Client) {
	t.Helper()
	streams := google.NewStreamsClient(client)
	resp, err := streams.Unary(t.Context(), googleItem())
	require.NoError(t, err)
	requireSame(t, googleItem(), resp)

	up, err := streams.ClientStream(t.Context())
	require.NoError(t, err)
	require.NoError(t, up.Send(&google.Item{}))
	require.NoError(t, up.Send(googleItem()))
	part, err := up.CloseAndRecv()
	require.NoError(t, err)
	requireSame(t, googleItem().GetPart(), part)

	down, err := streams.ServerStream(t.Context(), googleItem().GetPart())
	require.NoError(t, err)
	requireSame(t, googleItem().GetPart(), receiveOnly(t, down).GetPart())

	both, err := streams.Bidi(t.Context())
	require.NoError(t, err)
	requireSame(t, googleItem(), exchange(t, both, googleItem()))
	snake, err := streams.SnakeBidi(t.Context())
	require.NoError(t, err)
	requireSame(t, googleItem(), exchange(t, snake, googleItem()))
	snakeToo, err := streams.SnakeBidiToo(t.Context())
	require.NoError(t, err)
	requireSame(t, googleItem(), exchange(t, snakeToo, googleItem()))

	upOfNothing, err := streams.ClientStreamOfNothing(t.Context())
	require.NoError(t, err)
	require.NoError(t, upOfNothing.Send(&emptypb.Empty{}))
	_, err = upOfNothing.CloseAndRecv()
	require.NoError(t, err)
	downOfNothing, err := streams.ServerStreamOfNothing(t.Context(), &emptypb.Empty{})
	require.NoError(t, err)
	receiveOnly(t, downOfNothing)
}

// What streams have in common, whatever they carry.

type receiver[M any] interface{ Recv() (*M, error) }

type bidi[M any] interface {
	Send(*M) error
	receiver[M]
}

// echo sends all messages of a stream back.
func echo[M any](stream bidi[M]) error {
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := stream.Send(m); err != nil {
			return err
		}
	}
}

// last returns the last message of a stream.
func last[M any](stream receiver[M]) (*M, error) {
	var last *M
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return last, nil
		}
		if err != nil {
			return nil, err
		}
		last = m
	}
}

// receiveOnly returns the one message of a stream.
func receiveOnly[M any](t *testing.T, stream receiver[M]) *M {
	t.Helper()
	m, err := stream.Recv()
	require.NoError(t, err)
	_, err = stream.Recv()
	require.Equal(t, io.EOF, err)
	return m
}

// exchange sends a message on a stream of a method that echoes, and returns the
// answer.
func exchange[M any](t *testing.T, stream interface {
	bidi[M]
	CloseSend() error
}, m *M) *M {
	t.Helper()
	require.NoError(t, stream.Send(m))
	answer, err := stream.Recv()
	require.NoError(t, err)
	require.NoError(t, stream.CloseSend())
	_, err = stream.Recv()
	require.Equal(t, io.EOF, err)
	return answer
}

// A client may know a method by the name in the .proto file or, where that
// begins with a small letter or the method has a stream, by the name in CamelCase.
func TestServerAnswersToBothNames(t *testing.T) {
	client := stubtest.Connect(t, registerGogo)
	for _, method := range []string{"Snake_case", "snake_case_", "SnakeCase_", "lower", "Lower"} {
		resp := new(shapes.Item)
		require.NoError(t, client.Call(t.Context(), "ttrpc.testdata.gogo.Cases", method, gogoItem(), resp), method)
		require.Equal(t, gogoItem(), resp, method)
	}
	for _, method := range []string{"snake_bidi", "SnakeBidi", "Snake_bidi_too", "SnakeBidiToo"} {
		stream, err := client.NewStream(t.Context(), &ttrpc.StreamDesc{StreamingClient: true, StreamingServer: true},
			"ttrpc.testdata.gogo.Streams", method, nil)
		require.NoError(t, err)
		require.NoError(t, stream.SendMsg(gogoItem()))
		require.NoError(t, stream.CloseSend())
		resp := new(shapes.Item)
		require.NoError(t, stream.RecvMsg(resp), method)
		require.Equal(t, gogoItem(), resp, method)
	}
}

type proto2Old struct{}

func (proto2Old) Do(_ context.Context, m *proto2.Message) (*proto2.Message, error) { return m, nil }

func (proto2Old) Follow(_ context.Context, m *proto2.Message, stream proto2.Old_FollowServer) error {
	return stream.Send(m)
}

func TestProto2(t *testing.T) {
	client := proto2.NewOldClient(stubtest.Connect(t, func(s *ttrpc.Server) { proto2.RegisterOldService(s, proto2Old{}) }))
	resp, err := client.Do(t.Context(), &proto2.Message{Name: new(string)})
	require.NoError(t, err)
	require.NotNil(t, resp.Name)
	require.Nil(t, resp.Count)
	require.EqualValues(t, 7, resp.GetCount())
	require.Equal(t, proto2.Color_GREEN, resp.GetColor())

	stream, err := client.Follow(t.Context(), &proto2.Message{Name: new(string), Color: proto2.Color_RED.Enum()})
	require.NoError(t, err)
	require.Equal(t, proto2.Color_RED, receiveOnly(t, stream).GetColor())

	_, err = client.Do(t.Context(), &proto2.Message{})
	require.ErrorContains(t, err, `required field "name" not set`)
}

type wellKnown struct{}

func (wellKnown) Length(_ context.Context, m *wrapperspb.StringValue) (*wrapperspb.Int32Value, error) {
	return wrapperspb.Int32(int32(len(m.GetValue()))), nil
}

func (wellKnown) Nothing(_ context.Context, stream wellknown.WellKnown_NothingServer) error {
	return echo(stream)
}

// Without M<file>, well-known types are those of google.golang.org/protobuf.
func TestWellKnownTypes(t *testing.T) {
	client := wellknown.NewWellKnownClient(stubtest.Connect(t, func(s *ttrpc.Server) { wellknown.RegisterWellKnownService(s, wellKnown{}) }))
	resp, err := client.Length(t.Context(), wrapperspb.String("four"))
	require.NoError(t, err)
	require.EqualValues(t, 4, resp.GetValue())
	stream, err := client.Nothing(t.Context())
	require.NoError(t, err)
	requireSame(t, &emptypb.Empty{}, exchange(t, stream, &emptypb.Empty{}))
}

type imported struct {
	names.UnimplementedImportedService_
}

func (imported) Codes(context.Context, *namescodes.Message) (*namescontext.Own, error) {
	return &namescontext.Own{}, nil
}

func (imported) TTRPC(_ context.Context, stream names.Imported_TTRPCServer) error {
	_, err := last(stream)
	return err
}

type foo struct {
	endings.UnimplementedFooService
}

func (foo) Call(context.Context, *endings.Client) (*endings.Server, error) {
	return &endings.Server{}, nil
}

// The messages have no methods to encode themselves here.
func TestNames(t *testing.T) {
	client := stubtest.Connect(t, func(s *ttrpc.Server) {
		names.RegisterImportedService(s, imported{})
		names.RegistertypeService(s, &names.UnimplementedtypeService{})
		endings.RegisterFooService(s, foo{})
	})
	_, err := names.NewImportedClient(client).Codes(t.Context(), &namescodes.Message{})
	require.NoError(t, err)
	stream, err := names.NewImportedClient(client).TTRPC(t.Context())
	require.NoError(t, err)
	require.NoError(t, stream.CloseSend())
	_, err = stream.Recv()
	require.Equal(t, io.EOF, err)
	_, err = names.NewtypeClient(client).Any(t.Context(), &names.Struct{})
	require.ErrorContains(t, err, "method Any not implemented")
	_, err = endings.NewFooClient(client).Call(t.Context(), &endings.Client{})
	require.NoError(t, err)
}
