package load

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

// istioGroup is the API group without which there is no Istio to trace.
const istioGroup = "networking.istio.io"

// servedKind is a kind as one cluster serves it.
type servedKind struct {
	kind
	// version is the one to list, plural the path segment.
	version, plural string
}

// runs reports whether the kind is of what runs in the mesh.
func (r servedKind) runs() bool { return slices.Contains(resolve.RunningKinds, r.groupKind()) }

func (r servedKind) groupKind() schema.GroupKind { return r.kind.groupKind() }

// discoverer asks a cluster which APIs it serves. client-go's discovery
// client is one; it answers from the server, never from a cache on disk.
type discoverer interface {
	GroupsAndMaybeResourcesWithContext(context.Context) (
		*metav1.APIGroupList, map[schema.GroupVersion]*metav1.APIResourceList, map[schema.GroupVersion]error, error)
	ServerResourcesForGroupVersionWithContext(ctx context.Context, groupVersion string) (*metav1.APIResourceList, error)
}

// discovered is what a cluster serves of the kinds a trace reads.
type discovered struct {
	resources []servedKind
	gaps      []resolve.Gap
	notes     []resolve.Note
	// noIstio is true where networking.istio.io is not served.
	noIstio bool
}

// discover finds for each kind the version to list.
//
//  1. One question to /api and one to /apis tell groups, versions and kinds (aggregated discovery). An older server
//     tells only the groups; then each version of the groups in question is asked for.
//  2. A kind is listed in the first of its versions that the server serves; Istio and the Gateway API keep the shape
//     of a kind from version to version. An older version than the Go type's is a note.
//  3. A kind that no version has is absent: no gap.
//  4. Of a kind that istiod watches in one version, none other counts: where that one is not served, the kind is
//     absent, and a note says so.
//  5. A kind that only a failed or an unknown version may have is a gap.
//  6. No networking.istio.io at all is said once.
func discover(ctx context.Context, d discoverer, kinds []kind) (discovered, error) {
	groups, resources, failed, err := d.GroupsAndMaybeResourcesWithContext(ctx)
	if err != nil {
		return discovered{}, err
	}
	versions := servedVersions(groups)
	if resources == nil {
		resources, failed, err = resourcesOf(ctx, d, wantedVersions(kinds, versions))
		if err != nil {
			return discovered{}, err
		}
	}
	out := discovered{noIstio: len(versions[istioGroup]) == 0}
	old := map[schema.GroupVersion][]string{}
	for _, k := range kinds {
		found, ok := findServed(k, resources)
		if !ok {
			if note, ok := unwatchedKind(k, resources, failed); ok {
				out.notes = append(out.notes, note)
				continue
			}
			if gap, ok := hiddenKind(k, versions[k.group], resources, failed); ok {
				out.gaps = append(out.gaps, gap)
			}
			continue
		}
		out.resources = append(out.resources, found)
		if found.version != k.listed()[0] {
			gv := schema.GroupVersion{Group: k.group, Version: found.version}
			old[gv] = append(old[gv], k.kind)
		}
	}
	out.notes = append(out.notes, versionNotes(old)...)
	if out.noIstio {
		out.notes = append(out.notes, resolve.Note{
			Message: "this cluster serves no networking.istio.io: Istio is not installed, or its CRDs are missing",
		})
	}
	return out, nil
}

// servedVersions are the versions of each group, in the server's order.
func servedVersions(groups *metav1.APIGroupList) map[string][]string {
	out := map[string][]string{}
	for _, g := range groups.Groups {
		for _, v := range g.Versions {
			out[g.Name] = append(out[g.Name], v.Version)
		}
	}
	return out
}

// wantedVersions are the served versions of the groups that the kinds belong to.
func wantedVersions(kinds []kind, versions map[string][]string) []schema.GroupVersion {
	var out []schema.GroupVersion
	for _, k := range kinds {
		for _, v := range versions[k.group] {
			gv := schema.GroupVersion{Group: k.group, Version: v}
			if !slices.Contains(out, gv) {
				out = append(out, gv)
			}
		}
	}
	return out
}

