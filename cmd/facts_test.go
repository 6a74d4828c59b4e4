package cmd

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mesh-trace/kubectl-mesh-trace/cmd/load/loadtest"
	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
	"github.com/mesh-trace/kubectl-mesh-trace/trace/render"
)

// factStages are those of facts alone, but that timeouts and retries are told by the rules of routes.
var factStages = []resolve.Stage{
	resolve.StageTrust,
	resolve.StageTimeout, resolve.StageRetry, resolve.StageConnection, resolve.StageCircuitBreaker, resolve.StageOutlierDetection,
	resolve.StageReplicas, resolve.StageTelemetry, resolve.StageProxy,
}

// TestFactsDecideNothing adds facts to the trace of every scenario: nothing else of it changes, and those of text are among those of
// documents.
func TestFactsDecideNothing(t *testing.T) {
	t.Parallel()
	told := map[resolve.Stage]int{}
	for c := range tracedScenarios(t) {
		s := resolve.NewSnapshot(c.input)
		walked, err := trace.Walk(s, c.request)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		want := render.NewDocument(walked, nil)
		walked.AddFacts(s, trace.FactsOfUnavailable)
		few := render.NewDocument(walked, nil)
		walked.AddFacts(s, trace.FactsOfAll)
		got := render.NewDocument(walked, nil)
		for i := range got.Hops {
			for _, f := range few.Hops[i].Facts {
				if !slices.Contains(got.Hops[i].Facts, f) {
					t.Errorf("%s: a fact of text is in no document: %+v", c.name, f)
				}
			}
			got.Hops[i].Facts = []render.Step{}
			for _, f := range walked.Hops[i].Facts {
				told[f.Stage]++
				if !slices.Contains(factStages, f.Stage) {
					t.Errorf("%s: %s is no stage of a fact", c.name, f.Stage)
				}
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-without +with facts):\n%s", c.name, diff)
		}
	}
	for _, stage := range factStages {
		if told[stage] == 0 {
			t.Errorf("no scenario has a fact of stage %s", stage)
		}
	}
}

const scaledMesh = clusterMesh + `---
apiVersion: v1
kind: Service
metadata: {name: ratings, namespace: shop}
spec: {clusterIP: 10.1.0.5, selector: {app: ratings}, ports: [{name: http, port: 9080}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: ratings, namespace: shop}
spec:
  replicas: 0
  selector: {matchLabels: {app: ratings}}
  template: {metadata: {labels: {app: ratings}}, spec: {containers: [{name: app, image: app}]}}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: ratings, namespace: shop}
spec: {scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: ratings}, minReplicas: 0, maxReplicas: 7}
status: {currentReplicas: 0, desiredReplicas: 0, conditions: [{type: ScalingActive, status: "True"}]}
`

// TestReplicasOfACluster asks for what is scaled to zero, with autoscalers that may be read, that may not, that are not there, and
// that are of an old version.
func TestReplicasOfACluster(t *testing.T) {
	autoscaler := schemaOf("HorizontalPodAutoscaler")
	for _, tc := range []struct {
		name   string
		server func(*testing.T, *loadtest.Server)
		says   string
	}{
		{"read", func(t *testing.T, s *loadtest.Server) { s.Apply(t, scaledMesh) }, "scaled to 0: no pod of it is wanted; HorizontalPodAutoscaler shop/ratings wants 0 of 0 to 7"},
		{"forbidden", func(t *testing.T, s *loadtest.Server) {
			s.Apply(t, scaledMesh)
			s.Forbid(autoscaler)
		}, "kind HorizontalPodAutoscaler in namespace shop could not be read (forbidden"},
		{"absent", func(t *testing.T, s *loadtest.Server) {
			s.Served = slices.DeleteFunc(s.Served, func(k loadtest.Kind) bool { return k == autoscaler })
			without, _, _ := strings.Cut(scaledMesh, "---\napiVersion: autoscaling/v2")
			s.Apply(t, without)
		}, "scaled to 0: no pod of it is wanted"},
		{"of an old version", func(t *testing.T, s *loadtest.Server) {
			s.Protobuf = true
			for i, k := range s.Served {
				if k == autoscaler {
					s.Served[i].Version = "v1"
				}
			}
			s.Apply(t, strings.ReplaceAll(scaledMesh, "autoscaling/v2", "autoscaling/v1"))
		}, "read as autoscaling/v1"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := loadtest.New(t)
			tc.server(t, s)
			for _, format := range []string{"text", "wide"} {
				got := fromCluster(t, s, "-o", format, "--from", "pod/web-1", "ratings:9080/")
				if got.Code != 0 || !strings.Contains(got.Out, tc.says) || !strings.Contains(got.Out, "scaled to 0") || !strings.HasPrefix(got.Out, "Unavailable 503 UH") {
					t.Errorf("want %q of an answer that is sure, got %d:\n%s%s", tc.says, got.Code, got.Out, got.ErrOut)
				}
			}
		})
	}
}

// schemaOf is the server's kind of a name.
func schemaOf(kind string) loadtest.Kind {
	kinds := loadtest.Kinds()
	return kinds[slices.IndexFunc(kinds, func(k loadtest.Kind) bool { return k.Kind == kind })]
}

// TestTextAsksForNoReplicasOfADelivery: the lists of autoscalers and budgets are for wide and documents, and for what is unavailable.
func TestTextAsksForNoReplicasOfADelivery(t *testing.T) {
	for format, want := range map[string]bool{"text": false, "mermaid": false, "wide": true, "json": true, "html": true} {
		t.Run(format, func(t *testing.T) {
			s := loadtest.New(t)
			s.Apply(t, strings.ReplaceAll(scaledMesh, "replicas: 0", "replicas: 1")+`---
apiVersion: v1
kind: Pod
metadata:
  name: ratings-1-x
  namespace: shop
  labels: {app: ratings, pod-template-hash: "1"}
  ownerReferences: [{apiVersion: apps/v1, kind: ReplicaSet, name: ratings-1, controller: true, uid: u}]
spec: {containers: [{name: app, image: app}]}
status: {phase: Running, podIP: 10.0.0.7, conditions: [{type: Ready, status: "True"}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: ratings-x, namespace: shop, labels: {kubernetes.io/service-name: ratings}}
addressType: IPv4
ports: [{name: http, port: 9080, protocol: TCP}]
endpoints: [{addresses: [10.0.0.7], conditions: {ready: true}, targetRef: {kind: Pod, name: ratings-1-x, namespace: shop}}]
`)
			got := fromCluster(t, s, "-o", format, "--from", "pod/web-1", "ratings:9080/")
			asked := slices.ContainsFunc(s.Asked(), func(line string) bool { return strings.Contains(line, "horizontalpodautoscalers?") })
			if got.Code != 0 || asked != want {
				t.Errorf("autoscalers are asked for: %v\n%s%s", asked, got.Out, got.ErrOut)
			}
		})
	}
}
