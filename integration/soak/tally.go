// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/containerd/ttrpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// tally counts what the actors have done, by what came of it.
type tally struct {
	mu      sync.Mutex
	ends    map[string]uint64
	answers []error // that were wrong
}

func newTally() *tally { return &tally{ends: make(map[string]uint64)} }

// errWrongAnswer is what an actor returns whose answer was not its own.
var errWrongAnswer = errors.New("wrong answer")

// add counts the end of something that an actor did.
func (t *tally) add(actor string, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ends[actor+": "+kindOf(err)]++
	if errors.Is(err, errWrongAnswer) && len(t.answers) < 10 {
		t.answers = append(t.answers, fmt.Errorf("%s: %w", actor, err))
	}
}

// kindOf sorts errors.
func kindOf(err error) string {
	switch st, ok := status.FromError(err); {
	case err == nil:
		return "answered"
	case errors.Is(err, errWrongAnswer):
		return "WRONG ANSWER"
	case errors.Is(err, ttrpc.ErrClosed):
		return "closed"
	case errors.Is(err, ttrpc.ErrStreamFull):
		return "stream full"
	case ok && st.Code() != codes.Unknown:
		return st.Code().String()
	default:
		return err.Error()
	}
}

// total returns how much has been done.
func (t *tally) total() (n uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, k := range t.ends {
		n += k
	}
	return n
}

// wrong returns the first wrong answers, joined.
func (t *tally) wrong() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return errors.Join(t.answers...)
}

func (t *tally) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(t.ends)) {
		fmt.Fprintf(&b, "%10d  %s\n", t.ends[name], name)
	}
	return b.String()
}
