// Package evaluator plays Envoy for one request: it takes the listeners, routes, clusters and
// endpoints that a control plane sent to each proxy, and follows a connection through them.
//
// It is written from Envoy's documentation alone. It imports nothing of the tracer it judges
// and nothing of Istio: what both could get wrong together would never be found.
//
// What it can not play (a Wasm module) ends an outcome as Unknown.
package evaluator
