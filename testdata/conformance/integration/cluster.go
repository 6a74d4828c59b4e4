//go:build integ

package integration

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	"sigs.k8s.io/yaml"

	"istio.io/istio/pkg/kube"
	"istio.io/istio/pkg/test/framework/components/cluster"
)

// oneCluster is the cluster that all is in. Its client holds nothing but what a test creates by it.
type oneCluster struct {
	kube.CLIClient
}

func newCluster(s *suite) *oneCluster {
	c := &oneCluster{CLIClient: kube.NewFakeClient()}
	if clients, ok := c.Kube().(*fake.Clientset); ok {
		clients.PrependReactor("create", "services", s.createService)
		clients.PrependReactor("*", "secrets", s.keepSecret)
	}
	return c
}

// createService gives a Service that a test creates by the API its addresses, and puts it among the manifests.
func (s *suite) createService(action clienttesting.Action) (bool, runtime.Object, error) {
	created, ok := action.(clienttesting.CreateAction)
	if !ok {
		return false, nil, nil
	}
	service, ok := created.GetObject().(*corev1.Service)
	if !ok {
		return false, nil, nil
	}
	service.APIVersion, service.Kind = "v1", "Service"
	service.Spec.ClusterIP = s.nextClusterIP()
	service.Spec.ClusterIPs = []string{service.Spec.ClusterIP}
	text, err := yaml.Marshal(service)
	if err != nil {
		return true, nil, err
	}
	s.base = append(s.base, string(text))
	return false, nil, nil // the client keeps it as well
}

// keepSecret has a Secret that a test creates by the API among the manifests for as long as the client has it.
func (s *suite) keepSecret(action clienttesting.Action) (bool, runtime.Object, error) {
	switch a := action.(type) {
	case clienttesting.CreateAction: // an update is one, too
		secret, ok := a.GetObject().(*corev1.Secret)
		if !ok {
			return false, nil, nil
		}
		secret.APIVersion, secret.Kind = "v1", "Secret"
		text, err := yaml.Marshal(secret)
		if err != nil {
			return true, nil, err
		}
		s.secrets[secret.Namespace+"/"+secret.Name] = string(text)
	case clienttesting.DeleteAction:
		delete(s.secrets, a.GetNamespace()+"/"+a.GetName())
	}
	return false, nil, nil // the client keeps it as well
}

func (c *oneCluster) String() string               { return c.Name() }
func (c *oneCluster) Name() string                 { return "cluster-0" }
func (c *oneCluster) StableName() string           { return "primary" }
func (c *oneCluster) NetworkName() string          { return "" }
func (c *oneCluster) MinKubeVersion(uint) bool     { return true }
func (c *oneCluster) MaxKubeVersion(uint) bool     { return false }
func (c *oneCluster) IsPrimary() bool              { return true }
func (c *oneCluster) IsConfig() bool               { return true }
func (c *oneCluster) IsRemote() bool               { return false }
func (c *oneCluster) IsExternalControlPlane() bool { return false }
func (c *oneCluster) Primary() cluster.Cluster     { return c }
func (c *oneCluster) PrimaryName() string          { return c.Name() }
func (c *oneCluster) Config() cluster.Cluster      { return c }
func (c *oneCluster) ConfigName() string           { return c.Name() }
func (c *oneCluster) HTTPProxy() string            { return "" }
func (c *oneCluster) MetadataValue(string) string  { return "" }
func (c *oneCluster) ProxyKubectlOnly() bool       { return false }

func (s *suite) nextClusterIP() string {
	s.clusterIPs++
	return fmt.Sprintf("10.97.%d.10", s.clusterIPs) // in a network each: one test makes CIDRs of them
}

func (s *suite) nextPodIP() string {
	s.podIPs++
	return fmt.Sprintf("10.245.0.%d", s.podIPs)
}
