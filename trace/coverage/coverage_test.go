package coverage

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	networkingapi "istio.io/api/networking/v1alpha3"
	networking "istio.io/client-go/pkg/apis/networking/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
)

func prefix(path string) []*networkingapi.HTTPMatchRequest {
	return []*networkingapi.HTTPMatchRequest{{Uri: &networkingapi.StringMatch{MatchType: &networkingapi.StringMatch_Prefix{Prefix: path}}}}
}

func route(host string) []*networkingapi.HTTPRouteDestination {
	return []*networkingapi.HTTPRouteDestination{{Destination: &networkingapi.Destination{Host: host}}}
}

// mesh is a VirtualService with three entries, of which the second has two matches and the third delegates to two entries.
func mesh() *resolve.Snapshot {
	meta := func(name string) metav1.ObjectMeta { return metav1.ObjectMeta{Namespace: "shop", Name: name} }
	service := &corev1.Service{ObjectMeta: meta("web")}
	service.Spec.Ports = []corev1.ServicePort{{Name: "http", Port: 80}}
	root, leaf := &networking.VirtualService{ObjectMeta: meta("root")}, &networking.VirtualService{ObjectMeta: meta("leaf")}
	root.Spec.Hosts = []string{"web"}
	root.Spec.Http = []*networkingapi.HTTPRoute{
		{Match: prefix("/a"), Route: route("web")},
		{Match: append(prefix("/b"), prefix("/c")...), Route: route("web")},
		{Match: prefix("/d"), Delegate: &networkingapi.Delegate{Name: "leaf"}},
	}
	leaf.Spec.Http = []*networkingapi.HTTPRoute{{Match: prefix("/d/e"), Route: route("web")}, {Route: route("web")}}
	in := resolve.Input{Offline: true}
	for kind, o := range map[schema.GroupKind]resolve.Object{{Kind: "Service"}: service, {Group: "networking.istio.io", Kind: "VirtualService"}: root} {
		in.Resources = append(in.Resources, resolve.Sourced{Object: o, GroupKind: kind})
	}
	in.Resources = append(in.Resources, resolve.Sourced{Object: leaf, GroupKind: schema.GroupKind{Group: "networking.istio.io", Kind: "VirtualService"}})
	return resolve.NewSnapshot(in)
}

func TestRules(t *testing.T) {
	for _, tc := range []struct{ path, want string }{
		{"/a", "root spec.http[0]"},
		{"/c", "root spec.http[1].match[1]"},
		{"/d/e/f", "leaf spec.http[0], root spec.http[2]"},
		{"/d/x", "leaf spec.http[1], root spec.http[2]"},
		{"/none", ""},
	} {
		t.Run(tc.path, func(t *testing.T) {
			s := mesh()
			q, err := trace.NewRequest(trace.Typed{URL: "http://web.shop" + tc.path, Namespace: "shop"})
			if err != nil {
				t.Fatal(err)
			}
			full, err := trace.WalkView(s, q, trace.DetailFull)
			if err != nil {
				t.Fatal(err)
			}
			var set, joined Set
			set.Add(s, full)
			joined.Join(&set)
			var covered []string
			rules := joined.Rules(s)
			for _, r := range rules {
				if r.Covered {
					covered = append(covered, r.Ref.Name+" "+r.Ref.Field)
				}
			}
			if got := strings.Join(covered, ", "); got != tc.want || len(rules) != 6 {
				t.Errorf("%q of %d rules, want %q", got, len(rules), tc.want)
			}
		})
	}
}

// A rule that stands at the same place in several meshes counts once, and has decided if it has in one of them.
func TestReport(t *testing.T) {
	rule := func(name, place string, covered bool) Rule {
		return Rule{Ref: resolve.Ref{Kind: "VirtualService", Name: name, Field: "spec.http[0]"}, Place: place, Covered: covered}
	}
	var r Report
	if r.Percent() != 100 {
		t.Errorf("%g%% of nothing", r.Percent())
	}
	r.Add([]Rule{rule("a", "x:1", false), rule("b", "x:2", true)})
	r.Add([]Rule{rule("a", "x:1", true), rule("b", "x:2", false), rule("a", "y:1", false)})
	var got []string
	for _, one := range r.Rules {
		got = append(got, fmt.Sprint(one.Ref.Name, " ", one.Place, " ", one.Covered))
	}
	if diff := cmp.Diff([]string{"a x:1 true", "b x:2 true", "a y:1 false"}, got); diff != "" || r.Covered() != 2 {
		t.Error(diff)
	}
}
