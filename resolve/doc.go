// Package resolve answers, one Istio concept a file, the question "which
// resources apply here": which Gateway and server, which VirtualService and
// route, which Sidecar, DestinationRule and subset, which endpoints, which
// PeerAuthentication and AuthorizationPolicy. Package trace asks these questions
// in the order in which a request meets them.
//
// Everything is computed from one immutable [Snapshot]. A question is answered
// with what was chosen and with a [Step] for every candidate that was looked at,
// so that an explanation never needs a second code path. Every Step names the
// [Rule] of Istio that was followed; the rules are listed in docs/rules.md with
// the function of Istio's source that each was read from.
//
// What is not known (a kind the user may not list, an object that did not
// parse, an extension whose code cannot be read) is a [Gap] of the snapshot.
// A stage that meets one says so; nothing unknown turns into a silent yes.
//
// The package may import API types (k8s.io/api, k8s.io/apimachinery,
// istio.io/api, istio.io/client-go/pkg/apis, sigs.k8s.io/gateway-api/apis) and
// the standard library. It must not import cobra, pflag, cli-runtime, klog, a
// clientset, os or net/http; deps_test.go holds that.
package resolve
