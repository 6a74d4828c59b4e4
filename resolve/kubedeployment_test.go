package resolve

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// kubeGatewayYAML is a Gateway of the class with a listener on port 80; more stands in its metadata, spec in its spec.
func kubeGatewayYAML(class, more, spec string) string {
	return fmt.Sprintf(`
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: web, namespace: shop, %s}
spec: {gatewayClassName: %s, listeners: [{name: web, port: 80, protocol: HTTP}], %s}
---
`, more, class, spec)
}

func listenerSetYAML(namespace string) string {
	return `
apiVersion: gateway.networking.k8s.io/v1
kind: ListenerSet
metadata: {name: more, namespace: ` + namespace + `}
spec: {parentRef: {name: web, namespace: shop}, listeners: [{name: web, port: 8080, protocol: HTTP}, {name: sec.ure, port: 8443, protocol: HTTPS}]}
---
`
}

func gatewayClassYAML(name, controller string) string {
	return "apiVersion: gateway.networking.k8s.io/v1\nkind: GatewayClass\nmetadata: {name: " + name + "}\nspec: {controllerName: " + controller + "}\n---\n"
}

// deployedLines are the workloads, and the Services with their type and ports.
func deployedLines(s *Snapshot) []string {
	out := lines(s.workloadsAmong(s.RunningNamespaces()))
	for _, svc := range s.KubeServices {
		words := []string{"service", svc.Namespace + "/" + svc.Name, string(svc.Spec.Type)}
		for _, p := range svc.Spec.Ports {
			words = append(words, fmt.Sprintf("%s:%d>%d/%s", p.Name, p.Port, p.TargetPort.IntVal, *p.AppProtocol))
		}
		out = append(out, strings.Join(words, " "))
	}
	return out
}

