// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package load

import (
	"sync"
	"testing"
)

func TestOrder(t *testing.T) {
	want := Order{Messages: 2000, Size: 4096}
	got, err := DecodeOrder(want.Encode())
	if err != nil || got != want {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
	if _, err := DecodeOrder([]byte("short")); err == nil {
		t.Error("a short order is taken")
	}
}

func TestCount(t *testing.T) {
	if err := CheckCount(EncodeCount(7, nil), 7); err != nil {
		t.Error(err)
	}
	for _, b := range [][]byte{EncodeCount(8, nil), {7}} {
		if CheckCount(b, 7) == nil {
			t.Errorf("% x is taken for 7", b)
		}
	}
}

// Whoever waits at the gate goes on when it opens; who comes later waits for the
// next time.
func TestGate(t *testing.T) {
	g := newGate()
	for range 2 {
		var wait sync.WaitGroup
		for range 3 {
			wait.Go(g.wait)
		}
		g.awaitCount(3)
		g.release()
		wait.Wait()
	}
}

func TestPairsHaveTheKeyThatIsLookedAt(t *testing.T) {
	if pairs := Pairs(); len(pairs) != 4 || pairs[MetadataKey] == "" {
		t.Errorf("pairs are %v", pairs)
	}
}
