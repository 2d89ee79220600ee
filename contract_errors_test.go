// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package ttrpc_test

// The contract about errors: values, texts and codes that programs written for
// v1.2.10 depend on. The other contract tests are in contract_*_test.go.

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/containerd/ttrpc"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// Programs compare the text of these errors, or its end.
func TestErrorTexts(t *testing.T) {
	for err, text := range map[error]string{
		ttrpc.ErrProtocol:     "protocol error",
		ttrpc.ErrClosed:       "ttrpc: closed",
		ttrpc.ErrServerClosed: "ttrpc: server closed",
		ttrpc.ErrStreamClosed: "ttrpc: stream closed",
		ttrpc.ErrStreamFull:   "ttrpc: stream buffer full",
	} {
		require.EqualError(t, err, text)
	}
}

// OversizedMessageError is nil, as an interface, for what fits.
func TestOversizedMessageErrorIsNilForWhatFits(t *testing.T) {
	for _, length := range []int{-1, 0, 1, maxFramePayload} {
		err := ttrpc.OversizedMessageError(length)
		require.True(t, err == nil, "length %d: %v", length, err)
	}
}

// OversizedMessageError tells both lengths, and has a status.
func TestOversizedMessageError(t *testing.T) {
	const text = "rpc error: code = ResourceExhausted desc = message length 4194305 exceed maximum message size of 4194304"
	err := ttrpc.OversizedMessageError(maxFramePayload + 1)
	require.EqualError(t, err, text)

	oversized, ok := err.(*ttrpc.OversizedMessageErr) //nolint:errorlint // the type itself is the contract
	require.True(t, ok, "type %T", err)
	require.Equal(t, maxFramePayload+1, oversized.RejectedLength())
	require.Equal(t, maxFramePayload, oversized.MaximumLength())

	inner, ok := status.FromError(oversized.Unwrap())
	require.True(t, ok)
	require.Equal(t, codes.ResourceExhausted, inner.Code())
	require.Equal(t, "message length 4194305 exceed maximum message size of 4194304", inner.Message())

	outer, ok := status.FromError(err)
	require.True(t, ok)
	require.Equal(t, codes.ResourceExhausted, outer.Code())
	require.Equal(t, text, outer.Message())
}

// statusError is an error with a status of its own, as some packages have them.
type statusError struct{}

func (statusError) Error() string { return "text of the error" }
func (statusError) GRPCStatus() *status.Status {
	return status.New(codes.DataLoss, "text of the status")
}

// What a handler returns becomes a code by its kind, and its text is kept. An
// error that wraps another has the code of that, which v1.2.10 leaves to statuses.
func TestHandlerErrorCodes(t *testing.T) {
	for _, tt := range []struct {
		err  error
		code codes.Code
		text string // if it is not err's
	}{
		{err: status.Error(codes.NotFound, "nf"), code: codes.NotFound, text: "nf"},
		{err: status.Error(9999, "odd"), code: 9999, text: "odd"},
		{err: statusError{}, code: codes.DataLoss, text: "text of the status"},
		{err: io.EOF, code: codes.OutOfRange},
		{err: io.ErrClosedPipe, code: codes.FailedPrecondition},
		{err: io.ErrNoProgress, code: codes.FailedPrecondition},
		{err: io.ErrShortBuffer, code: codes.FailedPrecondition},
		{err: io.ErrShortWrite, code: codes.FailedPrecondition},
		{err: io.ErrUnexpectedEOF, code: codes.FailedPrecondition},
		{err: os.ErrInvalid, code: codes.InvalidArgument},
		{err: context.Canceled, code: codes.Canceled},
		{err: context.DeadlineExceeded, code: codes.DeadlineExceeded},
		{err: os.ErrExist, code: codes.AlreadyExists},
		{err: syscall.EEXIST, code: codes.AlreadyExists},
		{err: &fs.PathError{Op: "mkdir", Path: "x", Err: syscall.EEXIST}, code: codes.AlreadyExists},
		{err: os.ErrNotExist, code: codes.NotFound},
		{err: syscall.ENOENT, code: codes.NotFound},
		{err: &fs.PathError{Op: "open", Path: "x", Err: syscall.ENOENT}, code: codes.NotFound},
		{err: os.ErrPermission, code: codes.PermissionDenied},
		{err: syscall.EACCES, code: codes.PermissionDenied},
		{err: &os.LinkError{Op: "link", Old: "x", New: "y", Err: syscall.EPERM}, code: codes.PermissionDenied},
		{err: ttrpc.OversizedMessageError(5 << 20), code: codes.ResourceExhausted},
		{err: ttrpc.ErrClosed, code: codes.Unknown},
		{err: ttrpc.ErrProtocol, code: codes.Unknown},
		{err: net.ErrClosed, code: codes.Unknown},
		{err: os.ErrDeadlineExceeded, code: codes.Unknown},
		{err: errors.New("boom"), code: codes.Unknown},
		{err: errors.New(""), code: codes.Unknown},
	} {
		if tt.text == "" {
			tt.text = tt.err.Error()
		}
		wrapped := fmt.Errorf("wrapped: %w", tt.err)
		t.Run(tt.err.Error(), func(t *testing.T) {
			requireHandlerStatus(t, tt.err, tt.code, tt.text)
			requireHandlerStatus(t, wrapped, tt.code, wrapped.Error())
			requireHandlerStatus(t, errors.Join(tt.err), tt.code, tt.err.Error())
		})
	}
}

