package trace

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

// path is the way of a share of the requests so far. A fork copies it, so that
// each branch keeps its own evidence.
type path struct {
	// share of all such requests, 0 to 1.
	share float64
	hops  []*Hop
	// scratch is where the hops keep their steps; nil for the heap.
	scratch *scratch
	// http is the request as it is now; nil where the client does not speak HTTP.
	http *resolve.HTTPRequest
	// sealed is set while the application's own TLS hides the HTTP request from proxies.
	sealed bool
	// stream is set where the sender's proxy took the bytes for plain TCP.
	stream bool
	// routed is set once a proxy on the way has read the request as HTTP: it answers 503 for whatever breaks behind it.
	routed bool
	// endpoints names the group of endpoints that was picked last, by cluster and what they have in common.
	endpoints string
	// delayed counts the hops up to the one that has held every request back; 0 for none.
	delayed int
	// retries is what the route taken last tries again.
	retries resolve.RetryPolicy
	// given is what has to hold for the outcome, as far as that is not known; "" for nothing.
	given string
	// otherwise are the ends it could have if that does not hold.
	otherwise []Alternative
	// wrapper is the TLS of a sending proxy around the request, until a gateway takes it off; nil without one.
	wrapper *wrapper
	// sni is the server name in the application's own TLS handshake.
	sni string
	// sender is who sends to the next hop, and behind its proxy set where an Envoy does.
	sender  *resolve.Workload
	proxied bool
	// senderIP is the sender's address as the next hop's TCP peer; invalid if it is not known.
	senderIP netip.Addr
	// hidden is set once a gateway added an address that is not known here to
	// X-Forwarded-For, and shown counts the entries added after that one.
	hidden bool
	shown  int
	// originate is what would make the sender's proxy use mTLS towards the current hop; nil where it does.
	originate []resolve.Change
	// declared is the port that gives the protocol where the current hop receives; zero for none.
	declared resolve.Ref
	// consumed is the token that a proxy on the way accepted and took off the request last; nil for none.
	consumed *consumed
	proto    forwardedProto
	// clientCert is the identity in a client certificate of the caller's own.
	clientCert string
	certainty  Certainty
	dest       Destination
	// via is how the request left for the destination where that deserves a code.
	via Code
	// by is the resource that decided where the request goes: the route taken last, or the outbound policy.
	by       resolve.Ref
	original *resolve.HTTPRequest
	// unserved tells of a Gateway for the host that no proxy serves.
	unserved *resolve.Step
	// extended is what EnvoyFilters and the like make of the current hop.
	extended extended
}

// wrapper is TLS that a proxy put around a request for a gateway.
type wrapper struct {
	tls resolve.ClientTLS
	// sender is the workload of that proxy: its certificate is the one shown.
	sender *resolve.Workload
}

// path is where the walk of a request begins.
func (req Request) path() *path {
	p := &path{share: 1, certainty: Certain, clientCert: req.ClientCert, senderIP: req.SourceIP, sni: req.ServerName()}
	if req.Scheme.IsHTTP() {
		p.http = req.HTTPRequest()
		p.original = req.HTTPRequest()
	}
	p.sealed = req.Scheme.IsTLS()
	return p
}

// fork returns a copy that takes a part of the path's share.
func (p *path) fork(part float64) *path {
	c := *p
	c.share *= part
	c.hops = make([]*Hop, len(p.hops))
	for i, h := range p.hops {
		hop := *h
		hop.Steps = slices.Clip(h.Steps) // a step stands as it was noted; the next one makes a copy
		c.hops[i] = &hop
	}
	if p.http != nil {
		c.http = p.http.Clone()
	}
	return &c
}

// branch is the path to one of several groups, which takes a part of the share: a copy, or the path itself where
// there is no other group.
func (p *path) branch(part float64) *path {
	if part == 1 {
		return p
	}
	return p.fork(part)
}

// enter opens a hop.
func (p *path) enter(h Hop) *Hop {
	p.declared, p.extended = resolve.Ref{}, extended{}
	p.hops = append(p.hops, &h)
	return &h
}

// hop is the one the request is at.
func (p *path) hop() *Hop {
	if len(p.hops) == 0 {
		p.enter(Hop{Proxy: resolve.DataplaneNone, Direction: Outbound, TLS: TLSPlaintext})
	}
	return p.hops[len(p.hops)-1]
}

// usualSteps is how many steps most hops have at most.
const usualSteps = 24

// note adds steps to the current hop. A warning among them lowers the certainty of what follows.
func (p *path) note(steps ...resolve.Step) {
	h := p.hop()
	if len(steps) > cap(h.Steps)-len(h.Steps) {
		h.Steps = p.scratch.grow(h.Steps, len(steps))
	}
	h.Steps = append(h.Steps, steps...)
	for _, s := range steps {
		if s.Verdict == resolve.Warned {
			p.lower(Assumed)
		}
	}
}

// assumption is what the reason of an outcome that is not certain adds: the last
// warning on the way that the reason does not say itself.
func (p *path) assumption(reason string) string {
	for _, h := range slices.Backward(p.hops) {
		for _, s := range slices.Backward(h.Steps) {
			if s.Verdict != resolve.Warned {
				continue
			}
			if said := s.Reason(); said != reason {
				return " (" + said + ")"
			}
		}
	}
	return ""
}

// suppose adds to what has to hold for the outcome, and what happens otherwise.
func (p *path) suppose(what string, otherwise Alternative) {
	p.otherwise = append(p.otherwise[:len(p.otherwise):len(p.otherwise)], otherwise)
	if p.given != "" {
		what = p.given + " and " + what
	}
	p.given = what
}

