// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package generate

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/bufbuild/protocompile"
	"github.com/bufbuild/protocompile/ast"
	"github.com/bufbuild/protocompile/parser"
	"github.com/bufbuild/protocompile/reporter"
	"google.golang.org/protobuf/reflect/protoregistry"

	// What a .proto file may import without having its source: linked here, and
	// found by linkedImport. google/protobuf/* comes with protocompile.
	_ "google.golang.org/genproto/googleapis/rpc/code"
	_ "google.golang.org/genproto/googleapis/rpc/errdetails"
	_ "google.golang.org/genproto/googleapis/rpc/status"
)

// sources are the .proto files that were asked for, and all that they import, in
// memory.
type sources struct {
	finder
	names   []string           // those asked for, in the order they were given
	files   map[string]*source // all, by import name, but those that are linked
	ordered []string           // all names of files, each after its imports
}

// A source is the text of one .proto file.
type source struct {
	path    string // what errors call it
	text    []byte
	edition string // "" for proto2 and proto3
	syntax  *ast.FileNode
}

// path returns what errors call the file that is imported under a name.
func (s *sources) path(name string) string {
	if file := s.files[name]; file != nil {
		return file.path
	}
	return name
}

// load reads and parses the files that are asked for, and all that they import.
// The error says what is wrong with their syntax, and which imports are missing.
// Files that are not in memory are read by readFile.
func load(opts Options, readFile func(path string) ([]byte, error)) (*sources, error) {
	s := &sources{
		finder: finder{importPaths: opts.ImportPaths, memory: opts.Sources, readFile: readFile},
		files:  make(map[string]*source),
	}
	if len(s.importPaths) == 0 {
		s.importPaths = []string{"."}
	}
	for _, dir := range s.importPaths {
		if _, err := os.Stat(dir); err != nil { // as for protoc, it is no reason to stop
			opts.warn(fmt.Sprintf("%s: warning: import path: %v", dir, cause(err)))
		}
	}
	var err error
	if s.names, err = s.importNames(opts.Files); err != nil {
		return nil, err
	}

	var problems []problem
	for i, name := range s.names {
		wrong, err := s.add(name)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", opts.Files[i], err)
		}
		problems = append(problems, wrong...)
	}
	for queue := slices.Clone(s.names); len(queue) > 0; queue = queue[1:] {
		added, wrong := s.addImports(s.files[queue[0]])
		queue = append(queue, added...)
		problems = append(problems, wrong...)
	}
	return s, s.failure(append(problems, s.order()...))
}

// addImports adds what a file imports, and returns the names of what is new.
func (s *sources) addImports(file *source) (added []string, problems []problem) {
	for _, statement := range imports(file.syntax) {
		name := statement.Name.AsString()
		if s.files[name] != nil {
			continue
		}
		wrong, err := s.addImport(name)
		if err != nil {
			wrong = []problem{file.problemAt(statement.Name, fmt.Sprintf("import %q: %v", name, err))}
		}
		problems = append(problems, wrong...)
		if s.files[name] != nil {
			added = append(added, name)
		}
	}
	return added, problems
}

// order puts the files in order, and returns the cycles in which they import each
// other.
func (s *sources) order() []problem {
	var problems []problem
	var importing []string // from a file that was asked for to the one that is added
	added := make(map[string]bool)
	var add func(string)
	add = func(name string) {
		importing = append(importing, name)
		file := s.files[name]
		for _, statement := range imports(file.syntax) {
			imported := statement.Name.AsString()
			if i := slices.Index(importing, imported); i >= 0 {
				cycle := strings.Join(append(importing[i:], imported), " imports ")
				problems = append(problems, file.problemAt(statement.Name, "import cycle: "+cycle))
			} else if s.files[imported] != nil && !added[imported] {
				add(imported)
			}
		}
		importing = importing[:len(importing)-1]
		added[name] = true
		s.ordered = append(s.ordered, name)
	}
	// A descriptor.proto that is no linked one is what options are, everywhere.
	for _, name := range append([]string{"google/protobuf/descriptor.proto"}, s.names...) {
		if s.files[name] != nil && !added[name] {
			add(name)
		}
	}
	return problems
}

// importsAny tells whether a file imports one with a property.
func (s *sources) importsAny(name string, property func(name string) bool) bool {
	return slices.ContainsFunc(imports(s.files[name].syntax), func(statement *ast.ImportNode) bool {
		return property(statement.Name.AsString())
	})
}

// imports returns the import statements of a file.
func imports(file *ast.FileNode) []*ast.ImportNode {
	var nodes []*ast.ImportNode
	for _, declaration := range file.Decls {
		if node, ok := declaration.(*ast.ImportNode); ok && node.Name != nil {
			nodes = append(nodes, node)
		}
	}
	return nodes
}

