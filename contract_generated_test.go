// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package ttrpc_test

// The contract with generated code: what stubs of this and of older generators
// call, in the shapes in which they call it, and the messages of request.proto.

import (
	"context"
	"io"
	"testing"
	"testing/synctest"

	"github.com/containerd/ttrpc"
	"github.com/stretchr/testify/require"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// The stub of a service with a unary method and a stream, as it is generated.

type stubService interface {
	Echo(context.Context, *wrapperspb.StringValue) (*wrapperspb.StringValue, error)
	Both(context.Context, stubBothServer) error
}

type stubBothServer interface {
	Send(*wrapperspb.StringValue) error
	Recv() (*wrapperspb.StringValue, error)
	ttrpc.StreamServer
}

type stubServerStream struct {
	ttrpc.StreamServer
}

func (x *stubServerStream) Send(m *wrapperspb.StringValue) error {
	return x.StreamServer.SendMsg(m)
}

func (x *stubServerStream) Recv() (*wrapperspb.StringValue, error) {
	m := new(wrapperspb.StringValue)
	if err := x.StreamServer.RecvMsg(m); err != nil {
		return nil, err
	}
	return m, nil
}

func registerStubService(srv *ttrpc.Server, svc stubService) {
	srv.RegisterService("pkg.Svc", &ttrpc.ServiceDesc{
		Methods: map[string]ttrpc.Method{
			"Echo": func(ctx context.Context, unmarshal func(interface{}) error) (interface{}, error) {
				var req wrapperspb.StringValue
				if err := unmarshal(&req); err != nil {
					return nil, err
				}
				return svc.Echo(ctx, &req)
			},
		},
		Streams: map[string]ttrpc.Stream{
			"Both": {
				Handler: func(ctx context.Context, stream ttrpc.StreamServer) (interface{}, error) {
					return nil, svc.Both(ctx, &stubServerStream{stream})
				},
				StreamingClient: true,
				StreamingServer: true,
			},
		},
	})
}

type stubClient struct {
	client *ttrpc.Client
}

type stubBothClient interface {
	Send(*wrapperspb.StringValue) error
	Recv() (*wrapperspb.StringValue, error)
	ttrpc.ClientStream
}

type stubClientStream struct {
	ttrpc.ClientStream
}

func (x *stubClientStream) Send(m *wrapperspb.StringValue) error {
	return x.ClientStream.SendMsg(m)
}

func (x *stubClientStream) Recv() (*wrapperspb.StringValue, error) {
	m := new(wrapperspb.StringValue)
	if err := x.ClientStream.RecvMsg(m); err != nil {
		return nil, err
	}
	return m, nil
}

func (c *stubClient) Echo(ctx context.Context, req *wrapperspb.StringValue) (*wrapperspb.StringValue, error) {
	var resp wrapperspb.StringValue
	if err := c.client.Call(ctx, "pkg.Svc", "Echo", req, &resp); err != nil {
		return nil, err
	}
	return &resp, nil
}

func (c *stubClient) Both(ctx context.Context) (stubBothClient, error) {
	stream, err := c.client.NewStream(ctx, &ttrpc.StreamDesc{
		StreamingClient: true,
		StreamingServer: true,
	}, "pkg.Svc", "Both", nil)
	if err != nil {
		return nil, err
	}
	return &stubClientStream{stream}, nil
}

// stubImplementation is what somebody wrote for the stub.
type stubImplementation struct{}

func (stubImplementation) Echo(_ context.Context, req *wrapperspb.StringValue) (*wrapperspb.StringValue, error) {
	return req, nil
}

func (stubImplementation) Both(_ context.Context, stream stubBothServer) error {
	for {
		m, err := stream.Recv()
		if err != nil {
			return nil //nolint:nilerr // the client has sent all
		}
		if err := stream.Send(m); err != nil {
			return err
		}
	}
}

// Generated code compiles and works.
func TestGeneratedCode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newServer(t)
		registerStubService(srv, stubImplementation{})
		client := &stubClient{newClient(t, servePipe(t, srv).dialPipe(t))}
		resp, err := client.Echo(t.Context(), wrapperspb.String("x"))
		require.NoError(t, err)
		require.Equal(t, "x", resp.GetValue())

		stream, err := client.Both(t.Context())
		require.NoError(t, err)
		require.NoError(t, stream.Send(wrapperspb.String("x")))
		m, err := stream.Recv()
		require.NoError(t, err)
		require.Equal(t, "x", m.GetValue())
		require.NoError(t, stream.CloseSend())
		_, err = stream.Recv()
		require.Equal(t, io.EOF, err)
	})
}

// Code of older generators registers a map of methods.
func TestOldGeneratedCode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newServer(t)
		srv.Register("pkg.Old", map[string]ttrpc.Method{
			"Echo": func(ctx context.Context, unmarshal func(interface{}) error) (interface{}, error) {
				var req gogoSized
				if err := unmarshal(&req); err != nil {
					return nil, err
				}
				return &req, nil
			},
		})
		client := newClient(t, servePipe(t, srv).dialPipe(t))
		var resp gogoSized
		require.NoError(t, client.Call(t.Context(), "pkg.Old", "Echo", &gogoSized{gogoPlain{"x"}}, &resp))
		require.Equal(t, "x", resp.Value)
	})
}

// Some programs describe streams without the names of the fields.
func TestStreamDescIsPositional(t *testing.T) {
	require.Equal(t, ttrpc.StreamDesc{StreamingClient: true}, ttrpc.StreamDesc{true, false})
	require.Equal(t, ttrpc.StreamDesc{StreamingServer: true}, ttrpc.StreamDesc{false, true})
}

