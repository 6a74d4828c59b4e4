package e2e

import (
	"bytes"
	"encoding/base64"
	"net/url"
	"slices"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/mesh-trace/kubectl-mesh-trace/testdata/e2e/cluster"
)

// What was asked of the API server, as its own audit log has it, and what came back: get and list of the documented kinds,
// and nothing out of a Secret.

// ours are the program's own requests.
func ours(asked []cluster.Request) []cluster.Request {
	return slices.DeleteFunc(slices.Clone(asked), func(r cluster.Request) bool { return !strings.HasPrefix(r.UserAgent, "kubectl-mesh_trace/") })
}

// undocumented is why a request is none that docs/rbac.md tells of, nor one that more rules allow; empty if it is.
func undocumented(t testing.TB, r cluster.Request, more []rbacv1.PolicyRule) string {
	t.Helper()
	if allows(more, r) {
		return ""
	}
	if r.Verb != "get" && r.Verb != "list" {
		return "verb " + r.Verb
	}
	if r.Object == nil {
		if path, _, _ := strings.Cut(r.URI, "?"); path != "/version" && path != "/api" && path != "/apis" && !strings.HasPrefix(path, "/api/") && !strings.HasPrefix(path, "/apis/") {
			return "path " + path
		}
		return ""
	}
	o := *r.Object
	if o.Subresource != "" {
		return "subresource " + o.Subresource
	}
	if o.Group == "" && o.Resource == "configmaps" && r.Verb == "get" {
		return "" // istiod's, or that of an authority
	}
	if o.Group == "" && o.Resource == "secrets" && r.Verb == "get" {
		if u, err := url.Parse(r.URI); err != nil || u.Query().Get("includeObject") != "None" {
			return "a Secret with its data"
		}
		return ""
	}
	role, _ := documentedRoles(t)
	if allows(role.Rules, r) {
		return ""
	}
	return "kind " + o.Resource + "." + o.Group
}

// allows reports whether a rule allows what was asked of an object.
func allows(rules []rbacv1.PolicyRule, r cluster.Request) bool {
	return r.Object != nil && r.Object.Subresource == "" && slices.ContainsFunc(rules, func(rule rbacv1.PolicyRule) bool {
		return slices.Contains(rule.APIGroups, r.Object.Group) && slices.Contains(rule.Resources, r.Object.Resource) && slices.Contains(rule.Verbs, r.Verb) &&
			(len(rule.ResourceNames) == 0 || slices.Contains(rule.ResourceNames, r.Object.Name))
	})
}

// onlyDocumented looks through all that was asked from an entry of the audit log on; more rules allow more.
func onlyDocumented(t testing.TB, c *cluster.Cluster, from int, more ...rbacv1.PolicyRule) []cluster.Request {
	t.Helper()
	asked := ours(c.Audit(t)[from:])
	for _, r := range asked {
		if why := undocumented(t, r, more); why != "" {
			t.Errorf("asked what is not documented, %s: %s %s as %s", why, r.Verb, r.URI, r.User.Username)
		}
	}
	return asked
}

func TestTheAuditLogHasGetAndListOfTheDocumentedKindsAlone(t *testing.T) {
	c := withShop(t)
	jane := asDocumented(t, c)
	from := len(c.Audit(t))
	for _, request := range append(shopRequests, shopRouteRequest) {
		if got := ask(t, jane, request); got.exit != 0 {
			t.Errorf("%s: %s", request, got.stderr)
		}
	}
	verbs := map[string]int{}
	for _, r := range onlyDocumented(t, c, from) {
		if r.User.Username != "jane" {
			t.Errorf("%s %s was asked as %s", r.Verb, r.URI, r.User.Username)
		}
		if r.Response.Code == 403 && (r.Object == nil || r.Object.Resource != "secrets") {
			t.Errorf("the documented roles do not allow %s %s", r.Verb, r.URI)
		}
		if r.Object != nil {
			verbs[r.Verb+" "+r.Object.Resource]++
		}
	}
	for _, expected := range []string{"list pods", "list virtualservices", "list httproutes", "get configmaps", "get secrets"} {
		if verbs[expected] == 0 {
			t.Errorf("nothing was recorded of %s: %v", expected, verbs)
		}
	}
}

// aside is what no trace may move: what Secrets hold, and ConfigMaps that are not istiod's.
const aside = `
apiVersion: v1
kind: Secret
metadata: {name: password, namespace: shop}
stringData: {password: ` + secretData + `}
---
apiVersion: v1
kind: Secret
metadata: {name: token, namespace: istio-system}
stringData: {token: ` + secretData + `}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: shop}
data: {settings: ` + secretData + `}
`

func TestNothingOutOfASecretLeavesTheAPIServer(t *testing.T) {
	c := withShop(t)
	c.Apply(t, aside)
	asTokenUser(t, c)
	p := throughProxy(t, c)
	p.record = true
	for _, request := range append(shopRequests, shopRouteRequest) {
		if got := ask(t, p.kubeconfig, request); got.exit != 0 || strings.Contains(got.stdout+got.stderr, secretData) {
			t.Errorf("%s: exit %d\n%s%s", request, got.exit, got.stdout, got.stderr)
		}
	}
	secrets := 0
	for _, a := range p.answers {
		if strings.Contains(a.request, "/secrets/") {
			secrets++
		}
		if holdsSecret(a.body) {
			t.Errorf("%s had what a Secret holds", a.request)
		}
	}
	if secrets == 0 {
		t.Errorf("no Secret was asked for in %d answers: nothing was tried", len(p.answers))
	}
	// The same proxy sees it where it is asked for.
	p.answers = nil
	if _, errOut, code := c.Kubectl(t, p.kubeconfig, "-n", "istio-system", "get", "secret", "shop-certificate", "-o", "yaml"); code != 0 {
		t.Fatal(errOut)
	}
	if !slices.ContainsFunc(p.answers, func(a passed) bool { return holdsSecret(a.body) }) {
		t.Error("the proxy does not see what a Secret holds, even where it passes")
	}
}

func holdsSecret(body []byte) bool {
	return bytes.Contains(body, []byte(secretData)) || bytes.Contains(body, []byte(base64.StdEncoding.EncodeToString([]byte(secretData))))
}
