package resolve

import (
	"slices"
	"strings"

	networking "istio.io/api/networking/v1alpha3"
	"k8s.io/utils/ptr"
	k8sgateway "sigs.k8s.io/gateway-api/apis/v1"
)

// Backends of Gateway API routes.
//
//  1. Backends of weight 0 are dropped; a single one that is left takes everything.
//  2. A backend of another namespace needs a ReferenceGrant there, except for the mesh.
//  3. A Service is SERVICE.NAMESPACE.svc.DOMAIN; a ServiceImport is taken for the Service of its name; a Hostname of
//     group networking.istio.io is that host. An InferencePool is a Service of istiod's (inferencepool.go). Other kinds are
//     not supported.
//  4. One that does not exist keeps its host, which another namespace may know. One that is not granted or not
//     supported has none. Both keep their share of the requests, which are answered 500; TCP and TLS are closed.
//  5. A Service without port, a Service name with a dot, and a Hostname with a namespace drop all rules of the route.
//
// Source: pilot/pkg/config/kube/gateway/conversion.go, buildDestination, buildHTTPDestination.

// Rules of backends.
const (
	RuleBackendNotGranted   RuleID = "kubebackend/not-granted"
	RuleBackendMissing      RuleID = "kubebackend/not-found"
	RuleBackendElsewhere    RuleID = "kubebackend/host-of-another-namespace"
	RuleBackendHostOf       RuleID = "kubebackend/has-the-host"
	RuleBackendKind         RuleID = "kubebackend/kind"
	RuleBackendInvalid      RuleID = "kubebackend/invalid"
	RuleBackendInference    RuleID = "kubebackend/inference-pool"
	RuleKubeRouteFilter     RuleID = "kuberoute/filter"
	RuleKubeRouteHeader     RuleID = "kuberoute/header-value"
	RuleKubeRouteMatchType  RuleID = "kuberoute/match-type"
	RuleKubeRouteMirror     RuleID = "kuberoute/mirror-left-out"
	RuleKubeRouteMirrorKept RuleID = "kuberoute/mirror-exists"
	RuleKubeRouteNoBackends RuleID = "kuberoute/no-backends"
	RuleKubeRouteNoShare    RuleID = "kuberoute/no-backends-for-connections"
)

// What ends the reasons of backends and of rules.
const (
	allRulesDropped = ": all rules of the route are dropped"
	answered500     = ": its share is answered 500"
	shareClosed     = ": its share of the connections is closed"
)

