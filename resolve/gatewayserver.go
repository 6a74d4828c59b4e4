package resolve

import (
	"slices"
	"strconv"
	"strings"

	networking "istio.io/api/networking/v1alpha3"
)

// GatewayServer is one server of a Gateway on one workload.
type GatewayServer struct {
	Gateway *GatewayConfig
	// Ref is the Gateway's spec.servers[i], or the listener it was made of.
	Ref Ref
	// index is the server's place in the Gateway.
	index int
	Spec  *networking.Server
	// Hosts are normalised: "host", or "namespace/host".
	Hosts []string
	// PodPort is where the workload listens for server.port.number.
	PodPort  int
	Protocol Protocol
	// RouteConfig is the Envoy route configuration; empty where there is no HTTP routing.
	RouteConfig string
}

// Port is server.port.number.
func (s *GatewayServer) Port() int { return int(s.Spec.GetPort().GetNumber()) }

// TLSMode is the mode of spec.servers[i].tls; empty without tls.
func (s *GatewayServer) TLSMode() string {
	if s.Spec.GetTls() == nil {
		return ""
	}
	return s.Spec.GetTls().GetMode().String()
}

// Passthrough reports whether the server forwards TLS without terminating it.
func (s *GatewayServer) Passthrough() bool {
	if s.Spec.GetTls() == nil {
		return false
	}
	mode := s.Spec.GetTls().GetMode()
	return mode == networking.ServerTLSSettings_PASSTHROUGH || mode == networking.ServerTLSSettings_AUTO_PASSTHROUGH
}

// hasTLS is false for an HTTP server that only redirects to https.
// Source: pkg/config/gateway/gateway.go, IsTLSServer.
func (s *GatewayServer) hasTLS() bool { return s.Spec.GetTls() != nil && !s.Protocol.IsHTTP() }

// routesHTTP is true for HTTP, and for HTTPS that is not passed through.
// Source: pkg/config/gateway/gateway.go, IsHTTPServer.
func (s *GatewayServer) routesHTTP() bool {
	return s.Protocol.IsHTTP() || s.Protocol == ProtocolHTTPS && !s.Passthrough()
}

// takesHost reports whether one of the server's hosts takes the name, whatever namespace may use it.
func (s *GatewayServer) takesHost(name string) bool {
	return name == "" || slices.ContainsFunc(s.Hosts, func(h string) bool {
		if _, host, qualified := strings.Cut(h, "/"); qualified {
			h = host
		}
		return HostSubsetOf(name, strings.ToLower(h))
	})
}

// terminatesHTTPS is true for HTTPS that the gateway decrypts.
// Source: pkg/config/gateway/gateway.go, IsHTTPSServerWithTLSTermination.
func (s *GatewayServer) terminatesHTTPS() bool {
	return s.Spec.GetTls() != nil && s.Protocol == ProtocolHTTPS && !s.Passthrough()
}

// serverNames are the hosts without namespaces, each once as it is written; nil stands for any name or none.
// Source: pilot/pkg/model/gateway.go, GetSNIHostsForServer.
func (s *GatewayServer) serverNames() []string {
	names := make([]string, 0, len(s.Hosts))
	for _, h := range s.Hosts {
		if _, host, qualified := strings.Cut(h, "/"); qualified {
			h = host
		}
		names = append(names, h)
	}
	slices.Sort(names)
	return matchedServerNames(slices.Compact(names))
}

// normaliseServerHosts writes "./host" as "namespace/host" and "*/host" as "host";
// "*/*" stands for the whole list.
// Source: pilot/pkg/model/gateway.go, sanitizeServerHostNamespace.
func normaliseServerHosts(hosts []string, namespace string) []string {
	out := slices.Clone(hosts)
	for i, h := range hosts {
		ns, host, qualified := strings.Cut(h, "/")
		switch {
		case qualified && ns == ".":
			out[i] = namespace + "/" + host
		case qualified && ns == "*" && host == "*":
			return []string{"*"}
		case qualified && ns == "*":
			out[i] = host
		}
	}
	return out
}

// crashingHost is the host of a server, as it is written, at which istiod writes beyond the end of the
// list that an earlier "*/*" has shortened; empty if there is none.
// Source: pilot/pkg/model/gateway.go, sanitizeServerHostNamespace.
func crashingHost(hosts []string) string {
	shortened := false
	for _, h := range hosts {
		ns, host, qualified := strings.Cut(h, "/")
		switch {
		case qualified && ns == "*" && host == "*":
			shortened = true
		case shortened && qualified && (ns == "." || ns == "*"):
			return h
		}
	}
	return ""
}

// routeConfigName is the name of the server's Envoy route configuration.
// Source: pilot/pkg/model/gateway.go, gatewayRDSRouteName.
func (s *GatewayServer) routeConfigName() string {
	bind := ""
	if s.Spec.GetBind() != "" {
		bind = "." + s.Spec.GetBind()
	}
	switch {
	case s.Protocol.IsHTTP():
		return "http." + strconv.Itoa(s.PodPort) + bind
	case s.Protocol == ProtocolHTTPS && !s.Passthrough():
		return "https." + strconv.Itoa(s.Port()) + "." + s.Spec.GetPort().GetName() + "." + s.Gateway.Name + "." + s.Gateway.Namespace + bind
	}
	return ""
}
