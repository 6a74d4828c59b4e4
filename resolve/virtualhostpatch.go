package resolve

import (
	"slices"
	"strconv"
	"strings"

	api "istio.io/api/networking/v1alpha3"
)

// What patches make of virtual hosts and of the whole route configuration, as routepatch.go's rules 1 to 3 say.
//
//  1. Each virtual host is patched in the order of the patches; what is merged or put in its place counts for what the next one asks for.
//  2. One that REMOVE takes goes at the end, with all of its name, those that were added among them.
//  3. Added ones come last, and no patch of routes counts for them.
//  4. The request takes the virtual host of the closest domain of what is left. Where two have one domain, Envoy rejects all of them.

// PatchVirtualHost is a virtual host with its patches, with the steps of those that do not count for it. vh is nil where none takes
// the host: one that a patch adds may.
func (s *Snapshot) PatchVirtualHost(l *PatchPlace, f *HTTPFilters, vh *VirtualHost, host string) (*VirtualHost, []Step) {
	if len(s.envoyPatches(l.Proxy).patches) == 0 {
		return vh, nil
	}
	b := &hostPatching{snapshot: s, place: l, filters: f, host: host, vh: vh}
	b.reshape(s.patchesAt(l, api.EnvoyFilter_VIRTUAL_HOST))
	if b.vh == nil {
		b.broken(nil)
		return nil, b.steps
	}
	for _, p := range s.patchesAt(l, api.EnvoyFilter_ROUTE_CONFIGURATION) {
		b.mergeTable(p)
	}
	b.broken(vh)
	return b.vh, b.steps
}

// hostPatching is the patching of one virtual host.
type hostPatching struct {
	snapshot *Snapshot
	place    *PatchPlace
	filters  *HTTPFilters
	host     string
	vh       *VirtualHost
	steps    []Step
	// told are patches of which a step tells already.
	told []*envoyPatch
}

// hostShape is a virtual host by what decides which hosts it takes.
type hostShape struct {
	name    string
	domains []string
	// vh is istiod's, and by the patch that added it or put it in the place of istiod's; one of them may be nil.
	vh *VirtualHost
	by *envoyPatch
	// moved is the patch that replaced its domains.
	moved *envoyPatch
	// since is behind which of the patches it is as it is.
	since int
}

func (b *hostPatching) all() []*VirtualHost {
	if b.place.VirtualHosts != nil {
		return b.place.VirtualHosts()
	}
	if b.vh != nil {
		return []*VirtualHost{b.vh}
	}
	return nil
}

// reshape is rules 1 to 4.
func (b *hostPatching) reshape(patches []*envoyPatch) {
	if !slices.ContainsFunc(patches, func(p *envoyPatch) bool { return b.place.routes(p).is == True && p.reshapes() }) {
		if b.vh != nil {
			b.patchHost(patches, hostShape{vh: b.vh, since: -1})
		}
		return
	}
	own := b.vh
	shapes, removed := []hostShape{}, map[string]*envoyPatch{}
	for _, vh := range b.all() {
		shapes = append(shapes, b.shape(vh, patches, removed))
	}
	for i, p := range patches {
		if p.operation() != api.EnvoyFilter_Patch_ADD || !b.note(p, b.place.routes(p)) {
			continue
		}
		value := p.value()
		shapes = append(shapes, hostShape{name: value.text("name"), domains: value.texts("domains"), by: p, since: i})
	}
	for _, s := range shapes {
		if p := removed[s.name]; p != nil && own != nil && s.vh == own {
			b.steps = append(b.steps, NewStep(RuleVirtualHostTakenOut, Applied, p.ref, s.name))
			b.told = append(b.told, p)
		}
	}
	shapes = slices.DeleteFunc(shapes, func(s hostShape) bool { return removed[s.name] != nil })
	b.twice(shapes)
	chosen, domain := b.closest(shapes, own)
	b.passedOver(shapes, chosen, own, domain)
	switch {
	case chosen == nil:
		b.vh = nil
	case chosen.by == nil:
		b.vh = chosen.vh
		b.patchHost(patches, *chosen)
	default:
		b.told = append(b.told, chosen.by)
		b.steps = append(b.steps, NewStep(RuleVirtualHostAdded, Applied, chosen.by.field("patch.value"), chosen.verb(), chosen.name, domain, b.host))
		b.vh = b.written(chosen.by)
		if chosen.vh != nil {
			b.patchHost(patches[chosen.since+1:], *chosen)
		}
	}
}

