package conformance

import (
	"fmt"
	"maps"
	"regexp/syntax"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	networking "istio.io/api/networking/v1alpha3"

	"github.com/mesh-trace/kubectl-mesh-trace/testdata/conformance/apiserver"
)

// Requests that a cluster's own configuration suggests.
//
//  1. From inside, by the first workload and by the last: each port of each Service and ServiceEntry, and each
//     host of each VirtualService of the mesh at those ports.
//  2. From outside: each host of each server of each Gateway, at the port of the standard ingress gateway's Service
//     that leads there.
//  3. There, what each match of each route of the host asks for, and a request that none was made for.
//  4. What routes of the Gateway API and Ingresses suggest.

// derived are those requests, as command lines.
func derived(c *apiserver.Cluster) [][]string {
	var out [][]string
	for _, from := range clients(c) {
		for _, a := range inside(c) { // 1.
			for _, try := range tries(c, a.host, a.scheme) {
				out = append(out, try.args(a, from))
			}
		}
	}
	for _, a := range entrances(c) { // 2.
		for _, try := range tries(c, a.host, a.scheme) {
			out = append(out, try.args(a, []string{"--from", "external"}))
		}
	}
	return append(out, derivedFromRoutes(c)...)
}

// address is where a request goes.
type address struct {
	scheme, host string
	port         uint32
}

// clients are the first workload and the last, as flags.
func clients(c *apiserver.Cluster) [][]string {
	var out [][]string
	for _, p := range c.Pods {
		kind, name, _ := strings.Cut(p.Owner, " ")
		namespace, name, _ := strings.Cut(name, "/")
		if flags := []string{"--from", strings.ToLower(kind) + "/" + name, "-n", namespace}; len(out) == 0 || !slices.Equal(flags, out[len(out)-1]) {
			out = append(out, flags)
		}
	}
	if len(out) > 2 {
		return [][]string{out[0], out[len(out)-1]}
	}
	return out
}

func inside(c *apiserver.Cluster) []address {
	var out []address
	at := map[string][]address{}
	add := func(a address) {
		if a.scheme != "udp" {
			out = append(out, a)
			at[a.host] = append(at[a.host], a)
		}
	}
	for _, s := range c.Services {
		for _, p := range s.Spec.Ports {
			add(address{scheme(servicePortProtocol(p)), s.Name + "." + s.Namespace + ".svc.cluster.local", uint32(p.Port)})
		}
	}
	for _, e := range specs[*networking.ServiceEntry](c) {
		for _, host := range e.GetHosts() {
			for _, p := range e.GetPorts() {
				add(address{scheme(p.GetProtocol()), concreteHost(host), p.GetNumber()})
			}
		}
	}
	for _, vs := range specs[*networking.VirtualService](c) {
		for _, host := range vs.GetHosts() {
			host = concreteHost(host)
			if len(vs.GetGateways()) > 0 && !slices.Contains(vs.GetGateways(), "mesh") || !strings.Contains(host, ".") || len(at[host]) > 0 {
				continue
			}
			add(address{"http", host, 80})
		}
	}
	return out
}

func entrances(c *apiserver.Cluster) []address {
	var out []address
	behind := map[uint32]uint32{8080: 80, 8443: 443} // the Service of the standard ingress gateway
	for _, gw := range specs[*networking.Gateway](c) {
		for _, server := range gw.GetServers() {
			for _, host := range server.GetHosts() {
				if _, name, ok := strings.Cut(host, "/"); ok {
					host = name
				}
				for _, h := range entranceHosts(c, host) {
					port := server.GetPort().GetNumber()
					if n, ok := behind[port]; ok {
						port = n
					}
					out = append(out, address{scheme(server.GetPort().GetProtocol()), h, port})
				}
			}
		}
	}
	return out
}

// entranceHosts are hosts that a server's host stands for: those of VirtualServices, and one that none has.
func entranceHosts(c *apiserver.Cluster, host string) []string {
	out := []string{concreteHost(host)}
	if !strings.HasPrefix(host, "*") {
		return out
	}
	for _, vs := range specs[*networking.VirtualService](c) {
		for _, h := range vs.GetHosts() {
			if h = concreteHost(h); len(vs.GetGateways()) > 0 && strings.HasSuffix(h, host[1:]) && !slices.Contains(out, h) {
				out = append(out, h)
			}
		}
	}
	return out
}

// try is a request to a host, but for its address.
type try struct {
	method, path string
	headers      map[string]string
}