// requireHandlerStatus says what clients get for an error of a handler: of a
// unary method, and of a stream.
func requireHandlerStatus(t *testing.T, err error, code codes.Code, text string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		srv := contractServer(t, ttrpc.ServiceDesc{
			Methods: map[string]ttrpc.Method{
				"Unary": func(context.Context, func(any) error) (any, error) { return wrapperspb.String("dropped"), err },
			},
			Streams: map[string]ttrpc.Stream{
				"Stream": {StreamingServer: true, Handler: func(context.Context, ttrpc.StreamServer) (any, error) {
					return wrapperspb.String("dropped"), err
				}},
			},
		})
		client := newClient(t, servePipe(t, srv).dialPipe(t))
		got := client.Call(t.Context(), contractService, "Unary", wrapperspb.String("x"), &wrapperspb.StringValue{})
		wantStatus(t, status.New(code, text), got)
		stream, openErr := client.NewStream(t.Context(), &ttrpc.StreamDesc{StreamingServer: true}, contractService, "Stream", wrapperspb.String("x"))
		require.NoError(t, openErr)
		wantStatus(t, status.New(code, text), stream.RecvMsg(&wrapperspb.StringValue{}))
	})
}

// A status keeps its details, wrapped or not, all the way to the caller.
func TestStatusDetailsReachCaller(t *testing.T) {
	detailed, err := status.New(codes.NotFound, "nf").WithDetails(wrapperspb.String("d1"), wrapperspb.Int64(2))
	require.NoError(t, err)
	for _, tt := range []struct {
		name string
		err  error
		text string
	}{
		{"as it is", detailed.Err(), "nf"},
		{"wrapped", fmt.Errorf("wrapped: %w", detailed.Err()), "wrapped: rpc error: code = NotFound desc = nf"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := contractServer(t, ttrpc.ServiceDesc{Methods: map[string]ttrpc.Method{
					"Unary": func(context.Context, func(any) error) (any, error) { return nil, tt.err },
				}})
				client := newClient(t, servePipe(t, srv).dialPipe(t))
				got := status.Convert(client.Call(t.Context(), contractService, "Unary", wrapperspb.String("x"), &wrapperspb.StringValue{}))
				require.Equal(t, codes.NotFound, got.Code())
				require.Equal(t, tt.text, got.Message())
				require.Len(t, got.Details(), 2)
				require.True(t, proto.Equal(wrapperspb.String("d1"), got.Details()[0].(proto.Message)))
				require.True(t, proto.Equal(wrapperspb.Int64(2), got.Details()[1].(proto.Message)))
			})
		})
	}
}

// A status with code OK is no error, and so is the Err of one.
func TestStatusOKIsSuccess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := contractServer(t, ttrpc.ServiceDesc{Methods: map[string]ttrpc.Method{
			"Unary": func(context.Context, func(any) error) (any, error) {
				return wrapperspb.String("x"), status.New(codes.OK, "fine").Err()
			},
		}})
		client := newClient(t, servePipe(t, srv).dialPipe(t))
		var resp wrapperspb.StringValue
		require.NoError(t, client.Call(t.Context(), contractService, "Unary", wrapperspb.String("x"), &resp))
		require.Equal(t, "x", resp.GetValue())
	})
}
