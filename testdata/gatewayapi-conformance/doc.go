// Package gatewayapi holds the tracer against the official conformance suite of the Gateway API.
//
// The suite talks to a cluster and to gateways in it. Here the cluster is a fake client, and the tracer
// answers in place of the gateways and sidecars:
//
//  1. cluster.go keeps the objects as an API server would: defaults of the CRDs, generations, a ready pod for each
//     replica of a Deployment.
//  2. status.go writes the conditions that the tracer expects istiod to write.
//  3. tracer.go reads the objects as the command does and asks for the trace of a request; backend.go plays the echo
//     servers of the suite and what proxies do with their answers, as far as the steps of the trace say so.
//  4. certificates.go looks whether certificates are good, where the trace says who asks for them.
//  5. httpclient.go, grpcclient.go, websocket.go, sockets.go (TCP and TLS) and pods.go (clients in the mesh, and logs) are
//     the ways by which the suite sends requests and looks at what became of them.
//
// skips.yaml lists the tests that are left out and why; the test fails where a skip is no longer needed.
package gatewayapi
