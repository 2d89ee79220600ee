// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	gengo "google.golang.org/protobuf/cmd/protoc-gen-go/internal_gengo"
	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/pluginpb"
)

// The code of testdata, all of which is generated, is such that vet likes it. It
// is in no package that ./... would match.
func TestGoldenFilesPassVet(t *testing.T) {
	packages := make(map[string]bool)
	require.NoError(t, filepath.WalkDir("testdata", func(name string, _ fs.DirEntry, err error) error {
		if filepath.Ext(name) == ".go" {
			packages["./"+filepath.ToSlash(filepath.Dir(name))] = true
		}
		return err
	}))
	require.GreaterOrEqual(t, len(packages), len(goldens))
	args := []string{"vet"}
	for name := range packages {
		args = append(args, name)
	}
	output, err := exec.CommandContext(t.Context(), "go", args...).CombinedOutput()
	require.NoError(t, err, "%s", output)
}

// requireCompiles generates the messages and the stubs that a request asks for,
// and checks that they are Go. It returns the packages by their import paths.
func requireCompiles(t *testing.T, request *pluginpb.CodeGeneratorRequest) map[string]*types.Package {
	t.Helper()
	c := newCompiler(t, request)
	require.NoError(t, c.checkAll())
	return c.packages
}

// generateMessages returns what protoc-gen-go makes of a request, but for files
// in which there is nothing for it.
func generateMessages(t *testing.T, request *pluginpb.CodeGeneratorRequest) *pluginpb.CodeGeneratorResponse {
	t.Helper()
	request = proto.CloneOf(request)
	request.Parameter = nil
	plugin, err := protogen.Options{}.New(request)
	require.NoError(t, err)
	for _, file := range plugin.Files {
		if file.Generate && len(file.Messages)+len(file.Enums)+len(file.Extensions) > 0 {
			gengo.GenerateFile(plugin, file)
		}
	}
	response := plugin.Response()
	require.Empty(t, response.GetError())
	return response
}

// A compiler checks the types of generated packages. It takes what they import
// from go's own cache.
type compiler struct {
	fset     *token.FileSet
	compiled types.Importer
	sources  map[string][]*ast.File    // by import path
	packages map[string]*types.Package // by import path; those that are checked
}

// newCompiler returns a compiler for what is generated at a request.
func newCompiler(t *testing.T, request *pluginpb.CodeGeneratorRequest) *compiler {
	t.Helper()
	compiled, err := compiledPackages()
	require.NoError(t, err)
	c := &compiler{
		fset:     token.NewFileSet(),
		compiled: compiled,
		sources:  make(map[string][]*ast.File),
		packages: make(map[string]*types.Package),
	}
	stubs := runPlugin(t, request)
	require.Empty(t, stubs.GetError())
	for _, file := range slices.Concat(generateMessages(t, request).GetFile(), stubs.GetFile()) {
		c.add(t, path.Dir(file.GetName()), file.GetContent())
	}
	return c
}

// add parses a file of a package.
func (c *compiler) add(t *testing.T, importPath, source string) {
	t.Helper()
	parsed, err := parser.ParseFile(c.fset, importPath+"/"+strconv.Itoa(len(c.sources[importPath])), source, parser.SkipObjectResolution)
	require.NoError(t, err)
	c.sources[importPath] = append(c.sources[importPath], parsed)
}

// checkAll checks all packages, until an error is found.
func (c *compiler) checkAll() error {
	for importPath := range c.sources {
		if _, err := c.Import(importPath); err != nil {
			return err
		}
	}
	return nil
}

// Import returns a package, which it checks first if it is a generated one.
func (c *compiler) Import(importPath string) (*types.Package, error) {
	if files, generated := c.sources[importPath]; generated && c.packages[importPath] == nil {
		config := types.Config{Importer: c}
		checked, err := config.Check(importPath, c.fset, files, nil)
		if err != nil {
			return nil, err
		}
		c.packages[importPath] = checked
	}
	if checked := c.packages[importPath]; checked != nil {
		return checked, nil
	}
	return c.compiled.Import(importPath)
}

// compiledPackages returns all packages that generated code imports, as go keeps
// them when it has compiled them.
var compiledPackages = sync.OnceValues(func() (types.Importer, error) {
	list := exec.Command("go", "list", "-export", "-deps", "-f", "{{.ImportPath}}={{.Export}}",
		"github.com/containerd/ttrpc",
		"google.golang.org/protobuf/runtime/protoimpl",
		"google.golang.org/protobuf/types/known/emptypb")
	list.Stderr = os.Stderr
	output, err := list.Output()
	if err != nil {
		return nil, err
	}
	files := make(map[string]string)
	for line := range strings.Lines(string(output)) {
		importPath, file, _ := strings.Cut(strings.TrimSpace(line), "=")
		files[importPath] = file
	}
	return importer.ForCompiler(token.NewFileSet(), "gc", func(path string) (io.ReadCloser, error) {
		return os.Open(files[path])
	}), nil
})
