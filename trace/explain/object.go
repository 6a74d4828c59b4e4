package explain

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
)

// routes tells of a VirtualService, a route of the Gateway API or an Ingress.
func (t *teller) routes() {
	for _, r := range t.snapshot.References(t.object) {
		t.refers(r)
	}
	t.surveys(t.cites)
	t.dead()
}

// refers tells of a reference, and whether what it names is there.
func (t *teller) refers(r resolve.Reference) {
	f := Finding{Verdict: resolve.Matched, Ref: r.Field, Text: r.To}
	if !r.Found {
		f.Verdict, f.Text = resolve.None, r.To+", which is not there"
	}
	t.add(sectionRefers, f)
}

// dead says that no proxy was found on which the object has an effect, and what was asked for that.
func (t *teller) dead() {
	if t.has(sectionDecides) {
		return
	}
	hosts := strings.Join(t.snapshot.HostsOf(t.object), ", ")
	if hosts != "" {
		hosts = " for " + hosts
	}
	ambient := ""
	if n := len(t.snapshot.Waypoints()); n > 0 {
		ambient = ", " + count(n, "waypoint")
	}
	if n := len(t.snapshot.Captured()); n > 0 {
		ambient += ", " + count(n, "captured workload")
	}
	t.add(sectionDecides, Finding{Verdict: resolve.None, Ref: t.object, Text: fmt.Sprintf("nothing was found: asked were %s%s and %s of sidecars%s",
		count(len(t.snapshot.GatewayWorkloads()), "gateway"), ambient, count(len(t.snapshot.SidecarViews()), "group"), hosts)})
}

// count is a number of things: "1 gateway", "2 gateways".
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}

func (t *teller) destinationRule() {
	for _, r := range t.snapshot.References(t.object) {
		t.refers(r)
	}
	t.surveys(t.cites)
	t.dead()
}

func (t *teller) gateway() {
	selected := false
	for _, g := range t.snapshot.GatewayWorkloads() {
		merged := t.snapshot.MergedGateway(g)
		if slices.ContainsFunc(merged.Gateways, func(c *resolve.GatewayConfig) bool { return c.Ref.Object() == t.object }) {
			selected = true
			t.add(sectionRefers, Finding{Verdict: resolve.Matched, Ref: t.object, Text: "selects gateway " + g.Owner.QualifiedName()})
		}
		for _, s := range merged.Servers() {
			if s.Ref.Object() == t.object {
				t.add(sectionDecides, Finding{Verdict: s.Verdict, Where: "gateway " + g.Owner.QualifiedName(), Ref: s.Ref, Text: s.Reason()})
			}
		}
	}
	waypoint := t.boundTo()
	if !selected && !waypoint {
		t.add(sectionRefers, Finding{Verdict: resolve.None, Ref: t.object, Text: "selects no gateway workload"})
	}
	t.gateways(t.cites)
	t.dead()
}

// service tells of a Service or ServiceEntry: who knows it, and which rules lead to it.
func (t *teller) service() {
	hosts := map[string]bool{}
	for _, svc := range t.snapshot.Services() {
		if svc.Ref.Object() != t.object {
			continue
		}
		hosts[svc.Hostname] = true
		var ports []string
		for _, p := range svc.Ports {
			ports = append(ports, strconv.Itoa(p.Number)+" "+string(p.Protocol))
		}
		t.add(sectionObject, Finding{Verdict: resolve.Applied, Ref: svc.Ref, Text: "host " + svc.Hostname + ", ports " + strings.Join(ports, ", ")})
	}
	t.surveys(func(where string, s *trace.Survey) {
		t.cites(where, s)
		for _, table := range s.Tables {
			t.leadsTo(where, hosts, &table)
			for _, g := range table.AllGuards() {
				if hosts[s.Request.Host] && g.Workload != table.Hop.Workload {
					t.guard(&g)
				}
			}
		}
	})
	t.dead()
}

// leadsTo tells of the rules of other objects that lead to the service.
func (t *teller) leadsTo(where string, hosts map[string]bool, table *trace.Table) {
	for i, r := range table.Rules {
		if r.Ref.Object() == t.object {
			continue
		}
		for _, o := range r.Leads.Outcomes {
			if hosts[o.Destination.Host] {
				text := fmt.Sprintf("rule %d of %d leads here: %s", i+1, len(table.Rules), r.Match)
				if o.Destination.Subset != "" {
					text += ", subset " + o.Destination.Subset
				}
				t.add(sectionDecides, Finding{Verdict: resolve.Matched, Where: where, Ref: r.Ref, Text: text})
			}
		}
	}
}

