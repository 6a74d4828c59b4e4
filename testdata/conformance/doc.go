// Package conformance judges the tracer by Istio itself: for each question the manifests are
// completed to a cluster (apiserver), Istio's control plane makes the proxies' configuration of
// it (pilot), that configuration is played for the request (evaluator), and the outcomes are
// held against the trace.
package conformance
