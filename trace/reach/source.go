package reach

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
)

// SourceKind is what sends requests. It is a closed list.
type SourceKind string

// The kinds of sources.
const (
	// WorkloadSource is a workload of the cluster, by the name people have for it.
	WorkloadSource SourceKind = "Workload"
	// UnmeshedSource is a pod without a proxy that could run in a namespace.
	UnmeshedSource SourceKind = "Unmeshed"
	// ExternalSource is a client outside the cluster.
	ExternalSource SourceKind = "External"
)

// Source is who may send requests.
type Source struct {
	Kind SourceKind
	// Ref is the workload, the namespace of an unmeshed pod, or the gateway's workload by which a client outside
	// enters; zero where that is the best one for each request.
	Ref resolve.Ref
	// Namespace is empty outside the cluster.
	Namespace string
	// clients are its pods, or what stands for them; those that Istio would not tell apart stand for one.
	clients []*trace.Client
	gateway *resolve.GatewayEntry
}

// Pods is how many pods the source has; 1 for what stands for any number.
func (s *Source) Pods() int { return max(1, len(s.clients)) }

// Clients are the pods, or what stands for them; none outside the cluster.
func (s *Source) Clients() []*trace.Client { return s.clients }

// Name is the source as --from takes it.
func (s *Source) Name() string {
	switch s.Kind {
	case ExternalSource:
		return External
	case UnmeshedSource:
		return s.Namespace + "/" + Unmeshed
	case WorkloadSource:
	}
	return s.Namespace + "/" + s.Local()
}

// Local is the name within the namespace: deployment/web.
func (s *Source) Local() string { return strings.ToLower(s.Ref.Kind) + "/" + s.Ref.Name }

// Sources are those that one of the patterns names: the workloads by namespace, kind and name, then the unmeshed pods by
// namespace, then the client outside. A gateway's own pods are named by their name alone. The error says that a pattern names nothing.
func Sources(s *resolve.Snapshot, patterns []Pattern) ([]*Source, error) {
	var out []*Source
	used := make([]bool, len(patterns))
	for _, workloads := range clientsIn(s, namespacesOf(s, patterns)) {
		out = append(out, workloadsOf(s, workloads, patterns, used)...)
	}
	slices.SortStableFunc(out, func(a, b *Source) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Ref.Kind, b.Ref.Kind), cmp.Compare(a.Ref.Name, b.Ref.Name))
	})
	for i, p := range patterns {
		switch {
		case p.unmeshed:
			out = append(out, unmeshed(s)...)
		case p.external:
			out = append(out, &Source{Kind: ExternalSource})
		case !used[i] && p.Text != All:
			return nil, fmt.Errorf("--from %q names no workload%s", p.Text, whereElse(s, p))
		}
	}
	return out, nil
}

// namespacesOf are the namespaces of which a pattern may name something.
func namespacesOf(s *resolve.Snapshot, patterns []Pattern) []string {
	return slices.DeleteFunc(s.NamespaceNames(), func(namespace string) bool {
		return !slices.ContainsFunc(patterns, func(p Pattern) bool { return p.inNamespace(namespace) })
	})
}

// namespacesAtOnce is how many namespaces are read at once: each may take a way to a server and back.
const namespacesAtOnce = 8

// clientsIn are the clients of each of the namespaces.
func clientsIn(s *resolve.Snapshot, namespaces []string) [][]*resolve.Workload {
	out := make([][]*resolve.Workload, len(namespaces))
	var g errgroup.Group
	g.SetLimit(namespacesAtOnce)
	for i, namespace := range namespaces {
		g.Go(func() error {
			out[i] = s.ClientsIn(namespace)
			return nil
		})
	}
	_ = g.Wait() // none of them fails: what cannot be read is a gap
	return out
}

