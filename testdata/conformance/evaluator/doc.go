// Package evaluator plays Envoy and ztunnel for one request: it takes the listeners, routes, clusters and
// endpoints that a control plane sent to each proxy, and follows a connection through them.
//
// It is written from Envoy's documentation alone, and from ztunnel's source, which has none. It imports nothing of the
// tracer it judges and nothing of Istio but the form of what ztunnel is sent: what both could get wrong together would
// never be found.
//
// What it can not play (a Wasm module) ends an outcome as Unknown.
package evaluator
