package conformance

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"github.com/google/go-cmp/cmp"
	networking "istio.io/api/networking/v1alpha3"

	"github.com/mesh-trace/kubectl-mesh-trace/testdata/conformance/apiserver"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
	"github.com/mesh-trace/kubectl-mesh-trace/trace/render"
)

// The whole table of a host, as `explain` shows it, is held against the virtual host that pilot generates for the same proxy: the
// domains, and every route in its place, with what it matches and which clusters it leads to. Names of routes, paths and
// header names tell routes apart well enough; what a route does with a request is judged request by request.

// tables compares the tables to which a request comes, and returns how many routes were compared.
func (b *bench) tables(args []string) (diff string, routes int, err error) {
	q, err := parse(args)
	if err != nil {
		return "", 0, err
	}
	survey, err := trace.SurveyRequest(b.snapshot, q)
	if err != nil {
		return "", 0, skipped{"the command refuses the source"}
	}
	on := &b.mesh
	if survey.Source.Kind == "External" {
		on = b.outside
	}
	for _, table := range survey.Tables {
		if !table.HTTP {
			continue
		}
		if undetermined(&table) {
			return "", 0, skipped{"the trace says undetermined"} // of an istiod that such configuration ends, for one
		}
		pod := podOf(on.cluster, ownerName(workloadOf(table.Hop)))
		switch {
		case survey.Source.Kind == "Anonymous":
			before := len(on.cluster.Pods)
			if pod = on.cluster.AddClient(q.From.DefaultNamespace); len(on.cluster.Pods) > before {
				on.world = nil
			}
		case survey.Source.Kind != "External" && q.From.Given():
			if own := find(on.cluster, q.From); own != nil {
				pod = own
			}
		}
		if pod == nil {
			return "", 0, skipped{"the proxy is no pod of the cluster"}
		}
		more, err := b.table(on, pod, &table)
		if err != nil {
			return "", 0, err
		}
		diff, routes = diff+more, routes+len(table.Rules)
	}
	return diff, routes, nil
}

// undetermined reports whether nothing behind the table is known.
func undetermined(table *trace.Table) bool {
	return !slices.ContainsFunc(table.Leads(), func(t *trace.Trace) bool {
		return slices.ContainsFunc(t.Outcomes, func(o trace.Outcome) bool { return o.Certainty != trace.Undetermined })
	})
}

func (b *bench) table(on *side, pod *apiserver.Pod, table *trace.Table) (diff string, err error) {
	if on.world == nil {
		if on.world, err = b.connect(b.t, on.cluster); err != nil {
			return "", err
		}
	}
	machine := on.world.Machine(pod)
	if machine.Proxy == nil {
		return "", skipped{"the proxy is none of the cluster's"}
	}
	envoy := table.Hop.Envoy
	config := machine.Proxy.Routes[envoy.RouteConfig]
	if config == nil {
		return fmt.Sprintf("pilot has no route configuration %s\n", envoy.RouteConfig), nil
	}
	i := slices.IndexFunc(config.VirtualHosts, func(vh *route.VirtualHost) bool { return vh.GetName() == envoy.VirtualHost })
	if i < 0 {
		return fmt.Sprintf("route configuration %s of pilot has no virtual host %s\n", envoy.RouteConfig, envoy.VirtualHost), nil
	}
	theirs := tableLines(config.VirtualHosts[i], table.Domains)
	ours := []string{"domains " + inOrder(settled(table.Domains, config.VirtualHosts[i].GetDomains()))}
	if single := len(config.VirtualHosts[i].GetDomains()) == 1 && config.VirtualHosts[i].GetDomains()[0] == "*"; single {
		ours[0] = "domains *" // the listener of one service: any Host is its own
	}
	for n, r := range table.Rules {
		ours = append(ours, ruleLine(n+1, &r))
	}
	// A rule that a fault aborts, or that leads nowhere, names no cluster here.
	for n := range min(len(ours), len(theirs)) {
		if strings.HasSuffix(ours[n], " to") {
			theirs[n] = theirs[n][:strings.LastIndex(theirs[n], " to")+len(" to")]
		}
	}
	return cmp.Diff(theirs, ours), nil
}

