package resolve

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	networking "istio.io/api/networking/v1alpha3"
	apinetworking "istio.io/client-go/pkg/apis/networking/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Delegation: spec.http[].delegate of one VirtualService (the root) names
// another one, without hosts, whose entries take the place of the root's entry.
//
// 1. Only VirtualServices without hosts are delegates.
// 2. The delegate's namespace defaults to the root's. It must exist and be
// exported to the root's namespace, or the root's entry vanishes; the root's
// other entries stay.
// 3. One merged entry comes of each entry of the delegate, in the delegate's order.
// 4. Without matches on one side the other side's count. With both, each match of
// the delegate is merged with each match of the root it is compatible with; one
// that is compatible with none drops the delegate's whole entry.
// 5. rewrite, directResponse, timeout, retries, fault, mirrors, corsPolicy and
// headers are the root's where the delegate leaves them out, as a whole.
// 6. Names are joined with "-".
//
// Source: pilot/pkg/model/virtualservice_controller.go, mergeVirtualServices;
// pilot/pkg/model/virtualservice.go, MergeHTTPRoutes.
type delegates struct {
	snapshot *Snapshot
	byName   map[string]*apinetworking.VirtualService
	// withHosts are the names of VirtualServices that are no delegates.
	withHosts map[string]bool
}

// The rules of delegation.
const (
	RuleDelegateMissing     RuleID = "delegate/missing"
	RuleDelegateUnknown     RuleID = "delegate/unknown"
	RuleDelegateHasHosts    RuleID = "delegate/has-hosts"
	RuleDelegateNotExported RuleID = "delegate/not-exported"
	RuleDelegateEmpty       RuleID = "delegate/empty"
	RuleDelegateConflict    RuleID = "delegate/conflict"
	RuleDelegateMerged      RuleID = "delegate/merged"
)

var delegateRules = []Rule{
	{
		ID: RuleDelegateMissing, Stage: StageRoute,
		Says:     "An http entry whose delegate does not exist is left out; the other entries stay.",
		Template: "the delegate VirtualService %s does not exist, so this entry is left out",
		Source:   "pilot/pkg/model/virtualservice_controller.go, mergeVirtualServices",
	},
	{
		ID: RuleDelegateUnknown, Stage: StageRoute,
		Says:     "A delegate that could not be read may exist; the entry is left out of the trace.",
		Template: "the delegate VirtualService %s could not be read; this entry is taken as left out",
		Source:   "pilot/pkg/model/virtualservice_controller.go, mergeVirtualServices",
	},
	{
		ID: RuleDelegateHasHosts, Stage: StageRoute,
		Says:     "Only a VirtualService without hosts can be a delegate.",
		Template: "VirtualService %s has hosts, so it is no delegate, and this entry is left out",
		Source:   "pilot/pkg/model/virtualservice_controller.go, delegateVirtualServices",
	},
	{
		ID: RuleDelegateNotExported, Stage: StageRoute,
		Says:     "A delegate must be exported to the namespace of the VirtualService that names it.",
		Template: "the delegate VirtualService %s is not exported to namespace %s, so this entry is left out",
		Source:   "pilot/pkg/model/virtualservice_controller.go, mergeVirtualServices",
	},
	{
		ID: RuleDelegateEmpty, Stage: StageRoute,
		Says:     "An http entry whose delegate has no http entries vanishes.",
		Template: "the delegate VirtualService %s has no http entries, so this entry brings no route",
		Source:   "pilot/pkg/model/virtualservice.go, MergeHTTPRoutes",
	},
	{
		ID: RuleDelegateConflict, Stage: StageRoute,
		Says:     "A delegate's entry is dropped whole if one of its matches is not within any match of the root's entry.",
		Template: "%s is not within what %s lets through, so the delegate's entry is dropped",
		Source:   "pilot/pkg/model/virtualservice.go, mergeHTTPMatchRequests",
	},
	{
		ID: RuleDelegateMerged, Stage: StageRoute,
		Says:     "An http entry with a delegate is replaced by the delegate's entries.",
		Template: "%s delegates to this entry",
		Source:   "pilot/pkg/model/virtualservice.go, mergeHTTPRoute",
		Detail:   true,
	},
}

// entryOrigin tells what of a merged http entry is the root's.
type entryOrigin struct {
	// root is the root's spec.http[i]; zero where nothing was merged.
	root Ref
	// inherited are the names of the fields that the root brought.
	inherited []string
	matches   []matchOrigin
	// fields are where the parts of an entry that istiod made were written.
	fields writtenAs
	// steps tell what of it was not in order.
	steps []Step
}

// matchOrigin tells where a merged match was written.
type matchOrigin struct {
	// ref is the match itself, the delegate's where there are two.
	ref Ref
	// root is the root's match where both have one; zero otherwise.
	root Ref
	// leaf is the delegate's part where both have one.
	leaf *networking.HTTPMatchRequest
	// clauses are where the clauses of a match that istiod made were written.
	clauses writtenAs
}

func newDelegates(s *Snapshot) *delegates {
	d := &delegates{snapshot: s, byName: map[string]*apinetworking.VirtualService{}, withHosts: map[string]bool{}}
	for _, o := range s.RawVirtualServices {
		name := o.GetNamespace() + "/" + o.GetName()
		if len(o.Spec.GetHosts()) == 0 {
			d.byName[name] = o
		} else {
			d.withHosts[name] = true
		}
	}
	return d
}

