package scale

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"

	"github.com/mesh-trace/kubectl-mesh-trace/testdata/e2e/cluster"
)

// rolesFile is what a user of the tool has to be allowed to do.
const rolesFile = "../../../docs/rbac.yaml"

// bindings are what docs/rbac.md says, for the group oncall.
const bindings = `
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: mesh-trace-oncall}
subjects: [{kind: Group, apiGroup: rbac.authorization.k8s.io, name: oncall}]
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: kubectl-mesh-trace}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: mesh-trace-oncall, namespace: istio-system}
subjects: [{kind: Group, apiGroup: rbac.authorization.k8s.io, name: oncall}]
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: kubectl-mesh-trace}
`

// resource is a kind as the API server has it.
type resource struct{ group, plural string }

// listable are the kinds that the documented role may list: all that the tool knows.
func listable(t testing.TB) []resource {
	t.Helper()
	text, err := os.ReadFile(rolesFile)
	if err != nil {
		t.Fatal(err)
	}
	objects, err := cluster.Parse(string(text))
	if err != nil {
		t.Fatal(err)
	}
	var out []resource
	for _, o := range objects {
		var role rbacv1.ClusterRole
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, &role); err != nil {
			t.Fatal(err)
		}
		for _, rule := range role.Rules {
			if len(rule.Verbs) != 1 || rule.Verbs[0] != "list" {
				continue
			}
			for _, plural := range rule.Resources {
				out = append(out, resource{rule.APIGroups[0], plural})
			}
		}
	}
	if len(out) < 20 {
		t.Fatalf("%s allows to list %d kinds", rolesFile, len(out))
	}
	return out
}

// paths are where the API server lists each kind, in the version it prefers. Kinds it does not serve are left out.
func paths(t testing.TB, transport http.RoundTripper, host string, kinds []resource) map[resource]string {
	t.Helper()
	var groups struct {
		Groups []struct {
			Name             string
			PreferredVersion struct{ GroupVersion string }
		}
	}
	get(t, transport, host+"/apis", &groups)
	versions := map[string]string{"": "/api/v1"}
	for _, g := range groups.Groups {
		versions[g.Name] = "/apis/" + g.PreferredVersion.GroupVersion
	}
	served := map[string]bool{}
	for _, k := range kinds {
		root := versions[k.group]
		if root == "" || served[root] {
			continue
		}
		served[root] = true
		var list struct{ Resources []struct{ Name string } }
		get(t, transport, host+root, &list)
		for _, r := range list.Resources {
			served[root+"/"+r.Name] = true
		}
	}
	out := map[resource]string{}
	for _, k := range kinds {
		if path := versions[k.group] + "/" + k.plural; served[path] {
			out[k] = path
		}
	}
	return out
}

func get(t testing.TB, transport http.RoundTripper, at string, into any) {
	t.Helper()
	if err := try(t.Context(), transport, at, into); err != nil {
		t.Fatal(err)
	}
}

func try(ctx context.Context, transport http.RoundTripper, at string, into any) error {
	ask, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
	if err != nil {
		return err
	}
	ask.Header.Set("Accept", "application/json")
	answer, err := transport.RoundTrip(ask)
	if err != nil {
		return err
	}
	defer answer.Body.Close() //nolint:errcheck // it is read to its end
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", at, answer.Status)
	}
	return json.NewDecoder(answer.Body).Decode(into)
}

// listAll lists every kind in full, as the tool's client would: page by page, built-in kinds as protobuf. It returns how many bytes that
// is unpacked.
func listAll(t testing.TB, config *rest.Config) (unpacked int64) {
	t.Helper()
	transport := newTransport(t, config)
	for k, path := range paths(t, transport, config.Host, listable(t)) {
		accept := "application/vnd.kubernetes.protobuf"
		if strings.Contains(k.group, "istio.io") || strings.Contains(k.group, "networking.k8s.io") && k.group != "networking.k8s.io" || strings.Contains(k.group, "x-k8s.io") {
			accept = "application/json"
		}
		for next := ""; ; {
			ask, err := http.NewRequestWithContext(t.Context(), http.MethodGet, config.Host+path+"?limit=500&continue="+next, nil)
			if err != nil {
				t.Fatal(err)
			}
			ask.Header.Set("Accept", accept)
			answer, err := transport.RoundTrip(ask)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(answer.Body)
			answer.Body.Close() //nolint:errcheck // it is read to its end
			if err != nil || answer.StatusCode != http.StatusOK {
				t.Fatalf("%s: %s, %v", path, answer.Status, err)
			}
			unpacked += int64(len(body))
			if next = continued(t, answer.Header.Get("Content-Type"), body); next == "" {
				break
			}
		}
	}
	return unpacked
}

// fillTime is how long the API server may take to follow etcd, on a machine that does other things: an answer may time out by then.
const fillTime = 5 * time.Minute

// filled waits until the API server's caches have as many objects of each kind as were written.
func filled(t testing.TB, c *cluster.Cluster, counts map[string]int) {
	t.Helper()
	transport := newTransport(t, c.Config)
	all := paths(t, transport, c.URL, listable(t))
	plurals := map[string]resource{
		"Pod": {"", "pods"}, "Service": {"", "services"}, "EndpointSlice": {"discovery.k8s.io", "endpointslices"}, "Deployment": {"apps", "deployments"},
		"ReplicaSet": {"apps", "replicasets"}, "ServiceAccount": {"", "serviceaccounts"}, "VirtualService": {"networking.istio.io", "virtualservices"},
		"DestinationRule": {"networking.istio.io", "destinationrules"}, "AuthorizationPolicy": {"security.istio.io", "authorizationpolicies"},
		"HTTPRoute": {"gateway.networking.k8s.io", "httproutes"},
	}
	for kind, at := range plurals {
		for until := time.Now().Add(fillTime); ; time.Sleep(100 * time.Millisecond) {
			n, err := count(t.Context(), transport, c.URL+all[at])
			if err == nil && n >= counts[kind] {
				break // the API server and Istio have some of their own
			}
			if time.Now().After(until) {
				t.Fatalf("the API server has %d of %d objects of kind %s (%v)", n, counts[kind], kind, err)
			}
		}
	}
}

// count is how many objects a list has.
func count(ctx context.Context, transport http.RoundTripper, at string) (int, error) {
	var list unstructured.UnstructuredList
	if err := try(ctx, transport, at+"?limit=1", &list); err != nil {
		return 0, err
	}
	n := len(list.Items)
	if more := list.GetRemainingItemCount(); more != nil {
		n += int(*more)
	}
	return n, nil
}

// continued is where a list goes on; empty on its last page.
func continued(t testing.TB, contentType string, body []byte) string {
	t.Helper()
	if contentType == "application/json" {
		var list metav1.List
		if err := json.Unmarshal(body, &list); err != nil {
			t.Fatal(err)
		}
		return url.QueryEscape(list.Continue)
	}
	list, _, err := scheme.Codecs.UniversalDeserializer().Decode(body, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	m, err := meta.ListAccessor(list)
	if err != nil {
		t.Fatal(err)
	}
	return url.QueryEscape(m.GetContinue())
}
