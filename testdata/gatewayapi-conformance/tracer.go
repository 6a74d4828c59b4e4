package gatewayapi

import (
	"bytes"
	"context"
	"fmt"
	"net"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	k8sgateway "sigs.k8s.io/gateway-api/apis/v1"
	"sigs.k8s.io/yaml"

	"github.com/mesh-trace/kubectl-mesh-trace/cmd/load"
	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
)

// world is the mesh as it is after the last change.
type world struct{ snapshot *resolve.Snapshot }

// World reads the objects as the command reads manifests, and writes the conditions, if something has changed.
func (c *Cluster) World(ctx context.Context) (*world, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.world != nil {
		return c.world, nil
	}
	objects, err := c.objects(ctx)
	if err != nil {
		return nil, err
	}
	var manifests bytes.Buffer
	for _, o := range objects {
		text, err := yaml.Marshal(o.Object)
		if err != nil {
			return nil, err
		}
		manifests.WriteString("---\n")
		manifests.Write(text)
	}
	in, err := load.Manifests(load.ManifestOptions{Paths: []string{"-"}, Stdin: &manifests})
	if err != nil {
		return nil, fmt.Errorf("the command refuses the manifests: %w", err)
	}
	in.Secret, in.ConfigMap = c.secret, c.configMap
	w := &world{snapshot: resolve.NewSnapshot(in)}
	if err := c.publish(ctx, w); err != nil {
		return nil, err
	}
	c.world = w
	return w, nil
}

// secret tells of a Secret what the command gets of a cluster: whether it is there, and its type.
func (c *Cluster) secret(namespace, name string) resolve.Secret {
	secret := &corev1.Secret{}
	if !c.read(namespace, name, secret) || c.holdsNothing(namespace, name) {
		return resolve.Secret{}
	}
	return resolve.Secret{Found: true, Type: string(secret.Type)}
}

// configMap does so of a ConfigMap, of which the command reads the authority.
func (c *Cluster) configMap(namespace, name string) resolve.ConfigMap {
	m := &corev1.ConfigMap{}
	if !c.read(namespace, name, m) {
		return resolve.ConfigMap{}
	}
	return resolve.ConfigMapOf(resolve.NewConfigMap(namespace, name, m.Data))
}

// read gets an object as it is; it reports whether it is there.
func (c *Cluster) read(namespace, name string, into client.Object) bool {
	return c.raw.Get(context.Background(), client.ObjectKey{Namespace: namespace, Name: name}, into) == nil
}

// Walk is the trace of a request.
func (c *Cluster) Walk(typed trace.Typed) (*trace.Trace, error) {
	w, err := c.World(context.Background())
	if err != nil {
		return nil, err
	}
	q, err := trace.NewRequest(typed)
	if err != nil {
		return nil, err
	}
	t, err := trace.Walk(w.snapshot, q)
	if err != nil {
		return nil, err
	}
	for _, o := range t.Outcomes {
		if o.Certainty == trace.Undetermined {
			return nil, fmt.Errorf("not known: %s", o.Reason)
		}
	}
	return t, nil
}

// gatewayAt is the Gateway of an address, as --gateway names it.
func (c *Cluster) gatewayAt(address string) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		host = address
	}
	for gateway, own := range c.addresses {
		if own == host {
			return gateway.String(), nil
		}
	}
	return "", fmt.Errorf("no Gateway has address %s", host)
}

// addressOf is the address that a Gateway has for good.
func (c *Cluster) addressOf(gw *k8sgateway.Gateway) string {
	key := types.NamespacedName{Namespace: gw.Namespace, Name: gw.Name}
	if c.addresses[key] == "" {
		n := len(c.addresses) + 1
		c.addresses[key] = fmt.Sprintf("127.20.%d.%d", n/250, n%250+1)
	}
	return c.addresses[key]
}
