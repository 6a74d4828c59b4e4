package reach

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mesh-trace/kubectl-mesh-trace/cmd/load"
	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
)

const manifests = `
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {istio-injection: enabled}}
---
apiVersion: v1
kind: Namespace
metadata: {name: other}
---
apiVersion: v1
kind: Service
metadata: {name: reviews, namespace: shop}
spec: {selector: {app: reviews}, ports: [{name: http, port: 80}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: reviews, namespace: shop}
spec: {selector: {matchLabels: {app: reviews}}, template: {metadata: {labels: {app: reviews}}, spec: {serviceAccountName: reviews, containers: [{name: app, image: app}]}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec: {selector: {matchLabels: {app: web}}, template: {metadata: {labels: {app: web}}, spec: {serviceAccountName: web, containers: [{name: app, image: app}]}}}
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: nightly, namespace: other}
spec: {schedule: "@daily", jobTemplate: {spec: {template: {spec: {restartPolicy: Never, containers: [{name: app, image: app}]}}}}}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: readers, namespace: shop}
spec: {selector: {matchLabels: {app: reviews}}, rules: [{from: [{source: {principals: [cluster.local/ns/shop/sa/web]}}]}]}
`

func meshOf(t *testing.T) *resolve.Snapshot {
	t.Helper()
	in, err := load.Manifests(load.ManifestOptions{Paths: []string{"-"}, Stdin: strings.NewReader(manifests)})
	if err != nil {
		t.Fatal(err)
	}
	return resolve.NewSnapshot(in)
}

func patternsOf(t *testing.T, texts ...string) []Pattern {
	t.Helper()
	var out []Pattern
	for _, text := range texts {
		p, err := ParseSource(text, "shop")
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, p)
	}
	return out
}

func TestSources(t *testing.T) {
	for _, tc := range []struct {
		name     string
		patterns []string
		want     []string
	}{
		{"all", []string{"all"}, []string{"other/cronjob/nightly", "shop/deployment/reviews", "shop/deployment/web"}},
		{"each once, whatever names it", []string{"shop", "deployment/web", "shop/web"}, []string{"shop/deployment/reviews", "shop/deployment/web"}},
		{"by service account", []string{"sa/web"}, []string{"shop/deployment/web"}},
		{"unmeshed and outside stand last", []string{"external", "unmeshed", "other"}, []string{"other/cronjob/nightly", "external", "other/unmeshed", "shop/unmeshed"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			sources, err := Sources(meshOf(t), patternsOf(t, tc.patterns...))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, s := range sources {
				got = append(got, s.Name())
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
	for text, want := range map[string]string{
		"nowhere":  `--from "nowhere" names no workload; there are the namespaces other, shop`,
		"shop/api": `--from "shop/api" names no workload`,
	} {
		if _, err := Sources(meshOf(t), patternsOf(t, text)); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}

// Who is let through comes first, then the larger group; each source is counted once.
func TestWhoCan(t *testing.T) {
	req, err := trace.NewRequest(trace.Typed{URL: "http://reviews.shop/", Namespace: "shop"})
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name                 string
		patterns             []string
		all, through, partly int
		groups               []string
	}{
		{"everybody", nil, 5, 1, 0, []string{"let through: shop/deployment/web", "stopped: other/cronjob/nightly shop/deployment/reviews other/unmeshed shop/unmeshed"}},
		{"one that is let through", []string{"deployment/web"}, 1, 1, 0, []string{"let through: shop/deployment/web"}},
		{"one that is not", []string{"other"}, 1, 0, 0, []string{"stopped: other/cronjob/nightly"}},
		{"outside, where no gateway serves the host", []string{"external"}, 1, 0, 0, []string{"stopped: external"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r, err := WhoCan(meshOf(t), req, patternsOf(t, tc.patterns...))
			if err != nil {
				t.Fatal(err)
			}
			var groups []string
			for _, g := range r.Groups {
				line := string(g.Answer.Reach()) + ":"
				for _, m := range g.Members {
					line += " " + m.Source.Name()
				}
				groups = append(groups, line)
			}
			if diff := cmp.Diff(tc.groups, groups); diff != "" {
				t.Error(diff)
			}
			if all, through, partly := r.Count(); all != tc.all || through != tc.through || partly != tc.partly {
				t.Errorf("%d of %d, %d in part", through, all, partly)
			}
			if stopped := r.CountOf(Stopped); stopped != tc.all-tc.through {
				t.Errorf("%d stopped", stopped)
			}
		})
	}
}

// A source of which some pods are let through is counted in part, and in both groups.
func TestCountInPart(t *testing.T) {
	through := Sum(&trace.Trace{Outcomes: []trace.Outcome{outcome(100, trace.Delivered, trace.Certain)}})
	stopped := Sum(&trace.Trace{Outcomes: []trace.Outcome{outcome(100, trace.Denied, trace.Certain)}})
	half := Sum(&trace.Trace{Outcomes: []trace.Outcome{outcome(50, trace.Delivered, trace.Certain), outcome(50, trace.Denied, trace.Certain)}})
	a, b, c, d := &Source{}, &Source{}, &Source{}, &Source{}
	r := &Report{Groups: []Group{
		{Answer: through, Members: []Member{{Source: a}, {Source: b}}},
		{Answer: half, Members: []Member{{Source: c}}},
		{Answer: stopped, Members: []Member{{Source: b}, {Source: d}}},
	}}
	if all, passed, partly := r.Count(); all != 4 || passed != 1 || partly != 2 {
		t.Errorf("%d of %d, %d in part", passed, all, partly)
	}
	if r.CountOf(LetThrough) != 2 || r.CountOf(Partly) != 1 || r.CountOf(Stopped) != 2 {
		t.Errorf("%d, %d, %d", r.CountOf(LetThrough), r.CountOf(Partly), r.CountOf(Stopped))
	}
}
