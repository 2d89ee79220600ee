// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"time"

	"github.com/containerd/ttrpc"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/status"
)

// unaryCases are those that every release can run.
var unaryCases = []testCase{
	{"unary", unaryCall},
	{"largest message, both ways", largestMessage},
	{"oversize request", oversizeRequest},
	{"oversize response", oversizeResponse},
	{"request above the server's limit", requestAboveLimit},
	{"response above the client's limit", responseAboveLimit},
	{"metadata", metadataCall},
	{"metadata in mixed case", mixedCaseMetadata},
	{"no metadata", noMetadata},
	{"deadline", deadlineCall},
	{"no deadline", noDeadline},
	{"deadline passes", deadlinePasses},
	{"deadline passes, handler ignores it", deadlineIgnored},
	{"deadline has passed before", deadlinePassed},
	{"error with details", detailedError},
	{"errors of Go", goErrors},
	{"error with invalid UTF-8", invalidUTF8},
	{"unknown service", unknownService},
	{"unknown method", unknownMethod},
	{"cancel", cancelCall},
	{"cancel of many calls", cancelMany},
	{"cancel while the answer comes", cancelCrossing},
	{"1,000 concurrent calls", func(c *caller) string { return c.concurrentCalls(1000) }},
	{"1,000 concurrent calls that wait", func(c *caller) string { return c.concurrentWaits(1000) }},
	{"80 concurrent calls", func(c *caller) string { return c.concurrentCalls(80) }},
	{"80 concurrent calls that wait", func(c *caller) string { return c.concurrentWaits(80) }},
	{"end of connection: client closes during calls", closeDuringCalls},
	{"end of connection: half-close during a call", halfCloseDuringCall},
	{"end of server: Shutdown during calls", shutdownDuringCalls},
	{"end of server: Close during calls", serverCloseDuringCalls},
	{"end of server: killed during calls", killDuringCalls},
	{"end of client: killed during calls", dieDuringCalls},
	{"end of server: replaced by another release, and back", replaceServers},
}

// echo sends some bytes and wants them back.
func (c *connection) echo(ctx context.Context, size int) error {
	request := &blob{Value: bytes.Repeat([]byte{byte(size), 'x', byte(size >> 8)}, size/3+1)[:size]}
	var response blob
	if err := c.call(ctx, "Echo", request, &response); err != nil {
		return err
	}
	if !bytes.Equal(request.GetValue(), response.GetValue()) {
		return errors.New("other bytes came back")
	}
	return nil
}

func unaryCall(c *caller) string {
	ctx, cancel := patiently()
	defer cancel()
	sizes := []int{0, 1, 127, 128, 2048, 16 << 10, 64 << 10, 1 << 20}
	for size := 4000; size <= 4100; size++ { // about the size of old peers' buffers
		sizes = append(sizes, size)
	}
	for _, size := range sizes {
		if err := c.echo(ctx, size); err != nil {
			return fmt.Sprintf("%d bytes: %s", size, describe(err))
		}
	}
	return ""
}

// maxFrame is the most that a frame can carry.
const maxFrame = 4 << 20

// Sizes of the largest bytes that a frame can carry: of a request, and of a
// response.
const (
	field       = 1 + 4 // tag and length of a field of 4 MiB
	maxRequest  = maxFrame - (2 + len(serviceName)) - (2 + len("Echo")) - 2*field
	maxResponse = maxFrame - 2*field
)

func largestMessage(c *caller) string {
	ctx, cancel := patiently()
	defer cancel()
	if err := c.echo(ctx, maxRequest); err != nil {
		return "request: " + describe(err)
	}
	var response blob
	if err := c.call(ctx, "Grow", &count{Value: int64(maxResponse)}, &response); err != nil {
		return "response: " + describe(err)
	}
	if got := len(response.GetValue()); got != maxResponse {
		return fmt.Sprintf("response: %d bytes", got)
	}
	return ""
}

func oversizeRequest(c *caller) string {
	ctx, cancel := patiently()
	defer cancel()
	return wrong("call", describeCode(c.echo(ctx, maxRequest+1)), "ResourceExhausted")
}

func oversizeResponse(c *caller) string {
	ctx, cancel := patiently()
	defer cancel()
	other := c.background(ctx, 1, c.name())
	err := c.call(ctx, "Grow", &count{Value: int64(maxResponse + 1)}, &blob{})
	c.do("release %s", c.name())
	return join(
		wrong("call", describeCode(err), "ResourceExhausted"),
		wrong("another call", other.wait(), "1 ok"),
	)
}

