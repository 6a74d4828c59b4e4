// Package integration runs tests that Istio's own CI runs on a real cluster, read from the module
// istio.io/istio and not copied: the routing tests (tests/integration/pilot/common), which it imports,
// and the security tests (tests/integration/security), which import it (package security beneath).
// They compile with the build tag integ; so does this package.
//
//  1. The tests ask for a cluster with echo workloads, an installed Istio and its ingress gateway.
//     They get stand-ins: what would be deployed or applied becomes manifests.
//  2. A test calls one workload from another and checks the responses. The call becomes a request
//     to the tracer, on the manifests that hold at that moment.
//  3. What the tracer answers becomes the responses such a call would get, as far as a trace can
//     tell; the test's own check looks at them.
package integration
