// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package ttrpc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// statusError is an error that knows its status, as other packages make them.
type statusError struct{ st *status.Status }

func (statusError) Error() string                { return "text of the error" }
func (e statusError) GRPCStatus() *status.Status { return e.st }

func TestStatusFromError(t *testing.T) {
	notFound := status.Error(codes.NotFound, "no such thing")
	for _, tt := range []struct {
		name string
		err  error
		code codes.Code
		text string
	}{
		{"status", notFound, codes.NotFound, "no such thing"},
		{"wrapped status", fmt.Errorf("looking: %w", notFound), codes.NotFound, "looking: rpc error: code = NotFound desc = no such thing"},
		{"GRPCStatus", statusError{status.New(codes.Aborted, "text of the status")}, codes.Aborted, "text of the status"},
		{"GRPCStatus is nil", statusError{}, codes.Unknown, "text of the error"},
		{"oversized", OversizedMessageError(5 << 20), codes.ResourceExhausted, "rpc error: code = ResourceExhausted desc = message length 5242880 exceed maximum message size of 4194304"},
		{"stream full", ErrStreamFull, codes.ResourceExhausted, "ttrpc: stream buffer full"},
		{"EOF", io.EOF, codes.OutOfRange, "EOF"},
		{"closed pipe", io.ErrClosedPipe, codes.FailedPrecondition, "io: read/write on closed pipe"},
		{"no progress", io.ErrNoProgress, codes.FailedPrecondition, "multiple Read calls return no data or error"},
		{"short buffer", io.ErrShortBuffer, codes.FailedPrecondition, "short buffer"},
		{"short write", io.ErrShortWrite, codes.FailedPrecondition, "short write"},
		{"unexpected EOF", io.ErrUnexpectedEOF, codes.FailedPrecondition, "unexpected EOF"},
		{"invalid", os.ErrInvalid, codes.InvalidArgument, "invalid argument"},
		{"canceled", context.Canceled, codes.Canceled, "context canceled"},
		{"deadline", context.DeadlineExceeded, codes.DeadlineExceeded, "context deadline exceeded"},
		{"exist", os.ErrExist, codes.AlreadyExists, "file already exists"},
		{"not exist", os.ErrNotExist, codes.NotFound, "file does not exist"},
		{"permission", os.ErrPermission, codes.PermissionDenied, "permission denied"},
		{"path", &fs.PathError{Op: "open", Path: "/x", Err: syscall.ENOENT}, codes.NotFound, "open /x: " + syscall.ENOENT.Error()},
		{"EPERM", syscall.EPERM, codes.PermissionDenied, syscall.EPERM.Error()},
		{"ENOTEMPTY", syscall.ENOTEMPTY, codes.AlreadyExists, syscall.ENOTEMPTY.Error()},
		{"wrapped path", fmt.Errorf("a: %w", &fs.PathError{Op: "open", Path: "/x", Err: syscall.EEXIST}), codes.AlreadyExists, "a: open /x: " + syscall.EEXIST.Error()},
		{"joined", errors.Join(errInjected, context.Canceled), codes.Canceled, errInjected.Error() + "\ncontext canceled"},
		{"closed", ErrClosed, codes.Unknown, "ttrpc: closed"},
		{"other", errors.New("other"), codes.Unknown, "other"},
		{"invalid UTF-8", errors.New("a\xffb\xc0\x80c"), codes.Unknown, "a\uFFFDb\uFFFDc"},
		{"status with invalid UTF-8", status.Error(codes.NotFound, "\xff"), codes.NotFound, "\uFFFD"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			st := statusFromError(tt.err)
			require.Equal(t, tt.code, codes.Code(st.GetCode()))
			require.Equal(t, tt.text, st.GetMessage())
			_, err := proto.Marshal(st)
			require.NoError(t, err)
			// A wrapped form has the same code.
			wrapped := statusFromError(fmt.Errorf("w: %w", tt.err))
			if tt.name != "GRPCStatus is nil" {
				require.Equal(t, tt.code, codes.Code(wrapped.GetCode()))
			}
			require.Contains(t, wrapped.GetMessage(), "w: ")
			// And back: the other end gets a status with code, text and all.
			back := status.Convert(errorFromStatus(st))
			require.Equal(t, tt.code, back.Code())
			require.Equal(t, tt.text, back.Message())
		})
	}
}

func TestStatusKeepsDetails(t *testing.T) {
	st, err := status.New(codes.DataLoss, "lost").WithDetails(wrapperspb.String("detail"))
	require.NoError(t, err)
	got := statusFromError(fmt.Errorf("wrapped: %w", st.Err()))
	back := status.Convert(errorFromStatus(got))
	require.Len(t, back.Details(), 1)
	require.True(t, proto.Equal(wrapperspb.String("detail"), back.Details()[0].(proto.Message)))
}

// The status of an error belongs to its owner: making it fit for the wire does
// not change it.
func TestStatusFromErrorChangesNothing(t *testing.T) {
	err := status.Error(codes.NotFound, "\xff")
	statusFromError(err)
	require.Equal(t, "\xff", status.Convert(err).Message())
	require.False(t, utf8.ValidString(status.Convert(err).Message()))
}

func TestErrorFromStatus(t *testing.T) {
	require.NoError(t, errorFromStatus(nil))
	require.NoError(t, errorFromStatus(&spb.Status{}))
	require.NoError(t, errorFromStatus(&spb.Status{Message: "ignored"}))
	require.Equal(t, codes.Code(77), status.Code(errorFromStatus(&spb.Status{Code: 77})))
	require.Equal(t, codes.Code(1<<32-1), status.Code(errorFromStatus(&spb.Status{Code: -1})))
}

func TestOversizedMessageError(t *testing.T) {
	require.NoError(t, OversizedMessageError(0))
	require.NoError(t, OversizedMessageError(4<<20))
	err := OversizedMessageError(4<<20 + 1)
	var oversized *OversizedMessageErr
	require.ErrorAs(t, err, &oversized)
	require.Equal(t, 4<<20+1, oversized.RejectedLength())
	require.Equal(t, 4<<20, oversized.MaximumLength())
	require.Equal(t, codes.ResourceExhausted, status.Code(errors.Unwrap(err)))
	require.EqualError(t, err, "rpc error: code = ResourceExhausted desc = message length 4194305 exceed maximum message size of 4194304")
}
