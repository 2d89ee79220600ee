// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package ttrpc

import (
	"errors"
	"fmt"
	"time"
)

const (
	defaultMaxConnections     = 1 << 16
	defaultMaxConcurrentCalls = 8192

	// defaultMaxHeldRequests bounds the requests, in bytes, that a connection's
	// running calls keep until their handlers return. There is no option for it.
	defaultMaxHeldRequests = 1 << 30
)

// serverConfig is what options set.
type serverConfig struct {
	handshaker       Handshaker
	handshakeTimeout time.Duration
	unary            UnaryServerInterceptor
	unaryAlone       bool // set by WithUnaryServerInterceptor
	unaryChain       []UnaryServerInterceptor
	stream           StreamServerInterceptor
	streamChain      []StreamServerInterceptor
	recoverPanics    bool
	maxConns         int
	idleTimeout      time.Duration
	maxCalls         int
	maxHeldRequests  int
	limits           channelLimits
	budget           receiveBudget
	codec            codec
	logger           Logger
}

// ServerOpt configures a server, see NewServer.
type ServerOpt func(*serverConfig) error

func newServerConfig(opts []ServerOpt) (*serverConfig, error) {
	config := &serverConfig{
		handshakeTimeout: defaultHandshakeTimeout,
		maxCalls:         defaultMaxConcurrentCalls,
		maxHeldRequests:  defaultMaxHeldRequests,
		maxConns:         defaultMaxConnections,
		limits:           defaultChannelLimits,
		budget:           defaultReceiveBudget,
		logger:           stdLogger{},
	}
	for _, opt := range opts {
		if err := opt(config); err != nil {
			return nil, err
		}
	}
	config.unary = chainUnaryServer(config.unaryChain)
	config.stream = chainStreamServer(config.streamChain)
	return config, nil
}

// WithServerHandshaker has every new connection taken by handshaker first.
// There can be only one.
func WithServerHandshaker(handshaker Handshaker) ServerOpt {
	return func(c *serverConfig) error {
		if c.handshaker != nil {
			return errors.New("only one handshaker allowed per server")
		}
		c.handshaker = handshaker
		return nil
	}
}

// WithServerHandshakeTimeout limits how long a handshake may take; the
// connection is then closed. The default is 10 seconds, zero is no limit.
func WithServerHandshakeTimeout(d time.Duration) ServerOpt {
	return func(c *serverConfig) error {
		if d < 0 {
			return fmt.Errorf("ttrpc: negative handshake timeout %v", d)
		}
		c.handshakeTimeout = d
		return nil
	}
}

// WithUnaryServerInterceptor sets the interceptor of unary calls; nil sets none.
// Use it at most once, and before any WithChainUnaryServerInterceptor: otherwise
// NewServer fails.
func WithUnaryServerInterceptor(i UnaryServerInterceptor) ServerOpt {
	return func(c *serverConfig) error {
		if c.unaryAlone || len(c.unaryChain) > 0 {
			return errors.New("only one unchained interceptor allowed per server")
		}
		if i != nil {
			c.unaryAlone = true
			c.unaryChain = append(c.unaryChain, i)
		}
		return nil
	}
}

// WithChainUnaryServerInterceptor adds interceptors of unary calls. The first
// one is the outermost; those of an earlier option stand around them. Nil
// elements are left out.
func WithChainUnaryServerInterceptor(interceptors ...UnaryServerInterceptor) ServerOpt {
	return func(c *serverConfig) error {
		c.unaryChain = append(c.unaryChain, interceptors...)
		return nil
	}
}

// WithChainStreamServerInterceptor adds interceptors of streams. The first one
// is the outermost; those of an earlier option stand around them.
func WithChainStreamServerInterceptor(interceptors ...StreamServerInterceptor) ServerOpt {
	return func(c *serverConfig) error {
		c.streamChain = append(c.streamChain, interceptors...)
		return nil
	}
}

// WithServerPanicRecovery keeps a panic of a handler from ending the process:
// its call gets codes.Internal, the stack is logged, and the connection stays.
// Without this option a panic ends the process, because what it leaves behind
// may be broken.
func WithServerPanicRecovery() ServerOpt {
	return func(c *serverConfig) error {
		c.recoverPanics = true
		return nil
	}
}

// WithServerMaxConcurrentCalls limits how many calls and streams of one
// connection may be in flight: their handlers run, or their answers wait for
// room among what is to be written. Those above it are refused with
// codes.ResourceExhausted. The default is 8192.
func WithServerMaxConcurrentCalls(n int) ServerOpt {
	return func(c *serverConfig) error {
		if n <= 0 {
			return fmt.Errorf("ttrpc: limit of %d concurrent calls", n)
		}
		c.maxCalls = n
		return nil
	}
}

