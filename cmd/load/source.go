package load

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// source is one file, stream or address that manifests are read from.
type source struct {
	// name is the path as it was given, or <stdin>, or the URL.
	name string
	// found is set for a file that nobody named: it was in a directory that was named.
	found bool
}

// besides reports whether two sources are one file, or files of one directory that was named.
func (s source) besides(other source) bool {
	return s.name == other.name || s.found && other.found && filepath.Dir(s.name) == filepath.Dir(other.name)
}

// text is a source with its bytes.
type text struct {
	source
	data string
}

// reader collects the sources of the command line, in their order.
type reader struct {
	opts ManifestOptions
	// cluster is the remote cluster that the sources are of; empty for the first.
	cluster  string
	texts    []text
	notes    []string
	problems Problems
	stdin    bool
}

func (r *reader) fail(name, format string, args ...any) {
	r.problems = append(r.problems, Problem{File: name, Message: fmt.Sprintf(format, args...)})
}

// read follows kubectl's -f: a file, a directory (its .json, .yaml and .yml
// files by name; those below it with Recursive), a pattern, an address, or "-".
//
// Source: k8s.io/cli-runtime/pkg/resource/builder.go, FilenameParam.
func (r *reader) read(path string) {
	switch {
	case path == "-":
		r.readStdin()
	case strings.HasPrefix(path, "http://"), strings.HasPrefix(path, "https://"):
		r.readURL(path)
	default:
		info, err := os.Stat(path)
		switch {
		case err == nil && info.IsDir():
			r.readDirectory(path)
		case err == nil:
			r.readFile(source{name: path})
		default:
			r.readPattern(path, err)
		}
	}
}

func (r *reader) readStdin() {
	if r.stdin || r.opts.Stdin == nil {
		r.fail("<stdin>", "can be read only once")
		return
	}
	r.stdin = true
	data, err := readText(r.opts.Stdin, 0)
	if err != nil {
		r.fail("<stdin>", "%v", err)
		return
	}
	r.texts = append(r.texts, text{source{name: "<stdin>"}, data})
}

func (r *reader) readFile(s source) {
	data, err := readFile(s.name)
	if err != nil {
		r.fail(s.name, "%v", plain(err))
		return
	}
	r.texts = append(r.texts, text{s, data})
}

// readFile reads a file once, into the very memory that documents and fields then share.
func readFile(name string) (string, error) {
	file, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		return "", err
	}
	return readText(file, info.Size())
}

func readText(from io.Reader, size int64) (string, error) {
	var b strings.Builder
	b.Grow(int(size))
	_, err := io.Copy(&b, from)
	return b.String(), err
}

// readPattern reads the files of a shell pattern that no shell has expanded.
func (r *reader) readPattern(path string, statError error) {
	matches, err := filepath.Glob(path)
	if err != nil || len(matches) == 0 {
		r.fail(path, "%v", plain(statError))
		return
	}
	slices.Sort(matches)
	for _, m := range matches {
		if info, err := os.Stat(m); err == nil && info.IsDir() {
			r.readDirectory(m)
			continue
		}
		r.readFile(source{name: m})
	}
}

var manifestExtensions = []string{".json", ".yaml", ".yml"}

func (r *reader) readDirectory(dir string) {
	before, below := len(r.texts)+len(r.notes)+len(r.problems), 0
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			r.fail(path, "%v", plain(err))
			return nil
		case entry.IsDir() && path != dir && !r.opts.Recursive:
			below++
			return filepath.SkipDir
		case entry.IsDir() || !slices.Contains(manifestExtensions, filepath.Ext(path)):
			return nil
		}
		r.readFound(path)
		return nil
	})
	if err != nil {
		r.fail(dir, "%v", plain(err))
	}
	if len(r.texts)+len(r.notes)+len(r.problems) == before {
		hint := ""
		if below > 0 {
			hint = "; -R reads the directories below it"
		}
		r.fail(dir, "no .json, .yaml or .yml file in this directory%s", hint)
	}
}

// readFound reads a file of a directory, unless its name says that it is no manifest.
func (r *reader) readFound(path string) {
	switch filepath.Base(path) {
	case "kustomization.yaml", "kustomization.yml":
		r.notes = append(r.notes, fmt.Sprintf("%s: skipped: a kustomization is built with -k %s", path, filepath.Dir(path)))
	case "Chart.yaml":
		r.notes = append(r.notes, fmt.Sprintf("%s: skipped: a Helm chart is rendered first: helm template %s | kubectl mesh-trace -f -", path, filepath.Dir(path)))
	default:
		r.readFile(source{name: path, found: true})
	}
}

// httpTimeout bounds one attempt to fetch a URL, httpAttempts their number, as kubectl's -f does.
const (
	httpTimeout  = 30 * time.Second
	httpAttempts = 3
)

func (r *reader) readURL(address string) {
	var last error
	for attempt := range httpAttempts {
		data, again, err := fetch(address)
		if err == nil {
			r.texts = append(r.texts, text{source{name: address}, data})
			return
		}
		last = err
		if !again {
			break
		}
		time.Sleep(time.Duration(attempt) * time.Second)
	}
	r.fail(address, "%v", last)
}

// fetch gets an address; again is set where a later attempt may fare better.
func fetch(address string) (data string, again bool, err error) {
	client := http.Client{Timeout: httpTimeout}
	response, err := client.Get(address)
	if err != nil {
		var asked *url.Error
		if errors.As(err, &asked) { // the problem begins with the address
			err = asked.Err
		}
		return "", false, fmt.Errorf("fetch: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return "", response.StatusCode >= http.StatusInternalServerError, fmt.Errorf("fetch: the server answered %s", response.Status)
	}
	data, err = readText(response.Body, 0)
	return data, false, err
}

// plain is an error of the file system without the path, which the problem has already.
func plain(err error) error {
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		return pathError.Err
	}
	return err
}
