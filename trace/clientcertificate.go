package trace

import "github.com/mesh-trace/kubectl-mesh-trace/resolve"

// certified is what the receiving sidecar gets of a client that opens TLS itself and shows a certificate, with no proxy's
// TLS around it; false where the connection has ended.
//
//  1. Only STRICT has a filter chain that opens such TLS: the others look for the ALPN of a proxy of the mesh.
//  2. The certificate has to name a trust domain of the mesh, and the mesh's authority to have signed it, which is taken
//     for granted with the name.
//  3. The connection is then as one of Istio mTLS whose ALPN does not announce HTTP.
//
// Source: pilot/pkg/networking/core/filterchain_options.go, getFilterChainMatchOptions; pilot/pkg/security/authn/utils/utils.go,
// BuildInboundTLS; pilot/pkg/security/model/authentication.go, ApplyToCommonTLSContext.
func (w *walk) certified(p *path, a arrival, mode resolve.MTLSMode) (resolve.ClientBytes, bool) {
	bytes := p.clientBytes(a.tls.Mode)
	bytes.HTTP2 = w.request.Scheme.IsGRPC()
	if p.stream {
		bytes.Announced = w.snapshot.AnnouncesHTTP2(a.tls)
	}
	if mode != resolve.MTLSStrict || !p.sealed || a.tls.Mode != resolve.ClientPlaintext || p.clientCert == "" { // 1.
		return bytes, true
	}
	trusted, steps := w.snapshot.TrustsCertificate(p.clientCert) // 2.
	if !trusted {
		w.broken(p, CodeUntrustedPeer, "UC", closedByPeer, steps[0])
		return bytes, false
	}
	p.note(steps...)
	p.hop().TLS, p.hop().Peer, p.sealed = TLSMutual, p.ownTLS().cert, false
	return resolve.ClientBytes{Mode: resolve.ClientMTLS, HTTP: p.http != nil, SentAsTCP: true}, true // 3.
}
