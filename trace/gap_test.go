package trace

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	api "istio.io/api/networking/v1alpha3"
	networking "istio.io/client-go/pkg/apis/networking/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

type nowhere struct{}

func (nowhere) Locate(string) string { return "" }

func named(namespace, name string, labels ...string) metav1.ObjectMeta {
	m := metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: map[string]string{}}
	for i := 0; i+1 < len(labels); i += 2 {
		m.Labels[labels[i]] = labels[i+1]
	}
	return m
}

func running(meta metav1.ObjectMeta, ip string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: meta,
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "istio-proxy", Args: []string{"proxy", "router"}}}},
		Status: corev1.PodStatus{
			Phase: corev1.PodRunning, PodIP: ip, PodIPs: []corev1.PodIP{{IP: ip}},
			Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}},
		},
	}
}

// shop is a gateway in edge that routes shop.example.com to a Service without sidecars in shop.
func shop(gaps ...resolve.Gap) *resolve.Snapshot {
	in := resolve.Input{Gaps: gaps, Revision: "default"}
	add := func(group, kind string, o resolve.Object) {
		in.Resources = append(in.Resources, resolve.Sourced{Object: o, GroupKind: schema.GroupKind{Group: group, Kind: kind}, Origin: nowhere{}})
	}
	edge := running(named("edge", "gw-1", "istio", "ingressgateway"), "10.0.0.9")
	add("", "Pod", edge)
	add("", "Service", &corev1.Service{ObjectMeta: named("edge", "gw"), Spec: corev1.ServiceSpec{
		Selector: map[string]string{"istio": "ingressgateway"}, Ports: []corev1.ServicePort{{Name: "http", Port: 80, TargetPort: intstr.FromInt32(8080)}},
	}})
	add("networking.istio.io", "Gateway", &networking.Gateway{ObjectMeta: named("edge", "gw"), Spec: api.Gateway{
		Selector: map[string]string{"istio": "ingressgateway"},
		Servers:  []*api.Server{{Port: &api.Port{Number: 80, Name: "http", Protocol: "HTTP"}, Hosts: []string{"*"}}},
	}})
	add("networking.istio.io", "VirtualService", &networking.VirtualService{ObjectMeta: named("shop", "shop"), Spec: api.VirtualService{
		Hosts: []string{"shop.example.com"}, Gateways: []string{"edge/gw"},
		Http: []*api.HTTPRoute{{Route: []*api.HTTPRouteDestination{{Destination: &api.Destination{Host: "web"}}}}},
	}})
	add("", "Service", &corev1.Service{ObjectMeta: named("shop", "web"), Spec: corev1.ServiceSpec{
		ClusterIP: "10.1.0.1", Selector: map[string]string{"app": "web"}, Ports: []corev1.ServicePort{{Name: "http", Port: 80, TargetPort: intstr.FromInt32(80)}},
	}})
	web := running(named("shop", "web-1", "app", "web"), "10.0.0.1")
	web.Spec = corev1.PodSpec{Containers: []corev1.Container{{Name: "web"}}}
	add("", "Pod", web)
	ready, name, port := true, "http", int32(80)
	add("discovery.k8s.io", "EndpointSlice", &discoveryv1.EndpointSlice{
		ObjectMeta: named("shop", "web", "kubernetes.io/service-name", "web"), AddressType: discoveryv1.AddressTypeIPv4,
		Ports: []discoveryv1.EndpointPort{{Name: &name, Port: &port}},
		Endpoints: []discoveryv1.Endpoint{{
			Addresses: []string{"10.0.0.1"}, Conditions: discoveryv1.EndpointConditions{Ready: &ready},
			TargetRef: &corev1.ObjectReference{Kind: "Pod", Namespace: "shop", Name: "web-1"},
		}},
	})
	return resolve.NewSnapshot(in)
}

// forbidden is a kind that may not be listed, everywhere or in one namespace.
func forbidden(kind string, namespace ...string) resolve.Gap {
	g := resolve.Gap{GroupKind: schema.ParseGroupKind(kind), Reason: resolve.GapForbidden, Detail: "no"}
	if len(namespace) > 0 {
		g.Namespace = namespace[0]
	}
	return g
}

