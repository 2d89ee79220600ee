// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

// Command stubs shows that generated code and library may come from different
// releases: it generates stubs with upstream's generators and with the one of
// this tree, links each with upstream's libraries and with the one of this tree,
// and lets every client so made call every server.
//
// Run it in its own directory, by `go run .`. It installs upstream's generators
// into a temporary directory, so it needs the network or a filled module cache.
// It prints a line per pair, and exits with status 1 if a call does not end as it
// should.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/pluginpb"
)

// tree stands for the sources around this directory, in the place of a release.
const tree = "tree"

// versions are those of the generator, and those of the library.
var versions = []string{"v1.2.8", "v1.2.10", tree}

func main() {
	var r runner
	flag.BoolVar(&r.verbose, "v", false, "print how every call ended")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	ok, err := r.run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "stubs:", err)
		os.Exit(2)
	}
	if !ok {
		os.Exit(1)
	}
}

// A runner holds the flags, and what was made for this run.
type runner struct {
	verbose bool
	dir     string // temporary
}

// A peer is a program that can be a server or a client.
type peer struct{ stubs, library string }

func (p peer) String() string { return fmt.Sprintf("stubs %-7s library %-7s", p.stubs, p.library) }

// program returns the path of the program.
func (r *runner) program(p peer) string {
	return filepath.Join(r.dir, "peer-"+p.stubs+"-"+p.library+".exe")
}

// run does it all; ok tells whether every call ended as it should.
func (r *runner) run(ctx context.Context) (ok bool, err error) {
	if r.dir, err = os.MkdirTemp("", "ttrpc-stubs-"); err != nil {
		return false, err
	}
	defer os.RemoveAll(r.dir)

	var peers []peer
	for _, version := range versions {
		overlay, err := r.generate(ctx, version)
		if err != nil {
			return false, err
		}
		for _, library := range versions {
			p := peer{stubs: version, library: library}
			if err := r.build(ctx, p, overlay); err != nil {
				return false, err
			}
			peers = append(peers, p)
		}
	}
	fmt.Println("calls:", strings.Join(all, ", "))
	ok = true
	for _, server := range peers {
		allEnded, err := r.callFromAll(ctx, server, peers)
		if err != nil {
			return false, err
		}
		ok = ok && allEnded
	}
	if ok {
		fmt.Printf("%d pairs, every call as it should be\n", len(peers)*len(peers))
	}
	return ok, nil
}

// generate installs a generator and generates stubs with it. It returns the name
// of a file that lets go see these in the place of those in the directory calls.
func (r *runner) generate(ctx context.Context, version string) (overlay string, err error) {
	dir := filepath.Join(r.dir, version)
	if err := r.install(ctx, version, dir); err != nil {
		return "", err
	}
	stubs, err := stubsBy(ctx, filepath.Join(dir, "protoc-gen-go-ttrpc"))
	if err != nil {
		return "", fmt.Errorf("generator %s: %w", version, err)
	}
	generated := filepath.Join(dir, "generated.go")
	if err := os.WriteFile(generated, []byte(stubs), 0o666); err != nil {
		return "", err
	}
	replaced, err := filepath.Abs("calls/calls_ttrpc.pb.go")
	if err != nil {
		return "", err
	}
	replacements, err := json.Marshal(map[string]any{"Replace": map[string]string{replaced: generated}})
	if err != nil {
		return "", err
	}
	overlay = filepath.Join(dir, "overlay.json")
	return overlay, os.WriteFile(overlay, replacements, 0o666)
}

// stubsBy runs a generator, and returns what it generates.
func stubsBy(ctx context.Context, generator string) (string, error) {
	request, err := request()
	if err != nil {
		return "", err
	}
	c := exec.CommandContext(ctx, generator)
	c.Stdin = bytes.NewReader(request)
	written, err := output(c)
	if err != nil {
		return "", err
	}
	response := new(pluginpb.CodeGeneratorResponse)
	if err := proto.Unmarshal(written, response); err != nil {
		return "", err
	}
	if response.GetError() != "" || len(response.GetFile()) != 1 {
		return "", fmt.Errorf("%d files, error: %q", len(response.GetFile()), response.GetError())
	}
	return response.GetFile()[0].GetContent(), nil
}

// install puts a generator into a directory.
func (r *runner) install(ctx context.Context, version, dir string) error {
	const generator = "github.com/containerd/ttrpc/cmd/protoc-gen-go-ttrpc"
	c := exec.CommandContext(ctx, "go", "install", generator+"@"+version)
	c.Dir = r.dir // which is in no module
	if version == tree {
		c = exec.CommandContext(ctx, "go", "install", "-buildvcs=false", generator)
		c.Dir = "../.."
	}
	c.Env = append(os.Environ(), "GOBIN="+dir)
	_, err := output(c)
	return err
}