// The messages of request.proto have the fields that they always had, and are
// registered under its name.
func TestEnvelopeMessages(t *testing.T) {
	fields := func(m proto.Message) (names []string) {
		descriptor := m.ProtoReflect().Descriptor()
		require.Equal(t, "request.proto", descriptor.ParentFile().Path())
		for i := range descriptor.Fields().Len() {
			f := descriptor.Fields().Get(i)
			names = append(names, string(f.Name())+" "+f.Cardinality().String()+" "+f.Kind().String())
			require.Equal(t, protoreflect.FieldNumber(i+1), f.Number())
		}
		return names
	}
	require.Equal(t, []string{
		"service optional string", "method optional string", "payload optional bytes", "timeout_nano optional int64", "metadata repeated message",
	}, fields(&ttrpc.Request{}))
	require.Equal(t, []string{"status optional message", "payload optional bytes"}, fields(&ttrpc.Response{}))
	require.Equal(t, []string{"list repeated string"}, fields(&ttrpc.StringList{}))
	require.Equal(t, []string{"key optional string", "value optional string"}, fields(&ttrpc.KeyValue{}))

	file, err := protoregistry.GlobalFiles.FindFileByPath("request.proto")
	require.NoError(t, err)
	require.Equal(t, protoreflect.FullName("ttrpc"), file.Package())
	require.Equal(t, file, ttrpc.File_request_proto)
	require.Equal(t, file, ttrpc.File_github_com_containerd_ttrpc_request_proto)

	request := &ttrpc.Request{
		Service: "s", Method: "m", Payload: []byte("p"), TimeoutNano: 1,
		Metadata: []*ttrpc.KeyValue{{Key: "k", Value: "v"}},
	}
	require.Equal(t, []any{"s", "m", []byte("p"), int64(1), request.Metadata, "k", "v"}, []any{
		request.GetService(), request.GetMethod(), request.GetPayload(), request.GetTimeoutNano(), request.GetMetadata(),
		request.GetMetadata()[0].GetKey(), request.GetMetadata()[0].GetValue(),
	})
	response := &ttrpc.Response{Status: &spb.Status{Code: 5}, Payload: []byte("p")}
	require.Equal(t, int32(5), response.GetStatus().GetCode())
	require.Equal(t, []byte("p"), response.GetPayload())
	require.Equal(t, []string{"a"}, (&ttrpc.StringList{List: []string{"a"}}).GetList())
}

// twoNames registers its methods as generated code does whose methods are not in
// CamelCase in the .proto file.
type twoNames struct{}

func (twoNames) GetState(_ context.Context, unmarshal func(any) error) (any, error) {
	m := new(wrapperspb.StringValue)
	return m, unmarshal(m)
}

func (h twoNames) GetOther(ctx context.Context, unmarshal func(any) error) (any, error) {
	return h.GetState(ctx, unmarshal)
}

func (twoNames) WatchState(_ context.Context, stream ttrpc.StreamServer) (any, error) {
	return nil, stream.RecvMsg(new(wrapperspb.StringValue))
}

// An interceptor that guards a method by its full name guards both names by which
// a client can call it. The name is the one that generated clients use.
func TestInterceptorsKnowMethodByOneName(t *testing.T) {
	var h twoNames
	seen := make(chan string, 1)
	client := newClient(t, dial(t, serve(t, contractServer(t, ttrpc.ServiceDesc{
		Methods: map[string]ttrpc.Method{
			"get_state": h.GetState, "GetState": h.GetState,
			"lower": h.GetState, "Lower": h.GetState,
			"_do": h.GetState, "XDo": h.GetState,
			"a_b": h.GetState, "AB": h.GetState, "ab": h.GetOther, "Ab": h.GetOther,
			"Get_Other": h.GetState, "GetOther": h.GetOther,
		},
		Streams: map[string]ttrpc.Stream{
			"watch_state": {Handler: h.WatchState, StreamingServer: true},
			"WatchState":  {Handler: h.WatchState, StreamingServer: true},
		},
	}, ttrpc.WithUnaryServerInterceptor(func(ctx context.Context, u ttrpc.Unmarshaler, info *ttrpc.UnaryServerInfo, method ttrpc.Method) (any, error) {
		seen <- info.FullMethod
		return method(ctx, u)
	}), ttrpc.WithChainStreamServerInterceptor(func(ctx context.Context, stream ttrpc.StreamServer, info *ttrpc.StreamServerInfo, handler ttrpc.StreamHandler) (any, error) {
		seen <- info.FullMethod
		return handler(ctx, stream)
	})))))

	for called, want := range map[string]string{
		"get_state": "get_state", "GetState": "get_state",
		"lower": "lower", "Lower": "lower",
		"_do": "_do", "XDo": "_do",
		"a_b": "a_b", "AB": "a_b", "ab": "ab", "Ab": "ab",
		"Get_Other": "Get_Other", "GetOther": "GetOther", // two methods
	} {
		require.NoError(t, callContract(t.Context(), client, called))
		require.Equal(t, "/"+contractService+"/"+want, await(t, seen, "the interceptor"))
	}
	for _, called := range []string{"watch_state", "WatchState"} {
		_, err := client.NewStream(t.Context(), &ttrpc.StreamDesc{StreamingServer: true}, contractService, called, new(wrapperspb.StringValue))
		require.NoError(t, err)
		require.Equal(t, "/"+contractService+"/WatchState", await(t, seen, "the interceptor"))
	}
}
