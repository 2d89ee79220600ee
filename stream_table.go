// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package ttrpc

import "sync/atomic"

// streamTable holds the live streams of one end of a connection by their ids,
// which are not zero. Most connections carry one call at a time: the table has
// room for one stream in itself, and makes a map only for more.
type streamTable[T any] struct {
	id    uint32 // of one; zero if there is none
	one   T
	more  map[uint32]T
	grown bool // more has been larger than keptTable

	count atomic.Int32 // of streams; may be read without the lock
}

// keptTable is the largest size that a table's map may have had for an idle
// connection to keep it.
const keptTable = 8

// len returns the number of streams. It may be called without the lock, for a
// figure that may be out of date.
func (t *streamTable[T]) len() int { return int(t.count.Load()) }

// get returns the stream of that id, and whether there is one.
func (t *streamTable[T]) get(id uint32) (T, bool) {
	if id == t.id && id != 0 {
		return t.one, true
	}
	stream, ok := t.more[id]
	return stream, ok
}

// put adds a stream whose id is not in the table.
func (t *streamTable[T]) put(id uint32, stream T) {
	t.count.Add(1)
	if t.id == 0 {
		t.id, t.one = id, stream
		return
	}
	if t.more == nil {
		t.more = map[uint32]T{}
	}
	t.more[id] = stream
	t.grown = t.grown || len(t.more) > keptTable
}

// remove takes the stream of that id out, and returns it if there was one.
func (t *streamTable[T]) remove(id uint32) (T, bool) {
	var none T
	if id == t.id && id != 0 {
		stream := t.one
		t.id, t.one = 0, none
		t.count.Add(-1)
		return stream, true
	}
	stream, ok := t.more[id]
	if !ok {
		return none, false
	}
	t.count.Add(-1)
	delete(t.more, id)
	if t.grown && len(t.more) == 0 {
		t.more, t.grown = nil, false // a map never shrinks
	}
	return stream, true
}

// removeAll takes all streams out, and returns them.
func (t *streamTable[T]) removeAll() []T {
	streams := make([]T, 0, t.len())
	for _, stream := range t.all {
		streams = append(streams, stream)
	}
	var none T
	t.id, t.one, t.more, t.grown = 0, none, nil, false
	t.count.Store(0)
	return streams
}

// all is an iterator over the table.
func (t *streamTable[T]) all(yield func(uint32, T) bool) {
	if t.id != 0 && !yield(t.id, t.one) {
		return
	}
	for id, stream := range t.more {
		if !yield(id, stream) {
			return
		}
	}
}
