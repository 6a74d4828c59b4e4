// Package trace walks one request through a mesh and keeps the evidence.
//
// [Walk] takes a snapshot of the mesh and a [Request] and follows the request
// hop after hop, as the packet travels: capture at the source, listener, virtual
// host, route, filters, cluster, endpoint, then the receiving proxy with its
// authentication and authorization. Where the way forks (weights, partial
// faults, endpoints with different policies) it follows each branch. The result
// is a [Trace]: outcomes that add up to 100 percent, and for each the hops it
// took with every step that was decided there.
//
// What applies at a stage is asked of package resolve; this package decides only
// what then happens to the request. It renders nothing (package render does) and
// it reads nothing but the snapshot. It must not import cobra, cli-runtime,
// client-go, os or net/http; resolve's deps_test.go holds that.
package trace
