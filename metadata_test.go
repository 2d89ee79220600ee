// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package ttrpc

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
)

func TestMD(t *testing.T) {
	t.Run("keys are lower case", func(t *testing.T) {
		m := MD{}
		m.Set("KEY", "a")
		m.Append("Key", "b", "c")
		require.Equal(t, MD{"key": {"a", "b", "c"}}, m)
		values, ok := m.Get("kEY")
		require.True(t, ok)
		require.Equal(t, []string{"a", "b", "c"}, values)
	})

	t.Run("Set replaces, and removes without values", func(t *testing.T) {
		m := MD{"k": {"a", "b"}}
		m.Set("K", "c")
		require.Equal(t, MD{"k": {"c"}}, m)
		m.Set("K")
		require.Equal(t, MD{}, m)
		m.Set("unknown")
		require.Equal(t, MD{}, m)
	})

	t.Run("Append without values does nothing", func(t *testing.T) {
		m := MD{}
		m.Append("k")
		require.Equal(t, MD{}, m)
	})

	t.Run("an empty list is none", func(t *testing.T) {
		for _, m := range []MD{nil, {}, {"k": nil}, {"k": {}}} {
			values, ok := m.Get("k")
			require.False(t, ok)
			require.Nil(t, values)
		}
	})

	t.Run("nil", func(t *testing.T) {
		var m MD
		m.Set("k")
		m.Append("k")
		require.Nil(t, m.Clone())
		require.Panics(t, func() { m.Set("k", "v") })
		require.Panics(t, func() { m.Append("k", "v") })
	})

	t.Run("a clone shares nothing", func(t *testing.T) {
		m := MD{"a": {"1", "2"}, "nil": nil, "empty": {}}
		c := m.Clone()
		require.Equal(t, m, c)
		c["a"][0] = "changed"
		c.Append("a", "3")
		c.Set("b", "4")
		require.Equal(t, MD{"a": {"1", "2"}, "nil": nil, "empty": {}}, m)
	})
}

// Appending to one clone must not write into the array of another, nor into
// values that a user still holds.
func TestMDAppendDoesNotShare(t *testing.T) {
	m := MD{"k": append(make([]string, 0, 10), "a")}
	held, _ := m.Get("k")
	a, b := m.Clone(), m.Clone()
	a.Append("k", "from a")
	b.Append("k", "from b")
	require.Equal(t, []string{"a", "from a"}, a["k"])
	require.Equal(t, []string{"a", "from b"}, b["k"])
	require.Equal(t, []string{"a"}, held)
}

func TestMetadataInContext(t *testing.T) {
	_, ok := GetMetadata(t.Context())
	require.False(t, ok)
	_, ok = GetMetadataValue(t.Context(), "k")
	require.False(t, ok)

	m := MD{"k": {"a", "b"}, "empty": {""}, "none": nil}
	ctx := WithMetadata(t.Context(), m)
	got, ok := GetMetadata(ctx)
	require.True(t, ok)
	m["new"] = []string{"x"}
	require.Equal(t, m, got, "it is the map itself")

	for key, want := range map[string]string{"k": "a", "K": "a", "empty": ""} {
		value, ok := GetMetadataValue(ctx, key)
		require.True(t, ok)
		require.Equal(t, want, value)
	}
	for _, key := range []string{"none", "unknown"} {
		value, ok := GetMetadataValue(ctx, key)
		require.False(t, ok)
		require.Empty(t, value)
	}

	inner := WithMetadata(ctx, MD{"other": {"c"}})
	_, ok = GetMetadataValue(inner, "k")
	require.False(t, ok, "the outer metadata are replaced")
}

// FuzzMetadata sends metadata over the wire and back: the values of each key
// arrive, in their order, under the key in lower case.
func FuzzMetadata(f *testing.F) {
	f.Add("key", "value", "KEY", "other", byte(3))
	f.Add("", "", "\u0130", "\u212a", byte(0))
	f.Add("\xff", "v", "k", "v", byte(1))
	f.Add("k", "\xff", "k", "v", byte(200))
	f.Fuzz(func(t *testing.T, k1, v1, k2, v2 string, n byte) {
		sent := MD{}
		put := func(key, value string) {
			sent[key] = append(sent[key], value) // as a user may, with any case
		}
		put(k1, v1)
		for range n % 5 {
			put(k2, v2)
		}
		put(k1, v2)
		sent[k2+v1] = nil // does not travel
		if n%2 == 0 {
			sent[k1+k2] = []string{}
		}

		valid, allValid := true, true // what is sent; also the keys that are not
		for key, values := range sent {
			valid = valid && (utf8.ValidString(key) || len(values) == 0)
			allValid = allValid && utf8.ValidString(key)
			for _, value := range values {
				valid = valid && utf8.ValidString(value)
			}
		}

		r := outRequest{md: sent}
		b, err := r.append(nil)
		if !valid {
			require.Error(t, err)
			return
		}
		if err != nil { // a key that does not travel may be invalid
			require.False(t, allValid)
			return
		}
		require.Len(t, b, r.size())
		in, err := parseRequest(b)
		require.NoError(t, err)
		lower := map[string]int{}
		for key, values := range sent {
			lower[strings.ToLower(key)] += len(values)
		}
		total := 0
		for key, values := range in.md {
			require.Equal(t, strings.ToLower(key), key)
			require.Len(t, values, lower[key])
			total += len(values)
		}
		for key, values := range sent {
			if len(values) == 0 {
				continue
			}
			got, ok := in.md.Get(key)
			require.True(t, ok)
			total -= len(values)
			if lower[strings.ToLower(key)] == len(values) {
				require.Equal(t, values, got)
			}
		}
		require.Zero(t, total)

		// The same as google.golang.org/protobuf makes of it.
		b, err = proto.Marshal(&Request{Metadata: sent.keyValues()})
		require.NoError(t, err)
		again, err := parseRequest(b)
		require.NoError(t, err)
		require.Len(t, again.md, len(in.md))
		for key, values := range in.md {
			require.ElementsMatch(t, values, again.md[key])
		}
	})
}
