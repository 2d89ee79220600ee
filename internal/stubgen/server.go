// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package stubgen

import (
	"fmt"
	"strings"
)

// server writes the server side of a service: the interface to implement, the
// streams its methods get, the function that registers an implementation, and
// the handlers that it registers.
func (f *file) server(s *service) {
	f.serviceInterface(s)
	for _, m := range s.streams() {
		f.serverStream(m)
	}
	f.register(s)
	if len(s.methods) > 0 {
		f.emit(f.serviceWords(s), `
// $handlers decode the requests of $fullName.
type $handlers struct{ service $Service }
`)
	}
	for _, m := range s.methods {
		f.handler(m)
	}
}

// serviceInterface writes the interface that an implementation has, and a
// client, too, if there is no stream.
func (f *file) serviceInterface(s *service) {
	w := f.serviceWords(s)
	f.document(s.serviceName()+" is the service "+s.fullName+".", s.source.Comments, s.deprecated())
	f.emit(w, `type $Service interface {`)
	for _, m := range s.methods {
		f.document("", m.source.Comments, m.deprecated())
		f.emit(f.methodWords(m), m.serverSignature())
	}
	f.emit(w, `}`)
	f.out.P()
}

// serverSignature returns the method of the interface of the server.
func (m *method) serverSignature() string {
	switch m.shape {
	case shape{clientStreams: true, serverStreams: true}:
		return `$Method($context.Context, $ServerStream) error`
	case shape{clientStreams: true}:
		return `$Method($context.Context, $ServerStream) (*$Response, error)`
	case shape{serverStreams: true}:
		return `$Method($context.Context, *$Request, $ServerStream) error`
	default:
		return `$Method($context.Context, *$Request) (*$Response, error)`
	}
}

// serverStream writes the server's side of a stream.
func (f *file) serverStream(m *method) {
	w := f.methodWords(m)
	f.emit(w, `
// $ServerStream is the server's side of a stream of $name.$Method.
type $ServerStream interface {`)
	if m.shape.serverStreams {
		f.emit(w, `Send(*$Response) error`)
	}
	if m.shape.clientStreams {
		f.emit(w, `Recv() (*$Request, error)`)
	}
	f.emit(w, `
	$ttrpc.StreamServer
}

type $serverStreamImpl struct{ $ttrpc.StreamServer }
`)
	if m.shape.serverStreams {
		f.send(w, "serverStreamImpl", "Response")
	}
	if m.shape.clientStreams {
		f.recv(w, "serverStreamImpl", "Request")
	}
}

// send writes the method that sends a message on a stream, of either side. The
// stream's type and the message's stand under the given words.
func (f *file) send(w words, stream, message string) {
	f.emit(w, fmt.Sprintf(`
func ($x *$%s) Send($m *$%s) error { return $x.SendMsg($m) }
`, stream, message))
	f.out.P()
}

// recv writes the method that receives a message from a stream, of either side.
func (f *file) recv(w words, stream, message string) {
	f.emit(w, fmt.Sprintf(`
func ($x *$%s) Recv() (*$%s, error) {
	m := new($%[2]s)
	if err := $x.RecvMsg(m); err != nil {
		return nil, err
	}
	return m, nil
}
`, stream, message))
	f.out.P()
}

// register writes the function that registers an implementation.
func (f *file) register(s *service) {
	w := f.serviceWords(s)
	f.emit(w, `
// $Register makes $srv answer the calls to $fullName with $svc.
func $Register($srv *$ttrpc.Server, $svc $Service) {`)
	if len(s.methods) > 0 {
		f.emit(w, `h := $handlers{$svc}`)
	}
	f.emit(w, `$srv.RegisterService("$fullName", &$ttrpc.ServiceDesc{`)
	if methods := s.unary(); len(methods) > 0 {
		f.emit(w, `Methods: map[string]$ttrpc.Method{`)
		f.entries(methods, `h.$Method`)
		f.emit(w, `},`)
	}
	if methods := s.streams(); len(methods) > 0 {
		f.emit(w, `Streams: map[string]$ttrpc.Stream{`)
		f.entries(methods, `{Handler: h.$Method, StreamingClient: $clientStreams, StreamingServer: $serverStreams}`)
		f.emit(w, `},`)
	}
	f.emit(w, `
	})
}
`)
}

// entries writes an entry of a map of methods for each name of each method.
func (f *file) entries(methods []*method, value string) {
	for _, m := range methods {
		for _, name := range m.servedAs {
			f.emit(f.methodWords(m), fmt.Sprintf(`%q: %s,`, name, value))
		}
	}
}

// handler writes what the server calls for a method.
func (f *file) handler(m *method) {
	w := f.methodWords(m)
	if !m.shape.streams() {
		f.emit(w, `
func ($h $handlers) $Method($ctx $context.Context, $unmarshal func(any) error) (any, error) {
	req := new($Request)
	if err := $unmarshal(req); err != nil {
		return nil, err
	}
	return $h.service.$Method($ctx, req)
}
`)
		f.out.P()
		return
	}

	f.emit(w, `func ($h $handlers) $Method($ctx $context.Context, $stream $ttrpc.StreamServer) (any, error) {`)
	arguments := []string{`$ctx`}
	if !m.shape.clientStreams {
		// The one message of the client is the method's request.
		f.emit(w, `
	req := new($Request)
	if err := $stream.RecvMsg(req); err != nil {
		return nil, err
	}`)
		arguments = append(arguments, `req`)
	}
	arguments = append(arguments, `&$serverStreamImpl{$stream}`)
	call := `$h.service.$Method(` + strings.Join(arguments, ", ") + `)`
	if m.shape.serverStreams {
		call = `nil, ` + call // all answers have gone through the stream
	}
	f.emit(w, `
	return `+call+`
}
`)
	f.out.P()
}
