package conformance

import (
	"os"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
	"github.com/mesh-trace/kubectl-mesh-trace/trace/render"
)

// Kinds of requests that an Envoy is to be asked about, beside those that end with one of askedCodes.
const (
	askedGatewayPlain       = "a gateway that reads HTTP"
	askedGatewayTLS         = "a gateway that ends TLS"
	askedGatewayMutual      = "a gateway that asks for a certificate"
	askedGatewayPassthrough = "a gateway that passes TLS on"
	askedGatewayTCP         = "a gateway that forwards bytes"
	askedOutbound           = "a sidecar of a client"
	askedInboundPlain       = "a sidecar of a server: plaintext"
	askedInboundTLS         = "a sidecar of a server: the client's own TLS"
	askedInboundMTLS        = "a sidecar of a server: mTLS"
	askedSniffed            = "a port without protocol"
	askedHTTP               = "HTTP/1.1"
	askedGRPC               = "gRPC, which is HTTP/2"
	askedTCP                = "TCP"
	askedOwnTLS             = "TLS of the client"
	askedRewritten          = "a rewritten path or host"
	askedHeaders            = "headers set or removed"
	askedSeveral            = "several ends, by weight or chance"
	askedToken              = "a token that is accepted"
)

var askedKinds = []string{
	askedGatewayPlain, askedGatewayTLS, askedGatewayMutual, askedGatewayPassthrough, askedGatewayTCP, askedOutbound, askedInboundPlain,
	askedInboundTLS, askedInboundMTLS, askedSniffed, askedHTTP, askedGRPC, askedTCP, askedOwnTLS, askedRewritten, askedHeaders, askedSeveral, askedToken,
}

var askedCodes = []trace.Code{
	trace.CodePassthrough, trace.CodeRedirect, trace.CodeHTTPSRedirect, trace.CodeDirectResponse, trace.CodeFaultAbort, trace.CodeCORSPreflight,
	trace.CodeNoVirtualHost, trace.CodeNoRoute, trace.CodeSubsetUndefined, trace.CodeNoCluster, trace.CodeNoEndpoints, trace.CodeRegistryOnly,
	trace.CodePolicyDeny, trace.CodePolicyNoAllow, trace.CodeJWTRejected, trace.CodeMTLSRequired, trace.CodeMTLSRefused, trace.CodeTLSRejected,
	trace.CodeNoFilterChain, trace.CodeClientCertRequired, trace.CodeProtocolError, trace.CodePlaintextToTLS, trace.CodeTLSToPlaintext,
	trace.CodeListenerRejected, trace.CodeUpgradeRefused, trace.CodePathRefused,
}

// kindsOf are the kinds of a request on which Envoy agrees.
func kindsOf(j *judged) (kinds []string) {
	met := map[string]bool{}
	switch s := j.request.Scheme; {
	case s.IsGRPC():
		met[askedGRPC] = true
	case s.IsHTTP():
		met[askedHTTP] = true
	default:
		met[askedTCP] = true
	}
	met[askedOwnTLS] = j.request.Scheme.IsTLS()
	met[askedSeveral] = len(j.document.Outcomes) > 1
	for _, o := range j.document.Outcomes {
		met[o.Code] = o.Code != ""
		if f := o.Forwarded; f != nil && o.Decision == string(trace.Delivered) {
			met[askedRewritten] = met[askedRewritten] || f.Path != j.request.HTTPRequest().PathAndQuery() || f.Host != j.request.HTTPRequest().Authority
			met[askedHeaders] = met[askedHeaders] || len(f.Headers)+len(f.Removed) > 0
		}
	}
	for _, h := range j.document.Hops {
		if h.Envoy.Listener != "" {
			met[passedAs(h)] = true
		}
		for _, s := range h.Steps {
			met[askedSniffed] = met[askedSniffed] || strings.Contains(s.Reason, "is auto-detected")
			met[askedToken] = met[askedToken] || s.Rule == string(resolve.RuleRequestAuthenticationAccepted)
		}
	}
	for kind, has := range met {
		if has {
			kinds = append(kinds, kind)
		}
	}
	return kinds
}

// passedAs is the kind of a proxy on the way.
func passedAs(h render.Hop) string {
	gateway, inbound := h.Proxy == "gateway", h.Direction == string(trace.Inbound)
	switch {
	case gateway && h.Envoy.RouteConfig == "" && h.TLS != "plaintext":
		return askedGatewayPassthrough
	case gateway && h.Envoy.RouteConfig == "":
		return askedGatewayTCP
	case gateway && h.Peer != "":
		return askedGatewayMutual
	case gateway && h.TLS != "plaintext":
		return askedGatewayTLS
	case gateway:
		return askedGatewayPlain
	case inbound && h.TLS == "mTLS":
		return askedInboundMTLS
	case inbound && h.TLS == "TLS":
		return askedInboundTLS
	case inbound:
		return askedInboundPlain
	}
	return askedOutbound
}

// checkAsked fails where Envoy was asked about no request of a kind.
func (c *category) checkAsked(t *testing.T) {
	wanted := slices.Clone(askedKinds)
	for _, code := range askedCodes {
		wanted = append(wanted, string(code))
	}
	for _, kind := range wanted {
		t.Logf("%5d asked of Envoy: %s", c.kinds[kind], kind)
		if c.kinds[kind] == 0 {
			t.Errorf("Envoy was asked about no request of the kind: %s", kind)
		}
	}
}

// checkStatements fails where Envoy has not answered a scenario of statements.yaml as the trace does.
func (c *category) checkStatements(t *testing.T) {
	text, err := os.ReadFile("statements.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var statements []struct {
		Says      string   `json:"says"`
		Scenarios []string `json:"scenarios"`
	}
	if err := yaml.UnmarshalStrict(text, &statements); err != nil {
		t.Fatalf("statements.yaml: %v", err)
	}
	for _, s := range statements {
		if len(s.Scenarios) == 0 {
			t.Errorf("statements.yaml: no scenario shows: %s", s.Says)
		}
		for _, name := range s.Scenarios {
			if !c.names[name] {
				t.Errorf("statements.yaml: Envoy has not answered %s, which is to show: %s", name, s.Says)
			}
		}
	}
}
