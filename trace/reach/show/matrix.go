package show

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/mesh-trace/kubectl-mesh-trace/trace"
	"github.com/mesh-trace/kubectl-mesh-trace/trace/reach"
	"github.com/mesh-trace/kubectl-mesh-trace/trace/render"
)

// By says what a row and a column of a table stand for. It is a closed list.
type By string

// The values.
const (
	// ByAuto is by workload, and by namespace where a table would be too large for a person.
	ByAuto      By = "auto"
	ByWorkload  By = "workload"
	ByNamespace By = "namespace"
)

// Bys are all values.
var Bys = []string{string(ByAuto), string(ByWorkload), string(ByNamespace)}

// What is too large for a person: so many rows, and so many columns where there is no terminal to fit in.
const (
	rowsShown    = 50
	columnsShown = 40
)

// answersShown is how many reasons a text has that is not wide.
const answersShown = 10

// signs are what the signs mean, in the order of the legend.
var signs = []struct{ sign, means string }{
	{"D", "delivered"},
	{"A", "denied (authorization)"},
	{"N", "not routed"},
	{"U", "unavailable"},
	{"R", "reset"},
	{">", "redirected"},
	{"=", "answered by a proxy"},
	{reach.Split, "split: several ends"},
	{reach.Mixed, "mixed: not all alike, with the percentage delivered"},
	{reach.Assumed, "after a sign: assumed"},
	{reach.Undetermined, "after a sign: undetermined"},
}

// Table is a matrix for a person: the signs, what they mean, what the columns are, and what decides.
func Table(m *reach.Matrix, by By, opts Options) []byte {
	t := &text{opts: opts}
	name := func(s *reach.Source) string { return s.Name() }
	rows, columns := by == ByNamespace, by == ByNamespace
	if by == ByAuto {
		rows = len(m.Sources) > rowsShown
		columns = len(m.Questions) > t.columnsFor(m)
	}
	g := m.Grid(rows, columns, name, func(i int) string { return RequestText(m.Questions[i].Request) })
	t.grid(g)
	t.line(0, "")
	for i, c := range g.Columns {
		t.line(0, "%*d  %s", len(strconv.Itoa(len(g.Columns))), i+1, lineText(c, "requests"))
	}
	t.line(0, "")
	t.legend(g)
	t.answers(m)
	t.warnings(m.Warnings)
	return trace.Redact(t.Bytes())
}

// columnsFor is how many columns fit.
func (t *text) columnsFor(m *reach.Matrix) int {
	if t.opts.Width == 0 {
		return columnsShown
	}
	widest := 0
	for _, s := range m.Sources {
		widest = max(widest, len(s.Name()))
	}
	return max(1, (t.opts.Width-widest)/(len(strconv.Itoa(len(m.Questions)))+2))
}

// grid writes the signs below the numbers of the columns.
func (t *text) grid(g *reach.Grid) {
	width := max(2, len(strconv.Itoa(len(g.Columns)))) // a sign may have a mark
	for _, row := range g.Signs {
		for _, sign := range row {
			width = max(width, len(sign))
		}
	}
	names := make([]string, len(g.Rows))
	widest := 0
	for i, r := range g.Rows {
		names[i] = render.Escape(lineText(r, "sources"))
		widest = max(widest, len([]rune(names[i])))
	}
	head := strings.Repeat(" ", widest)
	for i := range g.Columns {
		head += fmt.Sprintf(" %-*d", width, i+1)
	}
	t.line(0, "%s", strings.TrimRight(head, " "))
	for i, row := range g.Signs {
		line := names[i] + strings.Repeat(" ", widest-len([]rune(names[i])))
		for _, sign := range row {
			line += fmt.Sprintf(" %-*s", width, sign)
		}
		t.WriteString(strings.TrimRight(line, " ") + "\n")
	}
}

func lineText(l reach.Line, of string) string {
	if l.Count > 1 {
		return fmt.Sprintf("%s (%d %s)", l.Name, l.Count, of)
	}
	return l.Name
}

// legend explains the signs that are there.
func (t *text) legend(g *reach.Grid) {
	there := map[rune]bool{}
	for _, row := range g.Signs {
		for _, sign := range row {
			for _, r := range sign {
				there[r] = true
			}
		}
	}
	var said []string
	for _, s := range signs {
		if there[rune(s.sign[0])] {
			said = append(said, s.sign+" "+s.means)
		}
	}
	t.line(0, "%s", strings.Join(said, ", "))
}

