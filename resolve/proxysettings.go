package resolve

import (
	"strconv"

	"google.golang.org/protobuf/types/known/wrapperspb"
	"istio.io/api/annotation"
	meshconfig "istio.io/api/mesh/v1alpha1"
	networkingv1beta1 "istio.io/client-go/pkg/apis/networking/v1beta1"
)

// What a proxy runs with, as far as somebody has written it; none of it decides about a request.
//
//  1. concurrency and image type are those of the oldest ProxyConfig whose selector fits, else of the annotation
//     proxy.istio.io/config, else of the ProxyConfig of the namespace, that of the root namespace, the mesh's defaultConfig.
//  2. How a proxy starts and ends (holdApplicationUntilProxyStarts, drainDuration, terminationDrainDuration) is the annotation's,
//     else the mesh's defaultConfig.
//
// Source: pilot/pkg/model/proxy_config.go, EffectiveProxyConfig; istio.io/api/mesh/v1alpha1, ProxyConfig.

// Rules of what a proxy runs with.
const (
	RuleProxySetting RuleID = "proxy/setting"
)

var proxySettingRules = []Rule{
	{
		ID: RuleProxySetting, Stage: StageProxy,
		Says:     "A proxy's concurrency and image type are those of a ProxyConfig that selects it, else of its pod's annotation proxy.istio.io/config, else of the ProxyConfigs for its namespace and the mesh, else of the mesh's defaultConfig; how it starts and ends, of the annotation or the defaultConfig.",
		Template: "%s %s",
		Source:   "pilot/pkg/model/proxy_config.go, EffectiveProxyConfig",
	},
}

// ProxyFacts tell what the workload's proxy runs with.
func (s *Snapshot) ProxyFacts(w *Workload) []Step {
	var steps []Step
	own, ownRef := proxyConfigOf(w), annotated(w, annotation.ProxyConfig.Name)
	mesh, meshRef := s.Mesh.GetDefaultConfig(), s.Mesh.Ref.At("defaultConfig")
	layers := []proxySettings{
		s.proxySettings(w.Namespace, func(selector map[string]string) bool { return len(selector) > 0 && Selects(selector, w.Labels) }),
		{ref: ownRef, concurrency: number32(own.GetConcurrency()), image: own.GetImage().GetImageType()},
		s.proxySettings(w.Namespace, nil),
		s.proxySettings(s.Mesh.GetRootNamespace(), nil),
		{ref: meshRef, concurrency: number32(mesh.GetConcurrency()), image: mesh.GetImage().GetImageType()},
	}
	for _, setting := range []struct {
		name string
		of   func(proxySettings) string
	}{
		{"concurrency", func(p proxySettings) string { return p.concurrency }},
		{"image type", func(p proxySettings) string { return p.image }},
	} {
		for _, layer := range layers {
			if value := setting.of(layer); value != "" {
				steps = append(steps, NewStep(RuleProxySetting, Applied, layer.ref, setting.name, value))
				break
			}
		}
	}
	return append(steps, lifecycleFacts(w, s)...)
}

// lifecycleFacts are rule 3.
func lifecycleFacts(w *Workload, s *Snapshot) []Step {
	own, mesh := lifecycleOf(proxyConfigOf(w)), lifecycleOf(s.Mesh.GetDefaultConfig())
	var steps []Step
	for i, setting := range mesh {
		ref := s.Mesh.Ref.At("defaultConfig." + setting.name)
		if own[i].value != "" {
			setting, ref = own[i], annotated(w, annotation.ProxyConfig.Name)
		}
		if setting.value != "" {
			steps = append(steps, NewStep(RuleProxySetting, Applied, ref, setting.name, setting.value))
		}
	}
	return steps
}

// namedSetting is a setting as text; empty where it is not written.
type namedSetting struct{ name, value string }

// lifecycleOf are the settings of how a proxy starts and ends, always the same ones.
func lifecycleOf(c *meshconfig.ProxyConfig) []namedSetting {
	settings := []namedSetting{{name: "holdApplicationUntilProxyStarts"}, {name: "drainDuration"}, {name: "terminationDrainDuration"}}
	if hold := c.GetHoldApplicationUntilProxyStarts(); hold != nil {
		settings[0].value = strconv.FormatBool(hold.GetValue())
	}
	if d := c.GetDrainDuration(); d != nil {
		settings[1].value = d.AsDuration().String()
	}
	if d := c.GetTerminationDrainDuration(); d != nil {
		settings[2].value = d.AsDuration().String()
	}
	return settings
}

// number32 is a number as text; empty where it is not written.
func number32(n *wrapperspb.Int32Value) string {
	if n == nil {
		return ""
	}
	return strconv.Itoa(int(n.GetValue()))
}

// proxySettings are those of one place that may set them; empty ones are not set.
type proxySettings struct {
	concurrency, image string
	ref                Ref
}

// proxySettings are those of the oldest ProxyConfig of the namespace whose selector fits; nil for one without selector.
func (s *Snapshot) proxySettings(namespace string, fits func(selector map[string]string) bool) proxySettings {
	c := s.proxyConfigFor(namespace, fits)
	if c == nil {
		return proxySettings{}
	}
	return proxySettings{
		concurrency: number32(c.Spec.GetConcurrency()), image: c.Spec.GetImage().GetImageType(),
		ref: refOf(istioNetworking, "ProxyConfig", c).At("spec"),
	}
}

// proxyConfigFor is the oldest ProxyConfig of the namespace whose selector fits; nil for one without selector.
func (s *Snapshot) proxyConfigFor(namespace string, fits func(selector map[string]string) bool) *networkingv1beta1.ProxyConfig {
	for _, c := range s.ProxyConfigs {
		if c.Namespace != namespace {
			continue
		}
		if selector := c.Spec.GetSelector(); fits == nil && selector == nil || fits != nil && fits(selector.GetMatchLabels()) {
			return c
		}
	}
	return nil
}
