module github.com/containerd/ttrpc/integration/containerd

go 1.25.0

require github.com/containerd/ttrpc/integration/interop v0.0.0

replace github.com/containerd/ttrpc/integration/interop => ../interop
