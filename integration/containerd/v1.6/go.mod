module github.com/containerd/ttrpc/integration/containerd/v1.6

go 1.26.6

replace github.com/containerd/ttrpc => ../../..

tool github.com/containerd/containerd/cmd/containerd-shim-runc-v2

require github.com/containerd/containerd v1.6.36
require github.com/containerd/ttrpc v1.2.10