// merge replaces the entries of a root that delegate, and fills HTTPRefs and Roots.
func (d *delegates) merge(root *VirtualService) {
	if !slices.ContainsFunc(root.Spec.GetHttp(), func(r *networking.HTTPRoute) bool { return r.GetDelegate() != nil }) {
		return
	}
	entries := root.Spec.Http
	root.Spec.Http = nil
	add := func(r *networking.HTTPRoute, ref Ref, origin entryOrigin) {
		root.Spec.Http = append(root.Spec.Http, r)
		root.HTTPRefs = append(root.HTTPRefs, ref)
		root.Roots = append(root.Roots, origin.root)
		root.origins = append(root.origins, origin)
	}
	for i, entry := range entries {
		ref := root.Ref.At(fmt.Sprintf("spec.http[%d]", i))
		if entry.GetDelegate() == nil {
			add(entry, ref, entryOrigin{})
			continue
		}
		leaf, leafRef, step := d.find(entry.Delegate, ref)
		if leaf == nil {
			root.Steps = append(root.Steps, step)
			continue
		}
		root.Steps = append(root.Steps, expandShortNames(leaf, leafRef, d.snapshot.Mesh.Domain)...)
		for j, sub := range leaf.GetHttp() {
			if sub == nil {
				continue
			}
			at := leafRef.At(fmt.Sprintf("spec.http[%d]", j))
			origin, conflict := mergeEntry(entry, ref, sub, at)
			if conflict != nil {
				root.Steps = append(root.Steps, *conflict)
				continue
			}
			root.Steps = append(root.Steps, NewStep(RuleDelegateMerged, Applied, at, ref))
			add(sub, at, origin)
		}
		if len(leaf.GetHttp()) == 0 {
			root.Steps = append(root.Steps, NewStep(RuleDelegateEmpty, Skipped, ref.At(ref.Field+".delegate"), leafRef.QualifiedName()))
		}
	}
}

// find returns a copy of the delegate that an entry names, or the step that says why there is none.
func (d *delegates) find(to *networking.Delegate, entry Ref) (*networking.VirtualService, Ref, Step) {
	namespace := cmp.Or(to.GetNamespace(), entry.Namespace)
	name := namespace + "/" + to.GetName()
	at := entry.At(entry.Field + ".delegate")
	o, ok := d.byName[name]
	if !ok {
		if d.withHosts[name] {
			return nil, Ref{}, NewStep(RuleDelegateHasHosts, Skipped, at, name).meantFor(true)
		}
		kind := schema.GroupKind{Group: "networking.istio.io", Kind: "VirtualService"}
		for _, g := range d.snapshot.GapsOf(kind, namespace) {
			if g.Name == "" || g.Name == to.GetName() {
				return nil, Ref{}, NewStep(RuleDelegateUnknown, Warned, at, name)
			}
		}
		return nil, Ref{}, NewStep(RuleDelegateMissing, Skipped, at, name).meantFor(true)
	}
	list := o.Spec.GetExportTo()
	if len(list) == 0 {
		list = d.snapshot.Mesh.GetDefaultVirtualServiceExportTo()
	}
	// Unlike everywhere else, "~" beside the root's namespace does not hide the delegate.
	exported := slices.ContainsFunc(list, func(e string) bool {
		return e == "*" || e == entry.Namespace || e == "." && namespace == entry.Namespace
	})
	if !exported {
		step := NewStep(RuleDelegateNotExported, Skipped, at, name, entry.Namespace)
		return nil, Ref{}, step.Unlike("exportTo "+entry.Namespace, "exportTo "+strings.Join(list, ", ")).meantFor(true)
	}
	return o.Spec.DeepCopy(), refOf("networking.istio.io", "VirtualService", o), Step{}
}

// mergeEntry lays the delegate's entry (which it changes) over the root's. The
// step is set if the matches conflict.
// Source: pilot/pkg/model/virtualservice.go, mergeHTTPRoute.
func mergeEntry(root *networking.HTTPRoute, rootRef Ref, leaf *networking.HTTPRoute, leafRef Ref) (entryOrigin, *Step) {
	origin := entryOrigin{root: rootRef}
	conflict := origin.mergeMatches(root, leaf, leafRef)
	if conflict != nil {
		return origin, conflict
	}
	leaf.Name = joinRouteNames(root.GetName(), leaf.GetName())
	inherit(&origin, "rewrite", &leaf.Rewrite, root.Rewrite)
	inherit(&origin, "directResponse", &leaf.DirectResponse, root.DirectResponse)
	inherit(&origin, "timeout", &leaf.Timeout, root.Timeout)
	inherit(&origin, "retries", &leaf.Retries, root.Retries)
	inherit(&origin, "fault", &leaf.Fault, root.Fault)
	inherit(&origin, "mirror", &leaf.Mirror, root.Mirror)
	//lint:ignore SA1019 istiod still reads the older field
	inherit(&origin, "mirrorPercent", &leaf.MirrorPercent, root.MirrorPercent)
	inherit(&origin, "mirrorPercentage", &leaf.MirrorPercentage, root.MirrorPercentage)
	inherit(&origin, "corsPolicy", &leaf.CorsPolicy, root.CorsPolicy)
	inherit(&origin, "headers", &leaf.Headers, root.Headers)
	if leaf.Mirrors == nil && root.Mirrors != nil {
		leaf.Mirrors = root.Mirrors
		origin.inherited = append(origin.inherited, "mirrors")
	}
	return origin, nil
}

func inherit[T any](origin *entryOrigin, field string, leaf **T, root *T) {
	if *leaf == nil && root != nil {
		*leaf = root
		origin.inherited = append(origin.inherited, field)
	}
}

func joinRouteNames(root, leaf string) string {
	if root == "" || leaf == "" {
		return root + leaf
	}
	return root + "-" + leaf
}
