// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package ttrpc_test

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// This file has the connections on which things go wrong: faultConn, which does
// what a schedule of faults says, and wireConn, a connection in memory for it to
// stand on.

// faultKind is what happens at a place in the stream of bytes.
type faultKind int

const (
	faultDelay      faultKind = iota // nothing passes for a while
	faultSplit                       // n bytes at a time, splitSpan times
	faultEmptyReads                  // Read returns neither bytes nor an error, n times
	faultShortWrite                  // Write takes n bytes and calls that success, splitSpan times

	faultEnd          // end of the stream, wrapped; the other direction goes on
	faultReset        // ECONNRESET, wrapped, in both directions
	faultError        // an error of a kind that nobody knows
	faultDataAndError // that, together with the bytes before it
	faultBadCount     // Read or Write return a number that they must not

	faultMute // nothing passes any more, and nobody says so

	faultFlip // a bit is changed
	faultDrop // n bytes are lost

	faultKinds // their number
)

var faultNames = [faultKinds]string{
	"delay", "split", "empty reads", "short writes", "end", "reset", "error", "data and error", "bad count", "mute", "flip", "drop",
}

// splitSpan is how often in a row bytes pass in small numbers.
const splitSpan = 300

// faultClass is what may come of a fault, as a bit in a set.
type faultClass uint32

const (
	// faultHarmless: every call is answered, only later.
	faultHarmless faultClass = 1 << iota
	// faultEnding: the connection ends at once; there are no wrong answers.
	faultEnding
	// faultMuting: nothing comes any more, and the connection need not end.
	faultMuting
	// faultCorrupting: calls on the connection may come to anything that is
	// documented, and may get damaged messages.
	faultCorrupting
)

func (k faultKind) class() faultClass {
	switch {
	case k <= faultShortWrite:
		return faultHarmless
	case k <= faultBadCount:
		return faultEnding
	case k == faultMute:
		return faultMuting
	}
	return faultCorrupting
}

// fault is one entry of a schedule.
type fault struct {
	kind faultKind
	at   int           // as many bytes pass before it
	n    int           // bytes or times
	d    time.Duration // of a delay
}

func (f fault) String() string {
	return fmt.Sprintf("%s at %d (%d, %v)", faultNames[f.kind], f.at, f.n, f.d)
}

// faultSchedule says what goes wrong at one end of a connection.
type faultSchedule struct {
	reading, writing []fault
}

func (s faultSchedule) String() string {
	return fmt.Sprintf("reading %v, writing %v", s.reading, s.writing)
}

// randomFaults returns faults for one direction: some that are harmless and, for
// another class, one or more of that.
func randomFaults(rnd *rand.Rand, class faultClass, longest time.Duration, reading bool) []fault {
	place := func() int { return rnd.IntN(1 << (1 + rnd.IntN(17))) }
	var faults []fault
	for range rnd.IntN(4) {
		kind := []faultKind{faultDelay, faultSplit, faultEmptyReads}[rnd.IntN(3)]
		if kind == faultEmptyReads && !reading {
			kind = faultShortWrite
		}
		faults = append(faults, fault{
			kind: kind,
			at:   place(),
			n:    1 + rnd.IntN(1<<(1+rnd.IntN(6))),
			d:    time.Duration(rnd.Int64N(int64(longest))),
		})
	}
	switch class {
	case faultEnding:
		kind := faultEnd + faultKind(rnd.IntN(int(faultMute-faultEnd)))
		faults = append(faults, fault{kind: kind, at: place(), n: rnd.IntN(3)})
	case faultMuting:
		faults = append(faults, fault{kind: faultMute, at: place()})
	case faultCorrupting:
		for range 1 + rnd.IntN(3) {
			kind := faultFlip + faultKind(rnd.IntN(2))
			faults = append(faults, fault{kind: kind, at: place(), n: 1 + rnd.IntN(8)})
		}
	}
	slices.SortStableFunc(faults, func(a, b fault) int { return cmp.Compare(a.at, b.at) })
	return faults
}

// faultTally counts the faults that have happened, over all connections.
type faultTally [faultKinds]atomic.Int64

