// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package ttrpc

import "context"

// UnaryServerInfo tells a server's interceptor about the call.
type UnaryServerInfo struct {
	FullMethod string // "/package.Service/Method"
}

// UnaryClientInfo tells a client's interceptor about the call.
type UnaryClientInfo struct {
	FullMethod string // "/package.Service/Method"
}

// StreamServerInfo tells a server's interceptor about the stream.
type StreamServerInfo struct {
	FullMethod      string // "/package.Service/Method"
	StreamingClient bool
	StreamingServer bool
}

// Unmarshaler decodes the request of a unary call into a message. It may be
// called more than once, until the handler has returned.
type Unmarshaler func(any) error

// Invoker sends a request and waits for its response. Its error says that no
// response came; a response with an error status is not an error here, look
// into the response.
type Invoker func(context.Context, *Request, *Response) error

// UnaryServerInterceptor stands around the handlers of a server's unary
// methods. It calls method, or answers in its place. It does not run for
// methods that the server does not have.
type UnaryServerInterceptor func(context.Context, Unmarshaler, *UnaryServerInfo, Method) (any, error)

// UnaryClientInterceptor stands around a client's calls. It may change the
// request, which is sent as it then is, and the response. It calls the Invoker,
// more than once to try again, or fills the response in its place.
type UnaryClientInterceptor func(context.Context, *Request, *Response, *UnaryClientInfo, Invoker) error

// StreamServerInterceptor stands around the handlers of a server's streaming
// methods. It calls the handler, with the stream or with one that wraps it, or
// answers in its place. See WithChainStreamServerInterceptor.
type StreamServerInterceptor func(context.Context, StreamServer, *StreamServerInfo, StreamHandler) (any, error)

// StreamClientInterceptor has no use: an interceptor with this signature can
// learn nothing and do nothing. It is there because it always was.
type StreamClientInterceptor func(context.Context)

// chainUnaryServer returns one interceptor that runs all of them, the first
// outermost, or nil for none. Nil elements are left out.
func chainUnaryServer(interceptors []UnaryServerInterceptor) UnaryServerInterceptor {
	var chain UnaryServerInterceptor
	for i := len(interceptors) - 1; i >= 0; i-- {
		outer, inner := interceptors[i], chain
		switch {
		case outer == nil:
		case inner == nil:
			chain = outer
		default:
			chain = func(ctx context.Context, unmarshal Unmarshaler, info *UnaryServerInfo, method Method) (any, error) {
				return outer(ctx, unmarshal, info, func(ctx context.Context, unmarshal func(any) error) (any, error) {
					return inner(ctx, unmarshal, info, method)
				})
			}
		}
	}
	return chain
}

// chainUnaryClient is chainUnaryServer for clients.
func chainUnaryClient(interceptors []UnaryClientInterceptor) UnaryClientInterceptor {
	var chain UnaryClientInterceptor
	for i := len(interceptors) - 1; i >= 0; i-- {
		outer, inner := interceptors[i], chain
		switch {
		case outer == nil:
		case inner == nil:
			chain = outer
		default:
			chain = func(ctx context.Context, req *Request, resp *Response, info *UnaryClientInfo, invoke Invoker) error {
				return outer(ctx, req, resp, info, func(ctx context.Context, req *Request, resp *Response) error {
					return inner(ctx, req, resp, info, invoke)
				})
			}
		}
	}
	return chain
}

// chainStreamServer is chainUnaryServer for streams.
func chainStreamServer(interceptors []StreamServerInterceptor) StreamServerInterceptor {
	var chain StreamServerInterceptor
	for i := len(interceptors) - 1; i >= 0; i-- {
		outer, inner := interceptors[i], chain
		switch {
		case outer == nil:
		case inner == nil:
			chain = outer
		default:
			chain = func(ctx context.Context, stream StreamServer, info *StreamServerInfo, handler StreamHandler) (any, error) {
				return outer(ctx, stream, info, func(ctx context.Context, stream StreamServer) (any, error) {
					return inner(ctx, stream, info, handler)
				})
			}
		}
	}
	return chain
}
