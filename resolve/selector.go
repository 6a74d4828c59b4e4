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

// firstLabelDifference names the first label, by alphabet, that keeps the
// selector from fitting: what it asks for and what there is.
func firstLabelDifference(selector, labels map[string]string) (key, want, got string) {
	for _, k := range slices.Sorted(maps.Keys(selector)) {
		v, ok := labels[k]
		switch {
		case !ok:
			return k, selector[k], "no label " + k
		case v != selector[k]:
			return k, selector[k], k + "=" + v
		}
	}
	return "", "", ""
}

// joinLimited joins at most n words and counts the rest.
func joinLimited(words []string, n int) string {
	if len(words) <= n {
		return strings.Join(words, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(words[:n], ", "), len(words)-n)
}
