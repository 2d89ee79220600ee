// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"

	"github.com/containerd/ttrpc/bench/internal/contender"
	"github.com/containerd/ttrpc/bench/internal/load"
)

// lineup are those who are compared.
type lineup struct {
	base, candidate *contender.Contender
	rivals          []*contender.Contender // other libraries
	floor           *contender.Contender   // nil if it is not measured
}

// newLineup builds those who are compared, into dir.
func newLineup(ctx context.Context, c config, dir string) (l lineup, err error) {
	builder := contender.Builder{Dir: dir}
	if c.base == "" {
		l.base, err = builder.Upstream(ctx)
	} else {
		l.base, err = builder.Tree(ctx, "base", c.base)
	}
	if err != nil {
		return l, err
	}
	if l.candidate, err = builder.Tree(ctx, "this tree", c.candidate); err != nil || c.alone {
		return l, err
	}
	if l.floor, err = builder.Floor(ctx); err != nil {
		return l, err
	}
	for _, build := range []func(context.Context) (*contender.Contender, error){builder.GRPC, builder.DRPC} {
		rival, err := build(ctx)
		if err != nil {
			return l, err
		}
		l.rivals = append(l.rivals, rival)
	}
	return l, nil
}

// others are all but the two that are measured in alternation.
func (l lineup) others() []*contender.Contender {
	if l.floor == nil {
		return l.rivals
	}
	return append(l.rivals[:len(l.rivals):len(l.rivals)], l.floor)
}

// all returns everyone.
func (l lineup) all() []*contender.Contender {
	return append([]*contender.Contender{l.base, l.candidate}, l.others()...)
}

// built returns the figures that come from the build.
func (l lineup) built() round {
	r := round{}
	for _, c := range l.all() {
		if c.Size > 0 {
			r[c] = load.Figures{buildSize: c.Size, buildDeps: c.Packages}
		}
	}
	return r
}
