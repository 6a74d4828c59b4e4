package fromlog

import (
	"net/netip"
	"strings"

	"github.com/mesh-trace/kubectl-mesh-trace/cmd/accesslog"
	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
)

// Which proxy wrote a line.
//
//  1. The one that the user names; else the pod that kubectl logs --prefix names. A pod that is gone, or that manifests do
//     not have, is taken to be of the workload whose name it has before its hashes.
//  2. An upstream cluster inbound|… is of the proxy of a server, and so is a connection with a server name outbound_.… that
//     no cluster is said of. Its pod has the local address of the connection.
//  3. A gateway's pod is at the local address of the connection, too.
//  4. An upstream cluster inbound-vip|… is of a waypoint. The local address is the one that the client dialled, the remote one the client's.
//  5. Any other line is of the proxy of a client: the remote address is that of its own pod.

// side is on which side of a request the writer is.
type side string

const (
	outbound  side = "outbound"
	inbound   side = "inbound"
	atGateway side = "gateway"
	// atWaypoint is a gateway, too, that clients of the cluster go through.
	atWaypoint side = "waypoint"
)

// writer is the proxy that wrote a line; workload is nil where it is not known.
type writer struct {
	side     side
	workload *resolve.Workload
}

func (c *comparer) writerOf(e *accesslog.Entry) writer {
	named := c.proxy
	if named == nil && e.Pod != "" {
		named = c.podNamed(c.options.Namespace, e.Pod)
	}
	local, remote := c.at(e.Local), c.at(e.Remote)
	cluster := e.UpstreamCluster
	ofServer := strings.HasPrefix(cluster, "inbound|") || cluster == "InboundPassthroughCluster" || cluster == "" && strings.HasPrefix(e.ServerName, "outbound_.")
	switch {
	case e.Writer == accesslog.Ztunnel:
		return writer{side: side(e.Direct), workload: named}
	case named != nil && named.Dataplane == resolve.DataplaneWaypoint, named == nil && strings.HasPrefix(cluster, vipCluster):
		return writer{atWaypoint, named}
	case named != nil && named.Dataplane == resolve.DataplaneGateway:
		return writer{atGateway, named}
	case ofServer:
		return writer{inbound, first(named, local)}
	case named == nil && local != nil && local.Dataplane == resolve.DataplaneGateway:
		return writer{atGateway, local}
	case cluster == "" && local != nil && (named == nil || named.SamePod(local)) && (remote == nil || !remote.SamePod(local)):
		return writer{inbound, local}
	}
	return writer{outbound, first(named, remote)}
}

func first(all ...*resolve.Workload) *resolve.Workload {
	for _, w := range all {
		if w != nil {
			return w
		}
	}
	return nil
}

// at is the workload that has an address.
func (c *comparer) at(address string) *resolve.Workload {
	ip := addressOf(address)
	if !ip.IsValid() {
		return nil
	}
	return c.snapshot.WorkloadAt(ip)
}

// addressOf is the IP of IP:PORT or IP; invalid where there is none.
func addressOf(text string) netip.Addr {
	if both, err := netip.ParseAddrPort(text); err == nil {
		return both.Addr().Unmap()
	}
	ip, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Addr{}
	}
	return ip.Unmap().WithZone("")
}

// portOf is the port of IP:PORT; 0 where there is none.
func portOf(text string) int {
	both, err := netip.ParseAddrPort(text)
	if err != nil {
		return 0
	}
	return int(both.Port())
}

// podNamed is rule 1; nil where nothing has such a name.
func (c *comparer) podNamed(namespace, name string) *resolve.Workload {
	if found, err := c.snapshot.FindWorkload("pod", namespace, name); err == nil {
		return found[0]
	}
	for stem := name; ; {
		i := strings.LastIndexByte(stem, '-')
		if i <= 0 {
			return nil
		}
		stem = stem[:i]
		for _, kind := range []string{"deployment", "statefulset", "daemonset"} {
			if found, err := c.snapshot.FindWorkload(kind, namespace, stem); err == nil {
				return found[0]
			}
		}
	}
}

// fromOf is a workload as --from takes it; empty where it takes none of its kind.
func fromOf(w *resolve.Workload) string {
	kind := strings.ToLower(w.Owner.Kind)
	for _, known := range trace.SourceKinds() {
		if kind == known {
			return w.Namespace + "/" + kind + "/" + w.Owner.Name
		}
	}
	if w.Pod != "" {
		return w.Namespace + "/pod/" + w.Pod
	}
	return ""
}
