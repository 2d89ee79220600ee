// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package load

import (
	"bufio"
	"encoding/json"
	"net"
	"strconv"
	"strings"
)

// What a client may ask a server for, each in a line of its own, on a socket
// beside the one that is measured. Every line is answered with a usage.
const (
	askUsage   = "usage"   // as it is
	askTidied  = "tidied"  // of a tidied process
	askWaiting = "waiting" // when so many calls of Wait wait; a number follows
	askRelease = "release" // when those calls have been told to go on
)

// controlPath is where a server that listens on path is asked.
func controlPath(path string) string { return path + ".control" }

// serveControl answers what clients of the server at path ask for.
func serveControl(path string) error {
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
			go answerControl(conn)
		}
	}()
	return nil
}

// answerControl answers every line of a connection.
func answerControl(conn net.Conn) {
	defer conn.Close()
	encoder := json.NewEncoder(conn)
	for lines := bufio.NewScanner(conn); lines.Scan(); {
		u, err := answer(lines.Text())
		if err != nil || encoder.Encode(u) != nil {
			return
		}
	}
}

func answer(line string) (usage, error) {
	question, argument, _ := strings.Cut(line, " ")
	switch question {
	case askTidied:
		return readUsage(tidied)
	case askWaiting:
		n, err := strconv.Atoi(argument)
		if err != nil {
			return usage{}, err
		}
		waiting.awaitCount(n)
	case askRelease:
		waiting.release()
	}
	return readUsage(asIs)
}

// control asks a server.
type control struct {
	conn    net.Conn
	decoder *json.Decoder
}

func dialControl(path string) (*control, error) {
	conn, err := net.Dial("unix", controlPath(path))
	if err != nil {
		return nil, err
	}
	return &control{conn: conn, decoder: json.NewDecoder(conn)}, nil
}

func (c *control) ask(question string) (u usage, err error) {
	if _, err := c.conn.Write([]byte(question + "\n")); err != nil {
		return u, err
	}
	err = c.decoder.Decode(&u)
	return u, err
}

func (c *control) usage(tidy tidyFirst) (usage, error) {
	if tidy {
		return c.ask(askTidied)
	}
	return c.ask(askUsage)
}

// awaitWaiting returns when n calls of Wait wait in the server.
func (c *control) awaitWaiting(n int) error {
	_, err := c.ask(askWaiting + " " + strconv.Itoa(n))
	return err
}

// release has the calls of Wait go on.
func (c *control) release() error {
	_, err := c.ask(askRelease)
	return err
}
