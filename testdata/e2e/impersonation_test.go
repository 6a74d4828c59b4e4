package e2e

import (
	"strings"
	"testing"
)

// --as and --as-group show what somebody else may see.

func TestImpersonationGivesTheTraceOfTheOther(t *testing.T) {
	c := withShop(t)
	admin, jane := c.Kubeconfig(t, ""), asDocumented(t, c)
	for _, request := range []string{shopRequests[1], shopRequests[7], shopRouteRequest} {
		for _, q := range []struct {
			kubeconfig string
			as         []string
		}{
			{jane, []string{"--as", "jane", "--as-group", oncall, "--as-group", "system:authenticated"}},
			{c.Kubeconfig(t, "john"), []string{"--as", "john", "--as-group", "system:authenticated"}},
		} {
			own, asOther := ask(t, q.kubeconfig, request), ask(t, admin, request, q.as...)
			if own != asOther {
				t.Errorf("%s %s:\n%s%s\nbut they themselves get\n%s%s", request, q.as, asOther.stdout, asOther.stderr, own.stdout, own.stderr)
			}
		}
	}
}

func TestImpersonationThatIsNotAllowedIsOneError(t *testing.T) {
	c := withShop(t)
	got := ask(t, asDocumented(t, c), shopRequests[7], "--as", "admin")
	if got.exit != 1 || got.stdout != "" || strings.Count(got.stderr, "\n") != 1 || !strings.Contains(got.stderr, "impersonate") {
		t.Errorf("exit %d, stdout %q, stderr:\n%s", got.exit, got.stdout, got.stderr)
	}
}
