// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/containerd/ttrpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// A testCase is something that a client does, which has one outcome: "ok" if all
// went as it should, or else what did not.
type testCase struct {
	name string
	run  func(*caller) (outcome string)
}

// list lists the cases.
func list() {
	for _, test := range slices.Concat(unaryCases, streamCases) {
		say(test.name)
	}
}

// callAll runs the cases that the standard input names, one in a line. Over it
// and the standard output go lines of three kinds:
//
//	< name of a case
//	> do command     # for the server; its answer is the next line of input
//	< answer
//	> end outcome    # of the case
//
// There is one connection for all the time, and another one for each case.
func callAll(t transport, unaryOnly bool) error {
	c := &caller{transport: t, unaryOnly: unaryOnly, lines: bufio.NewScanner(os.Stdin)}
	all, err := c.connect()
	if err != nil {
		return err
	}
	defer all.Close()
	cases := make(map[string]testCase)
	for _, test := range slices.Concat(unaryCases, streamCases) {
		cases[test.name] = test
	}
	say("calling")
	for c.lines.Scan() {
		test, ok := cases[c.lines.Text()]
		if !ok {
			return fmt.Errorf("no case is called %q", c.lines.Text())
		}
		say("end " + c.runCase(test, all))
	}
	return c.lines.Err()
}

// A caller runs cases.
type caller struct {
	transport
	unaryOnly bool // the server has no streams
	lines     *bufio.Scanner
	runID     int // of the case, so that it can give its runs names of its own

	// those of the case
	*connection
	stuck bool // the connection is of no use any more, and the outcome says so
}

// A connection is a client and what is known of its end.
type connection struct {
	*ttrpc.Client
	conn   net.Conn
	closed chan struct{} // closed by OnClose
}

func (c *caller) connect(options ...ttrpc.ClientOpts) (*connection, error) {
	conn, err := c.dial()
	if err != nil {
		return nil, err
	}
	closed := make(chan struct{})
	options = append(options, ttrpc.WithOnClose(func() { close(closed) }))
	return &connection{ttrpc.NewClient(conn, options...), conn, closed}, nil
}

// runCase runs a case, and then checks that the server still answers on the
// connection of the case, on the one for all of them, and on a new one. Cases
// that end the server say themselves what becomes of connections.
func (c *caller) runCase(test testCase, all *connection) (outcome string) {
	var err error
	if c.connection, err = c.connect(); err != nil {
		return "cannot connect: " + describe(err)
	}
	defer c.connection.Close()
	c.runID++
	c.stuck = false
	outcome = test.run(c)
	if outcome == "" {
		outcome = "ok"
	}
	if strings.HasPrefix(test.name, "end of server: ") {
		return outcome
	}
	if !c.stuck && !strings.HasPrefix(test.name, "end of connection: ") {
		if err := c.ping(c.connection); err != nil {
			outcome += "; then on this connection " + describe(err)
		}
	}
	if err := c.ping(all); err != nil {
		outcome += "; then on another connection " + describe(err)
	}
	fresh, err := c.connect()
	if err != nil {
		return outcome + "; then no connection: " + describe(err)
	}
	defer fresh.Close()
	if err := c.ping(fresh); err != nil {
		outcome += "; then on a new connection " + describe(err)
	}
	return outcome
}

// do has the server obey a command: see control.
func (c *caller) do(format string, args ...any) string {
	say("do " + fmt.Sprintf(format, args...))
	c.lines.Scan()
	return c.lines.Text()
}

// scale returns n, or what of it can be under way at a time on this connection:
// NRI's multiplexer breaks down when 256 writes wait to be read.
func (c *caller) scale(n int) int {
	if c.mux {
		return min(n, 80)
	}
	return n
}

// name returns a name for runs of this case.
func (c *caller) name() string { return fmt.Sprint("run", c.runID) }

// call makes a call of the service.
func (c *connection) call(ctx context.Context, method string, request, response any) error {
	return c.Call(ctx, serviceName, method, request, response)
}

// ping makes a call that does nothing.
func (c *caller) ping(on *connection) error {
	ctx, cancel := patiently()
	defer cancel()
	return on.call(ctx, "Ping", &empty{}, &empty{})
}

// onClose waits until OnClose has been called.
func (c *connection) onClose() string {
	select {
	case <-c.closed:
		return "OnClose was called"
	case <-time.After(patience):
		return "OnClose was not called"
	}
}

// patiently returns a context for what should be immediate. It has no deadline,
// for that would be sent to the server.
func patiently() (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.Background())
	timer := time.AfterFunc(patience, cancel)
	return ctx, func() { timer.Stop(); cancel() }
}

// bareErrors are those that programs compare with ==.
var bareErrors = []struct {
	err  error
	name string
}{
	{nil, "ok"},
	{ttrpc.ErrClosed, "ErrClosed"},
	{context.Canceled, "context.Canceled"},
	{context.DeadlineExceeded, "context.DeadlineExceeded"},
	{io.EOF, "io.EOF"},
}

// describe returns what an error is to a program.
func describe(err error) string {
	for _, bare := range bareErrors {
		if err == bare.err { //nolint:errorlint // a wrapped one is another one to those programs
			return bare.name
		}
	}
	if s, ok := status.FromError(err); ok {
		return fmt.Sprintf("status %v %q", s.Code(), s.Message())
	}
	return err.Error()
}

// describeCode describes an error by the code that it has, or would have.
func describeCode(err error) string {
	switch {
	case errors.Is(err, context.Canceled):
		return codes.Canceled.String()
	case errors.Is(err, context.DeadlineExceeded):
		return codes.DeadlineExceeded.String()
	}
	if s, ok := status.FromError(err); ok {
		return s.Code().String()
	}
	return describe(err)
}

// parallel runs f n times at once, and says what its errors were.
func parallel(n int, f func(i int) error) string {
	results := make(chan error, n)
	for i := range n {
		go func() { results <- f(i) }()
	}
	ends := make(map[string]int)
	for range n {
		ends[describe(<-results)]++
	}
	return tally(ends)
}

// results collects how calls ended that run in the background.
type results struct {
	pending atomic.Int64
	each    chan error
}

// background makes n calls that wait in the server, and returns when they do.
func (c *caller) background(ctx context.Context, n int, name string) *results {
	r := &results{each: make(chan error, n+1)}
	for range n {
		r.pending.Add(1)
		go func() {
			var m text
			err := c.call(ctx, "Wait", &text{Value: name}, &m)
			if err == nil && m.GetValue() != name {
				err = fmt.Errorf("got the answer to %q", m.GetValue())
			}
			r.each <- err
		}()
	}
	if all := fmt.Sprintf("%d started", n); c.do("started %s %d", name, n) != all {
		r.each <- errors.New("not all started")
	}
	return r
}

// wait waits for the ends of the calls, and says how they were.
func (r *results) wait() string {
	ends := make(map[string]int)
	tooLate := time.After(patience)
	for range r.pending.Load() {
		select {
		case err := <-r.each:
			ends[describe(err)]++
		case <-tooLate:
			ends["still waiting"]++
		}
	}
	return tally(ends)
}

// wrong returns what was got in place of what was wanted, or "".
func wrong(what, got, want string) string {
	if got == want {
		return ""
	}
	return what + ": " + cmp.Or(got, "nothing")
}

// join joins what is not empty.
func join(parts ...string) string {
	var list []string
	for _, part := range parts {
		if part != "" {
			list = append(list, part)
		}
	}
	return strings.Join(list, "; ")
}
