package snapshot

import (
	"cmp"
	"slices"
	"sync"

	"github.com/mesh-trace/kubectl-mesh-trace/cmd/load"
	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

// recorder keeps what a trace asks for while it is walked: what runs in a namespace, and single Secrets and ConfigMaps.
type recorder struct {
	deferred resolve.Deferred

	mu      sync.Mutex
	running []resolve.Sourced
	// asked are the answers by question; frozen answers nothing new.
	secrets    map[resolve.Ref]resolve.Secret
	configMaps map[resolve.Ref]resolve.ConfigMap
	frozen     bool
}

// record puts a recorder between the input and those who ask it.
func record(in *resolve.Input) *recorder {
	r := &recorder{secrets: map[resolve.Ref]resolve.Secret{}, configMaps: map[resolve.Ref]resolve.ConfigMap{}}
	if in.Deferred != nil {
		r.deferred, in.Deferred = in.Deferred, r
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

// Namespaces are those in which something runs.
func (r *recorder) Namespaces() []string { return r.deferred.Namespaces() }

// In returns what runs in the namespace, and keeps it.
func (r *recorder) In(namespace string) []resolve.Sourced {
	found := r.deferred.In(namespace)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.running = append(r.running, found...)
	return found
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
			a.Authority = authorityOf(m)
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
