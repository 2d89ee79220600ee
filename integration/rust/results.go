// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"os"
	"path/filepath"
)

// results is where results go, for the report on all peers.
const results = "../interop/results"

// A result is the file about one peer.
type result struct {
	Part    string       `json:"part"`
	Peer    string       `json:"peer"`
	Version string       `json:"version"`
	Cases   []caseResult `json:"cases"`
}

// A caseResult is what came of a case.
type caseResult struct {
	Name      string `json:"name"`
	Direction string `json:"direction"`
	Result    string `json:"result"` // pass or fail
	Note      string `json:"note,omitempty"`
}

// write writes the file: ttrpc-rust-VERSION-KIND.json.
func (r *result) write(kind string) error {
	if err := os.MkdirAll(results, 0o777); err != nil {
		return err
	}
	content, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	name := r.Part + "-" + r.Version + "-" + kind + ".json"
	return os.WriteFile(filepath.Join(results, name), append(content, '\n'), 0o666)
}
