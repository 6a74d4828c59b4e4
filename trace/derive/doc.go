// Package derive makes requests out of the configuration of meshes: such that each route, each clause of a policy and each
// edge of a match is met by one at least, and by one that it just misses.
//
//  1. Each port of each host is asked by a client of its own namespace, by one of another and by one without a proxy
//     (mesh.go).
//  2. Each match of each route (those of the Gateway API and of Ingresses too, as istiod converts them) is asked for what it
//     takes, and for what is beside each of its clauses (routes.go, clause.go).
//  3. Each rule of each AuthorizationPolicy is asked by a client that it names and by one that it does not, for what it
//     names and for what is beside that; each issuer of a RequestAuthentication with its token, with another and with
//     none (policies.go).
//
// A request that is derived is a candidate and no claim: what becomes of it, only its trace tells. No rule of Istio is
// followed here; to miss one costs a request that shows nothing.
//
// The same meshes give the same requests, in the same order. It imports neither client-go nor cobra.
package derive
