// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
)

// imageName is what the image is called once it is imported.
const imageName = "ttrpc.test/busybox:1"

// applets are the programs of busybox that the image has.
var applets = []string{"cat", "echo", "sh", "sleep"}

// writeImage writes an image in the layout of the Open Container Initiative, as a
// tar file that ctr can import. It has one layer, with busybox.
func writeImage(path string, busybox []byte) error {
	archive, err := image(busybox)
	if err != nil {
		return err
	}
	return os.WriteFile(path, archive, 0o600)
}

// A blob is a file of an image. It is named by its digest.
type blob struct {
	mediaType string
	content   []byte
}

// A descriptor names a blob.
type descriptor struct {
	MediaType   string            `json:"mediaType"`
	Digest      string            `json:"digest"`
	Size        int               `json:"size"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

func (b blob) digest() string { return fmt.Sprintf("%x", sha256.Sum256(b.content)) }

func (b blob) descriptor() descriptor {
	return descriptor{MediaType: b.mediaType, Digest: "sha256:" + b.digest(), Size: len(b.content)}
}

const mediaTypes = "application/vnd.oci.image."

// image returns the tar file.
func image(busybox []byte) ([]byte, error) {
	content, err := layerOf(busybox)
	if err != nil {
		return nil, err
	}
	layer := blob{mediaTypes + "layer.v1.tar", content}
	config, err := jsonBlob("config.v1+json", map[string]any{
		"architecture": runtime.GOARCH,
		"os":           "linux",
		"config":       map[string]any{"Env": []string{"PATH=/bin"}, "Cmd": []string{"/bin/sh"}},
		"rootfs":       map[string]any{"type": "layers", "diff_ids": []string{"sha256:" + layer.digest()}},
	})
	if err != nil {
		return nil, err
	}
	manifest, err := jsonBlob("manifest.v1+json", map[string]any{
		"schemaVersion": 2,
		"mediaType":     mediaTypes + "manifest.v1+json",
		"config":        config.descriptor(),
		"layers":        []descriptor{layer.descriptor()},
	})
	if err != nil {
		return nil, err
	}
	named := manifest.descriptor()
	named.Annotations = map[string]string{"io.containerd.image.name": imageName}
	index, err := jsonBlob("index.v1+json", map[string]any{
		"schemaVersion": 2,
		"mediaType":     mediaTypes + "index.v1+json",
		"manifests":     []descriptor{named},
	})
	if err != nil {
		return nil, err
	}
	files := []tarFile{
		{name: "oci-layout", content: []byte(`{"imageLayoutVersion":"1.0.0"}`)},
		{name: "index.json", content: index.content},
	}
	for _, b := range []blob{config, manifest, layer} {
		files = append(files, tarFile{name: "blobs/sha256/" + b.digest(), content: b.content})
	}
	return tarOf(files)
}

func jsonBlob(mediaType string, v any) (blob, error) {
	content, err := json.Marshal(v)
	return blob{mediaTypes + mediaType, content}, err
}

// layerOf returns the file system with busybox.
func layerOf(busybox []byte) ([]byte, error) {
	files := []tarFile{{name: "bin/busybox", content: busybox, executable: true}}
	for _, applet := range applets {
		files = append(files, tarFile{name: "bin/" + applet, link: "busybox"})
	}
	return tarOf(files)
}

// A tarFile is a file in a tar file, or a symbolic link.
type tarFile struct {
	name       string
	content    []byte
	executable bool
	link       string
}

func tarOf(files []tarFile) ([]byte, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range files {
		header := &tar.Header{Name: f.name, Mode: 0o644, Size: int64(len(f.content)), Typeflag: tar.TypeReg}
		if f.executable {
			header.Mode = 0o755
		}
		if f.link != "" {
			header.Typeflag, header.Linkname = tar.TypeSymlink, f.link
		}
		if err := w.WriteHeader(header); err != nil {
			return nil, err
		}
		if _, err := w.Write(f.content); err != nil {
			return nil, err
		}
	}
	return b.Bytes(), w.Close()
}
