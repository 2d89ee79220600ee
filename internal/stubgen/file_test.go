// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package stubgen

import (
	"fmt"
	"go/format"
	"path"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// text is an Output in memory. Imports have the names that rename says, or that
// of their directory.
type text struct {
	strings.Builder
	rename  map[string]string
	imports []string
}

func (out *text) P(values ...any) { fmt.Fprint(out, append(values, "\n")...) }

func (out *text) Import(importPath string) string {
	out.imports = append(out.imports, importPath)
	if name, ok := out.rename[importPath]; ok {
		return name
	}
	return path.Base(importPath)
}

// write returns what is written for a service, formatted.
func write(t *testing.T, out *text, s *Service) string {
	t.Helper()
	file := &File{Path: "p.proto", Services: []*Service{s}}
	require.NoError(t, NewPackage().AddServices([]*File{file}))
	out.P("package p")
	Write(out, file)
	formatted, err := format.Source([]byte(out.String()))
	require.NoError(t, err)
	return string(formatted)
}

// A package is imported once, and only if the file uses it.
func TestWriteImports(t *testing.T) {
	const ttrpc, context, codes, status = "github.com/containerd/ttrpc", "context", "google.golang.org/grpc/codes", "google.golang.org/grpc/status"
	for _, test := range []struct {
		name    string
		service *Service
		want    []string
	}{
		{"no methods", unaryService("Foo"), []string{ttrpc}},
		{"methods", unaryService("Foo", "Do", "Undo"), []string{ttrpc, context, codes, status}},
	} {
		t.Run(test.name, func(t *testing.T) {
			out := new(text)
			written := write(t, out, test.service)
			require.Equal(t, test.want, out.imports)
			for _, importPath := range test.want {
				require.Contains(t, written, path.Base(importPath)+".")
			}
		})
	}
}

// Whatever the imports are called, the parameters are not.
func TestWriteRenamesVariables(t *testing.T) {
	s := unaryService("Foo", "Do")
	s.Methods[0].Request, s.Methods[0].Response = "req.M", "ctx_.M"
	written := write(t, &text{rename: map[string]string{
		"github.com/containerd/ttrpc":   "c",
		"context":                       "ctx",
		"google.golang.org/grpc/status": "client",
	}}, s)
	require.Contains(t, written, "func NewFooClient(client_ *c.Client) FooService {")
	require.Contains(t, written, "func (c_ *ttrpcFooCaller) Do(ctx__ ctx.Context, req_ *req.M) (*ctx_.M, error) {")
	require.Contains(t, written, `return nil, client.Error(codes.Unimplemented, "method Do not implemented")`)
}

func TestWriteDocuments(t *testing.T) {
	s := unaryService("Foo", "Do", "Undo")
	s.Comments = Comments{Leading: " One.\n", Trailing: "Two.\n", Deprecated: true}
	s.Methods[0].Comments = Comments{Leading: "\n \n", Trailing: " +build never\n", Deprecated: true}
	written := write(t, new(text), s)
	require.Contains(t, written, `
// FooService is the service p.Foo.
//
// One.
//
// Two.
//
// Deprecated: marked as deprecated in p.proto.
type FooService interface {
	// \+build never
	//
	// Deprecated: marked as deprecated in p.proto.
	Do(context.Context, *M) (*M, error)
	Undo(context.Context, *M) (*M, error)
}
`)
}

func TestTidy(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"", ""},
		{" \n\t\n\r\n", ""},
		{"\n\n  One  \n\n\tTwo\t\n\n", "  One\n\n\tTwo"},
		{"a\r\nb\rc\x00d\ufeffe\xfff", "a\nbcde\ufffdf"},
	} {
		require.Equal(t, test.want, tidy(test.text), "%q", test.text)
	}
}

func TestPackageOf(t *testing.T) {
	require.Equal(t, "pkg", packageOf("pkg.M"))
	require.Empty(t, packageOf("M"))
}
