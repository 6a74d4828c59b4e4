package casefile

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// Options say how files are read.
type Options struct {
	// Recursive reads the directories below a directory, too.
	Recursive bool
	// Stdin is what "-" reads.
	Stdin io.Reader
}

// stdinName is how problems name what "-" reads.
const stdinName = "<stdin>"

// Read reads case files: files, directories (their .json, .yaml and .yml files by name) and "-". The cases of a file stand in
// the order written, files in the order given.
//
// A file that is named holds nothing but cases. One of a directory may be something else, a manifest or a kustomization: it is
// passed over if none of its documents is of kind TraceTest or of istio-config-validator, and so are such documents
// beside others. A directory without any case is a problem.
//
// If anything is wrong, the error is [Problems] with every mistake of every file.
func Read(paths []string, o Options) ([]Suite, error) {
	var r fileReader
	for _, path := range paths {
		r.read(path, o)
	}
	if len(r.problems) > 0 {
		return nil, r.problems
	}
	return r.suites, nil
}

// fileReader collects what the files hold.
type fileReader struct {
	suites   []Suite
	problems Problems
}

func (r *fileReader) fail(name, message string) {
	r.problems = append(r.problems, Problem{Source: Source{File: name}, Message: message})
}

func (r *fileReader) read(path string, o Options) {
	if path == "-" {
		if o.Stdin == nil {
			r.fail(stdinName, "can be read only once")
			return
		}
		data, err := io.ReadAll(o.Stdin)
		if err != nil {
			r.fail(stdinName, err.Error())
			return
		}
		r.parse(stdinName, data)
		return
	}
	info, err := os.Stat(path)
	switch {
	case err != nil:
		r.fail(path, plain(err).Error())
	case info.IsDir():
		r.readDirectory(path, o.Recursive)
	default:
		if data, ok := r.readFile(path); ok {
			r.parse(path, data)
		}
	}
}

// parse reads a file that was named.
func (r *fileReader) parse(name string, data []byte) {
	suites, err := Parse(name, data, os.ReadFile)
	r.suites = append(r.suites, suites...)
	var problems Problems
	if errors.As(err, &problems) {
		r.problems = append(r.problems, problems...)
	}
}

func (r *fileReader) readFile(path string) ([]byte, bool) {
	data, err := os.ReadFile(path)
	if err != nil {
		r.fail(path, plain(err).Error())
	}
	return data, err == nil
}

var extensions = []string{".json", ".yaml", ".yml"}

func (r *fileReader) readDirectory(dir string, recursive bool) {
	before, below := len(r.suites)+len(r.problems), 0
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			r.fail(path, plain(err).Error())
			return nil
		case entry.IsDir() && path != dir && !recursive:
			below++
			return filepath.SkipDir
		case entry.IsDir() || !slices.Contains(extensions, filepath.Ext(path)):
			return nil
		}
		r.readFound(path)
		return nil
	})
	if err != nil {
		r.fail(dir, plain(err).Error())
	}
	if len(r.suites)+len(r.problems) == before {
		hint := ""
		if below > 0 {
			hint = "; -R reads the directories below it"
		}
		r.fail(dir, "no case file in this directory"+hint)
	}
}

// readFound reads a file of a directory. What is wrong with it counts if it has cases, or can not be read as YAML and so might have.
func (r *fileReader) readFound(path string) {
	data, ok := r.readFile(path)
	if !ok {
		return
	}
	f := parse(path, data, os.ReadFile)
	r.suites = append(r.suites, f.suites...)
	r.problems = append(r.problems, f.problems...)
}

// plain is an error of the file system without the path, which the problem has already.
func plain(err error) error {
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		return pathError.Err
	}
	return err
}
