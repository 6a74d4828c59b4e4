package pilot

import (
	"k8s.io/apimachinery/pkg/runtime"

	networking "istio.io/api/networking/v1alpha3"
	security "istio.io/api/security/v1beta1"
	clientnetworking "istio.io/client-go/pkg/apis/networking/v1"
	clientsecurity "istio.io/client-go/pkg/apis/security/v1"
	"istio.io/istio/pilot/pkg/features"
	"istio.io/istio/pilot/pkg/serviceregistry/ambient"
	"istio.io/istio/pkg/cluster"
	"istio.io/istio/pkg/workloadapi"

	"github.com/mesh-trace/kubectl-mesh-trace/testdata/conformance/apiserver"
	"github.com/mesh-trace/kubectl-mesh-trace/testdata/conformance/evaluator"
)

// Ambient mode of the fake server.
//
//  1. PILOT_ENABLE_AMBIENT and the flags that follow it are variables of the process: they are set anew before a world is asked.
//  2. The index of ambient mode reads policies and workloads from Kubernetes, not from the store of configurations.
//  3. Every ztunnel is sent all that the index holds.
//
// Source: pilot/pkg/features/ambient.go; pilot/test/xds/fake.go, NewFakeDiscoveryServer; pilot/pkg/xds/workload.go.

// setFeatures is step 1.
func (w *World) setFeatures() {
	on := w.cluster.Ambient
	features.EnableAmbient = on
	for _, flag := range []struct {
		variable *bool
		name     string
		usual    bool
	}{
		{&features.EnableAmbientWaypoints, "PILOT_ENABLE_AMBIENT_WAYPOINTS", true},
		{&features.EnableHBONESend, "PILOT_ENABLE_SENDING_HBONE", true},
		{&features.EnableSidecarHBONEListening, "PILOT_ENABLE_SIDECAR_LISTENING_HBONE", true},
		{&features.EnableIngressWaypointRouting, "ENABLE_INGRESS_WAYPOINT_ROUTING", true},
		{&features.PreferHBONESend, "PILOT_PREFER_SENDING_HBONE", false},
		{&features.DefaultAllowFromWaypoint, "PILOT_AUTO_ALLOW_WAYPOINT_POLICY", false},
		{&features.EnableWdsDryRunAuthzPol, "AMBIENT_ENABLE_DRY_RUN_AUTHORIZATION_POLICY", false},
		{&features.EnableAmbientMultiNetwork, "AMBIENT_ENABLE_MULTI_NETWORK", false},
		{&features.EnableAmbientWaypointMultiNetwork, "AMBIENT_ENABLE_MULTI_NETWORK_WAYPOINT", true},
		{&features.EnableAmbientIngressMultiNetwork, "AMBIENT_ENABLE_MULTI_NETWORK_INGRESS", false},
		{&features.WaypointLayeredAuthorizationPolicies, "ENABLE_LAYERED_WAYPOINT_AUTHORIZATION_POLICIES", false},
	} {
		*flag.variable = on && w.cluster.Flag(flag.name, flag.usual)
	}
	features.EnableGatewayAPIInferenceExtension = w.cluster.InferencePools
}

// ambientObjects is step 2.
func ambientObjects(c *apiserver.Cluster) []runtime.Object {
	if !c.Ambient {
		return nil
	}
	var out []runtime.Object
	for _, cfg := range c.Configs {
		switch spec := cfg.Spec.(type) {
		case *security.AuthorizationPolicy:
			out = append(out, &clientsecurity.AuthorizationPolicy{ObjectMeta: cfg.ToObjectMeta(), Spec: *spec.DeepCopy()})
		case *security.PeerAuthentication:
			out = append(out, &clientsecurity.PeerAuthentication{ObjectMeta: cfg.ToObjectMeta(), Spec: *spec.DeepCopy()})
		case *networking.WorkloadEntry:
			out = append(out, &clientnetworking.WorkloadEntry{ObjectMeta: cfg.ToObjectMeta(), Spec: *spec.DeepCopy()})
		}
	}
	return out
}

// ztunnel is step 3, for the cluster of a pod.
func (w *World) ztunnel(p *apiserver.Pod) *evaluator.Ztunnel {
	if of := w.planeOf(cluster.ID(p.Cluster)); of != nil {
		if of.shared == nil {
			of.shared = ztunnelOf(of.index)
		}
		return of.shared
	}
	if w.shared != nil || w.server == nil || w.server.AmbientIndex == nil {
		return w.shared
	}
	w.shared = ztunnelOf(w.server.AmbientIndex)
	return w.shared
}

func ztunnelOf(index ambient.Index) *evaluator.Ztunnel {
	z := &evaluator.Ztunnel{}
	all, _ := index.AddressInformation(nil)
	for _, a := range all {
		switch x := a.GetType().(type) {
		case *workloadapi.Address_Workload:
			z.Workloads = append(z.Workloads, x.Workload)
		case *workloadapi.Address_Service:
			z.Services = append(z.Services, x.Service)
		}
	}
	for _, p := range index.Policies(nil) {
		z.Policies = append(z.Policies, p.Authorization)
	}
	z.Sort()
	return z
}
