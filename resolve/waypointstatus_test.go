package resolve

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const waypointMesh = `apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {istio.io/use-waypoint: wp}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: wp, namespace: shop}
spec:
  gatewayClassName: istio-waypoint
  listeners: [{name: mesh, port: 15008, protocol: HBONE}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: later, namespace: shop}
spec:
  gatewayClassName: istio-waypoint
  listeners: [{name: mesh, port: 15008, protocol: HBONE}]
status: {conditions: [{type: Programmed, status: "False", reason: AddressNotAssigned}]}
---
apiVersion: v1
kind: Service
metadata: {name: lost, namespace: shop, labels: {istio.io/use-waypoint: later}}
spec: {ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: alone, namespace: shop, labels: {istio.io/use-waypoint: none}}
spec: {ports: [{port: 80}]}
---
`

func TestStatusOfServiceWaypoint(t *testing.T) {
	const is = "{type: istio.io/WaypointBound, status: "
	tests := []struct{ name, labels, status, want string }{
		{"bound", "", is + `"True", reason: WaypointAccepted}`, "applied kubestatus/same: istio.io/WaypointBound True (WaypointAccepted)"},
		{"not ready", "istio.io/use-waypoint: later", is + `"False", reason: WaypointIsNotReady}`, "applied kubestatus/same: istio.io/WaypointBound False (WaypointIsNotReady)"},
		{"not found", "istio.io/use-waypoint: lost", is + `"False", reason: WaypointIsNotReady}`, "applied kubestatus/same: istio.io/WaypointBound False (WaypointIsNotReady)"},
		{"another reason", "", is + `"False", reason: AttachmentDenied, message: not allowed}`, "warning kubestatus/other: istio.io/WaypointBound False (AttachmentDenied): not allowed; istio.io/WaypointBound True (WaypointAccepted)"},
		{"none named", "istio.io/use-waypoint: none", is + `"True", reason: WaypointAccepted}`, "warning kubestatus/other: istio.io/WaypointBound True (WaypointAccepted); no waypoint that is named for it"},
		{"nothing written", "", `{type: Other, status: "True"}`, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := snapshotOf(t, waypointMesh+"apiVersion: v1\nkind: Service\nmetadata: {name: cart, namespace: shop, labels: {"+tt.labels+
				"}}\nspec: {ports: [{port: 80}]}\nstatus: {conditions: ["+tt.status+"]}\n")
			svc := s.ServicesForHost("cart.shop.svc.cluster.local")[0]
			var got []string
			for _, step := range s.StatusOfServiceWaypoint(svc, s.ServiceWaypoint(svc)) {
				var facts []string
				for _, a := range step.Args[1:] {
					facts = append(facts, a.(string))
				}
				got = append(got, string(step.Verdict)+" "+string(step.Rule)+": "+strings.Join(facts, "; "))
			}
			if diff := cmp.Diff(tt.want, strings.Join(got, "\n")); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestWaypointConditionsOfPolicies(t *testing.T) {
	tests := []struct{ name, namespace, refs, want string }{
		{"Service", "shop", "{kind: Service, name: cart}", "True Accepted"},
		{"Service whose waypoint is not ready", "shop", "{kind: Service, name: lost}", "False AncestorNotBound"},
		{"no such Service", "shop", "{kind: Service, name: gone}", "False TargetNotFound"},
		{"Gateway", "shop", "{group: gateway.networking.k8s.io, kind: Gateway, name: wp}", "True Accepted"},
		{"Gateway that is not ready", "shop", "{group: gateway.networking.k8s.io, kind: Gateway, name: later}", "False TargetNotFound"},
		{"GatewayClass", "istio-system", "{group: gateway.networking.k8s.io, kind: GatewayClass, name: istio-waypoint}", "True Accepted"},
		{"GatewayClass of another namespace", "shop", "{group: gateway.networking.k8s.io, kind: GatewayClass, name: istio-waypoint}", "False Invalid"},
		{"GatewayClass of gateways", "istio-system", "{group: gateway.networking.k8s.io, kind: GatewayClass, name: istio}", "False Invalid"},
		{"ServiceEntry", "shop", "{group: networking.istio.io, kind: ServiceEntry, name: api}", "True Accepted"},
		{"some", "shop", "{kind: Service, name: cart}, {kind: Service, name: alone}", "True PartiallyInvalid"},
		{"none of several", "shop", "{kind: Service, name: gone}, {kind: Service, name: alone}", "False Invalid"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := snapshotOf(t, waypointMesh+"apiVersion: v1\nkind: Service\nmetadata: {name: cart, namespace: shop}\nspec: {ports: [{port: 80}]}\n---\n"+
				"apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: api, namespace: shop}\nspec: {hosts: [api.example.com], ports: [{number: 80, name: http}]}\n---\n"+
				authz(tt.namespace+"/p {targetRefs: ["+tt.refs+"]}"))
			got := ""
			for _, c := range s.waypointConditions(s.index.policies().authorization[tt.namespace][0]) {
				got += string(c.Status) + " " + c.Reason
			}
			if got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
