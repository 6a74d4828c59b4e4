package trace

import (
	"slices"
	"strings"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

// A survey is the walk of a request up to the proxies that route it, and there, in place of the route which that one
// request takes, every one:
//
//  1. The way to the table is walked as for any request: name lookup, capture, listener, filter chain, virtual host.
//     Policies on the way are listed, and refuse nothing.
//  2. The table is the virtual host that the walk chose, with its routes in the order in which Envoy tries them.
//  3. Each route is followed by the same walk with a request made up such that the route takes it: where it
//     leads, by which DestinationRule, and what the receiving proxies ask for.
//  4. A route that leads to another gateway ends there: that one has a table of its own.

// Survey is what the proxies on the way to a host hold for it.
type Survey struct {
	Request Request
	Source  Source
	Istio   resolve.Version
	Tables  []Table
	// Ends is how the way ends where, or as far as, no proxy has a table for the host; nil where there is a table for all of it.
	Ends     *Trace
	Warnings []Warning
}

// Table is what one proxy does with the requests for a host.
type Table struct {
	// Hop is the proxy, with Envoy's names and with the steps by which the table was found. They tell also what
	// names the host and is not used.
	Hop Hop
	// Domains are what the virtual host takes; empty for connections that no proxy reads as HTTP.
	Domains []string
	// HTTP is set where requests are routed, not connections.
	HTTP bool
	// RedirectsPlaintext is the field by which plaintext is sent to https before any rule is looked at; zero without.
	RedirectsPlaintext resolve.Ref
	Rules              []Rule
	// Rest is what becomes of what no rule takes; nil where the rules take everything.
	Rest *Trace
	// RestGuards are what the proxies behind the rest ask for.
	RestGuards []Guard
	// Guards are the policies of the proxy itself (of a gateway).
	Guards []Guard
}

// Rule is one route of a table.
type Rule struct {
	// Route is nil for one of connections.
	Route *resolve.Route
	// Ref is spec.http[i].match[j], and Entry spec.http[i]; both of the delegate where one brought it.
	Ref, Entry resolve.Ref
	// Root is the entry that delegates to this one; zero without.
	Root resolve.Ref
	// Name is the route's in Envoy.
	Name string
	// Match is what the rule asks for, in words.
	Match string
	// From is the place that the rule had before istiod moved it, counted from 1; 0 where it was not moved.
	From int
	// DeadBy are the places, counted from 1 and in order, of the earlier rules that provably take every request which this one
	// would take: one, or several that only together do. There is none where the rule is not dead, or there is no proof.
	DeadBy []int
	// Request is the one that was followed. Taken reports whether the rule itself takes it: what cannot be made
	// up, a token for instance, leaves that open.
	Request *resolve.HTTPRequest
	Taken   bool
	// Leads is what becomes of it behind the rule, where policies let it pass.
	Leads *Trace
	// Guards are what the proxies behind it ask for.
	Guards []Guard
}

// Guard is what one receiving proxy asks for, on one of its ports.
type Guard struct {
	Workload resolve.Ref
	Port     int
	// TCP is set on a filter chain that does not read HTTP.
	TCP bool
	// MTLS is that of a sidecar; zero at a gateway.
	MTLS     resolve.MTLS
	Policies resolve.ProxyPolicies
}

// survey is what a walk collects that asks for tables.
type survey struct {
	tables []Table
	guards []Guard
	// inside is set behind a rule of a table.
	inside bool
}

// within reports whether the walk is behind a rule of the table that is surveyed.
func (s *survey) within() bool { return s != nil && s.inside }

// SurveyRequest returns the tables that requests like this one come to: of the same source, scheme, host and port. The error
// is a *SourceError where --from or --gateway names nothing in the snapshot.
func SurveyRequest(s *resolve.Snapshot, req Request) (*Survey, error) {
	return surveyFrom(s, req, (*walk).start)
}

// surveyFrom surveys what a request comes to that is sent off by start.
func surveyFrom(s *resolve.Snapshot, req Request, start func(*walk, *path) error) (*Survey, error) {
	w := &walk{snapshot: s, request: req, detail: DetailFull, survey: &survey{}}
	if err := start(w, req.path()); err != nil {
		return nil, err
	}
	t := w.finish()
	out := &Survey{Request: req, Source: w.source, Istio: s.Version, Tables: w.survey.tables, Warnings: t.Warnings}
	if len(t.Outcomes) > 0 {
		out.Ends = t
	}
	for _, table := range out.Tables {
		out.addWarnings(w.collectWarnings([]*Hop{&table.Hop}))
		for _, lead := range table.Leads() {
			out.addWarnings(lead.Warnings)
		}
	}
	return out, nil
}

func (s *Survey) addWarnings(more []Warning) {
	for _, w := range more {
		if !slices.Contains(s.Warnings, w) {
			s.Warnings = append(s.Warnings, w)
		}
	}
}

// surveyHost is the table of a virtual host.
func (w *walk) surveyHost(p *path, r *router, vh *resolve.VirtualHost) {
	table := Table{HTTP: true, Domains: vh.Domains, Guards: w.survey.guards}
	if !vh.RequireTLS.IsZero() && !r.tls {
		table.RedirectsPlaintext = vh.RequireTLS
	}
	dead := resolve.ShadowedBy(vh.Routes)
	for i, route := range vh.Routes {
		rule := Rule{
			Route: route, Ref: route.Ref, Entry: route.Entry, Root: route.Root(), Name: route.Name, Match: route.Describe(),
			From: movedFrom(vh.Steps, route.Ref), DeadBy: places(dead[i]),
		}
		rule.Request, rule.Taken = route.Example(p.http)
		rule.Leads, rule.Guards = w.behind(p, rule.Request, func(w *walk, p *path) { w.take(p, r, route) })
		table.Rules = append(table.Rules, rule)
	}
	if resolve.TakesAll(vh.Routes) {
		w.addTable(p, table)
		return
	}
	none := []resolve.Step{resolve.NewStep(resolve.RuleRouteNoMatch, resolve.None, resolve.Ref{}, "no rule takes", "it")}
	table.Rest, _ = w.behind(p, p.http, func(w *walk, p *path) { w.noRoute(p, vh, none) })
	w.addTable(p, table)
}

// TakenBy is which rules take what this dead one would: "rule 4 takes", or "rules 1, 2 and 4 together take"; name is for a place.
func (r *Rule) TakenBy(name func(place int) string) string {
	var names []string
	for _, place := range r.DeadBy {
		names = append(names, name(place))
	}
	switch last := len(names) - 1; last {
	case -1:
		return ""
	case 0:
		return "rule " + names[0] + " takes"
	default:
		return "rules " + strings.Join(names[:last], ", ") + " and " + names[last] + " together take"
	}
}

// places counts from 1.
func places(indexes []int) []int {
	var out []int
	for _, i := range indexes {
		out = append(out, i+1)
	}
	return out
}

// movedFrom is the place from which a route was moved, or 0.
func movedFrom(steps []resolve.Step, route resolve.Ref) int {
	for _, s := range steps {
		if from, ok := s.Args[0].(int); ok && s.Rule == resolve.RuleRouteCatchAllLast && s.Ref == route {
			return from
		}
	}
	return 0
}

// surveyStream is the table of connections: the rules of each chain that could take the server name, and the
// service behind them. It reports whether there is one.
func (w *walk) surveyStream(p *path, r *router, listener *resolve.OutboundListener, chain resolve.Chain) bool {
	if w.survey.inside {
		return false
	}
	found := false
	for _, c := range bySpecificity(chain.TCP, p.sni) {
		match := w.l4Match(p, r, listener, c)
		serves := servesName(c, p.sni)
		if !serves && !slices.ContainsFunc(match.Chains, func(r *resolve.L4Route) bool { return takesName(r.SNIHosts, p.sni) }) {
			continue
		}
		found = true
		branch := p.alone()
		branch.hop().Steps = slices.Concat(p.hop().Steps, leftOut(match.Steps), w.snapshot.StatusOfMeshRoutes(c.Service))
		table := w.l4Table(branch, r, match.Chains)
		if serves && !match.Exclusive {
			table.Rest, table.RestGuards = w.behind(p, p.http, func(w *walk, p *path) { w.toService(p, r, listener, c) })
		}
		w.addTable(branch, table)
	}
	return found
}

// leftOut are the steps about rules that made no chain, without those on which one a connection takes.
func leftOut(steps []resolve.Step) []resolve.Step {
	return slices.DeleteFunc(slices.Clone(steps), func(s resolve.Step) bool {
		switch s.Rule {
		case resolve.RuleL4SNI, resolve.RuleL4Matched, resolve.RuleL4NoneMatches, resolve.RuleL4Subnet, resolve.RuleL4SubnetUnknown:
			return true
		}
		return false
	})
}

func takesName(hosts []string, sni string) bool {
	return len(hosts) == 0 || slices.ContainsFunc(hosts, func(h string) bool { return resolve.HostSubsetOf(sni, h) })
}

// surveyL4 is the table of a chain that has nothing but rules.
func (w *walk) surveyL4(p *path, r *router, routes []*resolve.L4Route) {
	w.addTable(p, w.l4Table(p, r, routes))
}

func (w *walk) l4Table(p *path, r *router, routes []*resolve.L4Route) Table {
	table := Table{Guards: w.survey.guards}
	for _, route := range routes {
		rule := Rule{Ref: route.Ref, Entry: route.Entry, Match: route.Describe(), Taken: true}
		rule.Leads, rule.Guards = w.behind(p, p.http, func(w *walk, p *path) { w.toL4(p, r, route) })
		table.Rules = append(table.Rules, rule)
	}
	return table
}

// addTable adds the table of the proxy that the path is at, unless it is there: ways to several pods come to the same.
func (w *walk) addTable(p *path, table Table) {
	table.Hop = *p.hop()
	for _, other := range w.survey.tables {
		if other.Hop.sameProxy(&table.Hop) {
			return
		}
	}
	w.survey.tables = append(w.survey.tables, table)
}

// alone is a copy of the path that has all of the share, and whose last hop keeps steps of its own.
func (p *path) alone() *path {
	c := p.fork(1)
	c.share, c.scratch = 1, nil
	here := *c.hop()
	here.Steps = nil
	c.hops = []*Hop{&here}
	return c
}

// behind follows a request from a rule of the proxy that the path is at.
func (w *walk) behind(p *path, request *resolve.HTTPRequest, follow func(*walk, *path)) (*Trace, []Guard) {
	sub := &walk{snapshot: w.snapshot, request: w.request, source: w.source, detail: DetailFull, survey: &survey{inside: true}}
	branch := p.alone()
	if request != nil {
		branch.http, branch.original = request.Clone(), request.Clone()
	}
	follow(sub, branch)
	return sub.finish(), sub.survey.guards
}

// surveyGuard lists what a receiving proxy asks for.
func (w *walk) surveyGuard(proxy *resolve.Workload, port int, tcp bool) {
	g := Guard{Workload: proxy.Owner, Port: port, TCP: tcp, Policies: w.snapshot.PoliciesAt(proxy, tcp)}
	if proxy.Dataplane == resolve.DataplaneSidecar {
		g.MTLS = w.snapshot.EffectiveMTLS(proxy, port)
	}
	if proxy.Dataplane == resolve.DataplaneAmbient {
		g.MTLS = w.snapshot.MTLSAtZtunnel(proxy, port)
	}
	if !slices.ContainsFunc(w.survey.guards, g.same) {
		w.survey.guards = append(w.survey.guards, g)
	}
}

// Leads are where its rules lead, in their order, and what becomes of the rest.
func (t *Table) Leads() []*Trace {
	var out []*Trace
	for _, r := range t.Rules {
		out = append(out, r.Leads)
	}
	if t.Rest != nil {
		out = append(out, t.Rest)
	}
	return out
}

// AllGuards are those of the proxy itself and of the proxies behind its rules, each once, in the order in which the
// rules lead to them.
func (t *Table) AllGuards() []Guard {
	out := slices.Clone(t.Guards)
	for _, r := range t.Rules {
		for _, g := range r.Guards {
			if !slices.ContainsFunc(out, g.same) {
				out = append(out, g)
			}
		}
	}
	for _, g := range t.RestGuards {
		if !slices.ContainsFunc(out, g.same) {
			out = append(out, g)
		}
	}
	return out
}

// same reports whether both are of one filter chain.
func (g Guard) same(o Guard) bool {
	return g.Workload == o.Workload && g.Port == o.Port && g.TCP == o.TCP
}

// AsksLike reports whether both ask for the very same.
func (g Guard) AsksLike(o Guard) bool {
	return g.Port == o.Port && g.TCP == o.TCP && g.MTLS.Mode == o.MTLS.Mode && g.MTLS.Ref == o.MTLS.Ref &&
		slices.Equal(g.Policies.Tokens, o.Policies.Tokens) &&
		slices.EqualFunc(g.Policies.Authorization, o.Policies.Authorization, func(a, b resolve.AttachedPolicy) bool { return a.Ref == b.Ref })
}
