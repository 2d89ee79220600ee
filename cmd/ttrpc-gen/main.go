// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

// Ttrpc-gen turns .proto files into Go code for ttrpc, without protoc and
// without plugins: the messages as protoc-gen-go writes them, and the clients
// and servers as protoc-gen-go-ttrpc does.
//
//	ttrpc-gen [options] file.proto...
//
// It is a tool that a module pins in its go.mod, for which GENERATORS.md, at the
// top of the repository, says what else that needs:
//
//	go get -tool github.com/containerd/ttrpc/cmd/ttrpc-gen
//	go tool ttrpc-gen --paths source_relative api/hello.proto
//
// A Go file in the directory api has this line for go generate. With -I and --out
// the .proto file keeps its name, under which others import it, api/hello.proto:
//
//	//go:generate go tool ttrpc-gen -I .. --out .. --paths source_relative hello.proto
//
// # Options
//
// Options may stand before, between and after the files, with one dash or two,
// and "=" or a space before their value.
//
//	-I dir              Search imports, and the files given, in dir. May be
//	                    repeated, or be a list as in PATH. The default is the
//	                    working directory. Also --proto_path.
//	--out dir           Write below dir, which must exist. The default is the
//	                    working directory.
//	--paths how         Where a file goes below the output directory: "import"
//	                    (by its Go import path, the default) or "source_relative"
//	                    (by its .proto file's place below its import directory).
//	--module path       With --paths import: leave path off the directories.
//	-M file.proto=path  The Go import path of a .proto file, for want of a
//	                    go_package option, or in place of it. "path;name" gives
//	                    the package's name, too. May be repeated.
//	--prefix P          Begin all names made from a service's with P.
//	--only what         Generate "messages" or "stubs" alone.
//	--opt list          Options as protoc passes them to plugins, separated by
//	                    commas: paths=, module=, prefix= and Mfile.proto=path.
//	--version           Print the version and exit.
//	--help              Print the options and exit.
//
// # What it compiles
//
// Proto2, proto3, and the editions 2023 and 2024. Imports of
// google/protobuf/*.proto need no file, nor do those of google/rpc/status.proto,
// code.proto and error_details.proto, unless a file of edition 2024 is among the
// others.
//
// # Errors
//
// Each thing that is wrong is one line on the standard error output, which begins
// with its place, file:line:column, if it is in a .proto file. Then, the exit
// status is 1, and no file is written or changed. Warnings, of unused imports for
// example, look alike and change nothing else.
//
// A generated file that would stay the same is not written.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	context.AfterFunc(ctx, stop) // a second interrupt kills
	os.Exit(status(run(ctx, os.Args[1:], os.Stdout, os.Stderr), os.Stderr))
}

// status returns the exit status that goes with what run returned, and says what
// was wrong.
func status(err error, stderr io.Writer) int {
	if err == nil {
		return 0
	}
	if errors.Is(err, context.Canceled) {
		err = errors.New("interrupted")
	}
	fmt.Fprintln(stderr, err)
	return 1
}
