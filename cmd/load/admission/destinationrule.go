package admission

import (
	"slices"

	networking "istio.io/api/networking/v1alpha3"
)

// destinationRule checks a DestinationRule.
// Source: pkg/config/validation/validation.go, ValidateDestinationRule.
func (c *checker) destinationRule(namespace string, spec *networking.DestinationRule) {
	c.refuseIf("spec.host", domain(spec.GetHost()))
	c.trafficPolicy("spec.trafficPolicy", spec.GetTrafficPolicy())
	var names []string
	for i, s := range spec.GetSubsets() {
		field := entry("spec.subsets", i)
		if s == nil {
			c.refuse(field, "subset may not be null")
			continue
		}
		if slices.Contains(names, s.GetName()) {
			c.refuse(field+".name", "duplicate subset names: %s", s.GetName())
		}
		names = append(names, s.GetName())
		switch {
		case s.GetName() == "":
			c.refuse(field+".name", "subset name cannot be empty")
		case !isLabel(s.GetName()):
			c.refuse(field+".name", "subset name is invalid: %s", s.GetName())
		}
		c.labels(field+".labels", s.GetLabels())
		c.trafficPolicy(field+".trafficPolicy", s.GetTrafficPolicy())
	}
	c.exportTo(namespace, spec.GetExportTo(), exporting{own: spec.GetWorkloadSelector() != nil})
	c.matchLabels("spec.workloadSelector.matchLabels", spec.GetWorkloadSelector().GetMatchLabels())
}

// trafficPolicy checks how a client treats a destination.
// Source: pkg/config/validation/validation.go, validateTrafficPolicy, validatePortTrafficPolicies.
func (c *checker) trafficPolicy(field string, p *networking.TrafficPolicy) {
	if p == nil {
		return
	}
	if p.GetOutlierDetection() == nil && p.GetConnectionPool() == nil && p.GetLoadBalancer() == nil && p.GetTls() == nil &&
		p.PortLevelSettings == nil && p.GetTunnel() == nil && p.GetProxyProtocol() == nil && p.GetRetryBudget() == nil {
		c.refuse(field, "traffic policy must have at least one field")
		return
	}
	if p.GetTunnel() != nil && p.GetProxyProtocol() != nil {
		c.refuse(field, "tunnel and proxyProtocol must not be set together")
		return
	}
	c.outliers(field+".outlierDetection", p.GetOutlierDetection())
	c.connectionPool(field+".connectionPool", p.GetConnectionPool())
	c.clientTLS(field+".tls", p.GetTls())
	for i, level := range p.GetPortLevelSettings() {
		at := entry(field+".portLevelSettings", i)
		if level == nil {
			c.refuse(at, "traffic policy may not be null")
			continue
		}
		if level.GetPort() == nil {
			c.refuse(at+".port", "portTrafficPolicy must have valid port")
		}
		if level.GetOutlierDetection() == nil && level.GetConnectionPool() == nil && level.GetLoadBalancer() == nil && level.GetTls() == nil {
			c.refuse(at, "port traffic policy must have at least one field")
			continue
		}
		c.outliers(at+".outlierDetection", level.GetOutlierDetection())
		c.connectionPool(at+".connectionPool", level.GetConnectionPool())
		c.clientTLS(at+".tls", level.GetTls())
	}
}

