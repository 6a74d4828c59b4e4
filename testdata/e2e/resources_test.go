package e2e

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	apiextensions "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/mesh-trace/kubectl-mesh-trace/testdata/conformance/apiserver"
	"github.com/mesh-trace/kubectl-mesh-trace/testdata/e2e/cluster"
)

// What becomes of the answers in docs/resources.md without the resource that they are about.

// row is one of docs/resources.md: its kinds, and the scenarios that show them.
type row struct {
	kinds     []string
	scenarios []string
}

var (
	rowPattern      = regexp.MustCompile(`(?m)^\| ([A-Z][A-Za-z, ]+) \|.*$`)
	scenarioPattern = regexp.MustCompile(`\(\.\./testdata/scenarios/([a-z0-9/-]+)\.txtar\)`)
)

func rows(t *testing.T) []row {
	t.Helper()
	var out []row
	for _, m := range rowPattern.FindAllStringSubmatch(repositoryFile(t, "docs/resources.md"), -1) {
		r := row{kinds: strings.Split(m[1], ", ")}
		for _, link := range scenarioPattern.FindAllStringSubmatch(m[0], -1) {
			r.scenarios = append(r.scenarios, link[1])
		}
		out = append(out, r)
	}
	if len(out) < 30 {
		t.Fatalf("%d rows", len(out))
	}
	return out
}

// noCompletion is why a row's own scenarios are not in a cluster here.
const noCompletion = "its scenarios cannot be in a cluster of a test; TestWithoutOneKindNoAnswerIsWrongAndCertain has it"

// notTaken are kinds of the table of which nothing can be taken away here, each with the reason.
var notTaken = map[string]string{
	"CustomResourceDefinition":       "four of them are read by name, and may be refused: TestWithoutOneKindNoAnswerIsWrongAndCertain",
	"Secret":                         "its existence is asked for only by those who say so: TestNothingOutOfASecretLeavesTheAPIServer",
	"MeshConfig":                     "it stands in a ConfigMap",
	"MeshNetworks":                   "it stands in a ConfigMap",
	"ReplicaSet":                     noCompletion,
	"Job":                            noCompletion,
	"CronJob":                        noCompletion,
	"EndpointSlice":                  noCompletion,
	"TLSRoute":                       noCompletion,
	"CertificateSigningRequest":      noCompletion,
	"ClusterTrustBundle":             "an API server does not serve it as it is installed",
	"IngressClass":                   "the completion of the conformance tests makes it",
	"ValidatingWebhookConfiguration": "--overlay alone asks for it, with files that are not here",
}

// TestWithoutAResourceOfTheTable asks what docs/resources.md shows of each resource: by somebody who may not list it, where it is not
// installed, and where it is served in an older version alone.
func TestWithoutAResourceOfTheTable(t *testing.T) {
	c := shared(t)
	definitions, inGroup := map[schema.GroupKind]*apiextensions.CustomResourceDefinition{}, map[string]int{}
	for _, set := range cluster.AllCRDs() {
		all, err := set.Definitions()
		if err != nil {
			t.Fatal(err)
		}
		for _, crd := range all {
			definitions[schema.GroupKind{Group: crd.Spec.Group, Kind: crd.Spec.Names.Kind}] = crd
			inGroup[crd.Spec.Group]++
		}
	}
	named := map[string]scenario{}
	for _, s := range scenarios(t) {
		named[s.name] = s
	}
	done := map[string]bool{}
	seen := map[string]int{}
	for _, r := range rows(t) {
		for _, name := range r.scenarios {
			t.Run(name, func(t *testing.T) {
				less := &lessOf{t: t, c: c, scenario: named[name], seen: seen}
				if !less.apply() {
					return
				}
				for _, kind := range less.kinds(r.kinds) {
					done[kind.Kind] = true
					less.denied(kind)
					crd := definitions[kind]
					if crd == nil {
						continue
					}
					if inGroup[kind.Group] > 1 { // a group that was gone is not served again for minutes; TestAKindThatIsNotInstalledHasNoObjects has them
						less.old(crd)
						less.absent(kind, crd)
					}
				}
			})
		}
	}
	t.Logf("answers: %v", seen)
	for _, r := range rows(t) {
		for _, kind := range r.kinds {
			if why := notTaken[kind]; !done[kind] && why == "" {
				t.Errorf("nothing was asked without %s", kind)
			} else if done[kind] && why != "" {
				t.Errorf("%s can be taken away", kind)
			}
		}
	}
	for _, verdict := range []string{"denied: " + lowered, "denied: " + same, "old", "absent"} {
		if seen[verdict] == 0 {
			t.Errorf("no answer is %s", verdict)
		}
	}
}

