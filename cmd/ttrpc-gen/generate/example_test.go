// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package generate_test

import (
	"context"
	"fmt"
	"log"

	"github.com/containerd/ttrpc/cmd/ttrpc-gen/generate"
)

// A build script writes the code for some files next to them.
func ExampleRun() {
	err := generate.Run(context.Background(), "../../..", generate.Options{
		Files:       []string{"../../../example/example.proto"},
		ImportPaths: []string{"../../.."},
		Paths:       "source_relative",
		Warn:        func(warning string) { log.Print(warning) },
	})
	if err != nil {
		log.Fatal(err) // one line per problem, with its place
	}
}

// Code may be generated from memory into memory.
func ExampleGenerate() {
	files, err := generate.Generate(context.Background(), generate.Options{
		Files: []string{"hello.proto"},
		Sources: map[string]string{"hello.proto": `
			syntax = "proto3";
			package hello;
			option go_package = "example.com/hello";
			message Request { string name = 1; }
			message Response { string greeting = 1; }
			service Hello { rpc Greet(Request) returns (Response); }`},
		Module: "example.com/hello",
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, file := range files {
		fmt.Println(file.Name)
	}
	// Output:
	// hello.pb.go
	// hello_ttrpc.pb.go
}

// What is wrong is found before anything is written.
func ExampleGenerate_errors() {
	_, err := generate.Generate(context.Background(), generate.Options{
		Files: []string{"hello.proto"},
		Sources: map[string]string{"hello.proto": `syntax = "proto3";
option go_package = "example.com/hello";
service Hello {
  rpc Greet(Request) returns (Response);
}`},
	})
	fmt.Println(err)
	// Output:
	// hello.proto:4:13: method Hello.Greet: unknown request type Request
	// hello.proto:4:31: method Hello.Greet: unknown response type Response
}
