package e2e

import (
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/rest"

	"github.com/mesh-trace/kubectl-mesh-trace/testdata/e2e/cluster"
)

func TestCredentialsThatAreNoLongerGoodAreOneError(t *testing.T) {
	c := withShop(t)
	otherAuthority := rest.CopyConfig(c.Config)
	otherAuthority.CAData = cluster.Start(t, cluster.WithCRDs()).Config.CAData
	for _, q := range []struct {
		name   string
		config *rest.Config
		say    string
	}{
		{"a certificate that has expired", c.ConfigFor(t, "jane", time.Now().Add(-time.Hour), "system:masters"), "credentials"},
		{"a token that is not known", c.ConfigWithToken("revoked"), "credentials"},
		{"a server of another authority", otherAuthority, "certificate"},
	} {
		t.Run(q.name, func(t *testing.T) {
			got := ask(t, cluster.WriteKubeconfig(t, q.config), shopRequests[0])
			if got.exit != 1 || got.stdout != "" || strings.Count(got.stderr, "\n") != 1 || !strings.Contains(got.stderr, q.say) {
				t.Errorf("exit %d, stdout %q, stderr:\n%s", got.exit, got.stdout, got.stderr)
			}
		})
	}
}
