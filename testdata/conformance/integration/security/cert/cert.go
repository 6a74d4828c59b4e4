//go:build integ

// Package cert has the names of istio.io/istio/tests/integration/security/util/cert that the security tests use.
package cert

import (
	"istio.io/istio/pkg/test/framework"
	"istio.io/istio/pkg/test/framework/components/echo"
	"istio.io/istio/tests/integration/security/util/cert"
)

// ReadSampleCertFromFile reads one of Istio's sample certificates.
func ReadSampleCertFromFile(name string) ([]byte, error) { return cert.ReadSampleCertFromFile(name) }

// DumpCertFromSidecar leaves the test.
func DumpCertFromSidecar(t framework.TestContext, _, _ echo.Instance, _ string) []string {
	t.Helper()
	t.Skip("the test reads the certificate that a proxy shows")
	return nil
}