// TestGaps holds which outcomes a gap stands before: those are no longer certain, others stay so.
func TestGaps(t *testing.T) {
	external := Request{Method: "GET", Scheme: HTTP, Host: "shop.example.com", Port: 80, Path: "/", From: SourceSpec{External: true}}
	inside := Request{Method: "GET", Scheme: HTTP, Host: "web", Port: 80, Path: "/", From: SourceSpec{DefaultNamespace: "shop"}}
	absent := Request{Method: "GET", Scheme: HTTP, Host: "cart", Port: 80, Path: "/", From: SourceSpec{DefaultNamespace: "shop"}}
	for _, tc := range []struct {
		name    string
		request Request
		gaps    []resolve.Gap
		want    string
		// stages are those of the steps that tell of the gap.
		stages []resolve.Stage
	}{
		{"nothing is missing", external, nil, "Delivered certain", nil},
		{"gateways", external, []resolve.Gap{forbidden("Gateway.networking.istio.io")}, "Delivered assumed", []resolve.Stage{resolve.StageGateway}},
		{"gateways, for a request that passes none", inside, []resolve.Gap{forbidden("Gateway.networking.istio.io")}, "Delivered certain", nil},
		{"ingresses", external, []resolve.Gap{forbidden("Ingress.networking.k8s.io")}, "Delivered assumed", []resolve.Stage{resolve.StageGateway}},
		{"routes at a gateway", external, []resolve.Gap{forbidden("VirtualService.networking.istio.io")}, "Delivered assumed", []resolve.Stage{resolve.StageHost}},
		{"routes on a sidecar", inside, []resolve.Gap{forbidden("VirtualService.networking.istio.io")}, "Delivered assumed", []resolve.Stage{resolve.StageHost}},
		{"Sidecars do not count for gateways", external, []resolve.Gap{forbidden("Sidecar.networking.istio.io")}, "Delivered certain", nil},
		{"Sidecars", inside, []resolve.Gap{forbidden("Sidecar.networking.istio.io")}, "Delivered assumed", []resolve.Stage{resolve.StageSidecar}},
		{"Sidecars of another namespace", inside, []resolve.Gap{forbidden("Sidecar.networking.istio.io", "other")}, "Delivered certain", nil},
		{"extensions of the gateway", external, []resolve.Gap{forbidden("WasmPlugin.extensions.istio.io", "edge")}, "Delivered assumed", []resolve.Stage{resolve.StageExtension}},
		{"extensions of a server without proxy", external, []resolve.Gap{forbidden("WasmPlugin.extensions.istio.io", "shop")}, "Delivered certain", nil},
		{"DestinationRules are told once", external, []resolve.Gap{forbidden("DestinationRule.networking.istio.io")}, "Delivered assumed", []resolve.Stage{resolve.StageDestinationRule}},
		{"tokens are told once", external, []resolve.Gap{forbidden("RequestAuthentication.security.istio.io", "edge")}, "Delivered assumed", []resolve.Stage{resolve.StageRequestAuthentication}},
		{"policies of the gateway", external, []resolve.Gap{forbidden("AuthorizationPolicy.security.istio.io", "edge")}, "Delivered undetermined", []resolve.Stage{resolve.StageAuthorizationPolicy}},
		{"policies of a server without proxy", external, []resolve.Gap{forbidden("AuthorizationPolicy.security.istio.io", "shop")}, "Delivered certain", nil},
		{"WorkloadEntries that the Service could select", inside, []resolve.Gap{forbidden("WorkloadEntry.networking.istio.io", "shop")}, "Delivered assumed", []resolve.Stage{resolve.StageLoadBalance}},
		{"one EndpointSlice", inside, []resolve.Gap{{GroupKind: schema.ParseGroupKind("EndpointSlice.discovery.k8s.io"), Namespace: "shop", Name: "web-2", Reason: resolve.GapUnreadable}}, "Delivered assumed", []resolve.Stage{resolve.StageLoadBalance}},
		{"the mesh config, once for two proxies", external, []resolve.Gap{{GroupKind: schema.GroupKind{Kind: "ConfigMap"}, Namespace: "istio-system", Name: "istio", Reason: resolve.GapForbidden}}, "Delivered assumed", []resolve.Stage{resolve.StageSource}},
		{"a name that no Service has", absent, nil, "NotRouted certain", nil},
		{"a name that a Service could have", absent, []resolve.Gap{forbidden("Service", "shop")}, "NotRouted assumed", []resolve.Stage{resolve.StageDNS}},
		{"a name that no Service of another namespace has", absent, []resolve.Gap{forbidden("Service", "other")}, "NotRouted certain", nil},
		{"a name that a ServiceEntry could have", absent, []resolve.Gap{forbidden("ServiceEntry.networking.istio.io", "other")}, "NotRouted assumed", []resolve.Stage{resolve.StageDNS}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := Walk(shop(tc.gaps...), tc.request)
			if err != nil {
				t.Fatal(err)
			}
			o := got.Outcomes[0]
			if diff := cmp.Diff(tc.want, fmt.Sprint(o.Decision, " ", o.Certainty)); diff != "" {
				t.Errorf("%s\n%s", diff, o.Reason)
			}
			var stages []resolve.Stage
			for _, h := range got.Hops {
				for _, s := range h.Steps {
					if s.Verdict == resolve.Warned {
						stages = append(stages, s.Stage)
					}
				}
			}
			if diff := cmp.Diff(tc.stages, stages); diff != "" {
				t.Errorf("stages that warn: %s", diff)
			}
		})
	}
}
