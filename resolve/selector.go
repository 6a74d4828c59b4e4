package resolve

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Selects reports whether every label of the selector is on the workload; an
// empty selector selects everything.
// Source: pkg/config/labels/instance.go, SubsetOf.
func Selects(selector, labels map[string]string) bool {
	for k, v := range selector {
		if got, ok := labels[k]; !ok || got != v {
			return false
		}
	}
	return true
}

// labelMiss returns the first label of the selector, by name, that the labels do
// not have: as asked for and as found.
func labelMiss(selector, labels map[string]string) (want, got string) {
	return firstMiss(selector, func(name string) (string, bool) {
		v, ok := labels[name]
		return v, ok
	})
}

func firstMiss(selector map[string]string, get func(name string) (string, bool)) (want, got string) {
	for _, k := range slices.Sorted(maps.Keys(selector)) {
		switch v, ok := get(k); {
		case !ok:
			return k + "=" + selector[k], "no label " + k
		case v != selector[k]:
			return k + "=" + selector[k], k + "=" + v
		}
	}
	return labelsText(selector), labelsText(selector)
}

// joinLimited joins at most n words and counts the rest.
func joinLimited(words []string, n int) string {
	if len(words) <= n {
		return strings.Join(words, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(words[:n], ", "), len(words)-n)
}
