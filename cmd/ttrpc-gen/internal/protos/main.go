// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

// Protos generates the code for the .proto files of this repository that
// protos.txt lists; the other ones are there to try generators with. It runs in the directory of the module ttrpc-gen:
//
//	go run ./internal/protos          # write the files
//	go run ./internal/protos -check   # only tell which differ
package main

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/containerd/ttrpc/cmd/ttrpc-gen/generate"
	"google.golang.org/protobuf/proto"
)

//go:embed protos.txt
var protosTxt string

func main() {
	root := flag.String("root", "../..", "the repository's root `dir`")
	check := flag.Bool("check", false, "write nothing, and fail if a file is not what would be written")
	flag.Parse()
	if err := run(*root, *check); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// run writes or checks all generated files of the repository at root.
func run(root string, check bool) error {
	entries, err := parse(protosTxt)
	if err != nil {
		return err
	}
	var files []generate.File
	for _, e := range entries {
		generated, err := e.generate(root)
		if err != nil {
			return err
		}
		files = append(files, generated...)
	}
	if check {
		return compare(root, files)
	}
	return generate.Write(root, files)
}

// An entry is a line of protos.txt.
type entry struct {
	proto       string
	prefix      string
	descriptors bool
}

// parse reads protos.txt.
func parse(text string) ([]entry, error) {
	var entries []entry
	for i, line := range strings.Split(text, "\n") {
		fields := strings.Fields(line)
		if len(fields) == 0 || strings.HasPrefix(fields[0], "#") {
			continue
		}
		e := entry{proto: fields[0]}
		for _, option := range fields[1:] {
			name, value, _ := strings.Cut(option, "=")
			switch name {
			case "prefix":
				e.prefix = value
			case "descriptors":
				e.descriptors = true
			default:
				return nil, fmt.Errorf("protos.txt:%d: unknown option %q", i+1, option)
			}
		}
		entries = append(entries, e)
	}
	return entries, nil
}

// generate returns the files that belong to an entry.
func (e entry) generate(root string) ([]generate.File, error) {
	program, err := generate.Compile(context.Background(), generate.Options{
		Files:       []string{filepath.Join(root, e.proto)},
		ImportPaths: []string{root},
		Paths:       "source_relative",
		Prefix:      e.prefix,
	})
	if err != nil {
		return nil, err
	}
	files, err := program.Generate()
	if err != nil || !e.descriptors {
		return files, err
	}
	set, err := proto.MarshalOptions{Deterministic: true}.Marshal(program.DescriptorSet())
	return append(files, generate.File{Name: strings.TrimSuffix(e.proto, ".proto") + ".binpb", Content: set}), err
}

// compare reports the files that are not there as they were generated.
func compare(root string, files []generate.File) error {
	var stale []error
	for _, file := range files {
		have, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(file.Name)))
		switch {
		case err != nil:
			stale = append(stale, err)
		case !bytes.Equal(have, file.Content):
			stale = append(stale, fmt.Errorf("%s: line %d: not what its .proto file generates", file.Name, differsAt(have, file.Content)))
		}
	}
	if len(stale) > 0 {
		stale = append(stale, errors.New("run make protos"))
	}
	return errors.Join(stale...)
}

// differsAt returns the number of the first line in which a and b differ.
func differsAt(a, b []byte) int {
	common := 0
	for common < min(len(a), len(b)) && a[common] == b[common] {
		common++
	}
	return 1 + bytes.Count(a[:common], []byte("\n"))
}
