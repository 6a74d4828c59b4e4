package conformance

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

// generator makes meshes and requests that people would write on a bad day: names that are nearly
// right, several resources for one host, and settings that contradict each other.
type generator struct{ *rand.Rand }

func newGenerator(seed uint64) generator { return generator{rand.New(rand.NewPCG(seed, 7))} }

func (g generator) chance(percent int) bool { return g.IntN(100) < percent }

func (g generator) one(list ...string) string { return list[g.IntN(len(list))] }

// some picks up to n, without repeats.
func (g generator) some(n int, list ...string) []string {
	shuffled := slices.Clone(list)
	g.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
	return shuffled[:min(1+g.IntN(n), len(list))]
}

// when is text in that many percent of the cases.
func (g generator) when(percent int, text string) string {
	if g.chance(percent) {
		return text
	}
	return ""
}

func quoted(list []string) string {
	var out []string
	for _, s := range list {
		out = append(out, fmt.Sprintf("%q", s))
	}
	return "[" + strings.Join(out, ", ") + "]"
}

func object(version, kind, namespace, name, rest string) string {
	return fmt.Sprintf("apiVersion: %s\nkind: %s\nmetadata: {name: %s, namespace: %s}\n%s\n", version, kind, name, namespace, rest)
}

// age gives each object its own time: of two of the same age istiod takes whichever it has read first.
func age(docs []string) []string {
	for i, d := range docs {
		docs[i] = strings.Replace(d, "}\n", fmt.Sprintf(", creationTimestamp: \"2024-01-01T00:%02d:00Z\"}\n", i), 1)
	}
	return docs
}

func (g generator) namespace() string { return g.one("shop", "shop", "team", "istio-system") }

// host is a destination as people write it.
func (g generator) host() string {
	return g.one("a", "a", "a", "b", "b", "c", "a.shop", "c.team", "a.shop.svc.cluster.local", "b.shop.svc.cluster.local", "c.team.svc.cluster.local", "ext.example.com", "api.example.com", "none")
}

// mesh is a list of documents.
func (g generator) mesh() []string {
	docs := []string{
		"apiVersion: v1\nkind: Namespace\nmetadata: {name: shop, labels: {istio-injection: enabled}}\n",
		fmt.Sprintf("apiVersion: v1\nkind: Namespace\nmetadata: {name: team%s}\n", g.when(70, ", labels: {istio-injection: enabled}")),
	}
	for _, d := range []struct{ namespace, name, labels, account string }{
		{"shop", "web", "{app: web}", "web"},
		{"shop", "a-v1", "{app: a, version: v1}", "a"},
		{"shop", "a-v2", "{app: a, version: v2}", "a"},
		{"shop", "b", "{app: b}", "b"},
		{"team", "c", "{app: c}", "c"},
		{"team", "d", "{app: d}", "d"},
	} {
		docs = append(docs, object("apps/v1", "Deployment", d.namespace, d.name,
			fmt.Sprintf("spec: {selector: {matchLabels: %s}, template: {metadata: {labels: %s}, spec: {serviceAccountName: %s, containers: [{name: app, image: app, ports: [{name: api, containerPort: 8080}]}]}}}", d.labels, d.labels, d.account)))
	}
	docs = append(docs, g.services()...)
	for i := range g.IntN(4) {
		docs = append(docs, g.virtualService(i))
	}
	for i := range g.IntN(4) {
		docs = append(docs, g.destinationRule(i))
	}
	for i := range g.IntN(3) {
		docs = append(docs, g.serviceEntry(i))
	}
	for i := range g.IntN(3) {
		docs = append(docs, g.gateway(i))
	}
	for i := range g.IntN(2) {
		docs = append(docs, g.sidecar(i))
	}
	for i := range g.IntN(3) {
		docs = append(docs, g.peerAuthentication(i))
	}
	for i := range g.IntN(3) {
		docs = append(docs, g.authorizationPolicy(i))
	}
	return age(docs)
}

func (g generator) exportTo() string {
	return g.when(15, fmt.Sprintf(", exportTo: %s", quoted([]string{g.one(".", "*", "team", "shop")})))
}
