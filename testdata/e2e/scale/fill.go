package scale

import (
	"bytes"
	"fmt"
	"strings"

	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	"k8s.io/client-go/kubernetes/scheme"

	"github.com/mesh-trace/kubectl-mesh-trace/testdata/e2e/cluster"
)

// A mesh of 25,000 pods is written straight into etcd, as the API server would have stored it: built-in kinds as protobuf,
// custom resources as JSON.
//
// Source: k8s.io/apiserver, pkg/storage/etcd3; k8s.io/kubernetes, pkg/registry/*/*/storage (the keys).

// key is where the API server keeps an object below /registry/.
func key(o Object) (string, error) {
	prefixes := map[string]string{
		"Namespace": "namespaces", "Node": "minions", "ServiceAccount": "serviceaccounts", "Pod": "pods", "Service": "services/specs",
		"EndpointSlice": "endpointslices", "Deployment": "deployments", "ReplicaSet": "replicasets", "CronJob": "cronjobs",
		"ConfigMap": "configmaps", "Secret": "secrets", "IPAddress": "ipaddresses",
	}
	plurals := map[string]string{
		"VirtualService": "virtualservices", "DestinationRule": "destinationrules", "ServiceEntry": "serviceentries", "Sidecar": "sidecars",
		"Gateway": "gateways", "PeerAuthentication": "peerauthentications", "AuthorizationPolicy": "authorizationpolicies",
		"Telemetry": "telemetries", "HTTPRoute": "httproutes", "GatewayClass": "gatewayclasses",
	}
	prefix, ok := prefixes[o.Kind]
	if plural, custom := plurals[o.Kind]; custom {
		group, _, _ := strings.Cut(o.APIVersion, "/")
		prefix, ok = group+"/"+plural, true
	}
	if !ok {
		return "", fmt.Errorf("it is not known where %s is stored", o.Kind)
	}
	if o.Namespace != "" {
		return "/registry/" + prefix + "/" + o.Namespace + "/" + o.Name, nil
	}
	return "/registry/" + prefix + "/" + o.Name, nil
}

// Fill writes the mesh into the cluster, and returns how many objects of each kind it has.
func Fill(c *cluster.Cluster, m Mesh) (map[string]int, error) {
	objects, err := m.Objects()
	if err != nil {
		return nil, err
	}
	counts := map[string]int{}
	var g errgroup.Group
	g.SetLimit(4)
	var batch []Object
	size := 0
	flush := func() {
		full := batch
		batch, size = nil, 0
		g.Go(func() error { return put(c, full) })
	}
	for o := range objects {
		counts[o.Kind]++
		batch, size = append(batch, o), size+len(o.JSON)
		if len(batch) == 100 || size > 1<<20 {
			flush()
		}
	}
	flush()
	return counts, g.Wait()
}

func put(c *cluster.Cluster, objects []Object) error {
	var values []cluster.Value
	for _, o := range objects {
		at, err := key(o)
		if err != nil {
			return err
		}
		value, err := encode(o)
		if err != nil {
			return fmt.Errorf("%s %s/%s: %w", o.Kind, o.Namespace, o.Name, err)
		}
		values = append(values, cluster.Value{Key: at, Value: value})
	}
	return c.Put(values)
}

// stored writes objects of built-in kinds.
var stored = protobuf.NewSerializer(scheme.Scheme, scheme.Scheme)

// encode is the object as the API server stores it.
func encode(o Object) ([]byte, error) {
	typed, kind, err := scheme.Codecs.UniversalDeserializer().Decode([]byte(o.JSON), nil, nil)
	if runtime.IsNotRegisteredError(err) {
		return []byte(o.JSON), nil
	}
	if err != nil {
		return nil, err
	}
	typed.GetObjectKind().SetGroupVersionKind(*kind)
	var b bytes.Buffer
	err = stored.Encode(typed, &b)
	return b.Bytes(), err
}
