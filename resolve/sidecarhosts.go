package resolve

import (
	"slices"
	"strings"
)

// importedHosts are the hosts of one egress listener for one namespace.
// Source: pilot/pkg/model/sidecar.go, hostClassification.
type importedHosts struct {
	exact    map[string]bool
	all      []string
	excluded []string
}

func (h *importedHosts) excludes(host string) bool {
	if h == nil {
		return false
	}
	for _, e := range h.excluded {
		if HostSubsetOf(host, e) {
			return true
		}
	}
	return false
}

// matchesService reports whether a service's host lies within an imported host.
func (h *importedHosts) matchesService(host string) bool {
	if h == nil {
		return false
	}
	if h.exact[host] {
		return true
	}
	for _, imported := range h.all {
		if (IsWildcardHost(host) || IsWildcardHost(imported)) && HostSubsetOf(host, imported) {
			return true
		}
	}
	return false
}

// matchesVirtualService reports whether a VirtualService's host overlaps an
// imported host, in either direction.
func (h *importedHosts) matchesVirtualService(host string) bool {
	if h == nil {
		return false
	}
	if h.exact[host] {
		return true
	}
	for _, imported := range h.all {
		if (IsWildcardHost(host) || IsWildcardHost(imported)) && HostMatches(host, imported) {
			return true
		}
	}
	return false
}

// egressHosts are egress[].hosts by namespace; "*" is any namespace.
type egressHosts map[string]*importedHosts

// parseEgressHosts reads namespace/dnsName entries. "." is the proxy's namespace;
// a "~" before the namespace excludes, "~" alone excludes in any namespace.
// Entries without exactly one "/" are ignored by istiod; they are returned as bad.
//
// Source: pilot/pkg/model/sidecar.go, convertIstioListenerToWrapper.
func parseEgressHosts(hosts []string, namespace string) (parsed egressHosts, bad []string) {
	parsed = egressHosts{}
	for _, h := range hosts {
		if strings.Count(h, "/") != 1 {
			bad = append(bad, h)
			continue
		}
		ns, name, _ := strings.Cut(h, "/")
		excluded := strings.HasPrefix(ns, "~")
		if excluded {
			if ns = ns[1:]; ns == "" {
				ns = "*"
			}
		}
		if ns == "." {
			ns = namespace
		}
		in := parsed[ns]
		if in == nil {
			in = &importedHosts{exact: map[string]bool{}}
			parsed[ns] = in
		}
		if excluded {
			in.excluded = append(in.excluded, name)
			continue
		}
		if !IsWildcardHost(name) {
			in.exact[name] = true
		}
		in.all = append(in.all, name)
	}
	return parsed, bad
}

// writtenOut reports whether every host is imported by its full name, from a namespace that is named.
//
// Source: pilot/pkg/model/sidecar.go, convertIstioListenerToWrapper.
func (e egressHosts) writtenOut() bool {
	for namespace, in := range e {
		if len(in.all) > 0 && namespace == "*" || slices.ContainsFunc(in.all, IsWildcardHost) {
			return false
		}
	}
	return true
}

// importsService reports whether the egress hosts bring in the service.
func (e egressHosts) importsService(svc *Service) bool {
	own, any := e[svc.Namespace], e["*"]
	if own.excludes(svc.Hostname) || any.excludes(svc.Hostname) {
		return false
	}
	return own.matchesService(svc.Hostname) || any.matchesService(svc.Hostname)
}

// importsAlias reports whether the egress hosts bring in an alias of a service of the namespace.
func (e egressHosts) importsAlias(alias *Service, namespace string) bool {
	return e[namespace].matchesService(alias.Hostname) || e["*"].matchesService(alias.Hostname)
}

// importsVirtualService reports whether the egress hosts bring in the
// VirtualService: by the namespace the VirtualService lives in. A Gateway API route's
// host must lie within an imported host, as a service's.
// Source: pilot/pkg/model/virtualservice.go, SelectVirtualServices.
func (e egressHosts) importsVirtualService(vs *VirtualService) bool {
	own, any := e[vs.Ref.Namespace], e["*"]
	for _, host := range vs.Spec.GetHosts() {
		if own.excludes(host) || any.excludes(host) {
			continue
		}
		matches := (*importedHosts).matchesVirtualService
		if vs.Semantics == SemanticsGateway {
			matches = (*importedHosts).matchesService
		}
		if matches(own, host) || matches(any, host) {
			return true
		}
	}
	return false
}
