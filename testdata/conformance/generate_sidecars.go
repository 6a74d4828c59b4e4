package conformance

import (
	"fmt"
	"slices"
	"strings"
)

func (g generator) sidecar(i int) string {
	text := g.when(40, "workloadSelector: {labels: {app: "+g.one("web", "b")+"}}, ")
	namespace := g.one("shop", "team", "istio-system")
	if namespace == "istio-system" {
		text = ""
	}
	var egress []string
	for range 1 + g.IntN(2) {
		egress = append(egress, fmt.Sprintf("{%shosts: %s}", g.when(25, "port: {number: "+g.one("80", "9090")+", name: http, protocol: "+g.one("HTTP", "HTTP", "TCP")+"}, "),
			quoted(g.some(2, "./*", "*/*", "shop/*", "team/*", "istio-system/*", "./a.shop.svc.cluster.local", "shop/a.shop.svc.cluster.local", "*/api.example.com", "~/*"))))
	}
	// A listener without a port catches what the others leave: it stands last.
	slices.SortStableFunc(egress, func(a, b string) int { return strings.Compare(b[:2], a[:2]) })
	return object("networking.istio.io/v1", "Sidecar", namespace, fmt.Sprintf("sc%d", i), fmt.Sprintf("spec: {%segress: [%s]%s}", text, strings.Join(egress, ", "), g.when(20, ", outboundTrafficPolicy: {mode: REGISTRY_ONLY}")))
}
