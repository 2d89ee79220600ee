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
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/pluginpb"
)

var recordUpstream = flag.Bool("record-upstream", false,
	"record anew what v1.2.10 generates: installs it, so it needs the network or a filled module cache")

// What upstream generates can be used in the same way if this program generates
// it. The recorded files are lists of exported names and their types, as
// exportedAPI returns them for the output of v1.2.10.
func TestExportedAPIHasAllOfUpstreams(t *testing.T) {
	if *recordUpstream {
		record(t)
	}
	for _, g := range goldens {
		t.Run(g.name, func(t *testing.T) {
			recorded, err := os.ReadFile(g.file(".v1.2.10.api"))
			require.NoError(t, err)
			require.Subset(t,
				exportedAPI(t, generate(t, g.request(t)).GetContent()),
				strings.Split(strings.TrimSpace(string(recorded)), "\n"))
		})
	}
}

// record runs the generator of v1.2.10 on all golden files.
func record(t *testing.T) {
	t.Helper()
	bin := t.TempDir()
	install := exec.Command("go", "install", "github.com/containerd/ttrpc/cmd/protoc-gen-go-ttrpc@v1.2.10")
	install.Env = append(os.Environ(), "GOBIN="+bin)
	output, err := install.CombinedOutput()
	require.NoError(t, err, "%s", output)

	for _, g := range goldens {
		request, err := proto.Marshal(g.request(t))
		require.NoError(t, err)
		plugin := exec.Command(filepath.Join(bin, "protoc-gen-go-ttrpc"))
		plugin.Stdin = bytes.NewReader(request)
		output, err := plugin.Output()
		require.NoError(t, err)
		response := new(pluginpb.CodeGeneratorResponse)
		require.NoError(t, proto.Unmarshal(output, response))
		api := exportedAPI(t, response.GetFile()[0].GetContent())
		require.NoError(t, os.WriteFile(g.file(".v1.2.10.api"), []byte(strings.Join(api, "\n")+"\n"), 0o666))
	}
}

// exportedAPI returns the functions, types and methods that a generated file
// exports, one per line, without the names of parameters.
func exportedAPI(t *testing.T, source string) []string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "generated.go", source, 0)
	require.NoError(t, err)
	var api []string
	for _, decl := range file.Decls {
		switch decl := decl.(type) {
		case *ast.FuncDecl:
			if decl.Name.IsExported() && decl.Recv == nil {
				api = append(api, "func "+decl.Name.Name+signature(decl.Type))
			}
		case *ast.GenDecl:
			for _, spec := range decl.Specs {
				if spec, ok := spec.(*ast.TypeSpec); ok && spec.Name.IsExported() {
					api = append(api, exportedType(t, spec)...)
				}
			}
		}
	}
	slices.Sort(api)
	return api
}

// exportedType returns the lines for a type. Generated files export no other
// than interfaces.
func exportedType(t *testing.T, spec *ast.TypeSpec) []string {
	t.Helper()
	name := "type " + spec.Name.Name
	require.IsType(t, new(ast.InterfaceType), spec.Type, name)
	lines := []string{name + " interface"}
	for _, member := range spec.Type.(*ast.InterfaceType).Methods.List {
		if len(member.Names) == 0 {
			lines = append(lines, name+" interface: "+types.ExprString(member.Type))
			continue
		}
		lines = append(lines, name+" interface: "+member.Names[0].Name+signature(member.Type.(*ast.FuncType)))
	}
	return lines
}

// signature returns the parameters and results of a function without names.
func signature(f *ast.FuncType) string {
	return "(" + strings.Join(typesOf(f.Params), ", ") + ") (" + strings.Join(typesOf(f.Results), ", ") + ")"
}

// typesOf returns the type of each parameter or result.
func typesOf(fields *ast.FieldList) []string {
	var list []string
	if fields == nil {
		return nil
	}
	for _, field := range fields.List {
		for range max(1, len(field.Names)) {
			list = append(list, types.ExprString(field.Type))
		}
	}
	return list
}
