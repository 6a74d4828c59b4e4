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
	// version is the moment that the list shows.
	version string
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
func list(ctx context.Context, p lister, r listQuery, namespaces []string) (listing, error) {
	all, err := p.list(ctx, r, metav1.NamespaceAll)
	switch {
	case err == nil:
		return listing{objects: all.objects, gaps: all.unreadable}, nil
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
func listNamespaces(ctx context.Context, p lister, r listQuery, namespaces []string, refusal error) (listing, error) {
	var out listing
	rest := gapOf(r.servedKind, "", refusal)
	for _, ns := range namespaces {
		read, err := p.list(ctx, r, ns)
		switch {
		case err == nil:
			rest.Except = append(rest.Except, ns)
			out.objects = append(out.objects, read.objects...)
			out.gaps = append(out.gaps, read.unreadable...)
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

// lister reads a list to its end, all pages as one.
type lister interface {
	list(ctx context.Context, q listQuery, namespace string) (page, error)
}

// pages reads a list page by page.
type pages struct {
	pager
	// progress is told how many objects came; it may be nil.
	progress func(objects int)
}

// list reads a list to its end. A list that expired between two pages
// (410: the server has dropped its state of that moment) is read once more,
// whole, so that all of it is of one moment.
func (p pages) list(ctx context.Context, r listQuery, namespace string) (page, error) {
	var whole page
	all := metav1.ListOptions{LabelSelector: r.labels, FieldSelector: r.fields}
	opts := all
	opts.Limit = pageSize
	for {
		got, err := p.page(ctx, r, namespace, opts)
		if apierrors.IsResourceExpired(err) && opts.Continue != "" {
			whole, opts = page{}, all
			continue
		}
		if err != nil {
			return page{}, err
		}
		if p.progress != nil {
			p.progress(len(got.objects))
		}
		whole.version = got.version
		whole.objects = append(whole.objects, got.objects...)
		whole.unreadable = append(whole.unreadable, got.unreadable...)
		if got.next == "" {
			return whole, nil
		}
		opts.Continue = got.next
	}
}

// sourced are the objects of a list as the snapshot takes them.
func (l listing) sourced(r servedKind) []resolve.Sourced {
	out := make([]resolve.Sourced, len(l.objects))
	for i, o := range l.objects {
		resolve.SetCluster(o, "") // only the reader of a remote cluster says whose it is
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
