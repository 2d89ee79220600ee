// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package ttrpc

import (
	"errors"
	"fmt"
	"math"
	"unicode/utf8"

	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// The envelope is the Request or Response message around a user's message
// (PROTOCOL.md, "Request", "Response"). Every call writes and reads two of
// them, so this is done by hand, in one pass and in place. Whatever is out of
// the ordinary (malformed, invalid UTF-8, a repeated message) is left to
// google.golang.org/protobuf, which so decides every doubtful case.

const (
	// maxMetadata bounds the metadata of a Request: its bytes, and 128 for each
	// value, because short ones take much more memory than bytes on the wire.
	maxMetadata      = 1 << 20
	metadataOverhead = 128

	// maxStatusDetails is how many details of a status are decoded, for the same
	// reason. A status that has more loses them.
	maxStatusDetails = 1024

	// maxGroupDepth is how deep groups may be nested. The envelope has none, but
	// unknown fields may be groups. protobuf skips them by recursion, so that a few
	// kilobytes would make the reading goroutine's stack grow to megabytes.
	maxGroupDepth = 100
)

// errMetadataTooLarge refuses a Request.
var errMetadataTooLarge = fmt.Errorf("metadata exceeds %d bytes", maxMetadata)

// errGroupsTooDeep refuses an envelope.
var errGroupsTooDeep = fmt.Errorf("groups are nested more than %d deep", maxGroupDepth)

// Field numbers of the envelope's messages.
const (
	requestService  protowire.Number = 1
	requestMethod   protowire.Number = 2
	requestPayload  protowire.Number = 3
	requestTimeout  protowire.Number = 4
	requestMetadata protowire.Number = 5

	responseStatus  protowire.Number = 1
	responsePayload protowire.Number = 2

	keyValueKey   protowire.Number = 1
	keyValueValue protowire.Number = 2

	statusDetails protowire.Number = 3
)

// consumeTag is protowire.ConsumeTag, but refuses the field numbers that
// protobuf refuses.
func consumeTag(b []byte) (protowire.Number, protowire.Type, int) {
	num, typ, n := protowire.ConsumeTag(b)
	if n >= 0 && num > protowire.MaxValidNumber {
		n = -1
	}
	return num, typ, n
}

// groupTooDeep is what consumeField returns for groups that are nested too deep;
// other errors of it, and those of package protowire, are negative, too.
const groupTooDeep = math.MinInt

// consumeField is protowire.ConsumeFieldValue, but does not recurse.
func consumeField(num protowire.Number, typ protowire.Type, b []byte) int {
	if typ == protowire.StartGroupType {
		return consumeGroup(num, b)
	}
	return protowire.ConsumeFieldValue(num, typ, b)
}

// consumeGroup returns the length of what follows the start of a group, with its
// end.
func consumeGroup(num protowire.Number, b []byte) int {
	size := len(b)
	open := append(make([]protowire.Number, 0, maxGroupDepth), num)
	for len(open) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return n
		}
		b = b[n:]
		switch {
		case typ == protowire.StartGroupType && len(open) == maxGroupDepth:
			return groupTooDeep
		case typ == protowire.StartGroupType:
			open = append(open, num)
		case typ == protowire.EndGroupType && num == open[len(open)-1]:
			open = open[:len(open)-1]
		default: // of which an end in the wrong place is an error
			if n = protowire.ConsumeFieldValue(num, typ, b); n < 0 {
				return n
			}
			b = b[n:]
		}
	}
	return size - len(b)
}

// hasDeepGroups reports whether groups are nested too deep in an encoded message,
// up to where it is malformed. path leads to the messages in it that may have some,
// too: a field's number, one in that field's message, and so on.
func hasDeepGroups(b []byte, path ...protowire.Number) bool {
	for len(b) > 0 {
		num, typ, n := consumeTag(b)
		if n < 0 {
			return false
		}
		b = b[n:]
		m := consumeField(num, typ, b)
		if m < 0 {
			return m == groupTooDeep
		}
		if len(path) > 0 && num == path[0] && typ == protowire.BytesType {
			if v, _ := protowire.ConsumeBytes(b); hasDeepGroups(v, path[1:]...) {
				return true
			}
		}
		b = b[m:]
	}
	return false
}

// outRequest is a Request about to be encoded.
type outRequest struct {
	service, method string
	payload         encoding
	timeoutNano     int64
	md              MD
}

// stringFieldSize is the encoded size of a string field with a number below 16;
// the empty string is left out.
func stringFieldSize(s string) int {
	if s == "" {
		return 0
	}
	return 1 + protowire.SizeBytes(len(s))
}

func appendStringField(b []byte, num protowire.Number, s string) []byte {
	if s == "" {
		return b
	}
	b = protowire.AppendTag(b, num, protowire.BytesType)
	return protowire.AppendString(b, s)
}

