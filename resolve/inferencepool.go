package resolve

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strconv"

	networking "istio.io/api/networking/v1alpha3"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
	inference "sigs.k8s.io/gateway-api-inference-extension/api/v1"
	k8sgateway "sigs.k8s.io/gateway-api/apis/v1"
)

// InferencePools as backends.
//
//  1. istiod reads them with ENABLE_GATEWAY_API_INFERENCE_EXTENSION only. Without it, and where there is no such pool, the
//     backend's share is answered 500.
//  2. It makes a headless Service POOL-ip-HASH for a pool that an HTTPRoute refers to, once the route's status has a parent that is
//     Istio's: with the pool's selector, and a port 54321, 54322, … for each of targetPorts. Where that is not there, the share is
//     answered 500 as well. Manifests are taken as if it had done so.
//  3. The backend is the first port of that Service, whatever the backendRef says; behind it are the pods with all targetPorts.
//  4. A gateway that istiod has deployed asks the endpoint picker which of them it is, for each request; one that the
//     picker does not name is picked round robin. Where the picker does not answer, FailOpen goes on like that, and
//     FailClose (the default) answers 500.
//  5. The picker of the last backendRef of a rule counts; where that is no InferencePool, or the rule has a CORS filter, there is none.
//     GRPCRoutes have none. Sidecars have none either, and send the request to the address that was dialled, as for any
//     headless Service.
//
// Source: pilot/pkg/config/kube/gateway/conversion.go, buildDestination; inferencepool_collection.go, createInferencePoolObject,
// translateShadowServiceToService; pilot/pkg/networking/core/route/route.go, TranslateRoute; listener_builder.go, buildHTTPConnectionManager.

// Rules of InferencePools.
const (
	RuleInferenceService  RuleID = "inferencepool/service"
	RuleInferencePicker   RuleID = "inferencepool/picker"
	RuleInferenceNoPicker RuleID = "inferencepool/no-picker"
)

var inferencePoolRules = []Rule{
	{
		ID: RuleInferenceService, Stage: StageRoute,
		Says:     "istiod makes a headless Service for an InferencePool, with the pool's selector and a port for each of targetPorts; the pods behind all of them are candidates.",
		Template: "stands for Service %s, with the pods that %s matches, on port %s",
		Source:   "pilot/pkg/config/kube/gateway/inferencepool_collection.go, translateShadowServiceToService",
	},
	{
		ID: RuleInferencePicker, Stage: StageRoute,
		Says:     "The endpoint picker of an InferencePool chooses one of the pool's endpoints for each request; its choice can not be known.",
		Template: "the endpoint picker %s chooses among the endpoints, or answers itself: that is not known here. Without an answer of it, %s",
		Source:   "pilot/pkg/networking/core/route/route.go, TranslateRoute; pilot/pkg/networking/core/cluster_builder.go, applyOverrideHostPolicy",
	},
	{
		ID: RuleInferenceNoPicker, Stage: StageRoute,
		Says:     "The endpoint picker of an InferencePool is not asked where another kind of backend comes last in the rule, where the rule has a CORS filter, or by a sidecar.",
		Template: "its endpoint picker is not asked, because %s",
		Source:   "pilot/pkg/networking/core/route/route.go, TranslateRoute; pilot/pkg/config/kube/gateway/conversion.go, buildHTTPDestination",
	},
}

const inferenceGroup = "inference.networking.k8s.io"

// The label that makes a Service an InferencePool's, and those that name the pool and its picker.
const (
	semanticsLabel     = "internal.istio.io/service-semantics"
	semanticsInference = "inferencepool"
	labelInference     = "istio.io/inferencepool-name"
	labelPicker        = "istio.io/inferencepool-extension-service"
	labelPickerPort    = "istio.io/inferencepool-extension-port"
	labelPickerFailure = "istio.io/inferencepool-extension-failure-mode"
)

// firstInferencePort is the Service's first port.
const firstInferencePort = 54321

// inferenceServiceName is the name of the Service that istiod makes for a pool.
// Source: pilot/pkg/config/kube/gateway/inferencepool_collection.go, InferencePoolServiceName.
func inferenceServiceName(pool string) string {
	suffix := fmt.Sprintf("-ip-%x", sha256.Sum256([]byte(pool)))[:len("-ip-")+8]
	return pool[:min(len(pool), 63-len(suffix))] + suffix
}

// inferenceOrigin is where a Service comes from that istiod makes for a pool.
type inferenceOrigin struct{ pool Ref }

// Locate names the pool.
func (o inferenceOrigin) Locate(string) string { return "made by istiod for " + o.pool.String() }

// serveInferencePools adds to manifests the Services of step 2. It is for NewSnapshot only.
func (s *Snapshot) serveInferencePools() {
	if !s.Offline || len(s.InferencePools) == 0 || !s.feature(featureInference).on {
		return
	}
	for _, o := range s.InferencePools {
		ref := Ref{Kind: "Service", Namespace: o.Namespace, Name: inferenceServiceName(o.Name)}
		if _, exists := s.origins[ref]; exists || o.Spec.EndpointPickerRef.Port == nil || !s.referredTo(o) {
			continue
		}
		s.KubeServices = append(s.KubeServices, inferenceService(o))
		s.origins[ref] = inferenceOrigin{refOf(inferenceGroup, "InferencePool", o)}
	}
	slices.SortStableFunc(s.KubeServices, byAge)
}

