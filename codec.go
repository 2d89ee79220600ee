// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package ttrpc

import (
	"errors"
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/protoadapt"
)

// codec encodes and decodes the messages that users pass in. It knows, in this
// order:
//
//   - google.golang.org/protobuf messages (proto.Message), whatever else they
//     implement; with vt set, by the methods of vtprotobuf where they have them;
//   - messages that encode themselves, as gogo's generators make them;
//   - messages of the older github.com/golang/protobuf generators.
type codec struct {
	vt bool
}

// errUnknownMessage says that a value is not a message that codec knows.
var errUnknownMessage = errors.New("not a protobuf message")

// selfEncoded is a message as gogo's generators make it.
type selfEncoded interface {
	Marshal() ([]byte, error)
	Unmarshal([]byte) error
	Reset()
}

// sizedEncoder is what most selfEncoded messages have too.
type sizedEncoder interface {
	Size() int
	MarshalTo([]byte) (int, error)
}

// vtEncoder and vtDecoder are the methods of vtprotobuf's generator.
type vtEncoder interface {
	SizeVT() int
	MarshalToSizedBufferVT([]byte) (int, error)
}

type vtDecoder interface {
	UnmarshalVT([]byte) error
}

// encoding is a message whose size is known and which has yet to be written
// into a frame. Exactly one of its sources is set, or none for an empty one.
type encoding struct {
	size int

	message proto.Message
	vt      vtEncoder
	raw     []byte
}

var marshalWithSize = proto.MarshalOptions{UseCachedSize: true}

// prepare measures m. The message must not change until append has been called.
func (c codec) prepare(m any) (e encoding, err error) {
	if pm, ok := m.(proto.Message); ok {
		if c.vt {
			if vt, ok := m.(vtEncoder); ok && !isNilMessage(pm) {
				return encoding{vt: vt, size: vt.SizeVT()}, nil
			}
		}
		return encoding{message: pm, size: proto.Size(pm)}, nil
	}
	defer recoverForeign(m, &err)
	switch m := m.(type) {
	case selfEncoded:
		raw, err := marshalSelf(m)
		return encoding{raw: raw, size: len(raw)}, err
	case protoadapt.MessageV1:
		// It may have methods of its own behind this, so it is encoded here, once.
		raw, err := proto.Marshal(protoadapt.MessageV2Of(m))
		return encoding{raw: raw, size: len(raw)}, err
	}
	return encoding{}, errUnknownMessage
}

// append writes the message behind b, which has room for e.size bytes.
func (e encoding) append(b []byte) ([]byte, error) {
	start := len(b)
	var n int
	var err error
	switch {
	case e.message != nil:
		b, err = marshalWithSize.MarshalAppend(b, e.message)
		n = len(b) - start
	case e.vt != nil: // it writes from the back
		b = slices.Grow(b, e.size)[:start+e.size]
		n, err = e.vt.MarshalToSizedBufferVT(b[start:])
	default:
		b = append(b, e.raw...)
		n = len(e.raw)
	}
	if err == nil && n != e.size {
		err = errors.New("ttrpc: message changed while it was encoded")
	}
	return b, err
}

// bytes returns the encoded message in a slice of its own.
func (e encoding) bytes() ([]byte, error) {
	if e.raw != nil {
		return e.raw, nil
	}
	return e.append(make([]byte, 0, e.size))
}

// marshalSelf encodes a message by its own methods.
func marshalSelf(m selfEncoded) ([]byte, error) {
	sized, ok := m.(sizedEncoder)
	if !ok {
		return m.Marshal()
	}
	b := make([]byte, sized.Size())
	n, err := sized.MarshalTo(b)
	if err != nil {
		return nil, err
	}
	return b[:n], nil
}

// unmarshalOptions limits how deep messages may be nested, so that one of a few
// kilobytes does not make the stack of its goroutine grow to many megabytes.
var unmarshalOptions = proto.UnmarshalOptions{RecursionLimit: 1000}

// unmarshal decodes b into m, replacing what m holds. It keeps nothing of b.
func (c codec) unmarshal(b []byte, m any) (err error) {
	if pm, ok := m.(proto.Message); ok {
		if c.vt {
			if vt, ok := m.(vtDecoder); ok && !isNilMessage(pm) {
				proto.Reset(pm)
				return vt.UnmarshalVT(b)
			}
		}
		return unmarshalOptions.Unmarshal(b, pm)
	}
	defer recoverForeign(m, &err)
	switch m := m.(type) {
	case selfEncoded:
		// Custom field types may keep a part of what they decode.
		b = slices.Clone(b)
		m.Reset()
		return m.Unmarshal(b)
	case protoadapt.MessageV1:
		return unmarshalOptions.Unmarshal(b, protoadapt.MessageV2Of(m))
	}
	return errUnknownMessage
}

// isNilMessage reports whether m is a nil pointer in an interface.
func isNilMessage(m proto.Message) bool {
	return !m.ProtoReflect().IsValid()
}

// recoverForeign turns a panic of a message's own code (a nil pointer, a custom
// type) into an error: it must cost its call only.
func recoverForeign(m any, err *error) {
	if v := recover(); v != nil {
		*err = fmt.Errorf("ttrpc: message of type %T: %v", m, v)
	}
}
