// Package xds stands in for istio.io/istio/pilot/test/xds in Istio's simulation tests: its control
// plane remembers what it was made of.
package xds

import (
	"istio.io/istio/pilot/test/xds"
	"istio.io/istio/pkg/test"
)

// FakeOptions are what a control plane is made of.
type FakeOptions = xds.FakeOptions

// FakeDiscoveryServer is a control plane and what it was made of.
type FakeDiscoveryServer struct {
	*xds.FakeDiscoveryServer
	Options FakeOptions
}

// NewFakeDiscoveryServer starts a control plane.
func NewFakeDiscoveryServer(t test.Failer, o FakeOptions) *FakeDiscoveryServer {
	return &FakeDiscoveryServer{FakeDiscoveryServer: xds.NewFakeDiscoveryServer(t, o), Options: o}
}
