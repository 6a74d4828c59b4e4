package apiserver

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	k8sgateway "sigs.k8s.io/gateway-api/apis/v1"

	"istio.io/istio/pilot/pkg/config/kube/gatewaycommon"
)

// What istiod's deployment controller makes for each Gateway that it manages: a Deployment and a Service.
//
//  1. Both are called GATEWAY-CLASS, or as the annotation gateway.istio.io/name-override says. What of the two is among
//     the manifests stays as it is.
//  2. The pods have the Gateway's labels, or those of spec.infrastructure, and gateway.networking.k8s.io/gateway-name,
//     which the Service selects.
//  3. The Service has the port 15021, and one for each number among the listeners and those of ListenerSets.
//  4. The pods are not captured. A waypoint's Service prefers what is close to the client.
//  5. The proxy is on the network of their label topology.istio.io/network, and then asks for its endpoints alone; without the label on that
//     of the charts' values, which are taken to name the one of istiod's namespace.
//
// Source: pilot/pkg/config/kube/gatewaycommon/deploymentcontroller.go, configureIstioGateway.

func (c *Cluster) deployGateways() {
	for _, o := range slices.Clone(c.Objects) {
		gw, ok := o.(*k8sgateway.Gateway)
		if !ok || !gatewaycommon.IsManaged(&gw.Spec) {
			continue
		}
		info, ours := gatewaycommon.ClassInfos[c.controller(gw.Spec.GatewayClassName)]
		if !ours || info.Templates == "" {
			continue
		}
		plain := gatewaycommon.GetDefaultName(gw.Name, &gw.Spec, info.DisableNameSuffix)
		name := cmp.Or(gw.Annotations["gateway.istio.io/name-override"], plain)
		labels := map[string]string{
			"sidecar.istio.io/inject": "false", "service.istio.io/canonical-name": name, "service.istio.io/canonical-revision": "latest",
		}
		maps.Copy(labels, infrastructureLabels(gw))
		labels["gateway.networking.k8s.io/gateway-name"] = gw.Name
		labels["gateway.networking.k8s.io/gateway-class-name"] = string(gw.Spec.GatewayClassName)
		labels["gateway.istio.io/managed"] = info.ControllerLabel
		role, annotations := "router", map[string]string(nil)
		labels = merged(map[string]string{dataplaneMode: "none"}, labels) // 4.
		if info.Templates == "waypoint" {
			role, annotations = "waypoint", map[string]string{"networking.istio.io/traffic-distribution": "PreferClose"}
			address(gw, name)
		}
		if owner := "Deployment " + gw.Namespace + "/" + name; !c.deployments[owner] {
			c.addPod(&corev1.Pod{
				ObjectMeta: metav1.ObjectMeta{Name: name + "-0", Namespace: gw.Namespace, Labels: labels, CreationTimestamp: metav1.NewTime(created)},
				Spec: corev1.PodSpec{
					ServiceAccountName: cmp.Or(gw.Annotations["gateway.istio.io/service-account"], plain),
					Containers: []corev1.Container{{
						Name: "istio-proxy", Image: "proxyv2", Args: []string{"proxy", role}, Env: c.networkOf(infrastructureLabels(gw), gw.Spec.GatewayClassName != waypointClass),
					}},
				},
			}, owner)
		}
		if slices.ContainsFunc(c.Services, func(s *corev1.Service) bool { return s.Namespace == gw.Namespace && s.Name == name }) {
			continue
		}
		c.addService(&corev1.Service{
			ObjectMeta: metav1.ObjectMeta{
				Name: name, Namespace: gw.Namespace, CreationTimestamp: metav1.NewTime(created), Annotations: annotations,
				Labels: merged(infrastructureLabels(gw), map[string]string{
					"gateway.networking.k8s.io/gateway-name": gw.Name, "gateway.networking.k8s.io/gateway-class-name": string(gw.Spec.GatewayClassName),
					"gateway.istio.io/managed": info.ControllerLabel,
				}),
			},
			Spec: corev1.ServiceSpec{
				Type: info.DefaultServiceType, Selector: map[string]string{"gateway.networking.k8s.io/gateway-name": gw.Name}, Ports: c.listenerPorts(gw),
			},
		})
	}
}

// networkOf is step 5.
func (c *Cluster) networkOf(labels map[string]string, view bool) []corev1.EnvVar {
	own := labels[Network]
	var out []corev1.EnvVar
	if name := cmp.Or(own, c.SystemNetwork()); name != "" {
		out = append(out, corev1.EnvVar{Name: "ISTIO_META_NETWORK", Value: name})
	}
	if own != "" && view {
		out = append(out, corev1.EnvVar{Name: "ISTIO_META_REQUESTED_NETWORK_VIEW", Value: own})
	}
	return out
}

// merged are labels, those of the second over those of the first.
func merged(first, second map[string]string) map[string]string {
	out := map[string]string{}
	maps.Copy(out, first)
	maps.Copy(out, second)
	return out
}

// controller is that of a class.
func (c *Cluster) controller(class k8sgateway.ObjectName) k8sgateway.GatewayController {
	for _, o := range c.Objects {
		if x, ok := o.(*k8sgateway.GatewayClass); ok && x.Name == string(class) {
			return x.Spec.ControllerName
		}
	}
	return gatewaycommon.BuiltinGatewayClasses[class]
}

func infrastructureLabels(gw *k8sgateway.Gateway) map[string]string {
	if gw.Spec.Infrastructure == nil || gw.Spec.Infrastructure.Labels == nil {
		return gw.Labels
	}
	out := map[string]string{}
	for k, v := range gw.Spec.Infrastructure.Labels {
		if !strings.HasPrefix(string(k), "gateway.networking.k8s.io/") {
			out[string(k)] = string(v)
		}
	}
	return out
}

// listenerPorts is step 3.
func (c *Cluster) listenerPorts(gw *k8sgateway.Gateway) []corev1.ServicePort {
	all := slices.Clone(gw.Spec.Listeners)
	for _, o := range c.Objects {
		set, ok := o.(*k8sgateway.ListenerSet)
		if !ok || string(set.Spec.ParentRef.Name) != gw.Name || namespaceOr(set.Spec.ParentRef.Namespace, set.Namespace) != gw.Namespace ||
			!gatewaycommon.NamespaceAcceptedByAllowListeners(set.Namespace, gw, func(name string) *corev1.Namespace { return c.namespaces[name] }) {
			continue
		}
		for _, l := range set.Spec.Listeners {
			all = append(all, gatewaycommon.ConvertListenerSetToListener(l))
		}
	}
	tcp := "tcp"
	out := []corev1.ServicePort{{Name: "status-port", Port: 15021, AppProtocol: &tcp}}
	for _, l := range all {
		if slices.ContainsFunc(out[1:], func(p corev1.ServicePort) bool { return p.Port == l.Port }) {
			continue
		}
		protocol := strings.ToLower(string(l.Protocol))
		out = append(out, corev1.ServicePort{Name: fmt.Sprintf("port-%d", l.Port), Port: l.Port, AppProtocol: &protocol})
	}
	return out
}

func namespaceOr(ns *k8sgateway.Namespace, own string) string {
	if ns == nil {
		return own
	}
	return string(*ns)
}
