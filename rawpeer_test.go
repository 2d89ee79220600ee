// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package ttrpc_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/containerd/ttrpc"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
)

// Frame types and flags, by their names in PROTOCOL.md ("Frame types", "Flags").
const (
	typeRequest  = 0x01
	typeResponse = 0x02
	typeData     = 0x03
	typeCancel   = 0x10

	flagRemoteClosed = 0x01
	flagRemoteOpen   = 0x02
	flagNoData       = 0x04
	flagDeadline     = 0x08
)

// rawPatience bounds every wait of a test for something that must come. It is
// generous because it only decides how long a failing test takes; the runner in
// integration/upstream, under which every regression test has to fail, shortens
// it through TTRPC_TEST_PATIENCE.
var rawPatience = patience()

// patience is the value of TTRPC_TEST_PATIENCE, or 20 s.
func patience() time.Duration {
	s := os.Getenv("TTRPC_TEST_PATIENCE")
	if s == "" {
		return 20 * time.Second
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		panic(fmt.Sprintf("TTRPC_TEST_PATIENCE: %v", err))
	}
	return d
}

// deadlinePatience is how long after its deadline a call is answered whose handler
// goes on. PROTOCOL.md, "Request".
const deadlinePatience = 50 * time.Millisecond

// rawFrame is one frame as it stands on the wire.
type rawFrame struct {
	id      uint32
	typ     byte
	flags   byte
	payload []byte
}

// rawPeer speaks the wire protocol by hand, so that a test can send what no
// library would send and see exactly what comes back.
type rawPeer struct {
	t    *testing.T
	conn net.Conn
}

// newRawPeer wraps conn; the connection is closed when the test ends.
func newRawPeer(t *testing.T, conn net.Conn) *rawPeer {
	t.Helper()
	t.Cleanup(func() { conn.Close() })
	return &rawPeer{t: t, conn: conn}
}

// frameBytes is the encoding of one frame.
func frameBytes(id uint32, typ, flags byte, payload []byte) []byte {
	b := make([]byte, 10, 10+len(payload))
	binary.BigEndian.PutUint32(b[0:4], uint32(len(payload)))
	binary.BigEndian.PutUint32(b[4:8], id)
	b[8], b[9] = typ, flags
	return append(b, payload...)
}

// writeBytes sends b as it is.
func (p *rawPeer) writeBytes(b []byte) {
	p.t.Helper()
	require.NoError(p.t, p.conn.SetWriteDeadline(time.Now().Add(rawPatience)))
	_, err := p.conn.Write(b)
	require.NoError(p.t, err, "raw peer: write")
}

// write sends one frame.
func (p *rawPeer) write(id uint32, typ, flags byte, payload []byte) {
	p.t.Helper()
	p.writeBytes(frameBytes(id, typ, flags, payload))
}

// request sends a Request for service/method; a nil payload leaves the field out.
func (p *rawPeer) request(id uint32, flags byte, service, method string, payload []byte) {
	p.t.Helper()
	p.requestMessage(id, flags, &ttrpc.Request{Service: service, Method: method, Payload: payload})
}

// requestMessage sends req as the Request frame of stream id.
func (p *rawPeer) requestMessage(id uint32, flags byte, req *ttrpc.Request) {
	p.t.Helper()
	b, err := proto.Marshal(req)
	require.NoError(p.t, err)
	p.write(id, typeRequest, flags, b)
}

// read returns the next frame; the test fails if none comes.
func (p *rawPeer) read() rawFrame {
	p.t.Helper()
	f, err := p.tryRead()
	require.NoError(p.t, err, "raw peer: read a frame")
	return f
}

// tryRead returns the next frame, or the error that ended the wait for it.
func (p *rawPeer) tryRead() (rawFrame, error) {
	if err := p.conn.SetReadDeadline(time.Now().Add(rawPatience)); err != nil {
		return rawFrame{}, err
	}
	var h [10]byte
	if _, err := io.ReadFull(p.conn, h[:]); err != nil {
		return rawFrame{}, err
	}
	f := rawFrame{id: binary.BigEndian.Uint32(h[4:8]), typ: h[8], flags: h[9]}
	f.payload = make([]byte, binary.BigEndian.Uint32(h[0:4]))
	_, err := io.ReadFull(p.conn, f.payload)
	return f, err
}

// wantResponse reads one frame, which must be the Response of stream id, and
// returns it decoded.
func (p *rawPeer) wantResponse(id uint32) *ttrpc.Response {
	p.t.Helper()
	f := p.read()
	require.Equal(p.t, byte(typeResponse), f.typ, "frame type of %+v", f)
	require.Equal(p.t, id, f.id, "stream id of %+v", f)
	var resp ttrpc.Response
	require.NoError(p.t, proto.Unmarshal(f.payload, &resp))
	return &resp
}

// wantStatus reads the Response of stream id, which must carry this code and,
// unless message is empty, this message.
func (p *rawPeer) wantStatus(id uint32, code codes.Code, message string) {
	p.t.Helper()
	resp := p.wantResponse(id)
	require.Equal(p.t, code, codes.Code(resp.GetStatus().GetCode()), "status: %v", resp.GetStatus())
	if message != "" {
		require.Equal(p.t, message, resp.GetStatus().GetMessage())
	}
}

