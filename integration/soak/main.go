// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

// Soak loads a server and its clients for a long time, with connections and
// streams that come and go, and watches what the process holds:
//
//	go run ./integration/soak -for 20m
//
// Its clients are of several kinds, see actors.go; what they get back is checked.
// It prints a line in a while, taken when all of them pause: heap, goroutines,
// files, and what has been done so far. At the end it compares the last quarter of the
// lines with the second one (the first is for warming up), and exits with
// status 1 if something has grown, or an answer was wrong.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/containerd/ttrpc"
)

func main() {
	lasts := flag.Duration("for", time.Minute, "how `long` it runs; a minute at least")
	lines := flag.Int("lines", 40, "how many lines it prints; at least 8")
	seed := flag.Uint64("seed", 1, "what chance depends on")
	flag.Parse()
	if *lasts < time.Minute {
		fmt.Fprintln(os.Stderr, "soak: within less than a minute memory does not level off")
		os.Exit(2)
	}
	if err := run(*lasts, max(*lines, 8), *seed); err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(1)
	}
}

// run runs everything, and reports what has grown or went wrong.
func run(lasts time.Duration, lines int, seed uint64) error {
	dir, err := os.MkdirTemp("", "soak")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	l, err := net.Listen("unix", filepath.Join(dir, "s"))
	if err != nil {
		return err
	}
	server, err := newServer()
	if err != nil {
		return err
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(context.Background(), l) }()

	tally := newTally()
	var series []sample
	start := time.Now()
	fmt.Println(header)
	for line := range lines {
		work(l.Addr().String(), time.Now().Add(lasts/time.Duration(lines)), seed+uint64(line), tally)
		s := takeSample(time.Since(start), tally)
		fmt.Println(s)
		series = append(series, s)
	}
	if err := server.Close(); err != nil {
		return err
	}
	if err := <-served; !errors.Is(err, ttrpc.ErrServerClosed) {
		return fmt.Errorf("Serve returned %w", err)
	}
	fmt.Print(tally)
	return errors.Join(tally.wrong(), compare(series[lines/4:lines/2], series[lines-lines/4:]))
}

// sample is what the process holds while nothing is going on.
type sample struct {
	at         time.Duration
	heap, rss  uint64
	goroutines int
	files      int
	calls      uint64
}

const header = "    time      calls       heap        RSS  goroutines  files"

func (s sample) String() string {
	return fmt.Sprintf("%8s %10d %7d KB %7d KB  %10d  %5d",
		s.at.Round(time.Second), s.calls, s.heap>>10, s.rss>>10, s.goroutines, s.files)
}

// takeSample reads what is held. Whatever the actors did has ended, but for what
// the other side has yet to notice.
func takeSample(at time.Duration, t *tally) sample {
	settle()
	runtime.GC() // what is in pools goes at the second collection
	debug.FreeOSMemory()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	files, _ := os.ReadDir("/proc/self/fd") // none where there is no such directory
	return sample{
		at: at, heap: m.HeapAlloc, rss: residentSize(),
		goroutines: runtime.NumGoroutine(), files: len(files), calls: t.total(),
	}
}

// settle waits until the number of goroutines has not changed for a while.
func settle() {
	const still = 20
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	before, same := 0, 0
	for same < still {
		<-tick.C
		if n := runtime.NumGoroutine(); n == before {
			same++
		} else {
			before, same = n, 0
		}
	}
}

// residentSize returns the process's resident memory in bytes, zero where that
// cannot be told.
func residentSize() uint64 {
	var size, resident uint64
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	if _, err := fmt.Sscan(string(b), &size, &resident); err != nil {
		return 0
	}
	return resident * uint64(os.Getpagesize())
}

// compare reports what is larger in the later samples than in the earlier ones.
// Memory may differ by a tenth and a megabyte, the rest by nothing: the least of
// each counts, for a sample may find something that is about to end.
func compare(earlier, later []sample) error {
	least := func(samples []sample, value func(sample) uint64) uint64 {
		n := value(samples[0])
		for _, s := range samples {
			n = min(n, value(s))
		}
		return n
	}
	var problems []error
	check := func(what string, allowance func(uint64) uint64, value func(sample) uint64) {
		before, after := least(earlier, value), least(later, value)
		verdict := "flat"
		if after > before+allowance(before) {
			verdict = "GROWN"
			problems = append(problems, fmt.Errorf("%s has grown from %d to %d", what, before, after))
		}
		fmt.Printf("%-10s %10d → %10d  %s\n", what, before, after, verdict)
	}
	memory := func(n uint64) uint64 { return n/10 + 1<<20 }
	nothing := func(uint64) uint64 { return 0 }
	check("heap", memory, func(s sample) uint64 { return s.heap })
	check("RSS", memory, func(s sample) uint64 { return s.rss })
	check("goroutines", nothing, func(s sample) uint64 { return uint64(s.goroutines) })
	check("files", nothing, func(s sample) uint64 { return uint64(s.files) })
	return errors.Join(problems...)
}
