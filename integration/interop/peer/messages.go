// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

//go:build !v11

package main

import (
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// The messages of the service.
type (
	text  = wrapperspb.StringValue
	blob  = wrapperspb.BytesValue
	count = wrapperspb.Int64Value
	empty = emptypb.Empty
)
