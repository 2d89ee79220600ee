// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package stubgen

import "slices"

// A File is what the generator needs to know of a .proto file. What reads the
// descriptors, such as Generate, fills it in; Write turns it into Go.
type File struct {
	Path     string // as others import it
	Services []*Service
}

// A Service is one service of a file.
type Service struct {
	Name     string // in Go, with the prefix: all exported names are made of it
	FullName string // on the wire, with the package
	Comments Comments
	Place    string // as Place returns it
	Methods  []*Method

	// unimplemented is the name of the type to embed; Package.name gives it.
	unimplemented string
}

// A Method is one method of a service.
type Method struct {
	Name      string // in Go
	ProtoName string // in the .proto file
	Comments  Comments
	Place     string // as Place returns it

	// Request and Response are the types of the messages, as the generated
	// file has to write them.
	Request, Response string
	// ClientStreams and ServerStreams say which sides send a stream of messages.
	ClientStreams, ServerStreams bool

	service *Service
	// fullNameConstant is the name of the constant with the method's full name;
	// Package.name gives it.
	fullNameConstant string
}

// Comments are what the .proto file says of a declaration.
type Comments struct {
	Leading, Trailing string // texts, without the marks of comments
	Deprecated        bool
}

// streams tells whether either side sends a stream.
func (m *Method) streams() bool { return m.ClientStreams || m.ServerStreams }

// calledAs returns the name that the generated client puts on the wire.
//
// A method's name in the .proto file and its name in Go differ where the first
// is not in CamelCase. Upstream's servers answer to the name in Go alone,
// while its clients call unary methods by the first and streams by the second:
// so a client calls as those do, and a server answers to both.
func (m *Method) calledAs() string {
	if m.streams() {
		return m.Name
	}
	return m.ProtoName
}

// servedAs returns the names under which the generated server answers.
func (m *Method) servedAs() []string {
	return slices.Compact([]string{m.ProtoName, m.Name})
}

// hasTwoNames tells whether the name of m in the .proto file is not its name in Go.
func (m *Method) hasTwoNames() bool { return m.ProtoName != m.Name }

// fullName returns what interceptors see of a call by the generated client.
func (m *Method) fullName() string { return "/" + m.service.FullName + "/" + m.calledAs() }

// unary returns the methods of s that are not streams.
func (s *Service) unary() []*Method {
	return slices.DeleteFunc(slices.Clone(s.Methods), (*Method).streams)
}

// streams returns the methods of s that are streams.
func (s *Service) streams() []*Method {
	return slices.DeleteFunc(slices.Clone(s.Methods), func(m *Method) bool { return !m.streams() })
}

// The names of what is generated. The exported ones are upstream's, but for two
// that Package.name chooses. The others begin with "ttrpc", which keeps
// them apart from the names that people and other generators choose; their
// endings keep those of a service apart from those of a stream.

func (s *Service) serviceName() string  { return s.Name + "Service" }
func (s *Service) registerName() string { return "Register" + s.Name + "Service" }
func (s *Service) newClient() string    { return "New" + s.Name + "Client" }

// clientName is the name of the interface of the client. A service without
// streams has but one interface, for both sides.
func (s *Service) clientName() string {
	if len(s.streams()) == 0 {
		return s.serviceName()
	}
	return s.Name + "Client"
}

func (m *Method) serverStream() string { return m.service.Name + "_" + m.Name + "Server" }
func (m *Method) clientStream() string { return m.service.Name + "_" + m.Name + "Client" }

// exportedNames returns the exported names that upstream has for s itself.
func (s *Service) exportedNames() []string {
	names := []string{s.serviceName(), s.registerName(), s.newClient()}
	if client := s.clientName(); client != s.serviceName() {
		names = append(names, client)
	}
	return names
}

// exportedNames returns the exported names that upstream has for m.
func (m *Method) exportedNames() []string {
	if !m.streams() {
		return nil
	}
	return []string{m.serverStream(), m.clientStream()}
}
