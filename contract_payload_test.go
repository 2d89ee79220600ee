// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package ttrpc_test

// The contract about messages: those of google.golang.org/protobuf, those that
// encode themselves, as gogo's generators make them, and those of the older
// golang/protobuf generators.

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"testing/synctest"

	"github.com/containerd/ttrpc"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// gogoPlain is a message with one string, and the methods that gogo generates
// without its sizer and marshaler plugins. Its Unmarshal adds to what is there.
type gogoPlain struct{ Value string }

func (m *gogoPlain) Reset()         { *m = gogoPlain{} }
func (m *gogoPlain) String() string { return m.Value }
func (*gogoPlain) ProtoMessage()    {}

func (m *gogoPlain) Marshal() ([]byte, error) {
	switch m.Value {
	case "fail":
		return nil, errors.New("gogo: cannot marshal this")
	case "panic":
		panic("gogo: a custom type panics")
	case "":
		return nil, nil
	}
	return protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), m.Value), nil
}

func (m *gogoPlain) Unmarshal(b []byte) error {
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return protowire.ParseError(n)
		}
		if num != 1 || typ != protowire.BytesType {
			return errors.New("gogo: unknown field")
		}
		v, k := protowire.ConsumeBytes(b[n:])
		if k < 0 {
			return protowire.ParseError(k)
		}
		if string(v) == "panic" {
			panic("gogo: a custom type panics")
		}
		m.Value += string(v)
		b = b[n+k:]
	}
	return nil
}

// gogoSized is gogoPlain with those plugins. Marshal is not what one calls then.
type gogoSized struct{ gogoPlain }

func (m *gogoSized) Marshal() ([]byte, error) {
	return nil, errors.New("gogo: Marshal was called, and not MarshalTo")
}

func (m *gogoSized) Size() int {
	b, _ := m.gogoPlain.Marshal()
	return len(b)
}

func (m *gogoSized) MarshalTo(to []byte) (int, error) {
	b, err := m.gogoPlain.Marshal()
	if len(to) < len(b) {
		return 0, io.ErrShortBuffer
	}
	return copy(to, b), err
}

// golangV1 is what the generator of golang/protobuf made before protobuf
// reflection.
type golangV1 struct {
	Value                string   `protobuf:"bytes,1,opt,name=value,proto3" json:"value,omitempty"`
	XXX_NoUnkeyedLiteral struct{} `json:"-"`
	XXX_unrecognized     []byte   `json:"-"`
	XXX_sizecache        int32    `json:"-"`
}

func (m *golangV1) Reset()         { *m = golangV1{} }
func (m *golangV1) String() string { return m.Value }
func (*golangV1) ProtoMessage()    {}

// shadowed is a google message that has methods like gogo's, about something
// else.
type shadowed struct{ *wrapperspb.StringValue }

func (shadowed) Marshal() ([]byte, error)      { return nil, errors.New("not protobuf's Marshal") }
func (shadowed) Unmarshal([]byte) error        { return errors.New("not protobuf's Unmarshal") }
func (shadowed) Size() int                     { return 1000 }
func (shadowed) MarshalTo([]byte) (int, error) { return 0, errors.New("not protobuf's MarshalTo") }

// vtMessage is a google message with the methods of vtprotobuf, which note that
// they were called.
type vtMessage struct {
	*wrapperspb.StringValue
	called []string
}

func (m *vtMessage) note(name string) { m.called = append(m.called, name) }

func (m *vtMessage) SizeVT() int {
	m.note("SizeVT")
	return (&gogoSized{gogoPlain{m.GetValue()}}).Size()
}

func (m *vtMessage) MarshalVT() ([]byte, error) {
	m.note("MarshalVT")
	return (&gogoPlain{m.GetValue()}).Marshal()
}