// requestAboveLimit sends a request that the client may send, but the server not
// receive.
func requestAboveLimit(c *caller) string {
	large, err := c.connect(clientLargeMessages...)
	if err != nil {
		return describe(err)
	}
	defer large.Close()
	ctx, cancel := patiently()
	defer cancel()
	err = large.echo(ctx, maxRequest+1)
	return join(
		wrong("call", describeCode(err), "ResourceExhausted"),
		wrong("then", describe(c.ping(large)), "ok"),
	)
}

// responseAboveLimit wants a response that the server may send, but the client
// not receive.
func responseAboveLimit(c *caller) string {
	ctx, cancel := patiently()
	defer cancel()
	err := c.call(ctx, "Grow", &count{Value: int64(maxResponse + 1)}, &blob{})
	return wrong("call", describeCode(err), "ResourceExhausted")
}

// wantMetadata wants the server to see the values of a key.
func (c *caller) wantMetadata(md ttrpc.MD, key, want string) string {
	ctx, cancel := patiently()
	defer cancel()
	if md != nil {
		ctx = ttrpc.WithMetadata(ctx, md)
	}
	var response text
	if err := c.call(ctx, "Metadata", &text{Value: key}, &response); err != nil {
		return describe(err)
	}
	return wrong(key, response.GetValue(), want)
}

func metadataCall(c *caller) string {
	md := ttrpc.MD{}
	md.Set("Several", "one", "", "two")
	md.Set("other", "héllo")
	return join(
		c.wantMetadata(md, "several", "one,,two"),
		c.wantMetadata(md, "other", "héllo"),
		c.wantMetadata(md, "absent", "no such key"),
	)
}

func mixedCaseMetadata(c *caller) string {
	return c.wantMetadata(ttrpc.MD{"Mixed-Case": {"value"}}, "mixed-case", "value")
}

func noMetadata(c *caller) string { return c.wantMetadata(nil, "any", "no metadata") }

func deadlineCall(c *caller) string {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var left count
	if err := c.call(ctx, "Deadline", &empty{}, &left); err != nil {
		return describe(err)
	}
	if left := time.Duration(left.GetValue()); left <= 0 || left > patience {
		return fmt.Sprint("time left: ", left)
	}
	return ""
}

func noDeadline(c *caller) string {
	ctx, cancel := patiently()
	defer cancel()
	var left count
	err := c.call(ctx, "Deadline", &empty{}, &left)
	return join(wrong("call", describe(err), "ok"), wrong("time left", fmt.Sprint(left.GetValue()), "0"))
}

// short is a time that is over soon.
const short = 30 * time.Millisecond

func deadlinePasses(c *caller) string {
	ctx, cancel := context.WithTimeout(context.Background(), short)
	defer cancel()
	err := c.call(ctx, "Wait", &text{Value: c.name()}, &text{})
	return join(
		wrong("call", describeCode(err), "DeadlineExceeded"),
		wrong("handler", c.do("ended %s", c.name()), "1 deadline"),
	)
}

// deadlineIgnored makes calls whose handlers answer much later. Programs compare
// the error with ==.
func deadlineIgnored(c *caller) string {
	const calls = 50
	ends := parallel(calls, func(i int) error {
		ctx, cancel := context.WithTimeout(context.Background(), short+time.Duration(i)*time.Millisecond)
		defer cancel()
		return c.call(ctx, "Ignore", &text{Value: c.name()}, &text{})
	})
	c.do("release %s", c.name())
	return wrong("calls", ends, fmt.Sprintf("%d context.DeadlineExceeded", calls))
}

func deadlinePassed(c *caller) string {
	ctx, cancel := context.WithDeadline(context.Background(), time.Now().Add(-time.Second))
	defer cancel()
	return wrong("call", describeCode(c.call(ctx, "Ping", &empty{}, &empty{})), "DeadlineExceeded")
}

func detailedError(c *caller) string {
	ctx, cancel := patiently()
	defer cancel()
	return describeDetailed(c.call(ctx, "Fail", &text{Value: "detailed"}, &empty{}))
}

// describeDetailed returns "" if err is errDetailed.
func describeDetailed(err error) string {
	s, ok := status.FromError(err)
	if !ok || err == nil {
		return describe(err)
	}
	if len(s.Details()) != 1 {
		return fmt.Sprintf("%s and %d details", describe(err), len(s.Details()))
	}
	detail, ok := s.Details()[0].(*errdetails.BadRequest)
	if !ok || len(detail.GetFieldViolations()) != 1 {
		return fmt.Sprintf("%s and %v", describe(err), s.Details()[0])
	}
	violation := detail.GetFieldViolations()[0]
	return join(
		wrong("error", describe(err), `status InvalidArgument "no good"`),
		wrong("field", violation.GetField(), "value"),
		wrong("description", violation.GetDescription(), "is odd"),
	)
}

