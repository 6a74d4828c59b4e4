//go:build integ

// Package deployment has the names of istio.io/istio/pkg/test/framework/components/echo/deployment that
// the security tests use.
package deployment

import (
	"istio.io/istio/pkg/test/framework"
	"istio.io/istio/pkg/test/framework/components/echo/deployment"

	"github.com/mesh-trace/kubectl-mesh-trace/testdata/conformance/integration"
)

// New deploys workloads for a test.
func New(t framework.TestContext) deployment.Builder {
	t.Helper()
	b, err := integration.Builder(t)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
