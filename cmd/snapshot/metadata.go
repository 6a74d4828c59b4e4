package snapshot

import (
	"maps"
	"slices"
	"strings"
	"time"

	"istio.io/api/annotation"
	"istio.io/api/label"
	meshconfig "istio.io/api/mesh/v1alpha1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/gateway-api/pkg/consts"
	"sigs.k8s.io/yaml"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

// Of an object's metadata are written: its name and namespace; its age, which is Istio's order; that it is going; its
// generation, where it has a status of which it counts; what controls it; the annotations that a trace reads; and the
// labels that something in the snapshot selects by or that have a meaning for Istio or Kubernetes.

// readAnnotations are the annotations that a trace reads.
var readAnnotations = []string{
	annotation.AmbientBypassInboundCapture.Name,
	annotation.AmbientDnsCapture.Name,
	annotation.AmbientRedirection.Name,
	annotation.AmbientWaypointInboundBinding.Name,
	annotation.GatewayNameOverride.Name,
	annotation.GatewayServiceAccount.Name,
	annotation.InjectTemplates.Name,
	annotation.IoIstioAutoRegistrationGroup.Name,
	annotation.IoIstioDryRun.Name,
	annotation.IoIstioUseWaypointCanaryWeight.Name,
	"networking.istio.io/cluster",
	annotation.NetworkingExportTo.Name,
	annotation.NetworkingServiceType.Name,
	annotation.NetworkingTrafficDistribution.Name,
	annotation.ProxyConfig.Name,
	annotation.SidecarInterceptionMode.Name,
	annotation.SidecarStatusPort.Name,
	annotation.SidecarTrafficExcludeInboundPorts.Name,
	annotation.SidecarTrafficExcludeOutboundIPRanges.Name,
	annotation.SidecarTrafficExcludeOutboundPorts.Name,
	annotation.SidecarTrafficIncludeInboundPorts.Name,
	annotation.SidecarTrafficIncludeOutboundIPRanges.Name,
	annotation.SidecarTrafficIncludeOutboundPorts.Name,
	annotation.TrafficNodeSelector.Name,
	consts.BundleVersionAnnotation,
	resolve.ClusterAnnotation,
	"internal.istio.io/gateway-service",
	"internal.istio.io/route-semantics",
	"internal.istio.io/service-semantics",
	"istio.io/connect-strategy",
	"istio.io/ignore-policy-attachment",
	"kubernetes.io/ingress.class",
	"proxy.istio.io/health-checks-enabled",
	"sidecar.istio.io/inject",
}

// knownLabels are labels that mean something to Istio or Kubernetes, whatever selects by them.
var knownLabels = []string{
	"app", "istio", "version", "pod-template-hash",
	label.IoIstioRev.Name, "istio.io/tag", "istio.io/dataplane-mode", "istio.io/use-waypoint",
	"istio.io/use-waypoint-namespace", "istio.io/use-waypoint-canary", "istio.io/use-waypoint-canary-namespace", "istio.io/waypoint-for", "istio.io/ingress-use-waypoint",
	"networking.istio.io/tunnel",
	label.IoK8sNetworkingGatewayGatewayName.Name, label.GatewayManaged.Name,
	"istio/multiCluster",
	label.SecurityTlsMode.Name, label.SidecarInject.Name, label.ServiceCanonicalName.Name, label.ServiceCanonicalRevision.Name,
	label.TopologyCluster.Name, label.TopologyNetwork.Name, label.TopologySubzone.Name, "istio-locality",
	"app.kubernetes.io/name", "app.kubernetes.io/version",
	"experimental.istio.io/disable-gateway-port-translation",
	"istio.io/inferencepool-name", "istio.io/inferencepool-extension-service", "istio.io/inferencepool-extension-port", "istio.io/inferencepool-extension-failure-mode",
	"internal.istio.io/service-semantics", "networking.istio.io/enable-autoallocate-ip", "networking.istio.io/gatewayPort", "topology.istio.io/locality",
	"istio-injection",
	corev1.LabelMetadataName, corev1.LabelHostname, corev1.LabelTopologyRegion, corev1.LabelTopologyZone, corev1.LabelFailureDomainBetaRegion, corev1.LabelFailureDomainBetaZone,
	discoveryv1.LabelServiceName,
}

// metadata is what is written of an object's metadata, with all its labels.
func metadata(o metav1.Object) tree {
	out := tree{}
	set := func(name, value string) {
		if value != "" {
			out[name] = value
		}
	}
	set("name", o.GetName())
	set("namespace", o.GetNamespace())
	if at := o.GetCreationTimestamp(); !at.IsZero() {
		out["creationTimestamp"] = at.UTC().Format(time.RFC3339)
	}
	if at := o.GetDeletionTimestamp(); at != nil {
		out["deletionTimestamp"] = at.UTC().Format(time.RFC3339)
	}
	if g := o.GetGeneration(); g != 0 {
		out["generation"] = g
	}
	if labels := o.GetLabels(); len(labels) > 0 {
		m := tree{}
		for k, v := range labels {
			m[k] = v
		}
		out["labels"] = m
	}
	if annotations := annotationsOf(o); len(annotations) > 0 {
		out["annotations"] = annotations
	}
	for _, r := range o.GetOwnerReferences() {
		if r.Controller != nil && *r.Controller {
			out["ownerReferences"] = []any{tree{"apiVersion": r.APIVersion, "kind": r.Kind, "name": r.Name, "controller": true}}
			break
		}
	}
	return out
}

func annotationsOf(o metav1.Object) tree {
	out := tree{}
	for k, v := range o.GetAnnotations() {
		if !slices.Contains(readAnnotations, k) {
			continue
		}
		if k == annotation.ProxyConfig.Name {
			v = proxyConfig(v)
		}
		out[k] = v
	}
	return out
}

// proxyConfig is what is read of the annotation proxy.istio.io/config; a text that is none stays as little as one.
func proxyConfig(text string) string {
	config := &meshconfig.ProxyConfig{}
	if err := yaml.Unmarshal([]byte(text), config); err != nil {
		return "{"
	}
	out, _, err := reducedMessage(config)
	if err != nil {
		return "{"
	}
	data, err := yaml.Marshal(out)
	if err != nil {
		return "{"
	}
	return string(data)
}

// selecting are the keys that anything in the objects could select by.
func selecting(objects []tree) map[string]bool {
	keys := map[string]bool{}
	for _, k := range knownLabels {
		keys[k] = true
	}
	for _, o := range objects {
		for part, value := range o {
			if part != "metadata" {
				addKeys(value, keys)
			}
		}
	}
	return keys
}

// addKeys adds the keys of all maps, what expressions ask for, and what a failover goes by.
func addKeys(value any, keys map[string]bool) {
	switch value := value.(type) {
	case tree:
		for k, v := range value {
			if k == "metadata" { // of a template
				continue
			}
			keys[k] = true
			if name, ok := v.(string); ok && k == "key" {
				keys[name] = true
			}
			if k == "failoverPriority" {
				addPriorities(v, keys)
			}
			addKeys(v, keys)
		}
	case []any:
		for _, v := range value {
			addKeys(v, keys)
		}
	}
}

func addPriorities(value any, keys map[string]bool) {
	list, _ := value.([]any)
	for _, v := range list {
		text, _ := v.(string)
		name, _, _ := strings.Cut(text, "=")
		keys[name] = true
	}
}

// keepLabels drops the other labels from the metadata of an object, and of the templates in it.
func keepLabels(value any, keys map[string]bool) {
	switch value := value.(type) {
	case tree:
		if meta, ok := value["metadata"].(tree); ok {
			if labels, ok := meta["labels"].(tree); ok {
				maps.DeleteFunc(labels, func(k string, _ any) bool { return !keys[k] })
				if len(labels) == 0 {
					delete(meta, "labels")
				}
			}
		}
		for _, v := range value {
			keepLabels(v, keys)
		}
	case []any:
		for _, v := range value {
			keepLabels(v, keys)
		}
	}
}
