package render

import (
	"regexp"
	"strings"
	"testing"

	"github.com/mesh-trace/kubectl-mesh-trace/trace"
)

// saying is a picture's renderer with the fixtures' own reasons.
func saying(t *trace.Trace) *renderer {
	r := newPicture(t, PictureOptions{Locate: located})
	r.reason = said
	return r
}

func TestPicturesGolden(t *testing.T) {
	for name, fixture := range fixtures() {
		t.Run(name, func(t *testing.T) {
			golden(t, name+".mmd", string(sequence(saying(fixture), trace.DetailFails)))
			golden(t, name+".dot", string(graph(saying(fixture), trace.DetailFails)))
		})
	}
	for _, detail := range []trace.Detail{trace.DetailNone, trace.DetailFull} {
		golden(t, "denied."+string(detail)+".mmd", string(sequence(saying(deniedFixture()), detail)))
		golden(t, "denied."+string(detail)+".dot", string(graph(saying(deniedFixture()), detail)))
	}
}

// acting are texts that Mermaid, Graphviz or HTML would act on instead of showing them.
var acting = []string{
	"a;b", "a#b", "#35;", "end", "a\nend", "%%{init: {}}%%", "%% x", `"`, `\`, `\N`, `\l`, "&quot;", "<br/>", "</script>", "<b>", "ﬂ°°60¶ß",
	"style a:b#c;", "classDef a:b#c;", "wrap:x", "nowrap: x", "p1->>p2: x", "\u202e", "->", "}", "]", "$$x$$", "`x`", "alt x",
}

// mermaidLines are the lines that a sequence diagram may have; a text in it is of what stands for itself and of numbers.
var mermaidLines = regexp.MustCompile(`^(sequenceDiagram|  (acc(Title|Descr): TEXT|box transparent TEXT|end)| +(participant|actor) p\d+ as LINES|` +
	` +(alt|else) TEXT| +end| +p\d+(->>|-x|-->>|--x)p\d+: LINES| +Note over p\d+: LINES)$`)

// Whatever a text says, the diagram has the lines of one that says nothing of the kind.
func TestMermaidTextStaysText(t *testing.T) {
	char := `(?:[\p{L}\p{Nd} .,:/_()=+*?!|@'✓✗·–→…\[\]-]|#\d+;)`
	grammar := strings.NewReplacer("TEXT", char+"*", "LINES", "(?:"+char+"|<br/>)*").Replace(mermaidLines.String())
	lines := regexp.MustCompile(grammar)
	for _, text := range acting {
		got := string(sequence(saying(evilFixture(text)), trace.DetailFull))
		if want := strings.Count(string(sequence(saying(evilFixture("x")), trace.DetailFull)), "\n"); strings.Count(got, "\n") != want {
			t.Errorf("%q: %d lines, want %d", text, strings.Count(got, "\n"), want)
		}
		for line := range strings.Lines(got) {
			line = strings.TrimSuffix(line, "\n")
			if !lines.MatchString(line) || strings.Contains(line, "style") || strings.Contains(line, "classDef") || strings.Contains(line, "wrap:") {
				t.Errorf("%q: %s", text, line)
			}
		}
	}
}

// Outside of its quoted labels a graph has the same words, whatever the labels say; in them nothing is an entity of HTML
// or an escape but those that end a line.
func TestDotTextStaysText(t *testing.T) {
	quoted := regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)
	inside := regexp.MustCompile(`&amp;|\\[\\"ln]|[^&"\\]`)
	skeleton := func(text string) string { return quoted.ReplaceAllString(text, `""`) }
	want := skeleton(string(graph(saying(evilFixture("x")), trace.DetailFull)))
	for _, text := range acting {
		got := string(graph(saying(evilFixture(text)), trace.DetailFull))
		if skeleton(got) != want {
			t.Errorf("%q: %s", text, got)
		}
		for _, label := range quoted.FindAllString(got, -1) {
			if rest := inside.ReplaceAllString(label[1:len(label)-1], ""); rest != "" {
				t.Errorf("%q: %s has %s", text, label, rest)
			}
		}
	}
}

// evilFixture has a text wherever one can come from outside.
func evilFixture(text string) *trace.Trace {
	t := undeterminedFixture()
	t.Request.Path, t.Request.Host = text, text
	t.Request.Headers = map[string]string{text: text, "host": text}
	t.Source.Name, t.Source.Assumed = text, text
	for i := range t.Outcomes {
		o := &t.Outcomes[i]
		o.Reason, o.By.Name, o.By.Field, o.Destination.Subset, o.ResponseCodeDetails = text, text, text, text, text
		o.Destination.Workloads[0].Name = text
		o.Forwarded = &trace.Forwarded{Method: text, Path: text, Host: text, Headers: map[string]string{text: text}}
	}
	for i := range t.Hops {
		h := &t.Hops[i]
		h.Peer, h.Workload.Name = text, text
		for j := range h.Steps {
			s := &h.Steps[j]
			s.Ref.Name, s.Expected, s.Actual, s.Args = text, text, text, []any{text}
		}
	}
	t.Hops[0].Steps[0].Meant = true // and so it is named beside the answer
	for i := range t.Warnings {
		t.Warnings[i].Message, t.Warnings[i].Ref.Name = text, text
	}
	return t
}
