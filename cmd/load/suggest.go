package load

import (
	"fmt"
	"strings"
)

// suggestionLimit is how many valid names are listed where none is near.
const suggestionLimit = 12

// nearest returns the name that a typing mistake most likely stands for; the
// first of equals. A mistake is at most a third of the letters, one at least;
// differences of case and of "_" count nothing.
func nearest(written string, names []string) (string, bool) {
	folded := fold(written)
	best, bestDistance := "", max(1, len(folded)/3)+1
	for _, name := range names {
		if name == written {
			continue
		}
		if d := editDistance(folded, fold(name), bestDistance); d < bestDistance {
			best, bestDistance = name, d
		}
	}
	return best, best != ""
}

func fold(s string) string { return strings.ToLower(strings.ReplaceAll(s, "_", "")) }

// didYouMean is the end of a message about an unknown name: the nearest valid
// one, else the valid ones where they are few, else nothing.
func didYouMean(written string, names []string) string {
	if n, ok := nearest(written, names); ok {
		return fmt.Sprintf("; did you mean %q?", n)
	}
	if len(names) == 0 || len(names) > suggestionLimit {
		return ""
	}
	return "; known here: " + strings.Join(names, ", ")
}

// editDistance is the number of insertions, deletions, substitutions and
// transpositions of neighbours between two names (optimal string alignment),
// or limit if it is not less.
func editDistance(a, b string, limit int) int {
	if len(a)-len(b) >= limit || len(b)-len(a) >= limit {
		return limit
	}
	before, previous, current := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range previous {
		previous[j] = j
	}
	for i := 1; i <= len(a); i++ {
		current[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			current[j] = min(previous[j]+1, current[j-1]+1, previous[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				current[j] = min(current[j], before[j-2]+1)
			}
		}
		before, previous, current = previous, current, before
	}
	return min(previous[len(b)], limit)
}
