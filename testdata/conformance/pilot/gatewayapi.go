package pilot

import (
	"reflect"
	"sync"
	"testing"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	networking "istio.io/api/networking/v1alpha3"
	clientnetworking "istio.io/client-go/pkg/apis/networking/v1"
	"istio.io/istio/pilot/pkg/config/kube/gateway"
	"istio.io/istio/pilot/pkg/config/kube/gatewaycommon"
	"istio.io/istio/pilot/pkg/features"
	"istio.io/istio/pilot/pkg/status"
	"istio.io/istio/pkg/config"
	"istio.io/istio/pkg/config/schema/gatewayapi"
	"istio.io/istio/pkg/config/schema/gvk"
	"istio.io/istio/pkg/config/schema/gvr"
	"istio.io/istio/pkg/kube"
	"istio.io/istio/pkg/kube/kclient/clienttest"

	"github.com/mesh-trace/kubectl-mesh-trace/testdata/conformance/apiserver"
)

// The Gateway API controller of the fake server, as an installed istiod has it.
//
//  1. The CRDs that the fake server makes carry no version, and istiod would watch none of them; here any version will do.
//  2. The fake server lacks the CRDs of some kinds.
//  3. The controller reads ServiceEntries from Kubernetes, not from the store of configurations.
//  4. Istio's own classes are those of an installation with ambient mode, which the tracer knows; no more of ambient is on.
func init() {
	clear(gatewayapi.MinimumCRDVersions) // 1.
	waypoints, networks := features.EnableAmbientWaypoints, features.EnableAmbientMultiNetwork
	features.EnableAmbientWaypoints, features.EnableAmbientMultiNetwork = true, true
	gatewaycommon.ClassInfos, gatewaycommon.BuiltinGatewayClasses = gatewaycommon.GetClassInfos(), gatewaycommon.GetBuiltinGatewayClasses() // 4.
	features.EnableAmbientWaypoints, features.EnableAmbientMultiNetwork = waypoints, networks
}

// addCRDs is step 2.
func addCRDs(t testing.TB) func(kube.Client) {
	return func(c kube.Client) {
		for _, crd := range []schema.GroupVersionResource{gvr.ListenerSet, gvr.BackendTLSPolicy, gvr.InferencePool} {
			clienttest.MakeCRD(t, c, crd)
		}
	}
}

// serviceEntries is step 3.
func serviceEntries(c *apiserver.Cluster) []runtime.Object {
	var out []runtime.Object
	for _, cfg := range c.Configs {
		if spec, ok := cfg.Spec.(*networking.ServiceEntry); ok {
			se := &clientnetworking.ServiceEntry{ObjectMeta: cfg.ToObjectMeta(), Spec: *spec.DeepCopy()}
			if status, ok := cfg.Status.(*networking.ServiceEntryStatus); ok {
				se.Status = *status.DeepCopy()
			}
			out = append(out, se)
		}
	}
	return out
}

// Converted are the Gateways, VirtualServices and DestinationRules that the controller makes of Gateway API objects.
func (w *World) Converted() []config.Config {
	var out []config.Config
	for _, kind := range []config.GroupVersionKind{gvk.Gateway, gvk.VirtualService, gvk.DestinationRule} {
		out = append(out, w.gatewayController().List(kind, "")...)
	}
	return out
}

func (w *World) gatewayController() *gateway.Controller {
	return w.server.Env().GatewayAPIController.(*gateway.Controller)
}

// Statuses are what the controller writes into the status of each object.
func (w *World) Statuses() map[status.Resource]any {
	c := w.gatewayController()
	// The controller hands its collections to no one, and its own writer does not tell when it has written all.
	collections := (*status.StatusCollections)(reflect.ValueOf(c).Elem().FieldByName("status").UnsafePointer())
	q := &statusQueue{written: map[status.Resource]any{}}
	stop := make(chan struct{})
	defer close(stop)
	for _, s := range collections.SetQueue(q) {
		s.WaitUntilSynced(stop)
	}
	collections.UnsetQueue()
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.written
}

type statusQueue struct {
	mu      sync.Mutex
	written map[status.Resource]any
}

func (q *statusQueue) EnqueueStatusUpdateResource(written any, target status.Resource) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.written[target] = written
}
