// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package stubgen

import (
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
)

// An Output takes the text of a generated file. Both protogen and gogo's
// generator have such files.
type Output interface {
	// P writes a line, which is made of the values.
	P(values ...any)
	// Import imports a package, and returns its name in the file.
	Import(path string) string
}

// Write writes the clients and servers of f, whose services a Package has named.
func Write(out Output, f *File) {
	w := newWriter(out, f)
	for _, s := range f.Services {
		w.constants(s)
		w.server(s)
		w.client(s)
	}
}

// A writer writes one generated file, in pieces of Go with words that begin with
// a dollar; see emit.
type writer struct {
	out  Output
	path string // of the .proto file

	// words say what stands for a word in any piece of text.
	words words
	// packages are the names under which the file imports packages.
	packages map[string]bool
}

// words say what stands for each word that begins with a dollar.
type words map[string]string

// newWriter imports all packages that the file will use: their names must be
// known before the first local variable gets its own.
func newWriter(out Output, f *File) *writer {
	w := &writer{out: out, path: f.Path, words: make(words), packages: make(map[string]bool)}
	w.use("ttrpc", "github.com/containerd/ttrpc")
	for _, s := range f.Services {
		for _, m := range s.Methods {
			w.use("context", "context")
			w.use("codes", "google.golang.org/grpc/codes")
			w.use("status", "google.golang.org/grpc/status")
			w.packages[packageOf(m.Request)] = true
			w.packages[packageOf(m.Response)] = true
		}
	}
	return w
}

// use imports a package, for which a word stands.
func (w *writer) use(word, path string) {
	if _, done := w.words[word]; done {
		return
	}
	name := w.out.Import(path)
	w.words[word] = name
	w.packages[name] = true
}

// packageOf returns the name of the package that a Go type is written with, ""
// for the file's own.
func packageOf(name string) string {
	before, _, found := strings.Cut(name, ".")
	if !found {
		return ""
	}
	return before
}

// emit writes a piece of text. In it stands $word for what own or w.words have
// under that word. A word that is in neither names a variable: it stands for
// itself, unless that would hide a package.
func (w *writer) emit(own words, text string) {
	w.out.P(os.Expand(strings.Trim(text, "\n"), func(word string) string {
		if value, ok := own[word]; ok {
			return value
		}
		if value, ok := w.words[word]; ok {
			return value
		}
		return w.variable(word)
	}))
}

// declare writes a declaration, or the last piece of one, and the blank line that
// keeps it apart from the next.
func (w *writer) declare(own words, text string) {
	w.emit(own, text)
	w.out.P()
}

// variable returns the name of a variable or parameter.
func (w *writer) variable(name string) string {
	for w.packages[name] {
		name += "_"
	}
	return name
}

// serviceWords returns the words that stand for the names of s.
func serviceWords(s *Service) words {
	return words{
		"name":          s.Name,
		"fullName":      s.FullName,
		"Service":       s.serviceName(),
		"Register":      s.registerName(),
		"Unimplemented": s.unimplemented,
		"Client":        s.clientName(),
		"NewClient":     s.newClient(),
		"handlers":      "ttrpc" + s.Name + "Handlers",
		"caller":        "ttrpc" + s.Name + "Caller",
	}
}

// methodWords returns the words that stand for the names of m and its service.
func methodWords(m *Method) words {
	own := serviceWords(m.service)
	maps.Copy(own, words{
		"Method":           m.Name,
		"calledAs":         m.calledAs(),
		"fullMethod":       m.fullName(),
		"fullNameConstant": m.fullNameConstant,
		"Request":          m.Request,
		"Response":         m.Response,
		"ServerStream":     m.serverStream(),
		"ClientStream":     m.clientStream(),
		"serverStreamImpl": "ttrpc" + m.serverStream(),
		"clientStreamImpl": "ttrpc" + m.clientStream(),
		"clientStreams":    strconv.FormatBool(m.ClientStreams),
		"serverStreams":    strconv.FormatBool(m.ServerStreams),
	})
	return own
}

// constants writes the full names of the methods of s.
func (w *writer) constants(s *Service) {
	if len(s.Methods) == 0 {
		return
	}
	w.emit(serviceWords(s), `
// The full names of the methods of $fullName, as interceptors see them.`)
	if slices.ContainsFunc(s.Methods, (*Method).hasTwoNames) {
		w.emit(nil, `
//
// A method that has another name in the .proto file than in Go can be called by
// either. A server tells interceptors the one that is here; if it is linked with
// ttrpc v1.2, it tells them the one that the client has used.`)
	}
	w.emit(nil, `const (`)
	for _, m := range s.Methods {
		w.emit(methodWords(m), `$fullNameConstant = "$fullMethod"`)
	}
	w.declare(nil, `)`)
}

// document writes the comment of a declaration: a first sentence, if there is
// one, and what the .proto file says.
func (w *writer) document(sentence string, c Comments) {
	paragraphs := []string{sentence, tidy(c.Leading), tidy(c.Trailing)}
	if c.Deprecated {
		paragraphs = append(paragraphs, "Deprecated: marked as deprecated in "+w.path+".")
	}
	paragraphs = slices.DeleteFunc(paragraphs, func(text string) bool { return text == "" })
	for i, text := range paragraphs {
		if i > 0 {
			w.out.P("//")
		}
		comment(w.out, text)
	}
}

// comment writes a tidy text as a comment, and as no directive to the compiler.
func comment(out interface{ P(...any) }, text string) {
	for line := range strings.SplitSeq(text, "\n") {
		if rest, found := strings.CutPrefix(strings.TrimSpace(line), "+build"); found {
			line = `\+build` + rest // gofmt would move it to the head of the file
		}
		if line != "" && line[0] != ' ' && line[0] != '\t' {
			line = " " + line
		}
		out.P("//", line)
	}
}

// notInGo are characters that may not stand in Go, not even in a comment, and
// the ends of lines as Windows has them.
var notInGo = strings.NewReplacer("\x00", "", "\ufeff", "", "\r", "")

// tidy returns the text of a comment without what cannot be in Go, blanks at the
// ends of its lines, and blank lines at its own ends.
func tidy(text string) string {
	lines := strings.Split(notInGo.Replace(strings.ToValidUTF8(text, "\ufffd")), "\n")
	for i, line := range lines {
		lines[i] = strings.TrimRight(line, " \t")
	}
	return strings.Trim(strings.Join(lines, "\n"), "\n")
}
