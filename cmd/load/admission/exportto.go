package admission

import (
	"slices"
)

// exporting is what exportTo may say for a kind.
type exporting struct {
	// none is whether "~" is allowed, as for ServiceEntries.
	none bool
	// own is whether nothing but the object's own namespace is allowed, as for DestinationRules with a workloadSelector.
	own bool
}

// exportTo checks to whom an object is shown.
// Source: pkg/config/validation/validation.go, validateExportTo.
func (c *checker) exportTo(namespace string, to []string, allowed exporting) {
	const field = "spec.exportTo"
	var seen []string
	for i, entered := range to {
		key := entered
		if entered == "." {
			key = namespace
		}
		switch {
		case slices.Contains(seen, key) && key != entered:
			c.refuse(entry(field, i), "duplicate entries in exportTo: . and current namespace %s", namespace)
		case slices.Contains(seen, key):
			c.refuse(entry(field, i), "duplicate entries in exportTo for entry %s", entered)
		case key == "~" && !allowed.none:
			c.refuse(entry(field, i), "exportTo ~ (none) is not allowed for Istio configuration objects")
		case key != "~" && key != "*" && key != "." && !isLabel(key):
			c.refuse(entry(field, i), "only .,*, or a valid DNS 1123 label is allowed as exportTo entry")
		default:
			seen = append(seen, key)
		}
	}
	own := slices.Contains(seen, namespace)
	switch {
	case allowed.own && own && len(seen) > 1:
		c.refuse(field, "destination rule with workload selector cannot have multiple entries in exportTo")
	case allowed.own && !own && len(seen) > 0:
		c.refuse(field, "destination rule with workload selector cannot have exportTo beyond current namespace")
	}
	if slices.Contains(seen, "*") && len(to) > 1 {
		c.refuse(field, "cannot have both public (*) and non-public exportTo values for a resource")
	}
	if slices.Contains(seen, "~") && len(to) > 1 {
		c.refuse(field, "cannot export service entry to no one (~) and someone")
	}
}

// labels checks labels that select, of endpoints or of sources.
// Source: pkg/config/labels/instance.go, Validate.
func (c *checker) labels(field string, labels map[string]string) {
	for _, key := range sortedKeys(labels) {
		if !isQualifiedKey(key) {
			c.refuse(field, "invalid tag key: %q", key)
		}
		if value := labels[key]; value != "" && !isQualifiedName(value) {
			c.refuse(field, "invalid tag value: %q", value)
		}
	}
}
