package conformance

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/testdata/conformance/apiserver"
	"github.com/mesh-trace/kubectl-mesh-trace/testdata/conformance/pilot"
	"github.com/mesh-trace/kubectl-mesh-trace/testdata/conformance/proxies"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
	"github.com/mesh-trace/kubectl-mesh-trace/trace/render"
)

// bench is where requests on the same manifests are judged.
type bench struct {
	t         testing.TB
	manifests map[string]string
	snapshot  *resolve.Snapshot
	mesh      side
	// outside is mesh where the manifests leave out no gateway.
	outside *side
	// trace answers a command line, and connect is the control plane of a cluster.
	trace   func(args []string, q trace.Request) (*render.Document, error)
	connect func(testing.TB, *apiserver.Cluster) (*pilot.World, error)
	// last is what was judged last; nil where nothing was, or they differed.
	last *judged
}

// judged is a request on which trace and pilot agree.
type judged struct {
	request   trace.Request
	document  *render.Document
	on        *side
	in        *entry
	anonymous *apiserver.Pod
}

// side is the cluster for requests from inside, or for those from outside: what the tracer assumes
// of gateways that the manifests leave out, it assumes for the latter only.
type side struct {
	cluster *apiserver.Cluster
	world   *pilot.World
	// lab is where its proxies run; nil before one was asked.
	lab *proxies.Lab
}

// newBench reads the manifests for both parties.
func newBench(t testing.TB, dir string, manifests map[string]string, namespace string) (*bench, error) {
	if holds(manifests, "CustomResourceDefinition") {
		return nil, skipped{"the fake server of Istio has CRDs of its own, of one release"}
	}
	b := &bench{t: t, manifests: manifests, connect: pilot.New}
	b.trace = func(_ []string, q trace.Request) (*render.Document, error) { return traced(b.snapshot, q) }
	var err error
	if b.snapshot, err = load(dir, manifests, namespace); err != nil {
		return nil, err
	}
	if b.mesh.cluster, err = apiserver.New(manifests); err != nil {
		return nil, err
	}
	b.outside = &side{}
	if b.outside.cluster, err = apiserver.NewWithGateways(manifests); err != nil {
		return nil, err
	}
	if len(b.outside.cluster.Pods) == len(b.mesh.cluster.Pods) {
		b.outside = &b.mesh
	}
	return b, nil
}

// holds reports whether the manifests have an object of the kind.
func holds(manifests map[string]string, kind string) bool {
	for _, text := range manifests {
		if strings.Contains(text, "\nkind: "+kind+"\n") {
			return true
		}
	}
	return false
}

// judge asks both parties. diff is empty where they agree; an error of the kind skipped says why
// there is nothing to compare.
func (b *bench) judge(args []string) (diff string, err error) {
	b.last = nil
	q, err := parse(args)
	if err != nil {
		return "", err
	}
	document, err := b.trace(args, q)
	if err != nil {
		return "", err
	}
	on := &b.mesh
	if document.Request.Source.Kind == "External" {
		on = b.outside
	}
	var in *entry
	var anonymous *apiserver.Pod
	switch document.Request.Source.Kind {
	case "External":
		if len(document.Hops) == 0 || document.Hops[0].Proxy != "gateway" {
			return "", skipped{"no gateway workload takes the request"}
		}
		in = &entry{gateway: podOf(on.cluster, ownerName(document.Hops[0].Workload))}
		if in.gateway == nil {
			return "", skipped{"the gateway is no pod of the cluster: " + ownerName(document.Hops[0].Workload)}
		}
		if l := document.Hops[0].Envoy.Listener; l != "" {
			in.port, _ = strconv.Atoi(l[strings.LastIndex(l, "_")+1:])
		}
	case "Anonymous":
		if document.Request.Source.Cluster != "" {
			return "", skipped{"an assumed client in a remote cluster, which is not made"}
		}
		before := len(on.cluster.Pods)
		if anonymous = on.cluster.AddClient(q.From.DefaultNamespace); len(on.cluster.Pods) > before {
			on.forget()
		}
	}
	if unplaced(document) {
		return "", skipped{"the trace says that it does not know where the client or an endpoint runs"}
	}
	if len(document.Outcomes) > 1 && slices.ContainsFunc(document.Outcomes, circle) {
		return "", skipped{"a circle that a part of the requests leaves at each turn"}
	}
	shorten(document)
	ours, undetermined := said(document, on.cluster)
	if undetermined {
		return "", skipped{"the trace says undetermined"}
	}
	if on.world == nil {
		if on.world, err = b.connect(b.t, on.cluster); err != nil {
			return "", err
		}
	}
	outcomes, err := ask(on.world, on.cluster, q, in, anonymous)
	if err != nil {
		return "", err
	}
	outcomes = shortened(outcomes, document)
	pilots, unknown := played(outcomes, q, on.cluster)
	if unknown != "" {
		return "", skipped{"not played: " + unknown}
	}
	if diff := difference(pilots.lines(ours), ours.lines(pilots)); diff != "" {
		if takenForNothing(document) {
			return "", skipped{"the trace says that it takes a patch to change nothing, and the patch changes something"}
		}
		return diff, nil
	}
	if diff := cmp.Diff(refusalsPlayed(outcomes), refusalsSaid(document)); diff != "" {
		return diff, nil
	}
	if diff := cmp.Diff(unsaid(pilots, document, on.cluster), []string(nil)); diff != "" {
		return diff, nil
	}
	b.last = &judged{request: q, document: document, on: on, in: in, anonymous: anonymous}
	return "", nil
}

// takenForNothing reports whether the trace says of a patch that it does not know what that does.
func takenForNothing(d *render.Document) bool {
	return slices.ContainsFunc(d.Hops, func(h render.Hop) bool {
		return slices.ContainsFunc(h.Steps, func(s render.Step) bool {
			return s.Rule == string(resolve.RuleEnvoyFilter) && s.Verdict == string(resolve.Warned)
		})
	})
}

// conversionQuestion stands in a list of requests for what istiod makes of the Gateway API objects.
const conversionQuestion = "conversion"

// conversion compares what both parties make of Gateway API objects.
func (b *bench) conversion() (diff string, err error) {
	if b.mesh.world == nil {
		if b.mesh.world, err = b.connect(b.t, b.mesh.cluster); err != nil {
			return "", err
		}
	}
	return conversion(b.snapshot, b.mesh.world) + conditions(b.snapshot, b.mesh.cluster, b.mesh.world.Statuses()), nil
}

var unplacedRules = []resolve.RuleID{resolve.RuleEndpointNodeUnknown, resolve.RuleLocalityUnknown, resolve.RuleNetworkUnknown, resolve.RuleNetworkResolved}

// unplaced reports whether the trace had to leave out a comparison of nodes, localities or networks that no manifest tells, or takes a
// name for what istiod resolves.
func unplaced(d *render.Document) bool {
	for _, h := range d.Hops {
		for _, s := range h.Steps {
			if s.Verdict == string(resolve.Warned) && slices.Contains(unplacedRules, resolve.RuleID(s.Rule)) {
				return true
			}
		}
	}
	return false
}