func (t *faultTally) String() string {
	var parts []string
	total := int64(0)
	for kind := range t {
		if n := t[kind].Load(); n > 0 {
			total += n
			parts = append(parts, fmt.Sprintf("%d %s", n, faultNames[kind]))
		}
	}
	return fmt.Sprintf("%d faults (%s)", total, strings.Join(parts, ", "))
}

// faultConn is a net.Conn that does what its schedule says, and otherwise what
// the connection below does. One goroutine may read and one may write at a time.
type faultConn struct {
	net.Conn
	schedule faultSchedule
	tally    *faultTally
	whole    bool     // the connection below keeps the bounds of Writes
	addr     net.Addr // of either end; may be nil

	reading, writing faultPath
	seen             atomic.Uint32 // set of faultClass
	closed           chan struct{}
	once             sync.Once
}

// faultPath is one direction of a faultConn.
type faultPath struct {
	faults []fault // that are to come
	pos    int     // bytes that have passed
	split  int     // the most that pass at once
	splits int     // how often
	short  bool    // these Writes are short
	empty  int     // Reads that return nothing
	end    error   // what remains of the direction
}

func newFaultConn(conn net.Conn, schedule faultSchedule, tally *faultTally) *faultConn {
	return &faultConn{
		Conn:     conn,
		schedule: schedule,
		tally:    tally,
		addr:     conn.RemoteAddr(),
		reading:  faultPath{faults: schedule.reading},
		writing:  faultPath{faults: schedule.writing},
		closed:   make(chan struct{}),
	}
}

// has reports whether a fault of one of these classes has happened.
func (c *faultConn) has(classes faultClass) bool { return faultClass(c.seen.Load())&classes != 0 }

// due returns the next fault if it is its turn.
func (p *faultPath) due() (fault, bool) {
	if len(p.faults) == 0 || p.faults[0].at > p.pos {
		return fault{}, false
	}
	f := p.faults[0]
	p.faults = p.faults[1:]
	return f, true
}

// room returns how many of n bytes may pass now.
func (p *faultPath) room(n int, whole bool) int {
	if whole {
		return n
	}
	if p.splits > 0 {
		p.splits--
		n = min(n, p.split)
	}
	if len(p.faults) > 0 {
		n = min(n, p.faults[0].at-p.pos)
	}
	return max(n, 1)
}

// strike lets a fault happen, as far as both directions have it in common. It
// reports whether the direction may go on.
func (c *faultConn) strike(p *faultPath, f fault) bool {
	c.seen.Or(uint32(f.kind.class()))
	if c.whole && f.kind == faultDelay {
		c.seen.Or(uint32(faultEnding)) // it ends if too many Writes wait to be read
	}
	c.tally[f.kind].Add(1)
	switch f.kind {
	case faultDelay:
		return c.pause(f.d)
	case faultSplit, faultShortWrite:
		p.split, p.splits, p.short = f.n, splitSpan, f.kind == faultShortWrite
	case faultEmptyReads:
		p.empty = f.n
	case faultReset:
		p.end = wrapError(syscall.ECONNRESET)
		c.Conn.Close()
	case faultError, faultDataAndError:
		p.end = wrapError(errFault)
	case faultMute:
		<-c.closed
		return false
	}
	return true
}

// errFault is an error of a kind that nobody knows.
var errFault = errors.New("the cable is cut")

// wrapError hides err in several layers, as connections that stand on each other
// do.
func wrapError(err error) error {
	err = &net.OpError{Op: "io", Net: "fault", Err: os.NewSyscallError("io", err)}
	return fmt.Errorf("tunnel: %w", errors.Join(errors.New("while forwarding"), fmt.Errorf("layer: %w", err)))
}

// pause waits, and reports false if the connection is closed meanwhile.
func (c *faultConn) pause(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-c.closed:
		return false
	}
}

