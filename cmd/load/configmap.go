package load

import (
	"context"

	"go.yaml.in/yaml/v3"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

// A ConfigMap can hold the certificate of an authority, for a BackendTLSPolicy or for the clients of a Gateway, or the root
// certificates of the mesh. Of one in a manifest these are kept; a cluster is asked for the one that is named, once.

var configMapGroupKind = schema.GroupKind{Kind: "ConfigMap"}

// configMapManifest is the ConfigMap of a manifest.
func configMapManifest(n *yaml.Node, h header) resolve.Object {
	data, _ := child(n, "data")
	kept := map[string]string{}
	for _, key := range resolve.ConfigMapKeys {
		kept[key] = textOf(data, key)
	}
	return resolve.NewConfigMap(h.namespace, h.name, kept)
}

// configMapsOf answers the questions of a trace, each once.
func configMapsOf(ctx context.Context, from configMapGetter) func(namespace, name string) resolve.ConfigMap {
	return once(func(namespace, name string) resolve.ConfigMap {
		found, err := from.configMap(ctx, namespace, name)
		switch {
		case err == nil:
			return resolve.ConfigMapOf(resolve.NewConfigMap(namespace, name, found.Data))
		case apierrors.IsNotFound(err):
			return resolve.ConfigMap{}
		}
		return resolve.ConfigMap{Unknown: gapOfOne(configMapGroupKind, namespace, name, err)}
	})
}
