package load

import (
	"context"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

// pageSize is how many objects one answer holds. It is twice kubectl's: each page is a way to the server and back.
const pageSize = 1000

// listQuery is what to list of a kind; an empty selector is all of it.
type listQuery struct {
	servedKind
	labels, fields string
	// namesOnly asks for the metadata alone.
	namesOnly bool
}

// pager asks for one page of a list; an empty namespace is all of them.
type pager interface {
	page(ctx context.Context, q listQuery, namespace string, opts metav1.ListOptions) (page, error)
}

// page is one answer to a list.
type page struct {
	objects []resolve.Object
	// unreadable are the objects that do not fit the Go type.
	unreadable []resolve.Gap
	// next continues the list; empty on the last page.
	next string
}

// listing is all that was learnt about one kind.
type listing struct {
	objects []resolve.Object
	gaps    []resolve.Gap
	// failure is set where nothing was read for another reason than a refusal.
	failure error
}

// list reads one kind.
//
//  1. Everywhere, page by page.
//  2. Where that is forbidden and the kind has namespaces, in the namespaces at hand; what is in the others stays
//     a gap.
//  3. A kind that went away since discovery is absent.
//  4. Any other failure is a gap of this kind alone. Only refused credentials and an ended context concern all
//     kinds: these are the error.
func list(ctx context.Context, p pager, r listQuery, namespaces []string) (listing, error) {
	objects, gaps, err := listPages(ctx, p, r, metav1.NamespaceAll)
	switch {
	case err == nil:
		return listing{objects: objects, gaps: gaps}, nil
	case ctx.Err() != nil, apierrors.IsUnauthorized(err):
		return listing{}, err
	case apierrors.IsForbidden(err) && r.namespaced && len(namespaces) > 0:
		return listNamespaces(ctx, p, r, namespaces, err)
	case apierrors.IsNotFound(err):
		return listing{}, nil
	case apierrors.IsForbidden(err):
		return listing{gaps: []resolve.Gap{gapOf(r.servedKind, "", err)}}, nil
	}
	return listing{gaps: []resolve.Gap{gapOf(r.servedKind, "", err)}, failure: err}, nil
}

// listNamespaces reads a kind where a user with a Role may: namespace by
// namespace. The gap of the kind names the namespaces it does not cover.
func listNamespaces(ctx context.Context, p pager, r listQuery, namespaces []string, refusal error) (listing, error) {
	var out listing
	rest := gapOf(r.servedKind, "", refusal)
	for _, ns := range namespaces {
		objects, gaps, err := listPages(ctx, p, r, ns)
		switch {
		case err == nil:
			rest.Except = append(rest.Except, ns)
			out.objects = append(out.objects, objects...)
			out.gaps = append(out.gaps, gaps...)
		case ctx.Err() != nil, apierrors.IsUnauthorized(err):
			return listing{}, err
		case !apierrors.IsForbidden(err):
			rest.Except = append(rest.Except, ns)
			out.gaps = append(out.gaps, gapOf(r.servedKind, ns, err))
		}
	}
	out.gaps = slices.Insert(out.gaps, 0, rest)
	return out, nil
}

// listPages reads a list to its end. A list that expired between two pages
// (410: the server has dropped its state of that moment) is read once more,
// whole, so that all of it is of one moment.
func listPages(ctx context.Context, p pager, r listQuery, namespace string) ([]resolve.Object, []resolve.Gap, error) {
	var objects []resolve.Object
	var gaps []resolve.Gap
	all := metav1.ListOptions{LabelSelector: r.labels, FieldSelector: r.fields}
	opts := all
	opts.Limit = pageSize
	for {
		got, err := p.page(ctx, r, namespace, opts)
		if apierrors.IsResourceExpired(err) && opts.Continue != "" {
			objects, gaps, opts = nil, nil, all
			continue
		}
		if err != nil {
			return nil, nil, err
		}
		objects = append(objects, got.objects...)
		gaps = append(gaps, got.unreadable...)
		if got.next == "" {
			return objects, gaps, nil
		}
		opts.Continue = got.next
	}
}

// sourced are the objects of a list as the snapshot takes them.
func (l listing) sourced(r servedKind) []resolve.Sourced {
	out := make([]resolve.Sourced, len(l.objects))
	for i, o := range l.objects {
		out[i] = resolve.Sourced{Object: o, GroupKind: r.groupKind(), Origin: clusterOrigin{}}
	}
	return out
}

// gapOf is what a failed list leaves unknown.
func gapOf(r servedKind, namespace string, err error) resolve.Gap {
	reason := resolve.GapFailed
	if apierrors.IsForbidden(err) {
		reason = resolve.GapForbidden
	}
	return resolve.Gap{GroupKind: r.groupKind(), Namespace: namespace, Reason: reason, Detail: oneLine(err)}
}