// MarshalToSizedBufferVT writes to the end of the buffer, as vtprotobuf does.
func (m *vtMessage) MarshalToSizedBufferVT(to []byte) (int, error) {
	m.note("MarshalToSizedBufferVT")
	b, err := (&gogoPlain{m.GetValue()}).Marshal()
	if len(to) < len(b) {
		return 0, io.ErrShortBuffer
	}
	return copy(to[len(to)-len(b):], b), err
}

func (m *vtMessage) UnmarshalVT(b []byte) error {
	m.note("UnmarshalVT")
	inner := &gogoPlain{m.GetValue()}
	err := inner.Unmarshal(b)
	m.Value = inner.Value
	return err
}

// messageKinds are all of these: how to make one, and what is in it.
var messageKinds = []struct {
	name string
	make func(value string) any
	get  func(any) string
}{
	{"google", func(v string) any { return wrapperspb.String(v) }, func(m any) string { return m.(*wrapperspb.StringValue).Value }},
	{"google with other methods", func(v string) any { return shadowed{wrapperspb.String(v)} }, func(m any) string { return m.(shadowed).Value }},
	{"gogo", func(v string) any { return &gogoPlain{v} }, func(m any) string { return m.(*gogoPlain).Value }},
	{"gogo with sizer", func(v string) any { return &gogoSized{gogoPlain{v}} }, func(m any) string { return m.(*gogoSized).Value }},
	{"golang v1", func(v string) any { return &golangV1{Value: v} }, func(m any) string { return m.(*golangV1).Value }},
	{"vt", func(v string) any { return &vtMessage{StringValue: wrapperspb.String(v)} }, func(m any) string { return m.(*vtMessage).Value }},
}

// Messages of every kind can be sent and received, on both ends, in calls and
// streams, with vtprotobuf's methods and without. What a message held before is
// replaced.
func TestMessageKinds(t *testing.T) {
	for _, kind := range messageKinds {
		for _, vt := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, vt %v", kind.name, vt), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					serverOpts, clientOpts := []ttrpc.ServerOpt{}, []ttrpc.ClientOpts{}
					if vt {
						serverOpts = append(serverOpts, ttrpc.WithServerVTProtobuf())
						clientOpts = append(clientOpts, ttrpc.WithClientVTProtobuf())
					}
					srv := contractServer(t, ttrpc.ServiceDesc{
						Methods: map[string]ttrpc.Method{"M": func(_ context.Context, unmarshal func(any) error) (any, error) {
							m := kind.make("held before")
							return m, unmarshal(m)
						}},
						Streams: map[string]ttrpc.Stream{"S": {StreamingClient: true, StreamingServer: true, Handler: func(_ context.Context, ss ttrpc.StreamServer) (any, error) {
							for {
								m := kind.make("held before")
								switch err := ss.RecvMsg(m); {
								case errors.Is(err, io.EOF):
									return nil, nil
								case err != nil:
									return nil, err
								}
								if err := ss.SendMsg(m); err != nil {
									return nil, err
								}
							}
						}},
						}}, serverOpts...)
					client := newClient(t, servePipe(t, srv).dialPipe(t), clientOpts...)
					stream, err := client.NewStream(t.Context(), &ttrpc.StreamDesc{StreamingClient: true, StreamingServer: true}, contractService, "S", nil)
					require.NoError(t, err)
					for _, value := range []string{"x", "", string(bytes.Repeat([]byte("long "), 10000))} {
						m := kind.make("held before")
						require.NoError(t, client.Call(t.Context(), contractService, "M", kind.make(value), m))
						require.Equal(t, value, kind.get(m))
						require.NoError(t, stream.SendMsg(kind.make(value)))
						m = kind.make("held before")
						require.NoError(t, stream.RecvMsg(m))
						require.Equal(t, value, kind.get(m))
					}
				})
			})
		}
	}
}

