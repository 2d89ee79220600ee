// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package stubgen

// client writes the client side of a service: its interface, if it is not the
// server's, what implements it, and the streams that its methods return.
func (f *file) client(s *service) {
	if s.clientName() != s.serviceName() {
		f.clientInterface(s)
	}
	f.emit(f.serviceWords(s), `
// $caller makes the calls to $fullName.
type $caller struct{ client *$ttrpc.Client }

// $NewClient returns a client of $fullName that makes its calls through $client.
func $NewClient($client *$ttrpc.Client) $Client { return &$caller{$client} }
`)
	f.out.P()
	for _, m := range s.methods {
		if m.shape.streams() {
			f.openStream(m)
			f.clientStream(m)
		} else {
			f.call(m)
		}
	}
}

// clientInterface writes the interface of the client of a service with streams.
func (f *file) clientInterface(s *service) {
	w := f.serviceWords(s)
	f.document(s.clientName()+" is a client of the service "+s.fullName+".", s.source.Comments, s.deprecated())
	f.emit(w, `type $Client interface {`)
	for _, m := range s.methods {
		f.document("", m.source.Comments, m.deprecated())
		f.emit(f.methodWords(m), m.clientSignature())
	}
	f.emit(w, `}`)
	f.out.P()
}

// clientSignature returns the method of the interface of the client.
func (m *method) clientSignature() string {
	switch {
	case m.shape.clientStreams:
		return `$Method($context.Context) ($ClientStream, error)`
	case m.shape.serverStreams:
		return `$Method($context.Context, *$Request) ($ClientStream, error)`
	default:
		return `$Method($context.Context, *$Request) (*$Response, error)`
	}
}

// call writes the client's method for a unary call.
func (f *file) call(m *method) {
	f.emit(f.methodWords(m), `
func ($c *$caller) $Method($ctx $context.Context, $req *$Request) (*$Response, error) {
	resp := new($Response)
	if err := $c.client.Call($ctx, "$fullName", "$calledAs", $req, resp); err != nil {
		return nil, err
	}
	return resp, nil
}
`)
	f.out.P()
}

// openStream writes the client's method that opens a stream.
func (f *file) openStream(m *method) {
	w := f.methodWords(m)
	parameters, request := `$ctx $context.Context`, `nil`
	if !m.shape.clientStreams {
		parameters, request = parameters+`, $req *$Request`, `$req`
	}
	f.emit(w, `
func ($c *$caller) $Method(`+parameters+`) ($ClientStream, error) {
	desc := &$ttrpc.StreamDesc{StreamingClient: $clientStreams, StreamingServer: $serverStreams}
	stream, err := $c.client.NewStream($ctx, desc, "$fullName", "$calledAs", `+request+`)
	if err != nil {
		return nil, err
	}
	return &$clientStreamImpl{stream}, nil
}
`)
	f.out.P()
}

// clientStream writes the client's side of a stream.
func (f *file) clientStream(m *method) {
	w := f.methodWords(m)
	f.emit(w, `
// $ClientStream is the client's side of a stream of $name.$Method.
type $ClientStream interface {`)
	if m.shape.clientStreams {
		f.emit(w, `Send(*$Request) error`)
	}
	if m.shape.serverStreams {
		f.emit(w, `Recv() (*$Response, error)`)
	} else {
		f.emit(w, `
// CloseAndRecv ends the client's messages and waits for the response.
CloseAndRecv() (*$Response, error)`)
	}
	f.emit(w, `
	$ttrpc.ClientStream
}

type $clientStreamImpl struct{ $ttrpc.ClientStream }
`)
	f.out.P()
	if m.shape.clientStreams {
		f.send(w, "clientStreamImpl", "Request")
	}
	if m.shape.serverStreams {
		f.recv(w, "clientStreamImpl", "Response")
	} else {
		f.closeAndRecv(w)
	}
}

// closeAndRecv writes the method that waits for the answer to a stream of
// messages.
func (f *file) closeAndRecv(w words) {
	f.emit(w, `
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
	f.out.P()
}
