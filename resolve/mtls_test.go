package resolve

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The truth table of inboundChains, row for row, for a client that speaks HTTP.
func TestInboundChainTable(t *testing.T) {
	const table = `
STRICT      HTTP                 reset  handshake failure  HTTP
STRICT      TCP                  reset  handshake failure  TCP
STRICT      UnsupportedProtocol  reset  handshake failure  HTTP
PERMISSIVE  HTTP                 HTTP   reset              HTTP
PERMISSIVE  TCP                  TCP    TCP                TCP
PERMISSIVE  UnsupportedProtocol  HTTP   TCP                HTTP
DISABLE     HTTP                 HTTP   protocol error     protocol error
DISABLE     TCP                  TCP    TCP                TCP
DISABLE     UnsupportedProtocol  HTTP   TCP                TCP
`
	var got strings.Builder
	got.WriteString("\n")
	for _, mode := range []MTLSMode{MTLSStrict, MTLSPermissive, MTLSDisable} {
		for _, p := range []Protocol{ProtocolHTTP, ProtocolTCP, ProtocolUnsupported} {
			var fates []string
			for _, c := range []ClientTLSMode{ClientPlaintext, ClientTLSOrigination, ClientMTLS} {
				fates = append(fates, string(InboundChain(mode, p, ClientBytes{Mode: c, HTTP: true}).Fate))
			}
			fmt.Fprintf(&got, "%-10s  %-19s  %-5s  %-17s  %s\n", mode, p, fates[0], fates[1], fates[2])
		}
	}
	if diff := cmp.Diff(table, got.String()); diff != "" {
		t.Error(diff)
	}
}

func TestInboundChain(t *testing.T) {
	tests := []struct {
		name     string
		mode     MTLSMode
		protocol Protocol
		client   ClientBytes
		fate     InboundFate
		verified bool
		step     string
	}{
		{
			"plaintext to STRICT", MTLSStrict, ProtocolHTTP,
			ClientBytes{HTTP: true},
			InboundReset, false,
			"denied inboundchain/strict-plaintext: mode STRICT has no filter chain for plaintext: the connection is reset (want mTLS, got plaintext)",
		},
		{
			"TLS to STRICT", MTLSStrict, ProtocolTCP,
			ClientBytes{Mode: ClientTLSOrigination},
			InboundHandshakeFailure, false,
			"denied inboundchain/strict-client-certificate: mode STRICT demands a client certificate of the mesh; the client sent TLS (want mTLS, got TLS)",
		},
		{
			"mTLS to STRICT", MTLSStrict, ProtocolGRPC,
			ClientBytes{Mode: ClientMTLS, HTTP: true},
			InboundHTTP, true,
			"matched inboundchain/accepted: mode STRICT accepts mTLS on this port, read as HTTP",
		},
		{
			"A-8: TLS to a PERMISSIVE HTTP port", MTLSPermissive, ProtocolHTTP,
			ClientBytes{Mode: ClientTLSOrigination, HTTP: true},
			InboundReset, false,
			"denied inboundchain/permissive-http-foreign-tls: mode PERMISSIVE on an HTTP port takes plaintext or Istio mTLS; the client sent TLS, which no filter chain takes (want plaintext or Istio mTLS, got TLS)",
		},
		{
			"TLS with a certificate of the user's own", MTLSPermissive, ProtocolTCP,
			ClientBytes{Mode: ClientMutualTLSOrigination},
			InboundTCP, false,
			"applied inboundchain/tls-passed-on: mode PERMISSIVE does not terminate mutual TLS on this port: the TLS bytes go on to the application",
		},
		{
			"mTLS to DISABLE TCP", MTLSDisable, ProtocolTCP,
			ClientBytes{Mode: ClientMTLS},
			InboundTCP, false,
			"applied inboundchain/tls-passed-on: mode DISABLE does not terminate mTLS on this port: the TLS bytes go on to the application",
		},
		{
			"mTLS to DISABLE HTTP", MTLSDisable, ProtocolHTTP,
			ClientBytes{Mode: ClientMTLS, HTTP: true},
			InboundProtocolError, false,
			"denied inboundchain/tls-on-plaintext-http: mode DISABLE reads this port as plaintext HTTP; the client sent mTLS (want plaintext, got mTLS)",
		},
		{
			"HTTPS is a TCP port", MTLSPermissive, ProtocolHTTPS,
			ClientBytes{Mode: ClientTLSOrigination},
			InboundTCP, false,
			"applied inboundchain/tls-passed-on: mode PERMISSIVE does not terminate TLS on this port: the TLS bytes go on to the application",
		},
		{
			"no HTTP on an HTTP port", MTLSPermissive, ProtocolHTTP,
			ClientBytes{},
			InboundProtocolError, false,
			"denied inboundchain/not-http: the port is declared as HTTP and the bytes are not HTTP (want HTTP, got other bytes)",
		},
		{
			"other bytes on an auto port", MTLSPermissive, ProtocolUnsupported,
			ClientBytes{},
			InboundTCP, false,
			"matched inboundchain/accepted: mode PERMISSIVE accepts plaintext on this port, read as TCP",
		},
		{
			"HTTP that the client's proxy sent as TCP", MTLSStrict, ProtocolUnsupported,
			ClientBytes{Mode: ClientMTLS, HTTP: true, SentAsTCP: true},
			InboundTCP, true,
			"matched inboundchain/accepted: mode STRICT accepts mTLS on this port, read as TCP",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := InboundChain(tt.mode, tt.protocol, tt.client)
			if r.Fate != tt.fate || r.Verified != tt.verified || r.Fate.Accepted() != (tt.fate == InboundHTTP || tt.fate == InboundTCP) {
				t.Errorf("got %s, verified %v; want %s, %v", r.Fate, r.Verified, tt.fate, tt.verified)
			}
			if diff := cmp.Diff([]string{tt.step}, stepLines([]Step{r.Step})); diff != "" {
				t.Error(diff)
			}
		})
	}
}
