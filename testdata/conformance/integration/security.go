//go:build integ

package integration

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"

	"istio.io/istio/pkg/config/constants"
	"istio.io/istio/pkg/config/protocol"
	"istio.io/istio/pkg/test/env"
	"istio.io/istio/pkg/test/framework"
	"istio.io/istio/pkg/test/framework/components/authz"
	"istio.io/istio/pkg/test/framework/components/echo"
	"istio.io/istio/pkg/test/framework/components/echo/common/deployment"
	"istio.io/istio/pkg/test/framework/components/istio"
	"istio.io/istio/pkg/test/framework/components/jwt"
	"istio.io/istio/pkg/test/framework/components/namespace"
	ingressutil "istio.io/istio/tests/integration/security/sds_ingress/util"
	"istio.io/istio/tests/integration/security/util/cert"
)

// Security is what the security tests of Istio's CI find set up.
type Security struct {
	Echo1, Echo2, External, Servers namespace.Instance

	Istio                         istio.Instance
	Apps                          deployment.TwoNamespaceView
	JWTServer                     jwt.Server
	AuthzServer, LocalAuthzServer authz.Server
	// Client and Server are workloads that the tests of trust domains have besides.
	Client, Server echo.Instances
}

const servers = "servers"

// topology is the part of their mesh config that is not the default.
const topology = `
defaultConfig:
  gatewayTopology:
    numTrustedProxies: 1
`

// current is the cluster of the security tests: these begin without one at hand.
var current *suite

// NewTest begins one of the security tests.
func NewTest(t *testing.T) framework.Test {
	return &subTest{parent: &testContext{T: t, suite: current}}
}

// trustDomains is the part of the mesh config of the tests of trust domains that no other test has.
const trustDomains = `
trustDomainAliases: [some-other, trust-domain-foo]
`

// NewTestOfTrustDomains begins one of the tests of trust domains.
// Source: istio.io/istio/tests/integration/security/ca_custom_root/main_test.go, setupConfig.
func NewTestOfTrustDomains(t *testing.T) framework.Test {
	ctx := &testContext{T: t, suite: current}
	current.istio.PatchMeshConfigOrFail(ctx, trustDomains)
	return &subTest{parent: ctx}
}

// clientAndServer are the workloads that the tests of trust domains have besides.
// Source: istio.io/istio/tests/integration/security/ca_custom_root/main_test.go, SetupApps.
func (s *suite) clientAndServer(ns namespace.Instance) (client, server echo.Instances, err error) {
	port := func(name string, p protocol.Instance, number int) echo.Port {
		return echo.Port{Name: name, Protocol: p, ServicePort: number, WorkloadPort: number}
	}
	b := &builder{suite: s}
	b.WithConfig(echo.Config{Namespace: ns, Service: "client"})
	b.WithConfig(echo.Config{Namespace: ns, Service: "server", ServiceAccount: true, Ports: []echo.Port{
		port("http-plaintext", protocol.HTTP, 8090), port("http-mtls", protocol.HTTP, 8091),
		port("tcp-plaintext", protocol.TCP, 8092), port("tcp-mtls", protocol.TCP, 8093),
		{Name: "tcp-wl", Protocol: protocol.TCP, WorkloadPort: 9000},
	}})
	all, err := b.Build()
	if err != nil {
		return nil, nil, err
	}
	return all[:1], all[1:], nil
}

// SetUpSecurity makes the cluster of the security tests as their own main does, and goes to where
// they read their files.
// Source: istio.io/istio/tests/integration/security/main_test.go.
func SetUpSecurity(judge Judge) (*Security, error) {
	one, two := namespaceNamed{name: "echo1", injected: true}, namespaceNamed{name: "echo2", injected: true}
	external, serving := namespaceNamed{name: "external"}, namespaceNamed{name: servers, injected: true}
	s, err := newSuite(judge, one, two, external, serving)
	if err != nil {
		return nil, err
	}
	current = s
	ctx := &testContext{suite: s}
	out := &Security{Echo1: one, Echo2: two, External: external, Servers: serving, Istio: s.istio}
	// The definitions of the Gateway API are there.
	if err := flag.Set("istio.test.kube.deployGatewayAPI", "false"); err != nil {
		return nil, err
	}
	if err := errors.Join(s.egressGateway(), s.istio.PatchMeshConfig(ctx, topology), s.serve("jwt-server", "ext-authz")); err != nil {
		return nil, err
	}
	if out.JWTServer, err = jwt.New(ctx, serving); err != nil {
		return nil, err
	}
	if out.AuthzServer, err = authz.New(ctx, serving); err != nil {
		return nil, err
	}
	if out.LocalAuthzServer, err = authz.NewLocal(ctx, one); err != nil {
		return nil, err
	}
	echos, err := s.deploy(ctx, deployment.Config{
		IncludeExtAuthz: true, Namespaces: []namespace.Getter{one.get, two.get}, ExternalNamespace: external.get,
	})
	if err != nil {
		return nil, err
	}
	out.Apps = echos.TwoNamespaceView()
	if out.Client, out.Server, err = s.clientAndServer(one); err != nil {
		return nil, err
	}
	if err := ingressutil.SetInstances(out.Apps.Ns1.All); err != nil {
		return nil, err
	}
	return out, os.Chdir(filepath.Join(env.IstioSrc, "tests/integration/security"))
}

// serve lets the client see what the tests look for: servers that are up, for those who wait for them,
// Istio's namespace, and the root certificate.
func (s *suite) serve(names ...string) error {
	clients, ok := s.cluster.Kube().(*fake.Clientset)
	if !ok {
		return fmt.Errorf("the client is no fake: %T", s.cluster.Kube())
	}
	const address = "192.0.2.7"
	root, err := cert.ReadSampleCertFromFile("root-cert.pem")
	if err != nil {
		return err
	}
	objects := []runtime.Object{
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: systemNamespace}},
		&corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Name: "istio-ca-root-cert", Namespace: s.namespaces[0].name},
			Data:       map[string]string{constants.CACertNamespaceConfigMapDataName: string(root)},
		},
	}
	for _, name := range names {
		meta := metav1.ObjectMeta{Name: name, Namespace: servers, Labels: map[string]string{"app": name}}
		objects = append(objects,
			&corev1.Service{ObjectMeta: meta},
			//lint:ignore SA1019 Istio asks for them
			&corev1.Endpoints{ObjectMeta: meta, Subsets: []corev1.EndpointSubset{{Addresses: []corev1.EndpointAddress{{IP: address}}}}},
			&corev1.Pod{ObjectMeta: meta, Status: runningAt(address)})
	}
	for _, o := range objects {
		if err := clients.Tracker().Add(o); err != nil {
			return err
		}
	}
	return nil
}
