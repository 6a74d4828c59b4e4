package conformance

import (
	"fmt"
	"strings"
)

func (g generator) peerAuthentication(i int) string {
	selector := g.when(50, "selector: {matchLabels: {app: "+g.one("a", "b", "c")+"}}, ")
	namespace := g.namespace()
	ports := ""
	if selector != "" {
		ports = g.when(40, fmt.Sprintf(", portLevelMtls: {%s: {mode: %s}}", g.one("8080", "80", "8443"), g.one("STRICT", "PERMISSIVE", "DISABLE")))
	}
	return object("security.istio.io/v1", "PeerAuthentication", namespace, fmt.Sprintf("pa%d", i), fmt.Sprintf("spec: {%smtls: {mode: %s}%s}", selector, g.one("STRICT", "PERMISSIVE", "DISABLE", "UNSET"), ports))
}

func (g generator) authorizationPolicy(i int) string {
	var from, to, when []string
	if g.chance(50) {
		from = append(from, fmt.Sprintf("{source: {%s}}", g.one(`principals: ["cluster.local/ns/shop/sa/web"]`, `principals: ["*"]`, `namespaces: [shop]`, `notNamespaces: [shop]`, `ipBlocks: [10.244.0.0/16]`, `notPrincipals: ["*/sa/web"]`, `remoteIpBlocks: [203.0.113.0/24]`, `requestPrincipals: ["*"]`, `serviceAccounts: [shop/web]`)))
	}
	if g.chance(60) {
		to = append(to, fmt.Sprintf("{operation: {%s}}", g.one(`methods: [GET]`, `paths: ["/a*"]`, `ports: ["8080"]`, `hosts: ["a.shop*"]`, `notPaths: ["/a"]`, `methods: [POST], paths: ["/"]`, `notPorts: ["80"]`, `paths: ["/{*}/x"]`)))
	}
	if g.chance(20) {
		when = append(when, g.one(`{key: "request.headers[x-q]", values: [one]}`, `{key: destination.port, values: ["8080"]}`, `{key: source.namespace, notValues: [team]}`, `{key: "request.auth.claims[group]", values: [x]}`))
	}
	var rule []string
	for _, part := range []struct {
		name string
		list []string
	}{{"from", from}, {"to", to}, {"when", when}} {
		if len(part.list) > 0 {
			rule = append(rule, part.name+": ["+strings.Join(part.list, ", ")+"]")
		}
	}
	return object("security.istio.io/v1", "AuthorizationPolicy", g.one("shop", "shop", "team", "istio-system"), fmt.Sprintf("ap%d", i),
		fmt.Sprintf("spec: {%saction: %s, rules: [{%s}]}", g.when(50, "selector: {matchLabels: {app: "+g.one("a", "b", "c")+"}}, "), g.one("ALLOW", "DENY", "ALLOW", "DENY", "AUDIT"), strings.Join(rule, ", ")))
}
