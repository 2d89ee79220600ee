// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package load

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"sync"
	"sync/atomic"
	"time"
)

// ServiceName is the name of the service that libraries serve.
const ServiceName = "ttrpc.bench.Load"

// Method is a unary method of the service. Its handler calls Handle and then
// answers with what it was sent.
type Method string

const (
	Instant Method = "Unary" // answers at once
	Work    Method = "Work"  // computes before
	Sleep   Method = "Sleep" // sleeps before
	Keyed   Method = "Keyed" // fails if the metadata lacks MetadataKey, which its handler looks at
	Wait    Method = "Wait"  // answers when the client's process says so, see control
)

// Methods are all there are.
var Methods = []Method{Instant, Work, Sleep, Keyed, Wait}

// Names of the streaming methods.
const (
	SourceMethod = "Source" // sends what an Order asks for
	SinkMethod   = "Sink"   // counts what it is sent, and answers with EncodeCount
	EchoMethod   = "Echo"   // sends back what it is sent
)

// How much there is to do for the handlers that do something.
const (
	workBytes = 64 << 10 // to hash: some 60 µs
	sleepTime = time.Millisecond
)

var (
	toHash = make([]byte, workBytes)
	hashed atomic.Uint64 // what came of it: otherwise the compiler leaves it out
)

// Handle does what there is to do before m answers.
func (m Method) Handle() {
	switch m {
	case Work:
		h := fnv.New64a()
		h.Write(toHash)
		hashed.Store(h.Sum64())
	case Sleep:
		time.Sleep(sleepTime)
	case Wait:
		waiting.wait()
	}
}

// Pairs are the metadata of a call that takes some along.
func Pairs() map[string]string {
	return map[string]string{
		MetadataKey:       "k8s.io",
		"bench-lease":     "lease-0123456789abcdef",
		"bench-traceid":   "4bf92f3577b34da6a3ce929d0e0e4736",
		"bench-requestor": "kubelet",
	}
}

// MetadataKey is what the handler of Keyed looks at.
const MetadataKey = "bench-namespace"

// ErrNoMetadata is the error of the handler of Keyed.
var ErrNoMetadata = errors.New("no metadata")

// Order is the request of the source.
type Order struct {
	Messages, Size int
}

// Encode returns the bytes of a message that DecodeOrder decodes.
func (o Order) Encode() []byte {
	return EncodeCount(o.Size, EncodeCount(o.Messages, nil))
}

// DecodeOrder decodes the request of the source.
func DecodeOrder(b []byte) (Order, error) {
	if len(b) != 8 {
		return Order{}, fmt.Errorf("an order of %d bytes", len(b))
	}
	return Order{int(binary.BigEndian.Uint32(b)), int(binary.BigEndian.Uint32(b[4:]))}, nil
}

// EncodeCount appends n to b, as CheckCount expects it.
func EncodeCount(n int, b []byte) []byte { return binary.BigEndian.AppendUint32(b, uint32(n)) }

// CheckCount returns an error if b does not say n.
func CheckCount(b []byte, n int) error {
	if err := CheckSize(b, 4); err != nil {
		return err
	}
	if got := binary.BigEndian.Uint32(b); got != uint32(n) {
		return fmt.Errorf("server got %d messages of %d", got, n)
	}
	return nil
}

// CheckSize is there so that nobody is fast by doing less.
func CheckSize(b []byte, want int) error {
	if got := len(b); got != want {
		return fmt.Errorf("got a message of %d bytes, want %d", got, want)
	}
	return nil
}

// gate is what the handlers of Wait wait at.
type gate struct {
	mu      sync.Mutex
	arrived *sync.Cond
	n       int           // how many wait
	open    chan struct{} // closed when they may go on
}

// waiting are the calls of Wait in this process.
var waiting = newGate()

func newGate() *gate {
	g := &gate{open: make(chan struct{})}
	g.arrived = sync.NewCond(&g.mu)
	return g
}

func (g *gate) wait() {
	g.mu.Lock()
	g.n++
	open := g.open
	g.arrived.Broadcast()
	g.mu.Unlock()
	<-open
}

// awaitCount returns when n calls wait.
func (g *gate) awaitCount(n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for g.n < n {
		g.arrived.Wait()
	}
}

// release lets all that wait go on.
func (g *gate) release() {
	g.mu.Lock()
	defer g.mu.Unlock()
	close(g.open)
	g.open, g.n = make(chan struct{}), 0
}
