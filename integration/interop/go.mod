module github.com/containerd/ttrpc/integration/interop

go 1.25.0
