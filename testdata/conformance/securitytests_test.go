package conformance

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// securitySuite is where the security tests of Istio's own CI are.
const securitySuite = "istio.io/istio/tests/integration/security"

// securityTests are the files whose calls are judged, beneath securitySuite.
var securityTests = []string{
	"authz_test.go", "egress_gateway_origination_test.go", "egress_sidecar_tls_origination_test.go", "ingress_test.go", "jwt_test.go", "normalization_test.go", "pass_through_filter_chain_test.go", "reachability_test.go",
	"ca_custom_root/secure_naming_test.go", "ca_custom_root/trust_domain_validation_test.go",
	"ecc_signature_algorithm/mtls_strict_test.go", "external_ca/reachability_test.go", "https_jwt/https_jwt_test.go", "remote_jwks/remote_jwks_test.go",
}

// Why a test of Istio's is not run.
const (
	askedForCertificate = "the outcome hangs on what is in a certificate, a key or a revocation list: the trace reads none"
	askedForRotation    = "certificates are changed while proxies run: no manifest tells"
	askedForServer      = "the server's own certificate decides: no manifest tells"
	askedForFlag        = "a feature flag of istiod is turned from its default: the trace knows the defaults"
	askedForFiles       = "certificates are files that the test mounts into proxies: no manifest tells what is in them"
	askedForSDS         = "certificates come from an SDS server of the test's own, beside the proxy"
)

// securityLeftOut are the tests that are not run, by directory and name, and why.
var securityLeftOut = map[string]string{
	"TestAuthz_MultipleCustomProviders_NonOverlapping":          askedForFlag + " (PILOT_ENABLE_MULTIPLE_CUSTOM_AUTHZ_PROVIDERS)",
	"TestAuthz_MultipleCustomProviders_Overlapping":             askedForFlag + " (PILOT_ENABLE_MULTIPLE_CUSTOM_AUTHZ_PROVIDERS)",
	"TestAuthz_MultipleCustomProviders_ProviderOrdering":        askedForFlag + " (PILOT_ENABLE_MULTIPLE_CUSTOM_AUTHZ_PROVIDERS)",
	"TestAuthz_MultipleCustomProviders_FilterChainVerification": askedForFlag + " (PILOT_ENABLE_MULTIPLE_CUSTOM_AUTHZ_PROVIDERS)",
	"TestAuthz_MultipleCustomProviders_MisconfiguredProvider":   askedForFlag + " (PILOT_ENABLE_MULTIPLE_CUSTOM_AUTHZ_PROVIDERS)",
	"TestAuthz_MultipleCustomProviders_DryRunMixed":             askedForFlag + " (PILOT_ENABLE_MULTIPLE_CUSTOM_AUTHZ_PROVIDERS)",

	"policy_attachment_only/TestGatewayAPIRequestAuthentication": askedForFlag + " (ENABLE_SELECTOR_BASED_K8S_GATEWAY_POLICY)",
	"policy_attachment_only/TestGatewayAPIAuthorizationPolicy":   askedForFlag + " (ENABLE_SELECTOR_BASED_K8S_GATEWAY_POLICY)",

	"TestSingleTlsGateway_SecretRotation":                            askedForRotation,
	"TestSingleMTLSGateway_ServerKeyCertRotation":                    askedForRotation,
	"TestSingleMTLSGateway_CompoundSecretRotation":                   askedForRotation,
	"TestSingleMTLSGatewayAndNotGeneric_CompoundSecretRotation":      askedForRotation,
	"cacert_rotation/TestReachability":                               askedForRotation,
	"filebased_tls_origination/TestDestinationRuleTlsSecretRotation": askedForRotation,

	"TestMultiTlsGateway_InvalidSecret":  askedForCertificate,
	"TestMultiMtlsGateway_InvalidSecret": askedForCertificate,
	"TestMtlsGateway_CRL":                askedForCertificate,
	"crl/TestPluggedInCACRL":             askedForCertificate,

	"ca_custom_root/TestTrustDomainAliasSecureNaming": askedForServer,
	"ca_custom_root/TestMultiRootSetup":               askedForServer,

	"filebased_tls_origination/TestDestinationRuleTls": askedForFiles,
	"filebased_tls_origination/TestEgressGatewayTls":   askedForFiles,
	"file_mounted_certs/TestClientToServiceTls":        askedForFiles,

	"external_sds_provider/TestExternalSDSProvider":                askedForSDS,
	"external_sds_provider/TestExternalSDSProviderMutualTLS":       askedForSDS,
	"external_sds_provider/TestExternalSDSProviderListenerDetails": askedForSDS,

	"TestMtlsHealthCheck":                       "the kubelet's probe is no request to the trace: whether a pod becomes ready is what it asks",
	"pqc/TestIngress":                           "the client and the gateway settle on an algorithm of the key exchange, which the trace does not follow",
	"pqc/TestEgress":                            "the client and the gateway settle on an algorithm of the key exchange, which the trace does not follow",
	"sds_ingress/quic/TestTlsGatewaysWithQUIC":  "the client speaks HTTP/3: a request to the trace has no QUIC",
	"sds_ingress/quic/TestMtlsGatewaysWithQUIC": "the client speaks HTTP/3: a request to the trace has no QUIC",
	"fuzz/TestFuzzAuthorization":                "fuzzers in containers make the requests up, and ask whether servers of other makes were reached",
	"fuzz/TestRequestAuthentication":            "a tool in a container attacks the verification of tokens, which the trace does not do",
}

// TestEverySecurityTestIsKnown holds each test of Istio's security suite to be run or left out by name, so that one
// that is new does not stay unseen.
func TestEverySecurityTestIsKnown(t *testing.T) {
	found := istiosSecurityTests(t)
	for _, name := range slices.Sorted(maps.Keys(found)) {
		_, out := securityLeftOut[name]
		switch run := slices.Contains(securityTests, found[name]); {
		case !run && !out:
			t.Errorf("%s of %s is neither run nor left out", name, found[name])
		case run && out && !sharesItsFile(name, found):
			t.Errorf("%s of %s: no test of the file is run", name, found[name])
		}
	}
	for name := range securityLeftOut {
		if found[name] == "" {
			t.Errorf("%s is left out, and is not there", name)
		}
	}
	for _, file := range securityTests {
		if !slices.Contains(slices.Collect(maps.Values(found)), file) {
			t.Errorf("%s has no tests", file)
		}
	}
}

// sharesItsFile reports whether a test of the same file is run.
func sharesItsFile(name string, found map[string]string) bool {
	for other, file := range found {
		if _, out := securityLeftOut[other]; file == found[name] && !out {
			return true
		}
	}
	return false
}

// istiosSecurityTests are the files of the tests, by directory and name.
func istiosSecurityTests(t *testing.T) map[string]string {
	t.Helper()
	root, out := directoryOf(t, securitySuite), map[string]string{}
	err := filepath.WalkDir(root, func(file string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(file, "_test.go") {
			return err
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, file)
		if err != nil {
			return err
		}
		name = filepath.ToSlash(name)
		for _, d := range parsed.Decls {
			f, ok := d.(*ast.FuncDecl)
			if ok && f.Recv == nil && strings.HasPrefix(f.Name.Name, "Test") && f.Name.Name != "TestMain" {
				out[path.Join(path.Dir(name), f.Name.Name)] = name
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(out) == 0 {
		t.Fatal("Istio's security suite has no tests")
	}
	return out
}