// lessOf is a scenario in the cluster, without one of its kinds.
type lessOf struct {
	t        *testing.T
	c        *cluster.Cluster
	scenario scenario
	mesh     mesh
	admin    string
	// full are the answers of who sees everything, by request.
	full []answer
	seen map[string]int
}

// apply fills the cluster with the scenario; false where it can't be.
func (l *lessOf) apply() bool {
	if why := l.scenario.leftOut(); why != "" {
		l.t.Log(why)
		return false
	}
	l.scenario.requests = slices.DeleteFunc(l.scenario.requests, func(request []string) bool {
		return slices.ContainsFunc(request, func(arg string) bool { return arg == "--overlay" || arg == "explain" })
	})
	var err error
	l.mesh, err = completed(l.scenario.manifests)
	if unjudged, ok := errors.AsType[apiserver.Unjudged](err); ok {
		l.t.Log(unjudged)
		return false
	}
	if err == nil {
		err = l.c.Reset()
	}
	if err != nil {
		l.t.Fatal(err)
	}
	if err := l.c.TryApply(l.t.Context(), l.mesh.yaml(l.t), repositoryFile(l.t, rbacManifest)); apierrors.IsInvalid(err) || meta.IsNoMatchError(err) {
		l.t.Log(err)
		return false
	} else if err != nil {
		l.t.Fatal(err)
	}
	l.admin = l.c.Kubeconfig(l.t, "")
	if len(l.scenario.requests) == 0 {
		return false
	}
	l.full = l.ask(l.admin)
	return true
}

func (l *lessOf) ask(kubeconfig string) []answer {
	l.t.Helper()
	var out []answer
	for _, request := range l.scenario.requests {
		var a answer
		a.stdout, a.stderr, a.exit = cluster.Kubectl(l.t, kubeconfig, append([]string{"mesh-trace", "-o", "json"}, request...)...)
		out = append(out, a)
	}
	return out
}

// kinds are those of the row that the scenario has.
func (l *lessOf) kinds(names []string) []schema.GroupKind {
	var out []schema.GroupKind
	for _, o := range l.mesh.objects {
		if kind := o.GroupVersionKind().GroupKind(); slices.Contains(names, kind.Kind) && !slices.Contains(out, kind) && notTaken[kind.Kind] == "" {
			out = append(out, kind)
		}
	}
	slices.SortFunc(out, func(a, b schema.GroupKind) int { return cmp.Compare(a.String(), b.String()) })
	return out
}

// denied asks as somebody who may list all but the kind.
func (l *lessOf) denied(kind schema.GroupKind) {
	l.t.Helper()
	resource, err := l.c.Resource(kind)
	if err != nil {
		l.t.Fatal(err)
	}
	role, inIstioSystem := documentedRoles(l.t)
	all := rights(role)
	i := slices.IndexFunc(all, func(r right) bool { return r.group == kind.Group && r.resource == resource })
	if i < 0 {
		l.t.Fatalf("docs/rbac.yaml does not have %s", kind)
	}
	user := "without-" + strings.ReplaceAll(l.scenario.name, "/", "-") + "-" + resource
	bind(l.t, l.c, user, without(role, all[i]), &inIstioSystem)
	await(l.t, l.c, user, "", attributes("list", cmp.Or(map[string]string{"services": "namespaces"}[resource], "services")), true)
	await(l.t, l.c, user, "", attributes("get", "configmaps", "istio-system"), true)
	for n, got := range l.ask(l.c.Kubeconfig(l.t, user)) {
		l.seen["denied: "+sound(l.t, fmt.Sprintf("without the right to list %s, request %d", resource, n), l.full[n], got)]++
	}
}

