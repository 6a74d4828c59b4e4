package resolve

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// What a snapshot tells of one of its own workloads whatever the request, made when a trace first asks
// for it and shared by all that follow. Nothing changes it afterwards: slices end where their memory does,
// so that appending to one makes a copy.

// remembered leads from a workload to what its snapshot keeps of it. A copy of the workload does not count.
type remembered struct {
	snapshot *Snapshot
	workload *Workload
	answers  atomic.Pointer[workloadAnswers] // most workloads are never asked about
}

// workloadAnswers are what a snapshot tells of one workload.
type workloadAnswers struct {
	scope           memo[struct{}, scopeAnswer]
	likeness        memo[struct{}, sameness]
	policies        memo[bool, policiesOn] // true for CUSTOM policies
	ztunnelPolicies memo[struct{}, policiesOn]
	ztunnelMTLS     memo[ztunnelMTLSKey, ztunnelMTLS]
	jwt             memo[struct{}, jwtRules]
	patches         memo[struct{}, proxyPatches]
	mtls            memo[int, MTLS]
	inbound         memo[inboundKey, inboundAnswer]
	clusters        memo[clusterKey, clusterAnswer]
	network         memo[struct{}, network]
	// Those of waypoints.
	serving memo[*Service, *Workload]
	hosts   memo[waypointHostKey, *VirtualHost]
}

// remember lets the snapshot keep what it tells of the workload.
func (s *Snapshot) remember(w *Workload) { w.remembered = &remembered{snapshot: s, workload: w} }

// known is what the snapshot keeps of the workload. For one that is not its own nothing is kept.
func (s *Snapshot) known(w *Workload) *workloadAnswers {
	r := w.remembered
	if r == nil || r.snapshot != s || r.workload != w {
		return &workloadAnswers{}
	}
	if r.answers.Load() == nil {
		r.answers.CompareAndSwap(nil, &workloadAnswers{})
	}
	return r.answers.Load()
}

// memo keeps answers by their question.
type memo[K comparable, V any] struct {
	mu      sync.RWMutex
	answers map[K]V
}

// of returns the answer, which find finds the first time. Two that ask at once may both find it; it is the same.
func (m *memo[K, V]) of(key K, find func() V) V {
	m.mu.RLock()
	answer, ok := m.answers[key]
	m.mu.RUnlock()
	if ok {
		return answer
	}
	answer = find()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.answers == nil {
		m.answers = map[K]V{}
	}
	m.answers[key] = answer
	return answer
}

// sameness is equal for workloads that nothing tells apart but their address.
type sameness struct{ who, labels string }

// Likeness tells workloads apart, in two parts to be compared one after the other: who it is (owner, data
// plane, service account), and its labels and annotations.
func (s *Snapshot) Likeness(w *Workload) (who, labels string) {
	l := s.known(w).likeness.of(struct{}{}, func() sameness { return likenessOf(w) })
	return l.who, l.labels
}

func likenessOf(w *Workload) sameness {
	var b strings.Builder
	for _, pairs := range []map[string]string{w.Labels, w.Annotations} {
		for _, k := range slices.Sorted(maps.Keys(pairs)) {
			b.WriteString("|" + k + "=" + pairs[k])
		}
	}
	return sameness{w.Owner.String() + "|" + string(w.Dataplane) + "|" + w.ServiceAccount, b.String()}
}
