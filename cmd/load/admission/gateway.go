package admission

import (
	"slices"
	"strings"

	networking "istio.io/api/networking/v1alpha3"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

// gateway checks a Gateway of Istio's.
// Source: pkg/config/validation/validation.go, ValidateGateway.
func (c *checker) gateway(name string, spec *networking.Gateway) {
	if !isLabel(name) {
		c.refuse("metadata.name", "invalid gateway name: %q", name)
	}
	if len(spec.GetServers()) == 0 {
		c.refuse("spec.servers", "gateway must have at least one server")
	}
	var names []string
	for i, s := range spec.GetServers() {
		field := entry("spec.servers", i)
		if s == nil {
			c.refuse(field, "server may not be nil")
			continue
		}
		c.server(field, s)
		if s.GetPort() == nil {
			continue
		}
		if slices.Contains(names, s.GetPort().GetName()) {
			c.refuse(field+".port.name", "port names in servers must be unique: duplicate name %s", s.GetPort().GetName())
		}
		names = append(names, s.GetPort().GetName())
	}
}

// Source: pkg/config/validation/validation.go, validateServer.
func (c *checker) server(field string, s *networking.Server) {
	if len(s.GetHosts()) == 0 {
		c.refuse(field+".hosts", "server config must contain at least one host")
	}
	for i, host := range s.GetHosts() {
		c.serverHost(entry(field+".hosts", i), host)
	}
	ok := c.serverPort(field+".port", s.GetPort(), s.GetBind())
	c.serverTLS(field+".tls", s.GetTls())
	if !ok {
		return
	}
	tls := s.GetTls()
	switch p := resolve.ParseProtocol(s.GetPort().GetProtocol()); {
	case p.IsTLS() && tls == nil:
		c.refuse(field+".tls", "server must have TLS settings for HTTPS/TLS protocols")
	case p.IsTLS() || tls == nil:
	case !p.IsHTTP():
		c.refuse(field+".tls", "server cannot have TLS settings for non HTTPS/TLS ports")
	case tls.GetMode() != networking.ServerTLSSettings_PASSTHROUGH && tls.GetMode() != networking.ServerTLSSettings_AUTO_PASSTHROUGH,
		tls.GetCaCertificates() != "", tls.GetPrivateKey() != "", tls.GetServerCertificate() != "":
		c.refuse(field+".tls", "server cannot have TLS settings for plain text HTTP ports")
	}
}

// serverHost checks [NAMESPACE/]HOST.
// Source: pkg/config/validation/agent/validation.go, ValidateNamespaceSlashWildcardHostname.
func (c *checker) serverHost(field, host string) {
	namespace, name, qualified := strings.Cut(host, "/")
	if !qualified {
		name = host
	} else {
		if namespace == "" || name == "" {
			c.refuse(field, "config namespace and dnsName in host entry cannot be empty")
		}
		if namespace != "*" && namespace != "." && !isLabel(namespace) {
			c.refuse(field, "invalid namespace value %q in gateway", namespace)
		}
	}
	if name != "*" && !strings.Contains(name, ".") {
		c.refuse(field, "short names (non FQDN) are not allowed")
	}
	if wrong := domain(name); wrong != "" && !isAddress(name) {
		c.refuse(field, "%s", wrong)
	}
	if strings.Contains(name, "*") && name != "*" && !strings.HasPrefix(name, "*.") {
		c.refuse(field, "partial wildcard %q not allowed", name)
	}
}

const unixPrefix = "unix://"

// serverPort reports whether the port is in order.
// Source: pkg/config/validation/validation.go, validateServerPort, validateServerBind.
func (c *checker) serverPort(field string, p *networking.Port, bind string) bool {
	before := len(c.found)
	if p == nil {
		c.refuse(field, "port is required")
		return false
	}
	if resolve.ParseProtocol(p.GetProtocol()) == resolve.ProtocolUnsupported {
		c.refuse(field+".protocol", "invalid protocol %q, supported protocols are HTTP, HTTP2, GRPC, GRPC-WEB, MONGO, REDIS, MYSQL, TCP", p.GetProtocol())
	}
	socket := strings.HasPrefix(bind, unixPrefix)
	if p.GetNumber() > 0 || !socket {
		c.refuseIf(field+".number", portNumber(p.GetNumber()))
	}
	//lint:ignore SA1019 istiod refuses it for being deprecated
	if p.GetTargetPort() > 0 {
		c.refuse(field+".targetPort", "targetPort has no impact on Gateways")
	}
	if p.GetName() == "" {
		c.refuse(field+".name", "port name must be set")
	}
	ok := len(c.found) == before
	if bind != "" && !socket && !isAddress(bind) {
		c.refuse(strings.TrimSuffix(field, ".port")+".bind", "%s is not a valid IP", bind)
	}
	return ok
}

// Source: pkg/config/validation/validation.go, validateTLSOptions.
func (c *checker) serverTLS(field string, t *networking.ServerTLSSettings) {
	if t == nil {
		return
	}
	given := []struct {
		there         bool
		field, called string
	}{
		{t.GetServerCertificate() != "", "serverCertificate", "server certificate"},
		{t.GetPrivateKey() != "", "privateKey", "private key"},
		{t.GetCaCertificates() != "", "caCertificates", "CA bundle"},
		{len(t.GetTlsCertificates()) > 0, "tlsCertificates", "tlsCertificates"},
		{t.GetCredentialName() != "", "credentialName", "credentialName"},
		{len(t.GetCredentialNames()) > 0, "credentialNames", "credentialNames"},
	}
	if t.GetMode() == networking.ServerTLSSettings_ISTIO_MUTUAL {
		for _, g := range given {
			if g.there {
				c.refuse(field+"."+g.field, "ISTIO_MUTUAL TLS cannot have associated %s", g.called)
			}
		}
		return
	}
	sources := 0
	for _, there := range []bool{given[0].there && given[1].there, given[3].there, given[4].there, given[5].there} {
		if there {
			sources++
		}
	}
	if sources > 1 {
		c.refuse(field, "only one of credential_name, credential_names, server_certificate/private_key, tls_certificates should be specified")
	}
	mutual := t.GetMode() == networking.ServerTLSSettings_MUTUAL || t.GetMode() == networking.ServerTLSSettings_OPTIONAL_MUTUAL
	terminates := mutual || t.GetMode() == networking.ServerTLSSettings_SIMPLE
	if terminates && !given[4].there && !given[5].there {
		c.ownCertificates(field, t, mutual)
	}
}

// ownCertificates checks the files of a server that names no credential.
func (c *checker) ownCertificates(field string, t *networking.ServerTLSSettings, mutual bool) {
	mode := "SIMPLE TLS"
	if mutual {
		mode = "MUTUAL TLS"
		if t.GetCaCertificates() == "" {
			c.refuse(field+".caCertificates", "%s requires a client CA bundle", mode)
		}
	}
	pairs := t.GetTlsCertificates()
	if len(pairs) == 0 {
		pairs = []*networking.ServerTLSSettings_TLSCertificate{{ServerCertificate: t.GetServerCertificate(), PrivateKey: t.GetPrivateKey()}}
	}
	for _, pair := range pairs {
		if pair.GetServerCertificate() == "" {
			c.refuse(field+".serverCertificate", "%s requires a server certificate", mode)
		}
		if pair.GetPrivateKey() == "" {
			c.refuse(field+".privateKey", "%s requires a private key", mode)
		}
	}
}
