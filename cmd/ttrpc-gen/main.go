// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

// Ttrpc-gen turns .proto files into Go code for ttrpc, without protoc and
// without plugins: the messages as protoc-gen-go writes them, and the clients
// and servers as protoc-gen-go-ttrpc does.
//
//	ttrpc-gen [-I dir]... [--out dir] [--paths source_relative] [--prefix P] file.proto...
//
// Imports of google/protobuf/*.proto, and of google/rpc/status.proto,
// code.proto and error_details.proto, need no file. What is wrong with a .proto
// file is reported as file:line:column: message; then, the exit status is 1 and
// no file is written.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/containerd/ttrpc/internal/stubgen"
	"github.com/containerd/ttrpc/cmd/ttrpc-gen/generate"
)

func main() {
	err := run(context.Background(), os.Args[1:], os.Stdout, os.Stderr)
	switch {
	case err == nil:
	case errors.Is(err, flag.ErrHelp):
		os.Exit(0)
	default:
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// run runs the program. Usage goes to stderr, the version to stdout.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var options generate.Options
	flags := flag.NewFlagSet("ttrpc-gen", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // the error says it, and main prints that
	flags.Var((*list)(&options.ImportPaths), "I", "search imports, and the files given, in `dir`; may be repeated (default the working directory)")
	out := flags.String("out", ".", "write the generated files below `dir`, which must exist")
	flags.StringVar(&options.Paths, "paths", "import", "where a file goes below the output directory: `import` (by its Go import path) or source_relative (by its place below its import directory)")
	flags.StringVar(&options.Prefix, "prefix", "", "begin all names made from a service's with `P`")
	version := flags.Bool("version", false, "print the version and exit")

	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(stderr, "usage: ttrpc-gen [options] file.proto...")
		flags.SetOutput(stderr)
		flags.PrintDefaults()
		return err
	} else if err != nil {
		return fmt.Errorf("ttrpc-gen: %w", err)
	}
	if *version {
		_, err := fmt.Fprintln(stdout, "ttrpc-gen", stubgen.Version)
		return err
	}
	options.Files = flags.Args()
	return generate.Run(ctx, *out, options)
}

// A list is a flag that may be given more than once.
type list []string

func (l *list) String() string { return strings.Join(*l, ",") }

func (l *list) Set(value string) error {
	*l = append(*l, value)
	return nil
}