// size returns the encoded size of r.
func (r *outRequest) size() int {
	n := stringFieldSize(r.service) + stringFieldSize(r.method)
	if r.payload.size > 0 {
		n += 1 + protowire.SizeBytes(r.payload.size)
	}
	if r.timeoutNano != 0 {
		n += 1 + protowire.SizeVarint(uint64(r.timeoutNano))
	}
	for key, values := range r.md {
		for _, value := range values {
			n += 1 + protowire.SizeBytes(stringFieldSize(key)+stringFieldSize(value))
		}
	}
	return n
}

// append encodes r behind b.
func (r *outRequest) append(b []byte) ([]byte, error) {
	if err := r.checkText(); err != nil {
		return b, err
	}
	b = appendStringField(b, requestService, r.service)
	b = appendStringField(b, requestMethod, r.method)
	if r.payload.size > 0 {
		b = protowire.AppendTag(b, requestPayload, protowire.BytesType)
		b = protowire.AppendVarint(b, uint64(r.payload.size))
		var err error
		if b, err = r.payload.append(b); err != nil {
			return b, err
		}
	}
	if r.timeoutNano != 0 {
		b = protowire.AppendTag(b, requestTimeout, protowire.VarintType)
		b = protowire.AppendVarint(b, uint64(r.timeoutNano))
	}
	for key, values := range r.md {
		for _, value := range values {
			b = protowire.AppendTag(b, requestMetadata, protowire.BytesType)
			b = protowire.AppendVarint(b, uint64(stringFieldSize(key)+stringFieldSize(value)))
			b = appendStringField(b, keyValueKey, key)
			b = appendStringField(b, keyValueValue, value)
		}
	}
	return b, nil
}

// checkText returns protobuf's own error if a string of r is not valid UTF-8.
func (r *outRequest) checkText() error {
	ok := utf8.ValidString(r.service) && utf8.ValidString(r.method)
	for key, values := range r.md {
		ok = ok && utf8.ValidString(key)
		for _, value := range values {
			ok = ok && utf8.ValidString(value)
		}
	}
	if ok {
		return nil
	}
	_, err := proto.Marshal(&Request{Service: r.service, Method: r.method, Metadata: r.md.keyValues()})
	return err
}

// inRequest is a decoded Request. Its slices lie in the bytes it was decoded
// from.
type inRequest struct {
	service, method []byte
	payload         []byte
	timeoutNano     int64
	md              MD
	mdSize          int  // as for maxMetadata
	apart           bool // its slices lie in memory of their own
}

// parseRequest decodes a Request.
func parseRequest(b []byte) (inRequest, error) {
	var r inRequest
	ok := r.parse(b)
	if r.mdSize > maxMetadata {
		return inRequest{}, errMetadataTooLarge
	}
	if ok {
		return r, nil
	}
	if metadataSize(b) > maxMetadata {
		return inRequest{}, errMetadataTooLarge
	}
	if hasDeepGroups(b, requestMetadata) {
		return inRequest{}, errGroupsTooDeep
	}
	var req Request
	if err := proto.Unmarshal(b, &req); err != nil {
		return inRequest{}, err
	}
	r = inRequest{
		service:     []byte(req.Service),
		method:      []byte(req.Method),
		payload:     req.Payload,
		timeoutNano: req.TimeoutNano,
		apart:       true,
	}
	for _, kv := range req.Metadata {
		r.addMetadata(kv.GetKey(), kv.GetValue())
	}
	return r, nil
}

// metadataSize returns the size, as for maxMetadata, of the metadata in an
// encoded Request, as far as that can be read.
func metadataSize(b []byte) int {
	size := 0
	for len(b) > 0 {
		num, typ, n := consumeTag(b)
		if n < 0 {
			break
		}
		m := consumeField(num, typ, b[n:])
		if m < 0 {
			break
		}
		if num == requestMetadata {
			size += m + metadataOverhead
		}
		b = b[n+m:]
	}
	return size
}

// parse reports whether b was decoded; if not, it is protobuf's turn.
func (r *inRequest) parse(b []byte) bool {
	for len(b) > 0 {
		num, typ, n := consumeTag(b)
		if n < 0 {
			return false
		}
		b = b[n:]
		switch {
		case typ == protowire.BytesType && num <= requestMetadata && num != requestTimeout:
			v, n := protowire.ConsumeBytes(b)
			if n < 0 || !r.setBytes(num, v) {
				return false
			}
			b = b[n:]
		case typ == protowire.VarintType && num == requestTimeout:
			v, n := protowire.ConsumeVarint(b)
			if n < 0 {
				return false
			}
			r.timeoutNano = int64(v)
			b = b[n:]
		default: // a field of a later version
			n := consumeField(num, typ, b)
			if n < 0 {
				return false
			}
			b = b[n:]
		}
	}
	return true
}

