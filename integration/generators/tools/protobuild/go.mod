// Run with: go tool -modfile=tools/protobuild/go.mod protobuild
module github.com/containerd/ttrpc/integration/generators/tools/protobuild

go 1.25.0

tool github.com/containerd/protobuild

require (
	github.com/containerd/protobuild v0.3.0 // indirect
	github.com/golang/protobuf v1.5.0 // indirect
	github.com/pelletier/go-toml v1.8.1 // indirect
	google.golang.org/protobuf v1.27.1 // indirect
)