func (c *faultConn) Read(b []byte) (int, error) {
	p := &c.reading
	for f, due := p.due(); due; f, due = p.due() {
		if !c.strike(p, f) {
			return 0, net.ErrClosed
		}
		switch f.kind {
		case faultEnd:
			p.end = wrapError(io.EOF)
		case faultBadCount:
			p.end = wrapError(errFault)
			return badCounts(len(b))[f.n], nil
		case faultDrop:
			if _, err := io.CopyN(io.Discard, c.Conn, int64(f.n)); err != nil {
				p.end = err
			}
		case faultFlip:
			n, err := c.Conn.Read(b[:p.room(len(b), c.whole)])
			if n > 0 {
				b[0] ^= 1 << (f.n % 8)
				p.pos += n
			}
			return n, err
		}
	}
	switch {
	case p.end != nil:
		return 0, p.end
	case p.empty > 0:
		p.empty--
		return 0, nil
	}
	n, err := c.Conn.Read(b[:p.room(len(b), c.whole)])
	p.pos += n
	if err == nil && len(p.faults) > 0 && p.faults[0].kind == faultDataAndError && p.pos >= p.faults[0].at {
		f, _ := p.due()
		c.strike(p, f)
		return n, p.end
	}
	return n, err
}

func (c *faultConn) Write(b []byte) (int, error) {
	p := &c.writing
	for done := 0; ; {
		if n, err, over := c.beforeWrite(p, b, done); over {
			return n, err
		}
		if done == len(b) {
			return done, nil
		}
		n, err := c.Conn.Write(b[done : done+p.room(len(b)-done, c.whole)])
		p.pos += n
		done += n
		if err != nil || p.short && p.splits > 0 {
			return done, err
		}
	}
}

// beforeWrite lets happen what is due before the rest of b is written, of which
// done bytes are. over says that Write is to return n and err.
func (c *faultConn) beforeWrite(p *faultPath, b []byte, done int) (n int, err error, over bool) { //nolint:revive // over is about the others
	if done == len(b) {
		return 0, nil, false
	}
	for f, due := p.due(); due; f, due = p.due() {
		if !c.strike(p, f) {
			return done, net.ErrClosed, true
		}
		switch f.kind {
		case faultEnd:
			p.end = wrapError(syscall.EPIPE)
			closeWrite(c.Conn)
		case faultBadCount:
			p.end = wrapError(errFault)
			return badCounts(len(b))[f.n], nil, true
		case faultDrop: // they count as written
			n = min(f.n, len(b)-done)
			if c.whole {
				n = len(b) - done
			}
			p.pos += n
			return done + n, nil, true
		case faultFlip:
			rest := bytes.Clone(b[done : done+p.room(len(b)-done, c.whole)])
			rest[0] ^= 1 << (f.n % 8)
			n, err = c.Conn.Write(rest)
			p.pos += n
			return done + n, err, true
		}
	}
	return done, p.end, p.end != nil
}

// badCounts are numbers that Read or Write must not return for n bytes.
func badCounts(n int) [3]int { return [3]int{n + 1, -1, n + 1<<20} }

// closeWrite closes conn, or only its writing side if that can be.
func closeWrite(conn net.Conn) {
	if half, ok := conn.(interface{ CloseWrite() error }); ok {
		half.CloseWrite()
		return
	}
	conn.Close()
}

func (c *faultConn) Close() error {
	c.once.Do(func() { close(c.closed) })
	return errors.Join(c.Conn.Close(), errFault)
}

func (c *faultConn) LocalAddr() net.Addr  { return c.addr }
func (c *faultConn) RemoteAddr() net.Addr { return c.addr }

// Deadlines are refused: what stands on this connection has to do without.
func (c *faultConn) SetDeadline(time.Time) error      { return wrapError(os.ErrNoDeadline) }
func (c *faultConn) SetReadDeadline(time.Time) error  { return wrapError(os.ErrNoDeadline) }
func (c *faultConn) SetWriteDeadline(time.Time) error { return wrapError(os.ErrNoDeadline) }

// wireConn is one end of a connection in memory that keeps what has been written
// until it is read, up to a limit, and has two sides that can be closed one by
// one. It has no deadlines. All of its waiting is durable blocking in a synctest
// bubble.
type wireConn struct {
	in, out *wire
}

// wire is one direction of a wireConn.
type wire struct {
	limit int // Write waits while this much is unread; zero for no limit

	mu     sync.Mutex
	change sync.Cond
	b      []byte
	ended  bool // the writer has closed it
	gone   bool // the reader has
}

// wirePair returns the two ends of a connection.
func wirePair(limit int) (a, b *wireConn) {
	ab, ba := &wire{limit: limit}, &wire{limit: limit}
	ab.change.L, ba.change.L = &ab.mu, &ba.mu
	return &wireConn{ba, ab}, &wireConn{ab, ba}
}

