package accesslog

import (
	"regexp"
	"strings"
)

// Reader reads lines. It is immutable.
type Reader struct {
	formats []*Format
}

// NewReader reads lines of Istio's formats, and first of the formats given.
func NewReader(formats ...*Format) (*Reader, error) {
	r := &Reader{formats: formats}
	for _, text := range istioFormats {
		f, err := NewFormat(text)
		if err != nil {
			return nil, err
		}
		r.formats = append(r.formats, f)
	}
	return r, nil
}

var (
	// prefix is what kubectl logs --prefix writes.
	prefix = regexp.MustCompile(`^\[pod/([^/\]]+)/([^/\]]+)\] `)
	// timestamp is what kubectl logs --timestamps writes; the line itself begins behind it.
	timestamp = regexp.MustCompile(`^\d{4}-\d\d-\d\dT[0-9:.]+(?:Z|[+-]\d\d:\d\d) ([\[{]|\d{4}-\d\d-\d\dT)`)
)

// Read reads a line; not ok where it is no access-log line that is known.
func (r *Reader) Read(line string) (Entry, bool) {
	line = strings.TrimRight(line, "\r\n")
	pod := ""
	if found := prefix.FindStringSubmatch(line); found != nil {
		pod, line = found[1], line[len(found[0]):]
	}
	if found := timestamp.FindStringSubmatchIndex(line); found != nil {
		line = line[found[2]:]
	}
	e, ok := r.read(line)
	e.Pod = pod
	return e, ok
}

func (r *Reader) read(line string) (Entry, bool) {
	if isJSON(line) {
		if e, ok := readJSON(line); ok {
			return e, true
		}
	}
	if e, ok := readZtunnel(line); ok {
		return e, true
	}
	for _, f := range r.formats {
		if e, ok := f.Read(line); ok {
			return e, true
		}
	}
	return Entry{}, false
}
