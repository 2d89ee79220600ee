// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package ttrpc

import (
	"context"
	"fmt"
	"path"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"

	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Method handles a unary call: it decodes the request with unmarshal and
// returns the response message, or an error. The error may carry a status;
// without one it gets a code by what it is (see the package documentation).
//
// ctx ends when Method returns, when the client cancels the call or its
// deadline passes, and when the connection or the server ends.
type Method func(ctx context.Context, unmarshal func(any) error) (any, error)

// StreamHandler handles a stream until it returns. What it returns ends the
// stream: an error, or a last message, which is the response of a method
// without StreamingServer and mostly nil otherwise.
//
// ctx is as for Method. Neither ctx nor the stream is of use afterwards.
type StreamHandler func(context.Context, StreamServer) (any, error)

// Stream describes a streaming method.
type Stream struct {
	Handler         StreamHandler
	StreamingClient bool // the client sends any number of messages
	StreamingServer bool // the server sends any number of messages
}

// ServiceDesc describes a service, by the names of its methods. If a name is in
// both maps, Methods has it.
type ServiceDesc struct {
	Methods map[string]Method
	Streams map[string]Stream
}

// services is what a server has been taught. Registration copies it, so calls
// find their method without a lock.
type services struct {
	mu     sync.Mutex // held by register
	byName atomic.Pointer[map[string]*service]
}

// service is a registered service.
type service struct {
	methods map[string]*unaryMethod
	streams map[string]*streamMethod
}

// unaryMethod is a registered unary method.
type unaryMethod struct {
	handler Method
	info    *UnaryServerInfo
}

// streamMethod is a registered streaming method.
type streamMethod struct {
	Stream
	info *StreamServerInfo
}

// fullMethod returns the name by which interceptors know a method.
func fullMethod(service, method string) string {
	return "/" + path.Join(service, method)
}

// register adds a service; it panics with an error if there is one of that
// name, because two parts of the program then disagree.
func (s *services) register(name string, desc *ServiceDesc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	byName := map[string]*service{}
	if old := s.byName.Load(); old != nil {
		for n, svc := range *old {
			byName[n] = svc
		}
	}
	if _, ok := byName[name]; ok {
		panic(fmt.Errorf("duplicate service %v registered", name))
	}
	byName[name] = newService(name, desc)
	s.byName.Store(&byName)
}

func newService(name string, desc *ServiceDesc) *service {
	if desc == nil {
		desc = &ServiceDesc{}
	}
	svc := &service{
		methods: make(map[string]*unaryMethod, len(desc.Methods)),
		streams: make(map[string]*streamMethod, len(desc.Streams)),
	}
	for n, handler := range desc.Methods {
		svc.methods[n] = &unaryMethod{
			handler: handler,
			info:    &UnaryServerInfo{FullMethod: fullMethod(name, n)},
		}
	}
	for n, desc := range desc.Streams {
		svc.streams[n] = &streamMethod{
			Stream: desc,
			info: &StreamServerInfo{
				FullMethod:      fullMethod(name, n),
				StreamingClient: desc.StreamingClient,
				StreamingServer: desc.StreamingServer,
			},
		}
	}
	for inProto, inGo := range aliases(desc.Methods, func(m Method) any { return m }) {
		svc.methods[inGo] = svc.methods[inProto]
	}
	for inProto, inGo := range aliases(desc.Streams, func(s Stream) any { return s.Handler }) {
		svc.streams[inProto] = svc.streams[inGo]
	}
	return svc
}

// aliases returns the methods that are registered twice, as generated code does
// whose method has one name in the .proto file and another in Go: get_state and
// GetState. Interceptors know such a method by one name, whichever the client
// used, or else a client could choose the one that an interceptor does not look
// for. It is the name that generated clients use.
func aliases[M any](methods map[string]M, handler func(M) any) map[string]string {
	// namesakes have the same handler, and names that differ in what makes the
	// one in Go of that in the .proto file.
	type namesakes struct {
		folded  string
		handler uintptr
	}
	found := map[string]string{}
	first := make(map[namesakes]string, len(methods))
	for name, m := range methods {
		key := namesakes{foldName(name), reflect.ValueOf(handler(m)).Pointer()}
		other, ok := first[key]
		switch {
		case !ok:
			first[key] = name
		case isGoName(name, other):
			found[other] = name
		default:
			found[name] = other
		}
	}
	return found
}

// foldName returns what a name in a .proto file and the one in Go made of it have
// in common: an underscore at the front becomes an X, others go, letters become
// capitals.
func foldName(name string) string {
	if strings.HasPrefix(name, "_") {
		name = "x" + name[1:]
	}
	return strings.ToLower(strings.ReplaceAll(name, "_", ""))
}

// isGoName tells which of two names that differ in capitals and underscores is
// the one in Go: it has fewer underscores, or else more capitals.
func isGoName(name, other string) bool {
	if len(name) != len(other) {
		return len(name) < len(other)
	}
	return name < other // capitals come first
}

// find returns the method of that name, unary or streaming, or the status that
// refuses the call.
func (s *services) find(serviceName, methodName []byte) (*unaryMethod, *streamMethod, *spb.Status) {
	var svc *service
	if byName := s.byName.Load(); byName != nil {
		svc = (*byName)[string(serviceName)]
	}
	if svc == nil {
		return nil, nil, status.Newf(codes.Unimplemented, "service %v", string(serviceName)).Proto()
	}
	if m, ok := svc.methods[string(methodName)]; ok {
		return m, nil, nil
	}
	if st, ok := svc.streams[string(methodName)]; ok {
		return nil, st, nil
	}
	return nil, nil, status.Newf(codes.Unimplemented, "method %v", string(methodName)).Proto()
}
