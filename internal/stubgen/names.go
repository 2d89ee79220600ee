// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package stubgen

import (
	"errors"
	"fmt"
)

// A Package knows the names that a Go package declares: the messages of all its
// files, and what is generated for its services. It reports names that would be
// declared twice, and finds free ones for what v1.2.10 does not generate.
//
// A Package sees what the generator is shown in one run. Use it in this order:
// DeclareType for all messages and enums of all files, then AddServices.
type Package struct {
	declared namespace
}

// NewPackage returns a package that declares nothing.
func NewPackage() *Package { return &Package{make(namespace)} }

// DeclareType notes what is generated for a message or an enum by another
// generator, whose business it is that these have names of their own. What is
// "message pkg.M" or the like, place is file:line:column.
func (p *Package) DeclareType(name, what, place string) {
	p.declared[name] = declaration{what, place}
}

// AddServices declares the services of all files of the package, and gives names
// to what is generated for them. The error says which names are taken, one per
// line; then, the files cannot be written.
func (p *Package) AddServices(files []*File) error {
	var problems []error
	for _, file := range files {
		for _, s := range file.Services {
			problems = append(problems, p.declare(s))
		}
	}
	for _, file := range files {
		for _, s := range file.Services {
			p.name(s)
		}
	}
	return errors.Join(problems...)
}

// declare declares the names that s has with every generator of ttrpc.
func (p *Package) declare(s *Service) error {
	var problems []error
	d := declaration{"service " + s.FullName, s.Place}
	for _, name := range s.exportedNames() {
		problems = append(problems, p.declared.declare(name, d))
	}
	methods := make(namespace)
	for _, m := range s.Methods {
		m.service = s
		d := declaration{"method " + s.FullName + "." + m.ProtoName, m.Place}
		if err := methods.declare(m.Name, d); err != nil {
			problems = append(problems, err)
			continue // its other names would collide, too
		}
		for _, name := range m.exportedNames() {
			problems = append(problems, p.declared.declare(name, d))
		}
	}
	return errors.Join(problems...)
}

// name gives names to what v1.2.10 does not generate. Input that it can compile
// must not fail for their sake: where a name is taken, they have another.
func (p *Package) name(s *Service) {
	d := declaration{"service " + s.FullName, s.Place}
	s.unimplemented = p.declared.declareFree("Unimplemented"+s.serviceName(), d)
	for _, m := range s.Methods {
		d := declaration{"method " + s.FullName + "." + m.ProtoName, m.Place}
		m.fullNameConstant = p.declared.declareFree(s.Name+"_"+m.Name+"_FullMethodName", d)
	}
}

// A declaration is something in a .proto file to which a Go name belongs.
type declaration struct {
	what  string // "message pkg.M"
	place string // file:line:column
}

// A namespace holds what has been declared under each name.
type namespace map[string]declaration

// declare takes a name for d. The error says who has it already.
func (n namespace) declare(name string, d declaration) error {
	if earlier, taken := n[name]; taken {
		return fmt.Errorf("%s: %s needs the Go name %s, which %s has (%s)", d.place, d.what, name, earlier.what, earlier.place)
	}
	n[name] = d
	return nil
}

// declareFree takes a name for d that nobody has: the given one, if it can be,
// or one that differs from it in underscores at its end.
func (n namespace) declareFree(name string, d declaration) string {
	for n.declare(name, d) != nil {
		name += "_"
	}
	return name
}