// tries are requests for each match of the routes of a host, and one for none of them.
func tries(c *apiserver.Cluster, host, scheme string) []try {
	switch scheme {
	case "tcp":
		return []try{{}}
	case "grpc":
		return []try{{path: "/echo.Echo/Send"}}
	}
	out := []try{{path: "/"}, {path: "/no/route/has/this"}}
	for _, vs := range specs[*networking.VirtualService](c) {
		if !slices.ContainsFunc(vs.GetHosts(), func(h string) bool { return meant(h, host) }) {
			continue
		}
		for _, r := range vs.GetHttp() {
			for _, m := range r.GetMatch() {
				t := try{method: example(m.GetMethod()), path: "/", headers: map[string]string{}}
				if uri := example(m.GetUri()); uri != "" {
					t.path = uri
				}
				for _, name := range slices.Sorted(maps.Keys(m.GetHeaders())) {
					t.headers[name] = example(m.GetHeaders()[name])
				}
				separator := "?"
				for _, name := range slices.Sorted(maps.Keys(m.GetQueryParams())) {
					t.path += separator + name + "=" + example(m.GetQueryParams()[name])
					separator = "&"
				}
				out = append(out, t)
				if len(t.headers) > 0 {
					out = append(out, try{path: t.path})
				}
			}
		}
	}
	return out
}

// meant reports whether a VirtualService's host may be the request's: it may be short, or have a wildcard.
func meant(host, asked string) bool {
	if name, ok := strings.CutPrefix(host, "*"); ok {
		return strings.HasSuffix(asked, name)
	}
	return host == asked || strings.HasPrefix(asked, host+".")
}

func (t try) args(a address, from []string) []string {
	args := append([]string{}, from...)
	if t.method != "" {
		args = append(args, "-X", t.method)
	}
	for _, name := range slices.Sorted(maps.Keys(t.headers)) {
		args = append(args, "-H", name+": "+t.headers[name])
	}
	return append(args, fmt.Sprintf("%s://%s:%d%s", a.scheme, a.host, a.port, t.path))
}

// specs are the cluster's resources of a kind.
func specs[T any](c *apiserver.Cluster) []T {
	var out []T
	for _, cfg := range c.Configs {
		if spec, ok := cfg.Spec.(T); ok {
			out = append(out, spec)
		}
	}
	return out
}

// servicePortProtocol is what a port says of itself.
func servicePortProtocol(p corev1.ServicePort) string {
	if p.Protocol == corev1.ProtocolUDP {
		return "udp"
	}
	if p.AppProtocol != nil {
		return *p.AppProtocol
	}
	name, _, _ := strings.Cut(p.Name, "-")
	return name
}

// scheme is the URL scheme with which one would talk to a port of a protocol; a port that does not say is
// asked for HTTP.
func scheme(protocol string) string {
	switch strings.ToLower(protocol) {
	case "https", "tls":
		return "https"
	case "tcp", "mongo", "mysql", "redis":
		return "tcp"
	case "grpc":
		return "grpc"
	case "udp":
		return "udp"
	}
	return "http"
}

func concreteHost(host string) string {
	switch {
	case host == "*":
		return "sample.example.com"
	case strings.HasPrefix(host, "*"):
		return "one" + host[1:]
	}
	return host
}

// example is a string that a match takes.
func example(m *networking.StringMatch) string {
	switch {
	case m.GetExact() != "":
		return m.GetExact()
	case m.GetPrefix() != "":
		return m.GetPrefix()
	case m.GetRegex() != "":
		return exampleOf(m.GetRegex())
	}
	return ""
}

// exampleOf is a string that the regex takes; empty if it is none.
func exampleOf(regex string) string {
	re, err := syntax.Parse(regex, syntax.Perl)
	if err != nil {
		return ""
	}
	return shortest(re.Simplify())
}

// shortest is a short string that the expression takes.
func shortest(re *syntax.Regexp) string {
	switch re.Op {
	case syntax.OpLiteral:
		return string(re.Rune)
	case syntax.OpCharClass:
		return string(re.Rune[:1])
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return "x"
	case syntax.OpCapture, syntax.OpPlus, syntax.OpAlternate:
		return shortest(re.Sub[0])
	case syntax.OpConcat:
		var b strings.Builder
		for _, sub := range re.Sub {
			b.WriteString(shortest(sub))
		}
		return b.String()
	}
	return ""
}
