package e2e

import (
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/mesh-trace/kubectl-mesh-trace/testdata/e2e/cluster"
)

// started is the cluster that the tests share; nil until one of them needs it.
var started *cluster.Cluster

// shared is the cluster with all CRDs, empty. Tests that use it do not run in parallel. Whatever a test is about, what it
// has asked is looked through at its end; more are the rights it may use beside those of docs/rbac.yaml.
func shared(t *testing.T, more ...rbacv1.PolicyRule) *cluster.Cluster {
	t.Helper()
	if started == nil {
		c, err := cluster.Run()
		if err != nil {
			t.Fatal(err)
		}
		started = c
	}
	if err := started.Reset(); err != nil {
		t.Fatal(err)
	}
	c, from := started, len(started.Audit(t))
	t.Cleanup(func() { onlyDocumented(t, c, from, more...) })
	return c
}

func TestMain(m *testing.M) {
	m.Run()
	if started != nil {
		started.Close()
	}
}
