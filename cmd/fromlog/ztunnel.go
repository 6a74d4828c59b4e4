package fromlog

import (
	"strings"

	"github.com/mesh-trace/kubectl-mesh-trace/trace"
)

// What an error of a connection says, as ztunnel writes it.
//
//  1. A policy of the server refuses: the server's ztunnel says so, and answers the client's, which tunnels, with status 401.
//  2. Nothing is found to connect to: ztunnel knows no such service, waypoint or endpoint.
//  3. All else comes of what runs, and no configuration decides it by itself: it fits what is delivered as far as configuration goes, and
//     what is not.
//  4. A connection on which a proxy answers by HTTP, whatever it answers, is one without an error.
//
// Source: https://github.com/istio/ztunnel, src/proxy.rs, Error; src/proxy/inbound.rs, serve_connect; src/proxy/h2/client.rs.

// connectionErrors are the errors of rules 1 and 2, by what they begin with, and of rule 3 those that are worth a word.
var connectionErrors = []struct {
	begins   string
	decision trace.Decision
	says     string
}{
	{"connection closed due to policy rejection", trace.Denied, "a policy refuses it"},
	{"connection closed due to policy change", trace.Denied, "a policy that came while it was open refuses it"},
	{"http status: 401", trace.Denied, "the server's ztunnel answers 401: a policy there refuses it"},
	{"unknown waypoint", trace.Unavailable, "ztunnel does not know the waypoint that a label names"},
	{"unknown network gateway", trace.Unavailable, "ztunnel knows no gateway of the other network"},
	{"no healthy upstream", trace.Unavailable, "the service had no endpoint that was healthy then"},
	{"no service", trace.Unavailable, "ztunnel knows no service of that address"},
	{"no endpoints for workload", trace.Unavailable, "the workload has no endpoint"},
	{"no valid target port", trace.Unavailable, "the service has no such port at the workload"},
	{"no valid routing destination", trace.Unavailable, "nothing leads to the workload"},
	{"no gateway address", trace.Unavailable, "the gateway or waypoint has no address"},
	{"no ip addresses were resolved", trace.Unavailable, "the name of the workload was not resolved"},
	{"requested service", trace.Unavailable, "the service has no such port, or no address"},
	{"connection timed out, maybe a NetworkPolicy is blocking HBONE port 15008", "", "the other ztunnel was not reached at port 15008: a NetworkPolicy may forbid that"},
	{"connection failed", "", "the other end did not answer then: a pod that was starting, stopping or gone"},
	{"http status: 503", "", "the server's ztunnel could not connect to the application"},
	{"connection closed due to connection drain", "", "ztunnel or the pod was being stopped"},
	{"connection closed: peer certificate revoked", "", "the certificate of the other end was revoked"},
	{"tls error", "", "the TLS of the two ends did not fit then"},
	{"identity error", "", "ztunnel had no certificate for the workload then"},
}

// meaningOf is what an error of ztunnel says; a decision for rules 1 and 2 alone.
func meaningOf(text string) (decision trace.Decision, says string) {
	for _, e := range connectionErrors {
		if strings.HasPrefix(text, e.begins) {
			return e.decision, e.says
		}
	}
	return "", ""
}

// fitsConnection reports whether a line with the error, or without, can be of the outcome.
func fitsConnection(text string, o trace.Outcome) Verdict {
	decision, _ := meaningOf(text)
	connected := o.Decision == trace.Delivered || o.HTTPStatus != 0
	switch {
	case text == "" && connected, text != "" && decision == o.Decision && !connected:
		return Agrees
	case text == "" || decision != "":
		return Disagrees
	case connected:
		return AtRunTime
	}
	return Agrees
}
