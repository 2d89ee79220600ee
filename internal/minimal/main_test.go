// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// maxPackages bounds the packages that a minimal server links without cgo, those
// of the standard library and itself included. It is what net, protobuf and the
// status package of gRPC need, and this package and that of the server; the
// released v1.2.10 has 131. Go's own internal packages come and go: this was
// measured with Go 1.26.
const maxPackages = 128

func TestMinimalServerLinksFewPackages(t *testing.T) {
	t.Parallel()
	deps := dependencies(t, ".")
	require.LessOrEqual(t, len(deps), maxPackages, "packages: %s", strings.Join(deps, " "))
}

func TestMinimalServerLinksNothingHeavy(t *testing.T) {
	t.Parallel()
	deps := dependencies(t, ".")
	for _, forbidden := range []string{
		"crypto/tls",
		"github.com/containerd/log",
		"github.com/gogo/protobuf",
		"github.com/golang/protobuf",
		"github.com/sirupsen/logrus",
		"github.com/stretchr/testify",
		"golang.org/x/net",
		"log/slog",
		"net/http",
		"testing",
	} {
		for _, dep := range deps {
			require.False(t, dep == forbidden || strings.HasPrefix(dep, forbidden+"/"), "links %s", dep)
		}
	}
}

// TestOnlyGogosGeneratorLinksGogo looks at all packages of the module.
func TestOnlyGogosGeneratorLinksGogo(t *testing.T) {
	t.Parallel()
	const (
		ttrpc  = "github.com/containerd/ttrpc"
		format = `{{range .Deps}}{{if eq . "github.com/gogo/protobuf/proto"}}{{$.ImportPath}}{{"\n"}}{{end}}{{end}}`
	)
	out, err := exec.CommandContext(t.Context(), "go", "list", "-f", format, ttrpc+"/...").Output()
	require.NoError(t, err)
	require.Equal(t, []string{ttrpc + "/cmd/protoc-gen-gogottrpc", ttrpc + "/plugin"}, strings.Fields(string(out)))
}

// TestMinimalServerLinksOfGRPCOnlyStatusAndCodes allows of
// google.golang.org/grpc what its packages status and codes import themselves.
func TestMinimalServerLinksOfGRPCOnlyStatusAndCodes(t *testing.T) {
	t.Parallel()
	const grpc = "google.golang.org/grpc"
	allowed := dependencies(t, grpc+"/status", grpc+"/codes")
	for _, dep := range dependencies(t, ".") {
		if dep == grpc || strings.HasPrefix(dep, grpc+"/") {
			require.Contains(t, allowed, dep)
		}
	}
}

// dependencies returns the import paths of the packages and of all that they
// link.
func dependencies(t *testing.T, packages ...string) []string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", append([]string{"list", "-deps"}, packages...)...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux") // the same count everywhere
	out, err := cmd.Output()
	require.NoError(t, err)
	return strings.Fields(string(out))
}
