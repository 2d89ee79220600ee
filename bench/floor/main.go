// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

// Command floor does what a unary call cannot do without, and no more: it sends
// length-prefixed bytes back and forth by plain reads and writes, one goroutine
// on either side. It shows how much of a call's time is the library's.
package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"

	"github.com/containerd/ttrpc/bench/internal/load"
)

var library = load.Library{Serve: serve, Dial: dial}

func main() { load.Main(library) }

func serve(l net.Listener, _ load.Settings) error {
	for {
		conn, err := l.Accept()
		if err != nil {
			return err
		}
		go newFramed(conn).echo()
	}
}

func dial(conn net.Conn, _ load.Settings) (load.Conn, error) { return newFramed(conn), nil }

// framed is either end of a connection.
type framed struct {
	net.Conn
	in  *bufio.Reader
	buf []byte
}

func newFramed(conn net.Conn) *framed {
	return &framed{Conn: conn, in: bufio.NewReaderSize(conn, 32<<10)}
}

// receive returns the next payload, with room for the length in front of it.
func (f *framed) receive() ([]byte, error) {
	var length [4]byte
	if _, err := io.ReadFull(f.in, length[:]); err != nil {
		return nil, err
	}
	n := 4 + int(binary.BigEndian.Uint32(length[:]))
	if cap(f.buf) < n {
		f.buf = make([]byte, n)
	}
	f.buf = f.buf[:n]
	copy(f.buf, length[:])
	_, err := io.ReadFull(f.in, f.buf[4:])
	return f.buf, err
}

func (f *framed) echo() {
	defer f.Close()
	for {
		b, err := f.receive()
		if err != nil {
			return
		}
		if _, err := f.Write(b); err != nil {
			return
		}
	}
}

// Unary implements load.Conn, for one caller at a time.
func (f *framed) Unary(_ context.Context, _ load.Method, payload []byte) error {
	f.buf = binary.BigEndian.AppendUint32(f.buf[:0], uint32(len(payload)))
	f.buf = append(f.buf, payload...)
	if _, err := f.Write(f.buf); err != nil {
		return err
	}
	b, err := f.receive()
	if err == nil && len(b) != 4+len(payload) {
		err = io.ErrShortWrite
	}
	return err
}

var errUnaryOnly = errors.New("the floor has unary calls only")

func (f *framed) ServerStream(context.Context, int, int, func()) error { return errUnaryOnly }
func (f *framed) ClientStream(context.Context, int, []byte) error      { return errUnaryOnly }
func (f *framed) Echo(context.Context) (load.Echo, error)              { return nil, errUnaryOnly }
