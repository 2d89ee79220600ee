// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package stubgen

import (
	"fmt"
	"strings"
)

// server writes the server side of a service: the interface to implement, a type
// that implements it by errors, the streams its methods get, the function that
// registers an implementation, and the handlers that it registers.
func (w *writer) server(s *Service) {
	w.serviceInterface(s)
	w.unimplemented(s)
	for _, m := range s.streams() {
		w.serverStream(m)
	}
	w.register(s)
	if len(s.Methods) > 0 {
		w.declare(serviceWords(s), `
// $handlers decode the requests of $fullName.
type $handlers struct{ service $Service }
`)
	}
	for _, m := range s.Methods {
		if m.streams() {
			w.streamHandler(m)
		} else {
			w.unaryHandler(m)
		}
	}
}

// serviceInterface writes the interface that an implementation has, and a
// client, too, if there is no stream.
func (w *writer) serviceInterface(s *Service) {
	own := serviceWords(s)
	w.document(s.serviceName()+" is the service "+s.FullName+".", s.Comments)
	w.emit(own, `type $Service interface {`)
	for _, m := range s.Methods {
		w.document("", m.Comments)
		w.emit(methodWords(m), m.serverSignature())
	}
	w.declare(own, `}`)
}

// serverSignature returns the method of the interface of the server.
func (m *Method) serverSignature() string {
	switch {
	case m.ClientStreams && m.ServerStreams:
		return `$Method($context.Context, $ServerStream) error`
	case m.ClientStreams:
		return `$Method($context.Context, $ServerStream) (*$Response, error)`
	case m.ServerStreams:
		return `$Method($context.Context, *$Request, $ServerStream) error`
	default:
		return `$Method($context.Context, *$Request) (*$Response, error)`
	}
}

// unimplemented writes a type that has all methods of the service's interface.
func (w *writer) unimplemented(s *Service) {
	w.declare(serviceWords(s), `
// $Unimplemented answers every call to $fullName with the code Unimplemented.
// A type that embeds it remains a $Service when the service gets more
// methods. Embed it by value: through a nil pointer its methods panic.
type $Unimplemented struct{}
`)
	for _, m := range s.Methods {
		result := `nil, `
		if m.ServerStreams {
			result = ``
		}
		w.declare(methodWords(m), `
func ($Unimplemented) `+m.serverSignature()+` {
	return `+result+`$status.Error($codes.Unimplemented, "method $Method not implemented")
}
`)
	}
}

// serverStream writes the server's side of a stream.
func (w *writer) serverStream(m *Method) {
	own := methodWords(m)
	w.emit(own, `
// $ServerStream is the server's side of a stream of $name.$Method.
type $ServerStream interface {`)
	if m.ServerStreams {
		w.emit(own, `Send(*$Response) error`)
	}
	if m.ClientStreams {
		w.emit(own, `Recv() (*$Request, error)`)
	}
	w.declare(own, `
	$ttrpc.StreamServer
}

type $serverStreamImpl struct{ $ttrpc.StreamServer }
`)
	if m.ServerStreams {
		w.send(own, "serverStreamImpl", "Response")
	}
	if m.ClientStreams {
		w.recv(own, "serverStreamImpl", "Request")
	}
}

// send writes the method that sends a message on a stream, of either side. The
// stream's type and the message's stand under the given words.
func (w *writer) send(own words, stream, message string) {
	w.declare(own, fmt.Sprintf(`
func ($x *$%s) Send($m *$%s) error { return $x.SendMsg($m) }
`, stream, message))
}

// recv writes the method that receives a message from a stream, of either side.
func (w *writer) recv(own words, stream, message string) {
	w.declare(own, fmt.Sprintf(`
func ($x *$%s) Recv() (*$%s, error) {
	m := new($%[2]s)
	if err := $x.RecvMsg(m); err != nil {
		return nil, err
	}
	return m, nil
}
`, stream, message))
}

// register writes the function that registers an implementation.
func (w *writer) register(s *Service) {
	own := serviceWords(s)
	w.emit(own, `
// $Register makes $srv answer the calls to $fullName with $svc.
func $Register($srv *$ttrpc.Server, $svc $Service) {`)
	if len(s.Methods) > 0 {
		w.emit(own, `h := $handlers{$svc}`)
	}
	w.emit(own, `$srv.RegisterService("$fullName", &$ttrpc.ServiceDesc{`)
	if methods := s.unary(); len(methods) > 0 {
		w.emit(own, `Methods: map[string]$ttrpc.Method{`)
		w.entries(methods, `h.$Method`)
		w.emit(own, `},`)
	}
	if methods := s.streams(); len(methods) > 0 {
		w.emit(own, `Streams: map[string]$ttrpc.Stream{`)
		w.entries(methods, `{Handler: h.$Method, StreamingClient: $clientStreams, StreamingServer: $serverStreams}`)
		w.emit(own, `},`)
	}
	w.declare(own, `
	})
}
`)
}

// entries writes an entry of a map of methods for each name of each method.
func (w *writer) entries(methods []*Method, value string) {
	for _, m := range methods {
		for _, name := range m.servedAs() {
			w.emit(methodWords(m), fmt.Sprintf(`%q: %s,`, name, value))
		}
	}
}

// unaryHandler writes what the server calls for a unary method. (Not with the
// word any: it is what a package of that name is imported under.)
func (w *writer) unaryHandler(m *Method) {
	w.declare(methodWords(m), `
func ($h $handlers) $Method($ctx $context.Context, $unmarshal func(interface{}) error) (interface{}, error) {
	req := new($Request)
	if err := $unmarshal(req); err != nil {
		return nil, err
	}
	return $h.service.$Method($ctx, req)
}
`)
}

// streamHandler writes what the server calls for a method with a stream.
func (w *writer) streamHandler(m *Method) {
	own := methodWords(m)
	w.emit(own, `func ($h $handlers) $Method($ctx $context.Context, $stream $ttrpc.StreamServer) (interface{}, error) {`)
	arguments := []string{`$ctx`}
	if !m.ClientStreams {
		// The one message of the client is the method's request.
		w.emit(own, `
	req := new($Request)
	if err := $stream.RecvMsg(req); err != nil {
		return nil, err
	}`)
		arguments = append(arguments, `req`)
	}
	arguments = append(arguments, `&$serverStreamImpl{$stream}`)
	call := `$h.service.$Method(` + strings.Join(arguments, ", ") + `)`
	if m.ServerStreams {
		call = `nil, ` + call // all answers have gone through the stream
	}
	w.declare(own, `
	return `+call+`
}
`)
}
