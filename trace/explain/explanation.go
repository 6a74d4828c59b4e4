package explain

import (
	"fmt"
	"slices"
	"strings"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
)

// Explanation is everything that involves one object.
type Explanation struct {
	Object   resolve.Ref
	Istio    resolve.Version
	Sections []Section
}

// Section is some findings under a heading.
type Section struct {
	Title    string
	Findings []Finding
}

// Finding is one thing that is true of the object.
type Finding struct {
	// Verdict is Matched or Applied for what the object decides or is, Skipped where it has no say, None for what is
	// not there, and Warned for what is probably not meant.
	Verdict resolve.Verdict
	// Where is the proxy, and what it was asked: "sidecars of shop (web)  http://reviews:9080"; empty for what is true everywhere.
	Where string
	// Ref is the field or the other object that it is about.
	Ref  resolve.Ref
	Text string
}

// The headings, in the order in which they stand.
const (
	sectionObject  = "It is"
	sectionRefers  = "It refers to"
	sectionDecides = "It decides"
	sectionNoSay   = "It has no say"
	sectionGuards  = "In front of it"
	sectionPassed  = "Not in front of it"
)

var order = []string{sectionObject, sectionRefers, sectionDecides, sectionNoSay, sectionGuards, sectionPassed}

// teller collects findings.
type teller struct {
	Explanation
	snapshot *resolve.Snapshot
	object   resolve.Ref
	pending  []shared
}

// add adds a finding that is not there yet.
func (t *teller) add(title string, f Finding) {
	i := slices.IndexFunc(t.Sections, func(s Section) bool { return s.Title == title })
	if i < 0 {
		i = 0
		for i < len(t.Sections) && slices.Index(order, t.Sections[i].Title) < slices.Index(order, title) {
			i++
		}
		t.Sections = slices.Insert(t.Sections, i, Section{Title: title})
	}
	s := &t.Sections[i]
	if slices.ContainsFunc(s.Findings, func(o Finding) bool {
		return o == f || strings.HasPrefix(f.Where, outside) && o.Ref == f.Ref && o.Text == f.Text // a gateway has said it
	}) {
		return
	}
	s.Findings = append(s.Findings, f)
}

// has reports whether there is a finding under the heading.
func (t *teller) has(title string) bool {
	return slices.ContainsFunc(t.Sections, func(s Section) bool { return s.Title == title })
}

// outside is where a client outside the cluster is, that no gateway serves.
const outside = "from outside"

// mostHosts is how many hosts of a wildcard are asked for at each proxy.
const mostHosts = 20

// surveys asks every gateway, every waypoint, and one sidecar of each view, for the hosts that the object may have a say in.
func (t *teller) surveys(look func(where string, s *trace.Survey)) {
	t.gateways(look)
	t.waypoints(look)
	t.sidecars(look)
}

// waypoints asks every waypoint.
func (t *teller) waypoints(look func(where string, s *trace.Survey)) {
	views := t.snapshot.WaypointViews()
	if len(views) == 0 {
		return
	}
	hosts := t.meshHosts(t.snapshot.HostsOf(t.object))
	for _, v := range views {
		if slices.Contains(hosts, v.Service.Hostname) {
			found, err := trace.SurveyWaypoint(t.snapshot, v)
			t.each(found, err, "waypoint "+v.Waypoint.Owner.QualifiedName(), look)
		}
	}
}

// gateways asks every gateway.
func (t *teller) gateways(look func(where string, s *trace.Survey)) {
	for _, host := range t.snapshot.HostsOf(t.object) {
		served := false
		for _, g := range t.snapshot.GatewayWorkloads() {
			found, err := trace.SurveyGateway(t.snapshot, g, example(host))
			served = served || slices.ContainsFunc(found, func(s *trace.Survey) bool { return len(s.Tables) > 0 })
			t.each(found, err, "gateway "+g.Owner.QualifiedName(), look)
		}
		if !served {
			t.unserved(host, look)
		}
	}
}