// old asks where the kind is served in its oldest version alone: the answers are the same, and tell of it.
func (l *lessOf) old(crd *apiextensions.CustomResourceDefinition) {
	l.t.Helper()
	if len(crd.Spec.Versions) < 2 {
		return
	}
	l.serving(crd, func(older *apiextensions.CustomResourceDefinition, version string) {
		for n, got := range l.ask(l.admin) {
			if verdict := sound(l.t, fmt.Sprintf("%s in %s, request %d", crd.Name, version, n), l.full[n], got); verdict == failed {
				l.t.Errorf("%s in %s: %s", crd.Name, version, got.stderr)
			}
			l.seen["old"]++
		}
	}, func(v string) bool { return v == oldest(crd) })
}

// oldest is the first version by age: v1alpha1 before v1alpha3, v1beta1, v1.
func oldest(crd *apiextensions.CustomResourceDefinition) string {
	age := func(version string) string {
		switch {
		case strings.Contains(version, "alpha"):
			return "0" + version
		case strings.Contains(version, "beta"):
			return "1" + version
		}
		return "2" + version
	}
	first := slices.MinFunc(crd.Spec.Versions, func(a, b apiextensions.CustomResourceDefinitionVersion) int {
		return cmp.Compare(age(a.Name), age(b.Name))
	})
	return first.Name
}

// absent asks where the kind is not served at all, and where it has no objects: both give the same.
func (l *lessOf) absent(kind schema.GroupKind, crd *apiextensions.CustomResourceDefinition) {
	l.t.Helper()
	var got []answer
	l.serving(crd, func(*apiextensions.CustomResourceDefinition, string) { got = l.ask(l.admin) }, func(string) bool { return false })
	var gone mesh
	for _, o := range l.mesh.objects {
		if o.GroupVersionKind().GroupKind() == kind {
			gone.objects = append(gone.objects, o)
		}
	}
	if err := l.c.Delete(l.t.Context(), gone.yaml(l.t)); err != nil {
		l.t.Fatal(err)
	}
	for n, want := range l.ask(l.admin) {
		if diff := gocmp.Diff(fatesOf(l.t, want), fatesOf(l.t, got[n])); diff != "" {
			l.t.Errorf("request %d (-without objects of %s +where it is not installed):\n%s", n, kind, diff)
		}
		l.seen["absent"]++
	}
	if err := l.c.ApplyObjects(l.t.Context(), gone.objects); err != nil {
		l.t.Fatal(err)
	}
}

// fatesOf are the outcomes without their certainty; what the program says where it refuses the request.
func fatesOf(t *testing.T, a answer) any {
	if a.exit != 0 {
		return a.stderr
	}
	return a.fates(t)
}

// serving has the cluster serve those versions of a kind alone, for as long as do runs.
func (l *lessOf) serving(crd *apiextensions.CustomResourceDefinition, do func(*apiextensions.CustomResourceDefinition, string), served func(version string) bool) {
	l.t.Helper()
	fewer, version := crd.DeepCopy(), ""
	for i := range fewer.Spec.Versions {
		v := &fewer.Spec.Versions[i]
		if v.Served = v.Served && served(v.Name); v.Served {
			version = v.Name
		}
	}
	if err := l.c.InstallCRDs(fewer); err != nil {
		l.t.Fatal(err)
	}
	do(fewer, version)
	if err := l.c.InstallCRDs(crd); err != nil {
		l.t.Fatal(err)
	}
}