// addImport adds a file that another one imports, unless it is linked.
func (s *sources) addImport(name string) ([]problem, error) {
	if path.Clean(name) != name || !filepath.IsLocal(name) || strings.Contains(name, `\`) {
		return nil, errors.New(`not a plain path with slashes, without "." and ".."`)
	}
	problems, err := s.add(name)
	if errors.Is(err, fs.ErrNotExist) {
		if _, linkedErr := linked.FindFileByPath(name); linkedErr == nil {
			return nil, nil
		}
		err = errors.New("file not found in any import path")
	}
	return problems, err
}

// add reads and parses the file called name. An error means that it could not be
// read; then, it is not added.
func (s *sources) add(name string) ([]problem, error) {
	text, file, err := s.read(name)
	if err != nil {
		return nil, err
	}
	added := &source{path: file, text: text}
	s.files[name] = added
	if line, column := invalidUTF8(text); line > 0 {
		added.syntax = ast.NewEmptyFileNode(name)
		return []problem{{name, line, column, "not UTF-8"}}, nil
	}

	problems := added.parse(name)
	if edition := added.syntax.Edition; edition != nil {
		added.edition = edition.Edition.AsString()
		switch added.edition {
		case "2023":
		case "2024":
			// Its syntax is left to the compiler that knows the edition. See
			// compile2024.
			problems = nil
		default:
			// What else is wrong may be so because the edition is unknown.
			problems = []problem{added.problemAt(edition.Edition, fmt.Sprintf(`edition %q is not supported: there are "2023" and "2024"`, added.edition))}
		}
	}
	if tooDeep := added.nesting(); tooDeep != nil {
		problems = tooDeep
	}
	return problems, nil
}

// parse parses the file, and returns what is wrong with its syntax.
func (s *source) parse(name string) []problem {
	var problems []problem
	handler := reporter.NewHandler(reporter.NewReporter(func(err reporter.ErrorWithPos) error {
		p := problemOf(err)
		if n := len(problems); n == 0 || problems[n-1].line != p.line || problems[n-1].column != p.column {
			problems = append(problems, p) // and not what follows from it
		}
		return nil // keep going: report as many problems as there are
	}, nil))
	s.syntax, _ = parser.Parse(name, bytes.NewReader(s.text), handler) // it always returns a file
	if len(problems) > 1 {
		// What comes of another problem, about which there is more to say.
		problems = slices.DeleteFunc(problems, func(p problem) bool { return p.text == "syntax error: unexpected error" })
	}
	return problems
}

// maxNesting is how deep brackets can lie in each other. What is read below it is
// limited by nothing else, and takes the compilers minutes, or all of the stack.
const maxNesting = 100

// nesting reports a file whose brackets are nested too deep.
func (s *source) nesting() []problem {
	depth := 0
	tokens := s.syntax.Tokens()
	for token, ok := tokens.First(); ok; token, ok = tokens.Next(token) {
		info := s.syntax.TokenInfo(token)
		switch info.RawText() {
		case "{", "[", "<":
			depth++
		case "}", "]", ">":
			depth--
		}
		if depth > maxNesting {
			at := info.Start()
			return []problem{{s.syntax.Name(), at.Line, at.Col, fmt.Sprintf("nested more than %d deep", maxNesting)}}
		}
	}
	return nil
}

// problemAt returns a problem at a node of the file.
func (s *source) problemAt(node ast.Node, text string) problem {
	at := s.syntax.NodeInfo(node).Start()
	return problem{s.syntax.Name(), at.Line, at.Col, text}
}

// invalidUTF8 returns the line and column of the first byte that is not UTF-8,
// or zeros.
func invalidUTF8(text []byte) (line, column int) {
	if utf8.Valid(text) {
		return 0, 0
	}
	line, column = 1, 1
	for {
		r, size := utf8.DecodeRune(text)
		switch {
		case r == utf8.RuneError && size == 1:
			return line, column
		case r == '\n':
			line, column = line+1, 1
		default:
			column++
		}
		text = text[size:]
	}
}

// linked finds what can be imported without having its source.
var linked = protocompile.WithStandardImports(protocompile.ResolverFunc(linkedImport))

// linkedImport finds those of google's .proto files whose Go package is linked
// into this program.
func linkedImport(name string) (protocompile.SearchResult, error) {
	if !strings.HasPrefix(name, "google/") {
		return protocompile.SearchResult{}, protoregistry.NotFound
	}
	desc, err := protoregistry.GlobalFiles.FindFileByPath(name)
	return protocompile.SearchResult{Desc: desc}, err
}