// guard tells what a proxy asks for that stands in front of a workload.
func (t *teller) guard(g *trace.Guard) {
	where := g.Workload.String() + " port " + strconv.Itoa(g.Port)
	if g.MTLS.Mode != "" {
		t.add(sectionGuards, Finding{Verdict: resolve.Applied, Where: where, Ref: g.MTLS.Ref, Text: "mTLS " + string(g.MTLS.Mode)})
	}
	for _, token := range g.Policies.Tokens {
		t.add(sectionGuards, Finding{Verdict: resolve.Applied, Where: where, Ref: token.Ref, Text: "tokens of " + strconv.Quote(token.Issuer)})
	}
	for _, p := range g.Policies.Authorization {
		text := p.Action
		if p.DryRun {
			text += " (dry run)"
		}
		t.add(sectionGuards, Finding{Verdict: resolve.Applied, Where: where, Ref: p.Ref, Text: text})
	}
}

// proxies are all workloads with a proxy of Istio, by namespace.
func (t *teller) proxies(look func(*resolve.Workload)) {
	for _, v := range t.snapshot.SidecarViews() {
		for _, w := range v.Workloads {
			look(w)
		}
	}
	for _, g := range t.snapshot.GatewayWorkloads() {
		look(g)
	}
}

// guarded are all places where policies are asked: the proxies, the ztunnels of captured workloads, and waypoints before each of their services. at says which
// of them it is.
func (t *teller) guarded(look func(w *resolve.Workload, at string)) {
	t.proxies(func(w *resolve.Workload) { look(w, "") })
	for _, w := range t.snapshot.Captured() {
		look(w, "")
	}
	for _, v := range t.snapshot.WaypointViews() {
		look(t.snapshot.Serving(v.Waypoint, v.Service), " before "+v.Service.Hostname)
	}
	for _, w := range t.snapshot.Waypoints() {
		look(w, " before workloads")
		if layered, _ := t.snapshot.BeforeTunnel(w); layered != nil {
			look(layered, " before every connection")
		}
	}
}

// mostPassed is how many workloads are told of that a policy does not apply to.
const mostPassed = 5

// policy tells of an AuthorizationPolicy or RequestAuthentication.
func (t *teller) policy() {
	passed := 0
	t.guarded(func(w *resolve.Workload, at string) {
		policies := t.snapshot.PoliciesAt(w, false)
		for i, p := range policies.Authorization {
			if p.Ref.Object() == t.object {
				t.attached(w, at, i, len(policies.Authorization), p)
			}
		}
		for _, token := range policies.Tokens {
			if token.Ref.Object() == t.object {
				t.addAt(w, at, sectionDecides, Finding{Verdict: resolve.Applied, Ref: token.Ref, Text: "tokens of " + strconv.Quote(token.Issuer)})
			}
		}
		for _, s := range policies.PassedOver {
			if f, title, ok := t.step(s); ok {
				if passed++; passed <= mostPassed {
					t.addAt(w, at, title, f)
				}
			}
		}
	})
	t.settle()
	if passed > mostPassed {
		t.add(sectionNoSay, Finding{Verdict: resolve.Skipped, Ref: t.object, Text: fmt.Sprintf("nor at %d more", passed-mostPassed)})
	}
	t.dead()
}

// attached tells of an AuthorizationPolicy at a workload: its place among those there, and its rules.
func (t *teller) attached(w *resolve.Workload, at string, place, of int, p resolve.AttachedPolicy) {
	text := fmt.Sprintf("%s, number %d of %d in the order of evaluation", p.Action, place+1, of)
	if p.DryRun {
		text += "; dry run: it decides nothing"
	}
	t.addAt(w, at, sectionDecides, Finding{Verdict: resolve.Applied, Ref: p.Ref, Text: text})
	for _, rule := range p.Rules {
		f := Finding{Verdict: resolve.Applied, Ref: rule.Ref, Text: rule.Text}
		if rule.LeftOut != "" {
			f.Verdict, f.Text = resolve.Warned, rule.LeftOut
		}
		t.add(sectionObject, f)
	}
}

// peerAuthentication tells of each port that a sidecar declares. A gateway's own listeners do not follow it.
func (t *teller) peerAuthentication() {
	look := func(w *resolve.Workload) {
		if w.Dataplane != resolve.DataplaneSidecar && w.Dataplane != resolve.DataplaneAmbient {
			return
		}
		for _, port := range portsAt(t.snapshot, w) {
			mtls, at := t.mtls(w, port), " port "+strconv.Itoa(port)
			if mtls.Ref.Object() == t.object {
				t.addAt(w, at, sectionDecides, Finding{Verdict: resolve.Matched, Ref: mtls.Ref, Text: "mTLS " + string(mtls.Mode)})
			}
			for _, s := range mtls.Steps {
				if f, title, ok := t.step(s); ok && s.Verdict != resolve.Matched {
					t.addAt(w, at, title, f)
				}
			}
		}
	}
	t.proxies(look)
	for _, w := range t.snapshot.Captured() {
		look(w)
	}
	t.settle()
	t.dead()
}

