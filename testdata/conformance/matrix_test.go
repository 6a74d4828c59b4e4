package conformance

import (
	"fmt"
	"strings"
	"testing"
)

// The values of the axes.
var (
	matrixClients = []string{"sidecar", "none", "gateway"}
	matrixPorts   = []matrixPort{{"http", 8080}, {"auto", 8081}, {"tcp", 8082}, {"tls", 8443}}

	// matrixRules are trafficPolicies.
	matrixRules = []setting{
		{"none", ""},
		{"disable", "tls: {mode: DISABLE}"},
		{"simple", "tls: {mode: SIMPLE}"},
		{"mutual", "tls: {mode: MUTUAL, clientCertificate: /etc/certs/c.pem, privateKey: /etc/certs/k.pem, caCertificates: /etc/certs/ca.pem}"},
		{"istio-mutual", "tls: {mode: ISTIO_MUTUAL}"},
		{"port-disable", "tls: {mode: ISTIO_MUTUAL}, " + eachPort("tls: {mode: DISABLE}")},
		{"port-istio-mutual", "tls: {mode: DISABLE}, " + eachPort("tls: {mode: ISTIO_MUTUAL}")},
		{"port-simple", eachPort("tls: {mode: SIMPLE}")},
		{"port-unset-in-disable", "tls: {mode: DISABLE}, " + eachPort("connectionPool: {tcp: {maxConnections: 9}}")},
		{"port-unset-in-istio-mutual", "tls: {mode: ISTIO_MUTUAL}, " + eachPort("connectionPool: {tcp: {maxConnections: 9}}")},
	}

	matrixAuths = []peerAuths{
		{"none", nil},
		{"permissive", []string{"mtls: {mode: PERMISSIVE}"}},
		{"strict", []string{"mtls: {mode: STRICT}"}},
		{"disable", []string{"mtls: {mode: DISABLE}"}},
		{"port-strict", []string{ofWorkload("DISABLE", "STRICT")}},
		{"port-permissive", []string{ofWorkload("STRICT", "PERMISSIVE")}},
		{"port-disable", []string{ofWorkload("STRICT", "DISABLE")}},
		{"port-unset", []string{"mtls: {mode: STRICT}", ofWorkload("DISABLE", "UNSET")}},
		{"disable-workload-strict", []string{"mtls: {mode: DISABLE}", ofWorkload("STRICT", "UNSET")}},
	}

	matrixServers = []matrixServer{
		{name: "sidecar", pods: []string{withSidecar}},
		{name: "none", pods: []string{withoutSidecar}},
		{name: "unlabelled", pods: []string{", security.istio.io/tlsMode: disabled"}},
		{name: "mixed", pods: []string{withSidecar, withoutSidecar}},
		{name: "headless", pods: []string{withSidecar}, headless: true},
		{name: "headless-none", pods: []string{withoutSidecar}, headless: true},
		{name: "headless-mixed", pods: []string{withSidecar, withoutSidecar}, headless: true},
		{name: "entry", pods: []string{withSidecar}, entry: "location: MESH_INTERNAL, resolution: STATIC, workloadSelector: {labels: {app: entry}}"},
		{name: "entry-mixed", pods: []string{withSidecar, withoutSidecar}, entry: "location: MESH_INTERNAL, resolution: STATIC, workloadSelector: {labels: {app: entry-mixed}}"},
		{name: "entry-external", entry: "location: MESH_EXTERNAL, resolution: STATIC, endpoints: [{address: 203.0.113.70}]"},
	}
)

// What is added to the labels of pods.
const (
	withSidecar    = ""
	withoutSidecar = `, sidecar.istio.io/inject: "false"`
)

func eachPort(settings string) string {
	var all []string
	for _, p := range matrixPorts {
		all = append(all, fmt.Sprintf("{port: {number: %d}, %s}", p.number, settings))
	}
	return "portLevelSettings: " + list(all)
}

func ofWorkload(mode, ports string) string {
	var all []string
	for _, p := range matrixPorts {
		all = append(all, fmt.Sprintf("%d: {mode: %s}", p.number, ports))
	}
	return fmt.Sprintf("selector: {matchLabels: {side: server}}, mtls: {mode: %s}, portLevelMtls: {%s}", mode, strings.Join(all, ", "))
}

