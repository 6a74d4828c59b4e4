package fromlog

import (
	"slices"
	"strings"

	"github.com/mesh-trace/kubectl-mesh-trace/cmd/accesslog"
	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
)

// A server's line of a request that came by a gateway.
//
//  1. The line has the path as the client sent it: where the gateway rewrote it, Envoy keeps what was before in X-Envoy-Original-Path, which
//     Istio's formats prefer. The authority is the one behind the gateway, and nothing tells by which port the request came there.
//  2. So the authority is asked for at every port of the gateway's Services, with HTTP and with HTTPS. A request counts only if its
//     trace leads to the server that wrote the line, and the authority that arrives there is that of the line.
//  3. Of those the first that agrees with the line is taken, else the first. Where there is none the line is not compared: the gateway may have
//     rewritten the authority, and its own log has the request as it came.
//
// Source: Envoy, docs/root/configuration/http/http_conn_man/headers.rst, x-envoy-original-path.

func (c *comparer) askThroughGateway(e *accesslog.Entry, w writer, gateway *resolve.Workload) asked {
	q := trace.Typed{From: trace.External, Gateway: gateway.Namespace + "/" + gateway.Owner.Name, SourceIP: forwardedFor(e)}
	host, _ := splitAuthority(e.Authority)
	if host == "" || w.workload == nil || e.TCP() {
		return none("the client is gateway %s, and the line does not tell what it was asked for; its own log has the request", q.Gateway)
	}
	var first *asked
	for _, port := range portsOf(c.snapshot, gateway) {
		for _, scheme := range []string{"http", "https"} {
			one := c.completed(finish(q, scheme, host, port, e.Path, e), e)
			t, err := c.trace(one.Typed)
			if one.problem != "" || err != nil || !arrives(t, w.workload, host) {
				continue
			}
			if c.judge(e, w, t) == Agrees {
				return one
			}
			if first == nil {
				first = &one
			}
		}
	}
	if first == nil {
		return none("the client is gateway %s, and no request for %s that it takes arrives here as logged; its own log has the request", q.Gateway, host)
	}
	return *first
}

// portsOf are the ports of the Services that lead to a gateway.
func portsOf(s *resolve.Snapshot, gateway *resolve.Workload) []int {
	var ports []int
	for _, t := range s.ServiceTargets(gateway) {
		ports = append(ports, t.Port.Number)
	}
	slices.Sort(ports)
	return slices.Compact(ports)
}

// arrives is rule 2.
func arrives(t *trace.Trace, server *resolve.Workload, host string) bool {
	return slices.ContainsFunc(t.Outcomes, func(o trace.Outcome) bool {
		if len(o.Hops) == 0 {
			return false
		}
		last := &t.Hops[o.Hops[len(o.Hops)-1]]
		forwarded, _ := splitAuthority(authorityBehind(t, o))
		return last.Direction == trace.Inbound && last.Workload == server.Owner && strings.EqualFold(forwarded, host)
	})
}

// authorityBehind is the authority that the last hop of an outcome reads. Of what is refused there the steps alone tell.
func authorityBehind(t *trace.Trace, o trace.Outcome) string {
	if o.Forwarded != nil {
		return o.Forwarded.Host
	}
	authority := t.Request.Authority()
	for _, i := range o.Hops {
		for _, s := range t.Hops[i].Steps {
			if s.Rule != resolve.RuleRewriteAuthority && s.Rule != resolve.RuleHeaderAuthority {
				continue
			}
			if host, ok := s.Args[len(s.Args)-1].(string); ok {
				authority = host
			}
		}
	}
	return authority
}

// forwardedFor is the client's address as the first proxy in front has handed it on; empty where the line has none.
func forwardedFor(e *accesslog.Entry) string {
	client, _, _ := strings.Cut(e.Headers["x-forwarded-for"], ",")
	return ipText(strings.TrimSpace(client))
}
