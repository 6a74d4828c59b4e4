package resolve

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// httpServices are HTTP services of namespaces "default" and "not-default", on 80 and 8080.
func httpServices() string {
	var b strings.Builder
	for i, s := range []string{"default/known", "default/alt-known", "not-default/other"} {
		ns, name, _ := strings.Cut(s, "/")
		fmt.Fprintf(&b, "apiVersion: v1\nkind: Service\nmetadata: {name: %s, namespace: %s}\nspec: {clusterIP: 10.96.0.%d, ports: [{name: http, port: 80}, {name: http-alt, port: 8080}]}\n---\n", name, ns, i+1)
	}
	return b.String()
}

// routeVS is a VirtualService that sends its hosts to a host; age is its second of creation.
func routeVS(name, namespace string, age int, hosts, to, extra string) string {
	return fmt.Sprintf(`
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: %s, namespace: %s, creationTimestamp: "2024-01-01T00:00:%02dZ"}
spec: {hosts: [%s], %s http: [{route: [{destination: {host: %s}}]}]}
---
`, name, namespace, age, hosts, extra, to)
}

func sidecarYAML(namespace, hosts string) string {
	return fmt.Sprintf("apiVersion: networking.istio.io/v1\nkind: Sidecar\nmetadata: {name: default, namespace: %s}\nspec: {egress: [{hosts: [%s]}]}\n---\n", namespace, hosts)
}

// lookupHost says where a Host goes on a port: the first destination, "default NAME" for a
// service's own route, "catch-all", or "no listener".
func lookupHost(s *Snapshot, namespace string, port int, host string) string {
	w := clientIn(namespace, nil)
	sc, _ := s.Scope(w)
	l, _ := sc.Listener(Dialled{Port: port})
	if l == nil {
		return "no listener"
	}
	vh := sc.RouteTable(l, w).Lookup(host)
	switch {
	case vh == nil:
		return "catch-all"
	case vh.Routes[0].VirtualService == nil:
		return "default " + vh.Service.Name
	}
	return vh.Routes[0].HTTP.GetRoute()[0].GetDestination().GetHost()
}

const cluster = ".svc.cluster.local"

