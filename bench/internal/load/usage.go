// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package load

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"runtime"
	"runtime/debug"
	"time"
)

// usage is what a process has used so far, or holds.
type usage struct {
	CPU        time.Duration // user and system
	Switches   int64         // context switches, of either kind
	RSS, Peak  int64         // bytes
	Heap       int64         // bytes in use
	Goroutines int
}

// tidyFirst says whether memory that is no longer in use goes back to the system
// before a usage is read.
type tidyFirst bool

const (
	asIs   tidyFirst = false
	tidied tidyFirst = true
)

// readUsage returns the usage of this process.
func readUsage(tidy tidyFirst) (usage, error) {
	u := usage{Goroutines: runtime.NumGoroutine()}
	if tidy {
		// Twice: a pool lets go of what is in it at the second collection.
		runtime.GC()
		debug.FreeOSMemory()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		u.Heap = int64(m.HeapAlloc)
	}
	var err error
	if u.CPU, u.Switches, err = cpuUsage(); err != nil {
		return u, err
	}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return u, err
	}
	u.RSS = statusField(status, "VmRSS:")
	u.Peak = statusField(status, "VmHWM:")
	return u, nil
}

// statusField returns a field of /proc/self/status in bytes.
func statusField(status []byte, name string) int64 {
	for line := range bytes.Lines(status) {
		if !bytes.HasPrefix(line, []byte(name)) {
			continue
		}
		var kib int64
		fmt.Sscanf(string(line[len(name):]), "%d kB", &kib) //nolint:errcheck // zero will stand out
		return kib << 10
	}
	return 0
}

// controlPath is where a server that listens on path tells its usage.
func controlPath(path string) string { return path + ".control" }

// serveUsage answers requests for the usage of this process.
func serveUsage(path string) error {
	l, err := net.Listen("unix", controlPath(path))
	if err != nil {
		return err
	}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go answerUsage(conn)
		}
	}()
	return nil
}

// answerUsage answers every line of a connection: "tidied" or "as is".
func answerUsage(conn net.Conn) {
	defer conn.Close()
	encoder := json.NewEncoder(conn)
	for lines := bufio.NewScanner(conn); lines.Scan(); {
		u, err := readUsage(lines.Text() == "tidied")
		if err != nil || encoder.Encode(u) != nil {
			return
		}
	}
}

// serverUsage asks for the usage of a server.
type serverUsage struct {
	conn    net.Conn
	decoder *json.Decoder
}

func dialUsage(path string) (*serverUsage, error) {
	conn, err := net.Dial("unix", controlPath(path))
	if err != nil {
		return nil, err
	}
	return &serverUsage{conn: conn, decoder: json.NewDecoder(conn)}, nil
}

func (s *serverUsage) read(tidy tidyFirst) (usage, error) {
	question := "as is\n"
	if tidy {
		question = "tidied\n"
	}
	var u usage
	if _, err := s.conn.Write([]byte(question)); err != nil {
		return u, err
	}
	err := s.decoder.Decode(&u)
	return u, err
}
