// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"testing"
)

// untar returns the files of a tar file, and the symbolic links with what they
// point to.
func untar(t *testing.T, archive []byte) map[string]string {
	t.Helper()
	files := make(map[string]string)
	for r := tar.NewReader(bytes.NewReader(archive)); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		files[header.Name] = string(content)
		if header.Typeflag == tar.TypeSymlink {
			files[header.Name] = "-> " + header.Linkname
		}
		if header.Name == "bin/busybox" && header.Mode != 0o755 {
			t.Errorf("busybox has the mode %o", header.Mode)
		}
	}
}

// follow reads the JSON of a descriptor's blob, whose digest and size must be
// right.
func follow(t *testing.T, files map[string]string, d descriptor, into any) string {
	t.Helper()
	content, ok := files["blobs/sha256/"+d.Digest[len("sha256:"):]]
	if !ok {
		t.Fatalf("there is no blob %s", d.Digest)
	}
	if sum := fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(content))); sum != d.Digest || len(content) != d.Size {
		t.Fatalf("the blob %s has the digest %s, and %d bytes, not %d", d.Digest, sum, len(content), d.Size)
	}
	if into != nil {
		if err := json.Unmarshal([]byte(content), into); err != nil {
			t.Fatal(err)
		}
	}
	return content
}

func TestImageLeadsFromItsIndexToBusybox(t *testing.T) {
	archive, err := image([]byte("the program"))
	if err != nil {
		t.Fatal(err)
	}
	files := untar(t, archive)
	var index struct{ Manifests []descriptor }
	if err := json.Unmarshal([]byte(files["index.json"]), &index); err != nil {
		t.Fatal(err)
	}
	if len(index.Manifests) != 1 || index.Manifests[0].Annotations["io.containerd.image.name"] != imageName {
		t.Fatalf("the index has the manifests %+v", index.Manifests)
	}
	var manifest struct {
		Config descriptor
		Layers []descriptor
	}
	follow(t, files, index.Manifests[0], &manifest)
	if len(manifest.Layers) != 1 {
		t.Fatalf("the image has %d layers", len(manifest.Layers))
	}
	var config struct {
		RootFS struct {
			DiffIDs []string `json:"diff_ids"`
		}
	}
	follow(t, files, manifest.Config, &config)
	if ids := config.RootFS.DiffIDs; len(ids) != 1 || ids[0] != manifest.Layers[0].Digest {
		t.Errorf("the configuration names the layers %v", ids)
	}
	layer := untar(t, []byte(follow(t, files, manifest.Layers[0], nil)))
	if layer["bin/busybox"] != "the program" || layer["bin/sh"] != "-> busybox" {
		t.Errorf("the layer holds %v", layer)
	}
}
