// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package generate

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
)

// Write writes files below the directory out, which must exist; directories
// below it are made as needed. Either all files are written, or nothing is
// changed: each is written whole next to its place, and moved there when all
// are; if a move fails, those before it are undone.
//
// A file that has the right content already is left alone, with its time of
// modification. One that is replaced keeps its permissions; a symbolic link
// stays, and what it leads to is replaced; one that leads to nothing is an error.
func Write(out string, files []File) error {
	return write(out, files, os.Rename)
}

// write is Write with a way to move files.
func write(out string, files []File, rename func(from, to string) error) error {
	if err := checkDirectory(out); err != nil {
		return err
	}
	t := &transaction{rename: rename}
	err := t.stageAll(out, files)
	if err == nil {
		err = t.commit()
	}
	return errors.Join(err, t.end(err == nil))
}

// checkDirectory reports an output directory that is none.
func checkDirectory(out string) error {
	info, err := os.Stat(out)
	switch {
	case out == "":
		return errors.New("no output directory given")
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s: the output directory does not exist", out)
	case err != nil:
		return fmt.Errorf("%s: %w", out, cause(err))
	case !info.IsDir():
		return fmt.Errorf("%s: not a directory", out)
	}
	return nil
}

// A transaction is a number of changes to files, all of which are made, or none.
type transaction struct {
	rename  func(from, to string) error
	changes []*change
	made    []string // directories, each after the one it lies in
}

// A change is a file that is to be replaced, or made.
type change struct {
	final  string
	staged string // the new file, or "" if it is at its place
	backup string // a copy of the old one, or "" if there is none
	done   bool
}

// stageAll prepares the changes. Files that are to stay as they are have none.
func (t *transaction) stageAll(out string, files []File) error {
	seen := make(map[string]bool)
	for _, file := range files {
		name := filepath.FromSlash(file.Name)
		if !filepath.IsLocal(name) {
			return fmt.Errorf("%s: does not lie below the output directory", file.Name)
		}
		final := filepath.Join(out, name)
		target, err := filepath.EvalSymlinks(final)
		if err == nil {
			final = target
		} else if link, _ := os.Readlink(final); link != "" {
			return fmt.Errorf("%s: is a symbolic link to %s, which cannot be followed: %w", final, link, cause(err))
		}
		if seen[final] {
			return fmt.Errorf("%s: written twice", final)
		}
		seen[final] = true
		if err := t.stage(final, file.Content); err != nil {
			return fmt.Errorf("%s: %w", final, cause(err))
		}
	}
	return nil
}

// stage prepares a change, if there is one.
func (t *transaction) stage(final string, content []byte) error {
	dir := filepath.Dir(final)
	if err := t.makeDirectory(dir); err != nil {
		return err
	}
	c := &change{final: final}
	info, err := os.Stat(final)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		t.changes = append(t.changes, c)
		c.staged, err = writeTemporary(dir, content)
		return err
	case err != nil:
		return err
	case info.IsDir():
		return errors.New("is a directory")
	}
	old, err := os.ReadFile(final)
	if err != nil || bytes.Equal(old, content) {
		return err
	}
	t.changes = append(t.changes, c)
	if c.backup, err = writeTemporary(dir, old); err != nil {
		return err
	}
	if c.staged, err = writeTemporary(dir, content); err != nil {
		return err
	}
	return errors.Join(
		os.Chmod(c.backup, info.Mode().Perm()), os.Chtimes(c.backup, info.ModTime(), info.ModTime()),
		os.Chmod(c.staged, info.Mode().Perm()))
}

// makeDirectory makes a directory, and those above it, unless they are there.
func (t *transaction) makeDirectory(dir string) error {
	if info, err := os.Stat(dir); err == nil {
		if !info.IsDir() {
			return fmt.Errorf("%s is not a directory", dir)
		}
		return nil
	}
	if err := t.makeDirectory(filepath.Dir(dir)); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o777); err != nil {
		if info, statErr := os.Stat(dir); statErr == nil && info.IsDir() {
			return nil // another process has just made it
		}
		return err
	}
	t.made = append(t.made, dir)
	return nil
}

// writeTemporary writes a new file and returns its path. Its name begins with a
// dot, so that the go command ignores it. It has the permissions of any new file,
// other than those of os.CreateTemp.
func writeTemporary(dir string, content []byte) (string, error) {
	path := filepath.Join(dir, fmt.Sprintf(".ttrpc-gen-%x", rand.Uint64()))
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return "", err
	}
	_, err = file.Write(content)
	if err = errors.Join(err, file.Close()); err != nil {
		return "", errors.Join(err, os.Remove(path))
	}
	return path, nil
}

// commit makes the changes.
func (t *transaction) commit() error {
	for _, c := range t.changes {
		if err := t.rename(c.staged, c.final); err != nil {
			return err
		}
		c.staged, c.done = "", true
	}
	return nil
}

// end undoes the changes, if they are not to be kept, and removes what is no
// longer needed. The error says what could not be undone.
func (t *transaction) end(keep bool) error {
	var problems []error
	for _, c := range slices.Backward(t.changes) {
		if c.done && !keep {
			if err := t.undo(c); err != nil {
				problems = append(problems, err)
				continue // its backup is all there is of it
			}
		}
		for _, temporary := range []string{c.staged, c.backup} {
			if temporary != "" {
				_ = os.Remove(temporary)
			}
		}
	}
	if !keep {
		for _, dir := range slices.Backward(t.made) {
			_ = os.Remove(dir) // somebody may have put something else there
		}
	}
	return errors.Join(problems...)
}

// undo puts back what was at a place before.
func (t *transaction) undo(c *change) error {
	if c.backup == "" {
		return os.Remove(c.final)
	}
	if err := t.rename(c.backup, c.final); err != nil {
		return fmt.Errorf("%s: could not be put back: its old content is in %s: %w", c.final, c.backup, err)
	}
	c.backup = ""
	return nil
}
