// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"strings"
	"testing"
)

// sample returns two releases of a peer.
func sample() []*Result {
	return []*Result{
		{Part: "P", Peer: "peer", Version: "v1.10", Cases: []Case{
			{Name: "a", Direction: OurClient, Outcome: Pass},
			{Name: "b", Direction: OurClient, Outcome: Fail, Note: "why"},
			{Name: "c", Direction: OurClient, Outcome: Pass, Note: "known"},
		}},
		{Part: "P", Peer: "peer", Version: "v1.9", Cases: []Case{
			{Name: "a", Direction: OurClient, Outcome: Pass, Note: "known"},
			{Name: "c", Direction: OurClient, Outcome: Skip, Note: "not there"},
			{Name: "a", Direction: OurServer, Outcome: Pass},
		}},
	}
}

func TestResultsAreReadAsTheyWereWritten(t *testing.T) {
	dir := t.TempDir()
	for _, r := range sample() {
		for range 2 { // the second one replaces the first one
			if err := Write(dir, r); err != nil {
				t.Fatal(err)
			}
		}
	}
	results, err := Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(results) != 2 || results[0].Version != "v1.9" || results[1].Version != "v1.10" {
		t.Fatalf("got %d results, not those of v1.9 and v1.10", len(results))
	}
	if got, want := results[1].Cases[1], (Case{Name: "b", Direction: OurClient, Outcome: Fail, Note: "why"}); got != want {
		t.Fatalf("got %v, want %v", got, want)
	}
}

func TestResultsNeedReasons(t *testing.T) {
	for _, c := range []Case{{Outcome: Fail}, {Outcome: Skip}, {Outcome: "passed"}} {
		if err := Write(t.TempDir(), &Result{Cases: []Case{c}}); err == nil {
			t.Errorf("a case with the result %q and no note was written", c.Outcome)
		}
	}
}

func TestTables(t *testing.T) {
	results := sample()
	results[0], results[1] = results[1], results[0]
	_, tables, found := strings.Cut(string(Render(results)), "## What was run\n\n")
	if !found {
		t.Fatal("no summary")
	}
	const want = `| part | peer | release | who calls whom | passed | failed | skipped |
|---|---|---|---|---:|---:|---:|
| P | peer | v1.9 | our client, their server | 1 | 0 | 1 |
| P | peer | v1.9 | their client, our server | 1 | 0 | 0 |
| P | peer | v1.10 | our client, their server | 2 | 1 | 0 |

## P

### peer: our client, their server

| | v1.9 | v1.10 |
|---|---|---|
| a | pass (1) | pass |
| b |  | **FAIL** (2) |
| c | skipped (3) | pass (1) |

1. known
2. why
3. not there

### peer: their client, our server

| | v1.9 | v1.10 |
|---|---|---|
| a | pass |  |
`
	if tables != want {
		t.Errorf("got\n%s\nwant\n%s", tables, want)
	}
}
