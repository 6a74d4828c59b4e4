package conformance

import (
	"fmt"
	"strings"
)

func (g generator) gateway(i int) string {
	var servers []string
	for j := range 1 + g.IntN(2) {
		hosts := quoted(g.some(2, "*", "shop.example.com", "*.example.com", "api.example.com", "shop/*", "./shop.example.com"))
		switch g.IntN(5) {
		case 0:
			servers = append(servers, fmt.Sprintf("{port: {number: 443, name: https%d, protocol: HTTPS}, tls: {mode: %s, credentialName: c}, hosts: %s}", j, g.one("SIMPLE", "SIMPLE", "MUTUAL"), hosts))
		case 1:
			servers = append(servers, fmt.Sprintf("{port: {number: 80, name: http%d, protocol: HTTP}, tls: {httpsRedirect: true}, hosts: %s}", j, hosts))
		default:
			servers = append(servers, fmt.Sprintf("{port: {number: %s, name: http%d, protocol: HTTP}, hosts: %s}", g.one("80", "80", "8080"), j, hosts))
		}
	}
	return object("networking.istio.io/v1", "Gateway", g.one("istio-system", "shop"), fmt.Sprintf("gw%d", i), fmt.Sprintf("spec: {selector: {istio: ingressgateway}, servers: [%s]}", strings.Join(servers, ", ")))
}

// externalRequest comes from outside the cluster.
func (g generator) externalRequest() []string {
	args := []string{"--from", "external", "--source-ip", g.one("203.0.113.5", "198.51.100.7")}
	return g.details(args, g.one("http", "http", "https")+"://"+g.one("shop.example.com", "api.example.com", "x.example.com", "other.org")+g.when(15, ":8080"))
}
