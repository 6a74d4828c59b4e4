package trace

import (
	"regexp"
	"strings"
)

// External is how a client outside the cluster is written.
const External = "external"

// SourceKinds lists the kinds a request can come from, as --from names them.
func SourceKinds() []string {
	kinds := make([]string, len(sourceKinds))
	for i, k := range sourceKinds {
		kinds[i] = k.name
	}
	return kinds
}

// sourceKinds are the kinds with the short names kubectl has for them, and the
// group that `kubectl get -o name` writes behind them.
var sourceKinds = []struct{ name, short, group string }{
	{"pod", "po", ""},
	{"deployment", "deploy", "apps"},
	{"statefulset", "sts", "apps"},
	{"daemonset", "ds", "apps"},
	{"replicaset", "rs", "apps"},
	{"job", "", "batch"},
	{"cronjob", "cj", "batch"},
	{"serviceaccount", "sa", ""},
	{"workloadentry", "we", "networking.istio.io"},
}

// ParseSource reads a source:
//
//  1. Nothing leaves the choice to the trace.
//  2. external is a client outside the cluster.
//  3. [NAMESPACE/]KIND/NAME, where KIND is written as for kubectl: singular, plural, short, or with its group.
//  4. A name alone is a pod's.
//  5. CLUSTER: before any of these but 2 is the client's cluster, of several.
func ParseSource(from string) (SourceSpec, error) {
	if cluster, rest, ok := strings.Cut(from, ":"); ok {
		if !IsCluster(cluster) {
			return SourceSpec{}, refuse(InputFrom, "%q: %q is not the id of a cluster", from, cluster)
		}
		s, err := parseInCluster(rest)
		if err == nil && s.External {
			return SourceSpec{}, refuse(InputFrom, "%q: a client outside has no cluster; expected external alone", from)
		}
		s.Cluster = cluster
		return s, err
	}
	return parseInCluster(from)
}

// parseInCluster is rules 1 to 4. No name has a colon, so that a second cluster is none either.
func parseInCluster(from string) (SourceSpec, error) {
	switch from {
	case "":
		return SourceSpec{}, nil
	case External:
		return SourceSpec{External: true}, nil
	}
	parts := strings.Split(from, "/")
	s := SourceSpec{Kind: "pod", Name: parts[len(parts)-1]}
	if len(parts) > 3 {
		return SourceSpec{}, refuse(InputFrom, "%q: expected [NAMESPACE/]KIND/NAME, a pod's name, or external", from)
	}
	if len(parts) >= 2 {
		kind := parts[len(parts)-2]
		var ok bool
		if s.Kind, ok = sourceKind(kind); !ok {
			return SourceSpec{}, refuse(InputFrom, "%q: %q is no kind a request comes from; expected [NAMESPACE/]KIND/NAME with KIND one of %s",
				from, kind, strings.Join(SourceKinds(), ", "))
		}
	}
	if len(parts) == 3 {
		s.Namespace = parts[0]
		if !isObjectName(s.Namespace) {
			return SourceSpec{}, refuse(InputFrom, "%q: %q is not a namespace", from, s.Namespace)
		}
	}
	if !isObjectName(s.Name) {
		return SourceSpec{}, refuse(InputFrom, "%q: %q is not the name of an object", from, s.Name)
	}
	return s, nil
}

// sourceKind is the kind in the singular, from any way of writing it.
func sourceKind(written string) (string, bool) {
	written, group, hasGroup := strings.Cut(strings.ToLower(written), ".")
	for _, k := range sourceKinds {
		if hasGroup && group != k.group {
			continue
		}
		plural := k.name + "s"
		if stem, ok := strings.CutSuffix(k.name, "y"); ok {
			plural = stem + "ies"
		}
		if written == k.name || written == plural || (k.short != "" && written == k.short) {
			return k.name, true
		}
	}
	return "", false
}

// objectName is a DNS subdomain of RFC 1123, which every kind above is named by.
var objectName = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`)

// clusterID is what stands before the colon: ids of clusters are free, but these characters are what people use.
var clusterID = regexp.MustCompile(`^[A-Za-z0-9]([-A-Za-z0-9_.@/]*[A-Za-z0-9])?$`)

// IsCluster reports whether the text can be the id of a cluster.
func IsCluster(s string) bool { return len(s) <= 253 && clusterID.MatchString(s) }

func isObjectName(s string) bool { return len(s) <= 253 && objectName.MatchString(s) }
