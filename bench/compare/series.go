// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/containerd/ttrpc/bench/internal/contender"
	"github.com/containerd/ttrpc/bench/internal/load"
)

// series runs a plan.
type series struct {
	plan   plan
	lineup lineup
}

// round is one run of an axis by everyone who can, right after each other.
type round map[*contender.Contender]load.Figures

// results are the rounds of each axis.
type results map[string][]round

func (s *series) measure(ctx context.Context) (results, error) {
	all := results{}
	if s.plan.build {
		all[buildAxis] = []round{s.lineup.built()}
	}
	// An axis has its turn again when all others have had theirs, so that a
	// disturbance spoils one round of several axes and not all rounds of one.
	for n := range s.plan.rounds {
		for _, axis := range s.plan.axes {
			if !s.plan.has(axis, n) {
				continue
			}
			fmt.Fprintf(os.Stderr, "\r%d/%d %-20s", n+1, s.plan.rounds, axis.Name)
			r, err := s.measureRound(ctx, axis, n)
			if err != nil {
				return nil, err
			}
			all[axis.Name] = append(all[axis.Name], r)
		}
	}
	fmt.Fprintf(os.Stderr, "\r%30s\r", "")
	return all, nil
}

// measureRound runs axis for everyone, the base first in every other round.
func (s *series) measureRound(ctx context.Context, axis load.Axis, n int) (round, error) {
	order := s.lineup.all()
	if n%2 == 1 {
		order[0], order[1] = order[1], order[0]
	}
	if quiet(axis) {
		return s.measureTogether(ctx, axis, order)
	}
	r := round{}
	for _, c := range order {
		if !c.Can(axis) {
			continue
		}
		figures, err := c.Measure(ctx, s.plan.run(axis))
		if err != nil {
			return nil, err
		}
		r[c] = figures
	}
	return r, nil
}

// measureTogether runs axis for everyone at the same time.
func (s *series) measureTogether(ctx context.Context, axis load.Axis, everyone []*contender.Contender) (round, error) {
	var (
		wait sync.WaitGroup
		mu   sync.Mutex // guards the two below
		r    = round{}
		errs error
	)
	for _, c := range everyone {
		if !c.Can(axis) {
			continue
		}
		wait.Go(func() {
			figures, err := c.Measure(ctx, s.plan.run(axis))
			mu.Lock()
			defer mu.Unlock()
			r[c], errs = figures, errors.Join(errs, err)
		})
	}
	wait.Wait()
	return r, errs
}
