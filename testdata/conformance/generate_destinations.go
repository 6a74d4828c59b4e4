package conformance

import "fmt"

func (g generator) clientTLS() string {
	switch g.IntN(10) {
	case 0, 1, 2:
		return "{mode: DISABLE}"
	case 3, 4, 5:
		return "{mode: ISTIO_MUTUAL}"
	case 6:
		return "{mode: MUTUAL, clientCertificate: /etc/certs/c.pem, privateKey: /etc/certs/k.pem, caCertificates: /etc/certs/ca.pem}"
	case 7:
		return "{mode: SIMPLE, credentialName: c}"
	case 8:
		return "{mode: SIMPLE, sni: api.example.com, subjectAltNames: [api.example.com]}"
	}
	return "{mode: SIMPLE}"
}

func (g generator) trafficPolicy() string {
	settings := func() []string {
		return []string{
			g.when(35, "tls: "+g.clientTLS()),
			g.when(20, "loadBalancer: "+g.one("{simple: ROUND_ROBIN}", "{simple: RANDOM}", "{simple: PASSTHROUGH}", "{consistentHash: {httpHeaderName: x-q}}", "{localityLbSetting: "+g.locality()+"}")),
			g.when(15, "outlierDetection: "+g.one("{consecutive5xxErrors: 5}", "{minHealthPercent: 50}")),
			g.when(12, "connectionPool: "+g.one("{http: {h2UpgradePolicy: UPGRADE}}", "{http: {h2UpgradePolicy: DO_NOT_UPGRADE}}", "{http: {useClientProtocol: true}}", "{tcp: {maxConnections: 5}}")),
		}
	}
	all := settings()
	if g.chance(25) {
		all = append(all, "portLevelSettings: ["+fields(append([]string{"port: {number: " + g.one("80", "80", "80", "9090", "8080") + "}"}, settings()...)...)+"]")
	}
	return "trafficPolicy: " + fields(all...)
}

func (g generator) subset(name string) string {
	labels := g.one("labels: {version: "+name+"}", "labels: {version: "+name+"}", "labels: {version: "+name+"}", "labels: {version: v9}", "", "labels: {topology.kubernetes.io/zone: z1}")
	return fields("name: "+name, labels, g.when(20, g.trafficPolicy()))
}

func (g generator) destinationRule(i int) string {
	host := g.one("a", "a", "a", "b", "c", "db", "a.shop.svc.cluster.local", "a.shop.svc.cluster.local", "c.team.svc.cluster.local", "'*.shop.svc.cluster.local'", "'*.team.svc.cluster.local'", "'*.example.com'", "ext.example.com", "api.example.com", "'*.wild.example.com'",
		"'*.local'", "'*'", "a.shop", "manual.shop.svc.cluster.local", "alias.shop.svc.cluster.local")
	subsets := ""
	if g.chance(55) {
		var all []string
		for _, v := range g.some(3, "v1", "v2", "v3") {
			all = append(all, g.subset(v))
		}
		subsets = "subsets: " + list(all)
	}
	return object("networking.istio.io/v1", "DestinationRule", g.namespace(), fmt.Sprintf("dr%d", i), "spec: "+fields("host: "+host, g.exportTo(), g.when(55, g.trafficPolicy()), subsets, g.when(12, "workloadSelector: {matchLabels: {app: "+g.one("web", "web", "d")+"}}")))
}