// hopEncrypted reports whether the request reached the current hop inside TLS.
func (p *path) hopEncrypted() bool { return p.hop().TLS != TLSPlaintext }

func (p *path) lower(c Certainty) { p.certainty = worse(p.certainty, c) }

// speaksHTTP reports whether a proxy can read the request as HTTP here.
func (p *path) speaksHTTP() bool { return p.http != nil && !p.sealed }

// readsHTTP notes that the proxy here reads the request as HTTP.
func (p *path) readsHTTP() { p.stream, p.routed = false, true }

// payload is what the bytes look like to a proxy here.
func (p *path) payload() resolve.Payload {
	switch {
	case p.sealed:
		return resolve.PayloadTLS
	case p.http != nil:
		return resolve.PayloadHTTP
	}
	return resolve.PayloadTCP
}

// clientBytes is what the receiving proxy gets over a connection of that TLS mode.
func (p *path) clientBytes(mode resolve.ClientTLSMode) resolve.ClientBytes {
	if p.sealed && mode == resolve.ClientPlaintext {
		return resolve.ClientBytes{Mode: resolve.ClientTLSOrigination}
	}
	return resolve.ClientBytes{Mode: mode, HTTP: p.speaksHTTP(), SentAsTCP: p.stream}
}

// reachedBy is how the request reaches a hop over a connection of that TLS mode.
func (p *path) reachedBy(mode resolve.ClientTLSMode) HopTLS {
	switch mode {
	case resolve.ClientMTLS:
		return TLSMutual
	case resolve.ClientTLSOrigination, resolve.ClientMutualTLSOrigination:
		return TLSSimple
	case resolve.ClientPlaintext:
	}
	if p.sealed {
		return TLSSimple
	}
	return TLSPlaintext
}

// cleaned has the proxy's HTTP connection manager look at the request before anything else does: headers with
// underscores, then the path, then an upgrade that is asked for. It reports whether the request goes on.
// Source: pilot/pkg/networking/core/listener_builder.go, buildHTTPConnectionManager; Envoy,
// source/common/http/conn_manager_utility.cc, maybeNormalizePath.
func (w *walk) cleaned(p *path, proxy *resolve.Workload) bool {
	if !strings.HasPrefix(p.http.Path, "/") && len(p.hops) > 1 {
		p.note(resolve.NewStep(resolve.RulePathRelative, resolve.Warned, p.by, p.http.Path))
		p.lower(Undetermined)
	}
	cleaning := w.snapshot.RequestCleaning(proxy)
	names, steps := cleaning.Underscores(p.http.Headers)
	for i, name := range names {
		if steps[i].Verdict == resolve.None {
			w.underscoreRefused(p, steps[i])
			return false
		}
		p.note(steps[i])
		delete(p.http.Headers, name)
	}
	clean, step := cleaning.Clean(p.http.Path)
	if step == nil {
		p.http.Path = clean
		return w.upgrades(p)
	}
	o := Outcome{Decision: NotRouted, HTTPStatus: 400, ResponseCodeDetails: "path_normalization_failed", Code: CodePathRefused}
	if step.Verdict == resolve.Applied {
		p.http.Path = clean
		o.Decision, o.HTTPStatus, o.Code, o.Location = Redirected, 307, CodePathRedirect, p.http.PathAndQuery()
	}
	w.endAt(p, o, *step)
	return false
}

// upgrades ends a request for an upgrade that the connection manager does not know; it reports whether the request goes on.
func (w *walk) upgrades(p *path) bool {
	if step := p.http.DropUpgrade(); step != nil {
		p.note(*step)
	}
	protocol, refused := resolve.RefusedUpgrade(p.http)
	if !refused {
		return true
	}
	w.endAt(p, Outcome{Decision: NotRouted, HTTPStatus: 403, ResponseCodeDetails: "upgrade_failed", Code: CodeUpgradeRefused},
		resolve.NewStep(resolve.RuleUpgradeRefused, resolve.None, resolve.Ref{}, protocol))
	return false
}

// underscoreRefused ends a request with a header that the codec does not take.
// Source: Envoy, headers_with_underscores_action; source/common/http/http1/codec_impl.cc, http2/codec_impl.cc.
func (w *walk) underscoreRefused(p *path, step resolve.Step) {
	o := Outcome{Decision: NotRouted, HTTPStatus: 400, ResponseFlags: "DPE", ResponseCodeDetails: "http1.unexpected_underscore", Code: CodeHeaderRefused}
	if w.request.Scheme.IsGRPC() {
		o.HTTPStatus, o.ResponseFlags, o.ResponseCodeDetails = 0, "DR", "http2.unexpected_underscore"
		if p.proxied {
			o = p.failed(o, "UR", "upstream_reset_before_response_started{remote_reset}")
		}
	}
	w.endAt(p, o, step)
}

// forwarded is what differs from the request as it was sent.
func (p *path) forwarded() *Forwarded {
	if p.http == nil {
		return nil
	}
	f := &Forwarded{Method: p.http.Method, Host: p.http.Authority, Path: p.http.PathAndQuery(), Headers: map[string]string{}}
	for k, v := range p.http.Headers {
		if old, ok := p.original.Headers[k]; !ok || old != v {
			f.Headers[k] = v
		}
	}
	for k := range p.original.Headers {
		if _, ok := p.http.Headers[k]; !ok {
			f.Removed = append(f.Removed, k)
		}
	}
	slices.Sort(f.Removed)
	return f
}
