module github.com/containerd/ttrpc/integration/interop/peer

go 1.25.0

require (
	github.com/containerd/nri v0.12.5
	github.com/containerd/ttrpc v1.2.7
	github.com/gogo/protobuf v1.3.2
	google.golang.org/genproto/googleapis/rpc v0.0.0-20240528184218-531527333157
	google.golang.org/grpc v1.65.1
	google.golang.org/protobuf v1.34.1
)

require (
	github.com/sirupsen/logrus v1.9.4 // indirect
	golang.org/x/sys v0.39.0 // indirect
)

replace github.com/containerd/ttrpc => github.com/containerd/ttrpc v1.2.2
