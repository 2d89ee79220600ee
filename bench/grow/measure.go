// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/containerd/ttrpc/bench/internal/contender"
	"github.com/containerd/ttrpc/bench/internal/load"
	"github.com/containerd/ttrpc/bench/internal/report"
)

// growth is what a run of grow finds.
type growth struct {
	machine         report.Machine
	subjects        []subject
	base, candidate *contender.Contender
	took            time.Duration

	// Of a contender, by subject, in the order of its sizes.
	figures map[*contender.Contender]map[string][]load.Figures
}

// both returns the contenders.
func (g *growth) both() []*contender.Contender {
	return []*contender.Contender{g.base, g.candidate}
}

func (g *growth) measure(ctx context.Context) error {
	g.figures = map[*contender.Contender]map[string][]load.Figures{g.base: {}, g.candidate: {}}
	for _, s := range g.subjects {
		axis, ok := load.FindAxis(s.axis)
		if !ok {
			return fmt.Errorf("no axis %q", s.axis)
		}
		for _, n := range s.sizes {
			fmt.Fprintf(os.Stderr, "\r%-16s %7d", s.axis, n)
			run := contender.Run{Axis: axis, N: n}
			measure := g.together
			if axis.Kind == load.Unary {
				run.Lasts = lasts(n)
				measure = g.inAlternation
			}
			figures, err := measure(ctx, run)
			if err != nil {
				return err
			}
			for c, f := range figures {
				g.figures[c][s.axis] = append(g.figures[c][s.axis], f)
			}
		}
	}
	fmt.Fprintf(os.Stderr, "\r%30s\r", "")
	return nil
}

// lasts returns how long n callers are measured: so long that each makes many
// calls, as far as there is time for that.
func lasts(n int) time.Duration {
	return 300*time.Millisecond + time.Duration(n)*20*time.Microsecond
}

// pairs is how often times are measured.
const pairs = 5

// inAlternation measures one contender after the other, several times, and
// returns the medians.
func (g *growth) inAlternation(ctx context.Context, run contender.Run) (map[*contender.Contender]load.Figures, error) {
	all := map[*contender.Contender][]load.Figures{}
	for range pairs {
		for _, c := range g.both() {
			figures, err := c.Measure(ctx, run)
			if err != nil {
				return nil, err
			}
			all[c] = append(all[c], figures)
		}
	}
	medians := map[*contender.Contender]load.Figures{}
	for c, runs := range all {
		medians[c] = medianFigures(runs)
	}
	return medians, nil
}

func medianFigures(runs []load.Figures) load.Figures {
	medians := load.Figures{}
	for metric := range runs[0] {
		var values []float64
		for _, figures := range runs {
			values = append(values, figures[metric])
		}
		medians[metric] = report.Median(values)
	}
	return medians
}

// together measures both contenders at the same time: they wait most of it, and
// memory is all that counts.
func (g *growth) together(ctx context.Context, run contender.Run) (map[*contender.Contender]load.Figures, error) {
	var (
		wait sync.WaitGroup
		mu   sync.Mutex // guards the two below
		all  = map[*contender.Contender]load.Figures{}
		errs error
	)
	for _, c := range g.both() {
		wait.Go(func() {
			figures, err := c.Measure(ctx, run)
			mu.Lock()
			defer mu.Unlock()
			all[c], errs = figures, errors.Join(errs, err)
		})
	}
	wait.Wait()
	return all, errs
}
