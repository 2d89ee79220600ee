// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package ttrpc

import "slices"

// maxIDGaps bounds what a server remembers about ids that were passed over. Of
// more gaps than this, the lowest count as used.
const maxIDGaps = 1024

// streamIDs knows which odd stream ids a client has used on a connection.
// Clients count up, but some send concurrent requests out of order, so an id
// below the highest is fine as long as it is new. PROTOCOL.md, "Stream ids".
type streamIDs struct {
	highest uint32  // the highest id used; 0 for none
	gaps    []idGap // unused ids below highest, in ascending order
}

// idGap is a range of odd ids, both ends included.
type idGap struct {
	first, last uint32
}

// use marks the odd id as used. It reports false if it was used before.
func (s *streamIDs) use(id uint32) bool {
	if id <= s.highest {
		return s.fill(id)
	}
	// The id that follows highest; from 0, that is 1.
	if next := (s.highest + 1) | 1; next < id {
		if len(s.gaps) == maxIDGaps {
			s.gaps = slices.Delete(s.gaps, 0, 1)
		}
		s.gaps = append(s.gaps, idGap{next, id - 2})
	}
	s.highest = id
	return true
}

// fill takes id out of the gap that it lies in.
func (s *streamIDs) fill(id uint32) bool {
	i, found := slices.BinarySearchFunc(s.gaps, id, func(g idGap, id uint32) int {
		switch {
		case g.last < id:
			return -1
		case g.first > id:
			return 1
		}
		return 0
	})
	if !found {
		return false
	}
	g := s.gaps[i]
	switch {
	case g.first == g.last:
		s.gaps = slices.Delete(s.gaps, i, i+1)
	case id == g.first:
		s.gaps[i].first += 2
	case id == g.last:
		s.gaps[i].last -= 2
	default:
		s.gaps[i].last = id - 2
		s.gaps = slices.Insert(s.gaps, i+1, idGap{id + 2, g.last})
		if len(s.gaps) > maxIDGaps {
			s.gaps = slices.Delete(s.gaps, 0, 1)
		}
	}
	return true
}
