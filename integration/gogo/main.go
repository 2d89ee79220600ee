// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

// Command gogo shows that who generates gogo's messages may take the generator
// and the library from different releases: it generates messages and stubs with
// the generators of v1.2.8, which was the last release to have one, and of this
// tree, links them with upstream's libraries and with the one of this tree, and
// lets every client so made call every server, as far as the libraries can.
//
// Of upstream's libraries, that of v1.1.2 can send gogo's messages, but has no
// streams, and none of what stubs of today register. The later ones have these,
// and send google.golang.org/protobuf's messages only.
//
// Run it in its own directory, by `go run .`. It installs upstream's generator
// into a temporary directory, so it needs the network or a filled module cache.
// It prints a line per pair, with the number of calls by the kind of their
// messages, and exits with status 1 if a call does not end as it should.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/pluginpb"
)

// tree stands for the sources around this directory, in the place of a release.
const tree = "tree"

// lastGogo is the last release whose library can send gogo's messages.
const lastGogo = "v1.1.2"

// libraries are the releases to link each generator's stubs with. What v1.2.8
// generates is what v1.1.2 does.
var libraries = map[string][]string{
	"v1.2.8": {lastGogo, "v1.2.8", "v1.2.10", tree},
	tree:     {"v1.2.8", "v1.2.10", tree},
}

// The .proto files that stubs are generated for, and where in the repository
// they are. What v1.2.8 makes of the second, which is about streams, is no use.
const (
	protos       = "cmd/protoc-gen-gogottrpc/testdata/shapes/"
	unaryProto   = protos + "shapes.proto"
	streamsProto = protos + "streams.proto"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	ok, err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "gogo:", err)
		os.Exit(2)
	}
	if !ok {
		os.Exit(1)
	}
}

// A peer is a program that can be a server or a client.
type peer struct {
	stubs, library string
	program        string // its path
}

func (p peer) String() string { return fmt.Sprintf("stubs %-6s library %-7s", p.stubs, p.library) }

// run does it all; ok tells whether every call ended as it should.
func run(ctx context.Context) (ok bool, err error) {
	dir, err := os.MkdirTemp("", "ttrpc-gogo-")
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(dir)

	var peers []peer
	for _, generator := range []string{"v1.2.8", tree} {
		overlay, err := generate(ctx, generator, filepath.Join(dir, generator))
		if err != nil {
			return false, fmt.Errorf("generator %s: %w", generator, err)
		}
		for _, library := range libraries[generator] {
			p := peer{generator, library, filepath.Join(dir, "peer-"+generator+"-"+library+".exe")}
			if err := p.build(ctx, overlay); err != nil {
				return false, fmt.Errorf("%v: %w", p, err)
			}
			peers = append(peers, p)
		}
	}
	ok = true
	silent := 0
	for _, server := range peers {
		allEnded, err := callFromAll(ctx, server, peers, dir)
		if err != nil {
			return false, err
		}
		ok = ok && allEnded
		for _, client := range peers {
			if len(client.calls(server)) == 0 {
				silent++
			}
		}
	}
	if ok {
		pairs := len(peers) * len(peers)
		fmt.Printf("%d pairs: every call as it should be in %d, no messages in common in %d\n", pairs, pairs-silent, silent)
	}
	return ok, nil
}

// calls returns the kinds of calls that p can make to a server.
func (p peer) calls(server peer) (kinds []string) {
	streams := p.stubs == tree && server.stubs == tree
	if p.library != lastGogo && server.library != lastGogo {
		kinds = append(kinds, "google")
		if streams {
			kinds = append(kinds, "google-streams")
		}
	}
	if p.sendsGogo() && server.sendsGogo() {
		kinds = append(kinds, "gogo")
		if streams {
			kinds = append(kinds, "gogo-streams")
		}
	}
	return kinds
}

// sendsGogo tells whether p can send gogo's messages.
func (p peer) sendsGogo() bool { return p.library == lastGogo || p.library == tree }

