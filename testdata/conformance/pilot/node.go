package pilot

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"istio.io/api/annotation"
	meshconfig "istio.io/api/mesh/v1alpha1"
	"istio.io/istio/pilot/pkg/config/memory"
	"istio.io/istio/pilot/pkg/model"
	"istio.io/istio/pkg/config/mesh"
	"istio.io/istio/pkg/config/schema/collections"
	"istio.io/istio/pkg/config/schema/gvk"
	"istio.io/istio/pkg/network"

	"github.com/mesh-trace/kubectl-mesh-trace/testdata/conformance/apiserver"
	"github.com/mesh-trace/kubectl-mesh-trace/testdata/conformance/evaluator"
)

// proxyConfig is what the pod's agent is configured with, as the injector merges it: the mesh's defaults, ProxyConfigs,
// and the pod's annotation.
func (w *World) proxyConfig(p *apiserver.Pod) (*meshconfig.ProxyConfig, error) {
	if text, ok := p.Annotations[annotation.ProxyConfig.Name]; ok {
		if _, err := mesh.ApplyProxyConfig(text, w.mesh); err != nil {
			return nil, apiserver.Unjudged{Reason: "the injector does not take " + annotation.ProxyConfig.Name + ": " + err.Error()}
		}
	}
	store := memory.Make(collections.Pilot)
	for _, c := range w.cluster.Configs {
		if c.GroupVersionKind == gvk.ProxyConfig {
			if _, err := store.Create(c); err != nil {
				return nil, err
			}
		}
	}
	all := model.GetProxyConfigs(store, w.mesh)
	return all.EffectiveProxyConfig(&model.NodeMetadata{Namespace: p.Namespace, Labels: p.Labels, Annotations: p.Annotations}, w.mesh), nil
}

// metadata is what the pod's agent tells istiod of itself: what its environment says (ISTIO_META_*), and what
// the injector fills in.
func (w *World) metadata(p *apiserver.Pod) (*model.NodeMetadata, error) {
	config, err := w.proxyConfig(p)
	if err != nil {
		return nil, err
	}
	own := map[string]string{}
	for name, v := range config.GetProxyMetadata() {
		if key, ok := strings.CutPrefix(name, "ISTIO_META_"); ok {
			own[key] = v
		}
	}
	for _, c := range slices.Concat(p.Spec.InitContainers, p.Spec.Containers) {
		for _, e := range c.Env {
			if key, ok := strings.CutPrefix(e.Name, "ISTIO_META_"); ok && c.Name == "istio-proxy" {
				own[key] = e.Value
			}
		}
	}
	text, err := json.Marshal(own)
	if err != nil {
		return nil, err
	}
	m := &model.NodeMetadata{}
	if err := json.Unmarshal(text, m); err != nil {
		return nil, apiserver.Unjudged{Reason: "metadata of " + p.Name + ": " + err.Error()}
	}
	m.Namespace, m.Labels, m.Annotations, m.ServiceAccount = p.Namespace, p.Labels, p.Annotations, p.Spec.ServiceAccountName
	m.ClusterID, m.IstioVersion, m.NodeName = idOf(p), "1.31.0", p.Spec.NodeName
	m.EnvoyStatusPort, m.EnvoyPrometheusPort = 15021, 15090
	if name := w.networkOf(p); m.Network == "" {
		m.Network = network.ID(name)
	}
	m.ProxyConfig = (*model.NodeMetaProxyConfig)(config)
	if p.Proxy == "sidecar" {
		m.InterceptionMode = model.TrafficInterceptionMode(interception(p, config))
	}
	return m, nil
}

// CapturesDNS reports whether the pod's proxy answers its DNS queries.
func (w *World) CapturesDNS(p *apiserver.Pod) bool {
	if p.Captured {
		return p.Annotations["ambient.istio.io/dns-capture"] != "false"
	}
	m, err := w.metadata(p)
	return err == nil && p.Proxy != "" && bool(m.DNSCapture)
}

// interception is the mode in words: the pod's annotation, else its proxy config.
func interception(p *apiserver.Pod, c *meshconfig.ProxyConfig) string {
	if mode, ok := p.Annotations[annotation.SidecarInterceptionMode.Name]; ok {
		return mode
	}
	return c.GetInterceptionMode().String()
}

// iptables are the options that the injector calls istio-iptables with, for the chart's values.
func (w *World) iptables(p *apiserver.Pod) (*evaluator.Iptables, error) {
	config, err := w.proxyConfig(p)
	if err != nil {
		return nil, err
	}
	t := &evaluator.Iptables{Off: interception(p, config) == "NONE", InboundExclude: []uint16{15090, 15021}}
	status := "15020"
	if text, ok := p.Annotations[annotation.SidecarStatusPort.Name]; ok {
		status = text
	}
	if status != "0" {
		if t.InboundExclude, err = ports(t.InboundExclude, status); err != nil {
			return nil, apiserver.Unjudged{Reason: "the injector refuses " + annotation.SidecarStatusPort.Name + ": " + err.Error()}
		}
	}
	for _, o := range []struct {
		name string
		into *[]uint16
	}{
		{annotation.SidecarTrafficIncludeInboundPorts.Name, &t.InboundPorts},
		{annotation.SidecarTrafficExcludeInboundPorts.Name, &t.InboundExclude},
		{annotation.SidecarTrafficIncludeOutboundPorts.Name, &t.OutboundPorts},
		{annotation.SidecarTrafficExcludeOutboundPorts.Name, &t.OutboundExclude},
	} {
		if text, ok := p.Annotations[o.name]; ok && text != "*" {
			if *o.into, err = ports(*o.into, text); err != nil {
				return nil, apiserver.Unjudged{Reason: "the injector refuses " + o.name + ": " + err.Error()}
			}
		}
	}
	for _, o := range []struct {
		name string
		into *[]netip.Prefix
	}{
		{annotation.SidecarTrafficIncludeOutboundIPRanges.Name, &t.Ranges},
		{annotation.SidecarTrafficExcludeOutboundIPRanges.Name, &t.RangesExclude},
	} {
		if text, ok := p.Annotations[o.name]; ok && text != "*" {
			if *o.into, err = ranges(text); err != nil {
				return nil, apiserver.Unjudged{Reason: "the injector refuses " + o.name + ": " + err.Error()}
			}
		}
	}
	return t, nil
}

func ports(list []uint16, text string) ([]uint16, error) {
	list = append([]uint16{}, list...)
	for s := range strings.SplitSeq(text, ",") {
		if s = strings.TrimSpace(s); s == "" {
			continue
		}
		n, err := strconv.ParseUint(s, 10, 16)
		if err != nil {
			return nil, fmt.Errorf("port %q", s)
		}
		list = append(list, uint16(n))
	}
	return list, nil
}

func ranges(text string) ([]netip.Prefix, error) {
	list := []netip.Prefix{}
	for s := range strings.SplitSeq(text, ",") {
		if s = strings.TrimSpace(s); s == "" {
			continue
		}
		p, err := netip.ParsePrefix(s)
		if err != nil {
			return nil, err
		}
		list = append(list, p)
	}
	return list, nil
}