// setBytes stores a length-delimited field. It reports false for text that is
// not UTF-8.
func (r *inRequest) setBytes(num protowire.Number, v []byte) bool {
	switch num {
	case requestService:
		r.service = v
		return utf8.Valid(v)
	case requestMethod:
		r.method = v
		return utf8.Valid(v)
	case requestPayload:
		r.payload = v
	case requestMetadata:
		return r.parseKeyValue(v)
	}
	return true
}

// parseKeyValue decodes one entry of the metadata.
func (r *inRequest) parseKeyValue(b []byte) bool {
	var key, value []byte
	for len(b) > 0 {
		num, typ, n := consumeTag(b)
		if n < 0 || typ != protowire.BytesType || num > keyValueValue {
			return false
		}
		v, m := protowire.ConsumeBytes(b[n:])
		if m < 0 || !utf8.Valid(v) {
			return false
		}
		if num == keyValueKey {
			key = v
		} else {
			value = v
		}
		b = b[n+m:]
	}
	r.addMetadata(string(key), string(value))
	return r.mdSize <= maxMetadata
}

// addMetadata stores one entry, unless there is too much already.
func (r *inRequest) addMetadata(key, value string) {
	r.mdSize += len(key) + len(value) + metadataOverhead
	if r.mdSize > maxMetadata {
		return
	}
	if r.md == nil {
		r.md = MD{}
	}
	r.md.Append(key, value)
}

// responseSize is the encoded size of a Response with a payload of n bytes and
// no status, which is success.
func responseSize(n int) int {
	if n == 0 {
		return 0
	}
	return 1 + protowire.SizeBytes(n)
}

// appendResponse encodes a Response that carries payload and no status.
func appendResponse(b []byte, payload encoding) ([]byte, error) {
	if payload.size == 0 {
		return b, nil
	}
	b = protowire.AppendTag(b, responsePayload, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(payload.size))
	return payload.append(b)
}

// inResponse is a decoded Response. Its payload lies in the bytes it was
// decoded from.
type inResponse struct {
	status  *spb.Status // nil for success, mostly
	payload []byte
	details int // how many there were in all that was read as a status
}

// errTooManyDetails is about a malformed Response that is not worth the memory
// that it would take to say more.
var errTooManyDetails = errors.New("too many details in a malformed status")

// parseResponse decodes a Response.
func parseResponse(b []byte) (inResponse, error) {
	var r inResponse
	if r.parse(b) {
		return r, nil
	}
	if r.details > maxStatusDetails {
		return inResponse{}, &malformedError{errTooManyDetails}
	}
	if hasDeepGroups(b, responseStatus, statusDetails) {
		return inResponse{}, &malformedError{errGroupsTooDeep}
	}
	var resp Response
	if err := proto.Unmarshal(b, &resp); err != nil {
		return inResponse{}, &malformedError{err}
	}
	return inResponse{status: resp.Status, payload: resp.Payload}, nil
}

// parse reports whether b was decoded; if not, it is protobuf's turn.
func (r *inResponse) parse(b []byte) bool {
	ok := true
	for len(b) > 0 {
		num, typ, n := consumeTag(b)
		if n < 0 {
			return false
		}
		b = b[n:]
		if typ != protowire.BytesType || num > responsePayload {
			if n = consumeField(num, typ, b); n < 0 {
				return false
			}
			b = b[n:]
			continue
		}
		v, n := protowire.ConsumeBytes(b)
		if n < 0 {
			return false
		}
		b = b[n:]
		if num == responsePayload {
			r.payload = v
		} else if !r.parseStatus(v) {
			ok = false // but count the details of others, too
		}
	}
	return ok
}

// parseStatus decodes a status, without its details if there are too many.
func (r *inResponse) parseStatus(b []byte) bool {
	others, details, ok := splitDetails(b)
	r.details += details
	if !ok || r.status != nil { // or parts of one message: they want merging
		return false
	}
	if hasDeepGroups(b, statusDetails) {
		return false
	}
	if details > maxStatusDetails {
		b = others
	}
	r.status = new(spb.Status)
	return proto.Unmarshal(b, r.status) == nil
}

// splitDetails returns what an encoded status has besides its details, and how
// many those are. ok is false if b cannot be read to its end.
func splitDetails(b []byte) (others []byte, details int, ok bool) {
	for len(b) > 0 {
		num, typ, n := consumeTag(b)
		if n < 0 {
			return others, details, false
		}
		m := consumeField(num, typ, b[n:])
		if m < 0 {
			return others, details, false
		}
		if num == statusDetails {
			details++
		} else {
			others = append(others, b[:n+m]...)
		}
		b = b[n+m:]
	}
	return others, details, true
}
