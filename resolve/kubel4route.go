package resolve

import (
	"slices"

	networking "istio.io/api/networking/v1alpha3"
	"k8s.io/utils/ptr"
	k8sgateway "sigs.k8s.io/gateway-api/apis/v1"
)

// Rules of TCPRoutes and TLSRoutes.
//
//  1. A TLSRoute matches its hostnames as server names; without hostnames every one.
//  2. Backends without weight, or none, lead to a cluster that never exists, which closes the connection.
//
// Source: pilot/pkg/config/kube/gateway/conversion.go, convertTCPRoute, convertTLSRoute, buildTCPDestination.

func (s *Snapshot) convertTCPRoute(o *k8sgateway.TCPRoute, ref Ref, mesh bool) ruleSet {
	return convertRules(s, ref, mesh, o.Spec.Rules, func(c *ruleConversion, _ int, rule k8sgateway.TCPRouteRule, out *ruleSet) {
		out.tcp = append(out.tcp, &networking.TCPRoute{Route: c.l4Destinations(rule.BackendRefs)})
		out.origins = append(out.origins, l4Origin{fields: c.fields, steps: slices.Concat(c.granted, c.steps)})
	})
}

func (s *Snapshot) convertTLSRoute(o *k8sgateway.TLSRoute, ref Ref, mesh bool) ruleSet {
	names := hostnames(o.Spec.Hostnames)
	if len(names) == 0 {
		names = []string{"*"}
	}
	return convertRules(s, ref, mesh, o.Spec.Rules, func(c *ruleConversion, _ int, rule k8sgateway.TLSRouteRule, out *ruleSet) {
		route := &networking.TLSRoute{Route: c.l4Destinations(rule.BackendRefs)}
		if !weightless(rule.BackendRefs) {
			route.Match = []*networking.TLSMatchAttributes{{SniHosts: slices.Clone(names)}}
		}
		c.fields[".match[0]"] = ref.At("spec.hostnames")
		if len(o.Spec.Hostnames) == 0 {
			c.fields[".match[0]"] = c.ref
		}
		out.tls = append(out.tls, route)
		out.origins = append(out.origins, l4Origin{fields: c.fields, steps: slices.Concat(c.granted, c.steps)})
	})
}

func weightless(refs []k8sgateway.BackendRef) bool {
	var sum int32
	for _, b := range refs {
		sum += ptr.Deref(b.Weight, 1)
	}
	return sum == 0
}

// l4Destinations are the backends of a rule; fields gets where they were written.
func (c *ruleConversion) l4Destinations(refs []k8sgateway.BackendRef) []*networking.RouteDestination {
	c.fields[""], c.fields[".route"] = c.ref, c.at("backendRefs")
	if weightless(refs) {
		c.steps = append(c.steps, NewStep(RuleKubeRouteNoShare, Skipped, c.at("backendRefs")))
		return []*networking.RouteDestination{{Destination: &networking.Destination{
			Host: "internal.cluster.local", Subset: "zero-weight", Port: &networking.PortSelector{Number: 65535},
		}}}
	}
	var out []*networking.RouteDestination
	for i, b := range refs {
		weight := ptr.Deref(b.Weight, 1)
		if weight == 0 {
			continue
		}
		ref := c.at("backendRefs[%d]", i)
		d := c.destination(b, ref)
		if c.refused != nil {
			return nil
		}
		c.fields[pathIndex(".route", len(out))] = ref
		out = append(out, &networking.RouteDestination{Destination: d, Weight: weight})
	}
	if len(out) == 1 {
		out[0].Weight = 0
	}
	return out
}
