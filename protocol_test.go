// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package ttrpc_test

// What the tests of PROTOCOL.md share: conversations that are written down frame
// by frame, and the test that holds the document and the tests together.

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/containerd/ttrpc"
	"github.com/stretchr/testify/require"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// wirePeer plays one end of a conversation.
type wirePeer struct {
	*rawPeer
	sends string // the sign of the lines that this end sends
}

// play sends and reads frames as script says. Each line is a frame: hexadecimal
// digits, with spaces where they help, and text in 'quotes'. Lines with ">" go
// from client to server, those with "<" from server to client. No other frame may
// come.
func (p *wirePeer) play(script string) {
	p.t.Helper()
	for _, line := range strings.Split(script, "\n") {
		line = strings.TrimSpace(line)
		switch {
		case line == "":
		case line[:1] == p.sends:
			p.writeBytes(wireBytes(p.t, line[1:]))
		default:
			p.want(wireBytes(p.t, line[1:]))
		}
	}
}

// want reads one frame, which must be this one.
func (p *wirePeer) want(frame []byte) {
	p.t.Helper()
	f := p.read()
	got := frameBytes(f.id, f.typ, f.flags, f.payload)
	require.Equal(p.t, fmt.Sprintf("%x %q", frame, frame), fmt.Sprintf("%x %q", got, got))
}

// wantRefusal reads one frame, which must be a Response with this status. It is
// for texts that protobuf has a part in, and otherwise play says it better.
func (p *wirePeer) wantRefusal(id uint32, code codes.Code, text string) {
	p.t.Helper()
	p.want(frameBytes(id, typeResponse, 0, marshal(p.t, &ttrpc.Response{
		Status: &spb.Status{Code: int32(code), Message: text},
	})))
}

// wireBytes decodes a line of a script: one frame.
func wireBytes(t *testing.T, line string) []byte {
	t.Helper()
	var b []byte
	for i, part := range strings.Split(line, "'") {
		if i%2 == 1 {
			b = append(b, part...)
			continue
		}
		digits, err := hex.DecodeString(strings.ReplaceAll(part, " ", ""))
		require.NoError(t, err, "script: %s", line)
		b = append(b, digits...)
	}
	require.GreaterOrEqual(t, len(b), 10, "script: %s", line)
	require.Equal(t, len(b)-10, int(binary.BigEndian.Uint32(b)), "length in script: %s", line)
	return b
}

// protobufError is what protobuf says of b, which is no message of m's type. Its
// texts differ from binary to binary.
func protobufError(t *testing.T, b []byte, m proto.Message) string {
	t.Helper()
	err := proto.Unmarshal(b, m)
	require.Error(t, err)
	return err.Error()
}

// zeros is the payload of frames that are about their length.
var zeros = make([]byte, 1<<24)

// The tables of PROTOCOL.md and the tests have the same rows, in the same order.
func TestProtocolTablesHaveTests(t *testing.T) {
	var server, client []string
	for _, row := range serverRows {
		server = append(server, row.name)
	}
	for _, row := range clientRows {
		client = append(client, row.name)
	}
	require.Equal(t, protocolTable(t, "What a server does"), server)
	require.Equal(t, protocolTable(t, "What a client does"), client)
}

// protocolSection returns the lines of a section of PROTOCOL.md.
func protocolSection(t *testing.T, title string) []string {
	t.Helper()
	document, err := os.ReadFile("PROTOCOL.md")
	require.NoError(t, err)
	text := strings.ReplaceAll(string(document), "\r\n", "\n")
	_, section, found := strings.Cut(text, "\n## "+title+"\n")
	require.True(t, found, "PROTOCOL.md has no section %q", title)
	section, _, _ = strings.Cut(section, "\n## ")
	return strings.Split(section, "\n")
}

// protocolTable returns the names of the rows in the tables of a section.
func protocolTable(t *testing.T, title string) []string {
	t.Helper()
	var names []string
	for _, line := range protocolSection(t, title) {
		cells := strings.Split(line, "|")
		if len(cells) < 2 {
			continue
		}
		name := strings.TrimSpace(cells[1])
		if name == "name" || strings.HasPrefix(name, "---") {
			continue
		}
		require.Len(t, cells, 6, "cells of the row %q", name)
		names = append(names, name)
	}
	return names
}

