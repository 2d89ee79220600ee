module github.com/containerd/ttrpc

go 1.25.0

require (
	github.com/gogo/protobuf v1.3.2
	github.com/stretchr/testify v1.11.1
	golang.org/x/sys v0.46.0
	google.golang.org/genproto/googleapis/rpc v0.0.0-20260226221140-a57be14db171
	google.golang.org/grpc v1.81.1
	google.golang.org/protobuf v1.36.11
)

require (
	github.com/davecgh/go-spew v1.1.1 // indirect
	github.com/pmezard/go-difflib v1.0.0 // indirect
	gopkg.in/yaml.v3 v3.0.1 // indirect
)