// The methods of vtprotobuf are called if that was asked for, and not otherwise.
func TestVTProtobufIsOptIn(t *testing.T) {
	for _, tt := range []struct {
		name             string
		server           []ttrpc.ServerOpt
		client           []ttrpc.ClientOpts
		onServer, onSend []string
		onReceive        []string
	}{
		{name: "without"},
		{
			name: "on the server", server: []ttrpc.ServerOpt{ttrpc.WithServerVTProtobuf()},
			onServer: []string{"UnmarshalVT", "SizeVT", "MarshalToSizedBufferVT"},
		},
		{
			name: "on the client", client: []ttrpc.ClientOpts{ttrpc.WithClientVTProtobuf()},
			onSend: []string{"SizeVT", "MarshalToSizedBufferVT"}, onReceive: []string{"UnmarshalVT"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				atServer := &vtMessage{StringValue: &wrapperspb.StringValue{}}
				srv := contractServer(t, ttrpc.ServiceDesc{Methods: map[string]ttrpc.Method{
					"M": func(_ context.Context, unmarshal func(any) error) (any, error) { return atServer, unmarshal(atServer) },
				}}, tt.server...)
				client := newClient(t, servePipe(t, srv).dialPipe(t), tt.client...)
				sent, received := &vtMessage{StringValue: wrapperspb.String("x")}, &vtMessage{StringValue: wrapperspb.String("")}
				require.NoError(t, client.Call(t.Context(), contractService, "M", sent, received))
				require.Equal(t, "x", received.GetValue())
				require.Equal(t, tt.onServer, atServer.called)
				require.Equal(t, tt.onSend, sent.called)
				require.Equal(t, tt.onReceive, received.called)
			})
		})
	}
}

// keeper is a gogo message with a custom type that keeps the bytes it is decoded
// from.
type keeper struct{ kept []byte }

func (m *keeper) Reset()                   { m.kept = nil }
func (m *keeper) String() string           { return string(m.kept) }
func (*keeper) ProtoMessage()              {}
func (m *keeper) Marshal() ([]byte, error) { return m.kept, nil }
func (m *keeper) Unmarshal(b []byte) error { m.kept = b; return nil }

// A message may keep what it was decoded from: the library does not use those
// bytes again, nor those of a message of google's.
func TestMessageMayKeepWhatItIsDecodedFrom(t *testing.T) {
	for name, transport := range map[string]func(t *testing.T, srv *ttrpc.Server) *ttrpc.Client{
		"pipe": func(t *testing.T, srv *ttrpc.Server) *ttrpc.Client {
			return newClient(t, servePipe(t, srv).dialPipe(t))
		},
		"socket": func(t *testing.T, srv *ttrpc.Server) *ttrpc.Client { return newClient(t, dial(t, serve(t, srv))) },
	} {
		t.Run(name, func(t *testing.T) {
			kept := make(chan [2][]byte, 64)
			both := func(decode func(any) error) (any, error) {
				var m keeper
				var g wrapperspb.BytesValue
				err := errors.Join(decode(&m), decode(&g))
				kept <- [2][]byte{m.kept, g.GetValue()}
				return &m, err
			}
			srv := contractServer(t, ttrpc.ServiceDesc{
				Methods: map[string]ttrpc.Method{"M": func(_ context.Context, unmarshal func(any) error) (any, error) { return both(unmarshal) }},
				Streams: map[string]ttrpc.Stream{"S": {StreamingClient: true, StreamingServer: true, Handler: func(_ context.Context, ss ttrpc.StreamServer) (any, error) {
					for {
						var m keeper
						switch err := ss.RecvMsg(&m); {
						case errors.Is(err, io.EOF):
							return nil, nil
						case err != nil:
							return nil, err
						}
						kept <- [2][]byte{m.kept, m.kept[len(m.kept)-len(m.kept)/2:]}
						if err := ss.SendMsg(&m); err != nil {
							return nil, err
						}
					}
				}}},
			})
			client := transport(t, srv)
			stream, err := client.NewStream(t.Context(), &ttrpc.StreamDesc{StreamingClient: true, StreamingServer: true}, contractService, "S", nil)
			require.NoError(t, err)
			type pair struct{ got, want []byte }
			var pairs []pair
			for i := range 24 {
				size := []int{1, 100, 1000, 5000, 40000, 200000}[i%6]
				message := marshal(t, wrapperspb.Bytes(bytes.Repeat([]byte{byte(i + 1)}, size)))
				var resp, received keeper
				require.NoError(t, client.Call(t.Context(), contractService, "M", &keeper{message}, &resp))
				atServer := <-kept
				require.NoError(t, stream.SendMsg(&keeper{message}))
				require.NoError(t, stream.RecvMsg(&received))
				inStream := <-kept
				pairs = append(pairs, pair{resp.kept, message}, pair{received.kept, message}, pair{inStream[0], message},
					pair{atServer[0], message}, pair{atServer[1], message[len(message)-size:]})
			}
			for i, p := range pairs {
				require.True(t, bytes.Equal(p.want, p.got), "message %d has changed", i)
			}
		})
	}
}

