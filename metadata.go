// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package ttrpc

import (
	"context"
	"strings"
)

// MD is the metadata of a call: keys with any number of values each, like the
// header of an HTTP request. It travels with a unary Request and with the
// Request that opens a stream, from client to server only (PROTOCOL.md,
// "Request").
//
// Keys are lower case: Get, Set and Append see to that, and so does a server
// with what it receives. Set keeps the slice that it is given. Putting an MD
// into a context and taking it out does not copy it; one that is shared between
// goroutines must not be changed.
type MD map[string][]string

// Get returns the values of key. It returns nil, false if there are none.
func (m MD) Get(key string) ([]string, bool) {
	values := m[strings.ToLower(key)]
	if len(values) == 0 {
		return nil, false
	}
	return values, true
}

// Set replaces the values of key. Without values it removes the key. It panics
// if m is nil and there are values.
func (m MD) Set(key string, values ...string) {
	key = strings.ToLower(key)
	if len(values) == 0 {
		delete(m, key)
		return
	}
	m[key] = values
}

// Append adds values behind those that key has. Without values it does
// nothing. It panics if m is nil and there are values.
func (m MD) Append(key string, values ...string) {
	if len(values) == 0 {
		return
	}
	key = strings.ToLower(key)
	m[key] = append(m[key], values...)
}

// Clone returns a deep copy of m, which is nil if m is nil.
func (m MD) Clone() MD {
	if m == nil {
		return nil
	}
	clone := make(MD, len(m))
	for key, values := range m {
		if values == nil {
			clone[key] = nil
			continue
		}
		clone[key] = append(make([]string, 0, len(values)), values...)
	}
	return clone
}

// keyValues returns m as the wire has it: an entry per value, the values of a
// key in their order. A key without values does not travel.
func (m MD) keyValues() []*KeyValue {
	var kvs []*KeyValue
	for key, values := range m {
		for _, value := range values {
			kvs = append(kvs, &KeyValue{Key: key, Value: value})
		}
	}
	return kvs
}

// metadataKey is where a context keeps the MD.
type metadataKey struct{}

// GetMetadata returns the metadata in ctx: in a handler what the client sent (or,
// if that is nothing, what the context given to Serve has), elsewhere what
// WithMetadata put there. It is the map itself, not a copy:
// Clone it before changing it. The result is nil, false if there is none.
func GetMetadata(ctx context.Context) (MD, bool) {
	md, ok := ctx.Value(metadataKey{}).(MD)
	return md, ok
}

// GetMetadataValue returns the first value of the metadata key name in ctx, and
// "", false if there is none.
func GetMetadataValue(ctx context.Context, name string) (string, bool) {
	md, ok := GetMetadata(ctx)
	if !ok {
		return "", false
	}
	values, ok := md.Get(name)
	if !ok {
		return "", false
	}
	return values[0], true
}

// WithMetadata returns a copy of ctx that carries md, in place of any metadata
// that ctx has. Calls made with it send md. The context of a handler carries
// what the client sent, so a call that the handler makes with it passes the
// metadata on.
func WithMetadata(ctx context.Context, md MD) context.Context {
	return context.WithValue(ctx, metadataKey{}, md)
}
