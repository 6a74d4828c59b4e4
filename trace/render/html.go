package render

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // the page's own files
	"encoding/base64"
	"fmt"
	"html/template"
	"strings"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
)

//go:embed page/page.tmpl
var pageTemplate string

//go:embed page/page.css
var pageStyle string

// The page is HTML and CSS alone: no script, nothing from elsewhere. What stays closed is a <details>.
var pageForm = template.Must(template.New("page").Parse(pageTemplate))

// pagePolicy allows the page its own style and nothing else, whatever a text in it might try.
func pagePolicy() string {
	sum := sha256.Sum256([]byte(pageStyle))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; base-uri 'none'; form-action 'none'"
}

// HTML is the trace as one page that needs nothing else.
//
//  1. The answer: the verdict, what decided and why, what was overlooked, the lines of the manifest, and what would turn it.
//  2. The way: the hops as a diagram of nested lists.
//  3. Hop by hop: every step with its rule and the lines of the resource it is about; what was considered and rejected.
//  4. What was not known, and the command that traces the request again.
//
// Texts are escaped as for a terminal, and then by html/template for where they stand. No token of the request is in it.
func HTML(t *trace.Trace, opts PictureOptions) ([]byte, error) {
	p := &page{renderer: newPicture(t, opts), opts: opts, targets: map[*stop]string{}}
	p.allFacts = true
	return p.write()
}

func (p *page) write() ([]byte, error) {
	root := p.boxes()
	hops := p.hops(root)
	form := pageData{
		Policy: pagePolicy(), Style: template.CSS(pageStyle), //nolint:gosec // our own file
		Title: p.plain(p.summary().then(": ", p.sent())), Sent: p.plain(p.sent()), From: p.plain(p.from()), Headers: p.plain(p.headers()),
		Outcomes: p.outcomes(), Way: p.node(root), Across: depth(root) <= mostAcross, Hops: hops, UnknownTitle: unknownTitle, Command: escape(p.opts.Command),
	}
	p.verdicts(&form)
	see, why := p.overlooked()
	form.See, form.Why = p.plain(see), p.plain(why)
	form.Unknown, form.Foot = p.all(p.unknown()), p.all(p.circumstanceLines())
	var b bytes.Buffer
	if err := pageForm.Execute(&b, form); err != nil {
		return nil, fmt.Errorf("write the page: %w", err)
	}
	return trace.Redact(b.Bytes()), nil
}

// page holds what one call needs.
type page struct {
	*renderer
	opts PictureOptions
	// targets are the ids of the sections of hops.
	targets map[*stop]string
}

// plain is a line as the page's text.
func (p *page) plain(l line) string { return l.String() }

// aroundField and aroundCulprit are how many lines are shown before and behind one that is cited.
const (
	aroundField   = 3
	aroundCulprit = 5
)

// excerpt is the text of the resource around the field; nil where there is none.
func (p *page) excerpt(ref resolve.Ref, around int) *excerptData {
	if p.opts.Excerpt == nil || ref.IsZero() {
		return nil
	}
	e := p.opts.Excerpt(ref, around)
	if len(e.Lines) == 0 {
		return nil
	}
	out := &excerptData{Caption: escape(e.File)}
	for i, text := range e.Lines {
		n := e.First + i
		out.Lines = append(out.Lines, excerptLine{Number: n, Text: escape(text), Cited: n == e.Cited})
	}
	return out
}

// outcomes are the ends of the request.
func (p *page) outcomes() []outcomeData {
	var out []outcomeData
	for i, o := range p.trace.Outcomes {
		d := outcomeData{
			Share: p.percent(i), Verdict: p.plain(p.verdict(o)), As: asClass(o), To: p.plain(p.towards(o)), By: p.plain(p.decider(o)),
			Reason: escape(o.Reason), Arrives: p.plain(p.arrives(o.Forwarded)), Logged: p.plain(p.logged(o)), Hint: strings.TrimPrefix(p.plain(p.hint(o.Hint)), "hint "),
			Excerpt: p.excerpt(o.By, aroundCulprit),
		}
		for _, a := range o.Otherwise {
			d.Otherwise = append(d.Otherwise, p.plain(p.otherwise(a)))
		}
		out = append(out, d)
	}
	return out
}

// asClass is how an outcome looks; its words say the same.
func asClass(o trace.Outcome) string {
	as := decisionMeaning(o.Decision)
	switch {
	case as == asFail:
		return "fail"
	case as == asOK && o.Certainty == trace.Certain:
		return "ok"
	}
	return "warn"
}

// verdicts says what all outcomes have in common: how they end, and what decided them.
func (p *page) verdicts(form *pageData) {
	form.Verdict, form.As = p.plain(p.summary()), "warn"
	switch len(form.Outcomes) {
	case 0:
		return
	case 1:
		form.Verdict = form.Outcomes[0].Verdict
	}
	form.As = form.Outcomes[0].As
	for _, o := range form.Outcomes {
		if o.As != form.As {
			form.As = "warn"
		}
	}
	form.Sign = map[string]string{"ok": "✓", "fail": "✗"}[form.As]
	by, same := p.sameDecider()
	if !same || len(form.Outcomes) == 1 {
		return
	}
	form.By, form.Excerpt = p.plain(by), p.excerpt(p.trace.Outcomes[0].By, aroundCulprit)
	for i := range form.Outcomes { // said once
		form.Outcomes[i].By, form.Outcomes[i].Excerpt = "", nil
	}
}

// all are lines as the page's texts.
func (p *page) all(lines []line) []string {
	var out []string
	for _, l := range lines {
		out = append(out, p.plain(l))
	}
	return out
}
