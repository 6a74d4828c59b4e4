package resolve

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// Names of labels and annotations that say how a workload takes part in the mesh.
const (
	labelInject        = "sidecar.istio.io/inject" // the annotation has the same name
	labelInjection     = "istio-injection"
	labelRevision      = "istio.io/rev"
	labelTag           = "istio.io/tag"
	labelDataplaneMode = "istio.io/dataplane-mode"
	labelTLSMode       = "security.istio.io/tlsMode"
	labelNetwork       = "topology.istio.io/network"
	labelLocality      = "topology.istio.io/locality"
	labelSubzone       = "topology.istio.io/subzone"
	labelCanonicalName = "service.istio.io/canonical-name"
	labelCanonicalRev  = "service.istio.io/canonical-revision"

	annotationTemplates   = "inject.istio.io/templates"
	annotationRedirection = "ambient.istio.io/redirection"

	tlsModeIstio   = "istio"
	modeAmbient    = "ambient"
	modeNone       = "none"
	proxyContainer = "istio-proxy"
	autoImage      = "auto"
)

// Rules of what a workload runs.
const (
	RuleWorkloadSidecar      RuleID = "workload/sidecar-container"
	RuleWorkloadGateway      RuleID = "workload/gateway-container"
	RuleWorkloadWaypoint     RuleID = "workload/waypoint-container"
	RuleWorkloadRedirected   RuleID = "workload/redirected"
	RuleWorkloadPending      RuleID = "workload/redirection-pending"
	RuleWorkloadNoProxy      RuleID = "workload/no-proxy"
	RuleWorkloadEntryTLSMode RuleID = "workload/entry-tls-mode"
	RuleWorkloadEntryAccount RuleID = "workload/entry-account"
	RuleWorkloadEntryPlain   RuleID = "workload/entry-plain"
)

var workloadRules = []Rule{
	{
		ID: RuleWorkloadSidecar, Stage: StageCapture,
		Says:     "A pod with a container or init container istio-proxy has a sidecar.",
		Template: "container %s is a sidecar", Source: "pkg/config/analysis/analyzers/util/in_mesh.go, hasIstioProxy",
	},
	{
		ID: RuleWorkloadGateway, Stage: StageCapture,
		Says:     "A pod whose istio-proxy runs as a router is a gateway: only it takes Gateway resources.",
		Template: "container istio-proxy is a gateway: %s", Source: "pilot/pkg/model/push_context.go, mergeGateways",
	},
	{
		ID: RuleWorkloadWaypoint, Stage: StageCapture,
		Says:     "A pod whose istio-proxy runs as a waypoint is a waypoint.",
		Template: "container istio-proxy runs %s", Source: "manifests/charts/istio-control/istio-discovery/files/waypoint.yaml",
	},
	{
		ID: RuleWorkloadRedirected, Stage: StageCapture,
		Says:     "A pod with the annotation ambient.istio.io/redirection: enabled is captured by ztunnel.",
		Template: "annotation ambient.istio.io/redirection is %q", Source: "cni/pkg/util/podutil.go, PodFullyEnrolled",
	},
	{
		ID: RuleWorkloadPending, Stage: StageCapture,
		Says:     "A pod with the annotation ambient.istio.io/redirection: pending is led to a ztunnel that does not have it yet: nothing gets through until it does. istiod takes it for a pod without a proxy.",
		Template: "annotation ambient.istio.io/redirection is %q: its connections fail until ztunnel has the pod; the trace takes it for one without a proxy, as istiod does",
		Source:   "cni/pkg/util/podutil.go, AnnotatePartiallyEnrolledPod",
	},
	{
		ID: RuleWorkloadNoProxy, Stage: StageCapture,
		Says:     "A running pod without istio-proxy and without ambient redirection is outside the mesh.",
		Template: "%s has no container istio-proxy and is not captured by ztunnel", Source: "pkg/config/analysis/analyzers/util/in_mesh.go, inMesh",
	},
	{
		ID: RuleWorkloadEntryTLSMode, Stage: StageCapture,
		Says:     "A WorkloadEntry's label security.istio.io/tlsMode says whether it takes mTLS.",
		Template: "label security.istio.io/tlsMode is %q", Source: "pilot/pkg/serviceregistry/serviceentry/conversion.go, getTLSModeFromWorkloadEntry",
	},
	{
		ID: RuleWorkloadEntryAccount, Stage: StageCapture,
		Says:     "A WorkloadEntry with a service account and no tlsMode label takes mTLS.",
		Template: "it has service account %s", Source: "pilot/pkg/serviceregistry/serviceentry/conversion.go, getTLSModeFromWorkloadEntry",
	},
	{
		ID: RuleWorkloadEntryPlain, Stage: StageCapture,
		Says:     "A WorkloadEntry without a service account and tlsMode label is outside the mesh.",
		Template: "WorkloadEntry %s has neither a service account nor the label security.istio.io/tlsMode", Source: "pilot/pkg/serviceregistry/serviceentry/conversion.go, getTLSModeFromWorkloadEntry",
	},
}

