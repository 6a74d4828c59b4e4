package resolve

// MTLSMode is the effective mode of a workload port.
type MTLSMode string

// The modes of a PeerAuthentication.
const (
	MTLSPermissive MTLSMode = "PERMISSIVE"
	MTLSStrict     MTLSMode = "STRICT"
	MTLSDisable    MTLSMode = "DISABLE"
)

// MTLS is the mode that a workload's port demands, and what gave it.
type MTLS struct {
	Mode MTLSMode
	// Ref is the PeerAuthentication and field that decided; zero for Istio's default.
	Ref Ref
	// Steps hold the deciding level and every PeerAuthentication that was passed over.
	Steps []Step
	// Gaps are what could not be read and might change the mode.
	Gaps []Gap
}

// ClientBytes is what arrives at a sidecar's inbound listener.
type ClientBytes struct {
	// Mode is what the client, or its proxy, put around the application's bytes.
	Mode ClientTLSMode
	// HTTP is whether the application's bytes are HTTP.
	HTTP bool
	// SentAsTCP is set where the client's proxy took HTTP bytes for plain TCP, so
	// that the ALPN of its mTLS does not announce HTTP.
	SentAsTCP bool
	// HTTP2 is set where the application's bytes are HTTP/2.
	HTTP2 bool
	// Announced is the cluster whose mTLS says in its ALPN that they are, though a proxy forwards bytes there; nil for none.
	Announced *Cluster
}

// InboundFate is what becomes of a connection at a sidecar's inbound listener.
type InboundFate string

// The closed list of fates.
const (
	// InboundHTTP is a connection that the HTTP filter chain takes.
	InboundHTTP InboundFate = "HTTP"
	// InboundTCP is a connection that the TCP filter chain takes; foreign TLS is passed on as bytes.
	InboundTCP InboundFate = "TCP"
	// InboundReset is a connection that no filter chain takes.
	InboundReset InboundFate = "reset"
	// InboundHandshakeFailure is TLS without the mesh's client certificate.
	InboundHandshakeFailure InboundFate = "handshake failure"
	// InboundProtocolError is bytes on an HTTP chain that are not HTTP.
	InboundProtocolError InboundFate = "protocol error"
)

// Accepted reports whether the connection gets through to a filter chain that can read it.
func (f InboundFate) Accepted() bool { return f == InboundHTTP || f == InboundTCP }

// InboundResult is the fate of a connection and the rule behind it.
type InboundResult struct {
	Fate InboundFate
	// Verified is whether the proxy terminates mTLS and so knows the peer.
	Verified bool
	Step     Step
}

// inboundSniffed stands for HTTP or TCP, as Envoy detects it.
const inboundSniffed InboundFate = "sniffed"

// inboundChains is the table of what a connection meets.
//
//	mode        port     plaintext  foreign TLS        Istio mTLS
//	STRICT      HTTP     reset      handshake failure  HTTP
//	STRICT      TCP      reset      handshake failure  TCP
//	STRICT      auto     reset      handshake failure  sniffed
//	PERMISSIVE  HTTP     HTTP       reset              HTTP
//	PERMISSIVE  TCP      TCP        TCP                TCP
//	PERMISSIVE  auto     sniffed    TCP                sniffed
//	DISABLE     HTTP     HTTP       protocol error     protocol error
//	DISABLE     TCP      TCP        TCP                TCP
//	DISABLE     auto     sniffed    TCP                TCP
//
// Source: pilot/pkg/networking/core/filterchain_options.go, getFilterChainMatchOptions.
var inboundChains = map[MTLSMode]map[Protocol][3]InboundFate{
	MTLSStrict: {
		ProtocolHTTP:        {InboundReset, InboundHandshakeFailure, InboundHTTP},
		ProtocolTCP:         {InboundReset, InboundHandshakeFailure, InboundTCP},
		ProtocolUnsupported: {InboundReset, InboundHandshakeFailure, inboundSniffed},
	},
	MTLSPermissive: {
		ProtocolHTTP:        {InboundHTTP, InboundReset, InboundHTTP},
		ProtocolTCP:         {InboundTCP, InboundTCP, InboundTCP},
		ProtocolUnsupported: {inboundSniffed, InboundTCP, inboundSniffed},
	},
	MTLSDisable: {
		ProtocolHTTP:        {InboundHTTP, InboundProtocolError, InboundProtocolError},
		ProtocolTCP:         {InboundTCP, InboundTCP, InboundTCP},
		ProtocolUnsupported: {inboundSniffed, InboundTCP, InboundTCP},
	},
}

