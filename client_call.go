// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package ttrpc

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
)

// clientCall is a unary call that waits for its response. Each client pools its
// own: a call is in use until the goroutine that made it has taken it out of the
// client's table, or has received from done because somebody else had.
//
//	Call ─▶ callDirect: requestFrame ─▶ roundTrip: writer.send ─▶ onSend, into the
//	table ─▶ wait for done
//	    the reading goroutine: channel.receiveFrames ─▶ assembler.advance ─▶
//	    Client.receiveFrame, out of the table ─▶ clientCall.receiveFrame ─▶ done
//	─▶ parseResponse ─▶ unmarshal
type clientCall struct {
	client *Client
	id     uint32        // set by onSend
	done   chan struct{} // receives when response or err is set

	// set by the reading goroutine before it sends to done
	response []byte  // the encoded Response
	buf      *buffer // what it lies in, or nil if it lies in small
	err      error

	small []byte // kept from call to call
}

// keptResponse is the largest response that is copied into clientCall.small.
const keptResponse = 4 << 10

func (c *Client) newCall() *clientCall {
	if call, ok := c.freeCalls.Get().(*clientCall); ok {
		return call
	}
	return &clientCall{client: c, done: make(chan struct{}, 1)}
}

// free gives the call back.
func (call *clientCall) free() {
	call.buf.release()
	call.id, call.response, call.buf, call.err = 0, nil, nil, nil
	call.client.freeCalls.Put(call)
}

// onSend is the sendHook of the request.
func (call *clientCall) onSend() (uint32, error) {
	err := call.client.register(call, &call.id)
	return call.id, err
}

// receiveFrame implements pendingStream.
func (call *clientCall) receiveFrame(h frameHeader, payload []byte, buf *buffer) bool {
	switch {
	case h.typ != frameResponse:
		buf.release()
		call.err = unexpectedFrame(h)
		call.client.cancelStream(h.streamID, call.err) // the server goes on
	case buf != nil:
		call.buf, call.response = buf, payload
	case len(payload) <= keptResponse:
		call.small = append(call.small[:0], payload...)
		call.response = call.small
	default:
		call.buf = copyBuffer(payload)
		call.response = call.buf.b
	}
	call.done <- struct{}{}
	return true
}

// unexpectedFrame is the error of a call or stream that got a frame which
// cannot be an answer.
func unexpectedFrame(h frameHeader) error {
	return protocolErrorf("unexpected %q message received", h.typ)
}

// fail implements pendingStream.
func (call *clientCall) fail(err error) {
	call.err = err
	call.done <- struct{}{}
}

// Call makes a unary call: it sends req, waits for the response, and decodes it
// into resp. Messages are those of google.golang.org/protobuf, gogo's, or the
// older golang/protobuf's.
//
// The metadata of ctx travels with the call, and so does its deadline. When ctx
// ends, Call returns ctx.Err() at once, wherever it is waiting, and the server
// is told; nothing is sent if it has ended before. Other errors are:
//   - the status with which the server answered, see
//     google.golang.org/grpc/status.FromError;
//   - ErrClosed, as it is, if the connection ends before the answer comes;
//   - *OversizedMessageErr if the request is too large;
//   - an error that wraps ErrProtocol if the server answers with nonsense;
//   - what is wrong with req, or with resp.
func (c *Client) Call(ctx context.Context, service, method string, req, resp any) error {
	e, err := c.prepare(req)
	if err != nil {
		return err
	}
	var st *spb.Status
	if c.config.unary != nil {
		st, err = c.callIntercepted(ctx, service, method, e, resp)
	} else {
		st, err = c.callDirect(ctx, service, method, e, resp)
	}
	if err != nil {
		return err
	}
	return endError(ctx, st)
}

// endError returns the error of a call or stream with ctx that the server has
// ended with st. If that is because of the deadline, it may just have been faster
// than ctx, whose error it is then.
func endError(ctx context.Context, st *spb.Status) error {
	if codes.Code(st.GetCode()) == codes.DeadlineExceeded {
		if deadline, ok := ctx.Deadline(); ok && !time.Now().Before(deadline) {
			return context.DeadlineExceeded
		}
	}
	return errorFromStatus(st)
}

// prepare measures a message that the user wants to send.
func (c *Client) prepare(m any) (encoding, error) {
	e, err := c.config.codec.prepare(m)
	if errors.Is(err, errUnknownMessage) {
		err = fmt.Errorf("ttrpc: cannot marshal unknown type: %T", m)
	}
	return e, err
}

