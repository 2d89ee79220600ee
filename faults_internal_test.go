// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package ttrpc

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// When a stream's context ends at the moment that an error status arrives for it,
// the goroutine that reads has the stream in its hands, and whoever receives does
// not wait for that. The race detector sees whether they mind each other.
func TestStatusArrivesWhileContextEndsStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, _ := memConns()
		client := NewClient(near)
		defer client.Close()
		ctx, cancel := context.WithCancel(t.Context())
		stream, err := client.NewStream(ctx, &StreamDesc{StreamingServer: true}, "s", "m", wrapperspb.String(""))
		require.NoError(t, err)
		cancel()
		synctest.Wait()
		arrived := make(chan struct{})
		go func() { // as the goroutine that reads does, which had found the stream before
			defer close(arrived)
			payload := responseFrame(1, oversizedStatus(5, messageLengthMax).Proto(), messageLengthMax)[frameHeaderLength:]
			stream.(*clientStream).receiveFrame(frameHeader{typ: frameResponse}, payload, nil)
		}()
		for range 2 {
			require.Equal(t, context.Canceled, stream.RecvMsg(&wrapperspb.StringValue{}))
		}
		<-arrived
		require.Equal(t, context.Canceled, stream.RecvMsg(&wrapperspb.StringValue{}))
	})
}