// TestVirtualHostChoice is who owns a host on a sidecar.
func TestVirtualHostChoice(t *testing.T) {
	known := "known.default" + cluster
	tests := []struct {
		name, manifests, namespace string
		port                       int
		host, want                 string
	}{
		{"no VirtualService", "", "default", 80, "known", "default known"},
		{"host of a service", routeVS("a", "default", 1, "known", "alt-known", ""), "default", 80, "known", "alt-known.default" + cluster},
		{"any port of it", routeVS("a", "default", 1, "known", "alt-known", ""), "default", 8080, known, "alt-known.default" + cluster},
		{"public in any namespace", routeVS("a", "arbitrary", 1, known, "x.com", ""), "default", 80, known, "x.com"},
		{
			"three public: age alone",
			routeVS("a", "default", 2, known, "two.com", "") + routeVS("b", "not-default", 3, known, "three.com", "") + routeVS("c", "arbitrary", 1, known, "one.com", ""),
			"not-default", 80, known, "one.com",
		},
		{"private before public", routeVS("a", "default", 1, known, "public.com", "") + routeVS("b", "app", 2, known, "private.com", `exportTo: ["."],`), "app", 80, known, "private.com"},
		{"exported by name before public", routeVS("a", "default", 1, known, "public.com", "") + routeVS("b", "default", 2, known, "named.com", `exportTo: [app],`), "app", 80, known, "named.com"},
		{"private elsewhere", routeVS("a", "default", 1, known, "x.com", `exportTo: ["."],`), "app", 80, known, "default known"},
		{"bound to a gateway only", routeVS("a", "default", 1, known, "x.com", "gateways: [gw],"), "default", 80, known, "default known"},
		{"host of no service on 80", routeVS("a", "default", 1, "foo.default"+cluster, "x.com", ""), "default", 80, "foo.default" + cluster, "x.com"},
		{"host of no service on 8080", routeVS("a", "default", 1, "foo.default"+cluster, "x.com", ""), "default", 8080, "foo.default" + cluster, "catch-all"},
		{"wildcard of no service on 80", routeVS("a", "default", 1, `"*.unknown.example.com"`, "x.com", ""), "default", 80, "a.unknown.example.com", "x.com"},
		{"wildcard over services", routeVS("a", "default", 1, `"*.cluster.local"`, "w.com", "") + routeVS("b", "default", 2, "known", "e.com", ""), "default", 80, known, "e.com"},
		{"wildcard over the others", routeVS("a", "default", 1, `"*.cluster.local"`, "w.com", "") + routeVS("b", "default", 2, "known", "e.com", ""), "default", 80, "alt-known", "w.com"},
		{"wildcard over services has no host of its own", routeVS("a", "default", 1, `"*.cluster.local"`, "w.com", ""), "default", 80, "foo.default" + cluster, "catch-all"},
		{"longest wildcard", routeVS("a", "default", 1, `"*.svc.cluster.local"`, "short.com", "") + routeVS("b", "default", 2, `"*.default.svc.cluster.local"`, "long.com", ""), "default", 80, known, "long.com"},
		{
			"the next best is not tried",
			strings.Replace(routeVS("a", "default", 1, "known", "e.com", ""), "http: [{route", "http: [{match: [{sourceLabels: {a: b}}], route", 1) +
				routeVS("b", "default", 2, `"*.default.svc.cluster.local"`, "w.com", ""), "default", 80, known, "default known",
		},
		{"Sidecar does not import the VirtualService", routeVS("a", "default", 1, `"*.cluster.local"`, "w.com", "") + sidecarYAML("app", "not-default/*"), "app", 80, "other.not-default", "default other"},
		{"Sidecar imports by overlap", routeVS("a", "app", 1, `"*.cluster.local"`, "w.com", "") + sidecarYAML("app", `"app/*", not-default/other.not-default.svc.cluster.local`), "app", 80, "other.not-default", "w.com"},
		{"Sidecar without a service on 80", routeVS("a", "default", 1, "foo.default"+cluster, "x.com", "") + sidecarYAML("default", "./foo.default"+cluster), "default", 80, "foo.default" + cluster, "no listener"},
		{
			"un-imported host beside an imported one", routeVS("a", "default", 1, "known, alt-known", "x.com", "") + sidecarYAML("default", "./known.default"+cluster),
			"default", 8080, "alt-known.default" + cluster, "x.com",
		},
		{
			"and only in that spelling", routeVS("a", "default", 1, "known, alt-known", "x.com", "") + sidecarYAML("default", "./known.default"+cluster),
			"default", 80, "alt-known", "catch-all",
		},
		{"dotted short name takes its spelling on 80", routeVS("a", "default", 1, "known.default", "x.com", ""), "default", 80, "known.default", "x.com"},
		{"and no other", routeVS("a", "default", 1, "known.default", "x.com", ""), "default", 80, "known", "default known"},
		{"and not on other ports", routeVS("a", "default", 1, "known.default", "x.com", ""), "default", 8080, "known.default", "default known"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, lookupHost(snapshotOf(t, httpServices()+tt.manifests), tt.namespace, tt.port, tt.host)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestServiceDomains is the table of domains of a service.
func TestServiceDomains(t *testing.T) {
	address := Address{}
	if ip, ok := parseSubnet("10.96.0.1"); ok {
		address.Prefix = ip
	}
	kube := func(resolution Resolution, addresses ...Address) *Service {
		return &Service{Hostname: "a.ns1" + cluster, Namespace: "ns1", Name: "a", Registry: RegistryKubernetes, Resolution: resolution, Addresses: addresses}
	}
	tests := []struct {
		name, namespace string
		service         *Service
		want            string
	}{
		{"same namespace", "ns1", kube(ClientSideLB, address), "a.ns1.svc.cluster.local a.ns1.svc.cluster.local. a a.ns1 a.ns1.svc 10.96.0.1"},
		{"other namespace", "ns2", kube(ClientSideLB, address), "a.ns1.svc.cluster.local a.ns1.svc.cluster.local. a.ns1 a.ns1.svc 10.96.0.1"},
		{"headless", "ns2", kube(Passthrough), "a.ns1.svc.cluster.local a.ns1.svc.cluster.local. a.ns1 a.ns1.svc *.a.ns1.svc.cluster.local *.a.ns1.svc.cluster.local. *.a.ns1 *.a.ns1.svc"},
		{"ServiceEntry", "ns1", &Service{Hostname: "ext.com", Registry: RegistryExternal, Addresses: []Address{address}}, "ext.com ext.com. 10.96.0.1"},
		{"ServiceEntry of resolution NONE", "ns1", &Service{Hostname: "*.ext.com", Registry: RegistryExternal, Resolution: Passthrough}, "*.ext.com *.ext.com."},
		{
			"alias", "ns2", &Service{Hostname: "ext.com", Registry: RegistryExternal, Aliases: []*Service{kube(Alias)}},
			"ext.com ext.com. a.ns1.svc.cluster.local a.ns1.svc.cluster.local. a.ns1 a.ns1.svc",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			domains, _ := (&Scope{Namespace: tt.namespace, snapshot: &Snapshot{Mesh: &Mesh{Domain: "cluster.local"}}}).serviceDomains(tt.service)
			if diff := cmp.Diff(tt.want, strings.Join(domains, " ")); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestLookup is Envoy's choice of a virtual host: exact, then the longest suffix, then the catch-all.
func TestLookup(t *testing.T) {
	s := snapshotOf(t, entryYAML("a", "*.ext.com", "", "HTTP", 80)+entryYAML("b", "*.deep.ext.com", "", "HTTP", 80)+entryYAML("c", "one.ext.com", "", "HTTP", 80))
	tests := []struct{ host, want string }{
		{"one.ext.com", "default c"},
		{"two.ext.com", "default a"},
		{"x.y.ext.com", "default a"},
		{"x.deep.ext.com", "default b"},
		{"deep.ext.com", "default a"},
		{"ext.com", "catch-all"},
	}
	for _, tt := range tests {
		t.Run(tt.host, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, lookupHost(s, "shop", 80, tt.host)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestExternalNames is the table of aliases: known on the ports of the concrete service.
func TestExternalNames(t *testing.T) {
	concrete := `
apiVersion: v1
kind: Service
metadata: {name: concrete, namespace: default}
spec: {clusterIP: 10.96.0.9, ports: [{name: http, port: 80}]}
---
`
	alias := func(ports string) string {
		return "apiVersion: v1\nkind: Service\nmetadata: {name: alias, namespace: default}\nspec: {type: ExternalName, externalName: concrete.default.svc.cluster.local, ports: [" + ports + "]}\n---\n"
	}
	onAlias := routeVS("a", "default", 1, "alias", "x.com", "")
	fqdn := "alias.default" + cluster
	tests := []struct{ name, manifests, host, want string }{
		{"FQDN", alias(""), fqdn, "default concrete"},
		{"short form", alias(""), "alias.default", "default concrete"},
		{"VirtualService, no port, FQDN", alias("") + onAlias, fqdn, "x.com"},
		{"VirtualService, no port, short form", alias("") + onAlias, "alias.default", "default concrete"},
		{"VirtualService, no port, concrete", alias("") + onAlias, "concrete", "default concrete"},
		{"VirtualService, port, FQDN", alias("{name: http, port: 80}") + onAlias, fqdn, "x.com"},
		{"VirtualService, port, short form", alias("{name: http, port: 80}") + onAlias, "alias", "x.com"},
		{"VirtualService, port, concrete", alias("{name: http, port: 80}") + onAlias, "concrete", "default concrete"},
		{"Sidecar without the alias", alias("") + sidecarYAML("default", "./concrete.default"+cluster), fqdn, "catch-all"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, lookupHost(snapshotOf(t, concrete+tt.manifests), "default", 80, tt.host)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestRouteTableIsSharedWhereNothingTellsCallersApart: the steps about sourceLabels name the caller, so that with them
// each has a table of its own; without them there is one.
func TestRouteTableIsSharedWhereNothingTellsCallersApart(t *testing.T) {
	caller := func(name string) *Workload {
		w := clientIn("default", map[string]string{"app": "a"})
		w.Owner.Name = name
		return w
	}
	for match, shared := range map[string]bool{"{port: 80}": true, "{sourceLabels: {app: b}}": false} {
		s := snapshotOf(t, httpServices()+fmt.Sprintf(`
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: v, namespace: default}
spec: {hosts: [known], http: [{match: [%s], route: [{destination: {host: known}}]}]}
`, match))
		var tables []*RouteTable
		for _, name := range []string{"x", "y"} {
			w := caller(name)
			sc, _ := s.Scope(w)
			l, _ := sc.Listener(Dialled{Port: 80})
			table := sc.RouteTable(l, w)
			tables = append(tables, table)
			for _, step := range table.ExplainHost("known.default"+cluster, table.Lookup("known.default"+cluster)) {
				if step.Rule == RuleRouteSourceLabels && !strings.Contains(step.Reason(), "/"+name) {
					t.Errorf("the step for %s is another caller's: %s", name, step.Reason())
				}
			}
		}
		if (tables[0] == tables[1]) != shared {
			t.Errorf("match %s: shared %t, want %t", match, !shared, shared)
		}
	}
}
