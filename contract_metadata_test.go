// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package ttrpc_test

// The contract about metadata.

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/containerd/ttrpc"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// testMD has a key in mixed case, which MD's methods do not make.
func testMD() ttrpc.MD {
	return ttrpc.MD{"a": {"1", "2"}, "B": {"x"}, "empty": {}, "nil": nil}
}

// Get looks for the key in lower case.
func TestMDGet(t *testing.T) {
	for _, tt := range []struct {
		key    string
		values []string
	}{
		{"a", []string{"1", "2"}},
		{"A", []string{"1", "2"}},
		{"B", nil}, {"b", nil}, {"empty", nil}, {"nil", nil}, {"missing", nil}, {"", nil},
	} {
		values, ok := testMD().Get(tt.key)
		require.Equal(t, tt.values, values, "key %q", tt.key)
		require.Equal(t, tt.values != nil, ok, "key %q", tt.key)
	}
	values, ok := ttrpc.MD(nil).Get("a")
	require.Nil(t, values)
	require.False(t, ok)
}

// Set replaces the values of the key in lower case, and removes it without
// values.
func TestMDSet(t *testing.T) {
	md := testMD()
	md.Set("A", "9")
	md.Set("New", "1", "2")
	md.Set("B")
	md.Set("Empty")
	md.Set("missing")
	require.Equal(t, ttrpc.MD{"a": {"9"}, "new": {"1", "2"}, "B": {"x"}, "nil": nil}, md)
	md.Set("a")
	require.Equal(t, ttrpc.MD{"new": {"1", "2"}, "B": {"x"}, "nil": nil}, md)

	ttrpc.MD(nil).Set("a")
	require.Panics(t, func() { ttrpc.MD(nil).Set("a", "1") })
}

// Append adds to the values of the key in lower case, and does nothing without
// values.
func TestMDAppend(t *testing.T) {
	md := testMD()
	md.Append("A", "3", "4")
	md.Append("B", "y")
	md.Append("nil", "z")
	md.Append("missing")
	md.Append("a")
	require.Equal(t, ttrpc.MD{"a": {"1", "2", "3", "4"}, "B": {"x"}, "b": {"y"}, "empty": {}, "nil": {"z"}}, md)

	ttrpc.MD(nil).Append("a")
	require.Panics(t, func() { ttrpc.MD(nil).Append("a", "1") })
}

// Clone copies deeply, and as it is.
func TestMDClone(t *testing.T) {
	md := testMD()
	clone := md.Clone()
	require.Equal(t, testMD(), clone)
	require.True(t, clone["nil"] == nil, "nil values became something")
	require.True(t, clone["empty"] != nil, "empty values became nil")

	clone["a"][0] = "changed"
	clone["new"] = []string{"1"}
	clone.Append("a", "3")
	require.Equal(t, testMD(), md)

	require.True(t, ttrpc.MD(nil).Clone() == nil)
	require.Equal(t, ttrpc.MD{}, ttrpc.MD{}.Clone())
}

// GetMetadata returns what WithMetadata was given last, itself.
func TestMetadataInContext(t *testing.T) {
	ctx := context.Background()
	md, ok := ttrpc.GetMetadata(ctx)
	require.False(t, ok)
	require.Nil(t, md)

	own := testMD()
	ctx = ttrpc.WithMetadata(ctx, own)
	md, ok = ttrpc.GetMetadata(ctx)
	require.True(t, ok)
	md["changed"] = []string{"1"}
	require.Equal(t, []string{"1"}, own["changed"], "a copy")

	ctx = ttrpc.WithMetadata(ctx, ttrpc.MD{"other": {"1"}})
	md, _ = ttrpc.GetMetadata(ctx)
	require.Equal(t, ttrpc.MD{"other": {"1"}}, md)

	md, ok = ttrpc.GetMetadata(ttrpc.WithMetadata(ctx, nil))
	require.True(t, ok)
	require.Nil(t, md)
}

// GetMetadataValue returns the first value.
func TestGetMetadataValue(t *testing.T) {
	ctx := ttrpc.WithMetadata(context.Background(), testMD())
	for key, want := range map[string]string{"a": "1", "A": "1", "B": "", "b": "", "empty": "", "nil": "", "missing": ""} {
		value, ok := ttrpc.GetMetadataValue(ctx, key)
		require.Equal(t, want, value, "key %q", key)
		require.Equal(t, want != "", ok, "key %q", key)
	}
	value, ok := ttrpc.GetMetadataValue(context.Background(), "a")
	require.Empty(t, value)
	require.False(t, ok)
	value, ok = ttrpc.GetMetadataValue(ttrpc.WithMetadata(context.Background(), ttrpc.MD{"a": {""}}), "a")
	require.Empty(t, value)
	require.True(t, ok, "an empty value is a value")
}

// Metadata reaches handlers, and their own calls pass it on if they are made with
// the handler's context.
func TestMetadataIsPassedOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		got := make(chan ttrpc.MD, 2)
		note := func(ctx context.Context) bool {
			md, ok := ttrpc.GetMetadata(ctx)
			got <- md
			return ok
		}
		last := newServer(t)
		last.Register("Last", map[string]ttrpc.Method{"M": func(ctx context.Context, _ func(any) error) (any, error) {
			return wrapperspb.Bool(note(ctx)), nil
		}})
		lastClient := newClient(t, servePipe(t, last).dialPipe(t))
		first := newServer(t)
		first.Register("First", map[string]ttrpc.Method{"M": func(ctx context.Context, _ func(any) error) (any, error) {
			note(ctx)
			var resp wrapperspb.BoolValue
			return &resp, lastClient.Call(ctx, "Last", "M", &wrapperspb.StringValue{}, &resp)
		}})
		client := newClient(t, servePipe(t, first).dialPipe(t))

		sent := ttrpc.MD{"one": {"1"}, "more": {"3", "2", "3"}, "none": {}}
		arrived := ttrpc.MD{"one": {"1"}, "more": {"3", "2", "3"}}
		var resp wrapperspb.BoolValue
		require.NoError(t, client.Call(ttrpc.WithMetadata(t.Context(), sent), "First", "M", &wrapperspb.StringValue{}, &resp))
		require.True(t, resp.GetValue())
		require.Equal(t, arrived, await(t, got, "the first handler"))
		require.Equal(t, arrived, await(t, got, "the last handler"))

		for _, ctx := range []context.Context{t.Context(), ttrpc.WithMetadata(t.Context(), nil), ttrpc.WithMetadata(t.Context(), ttrpc.MD{})} {
			require.NoError(t, client.Call(ctx, "First", "M", &wrapperspb.StringValue{}, &resp))
			require.False(t, resp.GetValue(), "metadata that nobody sent")
			require.Nil(t, await(t, got, "the first handler"))
			require.Nil(t, await(t, got, "the last handler"))
		}
	})
}
