// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package stubgen

import (
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/types/pluginpb"
)

func TestOptions(t *testing.T) {
	for _, test := range []struct{ name, value, err string }{
		{"prefix", "", ""},
		{"prefix", "TTRPC", ""},
		{"prefix", "lower_1", ""},
		{"prefix", "É", ""},
		{"prefix", "1", `prefix: "1" cannot begin a Go name`},
		{"prefix", "a.", `prefix: "a." cannot begin a Go name`},
		{"Prefix", "A", `unknown option "Prefix": there are paths, module, M<file> and prefix`},
		{"", "", `unknown option "": there are paths, module, M<file> and prefix`},
	} {
		var options Options
		err := options.Set(test.name, test.value)
		if test.err != "" {
			require.EqualError(t, err, test.err)
			continue
		}
		require.NoError(t, err)
		require.Equal(t, test.value, options.Prefix)
	}
}

// Options may be set without Set.
func TestGenerateValidatesOptions(t *testing.T) {
	plugin, err := protogen.Options{}.New(new(pluginpb.CodeGeneratorRequest))
	require.NoError(t, err)
	require.EqualError(t, Generate(plugin, Options{Prefix: " "}), `prefix: " " cannot begin a Go name`)
}
