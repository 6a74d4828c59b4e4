// Package pilot runs Istio's own control plane, in process, on a completed cluster, and hands
// over what it sends to each proxy.
package pilot
