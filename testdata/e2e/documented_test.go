package e2e

import (
	"cmp"
	"context"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/yaml"

	"github.com/mesh-trace/kubectl-mesh-trace/testdata/e2e/cluster"
)

// What docs/rbac.md tells an administrator to do, taken from that page: the roles of docs/rbac.yaml, and the commands that bind
// them to the group "oncall".

const (
	rbacManifest = "docs/rbac.yaml"
	rbacWatch    = "docs/rbac-watch.yaml"
	rbacPage     = "docs/rbac.md"
	roleName     = "kubectl-mesh-trace"
	oncall       = "oncall"
)

func repositoryFile(t testing.TB, name string) string {
	t.Helper()
	text, err := os.ReadFile("../../" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// documentedRoles are those of docs/rbac.yaml.
func documentedRoles(t testing.TB) (everywhere rbacv1.ClusterRole, inIstioSystem rbacv1.Role) {
	t.Helper()
	return rolesIn(t, rbacManifest)
}

func rolesIn(t testing.TB, manifest string) (everywhere rbacv1.ClusterRole, inIstioSystem rbacv1.Role) {
	t.Helper()
	objects, err := cluster.Parse(repositoryFile(t, manifest))
	if err != nil || len(objects) != 2 {
		t.Fatalf("%s has %d objects: %v", manifest, len(objects), err)
	}
	for i, into := range []any{&everywhere, &inIstioSystem} {
		text, err := yaml.Marshal(objects[i].Object)
		if err == nil {
			err = yaml.UnmarshalStrict(text, into)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return everywhere, inIstioSystem
}

// bindAsDocumented runs the commands of a section of docs/rbac.md.
func bindAsDocumented(t testing.TB, c *cluster.Cluster, section string) {
	t.Helper()
	_, text, found := strings.Cut(repositoryFile(t, rbacPage), "\n## "+section+"\n")
	text, _, _ = strings.Cut(text, "\n## ")
	ran := 0
	for line := range strings.Lines(text) {
		command, is := strings.CutPrefix(line, "    kubectl ")
		if !is {
			continue
		}
		ran++
		args := words(strings.ReplaceAll(strings.TrimSpace(command), " docs/", " ../../docs/"))
		if _, errOut, code := c.Kubectl(t, c.Kubeconfig(t, ""), args...); code != 0 {
			t.Fatalf("kubectl %s: %s", command, errOut)
		}
	}
	if !found || ran == 0 {
		t.Fatalf("%s has no commands under %q", rbacPage, section)
	}
}

// asDocumented is the kubeconfig of jane, who may what the page says, in a cluster with the shop.
func asDocumented(t testing.TB, c *cluster.Cluster) string {
	t.Helper()
	roles := []authorizationv1.ResourceAttributes{attributes("list", "services"), attributes("get", "configmaps", "istio-system")}
	for _, role := range roles { // of the test before
		await(t, c, "jane", oncall, role, false)
	}
	bindAsDocumented(t, c, "Binding it")
	for _, role := range roles {
		await(t, c, "jane", oncall, role, true)
	}
	return c.Kubeconfig(t, "jane", oncall)
}

// await waits until the API server has seen that a binding was made, or is gone. It sees those of one kind in the order in which they
// are made; the two kinds know nothing of each other.
func await(t testing.TB, c *cluster.Cluster, user, group string, what authorizationv1.ResourceAttributes, allowed bool) {
	t.Helper()
	client, err := kubernetes.NewForConfig(c.Config)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		review, err := client.AuthorizationV1().SubjectAccessReviews().Create(ctx, &authorizationv1.SubjectAccessReview{
			Spec: authorizationv1.SubjectAccessReviewSpec{User: user, Groups: []string{group}, ResourceAttributes: &what},
		}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if review.Status.Allowed == allowed {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// attributes are what is asked of a resource, everywhere or in a namespace.
func attributes(verb, resource string, namespace ...string) authorizationv1.ResourceAttributes {
	return authorizationv1.ResourceAttributes{Verb: verb, Resource: resource, Namespace: strings.Join(namespace, "")}
}

// right is one kind that the documented ClusterRole allows.
type right struct {
	rule     int
	group    string
	resource string
}

func (r right) String() string { return r.resource + "." + cmp.Or(r.group, "core") }

// rights are those of a role, each by itself.
func rights(role rbacv1.ClusterRole) []right {
	var out []right
	for i, rule := range role.Rules {
		for _, group := range rule.APIGroups {
			for _, resource := range rule.Resources {
				out = append(out, right{i, group, resource})
			}
		}
	}
	return out
}

// without is the role without one of its rights.
func without(role rbacv1.ClusterRole, r right) rbacv1.ClusterRole {
	out := *role.DeepCopy()
	rule := &out.Rules[r.rule]
	rule.Resources = slices.DeleteFunc(rule.Resources, func(resource string) bool { return resource == r.resource })
	if len(rule.Resources) == 0 {
		out.Rules = slices.Delete(out.Rules, r.rule, r.rule+1)
	}
	return out
}
