// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package stubgen

import (
	"errors"
	"fmt"
	"io"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/pluginpb"
)

// RunPlugin runs a program that is a plugin of protoc: it reads a request from
// stdin and writes the response to stdout. Respond makes the one of the other,
// both encoded. Run by hand, the program only tells its version.
//
// The error is for what keeps the program from talking to a compiler. What is
// wrong with the .proto files or the options belongs in the response: the
// compiler knows how to show it.
func RunPlugin(name string, args []string, stdin io.Reader, stdout io.Writer, respond func(request []byte) ([]byte, error)) error {
	switch {
	case len(args) == 0:
	case len(args) == 1 && (args[0] == "--version" || args[0] == "-version"):
		_, err := fmt.Fprintln(stdout, name, Version)
		return err
	default:
		return fmt.Errorf("unknown argument %q: this is a plugin that protoc runs; by hand, only --version makes sense", args[0])
	}

	input, err := io.ReadAll(stdin)
	if err != nil {
		return fmt.Errorf("reading the request: %w", err)
	}
	request := new(pluginpb.CodeGeneratorRequest)
	if err := proto.Unmarshal(input, request); err != nil {
		return fmt.Errorf("reading the request: %w", err)
	}
	if len(request.GetFileToGenerate()) == 0 {
		return errors.New("the request asks for no file: this is a plugin that protoc runs")
	}
	output, err := respond(input)
	if err != nil {
		return err
	}
	_, err = stdout.Write(output)
	return err
}
