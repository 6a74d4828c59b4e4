//go:build integ

// Package framework has the names of istio.io/istio/pkg/test/framework that the security tests use.
package framework

import (
	"testing"

	"istio.io/istio/pkg/test/framework"

	"github.com/mesh-trace/kubectl-mesh-trace/testdata/conformance/integration"
)

// TestContext is what a test holds on to.
type TestContext = framework.TestContext

// NewTest begins a test.
func NewTest(t *testing.T) framework.Test { return integration.NewTest(t) }
