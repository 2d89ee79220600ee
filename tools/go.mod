// Tools of the project's own checks, apart from the library's go.mod.
// Run with: go tool -modfile=tools/go.mod <tool>
module github.com/containerd/ttrpc/tools

go 1.26.0

tool golang.org/x/exp/cmd/apidiff

require (
	golang.org/x/exp v0.0.0-20260908205506-85c1c2202aba // indirect
	golang.org/x/mod v0.41.0 // indirect
	golang.org/x/sync v0.23.0 // indirect
	golang.org/x/tools v0.50.0 // indirect
)
