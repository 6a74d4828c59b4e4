//go:build integ

package security

import (
	"fmt"
	"os"
	"testing"

	"istio.io/istio/pkg/test/framework/components/authz"
	"istio.io/istio/pkg/test/framework/components/echo"
	"istio.io/istio/pkg/test/framework/components/echo/common/deployment"
	"istio.io/istio/pkg/test/framework/components/istio"
	"istio.io/istio/pkg/test/framework/components/jwt"
	"istio.io/istio/pkg/test/framework/components/namespace"

	"github.com/mesh-trace/kubectl-mesh-trace/testdata/conformance"
	"github.com/mesh-trace/kubectl-mesh-trace/testdata/conformance/integration"
)

// The names by which Istio's tests find what is set up for them.
var (
	echo1NS, echo2NS, externalNS, serverNS namespace.Instance

	apps                          deployment.TwoNamespaceView
	authzServer, localAuthzServer authz.Server
	jwtServer                     jwt.Server

	i istio.Instance

	client, server echo.Instances
)

// TestMain sets up what Istio's own would, and has every call written down.
func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	path := os.Getenv(conformance.RecordFile)
	if path == "" {
		return m.Run() // without the overlay there are no tests here
	}
	record, err := conformance.NewRecord(path)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer record.Close()
	s, err := integration.SetUpSecurity(record.Judge())
	if err != nil {
		fmt.Fprintln(os.Stderr, "setting up:", err)
		return 1
	}
	echo1NS, echo2NS, externalNS, serverNS = s.Echo1, s.Echo2, s.External, s.Servers
	apps, authzServer, localAuthzServer, jwtServer, i = s.Apps, s.AuthzServer, s.LocalAuthzServer, s.JWTServer, s.Istio
	client, server = s.Client, s.Server
	return m.Run()
}