// answers are what is not plainly delivered, the most frequent first.
func (t *text) answers(m *reach.Matrix) {
	counts := m.Counts()
	var order []int
	for i, a := range m.Answers {
		if e := a.Ends[0]; len(a.Ends) > 1 || e.Decision != trace.Delivered || e.Code != "" || e.Certainty != trace.Certain {
			order = append(order, i)
		}
	}
	if len(order) == 0 {
		return
	}
	slices.SortStableFunc(order, func(a, b int) int { return counts[b] - counts[a] })
	t.line(0, "")
	for n, i := range order {
		if n == answersShown && !t.opts.Wide && len(order) > answersShown+1 {
			t.line(0, "and %d more (-o wide)", len(order)-n)
			return
		}
		t.line(0, "%s  %d: %s", m.Answers[i].Sign(), counts[i], t.answer(m.Answers[i]))
	}
}

func (t *text) answer(a *reach.Answer) string {
	parts := make([]string, len(a.Ends))
	for i, e := range a.Ends {
		if len(a.Ends) > 1 {
			parts[i] = percent(e.Weight) + " "
		}
		parts[i] += EndText(e, t.opts.Locate)
	}
	return strings.Join(parts, "; ")
}

// CSV is the matrix with a row for each source and a column for each request; a cell has the decision, the status and the code, for each
// end. No cell begins with what a spreadsheet would take for a formula. By namespace a cell has the sign.
func CSV(m *reach.Matrix, by By) ([]byte, error) {
	g := cells(m, by, func(a *reach.Answer) string { return plainAnswer(a) })
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	records := [][]string{append([]string{"from"}, g.heads...)}
	for i, name := range g.names {
		records = append(records, append([]string{name}, g.cells[i]...))
	}
	for _, record := range records {
		for i := range record {
			if record[i] = render.Escape(record[i]); strings.ContainsAny(record[i][:min(1, len(record[i]))], "=+-@") {
				record[i] = "'" + record[i]
			}
		}
	}
	err := w.WriteAll(records)
	return trace.Redact(b.Bytes()), err
}

// Markdown is the matrix as a table with signs, and their legend.
func Markdown(m *reach.Matrix, by By) []byte {
	g := cells(m, by, (*reach.Answer).Sign)
	var b strings.Builder
	row := func(words []string) {
		for i := range words {
			words[i] = markdownCell(words[i])
		}
		b.WriteString("| " + strings.Join(words, " | ") + " |\n")
	}
	row(append([]string{"from"}, g.heads...))
	b.WriteString("|---" + strings.Repeat("|:-:", len(g.heads)) + "|\n")
	for i, name := range g.names {
		row(append([]string{name}, g.cells[i]...))
	}
	var said []string
	for _, s := range signs {
		said = append(said, markdownCell(s.sign)+" "+s.means)
	}
	b.WriteString("\n" + strings.Join(said, ", ") + "\n")
	return trace.Redact([]byte(b.String()))
}

// markdownCell escapes what Markdown or HTML would take for its own.
func markdownCell(text string) string {
	var b strings.Builder
	for _, r := range render.Escape(text) {
		if strings.ContainsRune("\\`*_{}[]<>#|~&=!", r) {
			fmt.Fprintf(&b, "&#%d;", r)
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

// table is a matrix as words.
type table struct {
	heads, names []string
	cells        [][]string
}

func cells(m *reach.Matrix, by By, word func(*reach.Answer) string) table {
	name := func(s *reach.Source) string { return s.Name() }
	title := func(i int) string { return RequestText(m.Questions[i].Request) }
	if by == ByNamespace {
		g := m.Grid(true, true, name, title)
		t := table{cells: g.Signs}
		for _, c := range g.Columns {
			t.heads = append(t.heads, c.Name)
		}
		for _, r := range g.Rows {
			t.names = append(t.names, r.Name)
		}
		return t
	}
	words := make([]string, len(m.Answers))
	for i, a := range m.Answers {
		words[i] = word(a)
	}
	t := table{}
	for i := range m.Questions {
		t.heads = append(t.heads, title(i))
	}
	for i, s := range m.Sources {
		row := make([]string, len(m.Questions))
		for q := range m.Questions {
			row[q] = words[m.Index(i, q)]
		}
		t.names, t.cells = append(t.names, name(s)), append(t.cells, row)
	}
	return t
}

// plainAnswer is decision, status, code and certainty of each end.
func plainAnswer(a *reach.Answer) string {
	parts := make([]string, len(a.Ends))
	for i, e := range a.Ends {
		words := []string{}
		if len(a.Ends) > 1 {
			words = append(words, percent(e.Weight))
		}
		words = append(words, string(e.Decision))
		if e.HTTPStatus != 0 {
			words = append(words, strconv.Itoa(e.HTTPStatus))
		}
		if e.Code != "" {
			words = append(words, string(e.Code))
		}
		if e.Certainty != trace.Certain {
			words = append(words, string(e.Certainty))
		}
		parts[i] = strings.Join(words, " ")
	}
	return strings.Join(parts, "; ")
}
