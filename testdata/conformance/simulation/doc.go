// Package simulation stands in for istio.io/istio/pilot/pkg/simulation while Istio's own simulation
// tests run: it has that package's names, so that their code compiles against it, and writes each
// call that they make, with what they expect of it, to a file.
//
// The tests are read from Istio's module when they are needed; only the paths of three imports are
// changed: this package's, xds's (which remembers what a control plane was made of) and flags's
// (which remembers feature flags that a test turns).
//
// Source: istio.io/istio/pilot/pkg/simulation/traffic.go.
package simulation
