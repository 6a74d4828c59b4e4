package trace

import (
	"slices"
	"strconv"
	"strings"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

// SurveyHost returns what the proxies hold for a host, one survey for each of its ports.
//
//  1. The URL is [scheme://]host[:port]. What it leaves out is everything: without a port, each port of the
//     service that the name stands for; without a scheme, what the port's protocol is. A host that is no service is
//     asked on port 80.
//  2. From outside, each port of each gateway that serves the host is asked; where none does, port 80, or the one
//     that is named, which tells why.
//
// The source is that of a trace of the same words.
func SurveyHost(s *resolve.Snapshot, typed Typed) ([]*Survey, error) {
	requests, err := surveyRequests(s, typed)
	if err != nil {
		return nil, err
	}
	var out []*Survey
	for _, q := range requests {
		survey, err := SurveyRequest(s, q)
		if err != nil {
			return nil, err
		}
		out = append(out, survey)
	}
	return out, nil
}

// SurveyWorkload returns what the sidecar of a workload holds for a host, one survey for each of the ports; nil
// stands for all that the host has. A host without any but UDP's is asked on port 80.
func SurveyWorkload(s *resolve.Snapshot, client *resolve.Workload, host string, ports []resolve.Port) ([]*Survey, error) {
	target := Target{Host: host}
	if ports == nil {
		ports = portsOf(s, client, target)
	}
	if !slices.ContainsFunc(ports, func(p resolve.Port) bool { return p.Protocol != resolve.ProtocolUDP }) {
		ports = append(slices.Clone(ports), resolve.Port{Number: HTTP.DefaultPort(), Protocol: resolve.ProtocolHTTP})
	}
	var out []*Survey
	for _, p := range ports {
		q, err := NewRequest(Typed{URL: string(protocolScheme("", p.Protocol)) + "://" + hostWithPort(target, p.Number), Namespace: client.Namespace})
		if err != nil {
			return nil, err
		}
		survey, err := surveyFrom(s, q, func(w *walk, way *path) error {
			w.describe(client)
			w.leave(way, client)
			return nil
		})
		if err != nil {
			return nil, err
		}
		out = append(out, survey)
	}
	return out, nil
}

// SurveyGateway returns what a gateway workload holds for a host, one survey for each port on which it
// serves it; without any, what it says on port 80.
func SurveyGateway(s *resolve.Snapshot, gateway *resolve.Workload, host string) ([]*Survey, error) {
	return SurveyHost(s, Typed{URL: hostInURL(host), Gateway: gateway.Owner.QualifiedName()})
}

// SurveyWaypoint returns what a waypoint holds for a service of its own, one survey for each port that proxies see.
func SurveyWaypoint(s *resolve.Snapshot, v resolve.WaypointView) ([]*Survey, error) {
	var out []*Survey
	for _, p := range v.Service.Ports {
		if p.Protocol == resolve.ProtocolUDP {
			continue
		}
		host := strings.Replace(v.Service.Hostname, "*", "any", 1)
		q, err := NewRequest(Typed{URL: string(protocolScheme("", p.Protocol)) + "://" + hostWithPort(Target{Host: host}, p.Number), Namespace: v.Waypoint.Namespace})
		if err != nil {
			return nil, err
		}
		survey, err := surveyFrom(s, q, func(w *walk, way *path) error {
			w.throughWaypoint(way, arrival{workload: v.Waypoint}, tunnelled{service: v.Service, port: p.Number})
			return nil
		})
		if err != nil {
			return nil, err
		}
		out = append(out, survey)
	}
	return out, nil
}

// ParseHost reads [scheme://]host[:port]: the port is 0, and the scheme empty, where it is not written.
func ParseHost(text string) (Target, error) {
	scheme, rest, written := strings.Cut(text, "://")
	if !written {
		scheme, rest = string(HTTP), text
	}
	if strings.ContainsAny(rest, "/?#") {
		return Target{}, refuse(InputURL, "%q: expected [scheme://]host[:port]; every path of the host is shown", text)
	}
	target, err := ParseURL(scheme + "://" + rest)
	if err != nil && (scheme == string(TCP) || scheme == string(UDP)) {
		if other, again := ParseURL(string(HTTP) + "://" + rest); again == nil {
			target, err = other, nil
			target.Scheme, target.Path = Scheme(scheme), ""
		}
	}
	if err != nil {
		return Target{}, err
	}
	if !written {
		target.Scheme = ""
	}
	if !writesPort(rest) {
		target.Port = 0
	}
	return target, nil
}

// writesPort reports whether host[:port] has a port.
func writesPort(text string) bool {
	i := strings.LastIndexByte(text, ':')
	return i >= 0 && !strings.HasSuffix(text, "]") && (strings.Count(text, ":") == 1 || strings.HasPrefix(text, "["))
}

// surveyRequests are the requests of which the tables are asked for.
func surveyRequests(s *resolve.Snapshot, typed Typed) ([]Request, error) {
	target, err := ParseHost(typed.URL)
	if err != nil {
		return nil, err
	}
	ask := func(scheme Scheme, port int, gateway string) (Request, error) {
		q := typed
		q.URL = string(scheme) + "://" + hostWithPort(target, port)
		if gateway != "" {
			q.Gateway = gateway
		}
		if !scheme.IsTLS() {
			q.SNI = ""
		}
		return NewRequest(q)
	}
	base, err := ask(HTTP, 80, "")
	if err != nil {
		return nil, err
	}
	w := &walk{snapshot: s, request: base}
	from, err := w.findSource()
	if err != nil {
		return nil, err
	}
	var out []Request
	add := func(scheme Scheme, port int, gateway string) {
		if q, failed := ask(scheme, port, gateway); failed != nil {
			err = failed
		} else {
			out = append(out, q)
		}
	}
	if from.external {
		for _, door := range s.GatewayDoors(resolve.GatewayQuestion{Host: target.Host, Port: target.Port, Gateway: base.Gateway}) {
			if scheme := schemeOf(door.TLS, door.HTTP); target.Scheme == "" || target.Scheme.IsTLS() == door.TLS && target.Scheme.IsHTTP() == door.HTTP {
				add(scheme, door.Port, door.Gateway)
			}
		}
	} else {
		for _, p := range portsOf(s, from.workload, target) {
			add(protocolScheme(target.Scheme, p.Protocol), p.Number, "")
		}
	}
	if err == nil && len(out) == 0 {
		add(fallback(target))
	}
	return out, err
}

// fallback is the port that is asked where none serves the host.
func fallback(target Target) (scheme Scheme, port int, gateway string) {
	scheme, port = target.Scheme, target.Port
	if scheme == "" {
		scheme = HTTP
		if port == HTTPS.DefaultPort() {
			scheme = HTTPS
		}
	}
	if port == 0 {
		port = max(scheme.DefaultPort(), 0)
	}
	if port == 0 {
		port = HTTP.DefaultPort()
	}
	return scheme, port, ""
}

func schemeOf(tls, http bool) Scheme {
	switch {
	case tls && http:
		return HTTPS
	case http:
		return HTTP
	case tls:
		return TLS
	}
	return TCP
}

// portsOf are the ports of the service that the host is for the workload, or the one that is named.
func portsOf(s *resolve.Snapshot, client *resolve.Workload, target Target) []resolve.Port {
	var scope *resolve.Scope
	if client.Dataplane == resolve.DataplaneSidecar {
		scope, _ = s.Scope(client)
	}
	_, port, _ := fallback(target)
	found, _ := s.ResolveName(client, scope, target.Host, port)
	svc := found.Service
	if svc == nil && scope != nil { // a ServiceEntry that DNS does not know
		svc, _ = scope.Service(target.Host)
	}
	if svc == nil {
		return nil
	}
	if target.Port != 0 {
		if p, ok := svc.PortByNumber(target.Port); ok {
			return []resolve.Port{p}
		}
		return nil
	}
	return svc.Ports
}

// protocolScheme is what a client speaks to a port, unless the URL says what it does.
func protocolScheme(written Scheme, protocol resolve.Protocol) Scheme {
	switch {
	case written != "":
		return written
	case protocol.IsHTTP(), protocol.IsAuto():
		return HTTP
	case protocol.IsTLS():
		return TLS
	case protocol == resolve.ProtocolUDP:
		return UDP
	}
	return TCP
}

func hostWithPort(target Target, port int) string {
	return hostInURL(target.Host) + ":" + strconv.Itoa(port)
}

// hostInURL writes an IPv6 address in brackets.
func hostInURL(host string) string {
	if strings.Contains(host, ":") {
		return "[" + host + "]"
	}
	return host
}