// An error of a message's own code fails its call, or is returned from SendMsg or
// RecvMsg; so does a panic: that of a nil pointer, or of a custom type.
func TestMessageThatFails(t *testing.T) {
	var typedNil *gogoPlain
	for _, tt := range []struct {
		name    string
		message any
		text    string // of the error
	}{
		{"error", &gogoPlain{"fail"}, "gogo: cannot marshal this"},
		{"panic", &gogoPlain{"panic"}, "gogo: a custom type panics"},
		{"error, with sizer", &gogoSized{gogoPlain{"fail"}}, "gogo: cannot marshal this"},
		{"nil pointer", typedNil, "nil pointer"},
		{"custom type of golang v1", &customV1{[]notMessage{{}}}, "customV1"},
	} {
		t.Run("request, "+tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := pipeClient(t)
				require.ErrorContains(t, c.c.Call(t.Context(), "s", "e", tt.message, &wrapperspb.StringValue{}), tt.text)
				stream := c.stream(t.Context(), "b")
				require.ErrorContains(t, stream.SendMsg(tt.message), tt.text)
				_, err := c.c.NewStream(t.Context(), &ttrpc.StreamDesc{StreamingServer: true}, "s", "v", tt.message)
				require.ErrorContains(t, err, tt.text)
				c.wantAnswered()
			})
		})
		if tt.message == any(typedNil) {
			continue // is "marshal called with nil"
		}
		t.Run("response, "+tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sent := make(chan error, 1)
				srv := contractServer(t, ttrpc.ServiceDesc{
					Methods: map[string]ttrpc.Method{
						"Fail": func(context.Context, func(any) error) (any, error) { return tt.message, nil },
						"M":    semOK,
					},
					Streams: map[string]ttrpc.Stream{"Fail stream": {StreamingServer: true, Handler: func(_ context.Context, ss ttrpc.StreamServer) (any, error) {
						sent <- ss.SendMsg(tt.message)
						return tt.message, nil
					}}},
				})
				client := newClient(t, servePipe(t, srv).dialPipe(t))
				check := func(err error) {
					t.Helper()
					require.Equal(t, codes.Internal, status.Code(err), "error: %v", err)
					require.ErrorContains(t, err, "ttrpc: error marshaling payload: ")
					require.ErrorContains(t, err, tt.text)
				}
				check(callContract(t.Context(), client, "Fail"))
				stream, err := client.NewStream(t.Context(), &ttrpc.StreamDesc{StreamingServer: true}, contractService, "Fail stream", nil)
				require.NoError(t, err)
				check(stream.RecvMsg(&wrapperspb.StringValue{}))
				check(<-sent)
				require.NoError(t, callContract(t.Context(), client, "M"))
			})
		})
	}
}

// customV1 is a message of the older generators with a field of a custom type,
// which protobuf cannot make sense of.
type customV1 struct {
	Field []notMessage `protobuf:"bytes,1,rep,name=field,proto3,customtype=Custom"`
}

func (*customV1) Reset()         {}
func (*customV1) String() string { return "" }
func (*customV1) ProtoMessage()  {}

