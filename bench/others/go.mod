module github.com/containerd/ttrpc/bench/others

go 1.25.0

require (
	github.com/containerd/ttrpc/bench v0.0.0
	google.golang.org/grpc v1.81.1
	google.golang.org/protobuf v1.36.11
	storj.io/drpc v0.0.34
)

require (
	github.com/zeebo/errs v1.2.2 // indirect
	golang.org/x/net v0.51.0 // indirect
	golang.org/x/sys v0.46.0 // indirect
	golang.org/x/text v0.34.0 // indirect
	google.golang.org/genproto/googleapis/rpc v0.0.0-20260226221140-a57be14db171 // indirect
)

replace github.com/containerd/ttrpc/bench => ..

replace github.com/containerd/ttrpc => ../..
