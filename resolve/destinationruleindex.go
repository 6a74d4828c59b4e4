package resolve

import (
	"slices"
	"strings"

	networking "istio.io/api/networking/v1alpha3"
)

// exportSet is an exportTo list as istiod compares it: literally, sorted,
// without duplicates. Empty is unset, which is not the same set as ["*"].
type exportSet []string

func newExportSet(list []string) exportSet {
	set := exportSet(slices.Clone(list))
	slices.Sort(set)
	return slices.Compact(set)
}

func (e exportSet) contains(v string) bool { return slices.Contains(e, v) }

func (e exportSet) supersetOf(o exportSet) bool {
	return !slices.ContainsFunc(o, func(v string) bool { return !e.contains(v) })
}

// reaches reports whether clients of the namespace see an exported rule; "."
// does not count here, the own namespace is searched before.
func (e exportSet) reaches(namespace string) bool {
	return len(e) == 0 || e.contains("*") || e.contains(namespace)
}

// String is the list as a user would write it.
func (e exportSet) String() string {
	if len(e) == 0 {
		return "(unset)"
	}
	return "[" + strings.Join(e, ", ") + "]"
}

// destinationRuleSource is one DestinationRule object.
type destinationRuleSource struct {
	ref      Ref
	spec     *networking.DestinationRule
	host     string
	exportTo exportSet
	// policy is set where istiod made it of backend policies; name is then the internal one, and tlsRefs
	// are where tls was written, by port, 0 for all ports.
	policy  bool
	name    string
	tlsRefs map[uint32]Ref
}

// usableAtHome reports whether clients of the rule's own namespace find it in their first step.
func (d *destinationRuleSource) usableAtHome() bool {
	e := d.exportTo
	return len(e) == 0 || e.contains("*") || e.contains(".") || e.contains(d.ref.Namespace)
}

// private reports whether the rule is for its own namespace alone.
func (d *destinationRuleSource) private(defaultPrivate bool) bool {
	e := d.exportTo
	if len(e) == 0 {
		return defaultPrivate
	}
	return len(e) == 1 && (e[0] == "." || e[0] == d.ref.Namespace)
}

// destinationRulesByHost are the merged rules of one namespace, exact hosts and
// wildcards apart, as istiod keeps them.
type destinationRulesByHost struct {
	exact, wildcard map[string][]*mergedDestinationRule
}

func newDestinationRulesByHost() *destinationRulesByHost {
	return &destinationRulesByHost{exact: map[string][]*mergedDestinationRule{}, wildcard: map[string][]*mergedDestinationRule{}}
}

// mostSpecific returns the rules of the one host key that covers the name best.
//
// Source: pilot/pkg/model/config.go, MostSpecificHostMatch.
func (r *destinationRulesByHost) mostSpecific(name string) (string, []*mergedDestinationRule) {
	if r == nil {
		return "", nil
	}
	if !IsWildcardHost(name) {
		if rules, ok := r.exact[name]; ok {
			return name, rules
		}
	}
	if len(r.wildcard) == 0 {
		return "", nil
	}
	for key := range wildcardsCovering(name) {
		if rules, ok := r.wildcard[key]; ok {
			return key, rules
		}
	}
	return "", nil
}

// wildcardsCovering yields every wildcard that stands for the name, the longest first.
func wildcardsCovering(name string) func(func(string) bool) {
	return func(yield func(string) bool) {
		suffix := strings.TrimPrefix(name, "*")
		for i := range len(suffix) + 1 {
			if !yield("*" + suffix[i:]) {
				return
			}
		}
	}
}

// destinationRuleIndex is istiod's three maps of merged rules, and the objects
// by host for telling why one was not used.
type destinationRuleIndex struct {
	// local are usable by clients of the rules' own namespace, exported by others.
	local, exported map[string]*destinationRulesByHost
	// rootPrivate are the private rules of the root namespace.
	rootPrivate *destinationRulesByHost
	// defaultPrivate is set where meshConfig's default exportTo is ".".
	defaultPrivate bool

	// hosts are all objects by expanded host.
	hosts        map[string][]*destinationRuleSource
	hasWildcards bool
	// written are all objects by the first label of the host as it was written.
	written map[string][]*destinationRuleSource
	// policySteps are about backend policies that do not count, by what they name as target.
	policySteps map[Ref][]Step
	// services are the Kubernetes Services there are.
	services map[destinationKey]bool
}

