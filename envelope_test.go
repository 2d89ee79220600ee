// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package ttrpc

import (
	"bytes"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// prepareBytes is an encoding of bytes that are encoded already.
func prepareBytes(b []byte) encoding { return encoding{raw: b, size: len(b)} }

// requireRequestLikeProtobuf decodes b in both ways, and compares.
func requireRequestLikeProtobuf(t testing.TB, b []byte) {
	t.Helper()
	var want Request
	wantErr := proto.Unmarshal(b, &want)
	got, err := parseRequest(b)
	if errors.Is(err, errGroupsTooDeep) {
		requireDeepGroups(t, b)
		return
	}
	require.Equal(t, wantErr == nil, err == nil, "protobuf says %v, and parseRequest %v, for %x", wantErr, err, b)
	if err != nil {
		require.Equal(t, wantErr.Error(), err.Error())
		return
	}
	require.Equal(t, want.Service, string(got.service))
	require.Equal(t, want.Method, string(got.method))
	require.Equal(t, string(want.Payload), string(got.payload))
	require.Equal(t, want.TimeoutNano, got.timeoutNano)
	var md MD
	for _, kv := range want.Metadata {
		if md == nil {
			md = MD{}
		}
		key := strings.ToLower(kv.Key)
		md[key] = append(md[key], kv.Value)
	}
	require.Equal(t, md, got.md)
}

// requireResponseLikeProtobuf decodes b in both ways, and compares.
func requireResponseLikeProtobuf(t testing.TB, b []byte) {
	t.Helper()
	var want Response
	wantErr := proto.Unmarshal(b, &want)
	got, err := parseResponse(b)
	if errors.Is(err, errGroupsTooDeep) {
		requireDeepGroups(t, b)
		return
	}
	require.Equal(t, wantErr == nil, err == nil, "protobuf says %v, and parseResponse %v, for %x", wantErr, err, b)
	if err != nil {
		require.Equal(t, wantErr.Error(), err.Error())
		return
	}
	require.Equal(t, string(want.Payload), string(got.payload))
	require.Equal(t, want.Status == nil, got.status == nil, "status field")
	require.True(t, proto.Equal(want.Status, got.status), "want status %v, got %v", want.Status, got.status)
}

// requireDeepGroups checks that b can have groups that are nested too deep: it has
// enough bytes that may be a group's start.
func requireDeepGroups(t testing.TB, b []byte) {
	t.Helper()
	starts := 0
	for _, c := range b {
		if protowire.Type(c&7) == protowire.StartGroupType {
			starts++
		}
	}
	require.Greater(t, starts, maxGroupDepth)
}

// nested returns groups with that many levels.
func nested(levels int) []byte {
	return concat(
		bytes.Repeat(protowire.AppendTag(nil, 6, protowire.StartGroupType), levels),
		bytes.Repeat(protowire.AppendTag(nil, 6, protowire.EndGroupType), levels),
	)
}

// Groups are skipped, wherever an envelope has some, unless they are nested too
// deep.
func TestGroupsInEnvelope(t *testing.T) {
	odd := field(1, "\xff") // not UTF-8, so protobuf is asked
	for _, where := range []struct {
		name  string
		parse func(groups []byte) error
	}{
		{"Request", func(g []byte) error { _, err := parseRequest(g); return err }},
		{"metadata", func(g []byte) error { _, err := parseRequest(field(5, string(g))); return err }},
		{"Response", func(g []byte) error { _, err := parseResponse(g); return err }},
		{"status", func(g []byte) error { _, err := parseResponse(field(1, string(g))); return err }},
		{"details", func(g []byte) error {
			_, err := parseResponse(field(1, string(field(3, string(g)))))
			return err
		}},
	} {
		t.Run(where.name, func(t *testing.T) {
			require.NoError(t, where.parse(nested(maxGroupDepth)))
			for _, levels := range []int{maxGroupDepth + 1, 9_000, 20_000} {
				require.ErrorIs(t, where.parse(nested(levels)), errGroupsTooDeep, "%d levels", levels)
			}
			require.NoError(t, where.parse(bytes.Repeat(nested(maxGroupDepth), 50)), "one behind the other")
		})
	}
	_, err := parseRequest(concat(odd, nested(maxGroupDepth+1)))
	require.ErrorIs(t, err, errGroupsTooDeep)
	_, err = parseRequest(concat(odd, nested(maxGroupDepth)))
	require.ErrorContains(t, err, "UTF-8")
}

// field returns the encoding of a length-delimited field.
func field(num protowire.Number, value string) []byte {
	b := protowire.AppendTag(nil, num, protowire.BytesType)
	return protowire.AppendString(b, value)
}

// varintField returns the encoding of a varint field.
func varintField(num protowire.Number, value uint64) []byte {
	b := protowire.AppendTag(nil, num, protowire.VarintType)
	return protowire.AppendVarint(b, value)
}

// group returns the encoding of a group.
func group(num protowire.Number, content []byte) []byte {
	b := protowire.AppendTag(nil, num, protowire.StartGroupType)
	b = append(b, content...)
	return protowire.AppendTag(b, num, protowire.EndGroupType)
}

func concat(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// oddEncodings are what a decoder of either message may meet.
var oddEncodings = []struct {
	name string
	b    []byte
}{
	{"nothing", nil},
	{"unknown fields of every type", concat(
		varintField(100, 7),
		protowire.AppendFixed32(protowire.AppendTag(nil, 101, protowire.Fixed32Type), 1),
		protowire.AppendFixed64(protowire.AppendTag(nil, 102, protowire.Fixed64Type), 1),
		field(103, "x"),
		group(104, concat(varintField(1, 1), group(2, nil))),
	)},
	{"known numbers with other types", concat(
		varintField(1, 1), varintField(2, 2), varintField(3, 3), field(4, "4"), varintField(5, 5),
		protowire.AppendFixed32(protowire.AppendTag(nil, 2, protowire.Fixed32Type), 1),
		protowire.AppendFixed64(protowire.AppendTag(nil, 4, protowire.Fixed64Type), 1),
		group(1, nil), group(2, nil), group(3, field(3, "in a group")),
	)},
	{"fields twice", concat(field(1, ""), field(2, "b"), field(2, "c"), field(3, "d"), field(3, "e"), varintField(4, 1), varintField(4, 2))},
	{"empty fields", concat(field(1, ""), field(2, ""), field(3, ""), varintField(4, 0), field(5, ""))},
	{"invalid UTF-8 in field 1", field(1, "\xff")},
	{"invalid UTF-8 in field 2", field(2, "\xff")},
	{"invalid UTF-8 in field 3", field(3, "\xff")},
	{"invalid UTF-8 in an unknown field", field(9, "\xff")},
	{"invalid UTF-8 that is overwritten", concat(field(1, "\xff"), field(1, "ok"))},
	{"invalid UTF-8 that is overwritten, in field 2", concat(field(2, "\xff"), field(2, "ok"))},
	{"metadata", concat(field(5, string(concat(field(1, "Key"), field(2, "v1")))), field(5, string(concat(field(1, "kEY"), field(2, "v2")))))},
	{"metadata without a key", field(5, string(field(2, "v")))},
	{"metadata without a value", field(5, string(field(1, "k")))},
	{"metadata with a key twice", field(5, string(concat(field(1, "a"), field(1, "b"), field(2, "c"), field(2, "d"))))},
	{"metadata with an unknown field", field(5, string(concat(field(1, "a"), varintField(7, 1), field(2, "c"))))},
	{"metadata with another type", field(5, string(concat(varintField(1, 1), field(2, "c"))))},
	{"metadata with invalid UTF-8", field(5, string(field(1, "\xff")))},
	{"metadata with invalid UTF-8 that is overwritten", field(5, string(concat(field(2, "\xff"), field(2, "ok"))))},
	{"metadata that is cut off", field(5, "\x0a\x05ab")},
	{"negative timeout", varintField(4, math.MaxUint64)},
	{"a tag in more bytes than needed", []byte{0x8a, 0x00, 0x01, 'x'}},
	{"a varint of eleven bytes", append([]byte{0x20}, bytes.Repeat([]byte{0x80}, 11)...)},
	{"field number 0", []byte{0x02, 0x00}},
	{"the largest field number", varintField(protowire.MaxValidNumber, 1)},
	{"a field number that is too large", protowire.AppendVarint(protowire.AppendVarint(nil, (1<<29)<<3), 1)},
	{"a field number that is much too large", protowire.AppendVarint(protowire.AppendVarint(nil, math.MaxUint64&^7), 1)},
	{"a type that does not exist", []byte{0x0e}},
	{"a length beyond the end", []byte{0x0a, 0x05, 'x'}},
	{"a group that does not end", protowire.AppendTag(nil, 6, protowire.StartGroupType)},
	{"a group that ends otherwise", concat(protowire.AppendTag(nil, 6, protowire.StartGroupType), protowire.AppendTag(nil, 7, protowire.EndGroupType))},
	{"an end of a group", protowire.AppendTag(nil, 6, protowire.EndGroupType)},
	{"very deep groups", concat(bytes.Repeat(protowire.AppendTag(nil, 6, protowire.StartGroupType), 20_000), bytes.Repeat(protowire.AppendTag(nil, 6, protowire.EndGroupType), 20_000))},
	{"status", field(1, string(concat(varintField(1, 5), field(2, "text"))))},
	{"status in two parts", concat(field(1, string(varintField(1, 5))), field(2, "payload"), field(1, string(field(2, "text"))))},
	{"status with invalid UTF-8", field(1, string(field(2, "\xff")))},
	{"status that is cut off", field(1, "\x0a")},
	{"status with an unknown field", field(1, string(concat(varintField(1, 5), field(77, "x"))))},
}

// The envelope is decoded as google.golang.org/protobuf does it, whatever it is.
func TestEnvelopeIsDecodedAsByProtobuf(t *testing.T) {
	for _, tt := range oddEncodings {
		t.Run(tt.name, func(t *testing.T) {
			t.Run("request", func(t *testing.T) { requireRequestLikeProtobuf(t, tt.b) })
			t.Run("response", func(t *testing.T) { requireResponseLikeProtobuf(t, tt.b) })
			valid, err := proto.Marshal(&Request{Service: "s", Method: "m", Payload: []byte("p")})
			require.NoError(t, err)
			t.Run("in front of a request", func(t *testing.T) { requireRequestLikeProtobuf(t, concat(tt.b, valid)) })
			t.Run("behind a request", func(t *testing.T) { requireRequestLikeProtobuf(t, concat(valid, tt.b)) })
			valid, err = proto.Marshal(&Response{Payload: []byte("p")})
			require.NoError(t, err)
			t.Run("behind a response", func(t *testing.T) { requireResponseLikeProtobuf(t, concat(valid, tt.b)) })
		})
	}
}

// requireEncodedRequest encodes r, and has protobuf decode it.
func requireEncodedRequest(t testing.TB, r *outRequest) {
	t.Helper()
	want := &Request{Service: r.service, Method: r.method, TimeoutNano: r.timeoutNano, Metadata: r.md.keyValues()}
	payload, err := r.payload.bytes()
	require.NoError(t, err)
	if r.payload.size > 0 {
		want.Payload = payload
	}
	_, wantErr := proto.Marshal(want)
	prefix := []byte("prefix")
	b, err := r.append(prefix)
	if wantErr != nil {
		require.EqualError(t, err, wantErr.Error())
		return
	}
	require.NoError(t, err)
	require.Equal(t, "prefix", string(b[:6]))
	b = b[6:]
	require.Len(t, b, r.size(), "size")
	var got Request
	require.NoError(t, proto.Unmarshal(b, &got))
	require.Equal(t, r.payload.size > 0, hasField(b, requestPayload), "payload field")
	// The order of keys is the map's. That of a key's values counts.
	require.Equal(t, metadataOf(want), metadataOf(&got))
	want.Metadata, got.Metadata = nil, nil
	require.True(t, proto.Equal(want, &got), "want %v, got %v", want, &got)
	// What is encoded is what is decoded here, too.
	requireRequestLikeProtobuf(t, b)
}

// hasField reports whether the message b has that field, if only empty.
func hasField(b []byte, want protowire.Number) bool {
	for len(b) > 0 {
		num, _, n := protowire.ConsumeField(b)
		if n < 0 || num == want {
			return n >= 0
		}
		b = b[n:]
	}
	return false
}

func metadataOf(r *Request) map[string][]string {
	md := map[string][]string{}
	for _, kv := range r.Metadata {
		md[kv.Key] = append(md[kv.Key], kv.Value)
	}
	return md
}

func TestRequestIsEncodedAsByProtobuf(t *testing.T) {
	message := wrapperspb.String("message")
	e, err := codec{}.prepare(message)
	require.NoError(t, err)
	for _, tt := range []struct {
		name string
		r    outRequest
	}{
		{"empty", outRequest{}},
		{"all", outRequest{service: "s", method: "m", payload: e, timeoutNano: 5, md: MD{"a": {"b", "", "c"}, "d": nil, "": {"e"}, "UPPER": {""}}}},
		{"empty payload", outRequest{}},
		{"no payload field", outRequest{service: "s"}},
		{"long", outRequest{service: strings.Repeat("s", 127), method: strings.Repeat("m", 128), payload: prepareBytes(make([]byte, 20_000))}},
		{"long metadata", outRequest{md: MD{strings.Repeat("k", 200): {strings.Repeat("v", 70_000), strings.Repeat("v", 100)}}}},
		{"negative timeout", outRequest{timeoutNano: -1}},
		{"largest timeout", outRequest{timeoutNano: math.MaxInt64}},
		{"smallest timeout", outRequest{timeoutNano: math.MinInt64}},
		{"invalid service", outRequest{service: "\xff"}},
		{"invalid method", outRequest{method: "\xc0\x80"}},
		{"invalid key", outRequest{md: MD{"\xed\xa0\x80": {"v"}}}},
		{"invalid value", outRequest{md: MD{"k": {"fine", "\xfe"}}}},
		{"invalid key that does not travel", outRequest{md: MD{"\xff": nil}}},
	} {
		t.Run(tt.name, func(t *testing.T) { requireEncodedRequest(t, &tt.r) })
	}
}

func TestResponseIsEncodedAsByProtobuf(t *testing.T) {
	for _, n := range []int{0, 1, 127, 128, 16_383, 16_384, 100_000} {
		want := &Response{}
		if n > 0 {
			want.Payload = fill(n, n)
		}
		wantBytes, err := proto.Marshal(want)
		require.NoError(t, err)
		b, err := appendResponse(nil, prepareBytes(want.Payload))
		require.NoError(t, err)
		require.True(t, bytes.Equal(wantBytes, b))
		require.Equal(t, len(b), responseSize(n))
	}
	_, err := appendResponse(nil, encoding{size: 5, raw: []byte("four")})
	require.ErrorContains(t, err, "message changed while it was encoded")
}

// A status goes over the wire whole, details and all; one that cannot be
// encoded, or is too large, is replaced.
func TestResponseFrame(t *testing.T) {
	detail, err := anypb.New(wrapperspb.String("detail"))
	require.NoError(t, err)
	for _, tt := range []struct {
		name string
		st   *spb.Status
		code int32
		text string
	}{
		{"small", &spb.Status{Code: 5, Message: "text", Details: []*anypb.Any{detail}}, 5, "text"},
		{"nil", nil, 0, ""},
		{"invalid detail", &spb.Status{Code: 5, Details: []*anypb.Any{{TypeUrl: "\xff"}}}, 13, "ttrpc: error marshaling status: string field contains invalid UTF-8"},
		{"too large", &spb.Status{Code: 5, Message: strings.Repeat("x", messageLengthMax)}, 8, "message length 4194316 exceed maximum message size of 4194304"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			frames, rest := parseFrames(responseFrame(9, tt.st, messageLengthMax))
			require.Empty(t, rest)
			require.Len(t, frames, 1)
			require.Equal(t, frameHeader{length: uint32(len(frames[0].payload)), streamID: 9, typ: frameResponse}, frames[0].frameHeader)
			var resp Response
			require.NoError(t, proto.Unmarshal(frames[0].payload, &resp))
			require.Equal(t, tt.code, resp.GetStatus().GetCode())
			text := strings.ReplaceAll(resp.GetStatus().GetMessage(), "\u00a0", " ") // protobuf varies its texts
			require.Contains(t, text, tt.text)
			require.Equal(t, tt.code == 5, len(resp.GetStatus().GetDetails()) > 0)
		})
	}
}

// FuzzRequestEnvelope decodes arbitrary bytes, and encodes arbitrary requests,
// beside google.golang.org/protobuf.
func FuzzRequestEnvelope(f *testing.F) {
	for _, tt := range oddEncodings {
		if len(tt.b) < 1000 {
			f.Add(tt.b, "service", "Method", []byte("payload"), int64(5), "key", "value")
		}
	}
	genuine, err := proto.Marshal(&Request{Service: "pkg.Service", Method: "Method", Payload: []byte("\x0a\x01x"), TimeoutNano: 1e9, Metadata: MD{"K": {"v", "w"}}.keyValues()})
	require.NoError(f, err)
	f.Add(genuine, "\xff", "", []byte(nil), int64(-1), "", "")
	f.Fuzz(func(t *testing.T, b []byte, service, method string, payload []byte, timeout int64, key, value string) {
		requireRequestLikeProtobuf(t, b)
		requireEncodedRequest(t, &outRequest{
			service: service, method: method,
			payload:     prepareBytes(payload),
			timeoutNano: timeout,
			md:          MD{key: {value, service}, method: {value}},
		})
	})
}

// FuzzResponseEnvelope is FuzzRequestEnvelope for responses.
func FuzzResponseEnvelope(f *testing.F) {
	for _, tt := range oddEncodings {
		if len(tt.b) < 1000 {
			f.Add(tt.b, []byte("payload"))
		}
	}
	genuine, err := proto.Marshal(&Response{Status: &spb.Status{Code: 12, Message: "service pkg.Service"}, Payload: []byte("p")})
	require.NoError(f, err)
	f.Add(genuine, []byte(nil))
	f.Fuzz(func(t *testing.T, b, payload []byte) {
		requireResponseLikeProtobuf(t, b)
		out, err := appendResponse(nil, prepareBytes(payload))
		require.NoError(t, err)
		require.Len(t, out, responseSize(len(payload)))
		var resp Response
		require.NoError(t, proto.Unmarshal(out, &resp))
		require.Equal(t, string(payload), string(resp.Payload))
		require.Nil(t, resp.Status)
	})
}
