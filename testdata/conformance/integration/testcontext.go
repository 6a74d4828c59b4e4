//go:build integ

package integration

import (
	"fmt"
	"strings"
	"testing"

	"istio.io/istio/pkg/test/framework"
	"istio.io/istio/pkg/test/framework/components/cluster"
	"istio.io/istio/pkg/test/framework/components/istio"
	"istio.io/istio/pkg/test/framework/components/namespace"
	"istio.io/istio/pkg/test/framework/label"
	"istio.io/istio/pkg/test/framework/resource"
	"istio.io/istio/pkg/test/framework/resource/config"
	"istio.io/istio/pkg/test/framework/resource/config/cleanup"
	"istio.io/istio/pkg/test/util/yml"
)

// testContext is what a test of Istio holds on to: a Go test and the cluster. A set-up has no Go test.
type testContext struct {
	*testing.T
	yml.FileWriter
	suite *suite
}

var _ framework.TestContext = &testContext{}

// Skip counts what Istio leaves out itself.
func (c *testContext) Skip(args ...any) {
	c.Helper()
	reason := fmt.Sprint(args...)
	if strings.Contains(reason, "are removed by filters") {
		reason = "the test is not for this pair of workloads"
	}
	c.suite.judge.Skip(c.T, reason)
	c.T.Skip(args...)
}

// Skipf counts what Istio leaves out itself.
func (c *testContext) Skipf(format string, args ...any) { c.Skip(fmt.Sprintf(format, args...)) }

// SkipNow counts what Istio leaves out itself.
func (c *testContext) SkipNow() { c.Skip("no reason given") }

// NewSubTest is a Go subtest.
func (c *testContext) NewSubTest(name string) framework.Test { return &subTest{parent: c, name: name} }

// NewSubTestf is a Go subtest.
func (c *testContext) NewSubTestf(format string, a ...any) framework.Test {
	return c.NewSubTest(fmt.Sprintf(format, a...))
}

// GetResource gives the installed Istio and the namespaces.
func (c *testContext) GetResource(ref any) error {
	switch r := ref.(type) {
	case *istio.Instance:
		*r = c.suite.istio
	case *[]namespace.Instance:
		for _, n := range c.suite.namespaces {
			*r = append(*r, n)
		}
	default:
		return fmt.Errorf("no %T here", ref)
	}
	return nil
}

// Clusters is the one cluster.
func (c *testContext) Clusters() cluster.Clusters { return cluster.Clusters{c.suite.cluster} }

// AllClusters is the one cluster.
func (c *testContext) AllClusters() cluster.Clusters { return c.Clusters() }

// Settings are Istio's defaults.
func (c *testContext) Settings() *resource.Settings { return c.suite.settings }

// ConfigKube applies to the manifests.
func (c *testContext) ConfigKube(...cluster.Cluster) config.Factory { return &plan{context: c} }

// ConfigIstio applies to the manifests.
func (c *testContext) ConfigIstio() config.Factory { return &plan{context: c} }

// Environment is not needed.
func (c *testContext) Environment() resource.Environment { return nil }

// TrackResource has nothing to clean up.
func (c *testContext) TrackResource(r resource.Resource) resource.ID { return r.ID() }

// CleanupConditionally cleans up.
func (c *testContext) CleanupConditionally(fn func()) { c.Cleanup(fn) }

// CleanupStrategy cleans up where asked to.
func (c *testContext) CleanupStrategy(s cleanup.Strategy, fn func()) {
	if s != cleanup.None && c.T != nil {
		c.Cleanup(fn)
	}
}

// CreateDirectory is a folder of the Go test's.
func (c *testContext) CreateDirectory(string) (string, error) { return c.TempDir(), nil }

// CreateTmpDirectory is a folder of the Go test's.
func (c *testContext) CreateTmpDirectory(string) (string, error) { return c.TempDir(), nil }

// CreateDirectoryOrFail is a folder of the Go test's.
func (c *testContext) CreateDirectoryOrFail(string) string { return c.TempDir() }

// CreateTmpDirectoryOrFail is a folder of the Go test's.
func (c *testContext) CreateTmpDirectoryOrFail(string) string { return c.TempDir() }

// WorkDir is a folder of the Go test's.
func (c *testContext) WorkDir() string { return c.TempDir() }

// SkipDumping has nothing to dump.
func (c *testContext) SkipDumping() {}

// RecordTraceEvent records nothing.
func (c *testContext) RecordTraceEvent(string, any) {}

// ID is the test's name.
func (c *testContext) ID() string { return c.Name() }

// subTest runs a part of a test. There is one Istio of the right version in one cluster, so that
// what a test requires of them holds.
type subTest struct {
	parent *testContext
	name   string
}

func (s *subTest) Label(...label.Instance) framework.Test            { return s }
func (s *subTest) RequireIstioVersion(string) framework.Test         { return s }
func (s *subTest) RequireKubernetesMinorVersion(uint) framework.Test { return s }
func (s *subTest) RequiresMinClusters(int) framework.Test            { return s }
func (s *subTest) RequiresSingleCluster() framework.Test             { return s }
func (s *subTest) RequiresDualStack() framework.Test                 { return s }
func (s *subTest) RequiresLocalControlPlane() framework.Test         { return s }
func (s *subTest) RequiresSingleNetwork() framework.Test             { return s }
func (s *subTest) TopLevel() framework.Test                          { return s }
func (s *subTest) RunParallel(fn func(t framework.TestContext))      { s.Run(fn) }

// Run runs it as a Go subtest; where it has no name it is the Go test.
func (s *subTest) Run(fn func(t framework.TestContext)) {
	if s.name == "" {
		fn(s.parent)
		return
	}
	s.parent.T.Run(s.name, func(t *testing.T) { fn(&testContext{T: t, suite: s.parent.suite}) })
}
