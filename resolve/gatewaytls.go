package resolve

import (
	"slices"
	"strings"

	networking "istio.io/api/networking/v1alpha3"
)

// Rules of the TLS handshake with a gateway.
const (
	RuleGatewayTerminates    RuleID = "gatewaylistener/terminates-tls"
	RuleGatewayPassesThrough RuleID = "gatewaylistener/passes-tls-through"
	RuleGatewayClientCert    RuleID = "gatewaylistener/client-certificate"
	RuleGatewayNoClientCert  RuleID = "gatewaylistener/no-client-certificate"
	RuleGatewayComparedCert  RuleID = "gatewaylistener/no-client-certificate-to-compare"
	RuleGatewayClientName    RuleID = "gatewaylistener/client-certificate-name"
	RuleGatewayForeignClient RuleID = "gatewaylistener/client-certificate-not-of-the-mesh"
	RuleGatewayForeignCert   RuleID = "gatewaylistener/certificate-not-of-the-mesh"
)

var gatewayTLSRules = []Rule{
	{
		ID: RuleGatewayTerminates, Stage: StageTLS,
		Says:     "A server with mode SIMPLE, MUTUAL, ISTIO_MUTUAL or OPTIONAL_MUTUAL terminates TLS with its certificate; a credentialName is a Secret of the gateway pod's namespace.",
		Template: "terminates TLS (%s) with %s",
		Source:   "pilot/pkg/networking/core/listener.go, BuildListenerTLSContext",
	},
	{
		ID: RuleGatewayPassesThrough, Stage: StageTLS,
		Says:     "A server with mode PASSTHROUGH or AUTO_PASSTHROUGH forwards the TLS connection as it is.",
		Template: "passes TLS through unopened (%s)",
		Source:   "pilot/pkg/networking/core/gateway.go, createGatewayTCPFilterChainOpts",
	},
	{
		ID: RuleGatewayClientCert, Stage: StageTLS, Detail: true,
		Says:     "MUTUAL and ISTIO_MUTUAL demand a client certificate, OPTIONAL_MUTUAL accepts one, SIMPLE asks for none.",
		Template: "client certificate: mode %s, the client %s",
		Source:   "pilot/pkg/networking/core/listener.go, BuildListenerTLSContext",
	},
	{
		ID: RuleGatewayNoClientCert, Stage: StageTLS,
		Says:     "Without a client certificate the handshake of a MUTUAL or ISTIO_MUTUAL server fails.",
		Template: "mode %s demands a client certificate and the client has none: the handshake fails",
		Source:   "pilot/pkg/networking/core/listener.go, BuildListenerTLSContext",
	},
	{
		ID: RuleGatewayComparedCert, Stage: StageTLS,
		Says:     "OPTIONAL_MUTUAL with subjectAltNames, verifyCertificateSpki or verifyCertificateHash demands a client certificate all the same: Envoy compares them with one, and has to have it.",
		Template: "mode %s does without a client certificate, but with %s Envoy demands one, and the client has none: the handshake fails",
		Source:   "pilot/pkg/networking/core/listener.go, BuildListenerTLSContext; Envoy, source/common/tls/cert_validator/default_validator.cc, initializeSslContexts",
	},
	{
		ID: RuleGatewayClientName, Stage: StageTLS,
		Says:     "tls.subjectAltNames of a server are the only names a client certificate may have, compared exactly.",
		Template: "client certificate of %s: subjectAltNames of the server has no such name, the handshake fails",
		Source:   "pilot/pkg/networking/core/listener.go, BuildListenerTLSContext; pilot/pkg/security/model/authentication.go, ApplyToCommonTLSContext",
	},
	{
		ID: RuleGatewayForeignClient, Stage: StageTLS,
		Says:     "ISTIO_MUTUAL trusts client certificates of the mesh's authority alone, which name a SPIFFE identity; so do MUTUAL and OPTIONAL_MUTUAL where the server has no authority of its own.",
		Template: "mode %s trusts certificates of the mesh here, and %s is none of its: the handshake is taken to fail",
		Source:   "pilot/pkg/networking/core/listener.go, BuildListenerTLSContext; pilot/pkg/security/model/authentication.go, ApplyToCommonTLSContext",
	},
	{
		ID: RuleGatewayForeignCert, Stage: StageTLS,
		Says:     "Istio mTLS of a client's proxy trusts only certificates of the mesh, which a gateway server shows with mode ISTIO_MUTUAL.",
		Template: "the server is %s and shows a certificate of its own, and Istio mTLS of %s trusts those of the mesh alone: the handshake is taken to fail",
		Source:   "pilot/pkg/networking/core/cluster_tls.go, constructUpstreamTLS",
	},
}

