// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package stubgen

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/pluginpb"
)

// encodedRequest returns a request for one file.
func encodedRequest(t *testing.T) []byte {
	t.Helper()
	encoded, err := proto.Marshal(&pluginpb.CodeGeneratorRequest{FileToGenerate: []string{"a.proto"}})
	require.NoError(t, err)
	return encoded
}

func TestRunPlugin(t *testing.T) {
	request := encodedRequest(t)
	var output bytes.Buffer
	require.NoError(t, RunPlugin("plugin", nil, bytes.NewReader(request), &output, func(got []byte) ([]byte, error) {
		require.Equal(t, request, got)
		return []byte("response"), nil
	}))
	require.Equal(t, "response", output.String())
}

func TestRunPluginTellsItsVersion(t *testing.T) {
	for _, arg := range []string{"--version", "-version"} {
		var output bytes.Buffer
		require.NoError(t, RunPlugin("plugin", []string{arg}, strings.NewReader(""), &output, nil))
		require.Equal(t, "plugin "+Version+"\n", output.String())
	}
}

func TestRunPluginWithoutACompiler(t *testing.T) {
	for _, test := range []struct {
		name  string
		args  []string
		input io.Reader
		want  string
	}{
		{"argument", []string{"file.proto"}, strings.NewReader(""), `unknown argument "file.proto"`},
		{"two arguments", []string{"--version", "file.proto"}, strings.NewReader(""), `unknown argument "--version"`},
		{"no input", nil, strings.NewReader(""), "the request asks for no file"},
		{"not a request", nil, strings.NewReader("syntax"), "reading the request"},
		{"unreadable", nil, iotest.ErrReader(errors.New("gone")), "reading the request: gone"},
		{"no response", nil, bytes.NewReader(encodedRequest(t)), "none"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var output bytes.Buffer
			err := RunPlugin("plugin", test.args, test.input, &output, func([]byte) ([]byte, error) { return nil, errors.New("none") })
			require.ErrorContains(t, err, test.want)
			require.Empty(t, output.Bytes())
		})
	}
}
