package resolve

import (
	"istio.io/api/annotation"
	meshconfig "istio.io/api/mesh/v1alpha1"
	"sigs.k8s.io/yaml"
)

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

// TrustedProxies is how many proxies before a gateway may write X-Forwarded-For:
// the pod's annotation proxy.istio.io/config before the mesh's defaultConfig.
// Source: istio.io/api/mesh/v1alpha1, Topology.num_trusted_proxies.
func (s *Snapshot) TrustedProxies(w *Workload) int {
	if own := proxyConfigOf(w).GetGatewayTopology(); own != nil {
		return int(own.GetNumTrustedProxies())
	}
	return int(s.Mesh.GetDefaultConfig().GetGatewayTopology().GetNumTrustedProxies())
}
