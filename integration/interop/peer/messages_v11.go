// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

//go:build v11

package main

import "github.com/gogo/protobuf/types"

// The messages of the service. They are gogo's, which v1.1 was made for; on the
// wire they are the same.
type (
	text  = types.StringValue
	blob  = types.BytesValue
	count = types.Int64Value
	empty = types.Empty
)
