package resolve

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const meshNamespaces = `
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {istio-injection: enabled}}
---
`

// clientIn is a workload with a sidecar in the namespace.
func clientIn(namespace string, labels map[string]string) *Workload {
	return &Workload{
		Namespace: namespace, Dataplane: DataplaneSidecar, Labels: labels,
		Owner: Ref{Group: "apps", Kind: "Deployment", Namespace: namespace, Name: "web"},
	}
}

func scopeIn(s *Snapshot, namespace string) *Scope {
	scope, _ := s.Scope(clientIn(namespace, nil))
	return scope
}

// serviceYAML is a Service; ip is its ClusterIP, or None.
func serviceYAML(name, ip, ports string) string {
	return fmt.Sprintf(`
apiVersion: v1
kind: Service
metadata: {name: %s, namespace: shop}
spec: {clusterIP: %s, ports: [%s], selector: {app: %s}}
---
`, name, ip, ports, name)
}

// entryYAML is a ServiceEntry of resolution STATIC.
func entryYAML(name, host, addresses, protocol string, port int) string {
	return fmt.Sprintf(`
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: %s, namespace: shop}
spec: {hosts: ["%s"], addresses: [%s], resolution: STATIC, ports: [{number: %d, name: p, protocol: %s}]}
---
`, name, host, addresses, port, protocol)
}

// describeListeners prints the listeners of a port: NAME routeConfig tcp chains.
func describeListeners(sc *Scope, port int) string {
	var out []string
	for _, l := range sc.listenersOn(port).order {
		text := l.Name
		if l.RouteConfig != "" {
			text += " http=" + l.RouteConfig
		}
		for _, c := range l.TCP {
			text += " tcp=" + c.Service.Name
			for _, cidr := range c.CIDRs {
				text += "@" + cidr.String()
			}
			if len(c.SNI) > 0 {
				text += "(" + c.SNI[0] + ")"
			}
		}
		out = append(out, text)
	}
	return strings.Join(out, "; ")
}