func TestGatewayDeployment(t *testing.T) {
	const (
		workload = "deployment shop/web-istio x1 gateway sa=web-istio template"
		service  = "service shop/web-istio LoadBalancer status-port:15021>15021/tcp web:80>80/http"
		listens  = "allowedListeners: {namespaces: {from: Same}}"
	)
	tests := []struct {
		name, manifests string
		want            []string
	}{
		{"class istio", kubeGatewayYAML("istio", "", ""), []string{workload, service}},
		{"an IP address", kubeGatewayYAML("istio", "", "addresses: [{type: IPAddress, value: 192.0.2.1}]"), []string{workload, service}},
		{"a host name", kubeGatewayYAML("istio", "", "addresses: [{type: Hostname, value: ingress}]"), []string{}},
		{"remote", kubeGatewayYAML("istio-remote", "", ""), []string{}},
		{"foreign class", kubeGatewayYAML("nginx", "", ""), []string{}},
		{
			"class of another name", gatewayClassYAML("edge", controllerGateway) + kubeGatewayYAML("edge", "", ""),
			[]string{"deployment shop/web-edge x1 gateway sa=web-edge template", "service shop/web-edge LoadBalancer status-port:15021>15021/tcp web:80>80/http"},
		},
		{"Istio's class name, another's controller", gatewayClassYAML("istio", "example.com/other") + kubeGatewayYAML("istio", "", ""), []string{}},
		{
			"waypoint", kubeGatewayYAML("istio-waypoint", "", ""),
			[]string{"deployment shop/web x1 waypoint sa=web template", "service shop/web ClusterIP status-port:15021>15021/tcp web:80>80/http"},
		},
		{
			"names and type by annotation",
			kubeGatewayYAML("istio", "annotations: {gateway.istio.io/name-override: edge, gateway.istio.io/service-account: robot, networking.istio.io/service-type: ClusterIP}", ""),
			[]string{"deployment shop/edge x1 gateway sa=robot template", "service shop/edge ClusterIP status-port:15021>15021/tcp web:80>80/http"},
		},
		{
			"two listeners of one port, and equal names",
			strings.Replace(kubeGatewayYAML("istio", "", ""), "protocol: HTTP}", "protocol: HTTP}, {name: b, port: 80, protocol: HTTP}, {name: status-port, port: 81, protocol: TCP}", 1),
			[]string{workload, service + " status-port-81:81>81/tcp"},
		},
		{"ListenerSet, allowed", kubeGatewayYAML("istio", "", listens) + listenerSetYAML("shop"), []string{workload, service + " web-8080:8080>8080/http sec-ure:8443>8443/https"}},
		{"ListenerSet, not allowed", kubeGatewayYAML("istio", "", listens) + listenerSetYAML("other"), []string{workload, service}},
		{
			"a Service that is there", kubeGatewayYAML("istio", "", "") + "apiVersion: v1\nkind: Service\nmetadata: {name: web-istio, namespace: shop}\nspec: {type: NodePort}\n",
			[]string{workload, "service shop/web-istio NodePort"},
		},
		{
			"a Deployment that is there", kubeGatewayYAML("istio", "", "") + deployment("web-istio", "{replicas: 2, template: {spec: {containers: [{name: istio-proxy, args: [proxy, router]}]}}}"),
			[]string{"deployment shop/web-istio x2 gateway sa=default template", service},
		},
		{
			"a pod that is there",
			kubeGatewayYAML("istio", "", "") + "apiVersion: v1\nkind: Pod\nmetadata: {name: p, namespace: shop, labels: {gateway.networking.k8s.io/gateway-name: web}}\nspec: {containers: [{name: istio-proxy, args: [proxy, router]}]}\n",
			[]string{"pod shop/p pod p x1 gateway sa=default", service},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, deployedLines(snapshotOf(t, tt.manifests))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestGatewayDeploymentOnACluster(t *testing.T) {
	offline := snapshotOf(t, kubeGatewayYAML("istio", "", ""))
	live := NewSnapshot(Input{Resources: []Sourced{{Object: offline.KubeGateways[0]}}})
	if got := deployedLines(live); len(got) > 0 {
		t.Errorf("istiod's part was made up on a cluster: %q", got)
	}
}

func TestGatewayDeploymentLabels(t *testing.T) {
	const own = "gateway.networking.k8s.io/gateway-class-name=istio gateway.networking.k8s.io/gateway-name=web"
	const managed = "gateway.istio.io/managed=istio.io-gateway-controller "
	tests := []struct{ name, metadata, spec, pod, service string }{
		{
			"of the Gateway", "labels: {team: a}", "",
			managed + own + " istio.io/dataplane-mode=none service.istio.io/canonical-name=web-istio service.istio.io/canonical-revision=latest sidecar.istio.io/inject=false team=a",
			managed + own + " team=a",
		},
		{
			"of infrastructure, in place of the Gateway's", "labels: {team: a}", "infrastructure: {labels: {tier: edge, service.istio.io/canonical-name: edge, gateway.networking.k8s.io/x: y}}",
			managed + own + " istio.io/dataplane-mode=none service.istio.io/canonical-name=edge service.istio.io/canonical-revision=latest sidecar.istio.io/inject=false tier=edge",
			managed + own + " service.istio.io/canonical-name=edge tier=edge",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := snapshotOf(t, kubeGatewayYAML("istio", tt.metadata, tt.spec))
			if diff := cmp.Diff(tt.pod, labelWords(s.workloadsAmong(s.RunningNamespaces())[0].Labels)); diff != "" {
				t.Errorf("pod: %s", diff)
			}
			if diff := cmp.Diff(tt.service, labelWords(s.KubeServices[0].Labels)); diff != "" {
				t.Errorf("service: %s", diff)
			}
		})
	}
}

func TestGatewayDeploymentAnnotations(t *testing.T) {
	s := snapshotOf(t, kubeGatewayYAML("istio", "annotations: {gateway.istio.io/name-override: edge, networking.istio.io/exportTo: .}", ""))
	if diff := cmp.Diff(map[string]string{"networking.istio.io/exportTo": "."}, s.KubeServices[0].Annotations); diff != "" {
		t.Error(diff)
	}
	if got := s.Locate(s.workloadsAmong(s.RunningNamespaces())[0].Owner); got != "made by istiod for Gateway shop/web" {
		t.Errorf("the Deployment is located at %q", got)
	}
}

func labelWords(labels map[string]string) string {
	var out []string
	for _, k := range slices.Sorted(maps.Keys(labels)) {
		out = append(out, k+"="+labels[k])
	}
	return strings.Join(out, " ")
}
