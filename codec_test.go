// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package ttrpc

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// selfMessage encodes itself, as gogo's messages do. Like theirs, its Unmarshal
// adds to what is there, and it may keep a part of what it decodes.
type selfMessage struct {
	value []byte
	calls *[]string
}

func (m *selfMessage) note(call string) {
	if m.calls != nil {
		*m.calls = append(*m.calls, call)
	}
}

func (m *selfMessage) Marshal() ([]byte, error) {
	m.note("Marshal")
	return bytes.Clone(m.value), nil
}

func (m *selfMessage) Unmarshal(b []byte) error {
	m.note("Unmarshal")
	if len(m.value) > 0 {
		b = append(m.value, b...)
	}
	m.value = b // keeps it
	return nil
}

func (m *selfMessage) Reset() {
	m.note("Reset")
	m.value = nil
}

// sizedMessage has what most of gogo's messages have, too.
type sizedMessage struct{ selfMessage }

func (m *sizedMessage) Size() int {
	m.note("Size")
	return len(m.value)
}

func (m *sizedMessage) MarshalTo(b []byte) (int, error) {
	m.note("MarshalTo")
	return copy(b, m.value), nil
}

// failingMessage is a self-encoded message with errors.
type failingMessage struct{ selfMessage }

func (*failingMessage) Marshal() ([]byte, error) { return nil, errInjected }
func (*failingMessage) Unmarshal([]byte) error   { return errInjected }

// failingSized fails in MarshalTo.
type failingSized struct{ sizedMessage }

func (*failingSized) MarshalTo([]byte) (int, error) { return 0, errInjected }

// shorterSized says that it needs more than it does, which is allowed.
type shorterSized struct{ sizedMessage }

func (m *shorterSized) Size() int { return len(m.value) + 7 }

// oldMessage is as the older golang/protobuf generators made them.
type oldMessage struct {
	Value *string `protobuf:"bytes,1,opt,name=value"`
}

func (m *oldMessage) Reset()         { *m = oldMessage{} }
func (m *oldMessage) String() string { return fmt.Sprint(m.Value) }
func (*oldMessage) ProtoMessage()    {}

// misleading is a proto.Message that has methods of other kinds, which are not
// about its encoding.
type misleading struct{ *wrapperspb.StringValue }

func (misleading) Marshal() ([]byte, error)      { return []byte("JSON"), nil }
func (misleading) Unmarshal([]byte) error        { return errors.New("JSON") }
func (misleading) Size() int                     { return 4 }
func (misleading) MarshalTo([]byte) (int, error) { return 0, errors.New("JSON") }

// vtMessage has vtprotobuf's methods, which here are told by their results.
type vtMessage struct {
	*wrapperspb.StringValue
	decoded string
}

func (m *vtMessage) SizeVT() int { return 3 }

func (m *vtMessage) MarshalToSizedBufferVT(b []byte) (int, error) {
	return copy(b[len(b)-3:], "\x12\x01v"), nil
}

func (m *vtMessage) UnmarshalVT(b []byte) error {
	m.decoded += m.Value + string(b)
	return nil
}

// encode encodes m behind a prefix, as into a frame.
func encode(t testing.TB, c codec, m any) []byte {
	t.Helper()
	e, err := c.prepare(m)
	require.NoError(t, err)
	b := append(make([]byte, 0, 100), "prefix"...)
	b, err = e.append(b)
	require.NoError(t, err)
	require.Equal(t, "prefix", string(b[:6]))
	require.Len(t, b[6:], e.size)
	alone, err := e.bytes()
	require.NoError(t, err)
	require.Equal(t, string(b[6:]), string(alone))
	return b[6:]
}