// reshapes reports whether a patch can change which virtual host takes a request.
func (p *envoyPatch) reshapes() bool {
	if !p.merges() {
		return true
	}
	value := p.value()
	return value.has("domains") || value.has("name")
}

// shape is what patches make of one virtual host of istiod's.
func (b *hostPatching) shape(vh *VirtualHost, patches []*envoyPatch, removed map[string]*envoyPatch) hostShape {
	s := hostShape{name: vh.Name, domains: vh.Domains, vh: vh, since: -1}
	for i, p := range patches {
		if p.operation() == api.EnvoyFilter_Patch_ADD || p.unsure.Rule != "" || b.place.virtualHost(p, &VirtualHost{Name: s.name, Domains: s.domains}).is != True {
			continue
		}
		value := p.value()
		switch {
		case p.operation() == api.EnvoyFilter_Patch_REMOVE:
			removed[s.name] = p
			return s
		case p.operation() == api.EnvoyFilter_Patch_REPLACE:
			s.name, s.domains, s.by, s.since = value.text("name"), value.texts("domains"), p, i
		case p.merges():
			if name := value.text("name"); name != "" {
				s.name = name
			}
			if domains := value.texts("domains"); len(domains) > 0 && p.operation() == api.EnvoyFilter_Patch_MERGE_AND_REPLACE_LIST {
				s.domains, s.moved = domains, p
			} else if len(domains) > 0 {
				s.domains = slices.Concat(s.domains, domains)
			}
		}
	}
	return s
}

// twice tells of a domain or name that two virtual hosts have.
func (b *hostPatching) twice(shapes []hostShape) {
	domains, names := map[string]bool{}, map[string]bool{}
	for _, s := range shapes {
		again := names[s.name]
		names[s.name] = true
		for _, d := range s.domains {
			again = again || domains[d]
			domains[d] = true
		}
		if again && s.by != nil {
			b.steps = append(b.steps, s.by.rejected("brings a second virtual host of one name or domain ("+s.name+": "+joinLimited(s.domains, 3)+")"))
			return
		}
	}
}

// closest is the one that takes the host, and by which domain. istiod's own choice stays where no other one is closer.
func (b *hostPatching) closest(shapes []hostShape, own *VirtualHost) (chosen *hostShape, domain string) {
	for i := range shapes {
		s := &shapes[i]
		covering := coversAny(s.domains, b.host)
		if s.vh != nil && s.vh == own && s.by == nil && s.moved == nil && covering == "" && len(s.domains) == len(own.Domains) {
			covering = "*" // a table of one service takes every host
		}
		if covering == "" || chosen != nil && CompareHostSpecificity(domain, covering) <= 0 {
			continue
		}
		chosen, domain = s, covering
	}
	return chosen, domain
}

// passedOver tells of virtual hosts of patches that do not take the request.
func (b *hostPatching) passedOver(shapes []hostShape, chosen *hostShape, own *VirtualHost, domain string) {
	here := "no virtual host for it"
	if chosen != nil {
		here = "virtual host " + chosen.name + " by domain " + domain
	}
	for i := range shapes {
		if s := &shapes[i]; s.moved != nil && s.by == nil && s.vh == own && s != chosen {
			b.told = append(b.told, s.moved)
			b.steps = append(b.steps, NewStep(RuleVirtualHostDomains, Applied, s.moved.field("patch.value.domains"), s.name, joinLimited(s.domains, 3), b.host))
		}
		if s := &shapes[i]; s.by != nil && s != chosen {
			b.told = append(b.told, s.by)
			if s.vh != nil && s.vh == own {
				b.steps = append(b.steps, NewStep(RuleVirtualHostTakenOut, Applied, s.by.ref, own.Name))
				continue
			}
			if chosen == nil || coversAny(s.domains, b.host) == "" {
				here = "Host " + b.host
			}
			b.steps = append(b.steps, s.by.elsewhere(unlike("hosts "+joinLimited(s.domains, 3), here)))
		}
	}
}

