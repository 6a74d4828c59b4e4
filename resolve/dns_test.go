package resolve

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestResolveName is what cluster DNS, or the sidecar's DNS capture, answers to a pod of namespace shop.
func TestResolveName(t *testing.T) {
	s := snapshotOf(t, meshNamespaces+serviceYAML("a", "10.96.0.1", "{name: http, port: 80}")+
		entryYAML("vip", "vip.com", "240.0.0.9", "TCP", 80)+entryYAML("single", "single", "240.0.0.8", "TCP", 80)+`
apiVersion: v1
kind: Service
metadata: {name: b, namespace: bank}
spec: {clusterIP: 10.96.0.2, ports: [{name: http, port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: db, namespace: shop}
spec: {clusterIP: None, selector: {app: db}, ports: [{name: tcp, port: 80}]}
---
apiVersion: v1
kind: Pod
metadata: {name: db-0, namespace: shop, labels: {app: db}}
spec: {hostname: db-0, subdomain: db, containers: [{name: app}]}
status: {podIP: 10.1.0.5, podIPs: [{ip: 10.1.0.5}], conditions: [{type: Ready, status: "True"}]}
---
apiVersion: v1
kind: Service
metadata: {name: empty, namespace: shop}
spec: {clusterIP: None, selector: {app: none}, ports: [{name: tcp, port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: alias, namespace: shop}
spec: {type: ExternalName, externalName: b.bank.svc.cluster.local}
---
apiVersion: v1
kind: Service
metadata: {name: outside, namespace: shop}
spec: {type: ExternalName, externalName: www.example.com}
---
apiVersion: v1
kind: Service
metadata: {name: dangling, namespace: shop}
spec: {type: ExternalName, externalName: gone.bank.svc.cluster.local}
---
apiVersion: v1
kind: Service
metadata: {name: loop, namespace: shop}
spec: {type: ExternalName, externalName: loop.shop.svc.cluster.local}
`)
	type answer struct {
		Found, Assumed, Headless bool
		Address, Service         string
	}
	none := answer{}
	a := answer{Found: true, Address: "10.96.0.1", Service: "shop/a"}
	b := answer{Found: true, Address: "10.96.0.2", Service: "bank/b"}
	db := answer{Found: true, Headless: true, Service: "shop/db"}
	tests := []struct {
		host    string
		capture bool
		want    answer
	}{
		{"a", false, a},
		{"a.shop", false, a},
		{"a.shop.svc", false, a},
		{"a.shop.svc.cluster.local", false, a},
		{"a.shop.svc.cluster.local.", false, a},
		{"b", false, none},
		{"b.bank", false, b},
		{"c.bank.svc.cluster.local", false, none},
		{"db", false, db},
		{"db-0.db.shop.svc.cluster.local", false, db},
		{"empty", false, none},
		{"alias", false, b},
		{"outside", false, answer{Found: true, Assumed: true}},
		{"dangling", false, none},
		{"loop", false, none},
		{"www.example.com", false, answer{Found: true, Assumed: true}},
		{"vip.com", false, answer{Found: true, Assumed: true, Address: "240.0.0.9", Service: "shop/vip"}},
		{"vip.com", true, answer{Found: true, Address: "240.0.0.9", Service: "shop/vip"}},
		{"single", false, none},
		{"single", true, answer{Found: true, Address: "240.0.0.8", Service: "shop/single"}},
		{"10.96.0.2", false, b},
		{"10.1.0.5", false, answer{Found: true, Address: "10.1.0.5"}},
		{"192.0.2.1", false, answer{Found: true, Address: "192.0.2.1"}},
	}
	for _, tt := range tests {
		name := tt.host
		if tt.capture {
			name += " with DNS capture"
		}
		t.Run(name, func(t *testing.T) {
			w := clientIn("shop", nil)
			if tt.capture {
				w.Annotations = map[string]string{"proxy.istio.io/config": "proxyMetadata: {ISTIO_META_DNS_CAPTURE: \"true\"}"}
			}
			sc, _ := s.Scope(w)
			resolved, _ := s.ResolveName(w, sc, tt.host, 80)
			got := answer{Found: resolved.Found, Assumed: resolved.Assumed, Headless: resolved.Headless, Address: resolved.Address.String()}
			if resolved.Service != nil {
				got.Service = resolved.Service.Ref.QualifiedName()
			}
			if !resolved.Found {
				got = none
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
