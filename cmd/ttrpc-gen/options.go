// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/containerd/ttrpc/cmd/ttrpc-gen/generate"
	"github.com/containerd/ttrpc/internal/stubgen"
)

// usage describes the options.
const usage = `usage: ttrpc-gen [options] file.proto...

  -I dir              search imports, and the files given, in dir; may be repeated
                      (default the working directory)
  --out dir           write below dir, which must exist (default the working directory)
  --paths how         where a file goes below the output directory: import (by its Go
                      import path, the default) or source_relative (by its .proto
                      file's place below its import directory)
  --module path       with --paths import: leave path off the directories
  -M file.proto=path  the Go import path of a .proto file; may be repeated
  --prefix P          begin all names made from a service's with P
  --only what         generate messages or stubs alone
  --opt list          options as protoc passes them to plugins: paths=source_relative,prefix=P
  --version           print the version and exit
  --help              print this and exit
`

// run runs the program. The version and the usage go to stdout, warnings to
// stderr.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	c, err := parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		_, err = io.WriteString(stdout, usage)
		return err
	case err != nil:
		return fmt.Errorf("ttrpc-gen: %w", err)
	case c.version:
		_, err = fmt.Fprintln(stdout, "ttrpc-gen", stubgen.Version)
		return err
	}
	c.options.Warn = func(warning string) { fmt.Fprintln(stderr, warning) }
	return generate.Run(ctx, c.out, c.options)
}

// A commandLine is what the arguments ask for.
type commandLine struct {
	options generate.Options
	out     string
	version bool
}

// parse reads the arguments of the program.
func parse(args []string) (*commandLine, error) {
	c := &commandLine{options: generate.Options{Packages: make(map[string]string)}}
	flags := flag.NewFlagSet("ttrpc-gen", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // the error says it, and main prints that
	flags.Usage = func() {}
	flags.Func("I", "", c.addImportPaths)
	flags.Func("proto_path", "", c.addImportPaths)
	flags.StringVar(&c.out, "out", ".", "")
	flags.StringVar(&c.options.Paths, "paths", "", "")
	flags.StringVar(&c.options.Module, "module", "", "")
	flags.Func("M", "", c.addPackage)
	flags.StringVar(&c.options.Prefix, "prefix", "", "")
	flags.StringVar(&c.options.Only, "only", "", "")
	flags.Func("opt", "", c.setOptions)
	flags.BoolVar(&c.version, "version", false, "")

	// The flags may stand anywhere, while package flag stops at the first file.
	for args = detached(args); len(args) > 0; {
		if err := flags.Parse(args); err != nil {
			return nil, err
		}
		rest := flags.Args()
		if parsed := len(args) - len(rest); parsed > 0 && args[parsed-1] == "--" {
			c.options.Files = append(c.options.Files, rest...)
			break
		}
		if len(rest) == 0 {
			break
		}
		c.options.Files = append(c.options.Files, rest[0])
		args = rest[1:]
	}
	return c, nil
}

// detached splits -Idir and -Mfile.proto=path, as protoc has them, in two.
func detached(args []string) []string {
	var split []string
	for i, arg := range args {
		if arg == "--" {
			return append(split, args[i:]...)
		}
		if len(arg) > 2 && (arg[:2] == "-I" || arg[:2] == "-M") && arg[2] != '=' {
			split = append(split, arg[:2], arg[2:])
			continue
		}
		split = append(split, arg)
	}
	return split
}

// addImportPaths adds a list of directories.
func (c *commandLine) addImportPaths(list string) error {
	if list == "" {
		return errors.New("want a directory")
	}
	c.options.ImportPaths = append(c.options.ImportPaths, filepath.SplitList(list)...)
	return nil
}

// addPackage adds the Go package of a .proto file.
func (c *commandLine) addPackage(mapping string) error {
	file, path, _ := strings.Cut(mapping, "=")
	if file == "" || path == "" {
		return errors.New("want file.proto=import/path")
	}
	c.options.Packages[file] = path
	return nil
}

// setOwnOption sets an option that only protoc-gen-go-ttrpc has.
func (c *commandLine) setOwnOption(name, value string) error {
	own := stubgen.Options{Prefix: c.options.Prefix}
	if err := own.Set(name, value); err != nil {
		return err
	}
	c.options.Prefix = own.Prefix
	return nil
}

// setOptions sets what protoc would pass to a plugin.
func (c *commandLine) setOptions(list string) error {
	for _, option := range strings.Split(list, ",") {
		name, value, _ := strings.Cut(option, "=")
		var err error
		switch {
		case name == "":
		case name == "paths":
			c.options.Paths = value
		case name == "module":
			c.options.Module = value
		case name[0] == 'M':
			err = c.addPackage(option[1:])
		default:
			err = c.setOwnOption(name, value)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