// TestMTLSMatrix holds every pair of a client's TLS and a server's against Istio.
func TestMTLSMatrix(t *testing.T) {
	c := begin(t, "mTLS matrix")
	whole := matrix{rules: matrixRules, auths: matrixAuths, servers: among(matrixServers, "sidecar", "none")}
	judgeMatrix(t, c, "all", whole)

	further := matrix{
		rules: among(matrixRules, "none", "disable", "simple", "istio-mutual", "port-unset-in-disable"),
		auths: among(matrixAuths, "none", "strict", "disable", "port-disable"), servers: matrixServers[2:],
	}
	judgeMatrix(t, c, "other servers", further)

	off := matrix{
		rules: among(matrixRules, "none", "istio-mutual", "port-unset-in-istio-mutual"), meshConfig: "enableAutoMtls: false\n",
		auths: among(matrixAuths, "none", "strict", "disable", "port-strict"), servers: among(matrixServers, "sidecar", "none", "headless"),
	}
	judgeMatrix(t, c, "no auto mTLS", off)

	for _, mode := range []string{"STRICT", "DISABLE"} {
		of := matrix{
			rules: off.rules, root: peerAuths{"mesh", []string{"mtls: {mode: " + mode + "}"}},
			auths: among(matrixAuths, "none", "permissive", "port-unset", "port-strict"), servers: off.servers,
		}
		judgeMatrix(t, c, "mesh "+mode, of)
	}

	// What the server's proxy knows of the connection: the server name, and who the client is.
	known := matrix{
		rules: append(among(matrixRules, "none", "istio-mutual"), setting{"named", "tls: {mode: SIMPLE, sni: server.example}"}),
		auths: among(matrixAuths, "none", "strict", "disable", "port-strict"), servers: among(matrixServers, "sidecar"),
		policies: []string{
			object("security.istio.io/v1", "AuthorizationPolicy", "istio-system", "names", "spec: {action: DENY, rules: [{when: [{key: connection.sni, values: [\"outbound_.8081*\", server.example, \"*.strict.svc.cluster.local\", \"*.disable.svc.cluster.local\"]}]}]}"),
			object("security.istio.io/v1", "AuthorizationPolicy", "strict", "clients", "spec: {rules: [{from: [{source: {principals: [cluster.local/ns/client/sa/web, cluster.local/ns/legacy/sa/old]}}]}]}"),
			object("security.istio.io/v1", "AuthorizationPolicy", "disable", "clients", "spec: {rules: [{from: [{source: {notNamespaces: [client]}}], to: [{operation: {ports: [\"8082\", \"8443\"]}}]}]}"),
		},
		certificates: []string{"spiffe://cluster.local/ns/legacy/sa/old", "spiffe://partner.example/ns/legacy/sa/old", "old.example.com"},
	}
	judgeMatrix(t, c, "policies and certificates", known)
}

// asked reports whether the first request of a cell is Envoy's to answer too: each pair of settings between sidecars, and what
// each setting of a server makes of a client that has none.
func (c cell) asked() bool {
	return c.server.name == "sidecar" && (c.client == "sidecar" || c.client == "none" && c.rule.name == "none")
}

// judgeMatrix asks the requests of all cells; a cell of which none is judged fails.
func judgeMatrix(t *testing.T, c *category, name string, m matrix) {
	t.Run(name, func(t *testing.T) {
		b, err := newBench(t, t.TempDir(), m.manifests(), "default")
		if err != nil {
			t.Fatal(err)
		}
		judged := map[string]int{}
		for _, cell := range m.cells() {
			t.Run(cell.String(), func(t *testing.T) {
				before := c.agreed + c.failed
				for i, args := range m.requests(cell) {
					diff, err := outcome(b, args)
					c.record(t, t.Name(), strings.Join(args, " "), diff, err)
					if i == 0 && cell.asked() {
						c.ask(t, b, t.Name(), strings.Join(args, " "))
					}
				}
				judged[cell.String()] += c.agreed + c.failed - before
			})
		}
		requests := 0
		for _, cell := range m.cells() {
			n := judged[cell.String()]
			requests += n
			if n == 0 {
				t.Errorf("%s: no request was judged", cell)
			}
		}
		want := len(matrixClients) * len(m.rules) * len(m.auths) * len(m.servers) * len(matrixPorts)
		if len(judged) != want {
			t.Errorf("%d cells were asked, of %d", len(judged), want)
		}
		t.Logf("%d cells, %d requests", len(judged), requests)
	})
}
