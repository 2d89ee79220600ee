// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package ttrpc

import (
	"io"
	"math"
	"net"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// answerAll is a server on conn that answers every frame with an empty
// Response, and passes on the stream ids that it saw. It returns when conn has
// ended.
func answerAll(conn net.Conn, ids chan<- uint32) {
	defer close(ids)
	var header [frameHeaderLength]byte
	for {
		if _, err := io.ReadFull(conn, header[:]); err != nil {
			return
		}
		h := parseFrameHeader(header[:])
		if _, err := io.CopyN(io.Discard, conn, int64(h.length)); err != nil {
			return
		}
		ids <- h.streamID
		putFrameHeader(header[:], frameHeader{streamID: h.streamID, typ: frameResponse})
		if _, err := conn.Write(header[:]); err != nil {
			return
		}
	}
}

// D20: stream ids wrap after 2^31 calls, and every later call fails for ever on
// a connection that stays open. Released upstream v1.2.10 does that, but too
// many calls lie before it for a test through its exported API.
func TestStreamIDsWrap(t *testing.T) {
	// callsFrom makes calls with the stream ids from first on until one fails;
	// it returns the ids that arrived, and the error.
	callsFrom := func(t *testing.T, first uint64, calls int) ([]uint32, error) {
		near, far := net.Pipe()
		defer far.Close()
		ids := make(chan uint32, calls)
		go answerAll(far, ids)
		client := NewClient(near)
		defer client.Close()
		client.nextID = first

		var err error
		for range calls {
			err = client.Call(t.Context(), "service", "Method", &wrapperspb.StringValue{}, &wrapperspb.StringValue{})
			if err != nil {
				// The connection ends with its ids.
				require.NoError(t, client.UserOnCloseWait(t.Context()))
				break
			}
		}
		client.Close()
		var seen []uint32
		for id := range ids {
			seen = append(seen, id)
		}
		return seen, err
	}

	t.Run("past 31 bits", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ids, err := callsFrom(t, math.MaxInt32-2, 3)
			require.NoError(t, err)
			require.Equal(t, []uint32{math.MaxInt32 - 2, math.MaxInt32, math.MaxInt32 + 2}, ids)
		})
	})

	t.Run("past 32 bits", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ids, err := callsFrom(t, math.MaxUint32-2, 3)
			require.Equal(t, ErrClosed, err)
			require.Equal(t, []uint32{math.MaxUint32 - 2, math.MaxUint32}, ids)
		})
	})
}