// ClientCertificate is what a filter chain asks of the client.
type ClientCertificate string

// The closed list.
const (
	ClientCertificateIgnored  ClientCertificate = "not asked for"
	ClientCertificateOptional ClientCertificate = "optional"
	ClientCertificateRequired ClientCertificate = "required"
)

// ClientCertificate is what the chain asks of the client. A server that may do without a certificate may not where it compares
// what is in it: there Envoy has to have one.
// Source: pilot/pkg/networking/core/listener.go, BuildListenerTLSContext; Envoy,
// source/common/tls/cert_validator/default_validator.cc, initializeSslContexts.
func (c *GatewayFilterChain) ClientCertificate() ClientCertificate {
	if !c.Terminates() {
		return ClientCertificateIgnored
	}
	switch c.Server().Spec.GetTls().GetMode() {
	case networking.ServerTLSSettings_MUTUAL, networking.ServerTLSSettings_ISTIO_MUTUAL:
		return ClientCertificateRequired
	case networking.ServerTLSSettings_OPTIONAL_MUTUAL:
		if c.comparedWith() != "" {
			return ClientCertificateRequired
		}
		return ClientCertificateOptional
	case networking.ServerTLSSettings_SIMPLE, networking.ServerTLSSettings_PASSTHROUGH, networking.ServerTLSSettings_AUTO_PASSTHROUGH:
	}
	return ClientCertificateIgnored
}

// comparedWith is the field that tells what a client's certificate has to be beside valid; empty for none.
func (c *GatewayFilterChain) comparedWith() string {
	switch tls := c.Server().Spec.GetTls(); {
	case tls.GetInsecureSkipVerify().GetValue():
	case len(tls.GetSubjectAltNames()) > 0:
		return "subjectAltNames"
	case len(tls.GetVerifyCertificateSpki()) > 0:
		return "verifyCertificateSpki"
	case len(tls.GetVerifyCertificateHash()) > 0:
		return "verifyCertificateHash"
	}
	return ""
}

// Handshake tells whether TLS of a client with or without a certificate of its own
// succeeds, certificates taken as valid. A chain that does not terminate TLS takes any.
func (c *GatewayFilterChain) Handshake(clientCertificate bool) (bool, []Step) {
	tls := c.Server().At("tls.mode")
	if !c.Terminates() {
		if c.TLSMode() == "" {
			return true, nil
		}
		return true, []Step{NewStep(RuleGatewayPassesThrough, Applied, tls, c.TLSMode())}
	}
	credential := "the certificate files it names"
	if _, names := c.credentials(); len(names) > 0 {
		var secrets []string
		for _, name := range names {
			secrets = append(secrets, credentialOf(name, c.listener.gateway.Workload.Namespace).String())
		}
		credential = strings.Join(secrets, ", ")
	} else if c.ShowsMesh() {
		credential = "the workload's own mesh certificate"
	}
	steps := []Step{NewStep(RuleGatewayTerminates, Applied, tls, c.TLSMode(), credential)}
	has := map[bool]string{true: "has one", false: "has none"}[clientCertificate]
	if c.ClientCertificate() == ClientCertificateRequired && !clientCertificate {
		if field := c.comparedWith(); field != "" && c.Server().Spec.GetTls().GetMode() == networking.ServerTLSSettings_OPTIONAL_MUTUAL {
			at := c.Server().At("tls." + field)
			return false, append(steps, NewStep(RuleGatewayComparedCert, DeniedBy, at, c.TLSMode(), field).Unlike("a client certificate", "none"))
		}
		return false, append(steps, NewStep(RuleGatewayNoClientCert, DeniedBy, tls, c.TLSMode()).Unlike("a client certificate", "none"))
	}
	return true, append(steps, NewStep(RuleGatewayClientCert, Applied, tls, c.TLSMode(), has))
}

