package gatewayapi

import (
	"net/http"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	pb "sigs.k8s.io/gateway-api/conformance/echo-basic/grpcechoserver"
	"sigs.k8s.io/gateway-api/conformance/utils/grpc"

	"github.com/mesh-trace/kubectl-mesh-trace/trace"
)

// GRPCClient sends the suite's gRPC calls.
type GRPCClient struct{ Player *Player }

// Close has nothing to close.
func (GRPCClient) Close() {}

// SendRPC answers as the gateway of the address and the echo server behind it would.
func (c GRPCClient) SendRPC(_ *testing.T, address string, expected grpc.ExpectedResponse, _ time.Duration) (*grpc.Response, error) {
	gateway, err := c.Player.Cluster.gatewayAt(address)
	if err != nil {
		return &grpc.Response{}, err
	}
	method := "/gateway_api_conformance.echo_basic.grpcecho.GrpcEcho/EchoThree"
	switch {
	case expected.EchoRequest != nil:
		method = "/gateway_api_conformance.echo_basic.grpcecho.GrpcEcho/Echo"
	case expected.EchoTwoRequest != nil:
		method = "/gateway_api_conformance.echo_basic.grpcecho.GrpcEcho/EchoTwo"
	}
	sent, authority := http.Header{}, address
	if m := expected.RequestMetadata; m != nil {
		if m.Authority != "" {
			authority = m.Authority
		}
		for name, value := range m.Metadata {
			sent.Set(name, value)
		}
	}
	_, port := hostPort(address, "80")
	host, _ := hostPort(authority, "")
	a, err := c.Player.Play(trace.Typed{
		URL: "grpc://" + host + ":" + port + method, Headers: append(typedHeaders(sent), "Host: "+authority), From: trace.External, Gateway: gateway, SourceIP: "203.0.113.7",
	}, sent)
	if err != nil {
		return &grpc.Response{}, err
	}
	out := &grpc.Response{Code: grpcCode(a.Status)}
	if out.Code != codes.OK {
		return out, nil
	}
	out.Response = &pb.EchoResponse{Assertions: &pb.Assertions{
		FullyQualifiedMethod: a.Path, Authority: a.Host, Context: &pb.Context{Namespace: a.Backend.Namespace, Pod: a.PodName()},
	}}
	for name, values := range a.Received {
		for _, v := range values {
			out.Response.Assertions.Headers = append(out.Response.Assertions.Headers, &pb.Header{Key: name, Value: v})
		}
	}
	return out, nil
}

// grpcCode is the code of a call that is answered with a status of HTTP.
// Source: grpc, doc/http-grpc-status-mapping.md.
func grpcCode(status int) codes.Code {
	switch status {
	case http.StatusOK:
		return codes.OK
	case http.StatusBadRequest:
		return codes.Internal
	case http.StatusUnauthorized:
		return codes.Unauthenticated
	case http.StatusForbidden:
		return codes.PermissionDenied
	case http.StatusNotFound:
		return codes.Unimplemented
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return codes.Unavailable
	}
	return codes.Unknown
}