// The sections that comments in the code cite exist.
func TestProtocolSectionsExist(t *testing.T) {
	for _, title := range []string{
		"Frame", "Limits", "Frame types", "Flags", "Connections that are not sockets",
		"Request", "Response", "Streams", "Stream ids", "End of a stream", "Cancel",
		"What a server does", "What a client does",
	} {
		require.NotEmpty(t, protocolSection(t, title))
	}
}

// protocolExamples returns the conversations of PROTOCOL.md, "Examples".
func protocolExamples(t *testing.T) []string {
	t.Helper()
	var examples []string
	inside := false
	for _, line := range protocolSection(t, "Examples") {
		frame := strings.HasPrefix(line, "    ")
		switch {
		case frame && inside:
			examples[len(examples)-1] += "\n" + line
		case frame:
			examples = append(examples, line)
		}
		inside = frame
	}
	return examples
}

// say notes what one end of an example has seen.
type say func(what ...any)

// receiver is either end of a stream.
type receiver interface{ RecvMsg(m any) error }

// received is the next message of a stream, or the error in its place.
func received(r receiver) any {
	var m wrapperspb.StringValue
	if err := r.RecvMsg(&m); err != nil {
		return err
	}
	return m.GetValue()
}

// examples are what the users of both ends do, and see, in the examples of
// PROTOCOL.md, in their order.
var examples = []struct {
	name       string
	unary      func(ctx context.Context, unmarshal func(any) error, say say) (any, error)
	stream     func(ctx context.Context, ss ttrpc.StreamServer, say say) (any, error)
	serverSaid []any
	client     func(ctx context.Context, c *ttrpc.Client, say say)
	clientSaid []any
}{
	{
		name: "unary call",
		unary: func(ctx context.Context, unmarshal func(any) error, say say) (any, error) {
			md, _ := ttrpc.GetMetadata(ctx)
			deadline, _ := ctx.Deadline()
			say(md, time.Until(deadline))
			var req wrapperspb.StringValue
			return &req, unmarshal(&req)
		},
		serverSaid: []any{ttrpc.MD{"key": {"value1"}}, time.Second},
		client: func(ctx context.Context, c *ttrpc.Client, say say) {
			ctx, cancel := context.WithTimeout(ttrpc.WithMetadata(ctx, ttrpc.MD{"key": {"value1"}}), time.Second)
			defer cancel()
			var resp wrapperspb.StringValue
			say(c.Call(ctx, "s", "e", wrapperspb.String("x"), &resp), resp.GetValue())
		},
		clientSaid: []any{nil, "x"},
	},
	{
		name: "unary call that fails",
		unary: func(context.Context, func(any) error, say) (any, error) {
			return nil, status.Error(codes.NotFound, "gone")
		},
		client: func(ctx context.Context, c *ttrpc.Client, say say) {
			err := c.Call(ctx, "s", "e", wrapperspb.String("x"), &wrapperspb.StringValue{})
			say(status.Code(err), status.Convert(err).Message())
		},
		clientSaid: []any{codes.NotFound, "gone"},
	},
	{
		name: "stream from the server",
		stream: func(_ context.Context, ss ttrpc.StreamServer, say say) (any, error) {
			say(received(ss), received(ss))
			say(ss.SendMsg(wrapperspb.String("1")), ss.SendMsg(wrapperspb.String("2")))
			return nil, nil
		},
		serverSaid: []any{"x", io.EOF, nil, nil},
		client: func(ctx context.Context, c *ttrpc.Client, say say) {
			cs, err := c.NewStream(ctx, &ttrpc.StreamDesc{StreamingServer: true}, "s", "v", wrapperspb.String("x"))
			say(err, received(cs), received(cs), received(cs))
		},
		clientSaid: []any{nil, "1", "2", io.EOF},
	},
	{
		name: "stream from the client",
		stream: func(_ context.Context, ss ttrpc.StreamServer, say say) (any, error) {
			say(received(ss), received(ss), received(ss))
			return wrapperspb.String("3"), nil
		},
		serverSaid: []any{"1", "2", io.EOF},
		client: func(ctx context.Context, c *ttrpc.Client, say say) {
			cs, err := c.NewStream(ctx, &ttrpc.StreamDesc{StreamingClient: true}, "s", "c", nil)
			say(err, cs.SendMsg(wrapperspb.String("1")), cs.SendMsg(wrapperspb.String("2")), cs.CloseSend())
			say(received(cs), received(cs))
		},
		clientSaid: []any{nil, nil, nil, nil, "3", io.EOF},
	},
	{
		name: "stream in both directions",
		stream: func(_ context.Context, ss ttrpc.StreamServer, say say) (any, error) {
			say(received(ss), ss.SendMsg(&wrapperspb.StringValue{}), received(ss))
			return nil, nil
		},
		serverSaid: []any{"1", nil, io.EOF},
		client: func(ctx context.Context, c *ttrpc.Client, say say) {
			cs, err := c.NewStream(ctx, &ttrpc.StreamDesc{StreamingClient: true, StreamingServer: true}, "s", "b", nil)
			say(err, cs.SendMsg(wrapperspb.String("1")), received(cs), cs.CloseSend(), received(cs))
		},
		clientSaid: []any{nil, nil, "", nil, io.EOF},
	},
	{
		name: "stream that is cancelled",
		stream: func(ctx context.Context, ss ttrpc.StreamServer, say say) (any, error) {
			say(received(ss), received(ss), ctx.Err())
			return nil, ctx.Err()
		},
		serverSaid: []any{"x", context.Canceled, context.Canceled},
		client: func(ctx context.Context, c *ttrpc.Client, say say) {
			ctx, cancel := context.WithCancel(ctx)
			cs, err := c.NewStream(ctx, &ttrpc.StreamDesc{StreamingClient: true, StreamingServer: true}, "s", "b", wrapperspb.String("x"))
			cancel()
			say(err, received(cs))
		},
		clientSaid: []any{nil, context.Canceled},
	},
}

