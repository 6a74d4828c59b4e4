package pilot_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/mesh-trace/kubectl-mesh-trace/testdata/conformance/apiserver"
	"github.com/mesh-trace/kubectl-mesh-trace/testdata/conformance/evaluator"
	"github.com/mesh-trace/kubectl-mesh-trace/testdata/conformance/pilot"
)

const ambientMesh = `
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {istio.io/dataplane-mode: ambient}}
---
apiVersion: v1
kind: Namespace
metadata: {name: edge, labels: {istio-injection: enabled}}
---
apiVersion: v1
kind: Namespace
metadata: {name: outer}
---
apiVersion: v1
kind: Namespace
metadata: {name: istio-system}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec: {template: {metadata: {labels: {app: web}}, spec: {serviceAccountName: web, containers: [{name: app, image: app}]}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: cart, namespace: shop}
spec: {template: {metadata: {labels: {app: cart, version: v1}}, spec: {serviceAccountName: cart, containers: [{name: app, image: app}]}}}
---
apiVersion: v1
kind: Service
metadata: {name: cart, namespace: shop CARTLABELS}
spec: {selector: {app: cart}, ports: [{name: http, port: 80, targetPort: 8080}, {name: tcp, port: 90, targetPort: 9090}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: proxied, namespace: edge}
spec: {template: {metadata: {labels: {app: proxied}}, spec: {serviceAccountName: proxied, containers: [{name: app, image: app}]}}}
---
apiVersion: v1
kind: Service
metadata: {name: proxied, namespace: edge}
spec: {selector: {app: proxied}, ports: [{name: http, port: 80, targetPort: 8080}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: plain, namespace: outer}
spec: {template: {metadata: {labels: {app: plain}}, spec: {serviceAccountName: plain, containers: [{name: app, image: app}]}}}
---
apiVersion: v1
kind: Service
metadata: {name: plain, namespace: outer}
spec: {selector: {app: plain}, ports: [{name: http, port: 80, targetPort: 8080}]}
`

const waypointOfShop = `
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: wp, namespace: shop WPLABELS}
spec:
  gatewayClassName: istio-waypoint
  listeners: [{name: mesh, port: 15008, protocol: HBONE}]
`

const ingressGateway = `
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: in, namespace: edge}
spec: {gatewayClassName: istio, listeners: [{name: http, port: 80, protocol: HTTP, allowedRoutes: {namespaces: {from: All}}}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: in, namespace: shop}
spec: {parentRefs: [{name: in, namespace: edge}], rules: [{backendRefs: [{name: cart, port: 80}]}]}
`

// mesh is the mesh with labels of the Service cart and of the waypoint, and more.
func mesh(cart, waypoint string, more ...string) string {
	text := ambientMesh + strings.Join(more, "\n---\n")
	text = strings.ReplaceAll(text, " CARTLABELS", labels(cart))
	return strings.ReplaceAll(text, " WPLABELS", labels(waypoint))
}

func labels(text string) string {
	if text == "" {
		return ""
	}
	return ", labels: {" + text + "}"
}

// policy is an AuthorizationPolicy or PeerAuthentication.
func policy(kind, namespace, spec string) string {
	return fmt.Sprintf("\n---\napiVersion: security.istio.io/v1\nkind: %s\nmetadata: {name: p, namespace: %s}\nspec: %s\n", kind, namespace, spec)
}

