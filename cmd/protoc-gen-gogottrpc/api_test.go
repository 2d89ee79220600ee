// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"crypto/sha256"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/containerd/ttrpc/internal/stubgen/stubtest"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/pluginpb"
)

var recordUpstream = flag.Bool("record-upstream", false,
	"record anew what v1.2.8 generates: installs it, so it needs the network or a filled module cache")

// What v1.2.8 exports for the golden files and this program does not. It took
// methods with streams for unary ones, and gave names to methods that no other
// package can implement.
var differences = map[string][]string{
	"shapes": {
		"func NewStreamsClient(*github.com/containerd/ttrpc.Client) (StreamsService)",
		"type CasesService interface: lower(context.Context, *Item) (*Item, error)",
		"type CasesService interface: snake_case_(context.Context, *Item) (*Item, error)",
		"type StreamsService interface: Bidi(context.Context, *Item) (*Item, error)",
		"type StreamsService interface: ClientStream(context.Context, *Item) (*Item_Part, error)",
		"type StreamsService interface: ClientStreamOfNothing(context.Context, *github.com/gogo/protobuf/types.Empty) (*github.com/gogo/protobuf/types.Empty, error)",
		"type StreamsService interface: ServerStream(context.Context, *Item_Part) (*Item, error)",
		"type StreamsService interface: ServerStreamOfNothing(context.Context, *github.com/gogo/protobuf/types.Empty) (*github.com/gogo/protobuf/types.Empty, error)",
		"type StreamsService interface: Snake_bidi_too(context.Context, *Item) (*Item, error)",
		"type StreamsService interface: snake_bidi(context.Context, *Item) (*Item, error)",
	},
	"proto2": {
		"func NewOldClient(*github.com/containerd/ttrpc.Client) (OldService)",
		"type OldService interface: Follow(context.Context, *Message) (*Message, error)",
	},
	"wellknown": {
		"func NewWellKnownClient(*github.com/containerd/ttrpc.Client) (WellKnownService)",
		"type WellKnownService interface: Nothing(context.Context, *google.golang.org/protobuf/types/known/emptypb.Empty) (*google.golang.org/protobuf/types/known/emptypb.Empty, error)",
	},
	"endings": {
		"func NewFooClient(*github.com/containerd/ttrpc.Client) (FooService)",
		"func Newwith_underscores_Client(*github.com/containerd/ttrpc.Client) (with_underscores_Service)",
		"type FooService interface: Send(context.Context, *Client) (*Server, error)",
		"type FooService interface: SendMsg(context.Context, *Client) (*Server, error)",
	},
}

// Programs that use what v1.2.8 generates can use what this program generates.
// The recorded lists are what serviceAPI returns for the output of v1.2.8.
func TestExportedAPIHasAllOfUpstreams(t *testing.T) {
	if *recordUpstream {
		record(t)
	}
	for _, g := range goldens {
		t.Run(g.name, func(t *testing.T) {
			_, recorded := g.recorded(t)
			ours := serviceAPI(t, runPlugin(t, g.request(t)), runPlugin(t, g.request(t, "plugins=ttrpc")))
			var missing []string
			for _, line := range recorded {
				if !slices.Contains(ours, line) {
					missing = append(missing, line)
				}
			}
			require.ElementsMatch(t, differences[g.name], missing)
		})
	}
}

// Messages are those of v1.2.8, to the byte.
func TestMessagesAreUpstreams(t *testing.T) {
	for _, g := range goldens {
		t.Run(g.name, func(t *testing.T) {
			recorded, _ := g.recorded(t)
			require.Equal(t, recorded, hash(runPlugin(t, g.request(t))))
		})
	}
}

// recorded returns what is known of the output of v1.2.8: the hash of its
// messages, and the exported API for its services.
func (g golden) recorded(t *testing.T) (messages string, api []string) {
	t.Helper()
	content, err := os.ReadFile(g.file(path.Base(g.name) + ".upstream"))
	require.NoError(t, err)
	lines := strings.Split(strings.TrimSpace(string(content)), "\n")
	return lines[0], lines[1:]
}

