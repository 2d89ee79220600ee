// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package stubgen

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// A Package knows the names that a Go package declares: the messages of all its
// files, and what is generated for its services. It reports names that would be
// declared twice, and finds free ones for what upstream does not generate.
//
// A Package sees what the generator is shown in one run. Use it in this order:
// DeclareOther for what comes from other generators, in all files, then AddServices.
type Package struct {
	declared namespace
}

// NewPackage returns a package that declares nothing.
func NewPackage() *Package { return &Package{make(namespace)} }

// DeclareOther notes a name that another generator declares in the package, such
// as that of a message. It is that one's business to declare none twice. What is
// "message pkg.M" or the like, place is what Place returns.
func (p *Package) DeclareOther(name, what, place string) {
	p.declared[name] = declaration{what, place}
}

// BeginningWith returns the names declared by then that begin with a prefix, in
// their order.
func (p *Package) BeginningWith(prefix string) []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(p.declared)), func(name string) bool {
		return !strings.HasPrefix(name, prefix)
	})
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
	p.name(files)
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
		d := m.declaration()
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

// name gives names to what upstream does not generate. What can be generated
// without them must not fail for their sake: where a name is taken, they have
// another. It does not depend on the order of the files who has which.
func (p *Package) name(files []*File) {
	var services []*Service
	var methods []*Method
	for _, file := range files {
		services = append(services, file.Services...)
	}
	slices.SortStableFunc(services, func(a, b *Service) int { return cmp.Compare(a.FullName, b.FullName) })
	for _, s := range services {
		s.unimplemented = p.declared.declareFree("Unimplemented"+s.serviceName(), declaration{"service " + s.FullName, s.Place})
		methods = append(methods, s.Methods...)
	}
	for _, m := range methods {
		m.fullNameConstant = p.declared.declareFree(m.service.Name+"_"+m.Name+"_FullMethodName", m.declaration())
	}
}

// A declaration is something in a .proto file to which a Go name belongs.
type declaration struct {
	what  string // "message pkg.M"
	place string // as Place returns it
}

// declaration returns m as something to which names belong.
func (m *Method) declaration() declaration {
	return declaration{"method " + m.service.FullName + "." + m.ProtoName, m.Place}
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