var kubeBackendRules = []Rule{
	{
		ID: RuleBackendNotGranted, Stage: StageRoute,
		Says:     "At a gateway a backend of another namespace needs a ReferenceGrant there; without one its share of the requests is answered 500, of the connections closed.",
		Template: "no ReferenceGrant in namespace %s lets %ss of namespace %s use %s (RefNotPermitted)%s",
		Source:   "pilot/pkg/config/kube/gateway/conversion.go, buildDestination",
	},
	{
		ID: RuleBackendMissing, Stage: StageRoute,
		Says:     "A backend that does not exist keeps its share of the requests, which is answered 500, or of the connections, which are closed.",
		Template: "backend %s does not exist (BackendNotFound)",
		Source:   "pilot/pkg/config/kube/gateway/conversion.go, buildDestination",
	},
	{
		ID: RuleBackendHostOf, Stage: StageRoute, Detail: true,
		Says:     "The host of a backend of kind Hostname can be that of a service of another namespace.",
		Template: "has the host %s",
		Source:   "pilot/pkg/config/kube/gateway/conversion.go, buildDestination",
	},
	{
		ID: RuleBackendElsewhere, Stage: StageRoute,
		Says:     "A backend of kind Hostname is looked for in the route's namespace, for the status alone; the requests go to the service of that host that the proxy sees, if there is one.",
		Template: "namespace %s has no service of host %s (BackendNotFound); the requests go to that of another namespace where the proxy sees one",
		Source:   "pilot/pkg/config/kube/gateway/conversion.go, buildDestination",
	},
	{
		ID: RuleBackendKind, Stage: StageRoute,
		Says:     "A backend of a kind that Istio does not know keeps its share of the requests, which is answered 500, or of the connections, which are closed.",
		Template: "a backend of kind %s is not supported (InvalidKind)%s",
		Source:   "pilot/pkg/config/kube/gateway/conversion.go, buildDestination",
	},
	{
		ID: RuleBackendInference, Stage: StageRoute,
		Says:     "InferencePools are backends only where istiod has ENABLE_GATEWAY_API_INFERENCE_EXTENSION, which is off by default.",
		Template: "InferencePool %s: %s%s",
		Source:   "pilot/pkg/config/kube/gateway/conversion.go, buildDestination",
	},
	{
		ID: RuleBackendInvalid, Stage: StageRoute,
		Says:     "A backendRef without port, a Service name with a dot or a Hostname with a namespace drops all rules of the route.",
		Template: "%s" + allRulesDropped,
		Source:   "pilot/pkg/config/kube/gateway/conversion.go, buildDestination",
	},
	{
		ID: RuleKubeRouteFilter, Stage: StageRoute,
		Says:     "A filter that Istio does not know drops all rules of the route; on a backendRef only header modifiers are known.",
		Template: "filter %s is not supported here" + allRulesDropped,
		Source:   "pilot/pkg/config/kube/gateway/conversion.go, convertHTTPRoute",
	},
	{
		ID: RuleKubeRouteHeader, Stage: StageRoute,
		Says:     "A header modifier whose value holds control characters drops all rules of the route.",
		Template: "the value of header %q holds control characters" + allRulesDropped,
		Source:   "pilot/pkg/config/kube/gateway/conversion.go, createHeadersFilter",
	},
	{
		ID: RuleKubeRouteMatchType, Stage: StageRoute,
		Says:     "A match of a type that Istio does not know drops all rules of the route.",
		Template: "%s is not supported" + allRulesDropped,
		Source:   "pilot/pkg/config/kube/gateway/conversion.go, createURIMatch",
	},
	{
		ID: RuleKubeRouteNoBackends, Stage: StageRoute,
		Says:     "A rule whose backends have no weight, or that has none and does not redirect, is answered 500 by the proxy.",
		Template: "the rule has no backend with weight: answers by itself with status %d",
		Source:   "pilot/pkg/config/kube/gateway/conversion.go, convertHTTPRoute",
	},
	{
		ID: RuleKubeRouteNoShare, Stage: StageRoute,
		Says:     "A rule of a TCPRoute or TLSRoute without a backend that has weight leads to a cluster that is never there: the connection is closed.",
		Template: "no backend has weight: the connection is sent to a cluster that is never there, and closed",
		Source:   "pilot/pkg/config/kube/gateway/conversion.go, convertTCPRoute",
	},
	{
		ID: RuleKubeRouteMirrorKept, Stage: StageRoute, Detail: true,
		Says:     "The rules of a GRPCRoute count only while the Services of its mirrors exist.",
		Template: "exists and gets copies: without it %s would lose all its rules",
		Source:   "pilot/pkg/config/kube/gateway/conversion.go, convertGRPCRoute",
	},
	{
		ID: RuleKubeRouteMirror, Stage: StageRoute,
		Says:     "A mirror of an HTTPRoute whose backend is not in order is left out.",
		Template: "no copy is sent: %s",
		Source:   "pilot/pkg/config/kube/gateway/conversion.go, convertHTTPRoute",
	},
}

// backend is one backendRef of a rule.
type backend struct {
	k8sgateway.BackendRef
	filters []k8sgateway.HTTPRouteFilter
	ref     Ref
}

