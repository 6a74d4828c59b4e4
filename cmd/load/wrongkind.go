package load

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// wrongKind says what is wrong with a document's apiVersion and kind; empty if nothing is.
func wrongKind(h header, k kind, known bool) string {
	if known {
		if k.read() && !slices.Contains(k.versions, h.gv.Version) {
			return fmt.Sprintf("apiVersion %s is not known for %s; known are %s", h.apiVersion, h.kind, strings.Join(apiVersions(k), ", "))
		}
		return ""
	}
	elsewhere := kindIndex().byName[h.kind]
	switch {
	case h.gv.Group == "extensions" && len(elsewhere) > 0,
		closedGroups[h.gv.Group] && !builtIn(h.groupKind()) && len(elsewhere) > 0:
		return fmt.Sprintf("%s is no kind of %s; it is one of %s", h.kind, h.apiVersion, apiVersions(elsewhere[0])[0])
	case closedGroups[h.gv.Group] && !builtIn(h.groupKind()):
		return fmt.Sprintf("unknown kind %q in %s%s", h.kind, h.apiVersion, didYouMean(h.kind, kindsOfGroup(h.gv.Group)))
	case h.gv.Group == gatewayGroup:
		if near, ok := nearest(h.kind, kindsOfGroup(gatewayGroup)); ok && len(elsewhere) == 0 && !strings.HasPrefix(h.kind, "X") {
			return fmt.Sprintf("unknown kind %q in %s; did you mean %q?", h.kind, h.apiVersion, near)
		}
	case len(elsewhere) > 0:
		if near, ok := nearest(h.gv.Group, []string{elsewhere[0].group}); ok {
			return fmt.Sprintf("unknown group in apiVersion %s; did you mean %q?", h.apiVersion, near+"/"+elsewhere[0].versions[0])
		}
	}
	return ""
}

func apiVersions(k kind) []string {
	out := make([]string, len(k.versions))
	for i, v := range k.versions {
		out[i] = schema.GroupVersion{Group: k.group, Version: v}.String()
	}
	return out
}