// workloadsOf are those of the workloads of a namespace that a pattern names, and used the patterns that do.
func workloadsOf(s *resolve.Snapshot, workloads []*resolve.Workload, patterns []Pattern, used []bool) []*Source {
	var out []*Source
	byOwner := map[resolve.Ref]*Source{}
	for _, w := range workloads {
		gateway := w.Dataplane == resolve.DataplaneGateway || w.Dataplane == resolve.DataplaneWaypoint
		named := false
		for i, p := range patterns {
			if p.takes(w.Namespace, strings.ToLower(w.Owner.Kind), w.Owner.Name) || p.takesOther(w) {
				used[i] = true
				named = named || !gateway || !p.broad()
			}
		}
		if !named {
			continue
		}
		source := byOwner[w.Owner]
		if source == nil {
			source = &Source{Kind: WorkloadSource, Ref: w.Owner, Namespace: w.Namespace}
			byOwner[w.Owner] = source
			out = append(out, source)
		}
		source.clients = append(source.clients, trace.NewClient(s, w))
	}
	return out
}

// takesOther reports whether the pattern names the workload by its pod or its service account.
func (p Pattern) takesOther(w *resolve.Workload) bool {
	return p.kind != "" && (p.takes(w.Namespace, "pod", w.Pod) && w.Pod != "" || p.takes(w.Namespace, "serviceaccount", w.ServiceAccount)) &&
		(p.kind == "pod" || p.kind == "serviceaccount")
}

// whereElse tells what there is instead of what a pattern names.
func whereElse(s *resolve.Snapshot, p Pattern) string {
	namespaces := s.NamespaceNames()
	if slices.ContainsFunc(namespaces, p.inNamespace) {
		return ""
	}
	if len(namespaces) > 5 {
		namespaces = append(namespaces[:5:5], "…")
	}
	return "; there are the namespaces " + strings.Join(namespaces, ", ")
}

// unmeshed are pods without a proxy, one in each namespace.
func unmeshed(s *resolve.Snapshot) []*Source {
	var out []*Source
	for _, namespace := range s.NamespaceNames() {
		ref := resolve.Ref{Kind: "Namespace", Name: namespace}
		out = append(out, &Source{
			Kind: UnmeshedSource, Ref: ref, Namespace: namespace,
			clients: []*trace.Client{trace.NewClient(s, &resolve.Workload{
				Owner: ref, Namespace: namespace, ServiceAccount: "default", Dataplane: resolve.DataplaneNone,
				Replicas: 1, Ready: true, Anonymous: true, FromTemplate: true, Labels: map[string]string{},
			})},
		})
	}
	return out
}

// gateways are the ways into the cluster that serve the request.
func gateways(s *resolve.Snapshot, req trace.Request) []*Source {
	var out []*Source
	for _, g := range trace.GatewaysFor(s, req) {
		out = append(out, &Source{Kind: ExternalSource, Ref: g.Workload.Owner, gateway: &g})
	}
	return out
}

// MatrixSources are the sources of a matrix: those that the patterns name; without any every workload, and a client outside
// where a gateway serves one of the questions. The warnings are as those of a Report.
func MatrixSources(s *resolve.Snapshot, patterns []Pattern, questions []Question) ([]*Source, []trace.Warning, error) {
	if len(patterns) == 0 {
		patterns = []Pattern{{Text: All}}
		if slices.ContainsFunc(questions, func(q Question) bool { return len(trace.GatewaysFor(s, q.Request)) > 0 }) {
			patterns = append(patterns, Pattern{Text: External, external: true})
		}
	}
	sources, err := Sources(s, patterns)
	return sources, unread(s, patterns), err
}

// unread warns of what could not be read and may be a source that a pattern names.
func unread(s *resolve.Snapshot, patterns []Pattern) []trace.Warning {
	gaps := s.ClientGaps("")
	for _, namespace := range namespacesOf(s, patterns) {
		gaps = append(gaps, s.ClientGaps(namespace)...)
	}
	var out []trace.Warning
	for _, g := range gaps {
		w := trace.Warning{
			Ref:     resolve.Ref{Group: g.GroupKind.Group, Kind: g.GroupKind.Kind, Namespace: g.Namespace, Name: g.Name},
			Message: fmt.Sprintf("%s could not be read (%s): what it would tell of is not among the sources", gapText(g), g.Reason),
		}
		if !slices.Contains(out, w) {
			out = append(out, w)
		}
	}
	return out
}

// gapText names what could not be read.
func gapText(g resolve.Gap) string {
	switch {
	case g.Name != "":
		return "this " + g.GroupKind.Kind
	case g.Namespace != "":
		return "the kind " + g.GroupKind.Kind + " in namespace " + g.Namespace
	}
	return "the kind " + g.GroupKind.Kind
}
