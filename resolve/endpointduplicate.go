package resolve

import (
	"cmp"
	"net"
	"slices"
	"strconv"
)

// An address and port that a cluster has twice.
//
//  1. A cluster whose endpoints come by EDS keeps the first, whatever the others say of weight, labels or health:
//     the localities follow by name, within one those of ServiceEntries come before those of the Service.
//  2. A cluster that resolves DNS keeps them all.
//
// Source: pilot/pkg/xds/endpoints/endpoint_builder.go, generate; model/endpointshards.go, Keys;
// Envoy, source/extensions/clusters/eds/eds.cc, updateLocalityEndpoints; strict_dns_cluster.cc, updateAllHosts.

// RuleEndpointDuplicate is about an address that a cluster has twice.
const RuleEndpointDuplicate RuleID = "endpoint/duplicate"

var duplicateRules = []Rule{{
	ID: RuleEndpointDuplicate, Stage: StageLoadBalance,
	Says:     "Of endpoints with the same address and port Envoy keeps the first, unless the cluster resolves DNS.",
	Template: "%s is an endpoint already, by %s: Envoy keeps the first",
	Source:   "Envoy, source/extensions/clusters/eds/eds.cc, updateLocalityEndpoints",
}}

func withoutDuplicates(c *Cluster, eps []*Endpoint) ([]*Endpoint, []Step) {
	if c.Type != ClusterEDS || len(eps) < 2 {
		return eps, nil
	}
	order := slices.Clone(eps)
	slices.SortStableFunc(order, func(a, b *Endpoint) int {
		return cmp.Or(cmp.Compare(a.Locality.Region, b.Locality.Region), cmp.Compare(a.Locality.Zone, b.Locality.Zone), cmp.Compare(a.Locality.SubZone, b.Locality.SubZone))
	})
	first := map[string]*Endpoint{}
	gone := map[*Endpoint]bool{}
	var steps []Step
	for _, e := range order {
		if e.Address == "" { // the pods of a template have addresses of their own
			continue
		}
		at := net.JoinHostPort(e.Address, strconv.Itoa(e.Port))
		if old := first[at]; old != nil {
			gone[e] = true
			steps = append(steps, NewStep(RuleEndpointDuplicate, Skipped, e.Ref, at, old.Ref.String()))
			continue
		}
		first[at] = e
	}
	if len(gone) == 0 {
		return eps, nil
	}
	return slices.DeleteFunc(slices.Clone(eps), func(e *Endpoint) bool { return gone[e] }), steps
}
