package resolve

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	k8sgateway "sigs.k8s.io/gateway-api/apis/v1"
)

func ofKind(kind string, o Object) Sourced {
	return Sourced{Object: o, GroupKind: schema.GroupKind{Group: kubeGatewayGroup, Kind: kind}, Origin: nowhere{}}
}

type nowhere struct{}

func (nowhere) Locate(string) string { return "" }

func named(name string, labels map[string]string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: "shop", Name: name, Labels: labels}
}

// A kind that needs a bundle is seen where the CRD's annotation names one that is new enough, or where the CRD is not known.
func TestBundleVersionDecidesWhetherAKindIsWatched(t *testing.T) {
	tests := []struct {
		name, crd, bundle string
		hidden            string
	}{
		{name: "no CRD known"},
		{name: "the minimum", crd: "tlsroutes.gateway.networking.k8s.io", bundle: "v1.5.0"},
		{name: "newer", crd: "tlsroutes.gateway.networking.k8s.io", bundle: "v1.10.0"},
		{name: "a pre-release counts as the release", crd: "tlsroutes.gateway.networking.k8s.io", bundle: "v1.5.0-rc.1"},
		{name: "another kind's CRD", crd: "tcproutes.gateway.networking.k8s.io", bundle: "v1.1.0"},
		{
			name: "too old", crd: "tlsroutes.gateway.networking.k8s.io", bundle: "v1.4.1",
			hidden: "is of a kind that istiod does not watch: the CRD tlsroutes.gateway.networking.k8s.io has bundle-version v1.4.1, and Istio needs v1.5.0 or later",
		},
		{
			name: "no annotation", crd: "tlsroutes.gateway.networking.k8s.io",
			hidden: "is of a kind that istiod does not watch: the CRD tlsroutes.gateway.networking.k8s.io has bundle-version none, and Istio needs v1.5.0 or later",
		},
		{
			name: "no version", crd: "tlsroutes.gateway.networking.k8s.io", bundle: "latest",
			hidden: "is of a kind that istiod does not watch: the CRD tlsroutes.gateway.networking.k8s.io has bundle-version latest, and Istio needs v1.5.0 or later",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in := Input{Resources: []Sourced{ofKind("TLSRoute", &k8sgateway.TLSRoute{ObjectMeta: named("db", nil)})}}
			if tt.crd != "" {
				crd := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Name: tt.crd}}
				if tt.bundle != "" {
					crd.Annotations = map[string]string{"gateway.networking.k8s.io/bundle-version": tt.bundle}
				}
				in.Resources = append(in.Resources, Sourced{Object: crd, GroupKind: CRDKind, Origin: nowhere{}})
			}
			s := NewSnapshot(in)
			got := ""
			if len(s.Hidden) > 0 {
				got = s.Hidden[0].Reason()
			}
			if got != tt.hidden || len(s.TLSRoutes)+len(s.Hidden) != 1 {
				t.Errorf("%d routes, hidden %q; want %q", len(s.TLSRoutes), got, tt.hidden)
			}
		})
	}
}

// The label istio.io/rev leaves a route to its own control plane; a Gateway is every control plane's.
func TestRevisionOfGatewayKinds(t *testing.T) {
	other := map[string]string{"istio.io/rev": "canary"}
	s := NewSnapshot(Input{Revision: "default", Resources: []Sourced{
		ofKind("Gateway", &k8sgateway.Gateway{ObjectMeta: named("web", other)}),
		ofKind("GatewayClass", &k8sgateway.GatewayClass{ObjectMeta: named("web", other)}),
		ofKind("HTTPRoute", &k8sgateway.HTTPRoute{ObjectMeta: named("web", other)}),
		ofKind("HTTPRoute", &k8sgateway.HTTPRoute{ObjectMeta: named("mine", nil)}),
		ofKind("ReferenceGrant", &k8sgateway.ReferenceGrant{ObjectMeta: named("web", other)}),
	}})
	if len(s.KubeGateways) != 1 || len(s.HTTPRoutes) != 1 || len(s.GatewayClasses)+len(s.ReferenceGrants) != 0 || len(s.Hidden) != 3 {
		t.Errorf("%d Gateways, %d routes, %d classes, %d grants; hidden %v",
			len(s.KubeGateways), len(s.HTTPRoutes), len(s.GatewayClasses), len(s.ReferenceGrants), s.Hidden)
	}
}