// mtls is the mode of a port of a workload that has a sidecar or is captured.
func (t *teller) mtls(w *resolve.Workload, port int) resolve.MTLS {
	if w.Dataplane == resolve.DataplaneAmbient {
		return t.snapshot.MTLSAtZtunnel(w, port)
	}
	return t.snapshot.EffectiveMTLS(w, port)
}

// portsAt are the pod ports to which services lead; 0 where there is none, for what is true of all ports.
func portsAt(s *resolve.Snapshot, w *resolve.Workload) []int {
	var ports []int
	for _, target := range s.ServiceTargets(w) {
		ports = append(ports, target.TargetPort)
	}
	slices.Sort(ports)
	if len(ports) == 0 {
		return []int{0}
	}
	return slices.Compact(ports)
}

// sidecar tells of a Sidecar: which proxies follow it, and which services these know.
func (t *teller) sidecar() {
	t.proxies(func(w *resolve.Workload) {
		scope, steps := t.snapshot.Scope(w)
		if scope.Ref.Object() == t.object {
			known := 0
			for _, e := range scope.Egress {
				known += len(e.Services)
			}
			t.addAt(w, "", sectionDecides, Finding{Verdict: resolve.Matched, Ref: scope.Ref, Text: fmt.Sprintf("it knows %d of %d services", known, len(t.snapshot.Services()))})
			return
		}
		for _, s := range steps {
			if f, title, ok := t.step(s); ok {
				t.addAt(w, "", title, f)
			}
		}
	})
	t.settle()
	t.dead()
}

// workload tells of what runs as pods.
func workload(s *resolve.Snapshot, kindName, namespace, name string) (*Explanation, error) {
	found, err := s.FindWorkload(kindName, namespace, name)
	if err != nil {
		if _, unknown := err.(*resolve.UnknownKindError); unknown {
			return nil, &UnknownKindError{Kind: kindName}
		}
		return nil, err
	}
	w := found[0]
	t := &teller{snapshot: s, object: w.Owner, Explanation: Explanation{Object: w.Owner, Istio: s.Version}}
	text := "data plane " + string(w.Dataplane)
	if w.DataplaneStep.Rule != "" {
		text += ": " + w.DataplaneStep.Reason()
	}
	t.add(sectionObject, Finding{Verdict: resolve.Applied, Ref: w.DataplaneStep.Ref, Text: text})
	if w.InjectorStep.Rule != "" {
		t.add(sectionObject, Finding{Verdict: w.InjectorStep.Verdict, Ref: w.InjectorStep.Ref, Text: w.InjectorStep.Reason()})
	}
	if missed, ok := s.MissedInjection(w); ok {
		t.add(sectionObject, Finding{Verdict: missed.Verdict, Ref: missed.Ref, Text: missed.Reason()})
	}
	t.add(sectionObject, Finding{Verdict: resolve.Applied, Text: "identity " + w.Principal(s.Mesh.GetTrustDomain())})
	targets := s.ServiceTargets(w)
	for _, target := range targets {
		t.add(sectionRefers, Finding{
			Verdict: resolve.Matched, Ref: target.Service.Ref,
			Text: fmt.Sprintf("port %d of %s leads to pod port %d", target.Port.Number, target.Service.Hostname, target.TargetPort),
		})
	}
	if len(targets) == 0 {
		t.add(sectionRefers, Finding{Verdict: resolve.None, Text: "no service leads to it"})
	}
	if w.HasProxy() || w.Dataplane == resolve.DataplaneAmbient {
		t.proxy(w)
	}
	return &t.Explanation, nil
}

// proxy tells what the workload's own proxy follows.
func (t *teller) proxy(w *resolve.Workload) {
	if scope, _ := t.snapshot.Scope(w); w.HasProxy() && !scope.Ref.IsZero() {
		t.add(sectionDecides, Finding{Verdict: resolve.Applied, Ref: scope.Ref, Text: "its proxy sees what this Sidecar imports"})
	}
	if w.Dataplane == resolve.DataplaneGateway {
		for _, c := range t.snapshot.MergedGateway(w).Gateways {
			t.add(sectionDecides, Finding{Verdict: resolve.Matched, Ref: c.Ref, Text: "selects it"})
		}
	}
	policies := t.snapshot.PoliciesAt(w, false)
	for _, port := range portsAt(t.snapshot, w) {
		g := trace.Guard{Workload: w.Owner, Port: port, Policies: policies}
		if w.Dataplane == resolve.DataplaneSidecar || w.Dataplane == resolve.DataplaneAmbient {
			g.MTLS = t.mtls(w, port)
		}
		t.guard(&g)
	}
	for _, s := range policies.PassedOver {
		t.add(sectionPassed, Finding{Verdict: resolve.Skipped, Ref: s.Ref, Text: s.Reason()})
	}
}