// WithServerFrameTimeout limits how long a frame may take to arrive once it has
// begun; the connection is then closed. The default is 2 minutes, zero is no
// limit.
func WithServerFrameTimeout(d time.Duration) ServerOpt {
	return func(c *serverConfig) error {
		if d < 0 {
			return fmt.Errorf("ttrpc: negative frame timeout %v", d)
		}
		c.limits.frameTimeout = d
		return nil
	}
}

// WithServerStallTimeout limits how long a client may read nothing of what it
// makes the server wait for: refusals beyond 1 MiB, and what is left to be
// written when the connection is to be closed. The connection is then closed.
// The default is 10 seconds, zero is no limit.
func WithServerStallTimeout(d time.Duration) ServerOpt {
	return func(c *serverConfig) error {
		if d < 0 {
			return fmt.Errorf("ttrpc: negative stall timeout %v", d)
		}
		c.limits.stallTimeout = d
		return nil
	}
}

// WithServerIdleTimeout closes connections on which nothing has been in flight,
// and nothing has arrived, for that long. A call that a client sends in that very
// moment gets ErrClosed, as when the server ends. The default is zero, which is
// no limit.
func WithServerIdleTimeout(d time.Duration) ServerOpt {
	return func(c *serverConfig) error {
		if d < 0 {
			return fmt.Errorf("ttrpc: negative idle timeout %v", d)
		}
		c.idleTimeout = d
		return nil
	}
}

// WithServerMaxConnections limits how many connections there may be, in a
// handshake or after it, over all listeners. Those above it are closed as soon as
// they have been accepted. One counts until it has ended and its handlers have
// returned. The default is 65536.
func WithServerMaxConnections(n int) ServerOpt {
	return func(c *serverConfig) error {
		if n <= 0 {
			return fmt.Errorf("ttrpc: limit of %d connections", n)
		}
		c.maxConns = n
		return nil
	}
}

// WithServerMaxMessageSize limits, in bytes, the payloads of frames that are
// received and sent: a message of a stream, or a message with its envelope, which
// is some 20 bytes and the names or the status in it. Beyond the first, a call or
// stream is refused with codes.ResourceExhausted; beyond the second, a call ends
// with that code, and SendMsg returns an *OversizedMessageErr. The default for
// both is 4 MiB, which is also what other implementations take: send more only to
// clients that are known to. (Released v1.1.2's crashes on it.) The most is 16 MiB
// less a byte.
func WithServerMaxMessageSize(receive, send int) ServerOpt {
	return func(c *serverConfig) error {
		if !validMessageSize(receive) || !validMessageSize(send) {
			return fmt.Errorf("ttrpc: message sizes of %d and %d bytes", receive, send)
		}
		c.limits.maxReceive, c.limits.maxSend = receive, send
		return nil
	}
}

// WithServerReceiveBudget limits, in bytes, the messages of streams that have
// arrived and that handlers have not received yet: per stream, and for all live
// streams of a connection together. Each message counts 16 bytes besides its
// own; a 4096th of the connection's budget is each
// stream's own. A
// stream that exceeds it ends with codes.ResourceExhausted; its handler
// finds ErrStreamFull. The defaults are 16 MiB and 64 MiB.
func WithServerReceiveBudget(perStream, perConnection int) ServerOpt {
	return func(c *serverConfig) error {
		if perStream <= 0 || perConnection <= 0 {
			return fmt.Errorf("ttrpc: receive budget of %d and %d bytes", perStream, perConnection)
		}
		c.budget = receiveBudget{perStream, perConnection}
		return nil
	}
}

// WithServerVTProtobuf has messages encoded and decoded by the methods that
// vtprotobuf generates (SizeVT, MarshalToSizedBufferVT, UnmarshalVT), where
// they have them. Those do not check that strings are UTF-8.
func WithServerVTProtobuf() ServerOpt {
	return func(c *serverConfig) error {
		c.codec.vt = true
		return nil
	}
}

// WithServerLogger sets where the server reports what it can tell nobody else.
// Without it, errors go to the standard library's log.
func WithServerLogger(logger Logger) ServerOpt {
	return func(c *serverConfig) error {
		if logger == nil {
			return errors.New("ttrpc: nil logger")
		}
		c.logger = logger
		return nil
	}
}
