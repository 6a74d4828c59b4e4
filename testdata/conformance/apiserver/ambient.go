package apiserver

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	k8sgateway "sigs.k8s.io/gateway-api/apis/v1"

	networking "istio.io/api/networking/v1alpha3"
	"istio.io/istio/pilot/pkg/networking/serviceentry"
)

// Ambient mode in manifests, which show its state only where they were read from a cluster.
//
//  1. It is on as istiod's Deployment says with PILOT_ENABLE_AMBIENT; without that Deployment, if there is anything ambient: a label
//     istio.io/dataplane-mode: ambient, a captured pod, a Gateway of class istio-waypoint.
//  2. A new pod without a proxy is captured if it has the label, or its namespace has it and the pod not another value: istio-cni
//     says so with the annotation ambient.istio.io/redirection. It captures no pod of the node's network, and none in kube-system.
//  3. Hosts of a ServiceEntry without addresses get one each, in its status.
//  4. A waypoint of which no status is told has been ready, so that its Gateway has the name of its Service as its address.
//
// Sources: cni/pkg/util/podutil.go; cni/pkg/repair and manifests/charts/istio-cni/values.yaml, excludeNamespaces;
// pilot/pkg/config/kube/gateway/conversion.go, reportGatewayStatus; pilot/pkg/controllers/ipallocate/ipallocate.go.

const (
	dataplaneMode     = "istio.io/dataplane-mode"
	redirection       = "ambient.istio.io/redirection"
	waypointClass     = "istio-waypoint"
	managedByMesh     = "istio.io-mesh-controller"
	enabled           = "enabled"
	ambientCapability = "PILOT_ENABLE_AMBIENT"
)

// holdsAmbient is step 1.
func (c *Cluster) holdsAmbient(objects []runtime.Object) bool {
	found := false
	for _, o := range objects {
		switch x := o.(type) {
		case *appsv1.Deployment:
			if flags := flagsOf(x); flags != nil {
				c.Flags = flags
				return on(flags[ambientCapability])
			}
			found = found || x.Spec.Template.Labels[dataplaneMode] == "ambient"
		case *appsv1.StatefulSet:
			found = found || x.Spec.Template.Labels[dataplaneMode] == "ambient"
		case *appsv1.DaemonSet:
			found = found || x.Spec.Template.Labels[dataplaneMode] == "ambient"
		case *corev1.Pod:
			found = found || x.Labels[dataplaneMode] == "ambient" || x.Annotations[redirection] == enabled
		case *corev1.Namespace:
			found = found || x.Labels[dataplaneMode] == "ambient"
		case *k8sgateway.Gateway:
			found = found || x.Spec.GatewayClassName == waypointClass
		}
	}
	return found
}

// flagsOf are the environment of istiod's Deployment; nil for other Deployments.
func flagsOf(d *appsv1.Deployment) map[string]string {
	if d.Labels["app"] != "istiod" && d.Spec.Template.Labels["app"] != "istiod" {
		return nil
	}
	out := map[string]string{}
	for _, x := range d.Spec.Template.Spec.Containers {
		for _, e := range x.Env {
			out[e.Name] = e.Value
		}
	}
	return out
}

// on is a flag as Go reads it.
func on(value string) bool {
	set, err := strconv.ParseBool(value)
	return err == nil && set
}

// Flag is what istiod's Deployment says of a flag; without a word of it, what it is otherwise.
func (c *Cluster) Flag(name string, otherwise bool) bool {
	if value, ok := c.Flags[name]; ok {
		return on(value)
	}
	return otherwise
}

// capture is step 2.
func (c *Cluster) capture(p *Pod, fresh bool) {
	if p.Annotations[redirection] == enabled {
		p.Captured = p.Proxy == ""
		return
	}
	mode := p.Labels[dataplaneMode]
	if ns := c.namespaces[p.Namespace]; mode == "" && ns != nil {
		mode = ns.Labels[dataplaneMode]
	}
	if !fresh || mode != "ambient" || p.Proxy != "" || p.Spec.HostNetwork || p.Namespace == "kube-system" {
		return
	}
	p.Captured = true
	if p.Annotations = maps.Clone(p.Annotations); p.Annotations == nil {
		p.Annotations = map[string]string{}
	}
	p.Annotations[redirection] = enabled
}

// allocate is step 3.
func (c *Cluster) allocate() {
	next := netip.MustParseAddr("240.240.0.1")
	for i := range c.Configs {
		cfg := &c.Configs[i]
		spec, ok := cfg.Spec.(*networking.ServiceEntry)
		if !ok || len(spec.GetAddresses()) > 0 || len(serviceentry.GetHostAddressesFromConfig(*cfg)) > 0 || !serviceentry.ShouldV2AutoAllocateIPFromConfig(*cfg) {
			continue
		}
		status := &networking.ServiceEntryStatus{}
		for _, h := range spec.GetHosts() {
			if strings.HasPrefix(h, "*") && spec.GetResolution() != networking.ServiceEntry_DYNAMIC_DNS {
				continue
			}
			status.Addresses = append(status.Addresses, &networking.ServiceEntryAddress{Value: next.String(), Host: h})
			next = next.Next()
		}
		cfg.Status = status
	}
}

// address is step 4.
func address(gw *k8sgateway.Gateway, service string) {
	told := func(c metav1.Condition) bool { return c.Reason != string(k8sgateway.GatewayReasonPending) } // else a default of the CRD
	if len(gw.Status.Addresses) > 0 || slices.ContainsFunc(gw.Status.Conditions, told) {
		return
	}
	kind := k8sgateway.HostnameAddressType
	gw.Status.Addresses = []k8sgateway.GatewayStatusAddress{{Type: &kind, Value: service + "." + cmp.Or(gw.Namespace, "default") + ".svc.cluster.local"}}
}