// destinations is step 1.
func (c *ruleConversion) destinations(backends []backend) []*networking.HTTPRouteDestination {
	var out []*networking.HTTPRouteDestination
	c.pools = nil // those of mirrors have no picker
	for _, b := range backends {
		weight := ptr.Deref(b.Weight, 1)
		if weight == 0 {
			continue
		}
		c.poolLast = false
		d := &networking.HTTPRouteDestination{Destination: c.destination(b.BackendRef, b.ref), Weight: weight}
		field := pathIndex("route", len(out))
		c.fields[field] = b.ref
		for i, f := range b.filters {
			if c.refused == nil {
				c.backendFilter(d, f, field, b.ref.At(pathIndex(b.ref.Field+".filters", i)))
			}
		}
		if c.refused != nil {
			return nil
		}
		out = append(out, d)
	}
	if len(out) == 1 {
		out[0].Weight = 0
	}
	return out
}

// destination is steps 2 to 5.
func (c *ruleConversion) destination(b k8sgateway.BackendRef, ref Ref) *networking.Destination {
	s, kind := c.snapshot, kindRef{string(ptr.Deref(b.Group, "")), string(ptr.Deref(b.Kind, "Service"))}
	namespace, name := string(ptr.Deref(b.Namespace, k8sgateway.Namespace(c.route.Namespace))), string(b.Name)
	soft := func(rule RuleID, args ...any) {
		c.steps, c.unresolved = append(c.steps, NewStep(rule, Skipped, ref, args...)), publishedReasons[rule]
	}
	if !c.mesh && namespace != c.route.Namespace {
		step, ok := s.granted(gatewayKind(c.route.Kind), c.route.Namespace, kind, namespace, name)
		if !ok {
			soft(RuleBackendNotGranted, namespace, c.route.Kind, c.route.Namespace, kind.kind+" "+name, c.share())
			return &networking.Destination{}
		}
		c.granted = append(c.granted, step)
	}
	var host string
	switch kind {
	case kindRef{"", "Service"}, kindRef{"multicluster.x-k8s.io", "ServiceImport"}:
		if kind.kind == "Service" && strings.Contains(name, ".") {
			c.refuse(RuleBackendInvalid, ref.At(ref.Field+".name"), "the name of a Service has no dot: "+name)
			return nil
		}
		host = name + "." + namespace + ".svc." + s.Mesh.Domain
		if _, exists := s.KubeService(namespace, name); !exists {
			soft(RuleBackendMissing, host)
		}
	case kindRef{istioNetworking, "Hostname"}:
		if b.Namespace != nil {
			c.refuse(RuleBackendInvalid, ref.At(ref.Field+".namespace"), "a Hostname has no namespace")
			return nil
		}
		host = name
		switch services := s.ServicesForHost(host); {
		case len(services) == 0:
			soft(RuleBackendMissing, host)
		case !slices.ContainsFunc(services, func(svc *Service) bool { return svc.Namespace == namespace }):
			c.granted = append(c.granted, NewStep(RuleBackendHostOf, Applied, services[0].Ref, host))
			soft(RuleBackendElsewhere, namespace, host)
		}
	case kindRef{inferenceGroup, "InferencePool"}:
		if strings.Contains(name, ".") && s.feature(featureInference).on {
			c.refuse(RuleBackendInvalid, ref.At(ref.Field+".name"), "the name of an InferencePool has no dot: "+name)
			return nil
		}
		return c.inferencePool(namespace, name, ref)
	default:
		soft(RuleBackendKind, strings.TrimPrefix(kind.group+"/"+kind.kind, "/"), c.share())
		return &networking.Destination{}
	}
	if b.Port == nil {
		c.refuse(RuleBackendInvalid, ref, "backend "+name+" has no port")
		return nil
	}
	return &networking.Destination{Host: host, Port: &networking.PortSelector{Number: uint32(*b.Port)}}
}

// share is what comes of the share of a backend that cannot be used.
func (c *ruleConversion) share() string {
	if c.route.Kind == "TCPRoute" || c.route.Kind == "TLSRoute" {
		return shareClosed
	}
	return answered500
}
