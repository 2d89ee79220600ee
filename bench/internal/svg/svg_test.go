// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package svg

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"testing"
)

// shape is an element of a drawing.
type shape struct {
	name       string
	attributes map[string]string
	text       string
}

// parse reads a drawing, which must be well-formed and have no number that is
// none.
func parse(t *testing.T, drawing []byte) []shape {
	t.Helper()
	if bytes.Contains(drawing, []byte("NaN")) || bytes.Contains(drawing, []byte("Inf")) {
		t.Fatalf("a number is missing:\n%s", drawing)
	}
	var shapes []shape
	for decoder := xml.NewDecoder(bytes.NewReader(drawing)); ; {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return shapes
		}
		if err != nil {
			t.Fatal(err)
		}
		switch token := token.(type) {
		case xml.StartElement:
			s := shape{name: token.Name.Local, attributes: map[string]string{}}
			for _, a := range token.Attr {
				s.attributes[a.Name.Local] = a.Value
			}
			shapes = append(shapes, s)
		case xml.CharData:
			if len(shapes) > 0 {
				shapes[len(shapes)-1].text += strings.TrimSpace(string(token))
			}
		}
	}
}

// ofClass returns the shapes of that name and class.
func ofClass(shapes []shape, name, class string) (found []shape) {
	for _, s := range shapes {
		if s.name == name && s.attributes["class"] == class {
			found = append(found, s)
		}
	}
	return found
}

func (s shape) number(t *testing.T, attribute string) float64 {
	t.Helper()
	v, err := strconv.ParseFloat(s.attributes[attribute], 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestBars(t *testing.T) {
	var drawing bytes.Buffer
	err := Bars{
		Title: "<title> & more", Reference: "base", Series: []string{"a", "b"}, Max: 2,
		Groups: []Group{{"one", []float64{0.5, 1}}, {"two", []float64{8, 0}}},
	}.Draw(&drawing)
	if err != nil {
		t.Fatal(err)
	}
	shapes := parse(t, drawing.Bytes())
	first, second := ofClass(shapes, "rect", "fill0"), ofClass(shapes, "rect", "fill1")
	if len(first) != 3 || len(second) != 2 { // the legend has one of each
		t.Fatalf("%d and %d bars:\n%s", len(first)-1, len(second)-1, &drawing)
	}
	half, whole, cut := first[1].number(t, "width"), second[1].number(t, "width"), first[2].number(t, "width")
	if math.Abs(whole-2*half) > 0.2 || math.Abs(cut-2*whole) > 0.2 {
		t.Errorf("widths of 0.5, 1 and 2 at most are %v, %v and %v", half, whole, cut)
	}
	reference := ofClass(shapes, "line", "reference")
	if len(reference) != 1 || math.Abs(reference[0].number(t, "x1")-second[1].number(t, "x")-whole) > 0.2 {
		t.Errorf("the line at one is elsewhere: %v", reference)
	}
	if numbers := ofClass(shapes, "text", "number"); len(numbers) != 3 || numbers[2].text != "8.00 →" {
		t.Errorf("numbers are %v", numbers)
	}
	if title := ofClass(shapes, "text", "title"); len(title) != 1 || title[0].text != "<title> & more" {
		t.Errorf("the title is %v", title)
	}
}

func TestLogLog(t *testing.T) {
	var drawing bytes.Buffer
	err := LogLog{
		Title: "growth", Legend: []string{"a", "b"},
		Panels: []Panel{
			{
				Title: "one", Format: func(v float64) string { return fmt.Sprintf("%g s", v) },
				Lines: []Line{
					{Colour: 0, Points: []Point{{1, 10}, {10, 20}, {100, 100}}},
					{Colour: 1, Dashed: true, Points: []Point{{0, 10}, {10, -1}, {100, 10}}},
				},
			},
			{Title: "nothing", Format: shortNumber, Lines: []Line{{}}},
		},
	}.Draw(&drawing)
	if err != nil {
		t.Fatal(err)
	}
	shapes := parse(t, drawing.Bytes())
	points := ofClass(shapes, "circle", "fill0")
	if len(points) != 3 || len(ofClass(shapes, "circle", "fill1")) != 1 {
		t.Fatalf("%d points of the first line:\n%s", len(points), &drawing)
	}
	// The middle of the horizontal axis is its tenfold, not its half.
	if first, middle, last := points[0].number(t, "cx"), points[1].number(t, "cx"), points[2].number(t, "cx"); math.Abs(first+last-2*middle) > 0.3 {
		t.Errorf("the points lie at %v, %v and %v", first, middle, last)
	}
	if points[0].number(t, "cy") <= points[2].number(t, "cy") {
		t.Errorf("more is not higher: %v, %v", points[0], points[2])
	}
	var labels []string
	for _, label := range ofClass(shapes, "text", "muted") {
		labels = append(labels, label.text)
	}
	for _, want := range []string{"1", "10", "100", "10 s", "100 s"} {
		if !strings.Contains(strings.Join(labels, "|")+"|", want+"|") {
			t.Errorf("no number %q among %q", want, labels)
		}
	}
}

func TestShortNumber(t *testing.T) {
	for v, want := range map[float64]string{1: "1", 100: "100", 1000: "1k", 100000: "100k", 1e6: "1M"} {
		if got := shortNumber(v); got != want {
			t.Errorf("%v is written %q, want %q", v, got, want)
		}
	}
}