// generate installs a generator into a directory and runs it. It returns the name
// of a file that lets go see what was generated as a package of this module.
func generate(ctx context.Context, version, dir string) (overlay string, err error) {
	const generator = "github.com/containerd/ttrpc/cmd/protoc-gen-gogottrpc"
	install := command(ctx, "go", "install", "-buildvcs=false", generator+"@"+version)
	if version == tree {
		install = command(ctx, "go", "install", "-buildvcs=false", generator)
		install.Dir = "../.."
	}
	install.Env = append(install.Env, "GOBIN="+dir)
	if _, err := output(install); err != nil {
		return "", err
	}
	response, err := stubsBy(ctx, filepath.Join(dir, filepath.Base(generator)), protosFor(version))
	if err != nil {
		return "", err
	}

	source, err := filepath.Abs("../../" + protos)
	if err != nil {
		return "", err
	}
	here, err := filepath.Abs(".")
	if err != nil {
		return "", err
	}
	replaced := map[string]string{filepath.Join(here, "shapes", "id.go"): filepath.Join(source, "id.go")}
	for _, file := range response.GetFile() {
		name := filepath.Base(file.GetName())
		replaced[filepath.Join(here, "shapes", name)] = filepath.Join(dir, name)
		if err := os.WriteFile(filepath.Join(dir, name), []byte(file.GetContent()), 0o666); err != nil {
			return "", err
		}
	}
	replacements, err := json.Marshal(map[string]any{"Replace": replaced})
	if err != nil {
		return "", err
	}
	overlay = filepath.Join(dir, "overlay.json")
	return overlay, os.WriteFile(overlay, replacements, 0o666)
}

// protosFor returns the .proto files that a generator is to run for.
func protosFor(version string) []string {
	if version == tree {
		return []string{unaryProto, streamsProto}
	}
	return []string{unaryProto}
}

// stubsBy runs a generator, as protoc would.
func stubsBy(ctx context.Context, program string, files []string) (*pluginpb.CodeGeneratorResponse, error) {
	compiled, err := os.ReadFile("../../" + protos + "shapes.binpb")
	if err != nil {
		return nil, err
	}
	set := new(descriptorpb.FileDescriptorSet)
	if err := proto.Unmarshal(compiled, set); err != nil {
		return nil, err
	}
	request, err := proto.Marshal(&pluginpb.CodeGeneratorRequest{
		FileToGenerate: files,
		ProtoFile:      set.GetFile(),
		Parameter:      proto.String("plugins=ttrpc"),
	})
	if err != nil {
		return nil, err
	}
	c := command(ctx, program)
	c.Stdin = bytes.NewReader(request)
	written, err := output(c)
	if err != nil {
		return nil, err
	}
	response := new(pluginpb.CodeGeneratorResponse)
	if err := proto.Unmarshal(written, response); err != nil {
		return nil, err
	}
	if response.GetError() != "" || len(response.GetFile()) != len(files) {
		return nil, fmt.Errorf("%d files, error: %q", len(response.GetFile()), response.GetError())
	}
	return response, nil
}

// build links the stubs that an overlay brings with a library.
func (p peer) build(ctx context.Context, overlay string) error {
	args := []string{"build", "-trimpath", "-buildvcs=false", "-overlay=" + overlay, "-o", p.program}
	if p.library != tree {
		args = append(args, "-modfile="+p.library+".mod")
	}
	if p.stubs == tree {
		args = append(args, "-tags=streams")
	}
	_, err := output(command(ctx, "go", append(args, "./testdata/peer")...))
	return err
}

// callFromAll starts a server and lets every client call it.
func callFromAll(ctx context.Context, server peer, clients []peer, dir string) (ok bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	socket := filepath.Join(dir, "s")
	serve := command(ctx, server.program, "serve", socket)
	stdin, err := serve.StdinPipe() // its end ends the server
	if err != nil {
		return false, err
	}
	stdout, err := serve.StdoutPipe()
	if err != nil {
		return false, err
	}
	serve.Stderr = os.Stderr
	if err := serve.Start(); err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, stdin.Close(), serve.Wait()) }()
	if _, err := stdout.Read(make([]byte, 1)); err != nil { // it says when it serves
		return false, fmt.Errorf("server, %v: %w", server, err)
	}

	ok = true
	for _, client := range clients {
		kinds := client.calls(server)
		if len(kinds) == 0 {
			fmt.Printf("client %v  server %v  no messages in common\n", client, server)
			continue
		}
		ended, err := output(command(ctx, client.program, append([]string{"call", socket}, kinds...)...))
		result := strings.TrimSpace(string(ended))
		if err != nil {
			ok, result = false, "FAILED: "+err.Error()
		}
		fmt.Printf("client %v  server %v  %s\n", client, server, result)
	}
	return ok, nil
}

// command returns a command. Nothing in the environment turns go from what this
// directory says.
func command(ctx context.Context, name string, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, name, args...)
	c.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=")
	return c
}

// output runs a command and returns what it writes.
func output(c *exec.Cmd) ([]byte, error) {
	var stdout, stderr bytes.Buffer
	c.Stdout, c.Stderr = &stdout, &stderr
	if err := c.Run(); err != nil {
		return nil, fmt.Errorf("%s: %w\n%s", filepath.Base(c.Path), err, &stderr)
	}
	return stdout.Bytes(), nil
}