// unmarshal decodes a message for the user.
func (c *Client) unmarshal(b []byte, m any) error {
	err := c.config.codec.unmarshal(b, m)
	if errors.Is(err, errUnknownMessage) {
		err = fmt.Errorf("ttrpc: cannot unmarshal into unknown type: %T", m)
	}
	return err
}

// callDirect makes a call without interceptors: the message goes from req
// straight into the frame, and from the frame into resp.
func (c *Client) callDirect(ctx context.Context, service, method string, e encoding, resp any) (*spb.Status, error) {
	timeout, err := c.timeoutNano(ctx)
	if err != nil {
		return nil, err
	}
	md, _ := GetMetadata(ctx)
	f, err := c.requestFrame(ctx, 0, &outRequest{
		service:     service,
		method:      method,
		payload:     e,
		timeoutNano: timeout,
		md:          md,
	})
	if err != nil {
		return nil, err
	}
	call, err := c.roundTrip(ctx, f)
	if err != nil {
		return nil, err
	}
	defer call.free()
	in, err := parseResponse(call.response)
	if err != nil {
		return nil, err
	}
	return in.status, c.unmarshal(in.payload, resp)
}

// callIntercepted makes a call through the interceptors, which get to see and
// change the envelope.
func (c *Client) callIntercepted(ctx context.Context, service, method string, e encoding, resp any) (*spb.Status, error) {
	payload, err := e.bytes()
	if err != nil {
		return nil, err
	}
	request := &Request{Service: service, Method: method, Payload: payload}
	if md, ok := GetMetadata(ctx); ok {
		request.Metadata = md.keyValues()
	}
	if deadline, ok := ctx.Deadline(); ok {
		request.TimeoutNano = time.Until(deadline).Nanoseconds()
	}
	response := new(Response)
	info := &UnaryClientInfo{FullMethod: fullMethod(service, method)}
	if err := c.config.unary(ctx, request, response, info, c.invoke); err != nil {
		return nil, err
	}
	return response.Status, c.unmarshal(response.Payload, resp)
}

// invoke is the Invoker behind the last interceptor: it sends request as it is.
func (c *Client) invoke(ctx context.Context, request *Request, response *Response) error {
	if _, err := c.timeoutNano(ctx); err != nil {
		return err // nothing is sent that nobody can wait for
	}
	e, err := codec{}.prepare(request)
	if err != nil {
		return err
	}
	f, err := c.messageFrame(ctx, frameHeader{typ: frameRequest}, e)
	if err != nil {
		return err
	}
	call, err := c.roundTrip(ctx, f)
	if err != nil {
		return err
	}
	defer call.free()
	in, err := parseResponse(call.response)
	if err != nil {
		return err
	}
	response.Status, response.Payload = in.status, slices.Clone(in.payload)
	return nil
}

// requestFrame encodes a Request, without its stream id.
func (c *Client) requestFrame(ctx context.Context, flags frameFlags, req *outRequest) (outFrame, error) {
	return c.out.encodeFrame(ctx, frameHeader{typ: frameRequest, flags: flags}, req.size(), req.append)
}

// messageFrame encodes e as the payload of a frame.
func (c *Client) messageFrame(ctx context.Context, h frameHeader, e encoding) (outFrame, error) {
	return c.out.encodeFrame(ctx, h, e.size, e.append)
}

// roundTrip sends a Request and waits for what comes back. The caller frees the
// call when it has used the response.
func (c *Client) roundTrip(ctx context.Context, f outFrame) (*clientCall, error) {
	call := c.newCall()
	f.hook = call
	if err := c.out.send(ctx, f, modeAmong(c.inFlight())); err != nil {
		call.free()
		return nil, err
	}
	if err := call.wait(ctx); err != nil {
		call.free()
		return nil, err
	}
	return call, nil
}

// wait waits for the response, or for the end of ctx. In either case the call
// is no longer in the table afterwards.
func (call *clientCall) wait(ctx context.Context) error {
	if ctx.Done() == nil {
		<-call.done
		return call.err
	}
	select {
	case <-call.done:
		return call.err
	case <-ctx.Done():
	}
	if call.client.forget(call.id) {
		call.client.cancelStream(call.id, ctx.Err())
		return ctx.Err()
	}
	<-call.done // the response has just arrived
	return call.err
}
