package load

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Problem is one thing that is wrong with a manifest.
type Problem struct {
	// File is the path as it was given, or <stdin>.
	File string
	// Line is 0 where the problem is the file itself.
	Line int
	// Object is "VirtualService shop/reviews"; empty where the document does not say what it is.
	Object string
	// Field is the path of the field; empty where the whole document is meant.
	Field string
	// Message says what is wrong and what was expected.
	Message string

	// helm marks the problem that a file is a template; the file's other problems follow from it.
	helm bool
}

// Error is one line: file:line, object, field, message.
func (p Problem) Error() string {
	var b strings.Builder
	b.WriteString(p.File)
	if p.Line > 0 {
		fmt.Fprintf(&b, ":%d", p.Line)
	}
	for _, part := range []string{p.Object, p.Field, p.Message} {
		if part != "" {
			b.WriteString(": ")
			b.WriteString(shortened(part))
		}
	}
	// A name with a line break must not pass for a line of our own.
	return lineBreaks.Replace(b.String())
}

var lineBreaks = strings.NewReplacer("\n", `\n`, "\r", `\r`)

// longestPart is how much of each part of a problem is shown, in characters.
const longestPart = 400

// shortened leaves out the middle of a text that nobody would read whole.
func shortened(text string) string {
	if len(text) <= longestPart {
		return text
	}
	runes := []rune(text)
	if len(runes) <= longestPart {
		return text
	}
	return string(runes[:longestPart*3/4]) + " … " + string(runes[len(runes)-longestPart/4:])
}

// Problems are all problems of a set of manifests, by file (in the order of
// their names) and line. It is the error type of [Manifests].
type Problems []Problem

// Error is one line for each problem.
func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i, problem := range p {
		lines[i] = problem.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap gives errors.As each problem.
func (p Problems) Unwrap() []error {
	errs := make([]error, len(p))
	for i, problem := range p {
		errs[i] = problem
	}
	return errs
}

// sorted returns the problems by file and line, each once.
func (p Problems) sorted() Problems {
	slices.SortStableFunc(p, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line))
	})
	return slices.Compact(p)
}