func (w *wire) read(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.b) == 0 && !w.gone && !w.ended {
		w.change.Wait()
	}
	switch {
	case w.gone:
		return 0, net.ErrClosed
	case len(w.b) == 0:
		return 0, io.EOF
	}
	n := copy(b, w.b)
	w.b = w.b[n:]
	w.change.Broadcast()
	return n, nil
}

func (w *wire) write(b []byte) (done int, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for done < len(b) || done == 0 {
		switch {
		case w.ended:
			return done, net.ErrClosed
		case w.gone:
			return done, syscall.EPIPE
		}
		n := len(b) - done
		if w.limit > 0 {
			n = min(n, w.limit-len(w.b))
		}
		w.b = append(w.b, b[done:done+n]...)
		done += n
		w.change.Broadcast()
		if done < len(b) {
			w.change.Wait()
		} else {
			break
		}
	}
	return done, nil
}

func (w *wire) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended = true
	w.change.Broadcast()
}

func (w *wire) leave() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.gone = true
	w.change.Broadcast()
}

func (c *wireConn) Read(b []byte) (int, error)  { return c.in.read(b) }
func (c *wireConn) Write(b []byte) (int, error) { return c.out.write(b) }

func (c *wireConn) Close() error {
	c.out.end()
	c.in.leave()
	return nil
}

func (c *wireConn) CloseWrite() error {
	c.out.end()
	return nil
}

func (*wireConn) LocalAddr() net.Addr              { return memoryAddr{} }
func (*wireConn) RemoteAddr() net.Addr             { return memoryAddr{} }
func (*wireConn) SetDeadline(time.Time) error      { return os.ErrNoDeadline }
func (*wireConn) SetReadDeadline(time.Time) error  { return os.ErrNoDeadline }
func (*wireConn) SetWriteDeadline(time.Time) error { return os.ErrNoDeadline }

// faultSeeds returns the seeds to run: 1, 2, 3, ... as many as usual, half of
// that with -short, or what TTRPC_FAULT_RUNS says; or the one that is in
// TTRPC_FAULT_SEED, to run one again that has failed. The same seed makes the same
// calls and the same schedule of faults; who of several goroutines comes first is
// not part of it.
func faultSeeds(t *testing.T, usual int) []uint64 {
	t.Helper()
	if s := os.Getenv("TTRPC_FAULT_SEED"); s != "" {
		seed, err := strconv.ParseUint(s, 10, 64)
		require.NoError(t, err, "TTRPC_FAULT_SEED")
		return []uint64{seed}
	}
	if testing.Short() {
		usual /= 2
	}
	if s := os.Getenv("TTRPC_FAULT_RUNS"); s != "" {
		n, err := strconv.Atoi(s)
		require.NoError(t, err, "TTRPC_FAULT_RUNS")
		usual = n
	}
	seeds := make([]uint64, usual)
	for i := range seeds {
		seeds[i] = uint64(i + 1)
	}
	return seeds
}

// seeded is the source of decisions of a run. part tells sources of one seed
// apart.
func seeded(seed uint64, part int) *rand.Rand { return rand.New(rand.NewPCG(seed, uint64(part))) }