// request returns what protoc would send to the generators.
func request() ([]byte, error) {
	compiled, err := os.ReadFile("calls/calls.binpb")
	if err != nil {
		return nil, err
	}
	set := new(descriptorpb.FileDescriptorSet)
	if err := proto.Unmarshal(compiled, set); err != nil {
		return nil, err
	}
	return proto.Marshal(&pluginpb.CodeGeneratorRequest{
		FileToGenerate: []string{set.GetFile()[len(set.GetFile())-1].GetName()}, // after its imports
		ProtoFile:      set.GetFile(),
	})
}

// build links the stubs that an overlay brings with a library.
func (r *runner) build(ctx context.Context, p peer, overlay string) error {
	args := []string{"build", "-trimpath", "-buildvcs=false", "-overlay=" + overlay, "-o", r.program(p)}
	if p.library != tree {
		args = append(args, "-modfile="+p.library+".mod")
	}
	_, err := output(exec.CommandContext(ctx, "go", append(args, "./peer")...))
	return err
}

// output runs a program and returns what it writes. Nothing in the environment
// turns go from what this directory says.
func output(c *exec.Cmd) ([]byte, error) {
	c.Env = append(c.Environ(), "GOWORK=off", "GOFLAGS=")
	var stderr bytes.Buffer
	c.Stderr = &stderr
	written, err := c.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w\n%s", strings.Join(c.Args, " "), err, &stderr)
	}
	return written, nil
}

// patience is how long a server may take to start, and a client for its calls.
const patience = 15 * time.Second

// callFromAll starts a server and calls it from each client; ok tells whether
// every call ended as it should.
func (r *runner) callFromAll(ctx context.Context, server peer, clients []peer) (ok bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(1+len(clients))*patience)
	defer cancel()
	socket := filepath.Join(r.dir, "socket")
	c := exec.CommandContext(ctx, r.program(server), "serve", socket)
	c.Stderr = os.Stderr
	stdin, err := c.StdinPipe()
	if err != nil {
		return false, err
	}
	stdout, err := c.StdoutPipe()
	if err != nil {
		return false, err
	}
	if err := c.Start(); err != nil {
		return false, err
	}
	if _, err := stdout.Read(make([]byte, 1)); err != nil { // it says that it serves
		return false, errors.Join(fmt.Errorf("%s: %w", server, err), c.Wait())
	}
	ok = true
	for _, client := range clients {
		ok = r.callFrom(ctx, server, client, socket) && ok
	}
	if err := stdin.Close(); err != nil {
		return false, err
	}
	if err := c.Wait(); err != nil {
		return false, fmt.Errorf("%s: %w", server, err)
	}
	return ok, nil
}

// callFrom makes every call from a client to a server, and prints what came of
// it; ok tells whether each ended as it should.
func (r *runner) callFrom(ctx context.Context, server, client peer, socket string) (ok bool) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	c := exec.CommandContext(ctx, r.program(client), "call", socket)
	var stderr bytes.Buffer
	c.Stderr = &stderr
	output, err := c.Output()

	wrong := wrongEnds(server, string(output))
	if err != nil {
		wrong = append(wrong, "the client ended with "+err.Error())
	}
	verdict := fmt.Sprintf("%d calls OK", len(all))
	if server.stubs != tree {
		verdict = fmt.Sprintf("%d calls OK, %s Unimplemented as ever", len(all)-len(unknown), strings.Join(unknown, " and "))
	}
	if len(wrong) > 0 {
		verdict = "WRONG: " + strings.Join(wrong, "; ")
	}
	fmt.Printf("server: %s client: %s %s\n", server, client, verdict)
	if r.verbose || len(wrong) > 0 {
		fmt.Printf("%s%s", output, &stderr)
	}
	return len(wrong) == 0
}

// all are the calls that a client makes, in their order.
var all = []string{
	"Unary", "ClientStream", "ServerStream", "Bidi", "Nothing", "UnaryFails", "StreamFails",
	"snake_case", "lower", "client_stream", "server_stream", "bidi_stream", "Do",
}

// unknown are the unary calls that servers do not know whose stubs upstream's
// generators wrote: those do not know a method by its name in the .proto file,
// and all clients, theirs too, call it by that.
var unknown = []string{"snake_case", "lower"}

// wrongEnds compares a client's output with what it should be.
func wrongEnds(server peer, output string) []string {
	ends := make(map[string]string)
	for line := range strings.Lines(output) {
		name, code, _ := strings.Cut(strings.TrimSpace(line), " ")
		ends[name] = code
	}
	want := make(map[string]string)
	for _, name := range all {
		want[name] = "OK"
	}
	if server.stubs != tree {
		for _, name := range unknown {
			want[name] = "Unimplemented"
		}
	}
	var wrong []string
	for _, name := range all {
		if ends[name] != want[name] {
			wrong = append(wrong, fmt.Sprintf("%s ended with %q, not %q", name, ends[name], want[name]))
		}
	}
	return wrong
}