// sidecars asks one sidecar of each view.
func (t *teller) sidecars(look func(where string, s *trace.Survey)) {
	hosts := t.snapshot.HostsOf(t.object)
	for _, v := range t.snapshot.SidecarViews() {
		for _, host := range t.meshHosts(hosts) {
			found, err := trace.SurveyWorkload(t.snapshot, v.Workloads[0], host, nil)
			t.each(found, err, viewName(v), look)
			for _, a := range t.snapshot.AddressesOf(host) {
				found, err := trace.SurveyWorkload(t.snapshot, v.Workloads[0], a.Address, a.Ports)
				t.each(found, err, viewName(v), look)
			}
		}
	}
}

// unserved asks what a client outside the cluster meets for a host that no gateway serves.
func (t *teller) unserved(host string, look func(string, *trace.Survey)) {
	for _, scheme := range []trace.Scheme{trace.HTTP, trace.HTTPS} {
		found, err := trace.SurveyHost(t.snapshot, trace.Typed{URL: string(scheme) + "://" + example(host), From: "external"})
		t.each(found, err, outside, look)
	}
}

func (t *teller) each(found []*trace.Survey, err error, where string, look func(string, *trace.Survey)) {
	if err != nil {
		t.add(sectionNoSay, Finding{Verdict: resolve.Warned, Where: where, Text: "could not be asked: " + err.Error()})
		return
	}
	for _, s := range found {
		look(where+"  "+string(s.Request.Scheme)+"://"+s.Request.Host+fmt.Sprintf(":%d", s.Request.Port), s)
	}
}

