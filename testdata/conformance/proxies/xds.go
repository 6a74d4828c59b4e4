package proxies

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	secret "github.com/envoyproxy/go-control-plane/envoy/service/secret/v3"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// The types of resources, as xDS names them.
const (
	typePrefix   = "type.googleapis.com/"
	listenerType = typePrefix + "envoy.config.listener.v3.Listener"
	routeType    = typePrefix + "envoy.config.route.v3.RouteConfiguration"
	clusterType  = typePrefix + "envoy.config.cluster.v3.Cluster"
	endpointType = typePrefix + "envoy.config.endpoint.v3.ClusterLoadAssignment"
	secretType   = typePrefix + "envoy.extensions.transport_sockets.tls.v3.Secret"
)

// resources are what one proxy is sent, by type and name.
type resources struct {
	byType map[string]map[string]*anypb.Any
	// expected are the names of which it expects one in the certificates of others.
	expected map[string]bool

	mutex sync.Mutex
	// refused are the words with which the proxy did not take some.
	refused []string
}

func newResources() *resources {
	return &resources{byType: map[string]map[string]*anypb.Any{}, expected: map[string]bool{}}
}

func (r *resources) add(kind, name string, m proto.Message) error {
	packed, err := anypb.New(m)
	if err != nil {
		return fmt.Errorf("%s %s: %w", kind, name, err)
	}
	if r.byType[kind] == nil {
		r.byType[kind] = map[string]*anypb.Any{}
	}
	r.byType[kind][name] = packed
	return nil
}

func (r *resources) refuse(words string) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.refused = append(r.refused, words)
}

// controlPlane sends each proxy what is there for it: xDS, state of the world, on one stream for all types, and on streams of
// their own for the secrets that a workload has from its agent.
// Source: https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol.
type controlPlane struct {
	discovery.UnimplementedAggregatedDiscoveryServiceServer
	secret.UnimplementedSecretDiscoveryServiceServer
	server  *grpc.Server
	address netip.AddrPort

	mutex sync.Mutex
	nodes map[string]*resources
}

func serveXDS() (*controlPlane, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	c := &controlPlane{address: addressOf(l.Addr()), server: grpc.NewServer(), nodes: map[string]*resources{}}
	discovery.RegisterAggregatedDiscoveryServiceServer(c.server, c)
	secret.RegisterSecretDiscoveryServiceServer(c.server, c)
	go c.server.Serve(l) //nolint:errcheck // ends when it is stopped
	return c, nil
}

func (c *controlPlane) set(node string, r *resources) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.nodes[node] = r
}

func (c *controlPlane) of(node *core.Node) *resources {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return c.nodes[node.GetId()]
}

// StreamAggregatedResources is the stream for all types.
func (c *controlPlane) StreamAggregatedResources(s discovery.AggregatedDiscoveryService_StreamAggregatedResourcesServer) error {
	return c.serve(s)
}

// StreamSecrets is one for secrets.
func (c *controlPlane) StreamSecrets(s secret.SecretDiscoveryService_StreamSecretsServer) error {
	return c.serve(s)
}

type stream interface {
	Send(*discovery.DiscoveryResponse) error
	Recv() (*discovery.DiscoveryRequest, error)
}

// serve answers a question that asks for other names than the last one of its type; the others say that an answer was taken,
// or why not.
func (c *controlPlane) serve(s stream) error {
	var of *resources
	answered := map[string]string{}
	for nonce := 1; ; nonce++ {
		q, err := s.Recv()
		if err != nil {
			return nil //nolint:nilerr // the proxy has gone
		}
		if q.GetNode().GetId() != "" {
			of = c.of(q.GetNode())
		}
		if of == nil {
			return fmt.Errorf("no proxy %q", q.GetNode().GetId())
		}
		if e := q.GetErrorDetail(); e != nil {
			of.refuse(e.GetMessage())
		}
		kind, names := q.GetTypeUrl(), slices.Sorted(slices.Values(q.GetResourceNames()))
		key := strings.Join(names, "\n")
		if was, ok := answered[kind]; ok && was == key {
			continue
		}
		answered[kind] = key
		answer := &discovery.DiscoveryResponse{TypeUrl: kind, VersionInfo: fmt.Sprint(nonce), Nonce: fmt.Sprint(nonce)}
		answer.Resources = of.named(kind, names)
		if kind == secretType && len(answer.Resources) == 0 {
			continue // istiod leaves the question unanswered
		}
		if err := s.Send(answer); err != nil {
			return err
		}
	}
}

// named are the resources of the names, or all where none is named.
func (r *resources) named(kind string, names []string) (out []*anypb.Any) {
	if len(names) == 0 {
		for name := range r.byType[kind] {
			names = append(names, name)
		}
		slices.Sort(names)
	}
	for _, name := range names {
		if m := r.byType[kind][name]; m != nil {
			out = append(out, m)
		}
	}
	return out
}