// The rules of the inbound filter chains.
const (
	RuleInboundChainAccepted     RuleID = "inboundchain/accepted"
	RuleInboundChainPassedOn     RuleID = "inboundchain/tls-passed-on"
	RuleInboundChainPlaintext    RuleID = "inboundchain/strict-plaintext"
	RuleInboundChainNoClientCert RuleID = "inboundchain/strict-client-certificate"
	RuleInboundChainOtherCert    RuleID = "inboundchain/strict-other-certificate"
	RuleInboundChainForeignTLS   RuleID = "inboundchain/permissive-http-foreign-tls"
	RuleInboundChainTLSOnPlain   RuleID = "inboundchain/tls-on-plaintext-http"
	RuleInboundChainNotHTTP      RuleID = "inboundchain/not-http"
	RuleInboundChainNotHTTP2     RuleID = "inboundchain/not-http2"
)

const filterChainSource = "pilot/pkg/networking/core/filterchain_options.go, getFilterChainMatchOptions"

var inboundChainRules = []Rule{
	{
		ID: RuleInboundChainAccepted, Stage: StageTLS, Source: filterChainSource,
		Says:     "A connection is taken by the filter chain that fits the port's mTLS mode and protocol.",
		Template: "mode %s accepts %s on this port, read as %s",
	},
	{
		ID: RuleInboundChainPassedOn, Stage: StageTLS, Source: filterChainSource,
		Says:     "Where the proxy terminates no TLS on a TCP or undeclared port, TLS bytes reach the application as they are.",
		Template: "mode %s does not terminate %s on this port: the TLS bytes go on to the application",
	},
	{
		ID: RuleInboundChainPlaintext, Stage: StageTLS, Source: filterChainSource,
		Says:     "STRICT has no filter chain for plaintext: the connection is closed.",
		Template: "mode STRICT has no filter chain for plaintext: the connection is reset",
	},
	{
		ID: RuleInboundChainNoClientCert, Stage: StageTLS, Source: "pilot/pkg/security/authn/utils/utils.go, BuildInboundTLS",
		Says:     "STRICT asks for a client certificate of the mesh; other TLS fails in the handshake.",
		Template: "mode STRICT demands a client certificate of the mesh; the client sent %s",
	},
	{
		ID: RuleInboundChainOtherCert, Stage: StageTLS, Source: "pilot/pkg/security/authn/utils/utils.go, BuildInboundTLS",
		Says:     "A certificate that a DestinationRule of mode MUTUAL names is taken not to be of the mesh, which STRICT asks for.",
		Template: "mode STRICT demands a client certificate of the mesh; that of tls.mode MUTUAL, a file or Secret, is taken to be none",
	},
	{
		ID: RuleInboundChainForeignTLS, Stage: StageTLS, Source: filterChainSource,
		Says:     "PERMISSIVE on an HTTP port takes plaintext and Istio mTLS (by ALPN) only; other TLS finds no filter chain.",
		Template: "mode PERMISSIVE on an HTTP port takes plaintext or Istio mTLS; the client sent %s, which no filter chain takes",
	},
	{
		ID: RuleInboundChainTLSOnPlain, Stage: StageTLS, Source: filterChainSource,
		Says:     "DISABLE on an HTTP port reads TLS bytes as HTTP and fails.",
		Template: "mode DISABLE reads this port as plaintext HTTP; the client sent %s",
	},
	{
		ID: RuleInboundChainNotHTTP, Stage: StageListener, Source: filterChainSource,
		Says:     "A port declared as HTTP reads every byte stream as HTTP.",
		Template: "the port is declared as %s and the bytes are not HTTP",
	},
	{
		ID: RuleInboundChainNotHTTP2, Stage: StageListener,
		Says:     "mTLS for a cluster of HTTP/2 announces h2, also where a proxy forwards bytes as TCP: the server then reads them as HTTP/2, and nothing else.",
		Template: "the client's proxy forwards bytes, and its mTLS announces HTTP/2, as the cluster is for port %d of %s: they are read as HTTP/2, which they are not",
		Source:   "pilot/pkg/networking/core/cluster_tls.go, buildUpstreamClusterTLSContext (ALPNInMeshH2WithMxc); pilot/pkg/security/authn/utils/utils.go, BuildInboundTLS (ALPNHttp); Envoy, source/extensions/filters/network/http_connection_manager/config.cc, createCodec",
	},
}