// verb tells how a patch brought the virtual host.
func (s *hostShape) verb() string {
	if s.vh != nil {
		return "puts in the place of " + s.vh.Name
	}
	return "adds"
}

// written is the virtual host as a patch writes it.
func (b *hostPatching) written(p *envoyPatch) *VirtualHost {
	value := p.value()
	vh := &VirtualHost{Name: value.text("name"), Domains: value.texts("domains"), patches: newRoutePatches()}
	b.vh = vh
	b.readRoutes(p, value)
	b.headers(vh.patches, p, value)
	b.perFilter(vh.patches.filters, p, value, p.field("patch.value"), "virtual host "+vh.Name)
	b.rest(vh.patches, p, value, harmlessOfHosts)
	return vh
}

// readRoutes appends the routes of a patch to those of the virtual host.
func (b *hostPatching) readRoutes(p *envoyPatch, value *envoyValue) {
	at := p.field("patch.value.routes")
	for i, route := range value.list("routes") {
		r, readable := b.read(p, route, at.At(at.Field+"["+strconv.Itoa(i)+"]"))
		if !readable {
			b.vh.patches.open = true
			b.steps = append(b.steps, p.notModelled("a route whose match is not read"))
			return
		}
		b.vh.Routes = append(slices.Clip(b.vh.Routes), r)
	}
}

// patchHost does the patches of one virtual host, then those of its routes.
func (b *hostPatching) patchHost(patches []*envoyPatch, s hostShape) {
	patched := *b.vh
	if s.by == nil {
		patched.patches = newRoutePatches()
	}
	b.vh = &patched
	for _, p := range patches {
		if p.operation() != api.EnvoyFilter_Patch_ADD {
			b.mergeHost(p)
		}
	}
	b.mergeRoutes()
}

// note says why a patch does not count; it reports whether it does.
func (b *hostPatching) note(p *envoyPatch, f fit) bool {
	if f.is == False && slices.Contains(b.told, p) {
		return false
	}
	name := p.GetMatch().GetRouteConfiguration().GetVhost().GetName()
	if f.is == False && name != "" && p.GetApplyTo() != api.EnvoyFilter_ROUTE_CONFIGURATION && b.place.routes(p).is == True && !b.place.hasVirtualHost(name) {
		b.steps = append(b.steps, p.nothing("virtual host "+name, "route configuration "+b.place.RouteConfig, ""))
		return false
	}
	step, counts := p.counts(f)
	if !counts {
		b.steps = append(b.steps, step)
	}
	return counts
}

// answers reports whether the route redirects or responds by itself.
func (r *Route) answers() bool {
	return r.HTTP.GetRedirect() != nil || r.HTTP.GetDirectResponse() != nil
}

// broken tells of routes anywhere in the table that answer by themselves and into which a patch merges what only routes to a cluster
// have: Envoy rejects the whole table.
func (b *hostPatching) broken(vh *VirtualHost) {
	all := []*VirtualHost{}
	if vh != nil {
		all = append(all, vh)
	}
	if b.place.VirtualHosts != nil {
		all = b.place.VirtualHosts()
	}
	for _, p := range b.snapshot.patchesAt(b.place, api.EnvoyFilter_HTTP_ROUTE) {
		if !p.merges() || p.unsure.Rule != "" || !p.value().has("route") {
			continue
		}
		for _, other := range all {
			if b.place.virtualHost(p, other).is == True && slices.ContainsFunc(other.Routes, func(r *Route) bool { return r.answers() && p.route(r).is == True }) {
				b.steps = append(b.steps, p.rejected("makes of a route of virtual host "+other.Name+", which answers by itself, one that has no cluster"))
				break
			}
		}
	}
}