// play sends an HTTP request, or without a path bytes, from a workload to HOST:PORT, and tells what becomes of it.
func play(t *testing.T, manifests, from, host string, port int, path string) []string {
	t.Helper()
	c, err := apiserver.New(map[string]string{"mesh.yaml": manifests})
	if err != nil {
		t.Fatal(err)
	}
	w, err := pilot.New(t, c)
	if err != nil {
		t.Fatal(err)
	}
	var pod *apiserver.Pod
	for _, p := range c.Pods {
		if strings.HasSuffix(p.Owner, " "+from) {
			pod = p
		}
	}
	if pod == nil {
		t.Fatalf("no pod of %s", from)
	}
	bytes := &evaluator.Bytes{}
	if path != "" {
		bytes.HTTP = &evaluator.Request{Method: "GET", Authority: host, Path: path, Headers: map[string]string{}}
	}
	var outcomes []evaluator.Outcome
	if pod.Proxy == "gateway" {
		client := &evaluator.Machine{Name: "client", Address: netip.MustParseAddr("203.0.113.1")}
		at := w.Machine(pod)
		to := netip.AddrPortFrom(at.Proxy.Bound(pod.Address, uint16(port)), uint16(port))
		outcomes = evaluator.Enter(w, evaluator.Call{From: client, To: to, Bytes: bytes}, at)
	} else {
		ip, err := netip.ParseAddr(host)
		if err != nil {
			ips, ok := c.Resolve(host, pod.Namespace)
			if !ok || len(ips) == 0 {
				t.Fatalf("%s does not resolve", host)
			}
			ip = ips[0]
		}
		outcomes = evaluator.Run(w, evaluator.Call{From: w.Machine(pod), To: netip.AddrPortFrom(ip, uint16(port)), Bytes: bytes})
	}
	var out []string
	for _, o := range outcomes {
		out = append(out, strings.Join(strings.Fields(fmt.Sprint(o.Decision, " ", o.Status, " ", o.Flag, " ", o.Details, " ", strings.TrimPrefix(o.Machine, "Deployment "), " ", o.Port, " ", o.Why)), " "))
		for _, h := range o.Hops {
			out = append(out, strings.TrimRight(fmt.Sprint("  ", h.Kind, " ", h.Direction, " ", strings.TrimPrefix(h.Machine, "Deployment "), " ", h.TLS, " ",
				strings.Join(slices.DeleteFunc([]string{strings.TrimPrefix(h.Peer, "spiffe://cluster.local/"), h.Listener, h.FilterChain, h.Cluster}, func(s string) bool { return s == "" }), " ")), " "))
		}
	}
	return out
}

// Addresses of the pods of web and of cart.
const (
	webAddress  = "10.244.0.2"
	cartAddress = "10.244.0.3"
)

// cartUses has the pods of cart use the waypoint.
const cartUses = `
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: cart, namespace: shop}
spec: {template: {metadata: {labels: {app: cart, istio.io/use-waypoint: wp}}, spec: {serviceAccountName: cart, containers: [{name: app, image: app}]}}}
`

// tunnelled has the sidecar take HBONE.
const tunnelled = `
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: proxied, namespace: edge}
spec:
  template:
    metadata:
      labels: {app: proxied, networking.istio.io/tunnel: http}
      annotations: {proxy.istio.io/config: "proxyMetadata: {ISTIO_META_ENABLE_HBONE: 'true'}"}
    spec: {serviceAccountName: proxied, containers: [{name: app, image: app}]}
`

// entry is a host outside that is reached by the waypoint.
const entry = `
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: entry, namespace: shop, labels: {istio.io/use-waypoint: wp}}
spec:
  hosts: [entry.example]
  addresses: [198.51.100.1]
  location: MESH_EXTERNAL
  resolution: STATIC
  ports: [{number: 80, name: http, protocol: HTTP}]
  endpoints: [{address: 198.51.100.2}]
`

// routeOfCart leads some requests for cart to a service that the waypoint does not serve.
const routeOfCart = `
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: cart, namespace: shop}
spec:
  parentRefs: [{kind: Service, group: "", name: cart}]
  rules: [{matches: [{path: {value: /elsewhere}}], backendRefs: [{name: proxied, namespace: edge, port: 80}]}]
`

// scaledToZero is a Deployment in the place of the waypoint's, without pods.
const scaledToZero = `
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: wp, namespace: shop}
spec: {replicas: 0, template: {metadata: {labels: {gateway.networking.k8s.io/gateway-name: wp, gateway.istio.io/managed: istio.io-mesh-controller}}, spec: {containers: [{name: istio-proxy, image: proxyv2, args: [proxy, waypoint]}]}}}
`

// proxiedUses has the Service of the sidecar use the waypoint of another namespace.
const proxiedUses = `
---
apiVersion: v1
kind: Service
metadata: {name: proxied, namespace: edge, labels: {istio.io/use-waypoint: wp, istio.io/use-waypoint-namespace: outer}}
spec: {selector: {app: proxied}, ports: [{name: http, port: 80, targetPort: 8080}]}
`

func waypointOfOuter(from string) string {
	return `
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: wp, namespace: outer}
spec:
  gatewayClassName: istio-waypoint
  listeners: [{name: mesh, port: 15008, protocol: HBONE, allowedRoutes: {namespaces: {from: ` + from + `}}}]
`
}