// InboundChain tells what a connection meets at a sidecar's inbound listener on
// a port of the mode and protocol; see the table of inboundChains.
//
//  1. The port is HTTP, TCP or, where nothing declares its protocol, auto.
//  2. Foreign TLS is everything but Istio mTLS, a client certificate of the user's own included.
//  3. Auto ports take HTTP for HTTP where the bytes say so (plaintext) or the ALPN does (mTLS).
func InboundChain(mode MTLSMode, protocol Protocol, client ClientBytes) InboundResult {
	kind := ProtocolTCP
	switch {
	case protocol.IsHTTP():
		kind = ProtocolHTTP
	case protocol.IsAuto():
		kind = ProtocolUnsupported
	}
	column := 1
	switch client.Mode {
	case ClientPlaintext, "":
		column = 0
	case ClientMTLS:
		column = 2
	case ClientTLSOrigination, ClientMutualTLSOrigination:
	}
	if _, ok := inboundChains[mode]; !ok {
		mode = MTLSDisable
	}
	fate := inboundChains[mode][kind][column]
	if fate == inboundSniffed {
		fate = InboundTCP
		if client.HTTP && (column == 0 || !client.SentAsTCP) {
			fate = InboundHTTP
		}
	}
	result := InboundResult{Fate: fate, Verified: column == 2 && mode != MTLSDisable && fate.Accepted()}
	sent := string(client.Mode)
	switch {
	case fate == InboundReset && column == 0:
		result.Step = NewStep(RuleInboundChainPlaintext, DeniedBy, Ref{}).Unlike("mTLS", "plaintext")
	case fate == InboundReset:
		result.Step = NewStep(RuleInboundChainForeignTLS, DeniedBy, Ref{}, sent).Unlike("plaintext or Istio mTLS", sent)
	case fate == InboundHandshakeFailure && client.Mode == ClientMutualTLSOrigination:
		result.Step = NewStep(RuleInboundChainOtherCert, Warned, Ref{}).Unlike("mTLS", sent)
	case fate == InboundHandshakeFailure:
		result.Step = NewStep(RuleInboundChainNoClientCert, DeniedBy, Ref{}, sent).Unlike("mTLS", sent)
	case fate == InboundProtocolError:
		result.Step = NewStep(RuleInboundChainTLSOnPlain, DeniedBy, Ref{}, sent).Unlike("plaintext", sent)
	case fate == InboundHTTP && client.Announced != nil && !(client.HTTP && client.HTTP2):
		result.Fate = InboundProtocolError
		result.Step = NewStep(RuleInboundChainNotHTTP2, DeniedBy, Ref{}, client.Announced.Port.Number, client.Announced.Service.Hostname).Unlike("HTTP/2", "other bytes")
	case fate == InboundHTTP && !client.HTTP:
		result.Fate = InboundProtocolError
		result.Step = NewStep(RuleInboundChainNotHTTP, DeniedBy, Ref{}, string(protocol)).Unlike("HTTP", "other bytes")
	case column > 0 && !result.Verified:
		result.Step = NewStep(RuleInboundChainPassedOn, Applied, Ref{}, string(mode), sent)
	default:
		if sent == "" {
			sent = string(ClientPlaintext)
		}
		result.Step = NewStep(RuleInboundChainAccepted, Matched, Ref{}, string(mode), sent, string(fate))
	}
	return result
}
