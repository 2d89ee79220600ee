// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

// Command generators shows that the generators of this repository work with what
// people use: protoc, buf, protobuild and Go's own tools. It generates code for
// the .proto files in testdata in most of the ways that GENERATORS.md describes,
// fails if the ways differ in what they write, or if that does not compile, and
// prints each command that it runs.
//
// Run it in its own directory, by `go run .`. What stands in the header of a
// generated file about the version of the compiler is not compared: that is where
// they may differ.
//
// protoc is used if it is installed. Buf and protobuild are built from the
// versions that tools/ pins; buf takes minutes to build the first time, and
// -without buf leaves it out.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
)

func main() {
	var without names
	protoc := flag.String("protoc", "", "use the protoc in `dir` instead of the one in PATH; protobuild searches imports in /usr/local/include and /usr/include")
	flag.Var(&without, "without", "leave out `tool`: protoc, buf or protobuild; may be repeated")
	keep := flag.Bool("keep", false, "keep what was generated, and say where")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	ok, err := run(ctx, *protoc, without, *keep)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "generators:", err)
		os.Exit(2)
	}
	if !ok {
		os.Exit(1)
	}
}

// names is a flag that names tools, and may be repeated.
type names []string

func (n *names) String() string { return strings.Join(*n, ",") }

func (n *names) Set(name string) error {
	if !slices.Contains(optionalTools, name) {
		return fmt.Errorf("there are %s", strings.Join(optionalTools, ", "))
	}
	*n = append(*n, name)
	return nil
}

// run tries every way, and reports on each; ok tells whether none failed.
func run(ctx context.Context, protoc string, without []string, keep bool) (ok bool, err error) {
	dir, err := os.MkdirTemp("", "ttrpc-generators-")
	if err != nil {
		return false, err
	}
	if keep {
		fmt.Println("everything is in", dir)
	} else {
		defer os.RemoveAll(dir)
	}
	t, err := newTrial(ctx, os.Stdout, dir, protoc, without)
	if err != nil {
		return false, err
	}

	var tried, skipped, failed int
	for _, w := range ways {
		fmt.Printf("\n== %s: %s\n", w.set, w.name)
		if reason := t.lacks(w); reason != "" {
			fmt.Println("SKIPPED:", reason)
			skipped++
			continue
		}
		tried++
		verdict, err := t.try(ctx, w)
		if ctx.Err() != nil {
			return false, ctx.Err()
		}
		if err != nil {
			verdict = fmt.Sprint("FAILED: ", err)
			failed++
		}
		fmt.Println(verdict)
	}
	fmt.Printf("\n%d ways tried, %d failed; %d skipped\n", tried, failed, skipped)
	return failed == 0, nil
}
