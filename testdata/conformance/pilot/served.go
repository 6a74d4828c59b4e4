package pilot

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	cluster "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpoint "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listener "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	tls "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"

	"istio.io/istio/pilot/pkg/model"
	v3 "istio.io/istio/pilot/pkg/xds/v3"
	"istio.io/istio/pkg/util/sets"

	"github.com/mesh-trace/kubectl-mesh-trace/testdata/conformance/apiserver"
	"github.com/mesh-trace/kubectl-mesh-trace/testdata/conformance/evaluator"
)

// A control plane in a process of its own, asked over the network as an Envoy asks it:
//
//  1. A proxy names itself: type, address, pod, and the metadata that its agent gives.
//  2. On one stream it asks for all clusters, then for the endpoints of those that want them, for all listeners, then
//     for the routes that these name, and for the secrets that both name..
//
// Source: https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol, state of the world.

const (
	// answerTime is how long all answers to one proxy may take.
	answerTime = 30 * time.Second
	// secretTime is after how long a proxy is taken to get no secrets.
	secretTime = 5 * time.Second
)

// Dial connects a proxy to the control plane with the identity of its pod.
type Dial func(ctx context.Context, namespace, serviceAccount string) (*grpc.ClientConn, error)

// Served is the cluster with a control plane that runs elsewhere. A proxy that can not be configured ends the test.
func Served(t testing.TB, c *apiserver.Cluster, dial Dial) (*World, error) {
	w, err := newWorld(c)
	if err != nil {
		return nil, err
	}
	w.known = c.Configs
	w.configure = func(node *model.Proxy, out *evaluator.Proxy) {
		t.Helper()
		ctx, cancel := context.WithTimeout(context.Background(), answerTime)
		defer cancel()
		if err := receive(ctx, dial, node, out); err != nil {
			t.Fatalf("xDS of %s: %v", node.ID, err)
		}
	}
	return w, nil
}

// receive is step 2.
func receive(ctx context.Context, dial Dial, node *model.Proxy, out *evaluator.Proxy) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	connection, err := dial(ctx, node.ConfigNamespace, node.VerifiedIdentity.ServiceAccount)
	if err != nil {
		return err
	}
	defer connection.Close() //nolint:errcheck // all has been received
	open, err := discovery.NewAggregatedDiscoveryServiceClient(connection).StreamAggregatedResources(ctx)
	if err != nil {
		return err
	}
	s := &stream{AggregatedDiscoveryService_StreamAggregatedResourcesClient: open, node: describe(node), cancel: cancel}
	clusters, err := ask(s, v3.ClusterType, nil, func() *cluster.Cluster { return &cluster.Cluster{} })
	if err != nil {
		return err
	}
	var wanted []string
	for _, c := range clusters {
		out.Clusters[c.GetName()] = c
		if c.GetType() == cluster.Cluster_EDS {
			wanted = append(wanted, c.GetName())
		}
	}
	if err := s.endpoints(wanted, out); err != nil {
		return err
	}
	if out.Listeners, err = ask(s, v3.ListenerType, nil, func() *listener.Listener { return &listener.Listener{} }); err != nil {
		return err
	}
	if err := s.routes(out); err != nil {
		return err
	}
	return s.secrets(out)
}

// describe is step 1.
func describe(node *model.Proxy) *core.Node {
	return &core.Node{
		Id:       fmt.Sprintf("%s~%s~%s~%s", node.Type, node.IPAddresses[0], node.ID, node.DNSDomain),
		Metadata: node.Metadata.ToStruct(), Locality: node.Locality,
	}
}

type stream struct {
	discovery.AggregatedDiscoveryService_StreamAggregatedResourcesClient
	node   *core.Node
	cancel context.CancelFunc
}

func (s *stream) endpoints(names []string, out *evaluator.Proxy) error {
	if len(names) == 0 {
		return nil
	}
	slices.Sort(names)
	all, err := ask(s, v3.EndpointType, names, func() *endpoint.ClusterLoadAssignment { return &endpoint.ClusterLoadAssignment{} })
	for _, e := range all {
		out.Endpoints[e.GetClusterName()] = e
	}
	return err
}

func (s *stream) routes(out *evaluator.Proxy) error {
	names := routeNames(out.Listeners)
	if len(names) == 0 {
		return nil
	}
	all, err := ask(s, v3.RouteType, names, func() *route.RouteConfiguration { return &route.RouteConfiguration{} })
	for _, r := range all {
		out.Routes[r.GetName()] = r
	}
	return err
}

// secrets are asked for last: istiod leaves a question unanswered where it has none of them for the proxy.
func (s *stream) secrets(out *evaluator.Proxy) error {
	certificates, authorities := wantedSecrets(out)
	names := sets.SortedList(certificates.Union(authorities))
	if len(names) == 0 {
		return nil
	}
	out.Secrets = map[string]bool{}
	late := time.AfterFunc(secretTime, s.cancel)
	all, err := ask(s, v3.SecretType, names, func() *tls.Secret { return &tls.Secret{} })
	if err != nil && !late.Stop() {
		return nil
	}
	for _, x := range all {
		out.Secrets[x.GetName()] = usable(x.GetName(), x, certificates, authorities)
	}
	return err
}

// ask sends a request for a type, and acknowledges and returns what the answer holds. What the control plane pushes of a type
// asked for earlier is passed over: a proxy is configured once.
func ask[M proto.Message](s *stream, typeURL string, names []string, empty func() M) ([]M, error) {
	if err := s.Send(&discovery.DiscoveryRequest{Node: s.node, TypeUrl: typeURL, ResourceNames: names}); err != nil {
		return nil, errors.Join(err, s.failure())
	}
	for {
		answer, err := s.Recv()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", v3.GetShortType(typeURL), err)
		}
		if answer.GetTypeUrl() != typeURL {
			continue
		}
		if err := s.Send(&discovery.DiscoveryRequest{
			TypeUrl: typeURL, VersionInfo: answer.GetVersionInfo(), ResponseNonce: answer.GetNonce(), ResourceNames: names,
		}); err != nil {
			return nil, errors.Join(err, s.failure())
		}
		var out []M
		for _, r := range answer.GetResources() {
			m := empty()
			if err := r.UnmarshalTo(m); err != nil {
				return nil, fmt.Errorf("%s: %w", v3.GetShortType(typeURL), err)
			}
			out = append(out, m)
		}
		return out, nil
	}
}

// failure is why the other side has ended the stream, which only receiving tells.
func (s *stream) failure() error {
	_, err := s.Recv()
	return err
}
