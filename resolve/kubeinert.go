package resolve

import (
	"strconv"
	"strings"

	"k8s.io/utils/ptr"
	k8sgateway "sigs.k8s.io/gateway-api/apis/v1"
)

// What users write for the Gateway API and Istio does not read, or reads in another way in an earlier release.
//
//  1. No release reads sessionPersistence and useDefaultGateways of routes, nor any UDPRoute.
//  2. XBackendTrafficPolicies are read with PILOT_ENABLE_ALPHA_GATEWAY_API only, and then for their retryConstraint, which decides
//     nothing about one request; their sessionPersistence is not read.
//  3. The rules of the trace are those of Istio 1.31. Where the release that is followed is an earlier one, what it does otherwise
//     is told, and the outcome is assumed.
//
// Source: pilot/pkg/config/kube/gateway/controller.go, NewController; backend_policies.go, BackendTrafficPolicyCollection; release
// notes of Istio 1.30 and 1.31.

// Rules of what has no effect.
const (
	RuleKubeInertField    RuleID = "kubeinert/field"
	RuleKubeInertUDPRoute RuleID = "kubeinert/udproute"
	RuleKubeInertPolicy   RuleID = "kubeinert/backend-traffic-policy"
	RuleKubeRelease       RuleID = "kubeinert/release"
)

var kubeInertRules = []Rule{
	{
		ID: RuleKubeInertField, Stage: StageRoute,
		Says:     "Istio does not read sessionPersistence and useDefaultGateways of routes.",
		Template: "has %s, which Istio does not read: it has no effect",
		Source:   "pilot/pkg/config/kube/gateway/conversion.go, convertHTTPRoute, extractParentReferenceInfo",
	},
	{
		ID: RuleKubeInertUDPRoute, Stage: StageGateway,
		Says:     "Istio does not read UDPRoutes.",
		Template: "is attached to %s; Istio does not read UDPRoutes: it has no effect",
		Source:   "pilot/pkg/config/kube/gateway/controller.go, NewController",
	},
	{
		ID: RuleKubeInertPolicy, Stage: StageDestinationRule,
		Says:     "XBackendTrafficPolicies count only with PILOT_ENABLE_ALPHA_GATEWAY_API, which is off by default, and then for their retry budget alone.",
		Template: "%s: %s",
		Source:   "pilot/pkg/config/kube/gateway/backend_policies.go, BackendTrafficPolicyCollection",
	},
	{
		ID: RuleKubeRelease, Stage: StageGateway,
		Says:     "The Gateway API is followed as Istio 1.31 implements it; what an earlier release that is asked for does otherwise is told, and the outcome is assumed.",
		Template: "the Gateway API is followed as Istio 1.31 has it; Istio %s %s",
		Source:   "release notes of Istio 1.30 and 1.31; pkg/config/schema/metadata.yaml",
	},
}

// releaseDifferences are what earlier releases do otherwise.
var releaseDifferences = map[int]string{
	30: "answers 404 for a rule without backendRefs, reads TCPRoutes only with PILOT_ENABLE_ALPHA_GATEWAY_API, looks for no conflicts between listeners, " +
		"and merges Istio Gateways of every namespace into a gateway that it deployed",
	29: "reads TLSRoutes and TCPRoutes only with PILOT_ENABLE_ALPHA_GATEWAY_API and no ListenerSet, does not sort HTTPRoutes and GRPCRoutes of one host together, looks for no " +
		"conflicts between listeners, and merges Istio Gateways of every namespace into a gateway that it deployed",
}

// sessions tells that a rule's sessionPersistence has no effect.
func (c *ruleConversion) sessions(written *k8sgateway.SessionPersistence) {
	if written != nil {
		c.steps = append(c.steps, NewStep(RuleKubeInertField, Skipped, c.at("sessionPersistence"), "sessionPersistence"))
	}
}

// kubeRelease is step 3, about an object of the Gateway API that the request comes by.
func (s *Snapshot) kubeRelease(about Ref, stage Stage) []Step {
	major, minor, _ := strings.Cut(s.Version.Release, ".")
	n, err := strconv.Atoi(minor)
	if err != nil || major != "1" || n >= 31 {
		return nil
	}
	otherwise := releaseDifferences[max(n, 29)]
	if n < 29 {
		otherwise += ", and more: it is not known to this tool"
	}
	step := NewStep(RuleKubeRelease, Warned, about, s.Version.Release, otherwise)
	step.Stage = stage
	return []Step{step}
}

// udpRoutes tells of the UDPRoutes that name a listener.
func (s *Snapshot) udpRoutes(l *kubeListener) []Step {
	var steps []Step
	for _, o := range s.UDPRoutes {
		ref := refOf(k8sgateway.GroupName, "UDPRoute", o)
		for i, p := range o.Spec.ParentRefs {
			same := string(ptr.Deref(p.Kind, "Gateway")) == l.parent.Kind && string(p.Name) == l.parent.Name &&
				string(ptr.Deref(p.Namespace, k8sgateway.Namespace(o.Namespace))) == l.parent.Namespace
			if same && ptr.Deref(p.SectionName, l.spec.Name) == l.spec.Name && ptr.Deref(p.Port, l.spec.Port) == l.spec.Port {
				steps = append(steps, NewStep(RuleKubeInertUDPRoute, Skipped, ref.At(pathIndex("spec.parentRefs", i)), l.ref))
			}
		}
	}
	return steps
}

// UDPRoutesAt tells of the UDPRoutes for the listeners of that number of the Gateways that the workload serves.
func (s *Snapshot) UDPRoutesAt(w *Workload, port int) []Step {
	var steps []Step
	for _, g := range s.gatewaysServedBy(w) {
		for _, l := range g.listeners {
			if int(l.spec.Port) == port {
				steps = append(steps, s.udpRoutes(l)...)
			}
		}
	}
	return steps
}

// trafficPolicies is step 2: what is told of XBackendTrafficPolicies, by what they name as target.
func (s *Snapshot) trafficPolicies() map[Ref][]Step {
	steps := map[Ref][]Step{}
	if len(s.BackendTrafficPolicies) == 0 {
		return steps
	}
	alpha := s.feature(featureAlphaGatewayAPI)
	for _, o := range s.BackendTrafficPolicies {
		ref := refOf("gateway.networking.x-k8s.io", "XBackendTrafficPolicy", o)
		for i, t := range o.Spec.TargetRefs {
			named := Ref{Group: string(t.Group), Kind: string(t.Kind), Namespace: o.Namespace, Name: string(t.Name)}
			at := ref.At(pathIndex("spec.targetRefs", i))
			switch {
			case !alpha.on:
				steps[named] = append(steps[named], NewStep(RuleKubeInertPolicy, Skipped, at, alpha.off(), "it has no effect"))
			case o.Spec.SessionPersistence != nil:
				steps[named] = append(steps[named], NewStep(RuleKubeInertPolicy, Skipped, at, "Istio does not read its sessionPersistence", "what it reads is a retry budget, which decides nothing about one request"))
			default:
				steps[named] = append(steps[named], NewStep(RuleKubeInertPolicy, Applied, at, alpha.ref.String()+" switches "+alpha.variable+" on", "it sets a retry budget, which decides nothing about one request"))
			}
		}
	}
	return steps
}
