package conformance

import (
	"fmt"
	"strings"
)

func (g generator) clientTLS() string {
	return g.one("DISABLE", "ISTIO_MUTUAL", "SIMPLE", "ISTIO_MUTUAL")
}

func (g generator) destinationRule(i int) string {
	text := "host: " + g.one("a", "b", "c", "a.shop.svc.cluster.local", "c.team.svc.cluster.local", "'*.shop.svc.cluster.local'", "'*.example.com'", "ext.example.com", "'*.local'", "a.shop")
	text += g.exportTo()
	if g.chance(30) {
		text += ", trafficPolicy: {tls: {mode: " + g.clientTLS() + "}}"
	} else if g.chance(15) {
		text += ", trafficPolicy: {portLevelSettings: [{port: {number: 80}, tls: {mode: " + g.clientTLS() + "}}]}"
	}
	if g.chance(60) {
		var subsets []string
		for _, v := range g.some(2, "v1", "v2", "v3") {
			subsets = append(subsets, fmt.Sprintf("{name: %s, labels: {version: %s}%s}", v, g.one(v, v, "v9"), g.when(15, ", trafficPolicy: {tls: {mode: "+g.clientTLS()+"}}")))
		}
		text += ", subsets: [" + strings.Join(subsets, ", ") + "]"
	}
	if g.chance(10) {
		text += ", workloadSelector: {matchLabels: {app: " + g.one("web", "d") + "}}"
	}
	return object("networking.istio.io/v1", "DestinationRule", g.namespace(), fmt.Sprintf("dr%d", i), "spec: {"+text+"}")
}
