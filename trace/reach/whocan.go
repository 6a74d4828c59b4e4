package reach

import (
	"cmp"
	"slices"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
)

// Report is who can send a request, and what stops the others.
type Report struct {
	Request trace.Request
	Istio   resolve.Version
	// Groups are the answers there are, the most welcome first, then those of the most sources.
	Groups   []Group
	Warnings []trace.Warning
	// Walks is how many traces it took.
	Walks int
}

// Group are the sources that fare alike, for the same reason.
type Group struct {
	Answer  *Answer
	Members []Member
}

// Member is a source, or those of its pods that fare alike.
type Member struct {
	Source *Source
	// Pods is how many of the source's pods are meant.
	Pods int
	// ServiceAccount, Principal and Dataplane are those of the first of them; the principal is empty where it has no proxy.
	ServiceAccount, Principal string
	Dataplane                 resolve.Dataplane
}

// WhoCan asks the request from every source, and from outside by each gateway that serves its host. The patterns
// say which sources count; without any, all that there are. The error says that a pattern names nothing.
func WhoCan(s *resolve.Snapshot, req trace.Request, patterns []Pattern) (*Report, error) {
	outside := len(patterns) == 0 || slices.ContainsFunc(patterns, func(p Pattern) bool { return p.external })
	if len(patterns) == 0 {
		patterns = []Pattern{{Text: All}, {Text: Unmeshed, unmeshed: true}}
	}
	sources, err := Sources(s, slices.DeleteFunc(slices.Clone(patterns), func(p Pattern) bool { return p.external }))
	if err != nil {
		return nil, err
	}
	if outside {
		ways := gateways(s, req)
		if len(ways) == 0 && slices.ContainsFunc(patterns, func(p Pattern) bool { return p.external }) {
			ways = []*Source{{Kind: ExternalSource}}
		}
		sources = append(sources, ways...)
	}
	g := &gathering{byTrace: map[*trace.Trace]string{}, groups: map[string]*Group{}, warned: map[trace.Warning]bool{}}
	g.warn(unread(s, patterns))
	asker := newAsker(s, req)
	for i, source := range sources {
		if i > 0 && sources[i-1].Namespace != source.Namespace {
			s.ForgetClients(sources[i-1].Namespace)
		}
		parts, err := asker.ask(source)
		if err != nil {
			return nil, err
		}
		for _, part := range parts {
			g.add(source, part)
		}
	}
	return &Report{Request: req, Istio: s.Version, Groups: g.sorted(), Warnings: g.warnings, Walks: asker.walks()}, nil
}

// gathering collects answers.
type gathering struct {
	byTrace  map[*trace.Trace]string
	groups   map[string]*Group
	warned   map[trace.Warning]bool
	warnings []trace.Warning
}

func (g *gathering) add(source *Source, p part) {
	key, known := g.byTrace[p.trace]
	if !known {
		answer := Sum(p.trace)
		key = answer.key()
		g.byTrace[p.trace] = key
		if g.groups[key] == nil {
			g.groups[key] = &Group{Answer: answer}
		}
		g.warn(p.trace.Warnings)
	}
	member := Member{Source: source, Pods: p.pods}
	if p.client != nil {
		w := p.client.Workload
		member.ServiceAccount, member.Dataplane = w.ServiceAccount, w.Dataplane
		if source.Kind == WorkloadSource && (w.HasProxy() || w.Dataplane == resolve.DataplaneAmbient) {
			member.Principal = p.client.Principal()
		}
	}
	group := g.groups[key]
	if last := len(group.Members) - 1; last >= 0 && group.Members[last].Source == source {
		group.Members[last].Pods += p.pods
		return
	}
	group.Members = append(group.Members, member)
}

// warn keeps each warning once.
func (g *gathering) warn(warnings []trace.Warning) {
	for _, w := range warnings {
		if !g.warned[w] {
			g.warned[w] = true
			g.warnings = append(g.warnings, w)
		}
	}
}

func (g *gathering) sorted() []Group {
	keys := make([]string, 0, len(g.groups))
	for key := range g.groups {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, func(x, y string) int {
		a, b := g.groups[x], g.groups[y]
		return cmp.Or(
			cmp.Compare(slices.Index(Reaches, a.Answer.Reach()), slices.Index(Reaches, b.Answer.Reach())),
			cmp.Compare(len(b.Members), len(a.Members)), cmp.Compare(x, y))
	})
	out := make([]Group, len(keys))
	for i, key := range keys {
		out[i] = *g.groups[key]
	}
	slices.SortFunc(g.warnings, compareWarnings)
	return out
}

// Count is how many sources there are, how many of them are let through altogether, and how many in part.
func (r *Report) Count() (all, through, partly int) {
	passed, stopped := map[*Source]bool{}, map[*Source]bool{}
	for _, g := range r.Groups {
		reach := g.Answer.Reach()
		for _, m := range g.Members {
			passed[m.Source] = passed[m.Source] || reach == LetThrough || reach == Partly
			stopped[m.Source] = stopped[m.Source] || reach != LetThrough
		}
	}
	for source, some := range passed {
		switch {
		case some && stopped[source]:
			partly++
		case some:
			through++
		}
	}
	return len(passed), through, partly
}

// CountOf is how many sources are, at least in part, in groups of that reach.
func (r *Report) CountOf(reach Reach) int {
	sources := map[*Source]bool{}
	for _, g := range r.Groups {
		if g.Answer.Reach() != reach {
			continue
		}
		for _, m := range g.Members {
			sources[m.Source] = true
		}
	}
	return len(sources)
}
