// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package ttrpc

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// recordedLog is a Logger that keeps its errors.
type recordedLog []string

func (*recordedLog) Debug(string, ...any) {}

func (l *recordedLog) Error(msg string, args ...any) {
	*l = append(*l, strings.TrimSpace(fmt.Sprintln(append([]any{msg}, args...)...)))
}

func TestLimitedLogger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log recordedLog
		limited := limitedLogger{logger: &log}
		lines := func(n int) []string {
			log = nil
			for range n {
				limited.Error("m", "k", 1)
			}
			return log
		}
		require.Len(t, lines(1000), logBurst)
		require.Equal(t, "m k 1", log[0])
		require.Empty(t, lines(5))

		<-time.After(logInterval)
		require.Equal(t, []string{"m k 1 dropped 995"}, lines(7))
		<-time.After(3 * logInterval)
		require.Equal(t, []string{"m k 1 dropped 6", "m k 1", "m k 1"}, lines(3))
		require.Empty(t, lines(1))

		<-time.After(1000 * time.Hour)
		require.Len(t, lines(1000), logBurst)
	})
}

// Clients that connect again and again, each to send nonsense, do not fill the
// log of a server.
func TestConnectionsThatFailDoNotFloodLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log recordedLog
		srv, err := NewServer(WithServerLogger(&log))
		require.NoError(t, err)
		l := newMemListener()
		served := make(chan error, 1)
		go func() { served <- srv.Serve(t.Context(), l) }()
		for range 100 {
			conn := l.connect()
			_, err := conn.Write([]byte("GET / HTTP/1.1\r\n"))
			require.NoError(t, err)
			synctest.Wait()
		}
		require.NoError(t, srv.Close())
		require.ErrorIs(t, <-served, ErrServerClosed)
		require.Len(t, log, logBurst)
		require.Equal(t, "ttrpc: error receiving message error frame length 1195725856: protocol error", log[0])
	})
}