// runningDataplane is what a pod that runs is seen to run.
//
// 1. A container istio-proxy: a gateway, a waypoint or a sidecar (proxyDataplane).
// 2. Else the annotation that ztunnel's agent puts on a pod it has captured. Labels do not count: istiod reads the annotation alone.
// While it says pending, nothing that the rules in the pod lead to ztunnel gets through; to others the pod is not captured.
// 3. Else nothing.
func (s *Snapshot) runningDataplane(t PodTemplate) (Dataplane, Step) {
	if d, step, ok := proxyDataplane(t); ok {
		return d, step
	}
	switch v := t.Annotations[annotationRedirection]; v {
	case "enabled":
		return DataplaneAmbient, NewStep(RuleWorkloadRedirected, Applied, t.field("metadata.annotations["+annotationRedirection+"]"), v)
	case "pending":
		return DataplaneNone, NewStep(RuleWorkloadPending, Warned, t.field("metadata.annotations["+annotationRedirection+"]"), v)
	}
	return DataplaneNone, NewStep(RuleWorkloadNoProxy, None, t.Ref, t.Ref.QualifiedName())
}

// proxyDataplane tells what the container istio-proxy runs as; false without one.
//
//  1. Its arguments name the proxy's type: proxy router, proxy waypoint, proxy sidecar.
//  2. Without arguments, a pod made from the gateway template, or with the label
//     istio: ingressgateway or egressgateway, is a gateway, and any other has a sidecar.
//
// Source: pilot/cmd/pilot-agent/app/cmd.go, initProxy; files/gateway-injection-template.yaml.
func proxyDataplane(t PodTemplate) (Dataplane, Step, bool) {
	c, ok := proxyOf(t)
	if !ok {
		return DataplaneNone, Step{}, false
	}
	switch kind := ProxyType(c); {
	case kind == "router":
		return DataplaneGateway, NewStep(RuleWorkloadGateway, Applied, t.Ref, "it runs proxy router"), true
	case kind == "waypoint":
		return DataplaneWaypoint, NewStep(RuleWorkloadWaypoint, Applied, t.Ref, "proxy waypoint"), true
	case kind == "" && hasTemplate(t.Annotations, "gateway"):
		return DataplaneGateway, NewStep(RuleWorkloadGateway, Applied, t.field("metadata.annotations["+annotationTemplates+"]"), "annotation inject.istio.io/templates: gateway"), true
	case kind == "" && gatewayLabelled(t.Labels):
		return DataplaneGateway, NewStep(RuleWorkloadGateway, Applied, t.field("metadata.labels[istio]"), "label istio: "+t.Labels["istio"]), true
	}
	return DataplaneSidecar, NewStep(RuleWorkloadSidecar, Applied, t.Ref, c.Name), true
}

// proxyPending reports whether the container istio-proxy is written for the
// webhook to fill in: it has no arguments, and either the image auto or a template is named.
// Of a gateway by label alone the proxy counts as it stands.
func proxyPending(t PodTemplate) bool {
	c, ok := proxyOf(t)
	templated := t.Annotations[annotationTemplates] != ""
	return ok && ProxyType(c) == "" && (templated || ImageChosenByWebhook(c) && !gatewayLabelled(t.Labels))
}

// ImageChosenByWebhook reports whether the image is the word that leaves the choice to the injector.
func ImageChosenByWebhook(c corev1.Container) bool { return c.Image == autoImage }

func gatewayLabelled(labels map[string]string) bool {
	return labels["istio"] == "ingressgateway" || labels["istio"] == "egressgateway"
}

func proxyOf(t PodTemplate) (corev1.Container, bool) {
	i := slices.IndexFunc(t.Containers, func(c corev1.Container) bool { return c.Name == proxyContainer })
	if i < 0 {
		return corev1.Container{}, false
	}
	return t.Containers[i], true
}

// ProxyType is the argument after "proxy": sidecar, router, waypoint; empty if it is not there.
func ProxyType(c corev1.Container) string {
	args := slices.Concat(c.Command, c.Args)
	for i, a := range args {
		if a == "proxy" && i+1 < len(args) {
			return args[i+1]
		}
	}
	return ""
}