func goErrors(c *caller) string {
	ctx, cancel := patiently()
	defer cancel()
	fail := func(name, want string) string {
		err := c.call(ctx, "Fail", &text{Value: name}, &empty{})
		return wrong(name, describe(err), want)
	}
	return join(
		fail("EOF", `status OutOfRange "EOF"`),
		fail("UnexpectedEOF", `status FailedPrecondition "unexpected EOF"`),
		fail("NotExist", `status NotFound "file does not exist"`),
		fail("Exist", `status AlreadyExists "file already exists"`),
		fail("Permission", `status PermissionDenied "permission denied"`),
		fail("Canceled", `status Canceled "context canceled"`),
		fail("Deadline", `status DeadlineExceeded "context deadline exceeded"`),
		fail("plain", `status Unknown "plain"`),
	)
}

func invalidUTF8(c *caller) string {
	ctx, cancel := patiently()
	defer cancel()
	err := c.call(ctx, "Fail", &text{Value: "invalid UTF-8"}, &empty{})
	return wrong("call", describe(err), "status Unknown \"a\ufffdb\"")
}

func unknownService(c *caller) string {
	ctx, cancel := patiently()
	defer cancel()
	err := c.Call(ctx, "interop.Nothing", "Ping", &empty{}, &empty{})
	return wrong("call", describe(err), `status Unimplemented "service interop.Nothing"`)
}

func unknownMethod(c *caller) string {
	ctx, cancel := patiently()
	defer cancel()
	err := c.call(ctx, "Nothing", &empty{}, &empty{})
	return wrong("call", describe(err), `status Unimplemented "method Nothing"`)
}

// cancelCall cancels a call. The server has read the Cancel, if one was sent,
// when it answers the ping behind it.
func cancelCall(c *caller) string { return c.cancelCalls(1) }

func cancelMany(c *caller) string { return c.cancelCalls(c.scale(200)) }

func (c *caller) cancelCalls(n int) string {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	calls := c.background(ctx, n, c.name())
	cancel()
	ends := calls.wait()
	return join(
		wrong("calls", ends, fmt.Sprintf("%d context.Canceled", n)),
		wrong("ping", describe(c.ping(c.connection)), "ok"),
		wrong("handlers", c.do("release %s", c.name()), fmt.Sprintf("%d canceled", n)),
	)
}

// cancelCrossing cancels calls at a time when they are about to be answered.
func cancelCrossing(c *caller) string {
	for range 500 {
		ctx, cancel := context.WithCancel(context.Background())
		timer := time.AfterFunc(rand.N(200*time.Microsecond), cancel)
		err := c.echo(ctx, 100)
		timer.Stop()
		cancel()
		if err != nil && !errors.Is(err, context.Canceled) {
			return describe(err)
		}
	}
	return ""
}

func (c *caller) concurrentCalls(n int) string {
	ctx, cancel := patiently()
	defer cancel()
	ends := parallel(n, func(i int) error { return c.echo(ctx, 10*i) })
	return wrong("calls", ends, fmt.Sprintf("%d ok", n))
}

// concurrentWaits has all handlers running at the same time.
func (c *caller) concurrentWaits(n int) string {
	ctx, cancel := patiently()
	defer cancel()
	calls := c.background(ctx, n, c.name())
	return join(
		wrong("handlers", c.do("release %s", c.name()), fmt.Sprintf("%d released", n)),
		wrong("calls", calls.wait(), fmt.Sprintf("%d ok", n)),
	)
}

// callsInFlight is the number of calls while something ends.
const callsInFlight = 10

func closeDuringCalls(c *caller) string {
	ctx, cancel := patiently()
	defer cancel()
	calls := c.background(ctx, callsInFlight, c.name())
	err := c.connection.Close()
	return join(
		wrong("Close", describe(err), "ok"),
		wrong("calls", calls.wait(), fmt.Sprintf("%d ErrClosed", callsInFlight)),
		wrong("after", describe(c.ping(c.connection)), "ErrClosed"),
		wrong("close", c.onClose(), "OnClose was called"),
		wrong("handlers", c.do("ended %s", c.name()), fmt.Sprintf("%d canceled", callsInFlight)),
	)
}