// resourcesOf asks for the kinds of each version; one that fails is told
// apart from one that is empty. Refused credentials end the search.
func resourcesOf(ctx context.Context, d discoverer, versions []schema.GroupVersion) (
	map[schema.GroupVersion]*metav1.APIResourceList, map[schema.GroupVersion]error, error,
) {
	lists, errs := make([]*metav1.APIResourceList, len(versions)), make([]error, len(versions))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(parallelLists)
	for i, gv := range versions {
		g.Go(func() error {
			lists[i], errs[i] = d.ServerResourcesForGroupVersionWithContext(ctx, gv.String())
			if apierrors.IsUnauthorized(errs[i]) {
				return errs[i]
			}
			return ctx.Err()
		})
	}
	if err := g.Wait(); err != nil {
		return nil, nil, err
	}
	found, failed := map[schema.GroupVersion]*metav1.APIResourceList{}, map[schema.GroupVersion]error{}
	for i, gv := range versions {
		switch {
		case apierrors.IsNotFound(errs[i]):
		case errs[i] != nil:
			failed[gv] = errs[i]
		default:
			found[gv] = lists[i]
		}
	}
	return found, failed, nil
}

// findServed is the kind in the first of its versions that the server lists.
func findServed(k kind, resources map[schema.GroupVersion]*metav1.APIResourceList) (servedKind, bool) {
	for _, v := range k.listed() {
		if plural, ok := pluralOf(k, resources[schema.GroupVersion{Group: k.group, Version: v}]); ok {
			return servedKind{kind: k, version: v, plural: plural}, true
		}
	}
	return servedKind{}, false
}

// pluralOf is the path segment under which a version serves the kind's list.
func pluralOf(k kind, list *metav1.APIResourceList) (string, bool) {
	if list == nil {
		return "", false
	}
	for _, r := range list.APIResources {
		if r.Kind == k.kind && !strings.Contains(r.Name, "/") && slices.Contains(r.Verbs, "list") {
			return r.Name, true
		}
	}
	return "", false
}

// unwatchedKind says of a kind that it is served, but not in the version that istiod watches.
// Source: pkg/config/schema/metadata.yaml.
func unwatchedKind(k kind, resources map[schema.GroupVersion]*metav1.APIResourceList, failed map[schema.GroupVersion]error) (resolve.Note, bool) {
	if k.watched == "" || failed[schema.GroupVersion{Group: k.group, Version: k.watched}] != nil {
		return resolve.Note{}, false
	}
	for _, v := range k.versions {
		gv := schema.GroupVersion{Group: k.group, Version: v}
		if _, ok := pluralOf(k, resources[gv]); ok {
			return resolve.Note{Message: fmt.Sprintf("%s is served as %s; istiod reads only %s, so that none has an effect", k.kind, gv, k.watched)}, true
		}
	}
	return resolve.Note{}, false
}

// hiddenKind is the gap of a kind that was not found but may exist: in a
// version whose discovery failed, or in one this program does not know.
func hiddenKind(k kind, served []string, resources map[schema.GroupVersion]*metav1.APIResourceList, failed map[schema.GroupVersion]error) (resolve.Gap, bool) {
	gap := resolve.Gap{GroupKind: k.groupKind(), Reason: resolve.GapFailed}
	for _, v := range k.listed() {
		gv := schema.GroupVersion{Group: k.group, Version: v}
		if err, ok := failed[gv]; ok {
			if apierrors.IsForbidden(err) {
				gap.Reason = resolve.GapForbidden
			}
			gap.Detail = fmt.Sprintf("discovery of %s failed: %s", gv, oneLine(err))
			return gap, true
		}
	}
	for _, v := range served {
		gv := schema.GroupVersion{Group: k.group, Version: v}
		if _, ok := pluralOf(k, resources[gv]); ok {
			gap.Detail = fmt.Sprintf("served only as %s, which is not known here (known: %s)", gv, strings.Join(k.versions, ", "))
			return gap, true
		}
	}
	return resolve.Gap{}, false
}

// versionNotes says for each older version which kinds were read from it.
func versionNotes(old map[schema.GroupVersion][]string) []resolve.Note {
	var out []resolve.Note
	for gv, kinds := range old {
		out = append(out, resolve.Note{
			Message: fmt.Sprintf("read as %s, the newest known version this cluster serves: %s", gv, strings.Join(kinds, ", ")),
		})
	}
	slices.SortFunc(out, func(a, b resolve.Note) int { return strings.Compare(a.Message, b.Message) })
	return out
}
