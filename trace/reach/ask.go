package reach

import (
	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
)

// asker asks one request of sources, one at a time.
type asker struct {
	snapshot *resolve.Snapshot
	request  trace.Request
	crowd    *trace.Crowd
	outside  int
}

func newAsker(s *resolve.Snapshot, req trace.Request) *asker {
	req.From, req.Gateway = trace.SourceSpec{External: true}, ""
	return &asker{snapshot: s, request: req, crowd: trace.NewCrowd(s, req)}
}

// part are the pods of a source that fare alike.
type part struct {
	trace *trace.Trace
	pods  int
	// client is the first of them; nil outside the cluster.
	client *trace.Client
}

// ask asks all pods of the source.
func (a *asker) ask(source *Source) ([]part, error) {
	if source.Kind == ExternalSource {
		t, err := a.fromOutside(source)
		return []part{{trace: t, pods: 1}}, err
	}
	if len(source.clients) == 1 {
		t, err := a.crowd.Trace(source.clients[0])
		return []part{{t, 1, source.clients[0]}}, err
	}
	var parts []part
pods:
	for _, client := range source.clients {
		t, err := a.crowd.Trace(client)
		if err != nil {
			return nil, err
		}
		for i := range parts {
			if parts[i].trace == t {
				parts[i].pods++
				continue pods
			}
		}
		parts = append(parts, part{t, 1, client})
	}
	return parts, nil
}

func (a *asker) fromOutside(source *Source) (*trace.Trace, error) {
	a.outside++
	if source.gateway != nil {
		return trace.WalkBy(a.snapshot, a.request, *source.gateway, trace.DetailNone)
	}
	return trace.WalkView(a.snapshot, a.request, trace.DetailNone)
}

// walks is how many traces it took.
func (a *asker) walks() int { return a.crowd.Walks() + a.outside }