// meshHosts are the hosts that applications can call: of a wildcard the services that it covers, else a name under it.
func (t *teller) meshHosts(hosts []string) []string {
	var out []string
	for _, h := range hosts {
		if !resolve.IsWildcardHost(h) {
			out = append(out, h)
			continue
		}
		over := t.snapshot.ServicesOver(h)
		if len(over) == 0 {
			over = []string{example(h)}
		}
		if more := len(over) - mostHosts; more > 0 {
			over = over[:mostHosts]
			t.add(sectionObject, Finding{Verdict: resolve.Warned, Ref: t.object, Text: fmt.Sprintf("host %s covers %d services more than are asked for here", h, more)})
		}
		out = append(out, over...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// example is a name that a host with a wildcard covers.
func example(host string) string {
	if host == "*" {
		return "any.host"
	}
	return strings.Replace(host, "*", "any", 1)
}

// viewName is "sidecars of shop (web, reviews and 3 more)".
func viewName(v resolve.ProxyView) string {
	var names []string
	for _, w := range v.Workloads {
		names = append(names, w.Owner.Name)
	}
	return "sidecars of " + v.Namespace + " (" + someOf(names) + ")"
}

// cites tells what a survey has of the object: its rules, and steps about it.
func (t *teller) cites(where string, s *trace.Survey) {
	for _, table := range s.Tables {
		for i, r := range table.Rules {
			t.rule(where, i+1, &r, &table)
		}
		t.steps(where, table.Hop.Steps)
		for _, lead := range table.Leads() {
			for _, h := range lead.Hops {
				t.steps(where, h.Steps)
			}
		}
	}
	if s.Ends != nil && len(s.Tables) == 0 { // what is there has no part in a host that nothing serves
		for _, h := range s.Ends.Hops {
			t.steps(where, slices.DeleteFunc(slices.Clone(h.Steps), func(s resolve.Step) bool { return s.Verdict != resolve.Skipped }))
		}
		t.ends(where, s.Ends)
	}
}

// ends tells where the object is what ends the way to a host. That a Gateway has no such host is nothing of it, and
// of others it is told once.
func (t *teller) ends(where string, way *trace.Trace) {
	for _, o := range way.Outcomes {
		f := Finding{Verdict: resolve.Warned, Where: where, Ref: o.By, Text: string(o.Decision) + ": " + o.Reason}
		switch {
		case o.By.Object() != t.object:
		case o.Code != trace.CodeNoVirtualHost:
			t.add(sectionDecides, f)
		case t.object.Kind != "Gateway" && !t.told(sectionNoSay, where, o.By):
			t.add(sectionNoSay, f)
		}
	}
}

// told reports whether there is a finding about the field at a proxy.
func (t *teller) told(title, where string, ref resolve.Ref) bool {
	return slices.ContainsFunc(t.Sections, func(s Section) bool {
		return s.Title == title && slices.ContainsFunc(s.Findings, func(f Finding) bool { return f.Ref == ref && (f.Where == where || strings.HasPrefix(where, outside)) })
	})
}

// rule tells of a rule that was written in the object.
func (t *teller) rule(where string, place int, r *trace.Rule, table *trace.Table) {
	if r.Ref.Object() != t.object && r.Root.Object() != t.object {
		return
	}
	f := Finding{Verdict: resolve.Matched, Where: where, Ref: r.Ref, Text: fmt.Sprintf("rule %d of %d: %s", place, len(table.Rules), r.Match)}
	switch {
	case len(r.DeadBy) > 0:
		f.Verdict, f.Text = resolve.Warned, f.Text+"; dead, for "+r.TakenBy(func(place int) string {
			return fmt.Sprintf("%d (%s)", place, table.Rules[place-1].Ref)
		})+" every request that it would take"
	case r.From > 0:
		f.Text += fmt.Sprintf("; moved by istiod from place %d", r.From)
	}
	if r.Root.Object() == t.object && r.Ref.Object() != t.object {
		f.Text += "; delegated by " + r.Root.Field
	}
	t.add(sectionDecides, f)
	for _, o := range r.Leads.Outcomes {
		if o.Decision == trace.Unavailable || o.Decision == trace.Reset || o.Decision == trace.NotRouted {
			t.add(sectionDecides, Finding{Verdict: resolve.Warned, Where: where, Ref: r.Ref, Text: fmt.Sprintf("rule %d leads to %s: %s", place, o.Decision, o.Reason)})
		}
	}
}

// steps tells of steps about the object. Those of little weight, and the endpoints that a subset leaves out, are not told.
func (t *teller) steps(where string, steps []resolve.Step) {
	for _, s := range steps {
		if f, title, ok := t.step(s); ok {
			f.Where = where
			t.add(title, f)
		}
	}
}

// step is a step about the object as a finding, and its heading.
func (t *teller) step(s resolve.Step) (f Finding, title string, ok bool) {
	if s.Ref.Object() != t.object || s.Stage == resolve.StageLoadBalance && s.Verdict == resolve.Skipped {
		return Finding{}, "", false
	}
	f = Finding{Verdict: s.Verdict, Ref: s.Ref, Text: s.Reason()}
	if s.Verdict != resolve.Skipped {
		return f, sectionDecides, !resolve.LookupRule(s.Rule).Detail || s.Verdict == resolve.Warned
	}
	if s.Expected != "" {
		f.Text += ": expected " + s.Expected + ", got " + s.Actual
	}
	return f, sectionNoSay, true
}

// shared is a finding that is true at several workloads.
type shared struct {
	title string
	Finding
	plane     resolve.Dataplane
	namespace string
	names     []string
}

// addAt adds a finding at a workload; settle puts together what is the same at several of a namespace.
func (t *teller) addAt(w *resolve.Workload, port, title string, f Finding) {
	f.Where = port
	for i := range t.pending {
		if p := &t.pending[i]; p.title == title && p.Finding == f && p.namespace == w.Namespace && p.plane == w.Dataplane {
			p.names = append(p.names, w.Owner.Name)
			return
		}
	}
	t.pending = append(t.pending, shared{title, f, w.Dataplane, w.Namespace, []string{w.Owner.Name}})
}

// planeNames are several proxies of a kind.
var planeNames = map[resolve.Dataplane]string{
	resolve.DataplaneSidecar: "sidecars", resolve.DataplaneGateway: "gateways", resolve.DataplaneWaypoint: "waypoints", resolve.DataplaneAmbient: "ztunnels",
}

func (t *teller) settle() {
	for _, p := range t.pending {
		f := p.Finding
		f.Where = planeNames[p.plane] + " of " + p.namespace + " (" + someOf(p.names) + ")" + p.Where
		t.add(p.title, f)
	}
	t.pending = nil
}

// someOf are the first of the names, and how many there are more.
func someOf(names []string) string {
	const most = 3
	names = slices.Compact(names)
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return strings.Join(names[:most], ", ") + fmt.Sprintf(" and %d more", len(names)-most)
}