// TestListeners is the table of listeners by port class and address, and what two ports on one key make.
func TestListeners(t *testing.T) {
	httpA := serviceYAML("a", "10.96.0.1", "{name: http, port: 80}")
	tests := []struct {
		name, manifests string
		want            string
	}{
		{"http", httpA, "0.0.0.0_80 http=80"},
		{"tcp with an address", serviceYAML("a", "10.96.0.1", "{name: tcp, port: 80}"), "10.96.0.1_80 tcp=a"},
		{"https with an address has no server name", serviceYAML("a", "10.96.0.1", "{name: https, port: 80}"), "10.96.0.1_80 tcp=a"},
		{"tcp on a range", entryYAML("a", "a.com", "10.0.0.0/8", "TCP", 80), "0.0.0.0_80 tcp=a@10.0.0.0/8"},
		{"tls on a range", entryYAML("a", "a.com", "10.0.0.0/8", "TLS", 80), "0.0.0.0_80 tcp=a@10.0.0.0/8(a.com)"},
		{"auto on a range", entryYAML("a", "a.com", "10.0.0.0/8", `""`, 80), "0.0.0.0_80 http=80 tcp=a@10.0.0.0/8"},
		{"tcp without an address", entryYAML("a", "a.com", "", "TCP", 80), "0.0.0.0_80 tcp=a"},
		{"tls without an address", entryYAML("a", "a.com", "", "TLS", 80), "0.0.0.0_80 tcp=a(a.com)"},
		{"auto with an address", serviceYAML("a", "10.96.0.1", "{name: web, port: 80}"), "10.96.0.1_80 http=a.shop.svc.cluster.local:80 tcp=a"},
		{"auto without an address", entryYAML("a", "a.com", "", `""`, 80), "0.0.0.0_80 http=80 tcp=a"},
		{"http headless", serviceYAML("a", "None", "{name: http, port: 80}"), "0.0.0.0_80 http=80"},
		{"tcp headless", serviceYAML("a", "None", "{name: tcp, port: 80}"), "podIP-of-a.shop_80 tcp=a"},
		{"udp", serviceYAML("a", "10.96.0.1", "{name: dns, port: 80, protocol: UDP}"), ""},
		{"http and tcp", httpA + entryYAML("b", "b.com", "", "TCP", 80), "0.0.0.0_80 http=80 tcp=b"},
		{"tcp and http", entryYAML("a", "a.com", "", "TCP", 80) + serviceYAML("b", "10.96.0.1", "{name: http, port: 80}"), "0.0.0.0_80 http=80 tcp=a"},
		{"the older of two tcp", entryYAML("a", "a.com", "", "TCP", 80) + entryYAML("b", "b.com", "", "TCP", 80), "0.0.0.0_80 tcp=a"},
		{"tls and tls", entryYAML("a", "a.com", "", "TLS", 80) + entryYAML("b", "b.com", "", "TLS", 80), "0.0.0.0_80 tcp=a(a.com) tcp=b(b.com)"},
		{"http, then auto loses its tcp chain", httpA + entryYAML("b", "b.com", "", `""`, 80), "0.0.0.0_80 http=80"},
		{"tcp, then auto", entryYAML("a", "a.com", "", "TCP", 80) + entryYAML("b", "b.com", "", `""`, 80), "0.0.0.0_80 http=80 tcp=a"},
		{"http, then mongo is left out", httpA + entryYAML("b", "b.com", "", "MONGO", 80), "0.0.0.0_80 http=80"},
		{"mysql, then http is left out", entryYAML("a", "a.com", "", "MYSQL", 80) + serviceYAML("b", "10.96.0.1", "{name: http, port: 80}"), "0.0.0.0_80 tcp=a"},
		{"http, then redis", httpA + entryYAML("b", "b.com", "", "REDIS", 80), "0.0.0.0_80 http=80 tcp=b"},
		{"two addresses", entryYAML("a", "a.com", "1.1.1.1, 1.1.1.2", "TCP", 80), "1.1.1.1_80 tcp=a; 1.1.1.2_80 tcp=a"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			sc := scopeIn(snapshotOf(t, meshNamespaces+tt.manifests), "shop")
			if diff := cmp.Diff(tt.want, describeListeners(sc, 80)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestReservedPorts is which listeners may stand on the proxy's own ports.
func TestReservedPorts(t *testing.T) {
	tests := []struct {
		name, manifests string
		port            int
		want            string
	}{
		{"http on virtualOutbound", serviceYAML("a", "10.96.0.1", "{name: http, port: 15001}"), 15001, ""},
		{"http on virtualInbound", serviceYAML("a", "10.96.0.1", "{name: http, port: 15006}"), 15006, ""},
		{"http in the range", serviceYAML("a", "10.96.0.1", "{name: http, port: 15010}"), 15010, "0.0.0.0_15010 http=15010"},
		{"tcp on an address", serviceYAML("a", "10.96.0.1", "{name: tcp, port: 15001}"), 15001, "10.96.0.1_15001 tcp=a"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			sc := scopeIn(snapshotOf(t, meshNamespaces+tt.manifests), "shop")
			if diff := cmp.Diff(tt.want, describeListeners(sc, tt.port)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestEgressPortLocksListener is the Sidecar's egress port: nothing joins its listener.
func TestEgressPortLocksListener(t *testing.T) {
	manifests := meshNamespaces + serviceYAML("a", "10.96.0.1", "{name: http, port: 80}, {name: tcp, port: 81}") + entryYAML("b", "b.com", "", "TCP", 80) + `
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: default, namespace: shop}
spec:
  egress:
  - {port: {number: 80, protocol: HTTP, name: http}, hosts: [./a.shop.svc.cluster.local]}
  - {hosts: ["*/*"]}
`
	sc := scopeIn(snapshotOf(t, manifests), "shop")
	if diff := cmp.Diff("0.0.0.0_80 http=80", describeListeners(sc, 80)); diff != "" {
		t.Errorf("port 80 (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff("10.96.0.1_81 tcp=a", describeListeners(sc, 81)); diff != "" {
		t.Errorf("port 81 (-want +got):\n%s", diff)
	}
}

// TestListenerChoice is which listener and chain take a connection.
func TestListenerChoice(t *testing.T) {
	s := snapshotOf(t, meshNamespaces+
		serviceYAML("a", "10.96.0.1", "{name: http, port: 80}")+
		serviceYAML("b", "10.96.0.2", "{name: web, port: 80}")+
		serviceYAML("c", "10.96.0.3", "{name: tcp, port: 80}, {name: http, port: 81}")+
		entryYAML("d", "d.com", "10.0.0.0/16", `""`, 82))
	sc := scopeIn(s, "shop")
	tests := []struct {
		name, address string
		port          int
		payload       Payload
		want          string
	}{
		{"shared, http", "10.96.0.1", 80, PayloadHTTP, "0.0.0.0_80 http"},
		{"shared, tls has no chain", "10.96.0.1", 80, PayloadTLS, "0.0.0.0_80 default"},
		{"shared, other bytes have no chain", "10.96.0.1", 80, PayloadTCP, "0.0.0.0_80 default"},
		{"own address, http", "10.96.0.2", 80, PayloadHTTP, "10.96.0.2_80 http"},
		{"own address, tls", "10.96.0.2", 80, PayloadTLS, "10.96.0.2_80 b"},
		{"tcp port, http bytes", "10.96.0.3", 80, PayloadHTTP, "10.96.0.3_80 c"},
		{"unknown address falls to the shared one", "192.0.2.1", 80, PayloadHTTP, "0.0.0.0_80 http"},
		{"no service has the port", "10.96.0.1", 90, PayloadHTTP, "virtualOutbound"},
		{"within the range everything is tcp", "10.0.7.7", 82, PayloadHTTP, "0.0.0.0_82 d"},
		{"outside the range http goes by host", "192.0.2.1", 82, PayloadHTTP, "0.0.0.0_82 http"},
		{"outside the range tcp has no chain", "192.0.2.1", 82, PayloadTCP, "0.0.0.0_82 default"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			resolved, _ := s.ResolveName(clientIn("shop", nil), sc, tt.address, tt.port)
			l, _ := sc.Listener(resolved.Dialled)
			got := "virtualOutbound"
			if l != nil {
				chain := l.Chain(tt.payload, resolved.Address, clientIn("shop", nil))
				switch {
				case chain.HTTP:
					got = l.Name + " http"
				case len(chain.TCP) > 0:
					got = l.Name + " " + chain.TCP[0].Service.Name
				default:
					got = l.Name + " default"
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestAliasServerNames is that an alias of a TLS service is found by each of its names.
func TestAliasServerNames(t *testing.T) {
	s := snapshotOf(t, meshNamespaces+entryYAML("a", "a.com", "", "TLS", 443)+`
apiVersion: v1
kind: Service
metadata: {name: alias, namespace: shop}
spec: {type: ExternalName, externalName: a.com}
`)
	l := scopeIn(s, "shop").listenersOn(443).order[0]
	want := []string{"a.com", "alias.shop.svc.cluster.local", "alias.shop.svc.cluster.local.", "alias", "alias.shop", "alias.shop.svc"}
	if diff := cmp.Diff(want, l.TCP[0].SNI); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
