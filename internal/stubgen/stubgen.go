// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

// Package stubgen generates the clients and servers of ttrpc services: it is
// what protoc-gen-go-ttrpc, ttrpc-gen and the package plugin, for gogo's
// generator, have in common.
//
// Descriptors become a File, a Package names what is to be generated, and Write
// writes it. Generate does all three for plugins of protoc; the package plugin
// does them for gogo's generator.
//
// The exported names of the output are those that protoc-gen-go-ttrpc v1.2.10, or
// gogo's of v1.2.8, generates for the same input, and more: this is what the
// comments here call upstream. The output asks nothing of the package ttrpc that
// v1.2.10 does not have.
package stubgen

import (
	"fmt"
	"go/token"
)

// Version is the version of the generator. It stands in the header of what it
// generates.
const Version = "v1.3.0"

// Name is the name of the generator, under which protoc and its like find it.
const Name = "protoc-gen-go-ttrpc"

// Options are the generator's own options.
type Options struct {
	// Prefix stands before the name of each service in all names made from it:
	// with the prefix TTRPC the service Tasks becomes TTRPCTasksService,
	// RegisterTTRPCTasksService, NewTTRPCTasksClient and so on. It keeps them
	// apart from those that another generator writes into the same package.
	Prefix string
}

// Set sets the option called name, as it stands in a parameter of protoc. An
// option that does not exist, or a value that it cannot have, is an error.
func (o *Options) Set(name, value string) error {
	switch name {
	case "prefix":
		o.Prefix = value
		return o.validate()
	case "import_path":
		// Containerd's protobuild gives it to every generator in files of its
		// version 1. Import paths are those of go_package and M<file>.
		return nil
	default:
		return fmt.Errorf("unknown option %q: there are paths, module, M<file> and prefix", name)
	}
}

// validate tells whether the names that o leads to are names in Go.
func (o Options) validate() error {
	if o.Prefix != "" && !token.IsIdentifier(o.Prefix+"X") {
		return fmt.Errorf("prefix: %q cannot begin a Go name", o.Prefix)
	}
	return nil
}
