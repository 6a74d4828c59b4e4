package load

import (
	"net/netip"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

// SnapshotRunning is what a cluster did not tell of what runs in the mesh. It counts where it was asked for, and nowhere else.
type SnapshotRunning struct {
	Unread   []SnapshotUnread `json:"unread,omitempty"`
	Searches []SnapshotSearch `json:"searches,omitempty"`
}

// SnapshotUnread is what could not be read in one namespace.
type SnapshotUnread struct {
	In          string `json:"in,omitempty"`
	SnapshotGap `json:",inline"`
}

// SnapshotSearch is a search in all namespaces, and what could not be searched.
type SnapshotSearch struct {
	Group    string        `json:"group,omitempty"`
	Kind     string        `json:"kind"`
	Selector string        `json:"selector,omitempty"`
	Address  string        `json:"address,omitempty"`
	Name     string        `json:"name,omitempty"`
	Gaps     []SnapshotGap `json:"gaps"`
}

// NewSnapshotSearch is the form of a search in a snapshot.
func NewSnapshotSearch(q resolve.Sought, gaps []resolve.Gap) SnapshotSearch {
	s := searchOf(q)
	for _, g := range gaps {
		s.Gaps = append(s.Gaps, NewSnapshotGap(g))
	}
	return s
}

func searchOf(q resolve.Sought) SnapshotSearch {
	s := SnapshotSearch{Group: q.Kind.Group, Kind: q.Kind.Kind, Selector: q.Selector, Name: q.Name}
	if q.Address != (netip.Addr{}) {
		s.Address = q.Address.String()
	}
	return s
}

// Over lays the gaps over what runs, which may be nil where all of it is among the resources.
func (r SnapshotRunning) Over(below resolve.Deferred) resolve.Deferred {
	return &gapsOver{recorded: r, below: below}
}

type gapsOver struct {
	recorded SnapshotRunning
	below    resolve.Deferred
}

// Namespaces are those below.
func (g *gapsOver) Namespaces() []string {
	if g.below == nil {
		return nil
	}
	return g.below.Namespaces()
}

// In returns what runs below, with the gaps of the namespace.
func (g *gapsOver) In(namespace string, kinds []schema.GroupKind) []resolve.Listed {
	out := make([]resolve.Listed, len(kinds))
	if g.below != nil {
		out = g.below.In(namespace, kinds)
	}
	for i, kind := range kinds {
		for _, u := range g.recorded.Unread {
			if gap := u.gap(); u.In == namespace && gap.GroupKind == kind {
				out[i].Gaps = append(out[i].Gaps, gap)
			}
		}
	}
	return out
}

// Find returns where something may run below, and what could not be searched.
func (g *gapsOver) Find(q resolve.Sought) ([]string, []resolve.Gap) {
	var namespaces []string
	var gaps []resolve.Gap
	if g.below != nil {
		namespaces, gaps = g.below.Find(q)
	}
	asked := searchOf(q)
	for _, s := range g.recorded.Searches {
		if s.Group != asked.Group || s.Kind != asked.Kind || s.Selector != asked.Selector || s.Address != asked.Address || s.Name != asked.Name {
			continue
		}
		for _, gap := range s.Gaps {
			gaps = append(gaps, gap.gap())
		}
	}
	return namespaces, gaps
}

// Origin is that below.
func (g *gapsOver) Origin(ref resolve.Ref) resolve.Origin {
	if g.below == nil {
		return nil
	}
	return g.below.Origin(ref)
}

// Err is that below.
func (g *gapsOver) Err() error {
	if g.below == nil {
		return nil
	}
	return g.below.Err()
}
