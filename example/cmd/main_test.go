// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"flag"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/containerd/ttrpc"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write testdata/demo.golden")

// asProgram is the environment variable that makes the test binary the program.
const asProgram = "TTRPC_EXAMPLE_AS_PROGRAM"

// patience bounds every wait for another process. It only decides how long a
// failing test takes.
const patience = time.Minute

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// TestDemo compares all that the demo prints, every frame included.
func TestDemo(t *testing.T) {
	golden := filepath.Join("testdata", "demo.golden")
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), []string{"demo"}, &out), "so far:\n%s", &out)
	if *update {
		require.NoError(t, os.WriteFile(golden, out.Bytes(), 0o600))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	require.Equal(t, ofThisSystem(string(want)), out.String())
}

// ofThisSystem puts what the handshake of this system finds out into text that
// was written on Linux.
func ofThisSystem(text string) string {
	if runtime.GOOS == "linux" {
		return text
	}
	return strings.ReplaceAll(text, "by a peer of the same user", "by a peer on this host")
}

func TestServerAndClientAsProcesses(t *testing.T) {
	socket := socketPath(t)
	server := program(t, "server", "-socket", socket)
	server.Stderr = t.Output()
	stdout, err := server.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, server.Start())
	t.Cleanup(func() {
		server.Process.Kill()
		server.Wait()
	})

	lines := bufio.NewReader(stdout)
	line, err := lines.ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "  server | listening on "+socket+"\n", line)
	// From here on the pipe is drained, so that the server never waits for it.
	rest := make(chan string, 1)
	go func() {
		b, _ := io.ReadAll(lines)
		rest <- string(b)
	}()

	// Twice, for the client leaves nothing behind.
	for range 2 {
		client := program(t, "client", "-socket", socket)
		out, err := client.CombinedOutput()
		require.NoError(t, err, "%s", out)
		require.Contains(t, string(out), "<- Data     stream 9  flags -                      length  16  \"COMPILE\"")
		require.Contains(t, string(out), "as expected: Canceled")
		require.NotContains(t, string(out), "server |")
	}

	if runtime.GOOS == "windows" {
		return // a process cannot be asked to stop there
	}
	require.NoError(t, server.Process.Signal(os.Interrupt))
	output := <-rest
	require.NoError(t, server.Wait())
	require.Contains(t, output, "server | /ttrpc.example.v1.Tasks/Start by a peer ")
	require.True(t, strings.HasSuffix(output, "  server | shutting down\n  server | stopped\n"), "the server's output ends with:\n%s", output)
	require.NoFileExists(t, socket)
}

func TestClientWithoutServerFails(t *testing.T) {
	client := program(t, "client", "-socket", socketPath(t))
	out, err := client.CombinedOutput()
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit)
	require.Equal(t, 1, exit.ExitCode())
	require.True(t, strings.HasPrefix(string(out), "example: dial unix"), "%s", out)
}

// TestClientFailsIfTheServerIsNotAsExpected has a server without the service.
func TestClientFailsIfTheServerIsNotAsExpected(t *testing.T) {
	socket := socketPath(t)
	serveNothing(t, socket)
	var out bytes.Buffer
	err := run(t.Context(), []string{"client", "-socket", socket}, &out)
	require.ErrorContains(t, err, "Unary calls, and an error status: rpc error: code = Unimplemented")
}

func TestCommandLine(t *testing.T) {
	for _, tc := range []struct {
		name string
		args []string
		want string
	}{
		{"nothing", nil, errUsage.Error()},
		{"unknown subcommand", []string{"serve"}, errUsage.Error()},
		{"server without a socket", []string{"server"}, errUsage.Error()},
		{"client without a socket", []string{"client"}, errUsage.Error()},
		{"a call for help", []string{"demo", "-h"}, errUsage.Error()},
		{"unknown flag", []string{"demo", "-x"}, "flag provided but not defined: -x"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			require.EqualError(t, run(t.Context(), tc.args, io.Discard), tc.want)
		})
	}
}

// socketPath returns a path for a unix socket, short enough for every system. It
// is gone after the test.
func socketPath(t *testing.T) string {
	t.Helper()
	directory, err := os.MkdirTemp("", "ttrpc") //nolint:usetesting // t.TempDir has the test's name in it
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(directory) })
	return filepath.Join(directory, "s")
}

// program returns the program with these arguments, as a process that is yet to
// be started.
func program(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), self, args...)
	cmd.Env = append(os.Environ(), asProgram+"=1")
	cmd.WaitDelay = patience
	return cmd
}

// serveNothing serves on the socket without any service, until the test ends.
func serveNothing(t *testing.T, socket string) {
	t.Helper()
	srv, err := ttrpc.NewServer(ttrpc.WithServerHandshaker(newHandshaker()))
	require.NoError(t, err)
	l, err := net.Listen("unix", socket)
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- srv.Serve(t.Context(), l) }()
	t.Cleanup(func() {
		srv.Close()
		require.ErrorIs(t, <-served, ttrpc.ErrServerClosed)
	})
}
