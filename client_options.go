// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package ttrpc

import "time"

// clientConfig is what options set.
type clientConfig struct {
	onClose          func()
	unaryChain       []UnaryClientInterceptor
	unary            UnaryClientInterceptor
	handshaker       Handshaker
	handshakeTimeout time.Duration
	limits           channelLimits
	budget           receiveBudget
	codec            codec
	logger           Logger
}

// ClientOpts configures a client, see NewClient.
type ClientOpts func(c *Client)

// defaultClientConfig is never written to.
var defaultClientConfig = &clientConfig{
	handshakeTimeout: defaultHandshakeTimeout,
	limits:           defaultChannelLimits,
	budget:           defaultReceiveBudget,
	logger:           stdLogger{},
}

// WithOnClose sets a function that is called once, in a goroutine of its own,
// when the connection has ended, for whatever reason, and all pending calls
// have failed. Of several, the last counts.
func WithOnClose(onClose func()) ClientOpts {
	return func(c *Client) { c.config.onClose = onClose }
}

// WithUnaryClientInterceptor sets the interceptor of unary calls, in place of
// all that earlier options have set.
func WithUnaryClientInterceptor(i UnaryClientInterceptor) ClientOpts {
	return func(c *Client) { c.config.unaryChain = []UnaryClientInterceptor{i} }
}

// WithChainUnaryClientInterceptor adds interceptors of unary calls. The first
// one is the outermost; those of an earlier option stand around them. Nil
// elements are left out.
func WithChainUnaryClientInterceptor(interceptors ...UnaryClientInterceptor) ClientOpts {
	return func(c *Client) { c.config.unaryChain = append(c.config.unaryChain, interceptors...) }
}

// WithClientHandshaker has handshaker take the connection first, in a goroutine
// of its own. Calls wait for it, as long as their contexts let them; if it
// fails, they get ErrClosed. Its second result is not used.
func WithClientHandshaker(handshaker Handshaker) ClientOpts {
	return func(c *Client) { c.config.handshaker = handshaker }
}

// WithClientHandshakeTimeout limits how long the handshake may take; the
// connection is then closed. The default is 10 seconds; zero, or less, is no
// limit.
func WithClientHandshakeTimeout(d time.Duration) ClientOpts {
	return func(c *Client) { c.config.handshakeTimeout = max(d, 0) }
}

// WithClientFrameTimeout limits how long a frame may take to arrive once it has
// begun; the connection is then closed. The default is 2 minutes; zero, or less,
// is no limit.
func WithClientFrameTimeout(d time.Duration) ClientOpts {
	return func(c *Client) { c.config.limits.frameTimeout = max(d, 0) }
}

// WithClientStallTimeout limits how long the server may read nothing of what
// piles up because of it: the connection is then closed. A call that waits to be
// written, because the server is slow, ends with its context, not by this. The
// default is 10 seconds; zero, or less, is no limit.
func WithClientStallTimeout(d time.Duration) ClientOpts {
	return func(c *Client) { c.config.limits.stallTimeout = max(d, 0) }
}

// WithClientMaxMessageSize limits, in bytes, the payloads of frames that are
// received and sent: a message of a stream, or a message with its envelope, which
// is some 20 bytes and the names or the status in it. Beyond the first, a call or
// stream ends with codes.ResourceExhausted; beyond the second, nothing is sent,
// and the error is an *OversizedMessageErr. The default for both is 4 MiB, which
// is also what other implementations take. The most is 16 MiB less a byte; a
// value that is not between zero and that sets the default.
func WithClientMaxMessageSize(receive, send int) ClientOpts {
	return func(c *Client) {
		limits := &c.config.limits
		limits.maxReceive, limits.maxSend = messageLengthMax, messageLengthMax
		if validMessageSize(receive) {
			limits.maxReceive = receive
		}
		if validMessageSize(send) {
			limits.maxSend = send
		}
	}
}

// WithClientReceiveBudget limits, in bytes, the messages of streams that have
// arrived and have not been received yet: per stream, and for all live streams
// together. Each message counts 16 bytes besides its own; a 4096th of
// the budget for all is each stream's own. A stream that exceeds it ends
// with ErrStreamFull, behind what has arrived. What is left in a stream that has
// ended is not limited for all of them together. The defaults are 16 MiB
// and 64 MiB; zero or less sets the default.
func WithClientReceiveBudget(perStream, perConnection int) ClientOpts {
	return func(c *Client) {
		c.config.budget = defaultReceiveBudget
		if perStream > 0 {
			c.config.budget.perStream = perStream
		}
		if perConnection > 0 {
			c.config.budget.perConnection = perConnection
		}
	}
}

// WithClientVTProtobuf has messages encoded and decoded by the methods that
// vtprotobuf generates (SizeVT, MarshalToSizedBufferVT, UnmarshalVT), where
// they have them. Those do not check that strings are UTF-8.
func WithClientVTProtobuf() ClientOpts {
	return func(c *Client) { c.config.codec.vt = true }
}

// WithClientLogger sets where the client reports what it can tell nobody else.
// Without it, errors go to the standard library's log.
func WithClientLogger(logger Logger) ClientOpts {
	return func(c *Client) {
		if logger != nil {
			c.config.logger = logger
		}
	}
}