// The same of messages that are decoded.
func TestMessageThatCannotBeDecoded(t *testing.T) {
	var typedNil *gogoPlain
	for _, tt := range []struct {
		name, value string
		into        any
		text        string
	}{
		{"panic", "panic", &gogoPlain{}, "gogo: a custom type panics"},
		{"nil pointer", "x", typedNil, "nil pointer"},
		{"custom type of golang v1", "x", &customV1{}, "customV1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				decoded := make(chan error, 2)
				srv := contractServer(t, ttrpc.ServiceDesc{
					Methods: map[string]ttrpc.Method{"M": func(_ context.Context, unmarshal func(any) error) (any, error) {
						decoded <- unmarshal(tt.into)
						return wrapperspb.String(tt.value), nil
					}},
					Streams: map[string]ttrpc.Stream{"S": {StreamingClient: true, StreamingServer: true, Handler: func(ctx context.Context, ss ttrpc.StreamServer) (any, error) {
						decoded <- ss.RecvMsg(tt.into)
						return nil, ss.SendMsg(wrapperspb.String(tt.value))
					}}},
				})
				client := newClient(t, servePipe(t, srv).dialPipe(t))
				checkServer := func(err error) {
					t.Helper()
					require.Equal(t, codes.Internal, status.Code(err), "error: %v", err)
					require.ErrorContains(t, err, "ttrpc: error unmarshalling payload: ")
					require.ErrorContains(t, err, tt.text)
				}
				require.ErrorContains(t, client.Call(t.Context(), contractService, "M", wrapperspb.String(tt.value), tt.into), tt.text)
				checkServer(<-decoded)

				stream, err := client.NewStream(t.Context(), &ttrpc.StreamDesc{StreamingClient: true, StreamingServer: true}, contractService, "S", nil)
				require.NoError(t, err)
				require.NoError(t, stream.SendMsg(wrapperspb.String(tt.value)))
				require.ErrorContains(t, stream.RecvMsg(tt.into), tt.text)
				checkServer(<-decoded)
				require.Equal(t, io.EOF, stream.RecvMsg(&wrapperspb.StringValue{}))
			})
		})
	}
}

// A nil result of a unary handler is an error, whatever kind of nil it is; on a
// stream it ends the stream, or is sent as no message.
func TestNilResults(t *testing.T) {
	for name, result := range map[string]any{
		"nil": nil, "google": (*wrapperspb.StringValue)(nil), "gogo": (*gogoPlain)(nil), "golang v1": (*golangV1)(nil),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := contractServer(t, ttrpc.ServiceDesc{
					Methods: map[string]ttrpc.Method{"M": func(context.Context, func(any) error) (any, error) { return result, nil }},
					Streams: map[string]ttrpc.Stream{
						"S": {StreamingServer: true, Handler: func(_ context.Context, ss ttrpc.StreamServer) (any, error) {
							return result, ss.SendMsg(result)
						}},
						"C": {StreamingClient: true, Handler: func(context.Context, ttrpc.StreamServer) (any, error) { return result, nil }},
					},
				})
				client := newClient(t, servePipe(t, srv).dialPipe(t))
				wantStatus(t, status.New(codes.Unknown, "ttrpc: marshal called with nil"), callContract(t.Context(), client, "M"))

				stream, err := client.NewStream(t.Context(), &ttrpc.StreamDesc{StreamingServer: true}, contractService, "S", nil)
				require.NoError(t, err)
				m := wrapperspb.String("held before")
				require.NoError(t, stream.RecvMsg(m))
				require.Empty(t, m.GetValue())
				require.Equal(t, io.EOF, stream.RecvMsg(m))

				stream, err = client.NewStream(t.Context(), &ttrpc.StreamDesc{StreamingClient: true}, contractService, "C", nil)
				require.NoError(t, err)
				m = wrapperspb.String("held before")
				require.NoError(t, stream.RecvMsg(m))
				require.Empty(t, m.GetValue())
				require.Equal(t, io.EOF, stream.RecvMsg(m))
			})
		})
	}
}
