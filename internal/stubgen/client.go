// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package stubgen

// client writes the client side of a service: its interface, if it is not the
// server's, what implements it, and the streams that its methods return.
func (w *writer) client(s *Service) {
	if s.clientName() != s.serviceName() {
		w.clientInterface(s)
	}
	w.declare(serviceWords(s), `
// $caller makes the calls to $fullName.
type $caller struct{ client *$ttrpc.Client }

// $NewClient returns a client of $fullName that makes its calls through $client.
func $NewClient($client *$ttrpc.Client) $Client { return &$caller{$client} }
`)
	for _, m := range s.Methods {
		if m.streams() {
			w.openStream(m)
			w.clientStream(m)
		} else {
			w.call(m)
		}
	}
}

// clientInterface writes the interface of the client of a service with streams.
func (w *writer) clientInterface(s *Service) {
	own := serviceWords(s)
	w.document(s.clientName()+" is a client of the service "+s.FullName+".", s.Comments)
	w.emit(own, `type $Client interface {`)
	for _, m := range s.Methods {
		w.document("", m.Comments)
		w.emit(methodWords(m), m.clientSignature())
	}
	w.declare(own, `}`)
}

// clientSignature returns the method of the interface of the client.
func (m *Method) clientSignature() string {
	switch {
	case m.ClientStreams:
		return `$Method($context.Context) ($ClientStream, error)`
	case m.ServerStreams:
		return `$Method($context.Context, *$Request) ($ClientStream, error)`
	default:
		return `$Method($context.Context, *$Request) (*$Response, error)`
	}
}

// call writes the client's method for a unary call.
func (w *writer) call(m *Method) {
	w.declare(methodWords(m), `
func ($c *$caller) $Method($ctx $context.Context, $req *$Request) (*$Response, error) {
	resp := new($Response)
	if err := $c.client.Call($ctx, "$fullName", "$calledAs", $req, resp); err != nil {
		return nil, err
	}
	return resp, nil
}
`)
}

// openStream writes the client's method that opens a stream.
func (w *writer) openStream(m *Method) {
	own := methodWords(m)
	parameters, request := `$ctx $context.Context`, `nil`
	if !m.ClientStreams {
		parameters, request = parameters+`, $req *$Request`, `$req`
	}
	w.declare(own, `
func ($c *$caller) $Method(`+parameters+`) ($ClientStream, error) {
	desc := &$ttrpc.StreamDesc{StreamingClient: $clientStreams, StreamingServer: $serverStreams}
	stream, err := $c.client.NewStream($ctx, desc, "$fullName", "$calledAs", `+request+`)
	if err != nil {
		return nil, err
	}
	return &$clientStreamImpl{stream}, nil
}
`)
}

// clientStream writes the client's side of a stream.
func (w *writer) clientStream(m *Method) {
	own := methodWords(m)
	w.emit(own, `
// $ClientStream is the client's side of a stream of $name.$Method.
type $ClientStream interface {`)
	if m.ClientStreams {
		w.emit(own, `Send(*$Request) error`)
	}
	if m.ServerStreams {
		w.emit(own, `Recv() (*$Response, error)`)
	} else {
		w.emit(own, `
// CloseAndRecv ends the client's messages and waits for the response.
CloseAndRecv() (*$Response, error)`)
	}
	w.declare(own, `
	$ttrpc.ClientStream
}

type $clientStreamImpl struct{ $ttrpc.ClientStream }
`)
	if m.ClientStreams {
		w.send(own, "clientStreamImpl", "Request")
	}
	if m.ServerStreams {
		w.recv(own, "clientStreamImpl", "Response")
	} else {
		w.closeAndRecv(own)
	}
}

// closeAndRecv writes the method that waits for the answer to a stream of
// messages.
func (w *writer) closeAndRecv(own words) {
	w.declare(own, `
func ($x *$clientStreamImpl) CloseAndRecv() (*$Response, error) {
	if err := $x.CloseSend(); err != nil {
		return nil, err
	}
	m := new($Response)
	if err := $x.RecvMsg(m); err != nil {
		return nil, err
	}
	return m, nil
}
`)
}
