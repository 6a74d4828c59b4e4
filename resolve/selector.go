package resolve

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
