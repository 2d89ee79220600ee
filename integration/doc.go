// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

// Package integration tests the library as programs use it: through generated
// stubs, over unix sockets. Its tests use nothing that v1.2.10 does not export.
package integration