// tableLines are the virtual host's domains, and its routes, a line each. Addresses that the table does not know are those
// that the cluster gave to Services whose manifests have none.
func tableLines(vh *route.VirtualHost, known []string) []string {
	domains := slices.DeleteFunc(slices.Clone(vh.GetDomains()), func(d string) bool {
		return isAddress(d) && !slices.Contains(known, d)
	})
	lines := []string{"domains " + inOrder(domains)}
	for n, r := range vh.GetRoutes() {
		m := r.GetMatch()
		var names, clusters []string
		for _, h := range m.GetHeaders() {
			name := h.GetName()
			if h.GetInvertMatch() {
				name = "!" + name
			}
			names = append(names, name)
		}
		for _, p := range m.GetQueryParameters() {
			names = append(names, "?"+p.GetName())
		}
		for range m.GetDynamicMetadata() {
			names = append(names, "claim")
		}
		action := "to"
		switch {
		case r.GetRedirect() != nil:
			action = "redirect"
		case r.GetDirectResponse() != nil:
			action = "respond"
		default:
			if c := r.GetRoute().GetCluster(); c != "" {
				clusters = append(clusters, c)
			}
			for _, c := range r.GetRoute().GetWeightedClusters().GetClusters() {
				if c.GetWeight().GetValue() > 0 {
					clusters = append(clusters, c.GetName())
				}
			}
		}
		lines = append(lines, line(n+1, r.GetName(), pathOf(m), names, action, clusters))
	}
	return lines
}

// settled are the domains, but of several addresses the one alone that pilot has: of those of a ServiceEntry it
// keeps whichever it lists last.
func settled(domains, theirs []string) []string {
	several := len(slices.DeleteFunc(slices.Clone(domains), func(d string) bool { return !isAddress(d) })) > 1
	return slices.DeleteFunc(slices.Clone(domains), func(d string) bool {
		return several && isAddress(d) && !slices.Contains(theirs, d)
	})
}

// isAddress reports whether a domain is an IP address, with a port or without.
func isAddress(domain string) bool {
	if _, err := netip.ParseAddrPort(domain); err == nil {
		return true
	}
	_, err := netip.ParseAddr(strings.Trim(domain, "[]"))
	return err == nil
}

func line(place int, name, path string, names []string, action string, clusters []string) string {
	slices.Sort(clusters)
	return strings.TrimSuffix(fmt.Sprintf("%d %q %s [%s] %s %s", place, name, path, inOrder(names), action, strings.Join(slices.Compact(clusters), " ")), " ")
}

func pathOf(m *route.RouteMatch) string {
	switch p := m.GetPathSpecifier().(type) {
	case *route.RouteMatch_Prefix:
		return "prefix " + p.Prefix
	case *route.RouteMatch_Path:
		return "exact " + p.Path
	case *route.RouteMatch_PathSeparatedPrefix:
		return "segments " + p.PathSeparatedPrefix
	case *route.RouteMatch_SafeRegex:
		return "regex " + p.SafeRegex.GetRegex()
	}
	return fmt.Sprintf("%T", m.GetPathSpecifier())
}

// ruleLine is the same line of a rule.
func ruleLine(place int, r *trace.Rule) string {
	m, path := r.Route.Match, "prefix /"
	switch p := m.GetUri().GetMatchType().(type) {
	case *networking.StringMatch_Exact:
		path = "exact " + p.Exact
	case *networking.StringMatch_Prefix:
		path = "prefix " + p.Prefix
		if made := r.Route.VirtualService.Semantics; made != "" && p.Prefix != "/" {
			path = "segments " + strings.TrimSuffix(p.Prefix, "/")
		}
	case *networking.StringMatch_Regex:
		path = "regex " + p.Regex
	}
	var names, clusters []string
	add := func(sign, name string) {
		if strings.HasPrefix(strings.ToLower(name), "@request.auth.claims") {
			sign, name = "", "claim"
		}
		names = append(names, sign+name)
	}
	for name := range m.GetHeaders() {
		add("", name)
	}
	for name := range m.GetWithoutHeaders() {
		add("!", name)
	}
	for name := range m.GetQueryParams() {
		add("?", name)
	}
	for _, pseudo := range []struct {
		name  string
		match *networking.StringMatch
	}{{":method", m.GetMethod()}, {":authority", m.GetAuthority()}, {":scheme", m.GetScheme()}} {
		if pseudo.match != nil {
			add("", pseudo.name)
		}
	}
	action := "to"
	switch {
	case r.Route.HTTP.GetRedirect() != nil:
		action = "redirect"
	case r.Route.HTTP.GetDirectResponse() != nil:
		action = "respond"
	default:
		for _, o := range r.Leads.Outcomes {
			if c := r.Leads.Hops[o.Hops[0]].Envoy.Cluster; c != "" {
				clusters = append(clusters, c)
			}
		}
	}
	return line(place, r.Name, path, names, action, clusters)
}

func inOrder(list []string) string {
	return strings.Join(slices.Sorted(slices.Values(list)), " ")
}

// workloadOf is the workload of a hop, as the documents have it.
func workloadOf(h trace.Hop) render.Workload {
	return render.Workload{Kind: h.Workload.Kind, Namespace: h.Workload.Namespace, Name: h.Workload.Name}
}
