// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package shapes

import "slices"

// ID is the custom type of a field, with the methods that gogo asks of it. It
// keeps what it is decoded from, as some do.
type ID []byte

func (id ID) Marshal() ([]byte, error) { return id, nil }

func (id ID) MarshalTo(to []byte) (int, error) { return copy(to, id), nil }

func (id *ID) Unmarshal(from []byte) error {
	*id = from
	return nil
}

func (id ID) Size() int { return len(id) }

// Equal tells whether two are the same.
func (id ID) Equal(other ID) bool { return slices.Equal(id, other) }
