// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/containerd/ttrpc/internal/stubgen/stubtest"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/pluginpb"
)

var recordUpstream = flag.Bool("record-upstream", false,
	"record anew what v1.2.8 and v1.2.10 generate: installs them, so it needs the network or a filled module cache")

// upstreamGoldens returns the goldens that upstream's generators can deal with, if
// protoc lets them.
func upstreamGoldens() []golden {
	return slices.DeleteFunc(slices.Clone(goldens), func(g golden) bool { return g.tooNew })
}

// upstreamAPI returns what upstream's generators export for a golden, as
// exportedAPI returns it. v1.2.8 and v1.2.10 do not differ in that.
func (g golden) upstreamAPI(t *testing.T) []string {
	t.Helper()
	recorded, err := os.ReadFile(g.file(".upstream.api"))
	require.NoError(t, err)
	return strings.Split(strings.TrimSpace(string(recorded)), "\n")
}

// What upstream generates can be used in the same way if this program generates
// it, and there is nothing more that could stand in anybody's way.
func TestExportedAPIIsUpstreamsAndWhatIsNew(t *testing.T) {
	if *recordUpstream {
		record(t)
	}
	isNew := regexp.MustCompile(`^(const \w+_FullMethodName_*|type Unimplemented\w+Service_* struct|method Unimplemented\w+Service_*: .*)$`)
	for _, g := range upstreamGoldens() {
		t.Run(g.name, func(t *testing.T) {
			api := exportedAPI(t, runPlugin(t, g.request(t)))
			require.Subset(t, api, g.upstreamAPI(t))
			for _, line := range api {
				if !slices.Contains(g.upstreamAPI(t), line) {
					require.Regexp(t, isNew, line)
				}
			}
		})
	}
}

// record runs the generators of v1.2.8 and v1.2.10 on all golden files.
func record(t *testing.T) {
	t.Helper()
	apis := make(map[string][]string) // by golden
	for _, version := range []string{"v1.2.8", "v1.2.10"} {
		bin := t.TempDir()
		install := exec.Command("go", "install", "github.com/containerd/ttrpc/cmd/protoc-gen-go-ttrpc@"+version)
		install.Env = append(os.Environ(), "GOBIN="+bin)
		output, err := install.CombinedOutput()
		require.NoError(t, err, "%s", output)

		for _, g := range upstreamGoldens() {
			request, err := proto.Marshal(g.request(t))
			require.NoError(t, err)
			plugin := exec.Command(filepath.Join(bin, "protoc-gen-go-ttrpc"))
			plugin.Stdin = bytes.NewReader(request)
			plugin.Stderr = os.Stderr
			output, err := plugin.Output()
			require.NoError(t, err)
			response := new(pluginpb.CodeGeneratorResponse)
			require.NoError(t, proto.Unmarshal(output, response))
			api := exportedAPI(t, response)
			if first := apis[g.name]; first != nil {
				require.Equal(t, first, api, "%s: this version generates something else", version)
			}
			apis[g.name] = api
			require.NoError(t, os.WriteFile(g.file(".upstream.api"), []byte(strings.Join(api, "\n")+"\n"), 0o666))
		}
	}
}

// exportedAPI returns the functions, types, methods and constants that generated
// files export, one per line, without the names of parameters.
func exportedAPI(t *testing.T, response *pluginpb.CodeGeneratorResponse) []string {
	t.Helper()
	require.Empty(t, response.GetError())
	var api []string
	for _, generated := range response.GetFile() {
		file, err := parser.ParseFile(token.NewFileSet(), generated.GetName(), generated.GetContent(), 0)
		require.NoError(t, err)
		for _, decl := range file.Decls {
			switch decl := decl.(type) {
			case *ast.FuncDecl:
				api = append(api, exportedFunc(decl)...)
			case *ast.GenDecl:
				for _, spec := range decl.Specs {
					api = append(api, exportedSpec(t, decl.Tok, spec)...)
				}
			}
		}
	}
	slices.Sort(api)
	return api
}

// exportedFunc returns the line for a function or a method, if it is exported.
func exportedFunc(f *ast.FuncDecl) []string {
	if !f.Name.IsExported() {
		return nil
	}
	if f.Recv == nil {
		return []string{"func " + f.Name.Name + stubtest.Signature(f.Type)}
	}
	receiver := types.ExprString(f.Recv.List[0].Type)
	if !ast.IsExported(strings.TrimPrefix(receiver, "*")) {
		return nil
	}
	return []string{"method " + receiver + ": " + f.Name.Name + stubtest.Signature(f.Type)}
}

// exportedSpec returns the lines for what stands in a declaration.
func exportedSpec(t *testing.T, what token.Token, spec ast.Spec) []string {
	t.Helper()
	var lines []string
	switch spec := spec.(type) {
	case *ast.TypeSpec:
		if spec.Name.IsExported() {
			lines = exportedType(t, spec)
		}
	case *ast.ValueSpec:
		for _, name := range spec.Names {
			if name.IsExported() {
				lines = append(lines, what.String()+" "+name.Name)
			}
		}
	}
	return lines
}

// exportedType returns the lines for a type. Generated files export no other
// than interfaces, and structs without fields.
func exportedType(t *testing.T, spec *ast.TypeSpec) []string {
	t.Helper()
	name := "type " + spec.Name.Name
	if s, isStruct := spec.Type.(*ast.StructType); isStruct {
		require.Empty(t, s.Fields.List, name)
		return []string{name + " struct"}
	}
	require.IsType(t, new(ast.InterfaceType), spec.Type, name)
	lines := []string{name + " interface"}
	for _, member := range spec.Type.(*ast.InterfaceType).Methods.List {
		if len(member.Names) == 0 {
			lines = append(lines, name+" interface: "+types.ExprString(member.Type))
			continue
		}
		lines = append(lines, name+" interface: "+member.Names[0].Name+stubtest.Signature(member.Type.(*ast.FuncType)))
	}
	return lines
}