// A faultConn does what its schedule says, where it says so.
func TestFaultConn(t *testing.T) {
	for _, tt := range []struct {
		name    string
		reading []fault
		reads   []string // what Reads of ten bytes return, "|" and the error's kind
	}{
		{"nothing", nil, []string{"0123456789", "abcdef", "|EOF"}},
		{"split", []fault{{kind: faultSplit, at: 3, n: 5}}, []string{"012", "34567", "89abc", "def", "|EOF"}},
		{"empty reads", []fault{{kind: faultEmptyReads, at: 3, n: 2}}, []string{"012", "", "", "3456789abc", "def", "|EOF"}},
		{"end", []fault{{kind: faultEnd, at: 3}}, []string{"012", "|EOF", "|EOF"}},
		{"reset", []fault{{kind: faultReset, at: 3}}, []string{"012", "|reset", "|reset"}},
		{"error", []fault{{kind: faultError, at: 3}}, []string{"012", "|fault", "|fault"}},
		{"data and error", []fault{{kind: faultDataAndError, at: 3}}, []string{"012|fault", "|fault"}},
		{"flip", []fault{{kind: faultFlip, at: 3, n: 1}}, []string{"012", "1456789abc", "def", "|EOF"}},
		{"drop", []fault{{kind: faultDrop, at: 3, n: 2}}, []string{"012", "56789abcde", "f", "|EOF"}},
		{"two", []fault{{kind: faultFlip, at: 0, n: 1}, {kind: faultEnd, at: 4}}, []string{"2123", "|EOF"}},
	} {
		t.Run("reading, "+tt.name, func(t *testing.T) {
			near, far := wirePair(0)
			far.Write([]byte("0123456789abcdef"))
			far.Close()
			conn := newFaultConn(near, faultSchedule{reading: tt.reading}, new(faultTally))
			defer conn.Close()
			for _, want := range tt.reads {
				b := make([]byte, 10)
				n, err := conn.Read(b)
				require.Equal(t, want, string(b[:n])+errorKind(err))
			}
		})
	}
	for _, tt := range []struct {
		name    string
		writing []fault
		writes  []string // what Writes of ten bytes return
		arrives string
	}{
		{"nothing", nil, []string{"10", "10"}, "01234567890123456789"},
		{"split", []fault{{kind: faultSplit, at: 3, n: 2}}, []string{"10", "10"}, "01234567890123456789"},
		{"short writes", []fault{{kind: faultShortWrite, at: 3, n: 2}}, []string{"5", "2"}, "0123401"},
		{"end", []fault{{kind: faultEnd, at: 3}}, []string{"3|pipe", "0|pipe"}, "012"},
		{"error", []fault{{kind: faultError, at: 13}}, []string{"10", "3|fault", "0|fault"}, "0123456789012"},
		{"bad count", []fault{{kind: faultBadCount, at: 3, n: 0}}, []string{"11", "0|fault"}, "012"},
		{"flip", []fault{{kind: faultFlip, at: 3, n: 1}}, []string{"10"}, "0121456789"},
		{"drop", []fault{{kind: faultDrop, at: 3, n: 2}}, []string{"5", "10"}, "0120123456789"},
	} {
		t.Run("writing, "+tt.name, func(t *testing.T) {
			near, far := wirePair(0)
			conn := newFaultConn(near, faultSchedule{writing: tt.writing}, new(faultTally))
			for _, want := range tt.writes {
				n, err := conn.Write([]byte("0123456789"))
				require.Equal(t, want, strconv.Itoa(n)+errorKind(err))
			}
			conn.Close()
			arrived, err := io.ReadAll(far)
			require.NoError(t, err)
			require.Equal(t, tt.arrives, string(arrived))
		})
	}
	t.Run("time", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			near, far := wirePair(0)
			far.Write([]byte("0123456789"))
			start := time.Now()
			conn := newFaultConn(near, faultSchedule{reading: []fault{
				{kind: faultDelay, at: 3, d: time.Minute}, {kind: faultMute, at: 5},
			}}, new(faultTally))
			b := make([]byte, 10)
			n, err := io.ReadFull(conn, b[:5])
			require.Equal(t, "01234", string(b[:n]), "%v", err)
			require.Equal(t, time.Minute, time.Since(start))
			time.AfterFunc(time.Hour, func() { conn.Close() })
			_, err = conn.Read(b)
			require.ErrorIs(t, err, net.ErrClosed)
			require.Equal(t, time.Minute+time.Hour, time.Since(start))
		})
	})
	t.Run("seed", func(t *testing.T) {
		schedule := func(seed uint64) string {
			rnd := seeded(seed, 0)
			return faultSchedule{
				randomFaults(rnd, faultEnding, time.Second, true), randomFaults(rnd, faultCorrupting, time.Second, false),
			}.String()
		}
		first, again := schedule(7), schedule(7)
		require.Equal(t, first, again)
		require.NotEqual(t, first, schedule(8))
	})
}

// errorKind is a word for the errors of TestFaultConn.
func errorKind(err error) string {
	switch {
	case err == nil:
		return ""
	case errors.Is(err, io.EOF):
		return "|EOF"
	case errors.Is(err, syscall.ECONNRESET):
		return "|reset"
	case errors.Is(err, syscall.EPIPE):
		return "|pipe"
	case errors.Is(err, errFault):
		return "|fault"
	}
	return "|" + err.Error()
}
