package resolve

import (
	"fmt"
	"slices"
	"strings"
)

// addDomains gives a virtual host its domains, without those an earlier one has.
// Source: pilot/pkg/networking/core/httproute.go, generateVirtualHostDomains, dedupeDomains.
func (t *RouteTable) addDomains(vh *VirtualHost, known, taken map[string]bool) {
	domains, short := []string{strings.TrimSuffix(vh.Name, fmt.Sprintf(":%d", t.Port))}, map[string]bool{}
	if vh.Service != nil {
		domains, short = t.scope.serviceDomains(vh.Service)
	}
	for _, d := range domains {
		if taken[d] || short[d] && known[d] {
			continue
		}
		taken[d] = true
		t.own(vh, d)
	}
}

// own gives the virtual host a domain.
func (t *RouteTable) own(vh *VirtualHost, d string) {
	vh.Domains = append(vh.Domains, d)
	t.byDomain[d] = vh
	if IsWildcardHost(d) {
		t.suffixes = append(t.suffixes, d[1:])
	}
}

// serviceDomains lists the names a service answers to on a proxy of the
// namespace, and which of them are short forms.
//
//	same namespace     FQDN, FQDN., a, a.ns, a.ns.svc, VIPs
//	other namespace    FQDN, FQDN., a.ns, a.ns.svc, VIPs
//	headless (K8s)     all of these, each with "*." too
//	aliases            as if they were the service
//	ServiceEntry       one of its VIPs, see Unsettled
//
// Source: pilot/pkg/networking/core/httproute.go, generateVirtualHostDomains, GenerateAltVirtualHosts.
func (sc *Scope) serviceDomains(svc *Service) (domains []string, short map[string]bool) {
	short = map[string]bool{}
	hosts := []string{svc.Hostname}
	for _, a := range svc.Aliases {
		hosts = append(hosts, a.Hostname)
	}
	for _, h := range hosts {
		domains = append(domains, h)
		for _, a := range shortForms(h, sc.Namespace, sc.snapshot.Mesh.Domain) {
			short[a] = true
			domains = append(domains, a)
		}
	}
	if svc.Headless() {
		for _, d := range slices.Clone(domains) {
			domains = append(domains, "*."+d)
		}
	}
	for _, a := range sc.addresses(svc) {
		if a.Prefix.IsValid() {
			domains = append(domains, bracketIPv6(a.String()))
		}
	}
	return domains, short
}

// Unsettled reports whether a Host is one of several addresses of a ServiceEntry. istiod makes a service of each
// address, and of those with one host it keeps one for the route table, whichever it lists last.
//
// Source: pilot/pkg/serviceregistry/serviceentry/conversion.go, convertServices; controller.go, Services;
// networking/core/httproute.go, BuildSidecarOutboundVirtualHosts.
func (t *RouteTable) Unsettled(hostname string) (Step, bool) {
	vh := t.byDomain[hostname]
	if step, open := t.byChance(vh, hostname); open {
		return step, true
	}
	if t.Single != nil || vh == nil || vh.Service == nil || vh.Service.Registry == RegistryKubernetes || len(vh.Service.Addresses) < 2 {
		return Step{}, false
	}
	for _, a := range vh.Service.Addresses {
		if a.Prefix.IsValid() && bracketIPv6(a.String()) == hostname {
			return NewStep(RuleHostUnsettled, Warned, vh.Service.Ref.Object().At("spec.addresses"), hostname, len(vh.Service.Addresses), vh.Service.Hostname), true
		}
	}
	return Step{}, false
}

// shortForms are the other names of a host on a proxy of the namespace.
// Source: pilot/pkg/networking/core/httproute.go, GenerateAltVirtualHosts.
func shortForms(host, namespace, clusterDomain string) []string {
	forms := []string{host + "."}
	base, ok := strings.CutSuffix(host, ".svc."+clusterDomain)
	if !ok {
		return forms
	}
	name, ns, ok := strings.Cut(base, ".")
	if !ok {
		return forms
	}
	if ns == namespace {
		forms = append(forms, name)
	}
	return append(forms, base, base+".svc")
}

func bracketIPv6(h string) string {
	if strings.Contains(h, ":") {
		return "[" + h + "]"
	}
	return h
}

func domainName(host string, port int) string { return fmt.Sprintf("%s:%d", bracketIPv6(host), port) }
