// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/binary"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/containerd/ttrpc"
	"github.com/containerd/ttrpc/example"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
)

// A tap is a client's connection that notes every frame in a journal. A program
// that only wants to use ttrpc needs nothing of this file.
type tap struct {
	net.Conn
	journal *journal

	mu       sync.Mutex // guards what follows
	sent     []byte     // written, and not yet a whole frame
	received []byte     // read, and not yet a whole frame
	hidden   map[uint32]bool
}

func newTap(conn net.Conn, j *journal) *tap {
	return &tap{Conn: conn, journal: j, hidden: make(map[uint32]bool)}
}

// Write notes the frames before they are sent, so that no answer is noted
// before its question.
func (t *tap) Write(p []byte) (int, error) {
	t.mu.Lock()
	t.sent = t.note("->", append(t.sent, p...))
	t.mu.Unlock()
	return t.Conn.Write(p)
}

// Read notes the frames that have arrived.
func (t *tap) Read(p []byte) (int, error) {
	n, err := t.Conn.Read(p)
	t.mu.Lock()
	t.received = t.note("<-", append(t.received, p[:n]...))
	t.mu.Unlock()
	return n, err
}

// note cuts whole frames from b, notes them, and returns the rest.
func (t *tap) note(direction string, b []byte) []byte {
	for len(b) >= headerLength {
		length := int(binary.BigEndian.Uint32(b[0:4]))
		if len(b) < headerLength+length {
			break
		}
		f := frame{
			id:      binary.BigEndian.Uint32(b[4:8]),
			kind:    b[8],
			flags:   b[9],
			payload: b[headerLength : headerLength+length],
		}
		if !t.hidden[f.id] {
			t.journal.printf("wire", "%s %s", direction, f)
		}
		if f.hasDeadline() {
			// Both ends watch a deadline, and either may be the first to see it
			// pass: the client sends a Cancel then, the server a Response. What
			// is printed would differ from run to run.
			t.hidden[f.id] = true
		}
		b = b[headerLength+length:]
	}
	return b
}

// The header of a frame, as PROTOCOL.md has it.
const (
	headerLength = 10

	typeRequest  = 0x01
	typeResponse = 0x02
	typeData     = 0x03
	typeCancel   = 0x10

	flagRemoteClosed = 0x01
	flagRemoteOpen   = 0x02
	flagNoData       = 0x04
)

type frame struct {
	id      uint32
	kind    byte
	flags   byte
	payload []byte
}

// String is one line about f: its header, and what is in its payload.
func (f frame) String() string {
	return strings.TrimRight(fmt.Sprintf("%-8s stream %-2d flags %-22s length %3d  %s",
		f.kindName(), f.id, f.flagNames(), len(f.payload), f.content()), " ")
}

func (f frame) kindName() string {
	switch f.kind {
	case typeRequest:
		return "Request"
	case typeResponse:
		return "Response"
	case typeData:
		return "Data"
	case typeCancel:
		return "Cancel"
	default:
		return fmt.Sprintf("0x%02x", f.kind)
	}
}

func (f frame) flagNames() string {
	names := []string{}
	for _, flag := range []struct {
		bit  byte
		name string
	}{{flagRemoteClosed, "remote closed"}, {flagRemoteOpen, "remote open"}, {flagNoData, "no data"}} {
		if f.flags&flag.bit != 0 {
			names = append(names, flag.name)
		}
	}
	if len(names) == 0 {
		return "-"
	}
	return strings.Join(names, ", ")
}

// content is what the payload says to somebody who knows the service.
func (f frame) content() string {
	switch f.kind {
	case typeRequest:
		var req ttrpc.Request
		if err := proto.Unmarshal(f.payload, &req); err != nil {
			return err.Error()
		}
		return requestContent(&req)
	case typeResponse:
		var resp ttrpc.Response
		if err := proto.Unmarshal(f.payload, &resp); err != nil {
			return err.Error()
		}
		if code := codes.Code(resp.GetStatus().GetCode()); code != codes.OK {
			return fmt.Sprintf("%s: %s", code, resp.GetStatus().GetMessage())
		}
		return "OK"
	case typeData:
		// Every message that travels in a stream of this service is a Line.
		var line example.Line
		if f.flags&flagNoData != 0 {
			return ""
		}
		if err := proto.Unmarshal(f.payload, &line); err != nil {
			return err.Error()
		}
		return fmt.Sprintf("%q", line.GetText())
	default:
		return ""
	}
}

func requestContent(req *ttrpc.Request) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s/%s", req.GetService(), req.GetMethod())
	for _, kv := range req.GetMetadata() {
		fmt.Fprintf(&b, " %s=%s", kv.GetKey(), kv.GetValue())
	}
	if req.GetTimeoutNano() != 0 {
		// The time that is left differs from run to run.
		fmt.Fprintf(&b, " timeout<=%v", time.Duration(req.GetTimeoutNano()).Round(deadline))
	}
	return b.String()
}

// hasDeadline tells whether f is a Request with a timeout.
func (f frame) hasDeadline() bool {
	var req ttrpc.Request
	return f.kind == typeRequest && proto.Unmarshal(f.payload, &req) == nil && req.GetTimeoutNano() != 0
}