// mergeTable is a patch of the whole route configuration.
func (b *hostPatching) mergeTable(p *envoyPatch) {
	if !b.note(p, b.place.routes(p)) {
		return
	}
	if !p.merges() {
		b.steps = append(b.steps, NewStep(RuleEnvoyFilterOperation, Skipped, p.ref, p.named(), p.operation().String(), "").meantFor(true))
		return
	}
	value := p.value()
	b.headers(b.vh.patches, p, value)
	b.perFilter(b.vh.patches.tableFilters, p, value, p.field("patch.value"), "route configuration "+b.place.RouteConfig)
	value.ignore("name")
	b.rest(b.vh.patches, p, value, nil)
}

// mergeHost is a patch of the virtual host that is merged.
func (b *hostPatching) mergeHost(p *envoyPatch) {
	if !b.note(p, b.place.virtualHost(p, b.vh)) || !p.merges() {
		return
	}
	value := p.value()
	if name := value.text("name"); name != "" {
		b.vh.Name = name
	}
	if domains := value.texts("domains"); len(domains) > 0 {
		b.vh.patches.result.Steps = append(b.vh.patches.result.Steps, p.harmless([]string{"domains"}))
		b.vh.Domains = slices.Concat(b.vh.Domains, domains)
		if p.operation() == api.EnvoyFilter_Patch_MERGE_AND_REPLACE_LIST {
			b.vh.Domains = domains
		}
	}
	if value.has("routes") && p.operation() == api.EnvoyFilter_Patch_MERGE_AND_REPLACE_LIST {
		b.vh.Routes = nil
	}
	b.readRoutes(p, value)
	if value.text("require_tls") != "" {
		b.vh.patches.open = true
		b.steps = append(b.steps, p.open("sets require_tls"))
	}
	b.headers(b.vh.patches, p, value)
	b.perFilter(b.vh.patches.filters, p, value, p.field("patch.value"), "virtual host "+b.vh.Name)
	b.rest(b.vh.patches, p, value, harmlessOfHosts)
}

// harmlessOfHosts are settings of virtual hosts that decide nothing: a retry policy is that of routes without one.
var harmlessOfHosts = []string{
	"rate_limits", "retry_policy", "include_request_attempt_count", "include_attempt_count_in_response", "include_is_timeout_retry_header",
	"hedge_policy", "virtual_clusters", "metadata",
}

// headers reads operations on headers. MERGE_AND_REPLACE_LIST takes away what patches before it have put in the same list.
func (b *hostPatching) headers(into *routePatches, p *envoyPatch, value *envoyValue) {
	if p.operation() == api.EnvoyFilter_Patch_MERGE_AND_REPLACE_LIST {
		for i, h := range into.headers {
			into.headers[i].request, into.headers[i].response = withoutList(h.request, value, "request"), withoutList(h.response, value, "response")
		}
	}
	request, ok := headerLists(value, "request")
	response, fine := headerLists(value, "response")
	if !ok || !fine {
		b.steps = append(b.steps, p.notModelled("operations on headers"))
	}
	if len(request)+len(response) > 0 {
		into.headers = append([]headerPatch{}, append(into.headers, headerPatch{headerOpsBoth{request, response}, p.field("patch.value")})...)
	}
}

// withoutList are the operations without those of the lists that the value writes.
func withoutList(ops []headerOp, value *envoyValue, direction string) []headerOp {
	return slices.DeleteFunc(slices.Clone(ops), func(op headerOp) bool {
		return op.remove && value.has(direction+"_headers_to_remove") || !op.remove && value.has(direction+"_headers_to_add")
	})
}

// rest tells what is left of a patch: settings that decide nothing, and what is not read.
func (b *hostPatching) rest(into *routePatches, p *envoyPatch, value *envoyValue, harmless []string) {
	var plain, open []string
	for _, name := range value.unread() {
		if top, _, _ := strings.Cut(name, "."); slices.Contains(harmless, top) || slices.Contains(harmless, name) {
			plain = append(plain, name)
		} else {
			open = append(open, name)
		}
	}
	if len(plain) > 0 {
		into.result.Steps = append(into.result.Steps, p.harmless(plain))
	}
	if len(open) > 0 {
		into.result.Steps = append(into.result.Steps, p.notModelled(open...))
	}
}
