package fromlog

import (
	"cmp"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/mesh-trace/kubectl-mesh-trace/cmd/accesslog"
	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
)

// The request of a line.
//
//  1. Of a client's proxy: its pod asks for the Service whose address it dialled, else for the authority, at the port that it dialled.
//  2. Of a server's proxy: the pod at the remote address asks for the host and port that the server name has (outbound_.PORT_.SUBSET_.HOST),
//     else for the Service whose target port was dialled. What came by a gateway is asked of that gateway (throughgateway.go).
//  3. Of a gateway: a client outside asks for the authority at the gateway's port, over TLS where the connection has a server name.
//     Its address is the first of X-Forwarded-For, else the remote one.
//  4. Of a waypoint: the pod at the remote address asks for the authority, at the port of the cluster (inbound-vip|PORT|PROTOCOL|HOST), else
//     at the one that was dialled.
//  5. Of ztunnel: the workload that it names connects to the service that it names; at its port where the address is the service's, or
//     there is a name, and else at the one with that target port.
//  6. The authority is sent as logged. Of the headers those that the format has are sent; all others, and tokens, are not.

// asked is a request, or why there is none.
type asked struct {
	trace.Typed
	problem string
	// complete is set where it has what the user adds to each request.
	complete bool
}

func none(format string, args ...any) asked { return asked{problem: fmt.Sprintf(format, args...)} }

// ownLog is for a client that has sent on what another one asked for.
func ownLog(w *resolve.Workload) asked {
	return none("the client is %s %s/%s; its own log has the request", w.Dataplane, w.Namespace, w.Owner.Name)
}

func (c *comparer) ask(e *accesslog.Entry, w writer) asked {
	if e.Writer == accesslog.Ztunnel {
		return c.askZtunnel(e)
	}
	switch w.side {
	case inbound:
		return c.askInbound(e, w)
	case atGateway:
		return c.askGateway(e, w)
	case atWaypoint:
		return c.askWaypoint(e)
	case outbound:
	}
	return c.askOutbound(e, w)
}

func (c *comparer) askOutbound(e *accesslog.Entry, w writer) asked {
	q := trace.Typed{From: c.options.From}
	if q.From == "" && w.workload != nil {
		q.From = fromOf(w.workload)
	}
	if q.From == "" {
		return none("which pod wrote it is not known: %s is no pod's address; name it with --proxy", cmp.Or(e.Remote, "-"))
	}
	host, port := "", portOf(e.Local)
	if ip := addressOf(e.Local); ip.IsValid() {
		if svc := c.snapshot.ClusterIPAt(ip); svc != nil {
			host = svc.Name + "." + svc.Namespace
			if a, _ := splitAuthority(e.Authority); w.workload != nil && names(a, svc, w.workload.Namespace) {
				host = a
			}
		}
	}
	authority, authorityPort := splitAuthority(e.Authority)
	clusterHost, clusterPort := clusterTarget(e.UpstreamCluster)
	if e.TCP() {
		scheme := "tcp"
		if e.ServerName != "" {
			scheme, host = "tls", cmp.Or(host, e.ServerName)
			q.SNI = e.ServerName
		}
		host = cmp.Or(host, clusterHost, ipText(e.Local))
		return finish(q, scheme, host, cmp.Or(port, clusterPort), "", e)
	}
	return finish(q, "http", cmp.Or(host, authority, clusterHost), cmp.Or(port, authorityPort, clusterPort, 80), e.Path, e)
}

// names reports whether a name is the Service's for a pod of the namespace.
func names(name string, svc *resolve.Service, namespace string) bool {
	qualified := svc.Name + "." + svc.Namespace
	return svc.Name != "" && (name == qualified || name == qualified+".svc" || name == svc.Hostname || name == svc.Name && namespace == svc.Namespace)
}

