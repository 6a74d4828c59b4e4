package resolve

import (
	"fmt"
	"strings"

	networking "istio.io/api/networking/v1alpha3"
)

// Rules of the TLS handshake with a gateway.
const (
	RuleGatewayTerminates    RuleID = "gatewaylistener/terminates-tls"
	RuleGatewayPassesThrough RuleID = "gatewaylistener/passes-tls-through"
	RuleGatewayClientCert    RuleID = "gatewaylistener/client-certificate"
	RuleGatewayNoClientCert  RuleID = "gatewaylistener/no-client-certificate"
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
}

// ClientCertificate is what a filter chain asks of the client.
type ClientCertificate string

// The closed list.
const (
	ClientCertificateIgnored  ClientCertificate = "not asked for"
	ClientCertificateOptional ClientCertificate = "optional"
	ClientCertificateRequired ClientCertificate = "required"
)

// ClientCertificate is what the chain asks of the client.
// Source: pilot/pkg/networking/core/listener.go, BuildListenerTLSContext.
func (c *GatewayFilterChain) ClientCertificate() ClientCertificate {
	if !c.Terminates() {
		return ClientCertificateIgnored
	}
	switch c.Server().Spec.GetTls().GetMode() {
	case networking.ServerTLSSettings_MUTUAL, networking.ServerTLSSettings_ISTIO_MUTUAL:
		return ClientCertificateRequired
	case networking.ServerTLSSettings_OPTIONAL_MUTUAL:
		return ClientCertificateOptional
	case networking.ServerTLSSettings_SIMPLE, networking.ServerTLSSettings_PASSTHROUGH, networking.ServerTLSSettings_AUTO_PASSTHROUGH:
	}
	return ClientCertificateIgnored
}

// CredentialNames are the Secrets the server takes its certificates from; they are
// looked for in the gateway pod's namespace.
func (c *GatewayFilterChain) CredentialNames() []string {
	tls := c.Server().Spec.GetTls()
	if !c.Terminates() || tls.GetMode() == networking.ServerTLSSettings_ISTIO_MUTUAL {
		return nil
	}
	if names := tls.GetCredentialNames(); len(names) > 0 {
		return names
	}
	if tls.GetCredentialName() != "" {
		return []string{tls.GetCredentialName()}
	}
	return nil
}

// Handshake tells whether TLS of a client with or without a certificate of its own
// succeeds, certificates taken as valid. A chain that does not terminate TLS takes any.
func (c *GatewayFilterChain) Handshake(clientCertificate bool) (bool, []Step) {
	tls := c.Server().Ref.At(c.Server().Ref.Field + ".tls.mode")
	if !c.Terminates() {
		if c.TLSMode() == "" {
			return true, nil
		}
		return true, []Step{NewStep(RuleGatewayPassesThrough, Applied, tls, c.TLSMode())}
	}
	credential := "the certificate files it names"
	if names := c.CredentialNames(); len(names) > 0 {
		credential = fmt.Sprintf("Secret %s of namespace %s", strings.Join(names, ", "), c.listener.gateway.Workload.Namespace)
	} else if c.TLSMode() == networking.ServerTLSSettings_ISTIO_MUTUAL.String() {
		credential = "the workload's own mesh certificate"
	}
	steps := []Step{NewStep(RuleGatewayTerminates, Applied, tls, c.TLSMode(), credential)}
	has := map[bool]string{true: "has one", false: "has none"}[clientCertificate]
	if c.ClientCertificate() == ClientCertificateRequired && !clientCertificate {
		return false, append(steps, NewStep(RuleGatewayNoClientCert, DeniedBy, tls, c.TLSMode()).Unlike("a client certificate", "none"))
	}
	return true, append(steps, NewStep(RuleGatewayClientCert, Applied, tls, c.TLSMode(), has))
}
