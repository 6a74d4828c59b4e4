package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/mesh-trace/kubectl-mesh-trace/testdata/e2e/cluster"
)

// What somebody sees who may read less than there is: never a wrong answer that is certain.

func TestTheDocumentedRolesSeeWhatAnAdministratorSees(t *testing.T) {
	c := withShop(t)
	admin, jane := c.Kubeconfig(t, ""), asDocumented(t, c)
	bindAsDocumented(t, c, "Secrets")
	for _, request := range append(shopRequests, shopRouteRequest) {
		full, got := ask(t, admin, request), ask(t, jane, request)
		if strings.Contains(request, "https:") {
			sound(t, request, full, got) // the page's example names a Secret of its own
			continue
		}
		if diff := cmp.Diff(full.stdout+full.stderr, got.stdout+got.stderr); diff != "" {
			t.Errorf("%s (-administrator +documented roles):\n%s", request, diff)
		}
	}
}

func TestWithoutOneKindNoAnswerIsWrongAndCertain(t *testing.T) {
	c := withShop(t)
	admin := c.Kubeconfig(t, "")
	asDocumented(t, c)
	full := map[string]answer{}
	requests := []string{shopRequests[1], shopRequests[4], shopRequests[7], shopRouteRequest}
	for _, request := range requests {
		full[request] = ask(t, admin, request)
	}
	role, inIstioSystem := documentedRoles(t)
	seen := map[string]int{}
	check := func(what, kubeconfig string) {
		for _, request := range requests {
			seen[sound(t, "without "+what+": "+request, full[request], ask(t, kubeconfig, request))]++
		}
	}
	all := rights(role)
	for i, r := range all {
		bind(t, c, fmt.Sprintf("without-%d", i), without(role, r), &inIstioSystem)
	}
	bind(t, c, "without-mesh-config", role, nil)
	await(t, c, "without-mesh-config", "", attributes("list", "services"), true)
	await(t, c, fmt.Sprintf("without-%d", len(all)-1), "", attributes("get", "configmaps", "istio-system"), true)
	for i, r := range all {
		check(r.String(), c.Kubeconfig(t, fmt.Sprintf("without-%d", i)))
	}
	check("the mesh config", c.Kubeconfig(t, "without-mesh-config"))
	check("anything", c.Kubeconfig(t, "nobody"))
	t.Logf("of %d answers: %v", len(requests)*(len(all)+2), seen)
	if seen[lowered] == 0 || seen[same] == 0 {
		t.Errorf("all answers are alike (%v): the roles are not what decides", seen)
	}
}

// bind gives a user of the role's name a ClusterRole, and a Role if there is one.
func bind(t testing.TB, c *cluster.Cluster, user string, role rbacv1.ClusterRole, also *rbacv1.Role) {
	t.Helper()
	client, err := kubernetes.NewForConfig(c.Config)
	if err != nil {
		t.Fatal(err)
	}
	subjects := []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: user}}
	if also != nil {
		if _, err := client.RbacV1().RoleBindings(also.Namespace).Create(t.Context(), &rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: user}, Subjects: subjects,
			RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: also.Name},
		}, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	role.ObjectMeta = metav1.ObjectMeta{Name: user}
	if _, err := client.RbacV1().ClusterRoles().Create(t.Context(), &role, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.RbacV1().ClusterRoleBindings().Create(t.Context(), &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: user}, Subjects: subjects,
		RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: user},
	}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// Roles in namespaces, and no ClusterRole: what is elsewhere is not known.
func TestRolesInNamespacesAloneGiveNoWrongCertainAnswer(t *testing.T) {
	c := withShop(t)
	admin := c.Kubeconfig(t, "")
	role, _ := documentedRoles(t)
	client, err := kubernetes.NewForConfig(c.Config)
	if err != nil {
		t.Fatal(err)
	}
	role.ObjectMeta = metav1.ObjectMeta{Name: roleName}
	if _, err := client.RbacV1().ClusterRoles().Create(t.Context(), &role, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	users := map[string][]string{"in-shop": {"shop"}, "in-two": {"shop", "istio-system"}}
	for user, namespaces := range users {
		for _, ns := range namespaces {
			if _, err := client.RbacV1().RoleBindings(ns).Create(t.Context(), &rbacv1.RoleBinding{
				ObjectMeta: metav1.ObjectMeta{Name: user},
				Subjects:   []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: user}},
				RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: roleName},
			}, metav1.CreateOptions{}); err != nil {
				t.Fatal(err)
			}
		}
	}
	for user, namespaces := range users {
		for _, ns := range namespaces {
			await(t, c, user, "", attributes("list", "services", ns), true)
		}
		for _, request := range append(shopRequests, shopRouteRequest) {
			got := ask(t, c.Kubeconfig(t, user), request, "-n", "shop")
			if verdict := sound(t, user+": "+request, ask(t, admin, request, "-n", "shop"), got); verdict == failed {
				t.Errorf("%s: %s: no answer: %s", user, request, got.stderr)
			}
			if !strings.Contains(got.stdout, "forbidden") {
				t.Errorf("%s: %s: the trace does not tell what was forbidden:\n%s", user, request, got.stdout)
			}
		}
	}
}