// record runs the generator of v1.2.8 on all golden files.
func record(t *testing.T) {
	t.Helper()
	bin := t.TempDir()
	install := exec.CommandContext(t.Context(), "go", "install", "github.com/containerd/ttrpc/cmd/protoc-gen-gogottrpc@v1.2.8")
	install.Env = append(os.Environ(), "GOBIN="+bin)
	output, err := install.CombinedOutput()
	require.NoError(t, err, "%s", output)

	upstream := func(request *pluginpb.CodeGeneratorRequest) *pluginpb.CodeGeneratorResponse {
		input, err := proto.Marshal(request)
		require.NoError(t, err)
		plugin := exec.CommandContext(t.Context(), filepath.Join(bin, "protoc-gen-gogottrpc"))
		plugin.Stdin = bytes.NewReader(input)
		output, err := plugin.Output()
		require.NoError(t, err)
		response := new(pluginpb.CodeGeneratorResponse)
		require.NoError(t, proto.Unmarshal(output, response))
		return response
	}
	for _, g := range goldens {
		messages := upstream(g.request(t))
		lines := []string{hash(messages)}
		if !g.failsUpstream {
			lines = append(lines, serviceAPI(t, messages, upstream(g.request(t, "plugins=ttrpc")))...)
		}
		require.NoError(t, os.WriteFile(g.file(path.Base(g.name)+".upstream"), []byte(strings.Join(lines, "\n")+"\n"), 0o666))
	}
}

// hash returns a line with the hash of the generated files.
func hash(response *pluginpb.CodeGeneratorResponse) string {
	h := sha256.New()
	for _, file := range response.GetFile() {
		fmt.Fprintf(h, "%s\n%s", file.GetName(), file.GetContent())
	}
	return fmt.Sprintf("messages: sha256 %x", h.Sum(nil))
}

// serviceAPI returns what generated files export for services: what they export
// when services are generated, but for what they export when they are not.
func serviceAPI(t *testing.T, messages, all *pluginpb.CodeGeneratorResponse) []string {
	t.Helper()
	require.Empty(t, all.GetError())
	without := exportedAPI(t, messages)
	return slices.DeleteFunc(exportedAPI(t, all), func(line string) bool { return slices.Contains(without, line) })
}

// exportedAPI returns the functions, types and methods of interfaces that
// generated files export, one per line, without the names of parameters. The
// methods of an exported interface are all there, for who implements it needs
// them all.
func exportedAPI(t *testing.T, response *pluginpb.CodeGeneratorResponse) []string {
	t.Helper()
	var api []string
	for _, generated := range response.GetFile() {
		file, err := parser.ParseFile(token.NewFileSet(), generated.GetName(), generated.GetContent(), 0)
		require.NoError(t, err)
		qualify(t, file)
		for _, decl := range file.Decls {
			api = append(api, exported(decl)...)
		}
	}
	slices.Sort(api)
	return api
}

// qualify puts the import path in the place of each name of a package.
func qualify(t *testing.T, file *ast.File) {
	t.Helper()
	paths := make(map[string]string)
	for _, spec := range file.Imports {
		importPath, err := strconv.Unquote(spec.Path.Value)
		require.NoError(t, err)
		paths[spec.Name.Name] = importPath
	}
	ast.Inspect(file, func(node ast.Node) bool {
		if selector, ok := node.(*ast.SelectorExpr); ok {
			if name, ok := selector.X.(*ast.Ident); ok && paths[name.Name] != "" {
				selector.X = ast.NewIdent(paths[name.Name])
			}
		}
		return true
	})
}

// exported returns the lines for a declaration.
func exported(decl ast.Decl) (lines []string) {
	switch decl := decl.(type) {
	case *ast.FuncDecl:
		if decl.Recv == nil && decl.Name.IsExported() {
			lines = append(lines, "func "+decl.Name.Name+stubtest.Signature(decl.Type))
		}
	case *ast.GenDecl:
		for _, spec := range decl.Specs {
			if spec, ok := spec.(*ast.TypeSpec); ok && spec.Name.IsExported() {
				lines = append(lines, exportedType(spec)...)
			}
		}
	}
	return lines
}

// exportedType returns the lines for a type.
func exportedType(spec *ast.TypeSpec) []string {
	name := "type " + spec.Name.Name
	decl, ok := spec.Type.(*ast.InterfaceType)
	if !ok {
		return []string{name}
	}
	name += " interface"
	lines := []string{name}
	for _, member := range decl.Methods.List {
		if len(member.Names) == 0 {
			lines = append(lines, name+": "+types.ExprString(member.Type))
			continue
		}
		lines = append(lines, name+": "+member.Names[0].Name+stubtest.Signature(member.Type.(*ast.FuncType)))
	}
	return lines
}
