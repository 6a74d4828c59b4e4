package conformance

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

// generator makes meshes and requests that people would write on a bad day: names that are nearly
// right, several resources for one host, and settings that contradict each other.
type generator struct {
	*rand.Rand
	// names are the Services that the mesh has, as name.namespace.
	names map[string]bool
}

func newGenerator(seed uint64) generator {
	return generator{rand.New(rand.NewPCG(seed, 7)), map[string]bool{}}
}

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
func (g generator) age(docs []string) []string {
	times := g.Perm(len(docs))
	for i, d := range docs {
		docs[i] = strings.Replace(d, "}\n", fmt.Sprintf(", creationTimestamp: \"2024-01-01T00:%02d:%02dZ\"}\n", times[i]/60, times[i]%60), 1)
	}
	return docs
}

// distinct keeps the first resource of each kind, namespace and name.
func distinct(docs []string) []string {
	seen := map[string]bool{}
	return slices.DeleteFunc(docs, func(d string) bool {
		var head struct {
			Kind     string
			Metadata struct{ Name, Namespace string }
		}
		if yaml.Unmarshal([]byte(d), &head) != nil {
			return false
		}
		key := head.Kind + " " + head.Metadata.Namespace + "/" + head.Metadata.Name
		again := seen[key]
		seen[key] = true
		return again
	})
}

// fields is a YAML map of those that are there.
func fields(parts ...string) string {
	return "{" + strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), ", ") + "}"
}

func list(parts []string) string { return "[" + strings.Join(parts, ", ") + "]" }

// repeat makes fewer than n.
func (g generator) repeat(n int, make func(i int) string) []string {
	var out []string
	for i := range g.IntN(n) {
		out = append(out, make(i))
	}
	return out
}

// lot is 1 to n of them.
func (g generator) lot(n int, make func() string) []string {
	var out []string
	for range 1 + g.IntN(n) {
		out = append(out, make())
	}
	return out
}

func (g generator) namespace() string { return g.one("shop", "shop", "team", "istio-system") }

// host is a destination as people write it.
func (g generator) host() string {
	return g.one("a", "a", "a", "b", "b", "c", "a.shop", "c.team", "a.shop.svc.cluster.local", "a.shop.svc.cluster.local", "b.shop.svc.cluster.local", "c.team.svc.cluster.local",
		"db", "db.shop.svc.cluster.local", "alias", "alias.shop.svc.cluster.local", "manual.shop.svc.cluster.local", "ext.example.com", "api.example.com", "x.wild.example.com", "none")
}

// exportTo is a list as people write it, and none at all for most.
func (g generator) exportTo() string {
	if g.chance(75) {
		return ""
	}
	return "exportTo: " + quoted(g.some(g.IntN(2)+1, ".", "*", "team", "shop", "istio-system"))
}

// mesh is a list of documents.
func (g generator) mesh() []string {
	docs := slices.Concat(
		g.meshConfig(), g.namespaces(), g.workloads(), g.services(),
		g.repeat(5, g.virtualService),
		g.repeat(2, g.delegate),
		g.repeat(4, g.destinationRule),
		g.repeat(4, g.serviceEntry),
		g.repeat(3, g.workloadEntry),
		g.repeat(3, g.gateway),
		g.repeat(3, g.sidecar),
		g.repeat(4, g.peerAuthentication),
		g.repeat(3, g.authorizationPolicy),
	)
	for _, d := range docs {
		var head struct {
			Kind     string
			Metadata struct{ Name, Namespace string }
		}
		if yaml.Unmarshal([]byte(d), &head) == nil && head.Kind == "Service" {
			g.names[head.Metadata.Name+"."+head.Metadata.Namespace] = true
		}
	}
	return g.age(docs)
}
