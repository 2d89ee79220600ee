// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package generate

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// A finder knows where .proto files are searched.
type finder struct {
	importPaths []string
	memory      map[string]string // by import name
	readFile    func(path string) ([]byte, error)
}

// importNames returns the names under which others import the given files. The
// error says which file cannot have one, or has been given before.
func (f *finder) importNames(files []string) ([]string, error) {
	if len(files) == 0 {
		return nil, errors.New("no .proto file given")
	}
	names := make([]string, 0, len(files))
	given := make(map[string]string) // by import name: as it was given
	var infos []fs.FileInfo          // of each name, nil in memory
	for _, file := range files {
		name, err := f.importName(file)
		if err != nil {
			return nil, err
		}
		if earlier, twice := given[name]; twice {
			return nil, givenTwice(file, earlier)
		}
		info, err := os.Stat(f.search(name))
		if err != nil {
			info = nil
		}
		for i, earlier := range infos {
			if info != nil && earlier != nil && os.SameFile(info, earlier) { // through a link
				return nil, givenTwice(file, given[names[i]])
			}
		}
		infos = append(infos, info)
		given[name] = file
		names = append(names, name)
	}
	return names, nil
}

// givenTwice returns the error for a file that is named twice.
func givenTwice(file, earlier string) error {
	if file == earlier {
		return fmt.Errorf("%s: file given twice", file)
	}
	return fmt.Errorf("%s: file given twice, before as %s", file, earlier)
}

// importName returns the name under which others import file.
func (f *finder) importName(file string) (string, error) {
	name := path.Clean(filepath.ToSlash(file)) // if it is a name already
	if _, ok := f.memory[name]; ok {
		return name, nil
	}
	found, err := os.Stat(file)
	switch {
	case err == nil && found.IsDir():
		return "", fmt.Errorf("%s: is a directory, not a .proto file", file)
	case err == nil:
		if name, err := f.nameOf(file, found); name != "" || err != nil {
			return name, err
		}
	case !errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("%s: %w", file, cause(err))
	}
	switch {
	case !filepath.IsAbs(file) && f.search(name) != "":
		return name, nil
	case found != nil:
		return "", fmt.Errorf("%s: lies under none of the import paths: %s", file, strings.Join(f.importPaths, ", "))
	default:
		return "", fmt.Errorf("%s: no such file", file)
	}
}

// nameOf returns the import name of a file that exists, or "" if it lies under
// no import path.
func (f *finder) nameOf(file string, found fs.FileInfo) (string, error) {
	for _, dir := range f.importPaths {
		name, inside := relative(dir, file)
		if !inside {
			continue
		}
		// The name must lead back to this very file: an earlier import path may
		// hold another one under the same name.
		first := f.search(name)
		if info, err := os.Stat(first); err != nil || !os.SameFile(info, found) {
			return "", fmt.Errorf("%s: hidden by %s, which an earlier import path holds under the same name", file, first)
		}
		return name, nil
	}
	return "", nil
}

// search returns the path of the first file called name in the import paths, or
// "" if there is none. What lies in memory has no path.
func (f *finder) search(name string) string {
	if _, ok := f.memory[name]; ok {
		return ""
	}
	for _, dir := range f.importPaths {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if info, err := os.Stat(file); err == nil && !info.IsDir() {
			return file
		}
	}
	return ""
}

// read returns the text of the file called name, and the path that errors give
// for it. The error is fs.ErrNotExist if there is no such file.
func (f *finder) read(name string) (text []byte, file string, err error) {
	if text, ok := f.memory[name]; ok {
		return []byte(text), name, nil
	}
	if file = f.search(name); file == "" {
		return nil, name, fs.ErrNotExist
	}
	if text, err = f.readFile(file); err != nil {
		return nil, file, cause(err)
	}
	return text, file, nil
}

// relative returns file as seen from dir, with slashes, if it lies in dir.
func relative(dir, file string) (name string, inside bool) {
	absDir, err := filepath.Abs(dir)
	if err != nil {
		return "", false
	}
	absFile, err := filepath.Abs(file)
	if err != nil {
		return "", false
	}
	name, err = filepath.Rel(absDir, absFile)
	return filepath.ToSlash(name), err == nil && filepath.IsLocal(name)
}

// cause returns what the operating system says is wrong, without the path, which
// stands before it already.
func cause(err error) error {
	var at *fs.PathError
	if errors.As(err, &at) {
		return at.Err
	}
	return err
}