// connectionPool checks the limits that may not be negative.
// Source: pkg/config/validation/validation.go, validateConnectionPool.
func (c *checker) connectionPool(field string, p *networking.ConnectionPoolSettings) {
	if p == nil {
		return
	}
	if p.GetHttp() == nil && p.GetTcp() == nil {
		c.refuse(field, "connection pool must have at least one field")
		return
	}
	h := p.GetHttp()
	for _, limit := range []struct {
		value   int32
		field   string
		message string
	}{
		{h.GetHttp1MaxPendingRequests(), "http1MaxPendingRequests", "http1 max pending requests must be non-negative"},
		{h.GetHttp2MaxRequests(), "http2MaxRequests", "http2 max requests must be non-negative"},
		{h.GetMaxRequestsPerConnection(), "maxRequestsPerConnection", "max requests per connection must be non-negative"},
		{h.GetMaxRetries(), "maxRetries", "max retries must be non-negative"},
	} {
		if limit.value < 0 {
			c.refuse(field+".http."+limit.field, "%s", limit.message)
		}
	}
	if h.GetH2UpgradePolicy() == networking.ConnectionPoolSettings_HTTPSettings_UPGRADE && h.GetUseClientProtocol() {
		c.refuse(field+".http.useClientProtocol", "use client protocol must not be true when H2UpgradePolicy is UPGRADE")
	}
	c.duration(field+".http.idleTimeout", h.GetIdleTimeout())
	if p.GetTcp().GetMaxConnections() < 0 {
		c.refuse(field+".tcp.maxConnections", "max connections must be non-negative")
	}
	c.duration(field+".tcp.connectTimeout", p.GetTcp().GetConnectTimeout())
	c.duration(field+".tcp.maxConnectionDuration", p.GetTcp().GetMaxConnectionDuration())
	if idle := p.GetTcp().GetIdleTimeout(); idle.AsDuration().Milliseconds() != 0 {
		c.duration(field+".tcp.idleTimeout", idle)
	}
}

// outliers checks when an endpoint is taken out.
// Source: pkg/config/validation/validation.go, validateOutlierDetection.
func (c *checker) outliers(field string, o *networking.OutlierDetection) {
	c.duration(field+".baseEjectionTime", o.GetBaseEjectionTime())
	if !o.GetSplitExternalLocalOriginErrors() && o.GetConsecutiveLocalOriginFailures().GetValue() > 0 {
		c.refuse(field+".consecutiveLocalOriginFailures", "outlier detection consecutive local origin failures is specified, but split external local origin errors is set to false")
	}
	c.duration(field+".interval", o.GetInterval())
	for _, percent := range []struct {
		field string
		value int32
	}{{"maxEjectionPercent", o.GetMaxEjectionPercent()}, {"minHealthPercent", o.GetMinHealthPercent()}} {
		if percent.value < 0 || percent.value > 100 {
			c.refuse(field+"."+percent.field, "percentage %v is not in range 0..100", percent.value)
		}
	}
}

// clientTLS checks the TLS of a client towards a destination.
// Source: pkg/config/validation/agent/validation.go, ValidateTLS.
func (c *checker) clientTLS(field string, t *networking.ClientTLSSettings) {
	mutual := t.GetMode() == networking.ClientTLSSettings_MUTUAL
	simple := t.GetMode() == networking.ClientTLSSettings_SIMPLE && t != nil
	if t.GetInsecureSkipVerify().GetValue() {
		switch {
		case simple && (t.GetCaCertificates() != "" || t.GetCredentialName() != "" || t.SubjectAltNames != nil):
			c.refuse(field, "cannot specify CaCertificates or CredentialName or SubjectAltNames when InsecureSkipVerify is set true")
		case mutual && (t.GetCaCertificates() != "" || t.SubjectAltNames != nil):
			c.refuse(field, "cannot specify CaCertificates or SubjectAltNames when InsecureSkipVerify is set true")
		}
	}
	if (simple || mutual) && t.GetCredentialName() != "" {
		if t.GetClientCertificate() != "" || t.GetCaCertificates() != "" || t.GetPrivateKey() != "" || t.GetCaCrl() != "" {
			c.refuse(field, "cannot specify client certificates or CA certificate or CA CRL If credentialName is set")
		}
		return
	}
	if mutual && t.GetClientCertificate() == "" {
		c.refuse(field+".clientCertificate", "client certificate required for mutual tls")
	}
	if mutual && t.GetPrivateKey() == "" {
		c.refuse(field+".privateKey", "private key required for mutual tls")
	}
}
