package render

import (
	"strings"

	"charm.land/lipgloss/v2"
)

// span is a piece of one line; its text is escaped.
type span struct {
	as   meaning
	text string
}

// line is one line of text, or one cell of a row.
type line []span

// text returns the line with a piece added at its end. It is the only way in,
// so that no string reaches a terminal unescaped.
func (l line) text(as meaning, s string) line {
	if s == "" {
		return l
	}
	return append(l[:len(l):len(l)], span{as, escape(s)})
}

// then returns the line with another behind it, a separator between where both say something.
func (l line) then(separator string, more line) line {
	if len(l) > 0 && len(more) > 0 {
		l = l.text(asPlain, separator)
	}
	return l.add(more)
}

// add returns the line with another behind it.
func (l line) add(more line) line { return append(l[:len(l):len(l)], more...) }

// gap returns the line filled with spaces up to a column, two of them at least.
func (l line) gap(column int) line {
	return l.text(asPlain, strings.Repeat(" ", max(column-l.width(), 2)))
}

// width is how many terminal cells the line takes.
func (l line) width() int {
	n := 0
	for _, s := range l {
		n += lipgloss.Width(s.text)
	}
	return n
}

// fold breaks the line at spaces so that it fits, and sets what follows off by
// hang spaces. What has no space is never cut; width 0 folds nothing.
func (l line) fold(width, hang int) []line {
	if width <= 0 || l.width() <= width {
		return []line{l}
	}
	var lines []line
	var current line
	empty := true
	for _, word := range l.words() {
		if !empty && current.width()+word.trimmed().width() > width {
			lines = append(lines, current)
			current, empty = line{}.text(asPlain, strings.Repeat(" ", hang)), true
		}
		if empty && len(lines) > 0 && word.blank() {
			continue
		}
		current = current.add(word)
		empty = empty && word.blank()
	}
	if !empty {
		lines = append(lines, current)
	}
	return lines
}

// words are the line's words, each with the one space behind it. A word may be of several spans.
func (l line) words() []line {
	var words []line
	var word line
	for _, s := range l {
		for _, piece := range strings.SplitAfter(s.text, " ") {
			if piece == "" {
				continue
			}
			word = append(word, span{s.as, piece})
			if strings.HasSuffix(piece, " ") {
				words, word = append(words, word), nil
			}
		}
	}
	if len(word) > 0 {
		words = append(words, word)
	}
	return words
}

func (l line) blank() bool {
	for _, s := range l {
		if strings.TrimRight(s.text, " ") != "" {
			return false
		}
	}
	return true
}

// trimmed is the line without the spaces at its end, neighbours of one meaning joined.
func (l line) trimmed() line {
	var out line
	for _, s := range l {
		if n := len(out); n > 0 && out[n-1].as == s.as {
			out[n-1].text += s.text
			continue
		}
		out = append(out, s)
	}
	for n := len(out); n > 0; n = len(out) {
		out[n-1].text = strings.TrimRight(out[n-1].text, " ")
		if out[n-1].text != "" {
			break
		}
		out = out[:n-1]
	}
	return out
}

// String is the line without colours.
func (l line) String() string { return l.paint(nil) }

func (l line) paint(p palette) string {
	var b strings.Builder
	for _, s := range l.trimmed() {
		b.WriteString(p.paint(s.as, s.text))
	}
	return b.String()
}
