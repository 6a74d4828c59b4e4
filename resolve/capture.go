package resolve

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"istio.io/api/annotation"
	meshconfig "istio.io/api/mesh/v1alpha1"
)

// Rules of traffic capture around a sidecar.
const (
	RuleCaptureOutbound     RuleID = "capture/outbound"
	RuleCaptureNoProxy      RuleID = "capture/no-proxy"
	RuleCaptureExcludedPort RuleID = "capture/outbound-port-excluded"
	RuleCaptureExcludedIP   RuleID = "capture/outbound-address-excluded"
	RuleCaptureUnknownIP    RuleID = "capture/address-unknown"
	RuleCaptureUDP          RuleID = "capture/udp"
	RuleCaptureInbound      RuleID = "capture/inbound"
	RuleCaptureInboundPort  RuleID = "capture/inbound-port-excluded"
	RuleCaptureModeNone     RuleID = "capture/interception-none"
)

var captureRules = []Rule{
	{
		ID: RuleCaptureOutbound, Stage: StageCapture,
		Says:     "The sidecar captures every outgoing TCP connection that no annotation excludes.",
		Template: "captured by the sidecar",
		Source:   "tools/istio-iptables; pkg/kube/inject",
		Detail:   true,
	},
	{
		ID: RuleCaptureNoProxy, Stage: StageCapture,
		Says:     "A workload without a proxy sends and receives as the application does.",
		Template: "no proxy: the connection goes to the address as the application sent it",
		Source:   "pkg/kube/inject/inject.go, injectRequired",
	},
	{
		ID: RuleCaptureExcludedPort, Stage: StageCapture,
		Says:     "Ports that excludeOutboundPorts lists bypass the sidecar.",
		Template: "port %d is not captured (%s): the connection bypasses the sidecar in plaintext",
		Source:   "tools/istio-iptables/pkg/capture, annotations traffic.sidecar.istio.io/*",
	},
	{
		ID: RuleCaptureExcludedIP, Stage: StageCapture,
		Says:     "Addresses in excludeOutboundIPRanges, or outside includeOutboundIPRanges, bypass the sidecar; those outside not on a port that includeOutboundPorts lists.",
		Template: "%s is not captured (%s): the connection bypasses the sidecar in plaintext",
		Source:   "tools/istio-iptables/pkg/capture, annotations traffic.sidecar.istio.io/*",
	},
	{
		ID: RuleCaptureUnknownIP, Stage: StageCapture,
		Says:     "Where ranges are excluded and the address is not known from here, it is taken to be captured.",
		Template: "%s is set and the address of %s is not known from here: taken as captured",
		Source:   "assumption of the tool",
	},
	{
		ID: RuleCaptureUDP, Stage: StageCapture,
		Says:     "UDP is never captured.",
		Template: "UDP is never captured by a sidecar",
		Source:   "tools/istio-iptables",
	},
	{
		ID: RuleCaptureModeNone, Stage: StageCapture,
		Says:     "With interceptionMode NONE (the pod's annotation, else its proxy config) nothing is captured; only listeners bound to a port take traffic.",
		Template: "%s is NONE: nothing is captured",
		Source:   "manifests/charts/istio-control/istio-discovery/files/injection-template.yaml",
	},
	{
		ID: RuleCaptureInbound, Stage: StageCapture,
		Says:     "The sidecar captures every incoming TCP connection that no annotation excludes.",
		Template: "captured by the sidecar",
		Source:   "tools/istio-iptables",
		Detail:   true,
	},
	{
		ID: RuleCaptureInboundPort, Stage: StageCapture,
		Says:     "Ports that excludeInboundPorts lists, or that includeInboundPorts leaves out, reach the application without the sidecar; so do 15021, 15090 and the status port: 15020, or that of the annotation status.sidecar.istio.io/port.",
		Template: "port %d is not captured (%s): it reaches the application without the sidecar, and no policy applies",
		Source:   "tools/istio-iptables/pkg/capture, annotations traffic.sidecar.istio.io/*",
	},
}

// CapturesOutbound reports whether the workload's sidecar takes an outgoing connection.
//
//  1. Without a sidecar nothing is captured, and UDP never is.
//  2. excludeOutboundPorts comes first, then excludeOutboundIPRanges.
//  3. includeOutboundPorts and includeOutboundIPRanges add up; without the latter every address is captured.
//
// Source: tools/istio-iptables/pkg/capture/run.go; annotations traffic.sidecar.istio.io/*.
func (s *Snapshot) CapturesOutbound(w *Workload, d Dialled, udp bool) (bool, Step) {
	ref := w.Owner
	switch {
	case w.Dataplane != DataplaneSidecar:
		return false, NewStep(RuleCaptureNoProxy, None, ref)
	case udp:
		return false, NewStep(RuleCaptureUDP, None, ref)
	}
	if none, step := s.capturesNothing(w); none {
		return false, step
	}
	if list, ok := w.Annotations[annotation.SidecarTrafficExcludeOutboundPorts.Name]; ok && listsPort(list, d.Port) {
		return false, NewStep(RuleCaptureExcludedPort, Applied, annotated(w, annotation.SidecarTrafficExcludeOutboundPorts.Name), d.Port, "excludeOutboundPorts "+list)
	}
	for _, a := range []struct {
		name    string
		exclude bool
	}{
		{annotation.SidecarTrafficExcludeOutboundIPRanges.Name, true},
		{annotation.SidecarTrafficIncludeOutboundIPRanges.Name, false},
	} {
		list, ok := w.Annotations[a.name]
		if !ok || list == "*" {
			continue
		}
		if include, ok := w.Annotations[annotation.SidecarTrafficIncludeOutboundPorts.Name]; ok && !a.exclude && listsPort(include, d.Port) {
			continue
		}
		ip := d.Address.Prefix
		switch {
		case !ip.IsValid() && list != "":
			return true, NewStep(RuleCaptureUnknownIP, Warned, annotated(w, a.name), a.name, describeDialled(d))
		case listsAddress(list, ip) == a.exclude:
			return false, NewStep(RuleCaptureExcludedIP, Applied, annotated(w, a.name), describeDialled(d), a.name+" "+strconv.Quote(list))
		}
	}
	return true, NewStep(RuleCaptureOutbound, Applied, ref)
}

