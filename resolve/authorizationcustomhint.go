package resolve

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"
	meshconfig "istio.io/api/mesh/v1alpha1"
)

// What would turn a denial by a CUSTOM policy whose authorizer is never asked. What an authorizer answers that is asked
// is its own.
//
//  1. Of several providers on one workload one that can be used becomes that of all policies.
//  2. A provider that cannot be used is mended where the mesh config tells how: it is tried whether that does.
//  3. Else the policy names another provider that can be used.
//  4. Else the rules that match leave the path out, on a TCP port the port.
//  5. A dry-run policy loses its annotation, and asks its provider.

// customHint is the hint where policies deny because of their provider.
func (a *authorizing) customHint(policies []*authorizationPolicy, name string, providers []string) []Change {
	var matching []evaluated
	told := a.Steps // what is left out of the rules has been told
	defer func() { a.Steps = told }()
	for _, r := range a.evaluate(policies) {
		if r.truth == True {
			matching = append(matching, r)
		}
	}
	usable := func(name string) bool {
		_, fault := a.snapshot.usableProvider(name)
		return fault == providerUsable
	}
	if len(providers) > 1 {
		if i := slices.IndexFunc(providers, usable); i >= 0 {
			return a.oneProvider(providers[i])
		}
		return a.leaveOut(matching)
	}
	if changes := a.snapshot.mendProvider(name, a.target.namespace); len(changes) > 0 {
		return changes
	}
	for _, p := range a.snapshot.Mesh.GetExtensionProviders() {
		if usable(p.GetName()) {
			return a.oneProvider(p.GetName())
		}
	}
	return a.leaveOut(matching)
}

// oneProvider has all CUSTOM policies of the workload name one provider.
func (a *authorizing) oneProvider(name string) []Change {
	var out []Change
	for _, p := range a.custom {
		if p.spec.GetProvider().GetName() != name {
			out = append(out, Change{Op: ChangeSet, Ref: p.ref.At("spec.provider.name"), Value: name})
		}
	}
	return out
}

// leaveOut takes the request out of rules that match it: its path, or on a TCP port the port.
func (a *authorizing) leaveOut(rules []evaluated) []Change {
	field, value := "notPorts", strconv.Itoa(a.in.conn.DestinationPort)
	if a.in.q != nil {
		field, value = "notPaths", pathOnly(a.in.q.Path)
	}
	var out []Change
	for _, r := range rules {
		to := r.to
		if len(to) == 0 {
			to = []alternative{nil}
		}
		for i, alternative := range to {
			if len(failingOf(alternative, &a.in)) == 0 {
				at := fmt.Sprintf("%s.to[%d].operation.%s", r.ref.Field, i, field)
				out = append(out, Change{Op: ChangeAdd, Ref: r.ref.At(at), Value: strconv.Quote(value)})
			}
		}
	}
	return out
}

// notDryRun are the policies of a provider without their annotation.
func notDryRun(policies []*authorizationPolicy) []Change {
	var out []Change
	for _, p := range policies {
		out = append(out, Change{Op: ChangeDelete, Ref: p.ref.At(`metadata.annotations["istio.io/dry-run"]`)})
	}
	return out
}

// mendProvider are the changes of the mesh config by which a provider could be used; nil where none is known.
func (s *Snapshot) mendProvider(name, namespace string) []Change {
	providers := s.Mesh.GetExtensionProviders()
	at := -1
	for i, p := range providers {
		if p.GetName() == name && (p.GetEnvoyExtAuthzHttp() != nil || p.GetEnvoyExtAuthzGrpc() != nil) {
			at = i
		}
	}
	if at < 0 {
		return nil
	}
	edited := slices.Clone(providers)
	edited[at], _ = proto.Clone(providers[at]).(*meshconfig.MeshConfig_ExtensionProvider)
	changes := s.editProvider(edited[at], s.index.policies().authorizers[name].fault, fmt.Sprintf("extensionProviders[%d]", at), namespace)
	if s.index.policies().authorizers[name].fault == providerDuplicate {
		edited = slices.Delete(edited, at, at+1)
		changes = []Change{{Op: ChangeDelete, Ref: s.Mesh.Ref.At(fmt.Sprintf("extensionProviders[%d]", at))}}
	}
	if len(changes) == 0 || readAuthorizers(s, edited)[name].fault != providerUsable {
		return nil
	}
	return changes
}

