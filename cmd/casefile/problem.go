package casefile

import (
	"fmt"
	"strings"
)

// Source is where something stands in a case file.
type Source struct {
	// File is the path as it was given, or <stdin>.
	File string
	// Line counts from 1; 0 where the file as a whole is meant.
	Line int
}

// String is FILE:LINE.
func (s Source) String() string {
	if s.Line == 0 {
		return s.File
	}
	return fmt.Sprintf("%s:%d", s.File, s.Line)
}

// Problem is one thing that is wrong with a case file.
type Problem struct {
	Source
	// Document counts the documents of the file from 1; 0 where the file as a whole is meant.
	Document int
	// Field is the path of the field; empty where the whole document is meant.
	Field string
	// Message says what is wrong and what was expected.
	Message string
}

// Error is one line: file:line, document, field, message.
func (p Problem) Error() string {
	var b strings.Builder
	b.WriteString(p.Source.String())
	if p.Document > 0 {
		fmt.Fprintf(&b, ": document %d", p.Document)
	}
	for _, part := range []string{p.Field, p.Message} {
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

// shortened cuts a text that nobody would read whole.
func shortened(text string) string {
	if runes := []rune(text); len(runes) > longestPart {
		return string(runes[:longestPart]) + "…"
	}
	return text
}

// Problems are all that is wrong with the files, in the order in which they were read. It is the error type of [Read] and [Parse].
type Problems []Problem

// Error is one line for each problem.
func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i, problem := range p {
		lines[i] = problem.Error()
	}
	return strings.Join(lines, "\n")
}