// CapturesInbound reports whether the workload's sidecar takes an incoming connection on a pod port; UDP it never takes.
// excludeInboundPorts is read only where includeInboundPorts lists no ports of its own.
// Source: tools/istio-iptables/pkg/capture/run.go; annotations traffic.sidecar.istio.io/*.
func (s *Snapshot) CapturesInbound(w *Workload, port int, udp bool) (bool, Step) {
	switch {
	case w.Dataplane != DataplaneSidecar:
		return false, NewStep(RuleCaptureNoProxy, None, w.Owner)
	case udp:
		return false, NewStep(RuleCaptureUDP, None, w.Owner)
	case strconv.Itoa(port) == w.Annotations[annotation.SidecarStatusPort.Name]:
		return false, NewStep(RuleCaptureInboundPort, Applied, annotated(w, annotation.SidecarStatusPort.Name), port, "the port of its agent's status")
	case port == 15021 || port == 15090 || strconv.Itoa(port) == statusPort(w):
		return false, NewStep(RuleCaptureInboundPort, Applied, w.Owner, port, "a port of the proxy itself")
	}
	if none, step := s.capturesNothing(w); none {
		return false, step
	}
	if list, ok := w.Annotations[annotation.SidecarTrafficIncludeInboundPorts.Name]; ok && list != "*" {
		if !listsPort(list, port) {
			return false, NewStep(RuleCaptureInboundPort, Applied, annotated(w, annotation.SidecarTrafficIncludeInboundPorts.Name), port, "includeInboundPorts "+strconv.Quote(list))
		}
		return true, NewStep(RuleCaptureInbound, Applied, w.Owner)
	}
	if list, ok := w.Annotations[annotation.SidecarTrafficExcludeInboundPorts.Name]; ok && listsPort(list, port) {
		return false, NewStep(RuleCaptureInboundPort, Applied, annotated(w, annotation.SidecarTrafficExcludeInboundPorts.Name), port, "excludeInboundPorts "+list)
	}
	return true, NewStep(RuleCaptureInbound, Applied, w.Owner)
}

// statusPort is where the proxy's agent answers probes: by the pod's annotation, else 15020.
// Source: manifests/charts/istio-control/istio-discovery/files/injection-template.yaml; pkg/kube/inject/template.go, excludeInboundPort.
func statusPort(w *Workload) string {
	if port, ok := w.Annotations[annotation.SidecarStatusPort.Name]; ok {
		return strings.TrimSpace(port)
	}
	return "15020"
}

// capturesNothing reports whether the interception mode is NONE: by the pod's annotation, else by its proxy config.
func (s *Snapshot) capturesNothing(w *Workload) (bool, Step) {
	name := annotation.SidecarInterceptionMode.Name
	if mode, ok := w.Annotations[name]; ok {
		return mode == meshconfig.ProxyConfig_NONE.String(), NewStep(RuleCaptureModeNone, Applied, annotated(w, name), name)
	}
	if own := proxyConfigOf(w); own.GetInterceptionMode() != meshconfig.ProxyConfig_REDIRECT {
		name = annotation.ProxyConfig.Name
		return own.GetInterceptionMode() == meshconfig.ProxyConfig_NONE, NewStep(RuleCaptureModeNone, Applied, annotated(w, name), "interceptionMode in "+name)
	}
	mode := s.Mesh.GetDefaultConfig().GetInterceptionMode()
	return mode == meshconfig.ProxyConfig_NONE, NewStep(RuleCaptureModeNone, Applied, s.Mesh.Ref.At("defaultConfig.interceptionMode"), "defaultConfig.interceptionMode")
}

func annotated(w *Workload, name string) Ref {
	field := "metadata.annotations[" + name + "]"
	if w.FromTemplate {
		field = "spec.template." + field
	}
	return w.Owner.At(field)
}

func describeDialled(d Dialled) string {
	switch {
	case d.Address.Prefix.IsValid():
		return d.Address.String()
	case d.Service != nil:
		return d.Service.Hostname
	}
	return "the host"
}

func listsPort(list string, port int) bool {
	return slices.ContainsFunc(strings.Split(list, ","), func(p string) bool {
		return strings.TrimSpace(p) == "*" || strings.TrimSpace(p) == strconv.Itoa(port)
	})
}

func listsAddress(list string, ip netip.Prefix) bool {
	return slices.ContainsFunc(strings.Split(list, ","), func(text string) bool {
		prefix, err := netip.ParsePrefix(strings.TrimSpace(text))
		return strings.TrimSpace(text) == "*" || err == nil && ip.IsValid() && prefix.Contains(ip.Addr())
	})
}
