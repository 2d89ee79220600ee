// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package generate_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/containerd/ttrpc/cmd/ttrpc-gen/generate"
)

// A build script writes the code for some files next to them.
func ExampleRun() {
	module, err := os.MkdirTemp("", "module") // with a .proto file in the directory api
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(module)
	api := filepath.Join(module, "api")
	const hello = `syntax = "proto3"; option go_package = "example.com/hello/api"; message Hello {} service Greeter { rpc Greet(Hello) returns (Hello); }`
	if err := errors.Join(os.Mkdir(api, 0o777), os.WriteFile(filepath.Join(api, "hello.proto"), []byte(hello), 0o666)); err != nil {
		log.Fatal(err)
	}

	err = generate.Run(context.Background(), module, generate.Options{
		Files:       []string{"api/hello.proto"},
		ImportPaths: []string{module},
		Paths:       "source_relative",
		Warn:        func(warning string) { log.Print(warning) },
	})
	if err != nil {
		log.Fatal(err) // one line per problem, with its place
	}
	files, err := filepath.Glob(filepath.Join(api, "*"))
	if err != nil {
		log.Fatal(err)
	}
	for _, file := range files {
		fmt.Println(filepath.Base(file))
	}
	// Output:
	// hello.pb.go
	// hello.proto
	// hello_ttrpc.pb.go
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