func (c *comparer) askInbound(e *accesslog.Entry, w writer) asked {
	client := c.at(e.Remote)
	q := trace.Typed{From: c.options.From}
	switch {
	case q.From != "":
	case client == nil:
		return none("the client's address %s is no pod's; name it with --from", cmp.Or(e.Remote, "-"))
	case client.Dataplane == resolve.DataplaneGateway:
		return c.askThroughGateway(e, w, client)
	case client.Dataplane == resolve.DataplaneWaypoint:
		return ownLog(client)
	default:
		q.From = fromOf(client)
	}
	host, port := serverNameTarget(e.ServerName)
	if host == "" && w.workload != nil {
		for _, t := range c.snapshot.ServiceTargets(w.workload) {
			if t.TargetPort == portOf(e.Local) {
				host, port = t.Service.Hostname, t.Port.Number
				break
			}
		}
	}
	authority, authorityPort := splitAuthority(e.Authority)
	if services := c.snapshot.ServicesForHost(host); len(services) > 0 && client != nil && names(authority, services[0], client.Namespace) {
		host = authority
	}
	if e.TCP() {
		return finish(q, "tcp", cmp.Or(host, ipText(e.Local)), cmp.Or(port, portOf(e.Local)), "", e)
	}
	return finish(q, "http", cmp.Or(host, authority), cmp.Or(port, authorityPort, 80), e.Path, e)
}

func (c *comparer) askGateway(e *accesslog.Entry, w writer) asked {
	q := trace.Typed{From: trace.External, SourceIP: cmp.Or(forwardedFor(e), ipText(e.Remote))}
	port := 0
	if w.workload != nil {
		q.Gateway = w.workload.Namespace + "/" + w.workload.Owner.Name
		for _, t := range c.snapshot.ServiceTargets(w.workload) {
			if t.TargetPort == portOf(e.Local) {
				port = t.Port.Number
				break
			}
		}
	}
	host, authorityPort := splitAuthority(e.Authority)
	switch {
	case e.TCP() && e.ServerName == "":
		return finish(q, "tcp", ipText(e.Local), cmp.Or(port, portOf(e.Local)), "", e)
	case e.TCP():
		return finish(q, "tls", e.ServerName, cmp.Or(port, 443), "", e)
	case e.ServerName != "":
		q.SNI = e.ServerName
		return finish(q, "https", cmp.Or(host, e.ServerName), cmp.Or(port, authorityPort, 443), e.Path, e)
	}
	return finish(q, "http", host, cmp.Or(port, authorityPort, 80), e.Path, e)
}

// vipCluster begins the name of a cluster that a waypoint has for a service.
const vipCluster = "inbound-vip|"

func (c *comparer) askWaypoint(e *accesslog.Entry) asked {
	q := trace.Typed{From: c.options.From}
	client := c.at(e.Remote)
	switch {
	case q.From != "":
	case client == nil:
		return none("the client's address %s is no pod's; name it with --from", cmp.Or(e.Remote, "-"))
	case client.Dataplane == resolve.DataplaneGateway || client.Dataplane == resolve.DataplaneWaypoint:
		return ownLog(client)
	default:
		q.From = fromOf(client)
	}
	authority, authorityPort := splitAuthority(e.Authority)
	host, port := "", 0
	if parts := strings.Split(e.UpstreamCluster, "|"); strings.HasPrefix(e.UpstreamCluster, vipCluster) && len(parts) == 4 {
		host = parts[3]
		port, _ = strconv.Atoi(parts[1]) // 0 where it is no number
	}
	if svc := c.snapshot.ClusterIPAt(addressOf(e.Local)); svc != nil { // the service that was dialled, which a route may have left
		host, port = svc.Hostname, portOf(e.Local)
		if client != nil && names(authority, svc, client.Namespace) {
			host = authority
		}
	}
	if e.TCP() {
		return finish(q, "tcp", cmp.Or(host, ipText(e.Local)), cmp.Or(port, portOf(e.Local)), "", e)
	}
	return finish(q, "http", cmp.Or(host, authority), cmp.Or(port, authorityPort, 80), e.Path, e)
}