// wantRequest reads one frame, which must be a Request on stream id, and
// returns it decoded.
func (p *rawPeer) wantRequest(id uint32) *ttrpc.Request {
	p.t.Helper()
	f := p.read()
	require.Equal(p.t, byte(typeRequest), f.typ, "frame type of %+v", f)
	require.Equal(p.t, id, f.id, "stream id of %+v", f)
	var req ttrpc.Request
	require.NoError(p.t, proto.Unmarshal(f.payload, &req))
	return &req
}

// wantCancel reads one frame, which must be the Cancel of stream id for a
// context that ended with cause.
func (p *rawPeer) wantCancel(id uint32, cause error) {
	p.t.Helper()
	want := rawFrame{id: id, typ: typeCancel, payload: []byte{}}
	if errors.Is(cause, context.DeadlineExceeded) {
		want.flags = flagDeadline
	}
	require.Equal(p.t, want, p.read())
}

// wantResponses reads n frames, each the Response of another stream, and
// returns them by stream id; they may come in any order.
func (p *rawPeer) wantResponses(n int) map[uint32]*ttrpc.Response {
	p.t.Helper()
	responses := make(map[uint32]*ttrpc.Response, n)
	for range n {
		f := p.read()
		require.Equal(p.t, byte(typeResponse), f.typ, "frame type of %+v", f)
		require.Nil(p.t, responses[f.id], "a second Response on stream %d", f.id)
		var resp ttrpc.Response
		require.NoError(p.t, proto.Unmarshal(f.payload, &resp))
		responses[f.id] = &resp
	}
	return responses
}

// respond sends resp as the Response of stream id.
func (p *rawPeer) respond(id uint32, resp *ttrpc.Response) {
	p.t.Helper()
	b, err := proto.Marshal(resp)
	require.NoError(p.t, err)
	p.write(id, typeResponse, 0, b)
}

// closeWrite half-closes the connection: the other side reads EOF, and can
// still write.
func (p *rawPeer) closeWrite() {
	p.t.Helper()
	require.NoError(p.t, p.conn.(interface{ CloseWrite() error }).CloseWrite())
}

// wantClosed reads until the other side closes the connection; any frame
// before that fails the test.
func (p *rawPeer) wantClosed() {
	p.t.Helper()
	f, err := p.tryRead()
	require.Error(p.t, err, "want a closed connection, got frame %+v", f)
	var timeout net.Error
	require.False(p.t, errors.As(err, &timeout) && timeout.Timeout(), "the connection stayed open")
}

// socketPath returns a short path for a unix socket; it is gone after the test.
func socketPath(t *testing.T) string {
	t.Helper()
	return filepath.Join(t.TempDir(), "s")
}

// listenUnix listens on a fresh unix socket.
func listenUnix(t *testing.T) net.Listener {
	t.Helper()
	if runtime.GOOS == "windows" {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		t.Cleanup(func() { l.Close() })
		return l
	}
	l, err := net.Listen("unix", socketPath(t))
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	return l
}

// dial connects to l.
func dial(t *testing.T, l net.Listener) net.Conn {
	t.Helper()
	conn, err := net.Dial(l.Addr().Network(), l.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	return conn
}

// connPair returns the two ends of a real socket connection.
func connPair(t *testing.T) (client, server net.Conn) {
	t.Helper()
	l := listenUnix(t)
	client = dial(t, l)
	server, err := l.Accept()
	require.NoError(t, err)
	t.Cleanup(func() { server.Close() })
	return client, server
}

// serve starts srv on a fresh listener; the server is closed, and Serve's
// return awaited, when the test ends.
func serve(t *testing.T, srv *ttrpc.Server) net.Listener {
	t.Helper()
	l := listenUnix(t)
	serveOn(t, srv, l)
	return l
}

// serveOn is serve on a listener of the caller's.
func serveOn(t *testing.T, srv *ttrpc.Server, l net.Listener) {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- srv.Serve(t.Context(), l) }()
	t.Cleanup(func() {
		srv.Close()
		select {
		case <-done:
		case <-time.After(rawPatience):
			t.Error("Serve did not return after Close")
		}
	})
}

// newServer is NewServer for tests.
func newServer(t *testing.T, opts ...ttrpc.ServerOpt) *ttrpc.Server {
	t.Helper()
	srv, err := ttrpc.NewServer(opts...)
	require.NoError(t, err)
	return srv
}

// newClient is NewClient on conn; it is closed when the test ends.
func newClient(t *testing.T, conn net.Conn, opts ...ttrpc.ClientOpts) *ttrpc.Client {
	t.Helper()
	c := ttrpc.NewClient(conn, opts...)
	t.Cleanup(func() { c.Close() })
	return c
}

// await waits until ch delivers (or is closed); what names it in the failure.
func await[T any](t *testing.T, ch <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(rawPatience):
		require.FailNow(t, "timed out", "waiting for %s", what)
		panic("unreachable")
	}
}