// destinationKey is the namespace and name of an object, or the namespace and host of a service.
type destinationKey struct{ namespace, name string }

// indexDestinationRules merges all DestinationRules, those with a
// workloadSelector first, then by age.
//
//  1. A rule with a workloadSelector is private, whatever its exportTo.
//  2. Rules whose exportTo is unset or has "*", "." or the own namespace are for
//     clients of that namespace.
//  3. Rules that are not private are for other namespaces; of the mesh default
//     only "." counts, anything else is public.
//  4. Private rules of the root namespace are kept for clients there.
//
// Source: pilot/pkg/model/push_context.go, setDestinationRules.
func indexDestinationRules(s *Snapshot) *destinationRuleIndex {
	ix := &destinationRuleIndex{
		local:          map[string]*destinationRulesByHost{},
		exported:       map[string]*destinationRulesByHost{},
		rootPrivate:    newDestinationRulesByHost(),
		defaultPrivate: slices.Contains(s.Mesh.GetDefaultDestinationRuleExportTo(), "."),
		hosts:          map[string][]*destinationRuleSource{},
		written:        map[string][]*destinationRuleSource{},
		services:       make(map[destinationKey]bool, len(s.KubeServices)),
	}
	for _, svc := range s.kubeServices() {
		ix.services[destinationKey{svc.Namespace, svc.Name}] = true
	}
	sources := make([]*destinationRuleSource, 0, len(s.DestinationRules))
	for _, o := range s.DestinationRules {
		d := &destinationRuleSource{
			ref:      refOf(istioNetworking, "DestinationRule", o),
			spec:     &o.Spec,
			host:     ExpandHost(o.Spec.GetHost(), o.Namespace, s.Mesh.Domain),
			exportTo: newExportSet(o.Spec.GetExportTo()),
		}
		if o.Spec.GetWorkloadSelector() != nil { // 1.
			d.exportTo = exportSet{"."}
		}
		sources = append(sources, d)
	}
	made, steps := s.backendDestinationRules()
	ix.policySteps = steps
	sources = append(made, sources...) // they have no age, and so come first
	slices.SortStableFunc(sources, func(a, b *destinationRuleSource) int {
		return boolFirst(a.spec.GetWorkloadSelector() != nil) - boolFirst(b.spec.GetWorkloadSelector() != nil)
	})
	for _, d := range sources {
		ix.hosts[d.host] = append(ix.hosts[d.host], d)
		ix.hasWildcards = ix.hasWildcards || IsWildcardHost(d.host)
		label, _, _ := strings.Cut(d.spec.GetHost(), ".")
		ix.written[label] = append(ix.written[label], d)

		if d.usableAtHome() { // 2.
			addTo(ix.local, d)
		}
		if !d.private(ix.defaultPrivate) { // 3.
			addTo(ix.exported, d)
		} else if d.ref.Namespace == s.Mesh.GetRootNamespace() { // 4.
			ix.rootPrivate.add(d)
		}
	}
	return ix
}

func addTo(byNamespace map[string]*destinationRulesByHost, d *destinationRuleSource) {
	rules := byNamespace[d.ref.Namespace]
	if rules == nil {
		rules = newDestinationRulesByHost()
		byNamespace[d.ref.Namespace] = rules
	}
	rules.add(d)
}

func boolFirst(first bool) int {
	if first {
		return 0
	}
	return 1
}

// covering returns every object whose host stands for the name, most specific first.
func (ix *destinationRuleIndex) covering(name string) []*destinationRuleSource {
	var out []*destinationRuleSource
	if !IsWildcardHost(name) {
		out = append(out, ix.hosts[name]...)
	}
	if !ix.hasWildcards {
		return out
	}
	for key := range wildcardsCovering(name) {
		out = append(out, ix.hosts[key]...)
	}
	return out
}
