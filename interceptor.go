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
// methods that the server does not have. Like every interceptor it runs for
// several calls at the same time.
type UnaryServerInterceptor func(context.Context, Unmarshaler, *UnaryServerInfo, Method) (any, error)

// UnaryClientInterceptor stands around a client's calls. It may change the
// request, which is sent as it then is, and the response. It calls the Invoker,
// more than once to try again, or fills the response in its place. The request
// has been made when it runs: a deadline or metadata that it puts into the
// context do not change what is sent.
type UnaryClientInterceptor func(context.Context, *Request, *Response, *UnaryClientInfo, Invoker) error

// StreamServerInterceptor stands around the handlers of a server's streaming
// methods. It calls the handler, with the stream or with one that wraps it, or
// answers in its place. See WithChainStreamServerInterceptor.
type StreamServerInterceptor func(context.Context, StreamServer, *StreamServerInfo, StreamHandler) (any, error)

// StreamClientInterceptor has no use: an interceptor with this signature can
// learn nothing and do nothing. It is there because it always was.
type StreamClientInterceptor func(context.Context)

// chain joins interceptors to one that runs all of them, the first outermost. It
// returns nil for none, and leaves out nil elements. join puts one around
// another; isNil is needed because functions cannot be compared.
func chain[I any](interceptors []I, isNil func(I) bool, join func(outer, inner I) I) I {
	var joined I
	for i := len(interceptors) - 1; i >= 0; i-- {
		switch outer := interceptors[i]; {
		case isNil(outer):
		case isNil(joined):
			joined = outer
		default:
			joined = join(outer, joined)
		}
	}
	return joined
}

func chainUnaryServer(interceptors []UnaryServerInterceptor) UnaryServerInterceptor {
	return chain(interceptors,
		func(i UnaryServerInterceptor) bool { return i == nil },
		func(outer, inner UnaryServerInterceptor) UnaryServerInterceptor {
			return func(ctx context.Context, unmarshal Unmarshaler, info *UnaryServerInfo, method Method) (any, error) {
				return outer(ctx, unmarshal, info, func(ctx context.Context, unmarshal func(any) error) (any, error) {
					return inner(ctx, unmarshal, info, method)
				})
			}
		})
}

func chainUnaryClient(interceptors []UnaryClientInterceptor) UnaryClientInterceptor {
	return chain(interceptors,
		func(i UnaryClientInterceptor) bool { return i == nil },
		func(outer, inner UnaryClientInterceptor) UnaryClientInterceptor {
			return func(ctx context.Context, req *Request, resp *Response, info *UnaryClientInfo, invoke Invoker) error {
				return outer(ctx, req, resp, info, func(ctx context.Context, req *Request, resp *Response) error {
					return inner(ctx, req, resp, info, invoke)
				})
			}
		})
}

func chainStreamServer(interceptors []StreamServerInterceptor) StreamServerInterceptor {
	return chain(interceptors,
		func(i StreamServerInterceptor) bool { return i == nil },
		func(outer, inner StreamServerInterceptor) StreamServerInterceptor {
			return func(ctx context.Context, stream StreamServer, info *StreamServerInfo, handler StreamHandler) (any, error) {
				return outer(ctx, stream, info, func(ctx context.Context, stream StreamServer) (any, error) {
					return inner(ctx, stream, info, handler)
				})
			}
		})
}