// Both ends say what PROTOCOL.md shows.
func TestExamples(t *testing.T) {
	scripts := protocolExamples(t)
	require.Len(t, scripts, len(examples))
	for i, example := range examples {
		t.Run(example.name+", server", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var said []any
				done := make(chan struct{})
				say := func(what ...any) { said = append(said, what...) }
				stream := func(ctx context.Context, ss ttrpc.StreamServer) (any, error) {
					defer close(done)
					return example.stream(ctx, ss, say)
				}
				srv := newServer(t)
				srv.RegisterService("s", &ttrpc.ServiceDesc{
					Methods: map[string]ttrpc.Method{"e": func(ctx context.Context, unmarshal func(any) error) (any, error) {
						defer close(done)
						return example.unary(ctx, unmarshal, say)
					}},
					Streams: map[string]ttrpc.Stream{
						"v": {Handler: stream, StreamingServer: true},
						"c": {Handler: stream, StreamingClient: true},
						"b": {Handler: stream, StreamingClient: true, StreamingServer: true},
					},
				})
				peer := wirePeer{rawPeer: newRawPeer(t, servePipe(t, srv).dialPipe(t)), sends: ">"}
				for _, line := range strings.Split(scripts[i], "\n") {
					peer.play(line)
					synctest.Wait() // until the handler has seen it
				}
				await(t, done, "the handler")
				require.Equal(t, example.serverSaid, said)
			})
		})
		t.Run(example.name+", client", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				near, far := net.Pipe()
				c := newClient(t, near)
				peer := wirePeer{rawPeer: newRawPeer(t, far), sends: "<"}
				var said []any
				done := make(chan struct{})
				go func() {
					defer close(done)
					example.client(t.Context(), c, func(what ...any) { said = append(said, what...) })
				}()
				peer.play(scripts[i])
				await(t, done, "the client")
				require.Equal(t, example.clientSaid, said)
			})
		})
	}
}
