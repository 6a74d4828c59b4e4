// Package resolve answers, one Istio concept a file, the question "which
// resources apply here": which Gateway and server, which VirtualService and
// route, which Sidecar, DestinationRule and subset, which endpoints, which
// PeerAuthentication and AuthorizationPolicy. Package trace asks these questions
// in the order in which a request meets them.
//
// # Where a rule is
//
// In the order of a request's way:
//
//	who sends        workloads.go, injection.go, dataplane.go, capture.go, dns.go
//	what it sees     sidecar.go, scope.go, scopeservice.go, exportto.go, visibility.go, hostname.go
//	registry         kubeservice.go, serviceentry.go, serviceprotocol.go, serviceindex.go
//	sidecar, out     listener.go, listenerchoice.go, virtualhost*.go
//	gateway          gatewayentry.go, gateway.go, gatewaymerge.go, gatewaylistener.go,
//	                 gatewaysni.go, gatewaytls.go, gatewayroute.go, gatewayhost.go, gatewayl4.go
//	route            virtualservice.go, delegate.go, route.go, httpmatch.go, routechoice.go,
//	                 tlsroute.go, tcproute.go
//	action           routeaction.go, redirect.go, rewrite.go, fault.go, cors.go, retries.go
//	destination      destinationrule.go, trafficpolicy.go, cluster.go, subset.go,
//	                 endpoint*.go, locality.go, clienttls.go
//	sidecar, in      inbound.go, peerauthentication.go, mtls.go, trustdomain.go
//	policy           policyselector.go, requestauthentication.go, authorization*.go
//	not modelled     extension.go, unmodelled.go, gap.go
//
// Each file begins with its rule in numbered prose and the function of Istio
// it was read from. docs/rules.md lists every rule by id.
//
// # Words
//
//   - A [Snapshot] is everything known about the mesh at one moment, and
//     everything known to be missing (a [Gap]). It is immutable.
//   - A [Workload] is a pod, the pods a template stands for, or a WorkloadEntry.
//   - A [Scope] is what one proxy sees: made once for each namespace and Sidecar.
//   - A [Step] is what became of one candidate, by which [Rule], and a [Ref] says
//     which resource and field it is about. A step with verdict [Warned] stands for
//     something that is not known; outcomes behind it are not certain.
//   - A [Truth] is the answer to a condition that may hang on something unknown.
//
// Everything is computed from the snapshot, and every question is answered with
// what was chosen and with a Step for every candidate that was looked at: an
// explanation never needs a second code path.
//
// # Imports
//
// API types (k8s.io/api, k8s.io/apimachinery, istio.io/api,
// istio.io/client-go/pkg/apis, sigs.k8s.io/gateway-api/apis) and the standard
// library; never cobra, pflag, cli-runtime, klog, a clientset, os or net/http.
// deps_test.go holds that.
package resolve
