package conformance

import (
	"slices"
	"strings"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/testdata/conformance/proxies"
	"github.com/mesh-trace/kubectl-mesh-trace/trace/render"
)

// Which of the proxies that logged something has decided.

// opened are the proxies that a connection with bytes in it came to. One that forwards bytes makes the next connection before the
// client's handshake is done, and before a policy is asked; where these refuse, nothing is sent in it.
func opened(way []proxies.Passage) []proxies.Passage {
	for i := range way {
		switch p := &way[i]; {
		case p.By == "listener" && p.DownstreamFailure != "":
			p.Cluster, p.Upstream, p.Peer = "", "", ""
		case p.By != "tcp":
		case p.TLS != "" && p.DownstreamFailure != "":
			p.Cluster, p.Upstream, p.Peer = "", "", ""
			return way[:i+1]
		case strings.HasPrefix(p.Termination, "rbac_access_denied"):
			p.Cluster, p.Upstream = "", ""
			return way[:i+1]
		}
	}
	return way
}

// closedUnread reports whether a TCP proxy has closed for want of a cluster or endpoint what the trace says that a policy
// refuses: the policy is asked with the first byte.
func closedUnread(seen *proxies.Seen, j *judged) bool {
	if len(seen.Passed) == 0 || !slices.ContainsFunc(j.document.Outcomes, func(o render.Outcome) bool { return refuses(o.Decision) }) {
		return false
	}
	last := seen.Passed[len(seen.Passed)-1]
	return last.By == "tcp" && (last.Flags == "NC" || last.Flags == "UH")
}

// heldBackAtTimes reports whether a fault holds back a part of the requests: the trace leaves to a step that their flags begin
// with DI.
func heldBackAtTimes(d *render.Document) bool {
	for _, h := range d.Hops {
		for _, s := range h.Steps {
			if s.Rule == string(resolve.RuleFaultDelay) && !strings.HasPrefix(s.Reason, "100 percent") {
				return true
			}
		}
	}
	return false
}

// decided is what the proxy logged that ended the request. That is the last one which has anything to say of it; but where
// one has sent the request on in vain, and the next is no filter that refuses, the former's word counts for the client.
func decided(seen *proxies.Seen, refused bool) (by *proxies.Passage) {
	for i, p := range seen.Passed {
		switch {
		case p.By == "listener" && i > 0 && seen.Passed[i-1].By != "tcp":
			continue // the trace tells what the proxy that sent it there says
		case p.By == "tcp" && p.Flags == "UR":
			continue // Linux breaks a connection off that is closed with bytes unread: why it was the next one says, or no one
		}
		if p.Flags != "" || p.Termination != "" || p.Details != "" && p.Details != "via_upstream" {
			by = &seen.Passed[i]
		}
		if by != nil && !refused && sends(by.Flags) {
			return by
		}
	}
	return by
}