// referredTo reports whether an HTTPRoute with a parent has the pool as a backend.
func (s *Snapshot) referredTo(o *inference.InferencePool) bool {
	return slices.ContainsFunc(s.HTTPRoutes, func(r *k8sgateway.HTTPRoute) bool {
		return len(r.Spec.ParentRefs) > 0 && slices.ContainsFunc(r.Spec.Rules, func(rule k8sgateway.HTTPRouteRule) bool {
			return slices.ContainsFunc(rule.BackendRefs, func(b k8sgateway.HTTPBackendRef) bool {
				return isInferencePool(b.BackendRef) && string(b.Name) == o.Name && string(ptr.Deref(b.Namespace, k8sgateway.Namespace(r.Namespace))) == o.Namespace
			})
		})
	})
}

func isInferencePool(b k8sgateway.BackendRef) bool {
	return ptr.Deref(b.Group, "") == inferenceGroup && ptr.Deref(b.Kind, "") == "InferencePool"
}

// inferenceService is step 2.
func inferenceService(o *inference.InferencePool) *corev1.Service {
	picker := o.Spec.EndpointPickerRef
	out := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{
			Name: inferenceServiceName(o.Name), Namespace: o.Namespace, CreationTimestamp: o.CreationTimestamp,
			Labels: map[string]string{
				semanticsLabel: semanticsInference, labelInference: o.Name, labelPicker: string(picker.Name),
				labelPickerPort: strconv.Itoa(int(picker.Port.Number)), labelPickerFailure: string(picker.FailureMode),
			},
		},
		Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeClusterIP, ClusterIP: corev1.ClusterIPNone, Selector: inferenceSelector(o)},
	}
	for i, p := range o.Spec.TargetPorts {
		port := corev1.ServicePort{
			Name: "http-" + strconv.Itoa(i), Protocol: corev1.ProtocolTCP, Port: int32(firstInferencePort + i), TargetPort: intstr.FromInt32(int32(p.Number)),
		}
		if protocol := string(o.Spec.AppProtocol); protocol != "" {
			port.AppProtocol = &protocol
		}
		out.Spec.Ports = append(out.Spec.Ports, port)
	}
	return out
}

func inferenceSelector(o *inference.InferencePool) map[string]string {
	out := map[string]string{}
	for k, v := range o.Spec.Selector.MatchLabels {
		out[string(k)] = string(v)
	}
	return out
}

// inferencePool is the destination of a backendRef that names a pool: steps 1 to 3.
func (c *ruleConversion) inferencePool(namespace, name string, ref Ref) *networking.Destination {
	s := c.snapshot
	soft := func(rule RuleID, verdict Verdict, args ...any) *networking.Destination {
		c.steps, c.unresolved = append(c.steps, NewStep(rule, verdict, ref, args...)), publishedReasons[rule]
		return &networking.Destination{}
	}
	on := s.feature(featureInference)
	c.steps = append(c.steps, on.told()...)
	if !on.on {
		return soft(RuleBackendInference, on.verdict(), name, on.off(), c.share())
	}
	pool, ok := objectNamed(s.InferencePools, namespace, name)
	if !ok {
		return soft(RuleBackendMissing, Skipped, "InferencePool "+namespace+"/"+name)
	}
	svc, ok := s.KubeService(namespace, inferenceServiceName(name))
	if !ok {
		return soft(RuleBackendMissing, Skipped, inferenceServiceName(name)+"."+namespace+".svc."+s.Mesh.Domain)
	}
	var ports []string
	for _, p := range pool.Spec.TargetPorts {
		ports = append(ports, strconv.Itoa(int(p.Number)))
	}
	at := refOf(inferenceGroup, "InferencePool", pool).At("spec.selector")
	c.steps = append(c.steps, NewStep(RuleInferenceService, Applied, at, svc.Ref.QualifiedName(), labelsText(svc.Selector), joinLimited(ports, 8)))
	c.pools, c.poolLast = append(c.pools, pool), true
	return &networking.Destination{Host: svc.Hostname, Port: &networking.PortSelector{Number: firstInferencePort}}
}

// roundRobin is how endpoints are picked without a picker.
const roundRobin = ": the endpoints are picked round robin"

// picks is steps 4 and 5, for a rule of an HTTPRoute.
func (c *ruleConversion) picks(out *networking.HTTPRoute) {
	if len(c.pools) == 0 {
		return
	}
	pool := c.pools[len(c.pools)-1]
	picker := pool.Spec.EndpointPickerRef
	at := refOf(inferenceGroup, "InferencePool", pool).At("spec.endpointPickerRef")
	switch {
	case c.mesh:
		c.steps = append(c.steps, NewStep(RuleInferenceNoPicker, Applied, at, "a sidecar has no filter for it; and as the Service is headless, the sidecar sends the request to the address that was dialled"))
	case out.CorsPolicy != nil:
		c.steps = append(c.steps, NewStep(RuleInferenceNoPicker, Applied, at, "the rule has a CORS filter"+roundRobin))
	case !c.poolLast:
		c.steps = append(c.steps, NewStep(RuleInferenceNoPicker, Applied, at, "the last backend of the rule is no InferencePool that counts"+roundRobin))
	default:
		without := "the request fails with 500 (FailClose)"
		if picker.FailureMode == inference.EndpointPickerFailOpen {
			without = "they are picked round robin (FailOpen)"
		}
		c.steps = append(c.steps, NewStep(RuleInferencePicker, Warned, at, pool.Namespace+"/"+string(picker.Name), without))
	}
}
