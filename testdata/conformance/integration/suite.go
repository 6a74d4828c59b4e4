//go:build integ

package integration

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"istio.io/istio/pkg/log"
	"istio.io/istio/pkg/test/echo"
	"istio.io/istio/pkg/test/framework/components/cluster"
	frameworkecho "istio.io/istio/pkg/test/framework/components/echo"
	"istio.io/istio/pkg/test/framework/components/echo/common/deployment"
	"istio.io/istio/pkg/test/framework/components/echo/match"
	"istio.io/istio/pkg/test/framework/components/namespace"
	"istio.io/istio/pkg/test/framework/resource"
	"istio.io/istio/pkg/test/scopes"
	"istio.io/istio/tests/integration/pilot/common"
)

// Judge is what becomes of the calls.
type Judge struct {
	// Call takes one call of a test and gives the responses, for tests that go on from there.
	Call func(*testing.T, *Call) echo.Responses
	// Skip takes what a test leaves out by itself, with its reason.
	Skip func(t *testing.T, reason string)
}

// suite is the cluster of the tests.
type suite struct {
	judge    Judge
	settings *resource.Settings
	cluster  *oneCluster
	istio    *install
	// namespaces are those of the tests, without Istio's own.
	namespaces []namespaceNamed
	// base are the manifests of the deployments; applied those that hold for now.
	base               []string
	applied            []*plan
	secrets            map[string]string
	workloads          []*workload
	podIPs, clusterIPs int
}

// Run runs all of Istio's routing tests.
func Run(t *testing.T, judge Judge) {
	echo, external := namespaceNamed{name: "echo", injected: true}, namespaceNamed{name: "external"}
	s, err := newSuite(judge, echo, external)
	if err != nil {
		t.Fatal(err)
	}
	ctx := &testContext{T: t, suite: s}
	apps, err := s.deploy(ctx, deployment.Config{Namespaces: []namespace.Getter{echo.get}, ExternalNamespace: external.get})
	if err != nil {
		t.Fatal(err)
	}
	common.RunAllTrafficTests(ctx, s.istio, apps.SingleNamespaceView())
}

// newSuite is a cluster with Istio and namespaces.
func newSuite(judge Judge, namespaces ...namespaceNamed) (*suite, error) {
	scopes.Framework.SetOutputLevel(log.ErrorLevel)
	s := &suite{judge: judge, settings: resource.DefaultSettings(), namespaces: namespaces, secrets: map[string]string{}}
	s.settings.IPFamilies = resource.ArrayFlags{"IPv4"}
	s.settings.Image = resource.ImageSettings{Hub: "docker.io/istio", Tag: "latest"}
	s.cluster = newCluster(s)
	s.istio = &install{suite: s}
	return s, s.install()
}

// deploy makes the standard workloads of Istio's tests, and the configuration that goes with them.
func (s *suite) deploy(ctx *testContext, cfg deployment.Config) (*deployment.Echos, error) {
	none := []frameworkecho.Config{}
	cfg.Configs = frameworkecho.ConfigFuture(&none)
	// Istio's own set-up applies the configuration; nothing is left for it to deploy.
	s.settings.SkipWorkloadClasses = resource.ArrayFlags{frameworkecho.Naked}
	echos, err := deployment.New(ctx, cfg)
	s.settings.SkipWorkloadClasses = nil
	if err != nil {
		return nil, err
	}
	b := &builder{suite: s}
	for _, n := range cfg.Namespaces {
		for _, c := range cfg.DefaultEchoConfigs(ctx) {
			c.Namespace = n.Get()
			b.WithConfig(c)
		}
	}
	echos.External.Build(ctx, b)
	all, err := b.Build()
	if err != nil {
		return nil, err
	}
	echos.All = all.Services()
	echos.External.LoadValues(all)
	for i := range echos.NS {
		fill(&echos.NS[i], all)
	}
	return echos, nil
}

// fill puts the workloads where the tests look for them.
func fill(n *deployment.EchoNamespace, all frameworkecho.Instances) {
	n.All = match.Namespace(n.Namespace).GetMatches(all).Services()
	for service, field := range map[string]*frameworkecho.Instances{
		deployment.ASvc: &n.A, deployment.BSvc: &n.B, deployment.CSvc: &n.C, deployment.TproxySvc: &n.Tproxy,
		deployment.VMSvc: &n.VM, deployment.HeadlessSvc: &n.Headless, deployment.StatefulSetSvc: &n.StatefulSet,
		deployment.ProxylessGRPCSvc: &n.ProxylessGRPC, deployment.NakedSvc: &n.Naked, deployment.SotwSvc: &n.Sotw,
	} {
		*field = match.ServiceName(frameworkecho.NamespacedName{Name: service, Namespace: n.Namespace}).GetMatches(all)
	}
}

// manifests are what holds now, by file. What was applied later takes the place of an object of the same name.
func (s *suite) manifests() map[string]string {
	var config []string
	at := map[object]int{}
	for _, p := range s.applied {
		for _, d := range p.documents {
			if i, ok := at[d.object]; ok {
				config[i] = d.text
				continue
			}
			at[d.object] = len(config)
			config = append(config, d.text)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.secrets)) {
		config = append(config, s.secrets[name])
	}
	out := map[string]string{"echo.yaml": strings.Join(s.base, "\n---\n"), "mesh-config.yaml": s.istio.meshConfig}
	if len(config) > 0 {
		out["test.yaml"] = strings.Join(config, "\n---\n")
	}
	return out
}

func (s *suite) remove(p *plan) {
	s.applied = slices.DeleteFunc(s.applied, func(x *plan) bool { return x == p })
}

// namespaceNamed is a namespace that is there.
type namespaceNamed struct {
	name     string
	injected bool
}

func (n namespaceNamed) get() namespace.Instance            { return n }
func (n namespaceNamed) Name() string                       { return n.name }
func (n namespaceNamed) Prefix() string                     { return n.name }
func (n namespaceNamed) Labels() (map[string]string, error) { return nil, nil }
func (n namespaceNamed) IsAmbient() bool                    { return false }
func (n namespaceNamed) IsInjected() bool                   { return n.injected }

// SetLabel is not for a namespace that stays as it is.
func (n namespaceNamed) SetLabel(string, string) error {
	return fmt.Errorf("namespace %s is fixed", n.name)
}

// RemoveLabel is not for a namespace that stays as it is.
func (n namespaceNamed) RemoveLabel(string) error { return fmt.Errorf("namespace %s is fixed", n.name) }

var _ cluster.Cluster = &oneCluster{}