func (c *comparer) askZtunnel(e *accesslog.Entry) asked {
	if e.Opened {
		return none("it is about a connection being opened; what came of it is in the line of its end")
	}
	q := trace.Typed{From: c.options.From}
	if q.From == "" {
		w := c.at(e.Remote)
		if e.SourceWorkload != "" {
			w = first(c.podNamed(e.SourceNamespace, e.SourceWorkload), w)
		}
		if w == nil {
			return none("its client %s/%s at %s is not known", cmp.Or(e.SourceNamespace, "-"), cmp.Or(e.SourceWorkload, "-"), e.Remote)
		}
		if w.Dataplane == resolve.DataplaneGateway || w.Dataplane == resolve.DataplaneWaypoint {
			return ownLog(w)
		}
		q.From = fromOf(w)
	}
	host, port := splitAuthority(e.Local)
	toService := !addressOf(e.Local).IsValid() || c.snapshot.ClusterIPAt(addressOf(e.Local)) != nil
	for _, svc := range c.snapshot.ServicesForHost(cmp.Or(e.DestinationService, host)) {
		for _, p := range svc.Ports {
			if p.Number == port && toService || p.TargetPort == port && !toService {
				return finish(q, "tcp", svc.Hostname, p.Number, "", e)
			}
		}
	}
	return finish(q, "tcp", cmp.Or(e.DestinationService, host), port, "", e)
}

// finish writes the URL, and sends the authority and the headers as logged.
func finish(q trace.Typed, scheme, host string, port int, path string, e *accesslog.Entry) asked {
	if host == "" {
		return none("it has neither an authority nor an address that tells where the request was sent")
	}
	if scheme != "http" && scheme != "https" {
		if port == 0 {
			return none("it does not tell the port")
		}
		if scheme != "tls" {
			q.SNI = ""
		}
		q.URL = scheme + "://" + net.JoinHostPort(host, strconv.Itoa(port))
		return checked(q)
	}
	at := host
	if strings.Contains(host, ":") {
		at = "[" + host + "]"
	}
	if scheme == "http" && port != 80 || scheme == "https" && port != 443 {
		at += ":" + strconv.Itoa(port)
	}
	if !strings.HasPrefix(path, "/") {
		path = "/" + path
	}
	q.URL = scheme + "://" + at + path
	if e.Method != "GET" {
		q.Method = e.Method
	}
	if e.Authority != "" && e.Authority != at {
		q.Headers = append(q.Headers, "Host: "+e.Authority)
	}
	for _, name := range slices.Sorted(maps.Keys(e.Headers)) {
		if !notSent[name] {
			q.Headers = append(q.Headers, name+": "+e.Headers[name])
		}
	}
	if q.SNI == host {
		q.SNI = ""
	}
	return checked(q)
}

// notSent are headers of a line that Envoy itself sets.
var notSent = map[string]bool{"x-forwarded-for": true, "x-request-id": true}

func checked(q trace.Typed) asked {
	if _, err := trace.NewRequest(q); err != nil {
		return none("it is no request that can be traced: %v", err)
	}
	return asked{Typed: q}
}

// splitAuthority is the host of an authority, and its port; 0 where there is none.
func splitAuthority(authority string) (string, int) {
	host, text, err := net.SplitHostPort(authority)
	if err != nil {
		return strings.Trim(authority, "[]"), 0
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		return host, 0
	}
	return host, port
}

// clusterTarget is the host and the port of outbound|PORT|SUBSET|HOST.
func clusterTarget(cluster string) (string, int) {
	return outboundTarget(strings.Split(strings.TrimSuffix(cluster, ";"), "|"))
}

// serverNameTarget is the host and the port of outbound_.PORT_.SUBSET_.HOST, the server name between sidecars.
func serverNameTarget(name string) (string, int) {
	return outboundTarget(strings.SplitN(name, "_.", 4))
}

// outboundTarget is the host and the port of a cluster's name in its parts: outbound, port, subset and host.
func outboundTarget(parts []string) (string, int) {
	if len(parts) != 4 || parts[0] != "outbound" {
		return "", 0
	}
	port, err := strconv.Atoi(parts[1])
	if err != nil {
		return "", 0
	}
	return parts[3], port
}

func ipText(address string) string {
	if ip := addressOf(address); ip.IsValid() {
		return ip.String()
	}
	return ""
}
