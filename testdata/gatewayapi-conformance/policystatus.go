package gatewayapi

import (
	"context"
	"slices"
	"strings"

	"sigs.k8s.io/controller-runtime/pkg/client"
	k8sgateway "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

// meshController is the name of istiod in what it says of a policy and its target.
const meshController = k8sgateway.GatewayController("istio.io/mesh-controller")

// publishPolicies writes the status of BackendTLSPolicies: what the tracer says of each target, for the target itself, and
// of the last one for each Gateway that has a route to one of them.
// Source: pilot/pkg/config/kube/gateway/backend_policies.go, BackendTLSPolicyCollection.
func (c *Cluster) publishPolicies(ctx context.Context, s *resolve.Snapshot, v verdicts) error {
	for _, policy := range s.BackendTLSPolicies {
		ref := objectRef("BackendTLSPolicy", policy)
		if err := write(ctx, c, client.ObjectKeyFromObject(policy), &k8sgateway.BackendTLSPolicy{}, func(o *k8sgateway.BackendTLSPolicy) {
			before := o.Status.Ancestors
			o.Status.Ancestors = nil
			add := func(of k8sgateway.ParentReference, by k8sgateway.GatewayController, told []resolve.KubeCondition) {
				one := k8sgateway.PolicyAncestorStatus{AncestorRef: of, ControllerName: by}
				if i := len(o.Status.Ancestors); i < len(before) {
					one.Conditions = before[i].Conditions
				}
				say(&one.Conditions, o.Generation, told)
				o.Status.Ancestors = append(o.Status.Ancestors, one)
			}
			var gateways []string
			for i, t := range o.Spec.TargetRefs {
				add(k8sgateway.ParentReference{Group: &t.Group, Kind: &t.Kind, Name: t.Name, SectionName: t.SectionName}, meshController, v[at(ref, "spec.targetRefs", i)])
				gateways = append(gateways, gatewaysBefore(s, o.Namespace, t.Name)...)
			}
			slices.Sort(gateways)
			group, kind := k8sgateway.Group(k8sgateway.GroupName), k8sgateway.Kind("Gateway")
			for _, name := range slices.Compact(gateways) {
				of := k8sgateway.ParentReference{Group: &group, Kind: &kind, Name: k8sgateway.ObjectName(strings.SplitN(name, "/", 2)[1])}
				add(of, controller, v[at(ref, "spec.targetRefs", len(o.Spec.TargetRefs)-1)])
			}
		}); err != nil {
			return err
		}
	}
	return nil
}

// gatewaysBefore are the Gateways, NAMESPACE/NAME, with an HTTPRoute to a Service.
func gatewaysBefore(s *resolve.Snapshot, namespace string, service k8sgateway.ObjectName) []string {
	var out []string
	for _, route := range s.HTTPRoutes {
		for _, rule := range route.Spec.Rules {
			leads := slices.ContainsFunc(rule.BackendRefs, func(b k8sgateway.HTTPBackendRef) bool {
				return b.Name == service && (b.Namespace == nil && route.Namespace == namespace || b.Namespace != nil && string(*b.Namespace) == namespace)
			})
			for _, parent := range route.Spec.ParentRefs {
				in := route.Namespace
				if parent.Namespace != nil {
					in = string(*parent.Namespace)
				}
				if leads && *parent.Kind == "Gateway" {
					out = append(out, in+"/"+string(parent.Name))
				}
			}
		}
	}
	return out
}
