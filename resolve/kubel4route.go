package resolve

import (
	"slices"

	networking "istio.io/api/networking/v1alpha3"
	k8sgateway "sigs.k8s.io/gateway-api/apis/v1"
)

// Rules of TCPRoutes and TLSRoutes.
//
//  1. A TLSRoute matches its hostnames as server names; without hostnames every one.
//  2. Backends without weight, or none, lead to a cluster that never exists, which closes the connection.
//
// Source: pilot/pkg/config/kube/gateway/conversion.go, convertTCPRoute, convertTLSRoute, buildTCPDestination.

func (s *Snapshot) convertTCPRoute(o *k8sgateway.TCPRoute, ref Ref, mesh bool) ruleSet {
	var out ruleSet
	for i, rule := range o.Spec.Rules {
		c := &ruleConversion{snapshot: s, route: ref, ref: ref.At(pathIndex("spec.rules", i)), mesh: mesh}
		routes, at := c.l4Destinations(rule.BackendRefs)
		out.take(c)
		if c.refused != nil {
			return out.dropped(c)
		}
		out.tcp = append(out.tcp, &networking.TCPRoute{Route: routes})
		out.origins = append(out.origins, l4Origin{fields: at, steps: slices.Concat(c.granted, c.steps)})
	}
	return out
}

func (s *Snapshot) convertTLSRoute(o *k8sgateway.TLSRoute, ref Ref, mesh bool) ruleSet {
	var out ruleSet
	names := hostnames(o.Spec.Hostnames)
	if len(names) == 0 {
		names = []string{"*"}
	}
	for i, rule := range o.Spec.Rules {
		c := &ruleConversion{snapshot: s, route: ref, ref: ref.At(pathIndex("spec.rules", i)), mesh: mesh}
		routes, at := c.l4Destinations(rule.BackendRefs)
		out.take(c)
		if c.refused != nil {
			return out.dropped(c)
		}
		route := &networking.TLSRoute{Route: routes}
		if !weightless(rule.BackendRefs) {
			route.Match = []*networking.TLSMatchAttributes{{SniHosts: append([]string(nil), names...)}}
		}
		at[".match[0]"] = ref.At("spec.hostnames")
		if len(o.Spec.Hostnames) == 0 {
			at[".match[0]"] = c.ref
		}
		out.tls = append(out.tls, route)
		out.origins = append(out.origins, l4Origin{fields: at, steps: slices.Concat(c.granted, c.steps)})
	}
	return out
}

func weightless(refs []k8sgateway.BackendRef) bool {
	var sum int32
	for _, b := range refs {
		sum += orElse(b.Weight, 1)
	}
	return sum == 0
}

// l4Destinations are the backends of a rule, and where they were written.
func (c *ruleConversion) l4Destinations(refs []k8sgateway.BackendRef) ([]*networking.RouteDestination, writtenAs) {
	at := writtenAs{"": c.ref, ".route": c.at("backendRefs")}
	if weightless(refs) {
		c.steps = append(c.steps, NewStep(RuleKubeRouteNoShare, Skipped, c.at("backendRefs")))
		return []*networking.RouteDestination{{Destination: &networking.Destination{
			Host: "internal.cluster.local", Subset: "zero-weight", Port: &networking.PortSelector{Number: 65535},
		}}}, at
	}
	var out []*networking.RouteDestination
	for i, b := range refs {
		weight := orElse(b.Weight, 1)
		if weight == 0 {
			continue
		}
		ref := c.at("backendRefs[%d]", i)
		d := c.destination(b, ref)
		if c.refused != nil {
			return nil, nil
		}
		at[pathIndex(".route", len(out))] = ref
		out = append(out, &networking.RouteDestination{Destination: d, Weight: weight})
	}
	if len(out) == 1 {
		out[0].Weight = 0
	}
	return out, at
}
