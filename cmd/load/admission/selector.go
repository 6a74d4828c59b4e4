package admission

import (
	"maps"
	"slices"
	"strings"

	typev1beta1 "istio.io/api/type/v1beta1"
)

// selector checks which workloads a policy selects. A wildcard selects nothing in Kubernetes, so istiod refuses it.
// Source: pkg/config/validation/validation.go, validateWorkloadSelector.
func (c *checker) selector(s *typev1beta1.WorkloadSelector) {
	c.matchLabels("spec.selector.matchLabels", s.GetMatchLabels())
}

func (c *checker) matchLabels(field string, labels map[string]string) {
	for _, key := range sortedKeys(labels) {
		pair := key + "=" + labels[key]
		if key == "" {
			c.refuse(field, "empty key is not supported in selector: %q", pair)
		}
		if strings.Contains(pair, "*") {
			c.refuse(field, "wildcard is not supported in selector: %q", pair)
		}
	}
}

// attached checks what a policy is attached to.
// Source: pkg/config/validation/validation.go, validateOneOfSelectorType, validatePolicyTargetReference.
func (c *checker) attached(s *typev1beta1.WorkloadSelector, one *typev1beta1.PolicyTargetReference, several []*typev1beta1.PolicyTargetReference) {
	ways := 0
	for _, used := range []bool{s != nil, one != nil, len(several) > 0} {
		if used {
			ways++
		}
	}
	if ways > 1 {
		c.refuse("spec", "only one of targetRefs or workloadSelector can be set")
	}
	c.selector(s)
	if one != nil {
		c.targetRef("spec.targetRef", one)
	}
	for i, ref := range several {
		if ref != nil {
			c.targetRef(entry("spec.targetRefs", i), ref)
		}
	}
}

// targetKinds are the kinds that a policy can be attached to, by group.
var targetKinds = []struct{ group, kind string }{
	{"", "Service"},
	{"core", "Service"},
	{"networking.istio.io", "ServiceEntry"},
	{"gateway.networking.k8s.io", "Gateway"},
	{"gateway.networking.k8s.io", "GatewayClass"},
}

func (c *checker) targetRef(field string, ref *typev1beta1.PolicyTargetReference) {
	if ref.GetName() == "" {
		c.refuse(field+".name", "targetRef name must be set")
	}
	if ref.GetNamespace() != "" {
		c.refuse(field+".namespace", "targetRef namespace must not be set; cross namespace referencing is not supported")
	}
	for _, t := range targetKinds {
		if t.group == ref.GetGroup() && t.kind == ref.GetKind() {
			return
		}
	}
	c.refuse(field, "targetRef must be to one of [core/v1/Service networking.istio.io/v1/ServiceEntry gateway.networking.k8s.io/v1/Gateway gateway.networking.k8s.io/v1/GatewayClass] but was %s/%s", ref.GetGroup(), ref.GetKind())
}

// isQualifiedName reports whether s is the value of a label, or the name in its key.
func isQualifiedName(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case (c == '-' || c == '_' || c == '.') && i > 0 && i < len(s)-1:
		default:
			return false
		}
	}
	return s != ""
}

// isQualifiedKey reports whether s is the key of a label, with a DNS name and a slash before it or without.
func isQualifiedKey(s string) bool {
	prefix, name, prefixed := strings.Cut(s, "/")
	if !prefixed {
		return len(s) <= 63 && isQualifiedName(s)
	}
	for label := range strings.SplitSeq(prefix, ".") {
		if !isDNSLabel(label) {
			return false
		}
	}
	return len(prefix) <= 253 && len(name) <= 63 && isQualifiedName(name)
}

// isDNSLabel is isLabel without a limit.
func isDNSLabel(s string) bool {
	return isLabel(s) || len(s) > 63 && isLabel(s[:1]) && isLabel(s[len(s)-1:]) && strings.Trim(strings.ToLower(s), "-0123456789abcdefghijklmnopqrstuvwxyz") == ""
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
