// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package generate

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/bufbuild/protocompile/reporter"
)

// A problem is something that is wrong at a place of a .proto file.
type problem struct {
	file         string // the name under which it is imported
	line, column int    // from 1
	text         string // may be of several lines
}

// problemOf returns what protocompile reports as a problem.
func problemOf(err reporter.ErrorWithPos) problem {
	at := err.GetPosition()
	return problem{at.Filename, at.Line, at.Col, err.Unwrap().Error()}
}

// order sorts problems by the names of their files and by their lines.
func (p problem) order(other problem) int {
	return cmp.Or(cmp.Compare(p.file, other.file), cmp.Compare(p.line, other.line),
		cmp.Compare(p.column, other.column), cmp.Compare(p.text, other.text))
}

// lines returns each problem as one line, in the order of their places.
func (s *sources) lines(problems []problem) []string {
	problems = slices.Clone(problems)
	slices.SortFunc(problems, problem.order)
	var lines []string
	for _, p := range slices.Compact(problems) {
		text := s.inPlace(unfold(p.text))
		lines = append(lines, fmt.Sprintf("%s:%d:%d: %s", s.path(p.file), p.line, p.column, text))
	}
	return lines
}

// failure returns an error of one line per problem, or nil if there is none.
func (s *sources) failure(problems []problem) error {
	var errs []error
	for _, line := range s.lines(problems) {
		errs = append(errs, errors.New(line))
	}
	return errors.Join(errs...)
}

// places matches what looks like the place of something in a file.
var places = regexp.MustCompile(`[^\s"'()]+:\d+:\d+`)

// inPlace puts, in the places that a text mentions, paths that can be opened for
// the names under which files are imported.
func (s *sources) inPlace(text string) string {
	return places.ReplaceAllStringFunc(text, func(place string) string {
		name, position, _ := strings.Cut(place, ":")
		return s.path(name) + ":" + position
	})
}

// inPlaces does so for an error whose lines are problems.
func (s *sources) inPlaces(err error) error {
	return errors.New(s.inPlace(err.Error()))
}

// inFile puts the path of a file before an error that mentions it in quotes, by the
// name under which it is imported.
func (s *sources) inFile(err error) error {
	for _, name := range s.names {
		if strings.Contains(err.Error(), strconv.Quote(name)) {
			return fmt.Errorf("%s: %w", s.path(name), err)
		}
	}
	return err
}

// oneLine returns an error whose text is on one line.
func oneLine(err error) error {
	if text := err.Error(); text != unfold(text) {
		return errors.New(unfold(text))
	}
	return err
}

// unfold puts a text on one line.
func unfold(text string) string {
	return strings.Join(strings.Fields(text), " ")
}
