// Package istiod runs the real istiod, built from Istio's module, as a process beside an API server.
package istiod
