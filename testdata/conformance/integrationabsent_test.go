//go:build !integ

package conformance

import "testing"

// integrated: without the tag a run is never a whole one.
const integrated = false

func TestIstiosIntegrationTests(t *testing.T) {
	t.Skip("Istio's integration tests compile with the build tag integ: go test -tags integ")
}
