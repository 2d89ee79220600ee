// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package stubgen

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/compiler/protogen"
)

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

// checkNames reports the names that source's messages and services would
// declare twice in the Go package.
func checkNames(source *protogen.File, services []*service) error {
	declared := make(namespace)
	declareTypes(declared, source, source.Messages, source.Enums)
	var problems []error
	for _, s := range services {
		d := declaration{"service " + s.fullName, place(source, s.source.Location)}
		for _, name := range s.exportedNames() {
			problems = append(problems, declared.declare(name, d))
		}
		methods := make(namespace)
		for _, m := range s.methods {
			d := declaration{"method " + string(m.source.Desc.FullName()), place(source, m.source.Location)}
			if err := methods.declare(m.name, d); err != nil {
				problems = append(problems, err)
				continue // its other names would collide, too
			}
			for _, name := range m.exportedNames() {
				problems = append(problems, declared.declare(name, d))
			}
		}
	}
	return errors.Join(problems...)
}

// declareTypes declares messages and enums, and those that lie in them. That
// they have names of their own is protoc-gen-go's business.
func declareTypes(declared namespace, source *protogen.File, messages []*protogen.Message, enums []*protogen.Enum) {
	for _, e := range enums {
		declared[e.GoIdent.GoName] = declaration{"enum " + string(e.Desc.FullName()), place(source, e.Location)}
	}
	for _, m := range messages {
		declared[m.GoIdent.GoName] = declaration{"message " + string(m.Desc.FullName()), place(source, m.Location)}
		declareTypes(declared, source, m.Messages, m.Enums)
	}
}

// place returns a location in a .proto file as file:line:column.
func place(source *protogen.File, location protogen.Location) string {
	at := source.Desc.SourceLocations().ByPath(location.Path)
	return fmt.Sprintf("%s:%d:%d", source.Desc.Path(), at.StartLine+1, at.StartColumn+1)
}