// TakesClientName tells whether the server takes the name in a client's certificate.
// A chain that asks for no certificate does not look.
func (c *GatewayFilterChain) TakesClientName(identity string) (bool, []Step) {
	names := c.Server().Spec.GetTls().GetSubjectAltNames()
	if len(names) == 0 || c.ClientCertificate() == ClientCertificateIgnored ||
		slices.ContainsFunc(names, func(n string) bool { return strings.TrimPrefix(n, "spiffe://") == identity }) {
		return true, nil
	}
	ref := c.Server().Ref
	return false, []Step{NewStep(RuleGatewayClientName, DeniedBy, ref.At(ref.Field+".tls.subjectAltNames"), identity).
		Unlike(strings.Join(names, " or "), identity)}
}

// TrustsClient tells whether the server trusts the authority of a client's certificate. That of
// credentialName or caCertificates is not known here and taken to be the right one.
func (c *GatewayFilterChain) TrustsClient(ofMesh bool, what string) (bool, []Step) {
	if ofMesh || !c.AsksOfMesh() {
		return true, nil
	}
	ref := c.Server().Ref
	return false, []Step{NewStep(RuleGatewayForeignClient, DeniedBy, ref.At(ref.Field+".tls.mode"), c.TLSMode(), what).Unlike("a SPIFFE identity of the mesh", what)}
}

// AsksOfMesh tells whether the server asks for a client certificate of the mesh's authority: with ISTIO_MUTUAL, and
// where it has neither a credentialName nor caCertificates.
// Source: pilot/pkg/security/model/authentication.go, ApplyToCommonTLSContext.
func (c *GatewayFilterChain) AsksOfMesh() bool {
	tls := c.Server().Spec.GetTls()
	if c.ClientCertificate() == ClientCertificateIgnored || tls.GetInsecureSkipVerify().GetValue() {
		return false
	}
	_, names := c.credentials()
	return tls.GetMode() == networking.ServerTLSSettings_ISTIO_MUTUAL || len(names) == 0 && tls.GetCaCertificates() == ""
}

// ShowsMesh tells whether the certificate that the server shows is the gateway's own of the mesh: with ISTIO_MUTUAL,
// builtin://, and where it has neither a credentialName nor a file. That is so of a Gateway API listener with two
// certificates of which the first cannot be used: istiod takes the first one's name, which is empty.
// Source: pilot/pkg/config/kube/gateway/conversion.go, buildTLS; pilot/pkg/security/model/authentication.go, ApplyToCommonTLSContext.
func (c *GatewayFilterChain) ShowsMesh() bool {
	tls := c.Server().Spec.GetTls()
	if tls.GetMode() == networking.ServerTLSSettings_ISTIO_MUTUAL {
		return true
	}
	if _, names := c.credentials(); len(names) > 0 {
		return strings.HasPrefix(names[0], schemeBuiltin)
	}
	return tls.GetServerCertificate() == "" && len(tls.GetTlsCertificates()) == 0
}

// MeshCertificate tells whether Istio mTLS of a client's proxy trusts the certificate that the
// chain shows. What is in a Secret is not known here: it is taken to be no certificate of the mesh.
func (c *GatewayFilterChain) MeshCertificate(client Ref) (bool, []Step) {
	mode := c.TLSMode()
	if !c.Terminates() || c.ShowsMesh() {
		return true, nil
	}
	ref := c.Server().Ref
	return false, []Step{NewStep(RuleGatewayForeignCert, Warned, ref.At(ref.Field+".tls.mode"), mode, client.String()).
		Unlike(networking.ServerTLSSettings_ISTIO_MUTUAL.String(), mode)}
}
