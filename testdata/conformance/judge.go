package conformance

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mesh-trace/kubectl-mesh-trace/testdata/conformance/apiserver"
	"github.com/mesh-trace/kubectl-mesh-trace/testdata/conformance/pilot"
)

// judge asks both parties. diff is empty where they agree; an error of the kind skipped says why
// there is nothing to compare.
func judge(t testing.TB, dir string, manifests map[string]string, args []string) (diff string, err error) {
	q, err := parse(args)
	if err != nil {
		return "", err
	}
	document, err := traced(dir, manifests, q)
	if err != nil {
		return "", err
	}
	c, err := apiserver.New(manifests)
	if err != nil {
		return "", err
	}
	var entered, anonymous *apiserver.Pod
	switch document.Request.Source.Kind {
	case "External":
		if len(document.Hops) == 0 || document.Hops[0].Proxy != "gateway" {
			return "", skipped{"no gateway workload takes the request"}
		}
		if entered = podOf(c, ownerName(document.Hops[0].Workload)); entered == nil {
			return "", skipped{"the gateway is no pod of the cluster: " + ownerName(document.Hops[0].Workload)}
		}
	case "Anonymous":
		anonymous = c.AddClient(q.From.DefaultNamespace)
	}
	ours, undetermined := said(document, c)
	if undetermined {
		return "", skipped{"the trace says undetermined"}
	}
	if err := captured(c); err != nil {
		return "", err
	}
	world, err := pilot.New(t, c)
	if err != nil {
		return "", err
	}
	outcomes, err := ask(world, c, q, entered, anonymous)
	if err != nil {
		return "", err
	}
	pilots, unknown := played(outcomes, q, c)
	if unknown != "" {
		return "", skipped{"not played: " + unknown}
	}
	return cmp.Diff(pilots.lines(), ours.lines()), nil
}

// captured refuses clusters whose pods say what their proxy captures: that is the business of the
// pod's network rules, not of istiod.
func captured(c *apiserver.Cluster) error {
	for _, p := range c.Pods {
		for k := range p.Annotations {
			if strings.HasPrefix(k, "traffic.sidecar.istio.io/") {
				return skipped{"capture: annotation " + k}
			}
		}
	}
	return nil
}
