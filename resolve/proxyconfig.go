package resolve

import (
	"istio.io/api/annotation"
	meshconfig "istio.io/api/mesh/v1alpha1"
	"sigs.k8s.io/yaml"
)

// The settings of a proxy that a trace asks for, by their variables.
const (
	metaDNSCapture      = "ISTIO_META_DNS_CAPTURE"
	metaUnprivilegedPod = "ISTIO_META_UNPRIVILEGED_POD"
	metaEnableHBONE     = "ISTIO_META_ENABLE_HBONE"
)

// ProxyVariables are the variables of a proxy that a trace asks for.
var ProxyVariables = []string{metaDNSCapture, metaUnprivilegedPod, metaEnableHBONE, metaNetwork, metaNetworkView}

// proxyConfigOf reads the annotation proxy.istio.io/config; nil where it is absent or does not parse.
func proxyConfigOf(w *Workload) *meshconfig.ProxyConfig {
	text, ok := w.Annotations[annotation.ProxyConfig.Name]
	if !ok {
		return nil
	}
	config := &meshconfig.ProxyConfig{}
	if err := yaml.Unmarshal([]byte(text), config); err != nil {
		return nil
	}
	return config
}

// metadata is what the workload's proxy has of the name in its environment, ISTIO_META_NAME, and the ProxyConfig that
// says so; zero for another source.
//
//  1. What the container istio-proxy says.
//  2. Else what the injector gives it: by the oldest ProxyConfig of the namespace whose selector fits, the annotation
//     proxy.istio.io/config, the oldest ProxyConfig without selector of the namespace, that of the root namespace, and
//     the mesh's defaultConfig; who comes first has the word on the name.
//
// Source: pilot/pkg/model/proxy_config.go, EffectiveProxyConfig.
func (s *Snapshot) metadata(w *Workload, name string) (string, Ref) {
	for _, c := range w.Containers {
		for _, e := range c.Env {
			if c.Name == proxyContainer && e.Name == name {
				return e.Value, Ref{}
			}
		}
	}
	for _, e := range []proxyEnvironment{
		s.proxyEnvironment(w.Namespace, func(selector map[string]string) bool { return len(selector) > 0 && Selects(selector, w.Labels) }),
		{variables: proxyConfigOf(w).GetProxyMetadata()},
		s.proxyEnvironment(w.Namespace, nil),
		s.proxyEnvironment(s.Mesh.GetRootNamespace(), nil),
		{variables: s.Mesh.GetDefaultConfig().GetProxyMetadata()},
	} {
		if v, ok := e.variables[name]; ok {
			return v, e.ref
		}
	}
	return "", Ref{}
}

// proxyEnvironment are variables of proxies, and the ProxyConfig that has them.
type proxyEnvironment struct {
	variables map[string]string
	ref       Ref
}

// proxyEnvironment is that of the oldest ProxyConfig of the namespace whose selector fits; nil for one without selector.
func (s *Snapshot) proxyEnvironment(namespace string, fits func(selector map[string]string) bool) proxyEnvironment {
	c := s.proxyConfigFor(namespace, fits)
	if c == nil {
		return proxyEnvironment{}
	}
	return proxyEnvironment{c.Spec.GetEnvironmentVariables(), refOf(istioNetworking, "ProxyConfig", c).At("spec.environmentVariables")}
}

// capturesDNS reports whether the workload's sidecar answers the application's DNS queries, and by which ProxyConfig.
func (s *Snapshot) capturesDNS(w *Workload) (bool, []Step) {
	v, ref := s.metadata(w, metaDNSCapture)
	captured := w.Dataplane == DataplaneSidecar && (v == "true" || v == "1")
	if ref.IsZero() || w.Dataplane != DataplaneSidecar {
		return captured, nil
	}
	return captured, []Step{NewStep(RuleDNSCaptureBy, Applied, ref, map[bool]string{true: "on", false: "off"}[captured])}
}

// TrustedProxies is how many proxies before a gateway may write X-Forwarded-For:
// the pod's annotation proxy.istio.io/config before the mesh's defaultConfig.
// Source: istio.io/api/mesh/v1alpha1, Topology.num_trusted_proxies.
func (s *Snapshot) TrustedProxies(w *Workload) int {
	if own := proxyConfigOf(w).GetGatewayTopology(); own != nil {
		return int(own.GetNumTrustedProxies())
	}
	return int(s.Mesh.GetDefaultConfig().GetGatewayTopology().GetNumTrustedProxies())
}
