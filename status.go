// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package ttrpc

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"
	"unicode/utf8"

	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// This file is the one place where Go errors become status codes, and statuses
// become errors.

// statusFromError returns what the wire says for err, which a handler returned:
// err's own status if it has one, or else a code for the errors of the standard
// library that have an obvious one.
func statusFromError(err error) *spb.Status {
	if st, ok := status.FromError(err); ok {
		return validStatus(st.Proto())
	}
	return validStatus(status.New(codeOf(err), err.Error()).Proto())
}

// codeOf returns the code for an error that has no status.
func codeOf(err error) codes.Code {
	switch {
	case errors.Is(err, ErrStreamFull):
		return codes.ResourceExhausted
	case errors.Is(err, io.EOF):
		return codes.OutOfRange
	case errors.Is(err, io.ErrClosedPipe), errors.Is(err, io.ErrNoProgress),
		errors.Is(err, io.ErrShortBuffer), errors.Is(err, io.ErrShortWrite),
		errors.Is(err, io.ErrUnexpectedEOF):
		return codes.FailedPrecondition
	case errors.Is(err, os.ErrInvalid):
		return codes.InvalidArgument
	case errors.Is(err, context.Canceled):
		return codes.Canceled
	case errors.Is(err, context.DeadlineExceeded):
		return codes.DeadlineExceeded
	// The functions of package os know some system errors that the sentinels
	// do not match, and the sentinels match errors that are wrapped.
	case os.IsExist(err), errors.Is(err, fs.ErrExist):
		return codes.AlreadyExists
	case os.IsNotExist(err), errors.Is(err, fs.ErrNotExist):
		return codes.NotFound
	case os.IsPermission(err), errors.Is(err, fs.ErrPermission):
		return codes.PermissionDenied
	}
	return codes.Unknown
}

// validStatus makes st fit for the wire, where text is UTF-8.
func validStatus(st *spb.Status) *spb.Status {
	if !utf8.ValidString(st.GetMessage()) {
		st.Message = strings.ToValidUTF8(st.GetMessage(), "\uFFFD")
	}
	return st
}

// errorFromStatus returns the error that st stands for, and nil for success.
func errorFromStatus(st *spb.Status) error {
	if codes.Code(st.GetCode()) == codes.OK {
		return nil
	}
	return status.ErrorProto(st)
}
