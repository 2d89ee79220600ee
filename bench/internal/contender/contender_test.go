// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package contender

import (
	"strings"
	"testing"
	"time"

	"github.com/containerd/ttrpc/bench/internal/load"
)

func find(t *testing.T, name string) load.Axis {
	t.Helper()
	axis, ok := load.FindAxis(name)
	if !ok {
		t.Fatalf("no axis %q", name)
	}
	return axis
}

func TestCan(t *testing.T) {
	everything := &Contender{}
	taking := &Contender{lacks: []load.Need{load.NeedSharing, load.NeedInterceptors}}
	floor := &Contender{lacks: []load.Need{load.NeedSharing, load.NeedHandlers}, only: []load.Kind{load.Unary}}
	for _, test := range []struct {
		axis                      string
		everything, taking, floor bool
	}{
		{"unary-64", true, true, true},
		{"conns-64", true, true, true},
		{"callers-64", true, false, false},
		{"server-stream", true, true, false},
		{"work", true, true, false},
		{"with-interceptors", true, false, true},
	} {
		axis := find(t, test.axis)
		got := [3]bool{everything.Can(axis), taking.Can(axis), floor.Can(axis)}
		if want := [3]bool{test.everything, test.taking, test.floor}; got != want {
			t.Errorf("%s: got %v, want %v", test.axis, got, want)
		}
	}
}

func TestFlags(t *testing.T) {
	one := Run{Axis: find(t, "unary-64"), Lasts: time.Second}.flags("/s")
	if got, want := strings.Join(one, " "), "-socket /s -axis unary-64 -n 0 -for 1s -cpu 1"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	two := Run{Axis: find(t, "growing-calls"), N: 10}.flags("/s")
	if got, want := strings.Join(two, " "), "-socket /s -axis growing-calls -n 10 -for 0s"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestProgramArgs(t *testing.T) {
	got := strings.Join(program{path: "./ttrpc", modfile: "up.mod"}.args("build", "-o", "x"), " ")
	if want := "build -modfile=up.mod -o x ./ttrpc"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	got = strings.Join(program{path: "./grpc"}.args("list", "-deps"), " ")
	if want := "list -deps ./grpc"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