func TestCodec(t *testing.T) {
	const hello = "\x0a\x05hello" // field 1
	text := "hello"

	t.Run("proto.Message", func(t *testing.T) {
		require.Equal(t, hello, string(encode(t, codec{}, wrapperspb.String("hello"))))
		into := wrapperspb.String("before")
		require.NoError(t, codec{}.unmarshal([]byte(hello), into))
		require.Equal(t, "hello", into.Value)
		require.NoError(t, codec{}.unmarshal(nil, into))
		require.Empty(t, into.Value, "what was there is replaced")
		require.Error(t, codec{}.unmarshal([]byte("\xff"), into))
	})

	t.Run("nil proto.Message", func(t *testing.T) {
		for _, c := range []codec{{}, {vt: true}} {
			require.Empty(t, encode(t, c, (*wrapperspb.StringValue)(nil)))
		}
	})

	t.Run("proto.Message with invalid UTF-8", func(t *testing.T) {
		e, err := codec{}.prepare(wrapperspb.String("\xff"))
		require.NoError(t, err)
		_, err = e.append(nil)
		require.ErrorContains(t, err, "invalid UTF-8")
	})

	t.Run("proto.Message with other methods", func(t *testing.T) {
		m := misleading{wrapperspb.String("hello")}
		require.Equal(t, hello, string(encode(t, codec{}, m)))
		m.Value = ""
		require.NoError(t, codec{}.unmarshal([]byte(hello), m))
		require.Equal(t, "hello", m.Value)
	})

	t.Run("proto.Message that changes", func(t *testing.T) {
		m := wrapperspb.String("hello")
		e, err := codec{}.prepare(m)
		require.NoError(t, err)
		m.Value = "longer than before"
		_, err = e.append(nil)
		require.Error(t, err)
	})

	t.Run("self-encoded", func(t *testing.T) {
		var calls []string
		m := &selfMessage{value: []byte("abc"), calls: &calls}
		require.Equal(t, "abc", string(encode(t, codec{}, m)))
		require.Equal(t, []string{"Marshal"}, calls)
		calls = nil
		b := []byte("def")
		require.NoError(t, codec{}.unmarshal(b, m))
		require.Equal(t, []string{"Reset", "Unmarshal"}, calls)
		clear(b)
		require.Equal(t, "def", string(m.value), "it shares memory with the connection")
	})

	t.Run("self-encoded with a size", func(t *testing.T) {
		var calls []string
		m := &sizedMessage{selfMessage{value: []byte("abc"), calls: &calls}}
		require.Equal(t, "abc", string(encode(t, codec{}, m)))
		require.Equal(t, []string{"Size", "MarshalTo"}, calls)
		require.Equal(t, "abc", string(encode(t, codec{}, &shorterSized{*m})))
	})

	t.Run("self-encoded, empty", func(t *testing.T) {
		require.Empty(t, encode(t, codec{}, &selfMessage{}))
		require.Empty(t, encode(t, codec{}, &sizedMessage{}))
	})

	t.Run("self-encoded with errors", func(t *testing.T) {
		for _, m := range []any{&failingMessage{}, &failingSized{}} {
			_, err := codec{}.prepare(m)
			require.ErrorIs(t, err, errInjected)
		}
		require.ErrorIs(t, codec{}.unmarshal(nil, &failingMessage{}), errInjected)
	})

	t.Run("nil self-encoded", func(t *testing.T) {
		// Their methods panic; that must cost one call only.
		_, err := codec{}.prepare((*sizedMessage)(nil))
		require.ErrorContains(t, err, "ttrpc: message of type *ttrpc.sizedMessage: ")
		err = codec{}.unmarshal(nil, (*sizedMessage)(nil))
		require.ErrorContains(t, err, "ttrpc: message of type *ttrpc.sizedMessage: ")
	})

	t.Run("golang/protobuf", func(t *testing.T) {
		require.Equal(t, hello, string(encode(t, codec{}, &oldMessage{Value: &text})))
		var into oldMessage
		require.NoError(t, codec{}.unmarshal([]byte(hello), &into))
		require.Equal(t, "hello", *into.Value)
	})

	t.Run("vtprotobuf", func(t *testing.T) {
		m := &vtMessage{StringValue: wrapperspb.String("hello")}
		require.Equal(t, hello, string(encode(t, codec{}, m)), "it is asked for by an option")
		require.Equal(t, "\x12\x01v", string(encode(t, codec{vt: true}, m)))
		require.NoError(t, codec{vt: true}.unmarshal([]byte("data"), m))
		require.Equal(t, "data", m.decoded, "what was there is replaced")
		require.Equal(t, hello, string(encode(t, codec{vt: true}, wrapperspb.String("hello"))))
	})

	t.Run("vtprotobuf without room", func(t *testing.T) {
		e, err := codec{vt: true}.prepare(&vtMessage{StringValue: wrapperspb.String("hello")})
		require.NoError(t, err)
		b, err := e.append(make([]byte, 2, 3))
		require.NoError(t, err)
		require.Equal(t, "\x00\x00\x12\x01v", string(b))
	})

	t.Run("anything else", func(t *testing.T) {
		for _, m := range []any{nil, 1, "text", []byte("bytes"), struct{}{}, &struct{}{}, wrapperspb.StringValue{}} {
			_, err := codec{}.prepare(m)
			require.Equal(t, errUnknownMessage, err, "%T", m)
			require.Equal(t, errUnknownMessage, codec{}.unmarshal(nil, m), "%T", m)
		}
	})
}

// Nothing that is decoded shares memory with what it was decoded from.
func TestUnmarshalKeepsNothingOfItsArgument(t *testing.T) {
	b, err := proto.Marshal(&Request{Service: "service", Payload: []byte("payload"), Metadata: []*KeyValue{{Key: "k", Value: "v"}}})
	require.NoError(t, err)
	b = append(b, 0xfa, 0x01, 3, 'u', 'n', 'k') // an unknown field
	for _, c := range []codec{{}, {vt: true}} {
		in := bytes.Clone(b)
		var got, want Request
		require.NoError(t, c.unmarshal(in, &got))
		require.NoError(t, proto.Unmarshal(b, &want))
		clear(in)
		require.True(t, proto.Equal(&want, &got), "%v", &got)
	}
}

// shrinkingVT writes less than it promised, as a message does that another
// goroutine changes meanwhile.
type shrinkingVT struct{ *wrapperspb.StringValue }

func (shrinkingVT) SizeVT() int { return 10 }

func (shrinkingVT) MarshalToSizedBufferVT(b []byte) (int, error) {
	return copy(b[len(b)-3:], "\x12\x01v"), nil
}

// The rest of the buffer holds what it held before: bytes of other calls.
func TestVTMessageThatShrinksIsRefused(t *testing.T) {
	e, err := codec{vt: true}.prepare(shrinkingVT{wrapperspb.String("")})
	require.NoError(t, err)
	used := []byte("secrets of another call")
	b, err := e.append(used[:0])
	require.Error(t, err, "sent: %q", b)
}
