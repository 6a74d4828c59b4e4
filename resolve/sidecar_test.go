package resolve

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	api "istio.io/api/networking/v1alpha3"
)

// TestSidecarSelection is which Sidecar scopes a workload.
func TestSidecarSelection(t *testing.T) {
	sidecar := func(name, namespace, selector string, age int) string {
		return fmt.Sprintf("apiVersion: networking.istio.io/v1\nkind: Sidecar\nmetadata: {name: %s, namespace: %s, creationTimestamp: \"2024-01-01T00:00:%02dZ\"}\nspec: {%s}\n---\n", name, namespace, age, selector)
	}
	web, batch, all := "workloadSelector: {labels: {app: web}}", "workloadSelector: {labels: {app: batch}}", "workloadSelector: {}"
	tests := []struct{ name, manifests, want string }{
		{"none", "", ""},
		{"without selector", sidecar("a", "shop", "", 1), "shop/a"},
		{"with selector first", sidecar("a", "shop", "", 1) + sidecar("b", "shop", web, 2), "shop/b"},
		{"selector differs", sidecar("a", "shop", "", 1) + sidecar("b", "shop", batch, 2), "shop/a"},
		{"empty selector counts as one", sidecar("a", "shop", "", 1) + sidecar("b", "shop", all, 2), "shop/b"},
		{"older of two with selector", sidecar("a", "shop", web, 2) + sidecar("b", "shop", all, 1), "shop/b"},
		{"older of two without", sidecar("a", "shop", "", 2) + sidecar("b", "shop", "", 1), "shop/b"},
		{"root default", sidecar("a", "istio-system", "", 1), "istio-system/a"},
		{"root with selector is for the root namespace", sidecar("a", "istio-system", web, 1), ""},
		{"own namespace before root", sidecar("a", "istio-system", "", 1) + sidecar("b", "shop", "", 2), "shop/b"},
		{"another namespace", sidecar("a", "bank", "", 1), ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			sc, _ := snapshotOf(t, meshNamespaces+tt.manifests).Scope(clientIn("shop", map[string]string{"app": "web"}))
			if diff := cmp.Diff(tt.want, sc.Ref.QualifiedName()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestEgressHosts is the table of namespace/dnsName: what of shop/a, bank/b and the
// ServiceEntries w.com, *.wild.com of namespace bank a proxy of shop knows.
func TestEgressHosts(t *testing.T) {
	services := meshNamespaces + serviceYAML("a", "10.96.0.1", "{name: http, port: 80}") + `
apiVersion: v1
kind: Service
metadata: {name: b, namespace: bank}
spec: {clusterIP: 10.96.0.2, ports: [{name: http, port: 80}]}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: w, namespace: bank}
spec: {hosts: [w.com, "*.wild.com"], resolution: NONE, ports: [{number: 80, name: http, protocol: HTTP}]}
---
`
	a, b := "a.shop"+cluster, "b.bank"+cluster
	tests := []struct{ hosts, want string }{
		{`"*/*"`, "*.wild.com " + a + " " + b + " w.com"},
		{`"./*"`, a},
		{`"bank/*"`, "*.wild.com " + b + " w.com"},
		{`"~/*"`, ""},
		{`"*/*", "~bank/*"`, a},
		{`"*/*", "~bank/*.com"`, a + " " + b},
		{`"*/*", "~./*"`, "*.wild.com " + b + " w.com"},
		{`"./a.shop.svc.cluster.local"`, a},
		{`"./a"`, ""},
		{`"a.shop.svc.cluster.local"`, ""},
		{`"./*", "bank/w.com"`, a + " w.com"},
		{`"./w.com"`, ""},
		{`"*/w.com"`, "w.com"},
		{`"*/*.wild.com"`, "*.wild.com"},
		{`"*/x.wild.com"`, ""},
		{`"shop/*.com"`, ""},
		{`"bank/*.com"`, "*.wild.com w.com"},
	}
	for _, tt := range tests {
		t.Run(tt.hosts, func(t *testing.T) {
			sc := scopeIn(snapshotOf(t, services+sidecarYAML("shop", tt.hosts)), "shop")
			var got []string
			for _, svc := range sc.Egress[0].Services {
				got = append(got, svc.Hostname)
			}
			slices.Sort(got)
			if diff := cmp.Diff(tt.want, strings.Join(got, " ")); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestSameHostname is which of several services with one hostname a sidecar takes.
func TestSameHostname(t *testing.T) {
	host := "pay.bank" + cluster
	kube := "apiVersion: v1\nkind: Service\nmetadata: {name: pay, namespace: bank}\nspec: {clusterIP: 10.96.0.2, ports: [{name: http, port: 80}]}\n---\n"
	entry := func(namespace string, age int) string {
		return fmt.Sprintf("apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: pay, namespace: %s, creationTimestamp: \"2024-01-01T00:00:%02dZ\"}\nspec: {hosts: [%s], resolution: STATIC, ports: [{number: 80, name: http, protocol: HTTP}]}\n---\n", namespace, age, host)
	}
	tests := []struct{ name, manifests, namespace, want string }{
		{"own namespace before Kubernetes", kube + entry("app", 1), "app", "ServiceEntry app/pay"},
		{"Kubernetes before others", kube + entry("app", 1), "shop", "Service bank/pay"},
		{"oldest of ServiceEntries", entry("app", 2) + entry("team", 1), "shop", "ServiceEntry team/pay"},
		{"own namespace before older", entry("app", 2) + entry("team", 1), "app", "ServiceEntry app/pay"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			svc, ok := scopeIn(snapshotOf(t, tt.manifests), tt.namespace).Service(host)
			if !ok {
				t.Fatal("not known")
			}
			if diff := cmp.Diff(tt.want, svc.Ref.Kind+" "+svc.Ref.QualifiedName()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestImportedDestinations is that destinations of imported VirtualServices have clusters, though no egress host lists them.
func TestImportedDestinations(t *testing.T) {
	bank := "apiVersion: v1\nkind: Service\nmetadata: {name: pay, namespace: bank}\nspec: {clusterIP: 10.96.0.2, ports: [{name: http, port: 80}, {name: tcp, port: 81}]}\n---\n"
	route := func(destination, match string) string {
		return fmt.Sprintf("apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: v, namespace: shop}\nspec: {hosts: [a], http: [{%s route: [{destination: {%s}}]}]}\n---\n", match, destination)
	}
	host := "host: pay.bank" + cluster
	tests := []struct{ name, manifests, want string }{
		{"no VirtualService", "", "unknown"},
		{"all ports", route(host, ""), "80 81"},
		{"the named port", route(host+", port: {number: 81}", ""), "81"},
		{"a port it lacks", route(host+", port: {number: 99}", ""), "unknown"},
		{"for another sourceNamespace", route(host, "match: [{sourceNamespace: team}],"), "unknown"},
		{"for this sourceNamespace too", route(host, "match: [{sourceNamespace: team}, {sourceNamespace: shop}],"), "80 81"},
		{"for another one or any: the quirk", route(host, "match: [{sourceNamespace: team}, {uri: {prefix: /}}],"), "unknown"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := snapshotOf(t, meshNamespaces+serviceYAML("a", "10.96.0.1", "{name: http, port: 80}")+bank+sidecarYAML("shop", `"./*"`)+tt.manifests)
			got := "unknown"
			if svc, ok := scopeIn(s, "shop").Service("pay.bank" + cluster); ok {
				var ports []string
				for _, p := range svc.Ports {
					ports = append(ports, fmt.Sprint(p.Number))
				}
				got = strings.Join(ports, " ")
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestOutboundPolicy is that the Sidecar's word replaces the mesh's, and that an empty one is REGISTRY_ONLY.
func TestOutboundPolicy(t *testing.T) {
	tests := []struct {
		mesh, sidecar string
		want          api.OutboundTrafficPolicy_Mode
	}{
		{"", "", api.OutboundTrafficPolicy_ALLOW_ANY},
		{"REGISTRY_ONLY", "", api.OutboundTrafficPolicy_REGISTRY_ONLY},
		{"", "outboundTrafficPolicy: {}", api.OutboundTrafficPolicy_REGISTRY_ONLY},
		{"REGISTRY_ONLY", "outboundTrafficPolicy: {mode: ALLOW_ANY}", api.OutboundTrafficPolicy_ALLOW_ANY},
		{"ALLOW_ANY", "outboundTrafficPolicy: {mode: REGISTRY_ONLY}", api.OutboundTrafficPolicy_REGISTRY_ONLY},
	}
	for _, tt := range tests {
		t.Run(tt.mesh+" "+tt.sidecar, func(t *testing.T) {
			manifests := fmt.Sprintf("apiVersion: networking.istio.io/v1\nkind: Sidecar\nmetadata: {name: a, namespace: shop}\nspec: {%s}\n", tt.sidecar)
			if tt.mesh != "" {
				manifests += "---\nkind: MeshConfig\noutboundTrafficPolicy: {mode: " + tt.mesh + "}\n"
			}
			got, _ := scopeIn(snapshotOf(t, manifests), "shop").OutboundPolicy()
			if diff := cmp.Diff(tt.want, got.GetMode()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
