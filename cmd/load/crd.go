package load

import (
	"context"
	"encoding/json"

	"go.yaml.in/yaml/v3"
	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/gateway-api/pkg/consts"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

// CRDs tell of which release of the Gateway API they are, and istiod does not watch every one (resolve/gatewaycrd.go).
//
//  1. From a manifest only the name and the annotation with that release are kept.
//  2. In a cluster, the CRDs are asked for that Istio asks about, by name and without their schemas, where the
//     kind is served.
//  3. One that may not or cannot be read is no gap: the version that is served says the same, but for a CRD whose
//     annotation somebody took away.

// crdGetter reads the metadata of one CRD.
type crdGetter interface {
	crd(ctx context.Context, name string) (*metav1.PartialObjectMetadata, error)
}

// crdMetadata is a CRD of which no more than the release goes further.
func crdMetadata(n *yaml.Node, h header) resolve.Object {
	meta, _ := child(n, "metadata")
	annotations, _ := child(meta, "annotations")
	out := &metav1.PartialObjectMetadata{
		TypeMeta:   metav1.TypeMeta{APIVersion: h.apiVersion, Kind: h.kind},
		ObjectMeta: metav1.ObjectMeta{Name: h.name},
	}
	if bundle := textOf(annotations, consts.BundleVersionAnnotation); bundle != "" {
		out.Annotations = map[string]string{consts.BundleVersionAnnotation: bundle}
	}
	return out
}

// readCRDs are the CRDs of the served kinds that Istio asks about.
func readCRDs(ctx context.Context, crds crdGetter, served []servedKind) ([]resolve.Sourced, error) {
	found := make([]*metav1.PartialObjectMetadata, len(served))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(parallelLists)
	for i, k := range served {
		needs, ok := resolve.NeedsBundle(k.groupKind())
		if !ok {
			continue
		}
		g.Go(func() error {
			crd, err := crds.crd(ctx, needs.CRD)
			switch {
			case err == nil:
				found[i] = crd
			case ctx.Err() != nil, apierrors.IsUnauthorized(err):
				return err
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	var out []resolve.Sourced
	for _, crd := range found {
		if crd != nil {
			out = append(out, resolve.Sourced{Object: crd, GroupKind: resolve.CRDKind, Origin: clusterOrigin{}})
		}
	}
	return out, nil
}

// metadataOnlyJSON asks an API server to leave out all but the metadata of one object.
const metadataOnlyJSON = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"

// crd asks for the metadata of one CRD.
func (s apiServer) crd(ctx context.Context, name string) (*metav1.PartialObjectMetadata, error) {
	body, err := s.client.Get().AbsPath(apiPath(resolve.CRDKind.Group, "v1")).Resource("customresourcedefinitions").Name(name).
		SetHeader("Accept", metadataOnlyJSON).Do(ctx).Raw()
	if err != nil {
		return nil, err
	}
	out := &metav1.PartialObjectMetadata{}
	if err := json.Unmarshal(body, out); err != nil {
		return nil, err
	}
	strip(out)
	return out, nil
}
