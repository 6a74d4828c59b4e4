package snapshot

import (
	"cmp"
	"slices"
	"sync"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/mesh-trace/kubectl-mesh-trace/cmd/load"
	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

// recorder keeps what a trace asks for while it is walked: what runs in a namespace, and single Secrets and ConfigMaps.
type recorder struct {
	mu      sync.Mutex
	running []resolve.Sourced
	// gaps are what could not be read of what runs.
	gaps load.SnapshotRunning
	// remoteGaps are those of remote clusters.
	remoteGaps []resolve.Gap
	// asked are the answers by question; frozen answers nothing new.
	secrets    map[resolve.Ref]resolve.Secret
	configMaps map[resolve.Ref]resolve.ConfigMap
	frozen     bool
}

// record puts a recorder between the input and those who ask it.
func record(in *resolve.Input) *recorder {
	r := &recorder{secrets: map[resolve.Ref]resolve.Secret{}, configMaps: map[resolve.Ref]resolve.ConfigMap{}}
	if in.Deferred != nil {
		in.Deferred = recorded{in.Deferred, r}
	}
	in.Remotes = slices.Clone(in.Remotes)
	for i, remote := range in.Remotes {
		if remote.Deferred != nil {
			in.Remotes[i].Deferred = recorded{remote.Deferred, r}
		}
	}
	if ask := in.Secret; ask != nil {
		in.Secret = func(namespace, name string) resolve.Secret {
			return answer(r, r.secrets, namespace, name, func() resolve.Secret {
				s := ask(namespace, name)
				s.Unknown = withoutDetail(s.Unknown)
				return s
			}, func(g *resolve.Gap) resolve.Secret { return resolve.Secret{Unknown: g} })
		}
	}
	if ask := in.ConfigMap; ask != nil {
		in.ConfigMap = func(namespace, name string) resolve.ConfigMap {
			return answer(r, r.configMaps, namespace, name, func() resolve.ConfigMap {
				m := ask(namespace, name)
				m.Unknown = withoutDetail(m.Unknown)
				return m
			}, func(g *resolve.Gap) resolve.ConfigMap { return resolve.ConfigMap{Unknown: g} })
		}
	}
	return r
}

func answer[T any](r *recorder, known map[resolve.Ref]T, namespace, name string, ask func() T, unknown func(*resolve.Gap) T) T {
	key := resolve.Ref{Namespace: namespace, Name: name}
	r.mu.Lock()
	defer r.mu.Unlock()
	if a, ok := known[key]; ok {
		return a
	}
	if r.frozen {
		return unknown(&resolve.Gap{Namespace: namespace, Name: name, Reason: resolve.GapFailed, Detail: "not in the snapshot"})
	}
	a := ask()
	known[key] = a
	return a
}

// freeze ends the recording.
func (r *recorder) freeze() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.frozen = true
}

// recorded is what runs in one cluster.
type recorded struct {
	resolve.Deferred
	by *recorder
}

// In returns what runs in the namespace, and keeps it.
func (d recorded) In(namespace string, kinds []schema.GroupKind) []resolve.Listed {
	listed := d.Deferred.In(namespace, kinds)
	r := d.by
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range listed {
		r.running = append(r.running, listed[i].Resources...)
		listed[i].Gaps = withoutDetails(listed[i].Gaps)
		for _, g := range listed[i].Gaps {
			if g.Cluster != "" {
				r.remoteGaps = append(r.remoteGaps, g)
				continue
			}
			r.gaps.Unread = append(r.gaps.Unread, load.SnapshotUnread{In: namespace, SnapshotGap: load.NewSnapshotGap(g)})
		}
	}
	return listed
}

// Find returns where something that is sought may run, and keeps what could not be searched.
func (d recorded) Find(q resolve.Sought) ([]string, []resolve.Gap) {
	namespaces, gaps := d.Deferred.Find(q)
	gaps = withoutDetails(gaps)
	r := d.by
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, g := range gaps {
		if g.Cluster != "" {
			r.remoteGaps = append(r.remoteGaps, g)
		}
	}
	if first := slices.DeleteFunc(slices.Clone(gaps), func(g resolve.Gap) bool { return g.Cluster != "" }); len(first) > 0 {
		r.gaps.Searches = append(r.gaps.Searches, load.NewSnapshotSearch(q, first))
	}
	return namespaces, gaps
}

// secretAnswers are those that were given, in the order of their names.
func (r *recorder) secretAnswers() []load.SnapshotAnswer {
	var out []load.SnapshotAnswer
	for key, s := range r.secrets {
		a := load.SnapshotAnswer{Namespace: key.Namespace, Name: key.Name, Type: s.Type}
		a.State, a.Detail = stateOf(s.Found, s.Unknown)
		out = append(out, a)
	}
	return sortAnswers(out)
}

func (r *recorder) configMapAnswers() []load.SnapshotAnswer {
	var out []load.SnapshotAnswer
	for key, m := range r.configMaps {
		a := load.SnapshotAnswer{Namespace: key.Namespace, Name: key.Name}
		a.State, a.Detail = stateOf(m.Found, m.Unknown)
		if a.State == load.AnswerFound {
			a.Authority, a.Roots = authorityOf(m), m.Roots
		}
		out = append(out, a)
	}
	return sortAnswers(out)
}

func stateOf(found bool, unknown *resolve.Gap) (state, detail string) {
	switch {
	case unknown != nil:
		return string(unknown.Reason), unknown.Detail
	case found:
		return load.AnswerFound, ""
	}
	return load.AnswerAbsent, ""
}

func sortAnswers(answers []load.SnapshotAnswer) []load.SnapshotAnswer {
	slices.SortFunc(answers, func(a, b load.SnapshotAnswer) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	return answers
}

// runningGaps are what could not be read of what runs, in the order of its names.
func (r *recorder) runningGaps() load.SnapshotRunning {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := load.SnapshotRunning{Unread: slices.Clone(r.gaps.Unread), Searches: slices.Clone(r.gaps.Searches)}
	slices.SortFunc(out.Unread, func(a, b load.SnapshotUnread) int {
		return cmp.Or(cmp.Compare(a.In, b.In), cmp.Compare(a.Group, b.Group), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name))
	})
	slices.SortFunc(out.Searches, func(a, b load.SnapshotSearch) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Selector, b.Selector), cmp.Compare(a.Address, b.Address), cmp.Compare(a.Name, b.Name))
	})
	return out
}