// halfCloseDuringCall closes the writing side of a connection. That ends the
// handler's context.
func halfCloseDuringCall(c *caller) string {
	conn, ok := c.conn.(*net.UnixConn)
	if !ok {
		return "not a socket"
	}
	ctx, cancel := patiently()
	defer cancel()
	calls := c.background(ctx, 1, c.name())
	if err := conn.CloseWrite(); err != nil {
		return describe(err)
	}
	return join(
		wrong("handler", c.do("ended %s", c.name()), "1 canceled"),
		wrong("call", calls.wait(), `1 status Canceled "context canceled"`),
	)
}

// inFlight is what is in flight while something ends.
type inFlight struct {
	c       *caller
	cancel  context.CancelFunc
	calls   *results
	streams func() string // waits for their ends
}

func (c *caller) startAll() *inFlight {
	ctx, cancel := patiently()
	f := &inFlight{c: c, cancel: cancel, calls: c.background(ctx, callsInFlight, c.name())}
	if !c.unaryOnly {
		f.streams = c.openWaiting(ctx, c.name()+"stream")
	}
	return f
}

// release releases all.
func (f *inFlight) release() {
	f.c.do("release %s", f.c.name())
	f.c.do("release %sstream", f.c.name())
}

// wrong waits for the ends of all, and returns what was not as wanted.
func (f *inFlight) wrong(want string) string {
	defer f.cancel()
	want = fmt.Sprintf("%d %s", callsInFlight, want)
	outcome := wrong("calls", f.calls.wait(), want)
	if f.streams != nil {
		outcome = join(outcome, wrong("streams", f.streams(), want))
	}
	return outcome
}

// wrongEnd returns what was not as it should be when the connection has ended.
func (c *caller) wrongEnd() string {
	return join(
		wrong("close", c.onClose(), "OnClose was called"),
		wrong("after", describe(c.ping(c.connection)), "ErrClosed"),
	)
}

// shutdownDuringCalls has the server shut down. That waits for what is in flight.
func shutdownDuringCalls(c *caller) string {
	all := c.startAll()
	said := c.do("shutdown")
	all.release()
	return join(
		wrong("Shutdown", said, "waits"),
		all.wrong("ok"),
		wrong("Shutdown", c.do("shutdown-result"), "ok"),
		c.wrongEnd(),
		wrong("new connection", c.dialed(), "refused"),
	)
}

// dialed says whether a connection can be made.
func (c *caller) dialed() string {
	conn, err := c.dial()
	if err != nil {
		return "refused"
	}
	conn.Close()
	return "accepted"
}

// serverCloseDuringCalls has the server close. That waits for nothing.
func serverCloseDuringCalls(c *caller) string {
	all := c.startAll()
	said := c.do("close")
	all.release()
	return join(
		wrong("Close", said, "ok"),
		all.wrong("ErrClosed"),
		c.wrongEnd(),
		wrong("new connection", c.dialed(), "refused"),
	)
}

func killDuringCalls(c *caller) string {
	all := c.startAll()
	c.do("kill")
	return join(all.wrong("ErrClosed"), c.wrongEnd())
}

// dieDuringCalls has this client killed, and does not return.
func dieDuringCalls(c *caller) string {
	c.startAll()
	return c.do("die %s", c.name())
}

// replacements is how often the server is replaced by another one.
const replacements = 4

// replaceServers is a client that connects again whenever it has lost its
// connection, as its server is replaced. It says by which ones.
func replaceServers(c *caller) string {
	var servers []string
	for i := range replacements + 1 {
		if outcome := c.useServer(); outcome != "" {
			return join(outcome, fmt.Sprint("after ", servers))
		}
		if i == replacements {
			break
		}
		all := c.startAll()
		servers = append(servers, c.do("replace"))
		if outcome := join(all.wrong("ErrClosed"), c.wrongEnd()); outcome != "" {
			return join(outcome, fmt.Sprint("after ", servers))
		}
		c.connection.Close()
		again, err := c.connect()
		if err != nil {
			return describe(err)
		}
		c.connection = again
		c.runID++
	}
	return strings.Join(servers, ", ")
}

// useServer makes some calls, and returns what was wrong.
func (c *caller) useServer() string {
	outcome := join(
		unaryCall(c),
		metadataCall(c),
		goErrors(c),
		wrong("calls", parallel(50, func(int) error { return c.ping(c.connection) }), "50 ok"),
	)
	if !c.unaryOnly {
		outcome = join(outcome, c.useStreams())
	}
	return outcome
}