// editProvider takes one fault from a provider, and tells how.
func (s *Snapshot) editProvider(p *meshconfig.MeshConfig_ExtensionProvider, fault providerFault, field, namespace string) []Change {
	h, g := p.GetEnvoyExtAuthzHttp(), p.GetEnvoyExtAuthzGrpc()
	field += ".envoyExtAuthzGrpc."
	service := g.GetService()
	if h != nil {
		field, service = strings.Replace(field, "Grpc", "Http", 1), h.GetService()
	}
	set := func(name, value string, edit func()) []Change {
		edit()
		return []Change{{Op: ChangeSet, Ref: s.Mesh.Ref.At(field + name), Value: value}}
	}
	setService := func(host string) []Change {
		return set("service", host, func() {
			if h != nil {
				h.Service = host
			} else {
				g.Service = host
			}
		})
	}
	switch fault {
	case providerPort:
		if port := s.onlyPort(service); port > 0 {
			return set("port", strconv.Itoa(port), func() {
				if h != nil {
					h.Port = uint32(port)
				} else {
					g.Port = uint32(port)
				}
			})
		}
	case providerStatus:
		return set("statusOnError", `"403"`, func() {
			if h != nil {
				h.StatusOnError = "403"
			} else {
				g.StatusOnError = "403"
			}
		})
	case providerPathPrefix:
		prefix := "/" + strings.TrimLeft(h.GetPathPrefix(), "/")
		return set("pathPrefix", prefix, func() { h.PathPrefix = prefix })
	case providerService:
		if host := s.serviceNamed(service); host != "" {
			return setService(host)
		}
	case providerAmbiguous:
		namespaces := serviceNamespaces(s)[service]
		if !slices.Contains(namespaces, namespace) {
			namespace = slices.Min(namespaces)
		}
		return setService(namespace + "/" + service)
	case providerHeaders:
		return withoutStars(h, s.Mesh.Ref, field)
	case providerUsable, providerUndefined, providerDuplicate, providerName:
	}
	return nil
}

// withoutStars takes "*" out of the lists of headers.
func withoutStars(h *meshconfig.MeshConfig_ExtensionProvider_EnvoyExternalAuthorizationHttpProvider, mesh Ref, field string) []Change {
	var out []Change
	for _, list := range []struct {
		name    string
		headers *[]string
	}{
		{"includeRequestHeadersInCheck", &h.IncludeRequestHeadersInCheck},
		{"headersToUpstreamOnAllow", &h.HeadersToUpstreamOnAllow},
		{"headersToDownstreamOnDeny", &h.HeadersToDownstreamOnDeny},
		{"headersToDownstreamOnAllow", &h.HeadersToDownstreamOnAllow},
	} {
		if slices.Contains(*list.headers, "*") {
			*list.headers = slices.DeleteFunc(*list.headers, func(name string) bool { return name == "*" })
			out = append(out, Change{Op: ChangeRemove, Ref: mesh.At(field + list.name), Value: `"*"`})
		}
	}
	return out
}

// onlyPort is the port of a service that has one; 0 for another.
func (s *Snapshot) onlyPort(service string) int {
	host := service[strings.LastIndexByte(service, '/')+1:]
	for _, svc := range s.ServicesForHost(host) {
		if len(svc.Ports) == 1 {
			return svc.Ports[0].Number
		}
	}
	return 0
}

// serviceNamed is the host of the one Service that has the first label of a host for its name.
func (s *Snapshot) serviceNamed(service string) string {
	name, _, _ := strings.Cut(service[strings.LastIndexByte(service, '/')+1:], ".")
	found := ""
	for _, o := range s.KubeServices {
		if o.Name == name {
			if found != "" {
				return ""
			}
			found = o.Name + "." + o.Namespace + ".svc." + s.Mesh.Domain
		}
	}
	return found
}
