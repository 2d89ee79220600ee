// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package ttrpc

import (
	"errors"
	"fmt"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

var (
	// ErrProtocol is wrapped by errors that say that the other end, or the
	// caller, broke the protocol.
	ErrProtocol = errors.New("protocol error")

	// ErrClosed is what calls and streams return when the connection has ended,
	// whatever ended it. It is returned as it is, not wrapped.
	ErrClosed = errors.New("ttrpc: closed")

	// ErrServerClosed is returned by Server.Serve after Server.Close or
	// Server.Shutdown. It is returned as it is, not wrapped.
	ErrServerClosed = errors.New("ttrpc: server closed")

	// ErrStreamClosed is returned for a send on a stream that the sender has
	// half-closed, or that has ended.
	ErrStreamClosed = errors.New("ttrpc: stream closed")

	// ErrStreamFull ends a stream whose messages arrive, and are not received,
	// until they exceed the budget. See WithClientReceiveBudget and
	// WithServerReceiveBudget.
	ErrStreamFull = errors.New("ttrpc: stream buffer full")
)

// OversizedMessageErr says that a message does not fit into a frame: the
// encoded Request, for a call or a stream that is opened; the encoded message
// itself, on a stream. It was
// not sent, and the connection stays usable. Unwrap leads to a status with
// codes.ResourceExhausted.
type OversizedMessageErr struct {
	length, limit int
	err           error
}

// OversizedMessageError returns an *OversizedMessageErr if a payload of
// messageLength bytes is larger than a frame carries by default, which is 4 MiB,
// and nil if it fits.
func OversizedMessageError(messageLength int) error {
	if messageLength <= messageLengthMax {
		return nil
	}
	return newOversizedMessageErr(messageLength, messageLengthMax)
}

func newOversizedMessageErr(length, limit int) *OversizedMessageErr {
	return &OversizedMessageErr{length: length, limit: limit, err: oversizedStatus(length, limit).Err()}
}

// oversizedStatus is the status of a payload of length bytes, where limit is the
// most.
func oversizedStatus(length, limit int) *status.Status {
	return status.Newf(codes.ResourceExhausted, "message length %v exceed maximum message size of %v", length, limit)
}

// Error returns the text of the status.
func (e *OversizedMessageErr) Error() string { return e.err.Error() }

// Unwrap returns the status error.
func (e *OversizedMessageErr) Unwrap() error { return e.err }

// RejectedLength is the length of the rejected payload, in bytes.
func (e *OversizedMessageErr) RejectedLength() int { return e.length }

// MaximumLength is the largest payload that is sent, in bytes.
func (e *OversizedMessageErr) MaximumLength() int { return e.limit }

// protocolErrorf returns an error that wraps ErrProtocol, with a text before it.
func protocolErrorf(format string, args ...any) error {
	return fmt.Errorf(format+": %w", append(args, ErrProtocol)...)
}

// malformedError is an error of protobuf about what a peer has sent: it has that
// error's text, and is ErrProtocol as well.
type malformedError struct {
	err error
}

func (e *malformedError) Error() string { return e.err.Error() }

func (e *malformedError) Unwrap() []error { return []error{ErrProtocol, e.err} }
