package render

import (
	"strings"

	"github.com/mesh-trace/kubectl-mesh-trace/trace"
)

// Headline is what [Text] begins with, a line each, without what was asked: the decision and what decided, then the
// reason; where the way forks, a line for each outcome. No token of the request is in it, and no character that a terminal
// would act on.
func Headline(t *trace.Trace, opts Options) []string {
	opts.Width = 0
	r := newRenderer(t, opts)
	if len(r.trace.Outcomes) == 1 {
		r.verdictOf(r.trace.Outcomes[0])
	} else {
		r.summaryLine()
		for i := range r.trace.Outcomes {
			o := r.trace.Outcomes[i]
			l := line{}.text(asPlain, r.percent(i)).text(asPlain, " ").add(r.verdict(o))
			r.put(l.then("  ", r.fate(o)), 0)
		}
	}
	return strings.Split(strings.TrimSuffix(string(trace.Redact(r.out.Bytes())), "\n"), "\n")
}
