// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package stubgen

import (
	"os"
	"regexp"
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

// GENERATORS.md has a table of the options, which are those that errors list.
func TestOptionsAreDocumented(t *testing.T) {
	document, err := os.ReadFile("../../GENERATORS.md")
	require.NoError(t, err)
	section := regexp.MustCompile(`(?s)\n## Options of protoc-gen-go-ttrpc\n(.*?)\n## `).FindSubmatch(document)
	require.NotNil(t, section)
	var documented []string
	for _, row := range regexp.MustCompile("\n\\| `(\\w+)").FindAllSubmatch(section[1], -1) {
		documented = append(documented, string(row[1]))
	}
	require.Equal(t, []string{"prefix", "paths", "module", "Mfile"}, documented)
	require.EqualError(t, new(Options).Set("none", ""), `unknown option "none": there are paths, module, M<file> and prefix`)
}

// Options may be set without Set.
func TestGenerateValidatesOptions(t *testing.T) {
	plugin, err := protogen.Options{}.New(new(pluginpb.CodeGeneratorRequest))
	require.NoError(t, err)
	require.EqualError(t, Generate(plugin, Options{Prefix: " "}), `prefix: " " cannot begin a Go name`)
}
