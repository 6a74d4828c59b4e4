package resolve

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	networking "istio.io/api/networking/v1alpha3"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"
)

const delegateRoot = `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: root, namespace: shop}
spec:
  hosts: [a.com]
  http:
`

const delegateLeaf = `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: leaf, namespace: team}
spec:
  http:
`

// listItem is a mapping as an item of the list under spec.http.
func listItem(mapping string) string {
	return "  - " + strings.ReplaceAll(strings.TrimSpace(mapping), "\n", "\n    ")
}

// protoYAML reads a message as a user writes it.
func protoYAML(t testing.TB, text string, m proto.Message) {
	t.Helper()
	json, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if err := protojson.Unmarshal(json, m); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
}

func TestDelegateMerge(t *testing.T) {
	const to = "delegate: {name: leaf, namespace: team}"
	const route = "route: [{destination: {host: x}}]"
	tests := []struct {
		name       string
		root, leaf string
		// want is the merged entry; empty if it is dropped.
		want  string
		refs  []string
		steps []string
	}{
		{
			name: "prefix within prefix", root: `match: [{uri: {prefix: /a}}]`, leaf: `match: [{uri: {prefix: /a/b}}]`,
			want: `match: [{uri: {prefix: /a/b}}]`, refs: []string{"team/leaf spec.http[0].match[0]"},
		},
		{
			name: "prefix beside prefix", root: `match: [{uri: {prefix: /a}}]`, leaf: `match: [{uri: {prefix: /b}}]`,
			steps: []string{`skipped delegate/conflict team/leaf spec.http[0].match[0].uri: uri prefix "/b" is not within what VirtualService shop/root spec.http[0].match[0] lets through, so the delegate's entry is dropped [uri prefix "/a" | uri prefix "/b"]`},
		},
		{
			name: "delegate without match", root: `match: [{uri: {prefix: /a}}]`, leaf: ``,
			want: `match: [{uri: {prefix: /a}}]`, refs: []string{"shop/root spec.http[0].match[0]"},
		},
		{
			name: "root without match", root: ``, leaf: `match: [{uri: {prefix: /a}}]`,
			want: `match: [{uri: {prefix: /a}}]`, refs: []string{"team/leaf spec.http[0].match[0]"},
		},
		{
			name: "headers are united", root: `match: [{uri: {prefix: /a}, headers: {k: {exact: "2"}}}]`, leaf: `match: [{headers: {x: {exact: "1"}}}]`,
			want: `match: [{uri: {prefix: /a}, headers: {x: {exact: "1"}, k: {exact: "2"}}}]`, refs: []string{"team/leaf spec.http[0].match[0]"},
		},
		{name: "exact, then prefix", root: `match: [{uri: {exact: /a}}]`, leaf: `match: [{uri: {prefix: /a}}]`},
		{name: "regex, then prefix", root: `match: [{uri: {regex: .*}}]`, leaf: `match: [{uri: {prefix: /a}}]`},
		{name: "prefix, then regex", root: `match: [{uri: {prefix: /a}}]`, leaf: `match: [{uri: {regex: /a.*}}]`},
		{name: "the same regex", root: `match: [{uri: {regex: .*}}]`, leaf: `match: [{uri: {regex: .*}}]`},
		{
			name: "prefix, then exact", root: `match: [{uri: {prefix: /a}}]`, leaf: `match: [{uri: {exact: /ab}}]`,
			want: `match: [{uri: {exact: /ab}}]`, refs: []string{"team/leaf spec.http[0].match[0]"},
		},
		{
			name: "exact twice", root: `match: [{uri: {exact: /a}}]`, leaf: `match: [{uri: {exact: /a}}]`,
			want: `match: [{uri: {exact: /a}}]`, refs: []string{"team/leaf spec.http[0].match[0]"},
		},
		{name: "another header value", root: `match: [{headers: {x: {exact: "1"}}}]`, leaf: `match: [{headers: {x: {exact: "2"}}}]`},
		{name: "presence twice", root: `match: [{headers: {x: {}}}]`, leaf: `match: [{headers: {x: {}}}]`},
		{name: "another query value", root: `match: [{queryParams: {x: {exact: "1"}}}]`, leaf: `match: [{queryParams: {x: {exact: "2"}}}]`},
		{name: "another method", root: `match: [{method: {exact: GET}}]`, leaf: `match: [{method: {exact: PUT}}]`},
		{name: "ignoreUriCase differs", root: `match: [{ignoreUriCase: true}]`, leaf: `match: [{uri: {prefix: /a}}]`},
		{name: "ports differ", root: `match: [{port: 80}]`, leaf: `match: [{port: 81}]`},
		{
			name: "one port", root: `match: [{port: 80}]`, leaf: `match: [{name: l}]`,
			want: `match: [{port: 80, name: l}]`, refs: []string{"team/leaf spec.http[0].match[0]"},
		},
		{name: "sourceNamespace only at the root", root: `match: [{sourceNamespace: a}]`, leaf: `match: [{name: l}]`},
		{
			name: "sourceNamespace only at the leaf", root: `match: [{name: r}]`, leaf: `match: [{sourceNamespace: a, name: l}]`,
			want: `match: [{sourceNamespace: a, name: r-l}]`, refs: []string{"team/leaf spec.http[0].match[0]"},
		},
		{name: "source labels differ", root: `match: [{sourceLabels: {app: a}}]`, leaf: `match: [{sourceLabels: {app: b}}]`},
		{
			name: "source labels united", root: `match: [{sourceLabels: {app: a}}]`, leaf: `match: [{sourceLabels: {v: b}}]`,
			want: `match: [{sourceLabels: {app: a, v: b}}]`, refs: []string{"team/leaf spec.http[0].match[0]"},
		},
		{name: "gateways beyond the root's", root: `match: [{gateways: [mesh]}]`, leaf: `match: [{gateways: [mesh, x/gw]}]`},
		{
			name: "gateways within the root's", root: `match: [{gateways: [mesh, x/gw]}]`, leaf: `match: [{gateways: [x/gw]}]`,
			want: `match: [{gateways: [x/gw]}]`, refs: []string{"team/leaf spec.http[0].match[0]"},
		},
		{
			name: "each with each, in the delegate's order",
			root: `match: [{uri: {prefix: /a}, name: r0}, {uri: {prefix: /}, name: r1}]`,
			leaf: `match: [{uri: {prefix: /a/x}, name: l0}, {uri: {prefix: /b}, name: l1}]`,
			want: `match: [{uri: {prefix: /a/x}, name: r0-l0}, {uri: {prefix: /a/x}, name: r1-l0}, {uri: {prefix: /b}, name: r1-l1}]`,
			refs: []string{"team/leaf spec.http[0].match[0]", "team/leaf spec.http[0].match[0]", "team/leaf spec.http[0].match[1]"},
		},
		{name: "one match outside drops all", root: `match: [{uri: {prefix: /a}}]`, leaf: `match: [{uri: {prefix: /a/x}}, {uri: {prefix: /b}}]`},
		{
			name: "actions of the root where the delegate has none", root: "timeout: 5s\nname: r\nheaders: {request: {set: {x: r}}}\nrewrite: {uri: /r}",
			leaf: "timeout: 7s\nname: l\nrewrite: {authority: l}",
			want: "timeout: 7s\nname: r-l\nheaders: {request: {set: {x: r}}}\nrewrite: {authority: l}",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := snapshotOf(t, delegateRoot+listItem(to+"\n"+tt.root)+"\n---"+delegateLeaf+listItem(route+"\n"+tt.leaf))
			vs := s.VirtualServices()[0]
			if tt.want == "" {
				if len(vs.Spec.Http) > 0 || len(vs.Steps) != 1 || vs.Steps[0].Rule != RuleDelegateConflict {
					t.Errorf("want the entry dropped, got %v with %q", vs.Spec.Http, routeStepLines(t, vs.Steps))
				}
				if tt.steps != nil {
					if diff := cmp.Diff(tt.steps, routeStepLines(t, vs.Steps)); diff != "" {
						t.Error(diff)
					}
				}
				return
			}
			want := &networking.HTTPRoute{}
			protoYAML(t, "route: [{destination: {host: x.team.svc.cluster.local}}]\n"+tt.want, want)
			if len(vs.Spec.Http) != 1 || !proto.Equal(want, vs.Spec.Http[0]) {
				t.Fatalf("want %v\n got %v", want, vs.Spec.Http)
			}
			var refs []string
			for j := range vs.Spec.Http[0].Match {
				ref := vs.matchRef(0, j)
				refs = append(refs, ref.QualifiedName()+" "+ref.Field)
			}
			if diff := cmp.Diff(tt.refs, refs); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestDelegateLookup(t *testing.T) {
	root := func(name string) string {
		return delegateRoot + `
  - delegate: {name: ` + name + `, namespace: team}
  - name: stays
    route: [{destination: {host: own}}]
`
	}
	leaf := func(spec string) string {
		return "\n---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: leaf, namespace: team}\nspec: " + spec
	}
	tests := []struct {
		name, manifests string
		want            []string
		steps           []string
	}{
		{
			name: "missing", manifests: root("leaf"), want: []string{"shop/root spec.http[1] stays"},
			steps: []string{"skipped delegate/missing shop/root spec.http[0].delegate: the delegate VirtualService team/leaf does not exist, so this entry is left out"},
		},
		{
			name: "has hosts", manifests: root("leaf") + leaf(`{hosts: [b.com], http: [{name: l}], exportTo: ["~"]}`),
			want:  []string{"shop/root spec.http[1] stays"},
			steps: []string{"skipped delegate/has-hosts shop/root spec.http[0].delegate: VirtualService team/leaf has hosts, so it is no delegate, and this entry is left out"},
		},
		{
			name: "not exported", manifests: root("leaf") + leaf(`{http: [{name: l}], exportTo: ["."]}`), want: []string{"shop/root spec.http[1] stays"},
			steps: []string{"skipped delegate/not-exported shop/root spec.http[0].delegate: the delegate VirtualService team/leaf is not exported to namespace shop, so this entry is left out [exportTo shop | exportTo .]"},
		},
		{
			name: "exported by name", manifests: root("leaf") + leaf(`{http: [{name: l}, {name: m}], exportTo: [shop, "~"]}`),
			want: []string{"team/leaf spec.http[0] l", "team/leaf spec.http[1] m", "shop/root spec.http[1] stays"},
			steps: []string{
				"applied delegate/merged team/leaf spec.http[0]: VirtualService shop/root spec.http[0] delegates to this entry",
				"applied delegate/merged team/leaf spec.http[1]: VirtualService shop/root spec.http[0] delegates to this entry",
			},
		},
		{
			name: "empty", manifests: root("leaf") + leaf(`{exportTo: ["*"]}`), want: []string{"shop/root spec.http[1] stays"},
			steps: []string{"skipped delegate/empty shop/root spec.http[0].delegate: the delegate VirtualService team/leaf has no http entries, so this entry brings no route"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := snapshotOf(t, tt.manifests)
			for _, vs := range s.VirtualServices() {
				if vs.Ref.Name != "root" {
					continue
				}
				var got []string
				for i, entry := range vs.Spec.Http {
					got = append(got, vs.HTTPRefs[i].QualifiedName()+" "+vs.HTTPRefs[i].Field+" "+entry.Name)
				}
				if diff := cmp.Diff(tt.want, got); diff != "" {
					t.Error(diff)
				}
				if diff := cmp.Diff(tt.steps, routeStepLines(t, vs.Steps)); diff != "" {
					t.Error(diff)
				}
			}
		})
	}
}

func TestDelegateThatCouldNotBeRead(t *testing.T) {
	s := snapshotOf(t, delegateRoot+"  - delegate: {name: leaf}\n")
	s.Gaps = append(s.Gaps, Gap{
		GroupKind: schema.GroupKind{Group: "networking.istio.io", Kind: "VirtualService"},
		Namespace: "shop", Name: "leaf", Reason: GapUnreadable,
	})
	want := []string{"warning delegate/unknown shop/root spec.http[0].delegate: the delegate VirtualService shop/leaf could not be read; this entry is taken as left out"}
	if diff := cmp.Diff(want, routeStepLines(t, s.VirtualServices()[0].Steps)); diff != "" {
		t.Error(diff)
	}
}

func TestDelegateRefsOfMergedParts(t *testing.T) {
	s := snapshotOf(t, delegateRoot+`
  - match: [{uri: {prefix: /a}, headers: {x: {exact: "1"}}, withoutHeaders: {w: {exact: "1"}}, queryParams: {p: {exact: "1"}}}]
    delegate: {name: leaf, namespace: team}
    timeout: 5s
---
`+delegateLeaf+`
  - match: [{uri: {prefix: /a/b}, headers: {k: {exact: "2"}}, method: {exact: GET}, scheme: {exact: http}, authority: {exact: a.com}}]
    route: [{destination: {host: x}}]
    rewrite: {uri: /}
`)
	routes, _ := BuildRoutes(s.VirtualServices()[0], 80, map[string]bool{"mesh": true}, &Workload{})
	r := routes[0]
	const atRoot, atLeaf = "shop/root spec.http[0]", "team/leaf spec.http[0]"
	for field, want := range map[string]string{
		"timeout":     atRoot + ".timeout",
		"rewrite.uri": atLeaf + ".rewrite.uri",
		"route[0]":    atLeaf + ".route[0]",
	} {
		if got := r.FieldRef(field).QualifiedName() + " " + r.FieldRef(field).Field; got != want {
			t.Errorf("FieldRef(%s): want %s, got %s", field, want, got)
		}
	}
	for field, want := range map[string]string{
		"uri":               atLeaf + ".match[0].uri",
		"method":            atLeaf + ".match[0].method",
		"scheme":            atLeaf + ".match[0].scheme",
		"authority":         atLeaf + ".match[0].authority",
		"headers[x]":        atRoot + ".match[0].headers[x]",
		"headers[k]":        atLeaf + ".match[0].headers[k]",
		"withoutHeaders[w]": atRoot + ".match[0].withoutHeaders[w]",
		"queryParams[p]":    atRoot + ".match[0].queryParams[p]",
	} {
		if got := r.clauseRef(field).QualifiedName() + " " + r.clauseRef(field).Field; got != want {
			t.Errorf("clauseRef(%s): want %s, got %s", field, want, got)
		}
	}
}
