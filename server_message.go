// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package ttrpc

import (
	"context"
	"errors"
	"reflect"

	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// This file is where a server decodes what it receives, and encodes what it
// sends.

// decodeRequest decodes what a client sent; its errors are statuses.
func (s *Server) decodeRequest(b []byte, into any) error {
	err := s.config.codec.unmarshal(b, into)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errUnknownMessage):
		return status.Errorf(codes.Internal, "ttrpc: error unsupported request type: %T", into)
	}
	return status.Errorf(codes.Internal, "ttrpc: error unmarshalling payload: %v", err.Error())
}

// prepareResponse measures what a handler sends; its errors are statuses.
func (s *Server) prepareResponse(m any) (encoding, error) {
	e, err := s.config.codec.prepare(m)
	switch {
	case err == nil:
		return e, nil
	case errors.Is(err, errUnknownMessage):
		return e, status.Errorf(codes.Internal, "ttrpc: error unsupported response type: %T", m)
	}
	return e, marshalError(err)
}

func marshalError(err error) error {
	return status.Errorf(codes.Internal, "ttrpc: error marshaling payload: %v", err.Error())
}

// minStatusSize is the size of a payload that any limit must let pass: enough for
// a status that says what went wrong.
const minStatusSize = 256

// responseFrame encodes a Response with a status. A status that cannot be
// encoded, or makes a payload larger than limit, is replaced by one that says so.
func responseFrame(id uint32, st *spb.Status, limit int) []byte {
	b := make([]byte, frameHeaderLength, 128)
	b, err := proto.MarshalOptions{}.MarshalAppend(b, &Response{Status: st})
	switch {
	case err != nil:
		return responseFrame(id, status.New(codes.Internal, "ttrpc: error marshaling status: "+err.Error()).Proto(), limit)
	case len(b)-frameHeaderLength > max(limit, minStatusSize):
		return responseFrame(id, oversizedStatus(len(b)-frameHeaderLength, limit).Proto(), limit)
	}
	putFrameHeader(b, frameHeader{length: uint32(len(b) - frameHeaderLength), streamID: id, typ: frameResponse})
	return b
}

// frame encodes e as the payload of a Data frame or inside that of a Response.
// Its errors are those of newFrame, or a status for a message that cannot be
// encoded.
func (sc *serverConn) frame(ctx context.Context, h frameHeader, e encoding) (outFrame, error) {
	size := e.size
	if h.typ == frameResponse {
		size = responseSize(size)
	}
	return sc.out.encodeFrame(ctx, h, size, func(b []byte) ([]byte, error) {
		var err error
		if h.typ == frameResponse {
			b, err = appendResponse(b, e)
		} else {
			b, err = e.append(b)
		}
		if err != nil {
			err = marshalError(err)
		}
		return b, err
	})
}

// isNil reports whether v is nil, or a nil pointer.
func isNil(v any) bool {
	if v == nil {
		return true
	}
	rv := reflect.ValueOf(v)
	return rv.Kind() == reflect.Pointer && rv.IsNil()
}
