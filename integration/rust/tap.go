// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"

	"github.com/containerd/ttrpc"
	"google.golang.org/protobuf/proto"
)

// A tap stands between clients and a server. It passes frames on one by one, and
// remembers them.
type tap struct {
	listener net.Listener
	server   string // the socket behind
	passing  sync.WaitGroup

	mu      sync.Mutex
	frames  []frame
	conns   []net.Conn
	changed chan struct{} // closed and replaced when a frame has come
	held    chan struct{} // closed when frames from the server go on; nil: they do
}

// newTap listens on a socket, for clients of the server on another.
func newTap(socket, server string) (*tap, error) {
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return nil, err
	}
	t := &tap{listener: listener, server: server, changed: make(chan struct{})}
	t.passing.Go(t.accept)
	return t, nil
}

// close ends all connections, and waits until nothing is passed on any more.
func (t *tap) close() {
	t.listener.Close()
	t.release()
	t.cut()
	t.passing.Wait()
}

// accept ends with the listener.
func (t *tap) accept() {
	for {
		client, err := t.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("unix", t.server)
		if err != nil {
			client.Close()
			continue
		}
		t.mu.Lock()
		t.conns = append(t.conns, client, server)
		t.mu.Unlock()
		t.passing.Go(func() { t.pass(client, server, false) })
		t.passing.Go(func() { t.pass(server, client, true) })
	}
}

// pass passes frames on until one end closes its writing side, and then closes
// that to the other.
func (t *tap) pass(from, to net.Conn, fromServer bool) {
	defer func() {
		_ = to.(*net.UnixConn).CloseWrite() // it may be closed already
	}()
	for {
		f, err := readFrame(from)
		if err != nil {
			return
		}
		f.fromServer = fromServer
		if held := t.remember(f); held != nil {
			<-held
		}
		if err := f.write(to); err != nil {
			return
		}
	}
}

// remember remembers a frame, and returns what it has to wait for.
func (t *tap) remember(f *frame) (held <-chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.frames = append(t.frames, *f)
	close(t.changed)
	t.changed = make(chan struct{})
	if f.fromServer {
		return t.held
	}
	return nil
}

// hold keeps what the server sends from now on, until release.
func (t *tap) hold() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.held = make(chan struct{})
}

// release lets go on what is held.
func (t *tap) release() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.held != nil {
		close(t.held)
		t.held = nil
	}
}

// cut ends the connections that there are.
func (t *tap) cut() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, conn := range t.conns {
		conn.Close()
	}
	t.conns = nil
}

// seen returns the frames that have come, and a channel that is closed when
// there is another.
func (t *tap) seen() ([]frame, <-chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.frames), t.changed
}

// await waits until a frame has come that is written like that.
func (t *tap) await(ctx context.Context, written string) error {
	for {
		frames, changed := t.seen()
		if slices.ContainsFunc(frames, func(f frame) bool { return f.String() == written }) {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return errors.New("there was no frame " + written)
		}
	}
}

// A frame is one of PROTOCOL.md, "Frame".
type frame struct {
	fromServer bool
	id         uint32
	kind       byte
	flags      byte
	payload    []byte
}

// Types of frames.
const (
	kindRequest  = 0x01
	kindResponse = 0x02
	kindData     = 0x03
	kindCancel   = 0x10
)

// kindNames are the types by their names.
var kindNames = map[byte]string{
	kindRequest:  "Request",
	kindResponse: "Response",
	kindData:     "Data",
	kindCancel:   "Cancel",
}

// readFrame reads a frame, however long it is.
func readFrame(from io.Reader) (*frame, error) {
	header := make([]byte, 10)
	if _, err := io.ReadFull(from, header); err != nil {
		return nil, err
	}
	f := &frame{
		id:      binary.BigEndian.Uint32(header[4:]),
		kind:    header[8],
		flags:   header[9],
		payload: make([]byte, binary.BigEndian.Uint32(header)),
	}
	_, err := io.ReadFull(from, f.payload)
	return f, err
}

// write writes the frame at once.
func (f *frame) write(to io.Writer) error {
	whole := binary.BigEndian.AppendUint32(nil, uint32(len(f.payload)))
	whole = binary.BigEndian.AppendUint32(whole, f.id)
	whole = append(whole, f.kind, f.flags)
	_, err := to.Write(append(whole, f.payload...))
	return err
}

// String returns the direction, the type, an error's code, the flags if there
// are any, and whether the payload is empty.
func (f frame) String() string {
	written := "> "
	if f.fromServer {
		written = "< "
	}
	if name, ok := kindNames[f.kind]; ok {
		written += name
	} else {
		written += fmt.Sprintf("type %#02x", f.kind)
	}
	if f.kind == kindResponse {
		response := new(ttrpc.Response)
		if err := proto.Unmarshal(f.payload, response); err != nil {
			written += " " + err.Error()
		}
		if code := response.GetStatus().GetCode(); code != 0 {
			written += fmt.Sprintf(" status %d", code)
		}
	}
	if f.flags != 0 {
		written += fmt.Sprintf(" %#02x", f.flags)
	}
	if len(f.payload) == 0 {
		written += " empty"
	}
	return written
}

// conversation writes frames in their order.
func conversation(frames []frame) string {
	var written []string
	for _, f := range frames {
		written = append(written, f.String())
	}
	return strings.Join(written, ", ")
}
