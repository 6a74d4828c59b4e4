package conformance

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/spf13/pflag"
	networking "istio.io/api/networking/v1alpha3"
	"istio.io/istio/pilot/pkg/networking/serviceentry"

	"github.com/mesh-trace/kubectl-mesh-trace/testdata/conformance/apiserver"
	"github.com/mesh-trace/kubectl-mesh-trace/testdata/conformance/evaluator"
	"github.com/mesh-trace/kubectl-mesh-trace/testdata/conformance/pilot"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
)

// skipped says in words why a question is not judged.
type skipped struct{ reason string }

func (e skipped) Error() string { return e.reason }

// parse reads a command line, as the command does.
func parse(args []string) (trace.Request, error) {
	var t trace.Typed
	fs := pflag.NewFlagSet("mesh-trace", pflag.ContinueOnError)
	fs.StringVar(&t.From, "from", "", "")
	fs.StringVar(&t.Gateway, "gateway", "", "")
	fs.StringVarP(&t.Method, "method", "X", "", "")
	fs.StringArrayVarP(&t.Headers, "header", "H", nil, "")
	fs.StringVar(&t.SourceIP, "source-ip", "", "")
	fs.StringVar(&t.SNI, "sni", "", "")
	fs.StringVar(&t.ClientCert, "client-cert", "", "")
	fs.StringVar(&t.JWT, "jwt", "", "")
	fs.StringArrayVar(&t.Claims, "claim", nil, "")
	fs.StringVarP(&t.Namespace, "namespace", "n", "default", "")
	fs.StringP("output", "o", "", "")
	fs.String("explain", "", "")
	fs.Bool("exit-code", false, "")
	if err := fs.Parse(args); err != nil {
		return trace.Request{}, skipped{"a flag that is not about the request: " + err.Error()}
	}
	if fs.NArg() != 1 {
		return trace.Request{}, skipped{"a command other than a trace"}
	}
	t.URL = fs.Arg(0)
	q, err := trace.NewRequest(t)
	if err != nil {
		return trace.Request{}, skipped{"the command refuses the request"}
	}
	return q, nil
}

// payload is what the client sends.
func payload(q trace.Request) *evaluator.Bytes {
	b := &evaluator.Bytes{}
	if q.Scheme.IsHTTP() {
		path := q.Path
		if q.Query != "" {
			path += "?" + q.Query
		}
		b.HTTP = &evaluator.Request{
			Method: q.Method, Authority: q.Authority(), Path: path, Headers: map[string]string{},
			HTTP2: q.Scheme == trace.GRPC || q.Scheme == trace.GRPCS,
		}
		for k, v := range q.Headers {
			if k != "host" {
				b.HTTP.Headers[k] = v
			}
		}
	}
	if q.Scheme.IsTLS() {
		h := &evaluator.Handshake{SNI: q.ServerName(), Identity: q.ClientCert}
		if q.Scheme.IsHTTP() {
			h.ALPN = []string{"h2", "http/1.1"}
		}
		if strings.HasPrefix(h.SNI, "outbound_.") { // no one but a proxy of the mesh sends such a name
			h.ALPN = []string{"istio-peer-exchange", "istio"}
		}
		b = &evaluator.Bytes{TLS: h, Inner: b}
	}
	return b
}

// outside is where names that no one here has are taken to resolve to.
var outside = netip.MustParseAddr("203.0.113.9")

// addresses are what the client's DNS gives for the host.
func addresses(w *pilot.World, c *apiserver.Cluster, host string, from *apiserver.Pod) ([]netip.Addr, error) {
	ips, own := c.Of(from).Resolve(host, from.Namespace)
	if own && len(ips) == 0 && len(c.Remotes()) > 0 {
		ips = w.NameTable(from, strings.TrimSuffix(strings.ToLower(host), "."))
	}
	switch {
	case !own:
		return entryAddress(c, strings.TrimSuffix(strings.ToLower(host), "."), w.CapturesDNS(from)), nil
	case len(ips) == 0:
		return nil, skipped{"DNS: the name does not resolve"}
	}
	return ips, nil
}

// entryAddress takes a ServiceEntry's first address for what the name resolves to: of the host itself, else of the
// narrowest wildcard. Where the proxy answers, it is the one that istiod gave the host, if there is no other
// (pkg/dns/server/name_table.go, BuildNameTable).
func entryAddress(c *apiserver.Cluster, host string, captured bool) []netip.Addr {
	for {
		if ip := addressOf(c, host, captured); ip != nil {
			return ip
		}
		_, parent, ok := strings.Cut(strings.TrimPrefix(host, "*."), ".")
		if !ok {
			return []netip.Addr{outside}
		}
		host = "*." + parent
	}
}

func addressOf(c *apiserver.Cluster, host string, captured bool) []netip.Addr {
	for _, cfg := range c.Configs {
		se, ok := cfg.Spec.(*networking.ServiceEntry)
		if !ok {
			continue
		}
		for _, h := range se.GetHosts() {
			if h != host {
				continue
			}
			for _, a := range se.GetAddresses() {
				if ip, err := netip.ParseAddr(strings.TrimSuffix(a, "/32")); err == nil {
					return []netip.Addr{ip}
				}
			}
			for _, ip := range serviceentry.GetHostAddressesFromConfig(cfg)[h] {
				if captured && serviceentry.ShouldV2AutoAllocateIPFromConfig(cfg) {
					return []netip.Addr{ip}
				}
			}
		}
	}
	return nil
}

// entry is where the trace lets a request from outside in: which of several gateways takes it, and
// by which of its Services, is not pilot's to say.
type entry struct {
	gateway *apiserver.Pod
	// port is the pod's; 0 where nothing listens.
	port int
}

// ask plays the request. in is set for a request from outside.
func ask(w *pilot.World, c *apiserver.Cluster, q trace.Request, in *entry, anonymous *apiserver.Pod) ([]evaluator.Outcome, error) {
	if q.Scheme == trace.UDP {
		return nil, skipped{"UDP passes no Envoy"}
	}
	bytes := payload(q)
	if in != nil {
		return enter(w, c, q, bytes, in)
	}
	all, err := calls(w, c, q, bytes, anonymous)
	if err != nil {
		return nil, err
	}
	var out []evaluator.Outcome
	for _, call := range all {
		for _, o := range evaluator.Run(w, call) {
			o.Share /= float64(len(all))
			if len(all) > 1 && o.Endpoint == "" {
				o.Endpoint = call.To.Addr().String() // the name stands for several
			}
			out = append(out, o)
		}
	}
	return out, nil
}

// calls are those of a request from within, one for each address of the host, and each as likely.
func calls(w *pilot.World, c *apiserver.Cluster, q trace.Request, bytes *evaluator.Bytes, anonymous *apiserver.Pod) ([]evaluator.Call, error) {
	from := anonymous
	if q.From.Given() {
		from = find(c, q.From)
		if from == nil {
			return nil, skipped{"the source is no pod of the cluster"}
		}
	}
	to, err := addresses(w, c, q.Host, from)
	if err != nil {
		return nil, err
	}
	machine := *w.Machine(from)
	if q.SourceIP.IsValid() {
		machine.Address = q.SourceIP
	}
	var out []evaluator.Call
	if len(to) > 1 { // the trace says that it takes the address for another pod's
		to = slices.DeleteFunc(to, func(ip netip.Addr) bool { return ip == machine.Address })
	}
	for _, ip := range to {
		from := machine
		if c.Invented(ip) {
			from.Iptables = from.Iptables.AnyAddress()
		}
		out = append(out, evaluator.Call{From: &from, To: netip.AddrPortFrom(ip, uint16(q.Port)), Bytes: bytes})
	}
	return out, nil
}

func enter(w *pilot.World, c *apiserver.Cluster, q trace.Request, bytes *evaluator.Bytes, in *entry) ([]evaluator.Outcome, error) {
	call, machine, ok := entering(w, c, q, bytes, in)
	if !ok {
		return []evaluator.Outcome{{Share: 1, Decision: evaluator.NotRouted, Why: "the Service has no such port"}}, nil
	}
	return evaluator.Enter(w, call, machine), nil
}

// entering is the call of a request from outside, and the gateway's machine. ok is false where its Service has no such port.
func entering(w *pilot.World, c *apiserver.Cluster, q trace.Request, bytes *evaluator.Bytes, in *entry) (call evaluator.Call, at *evaluator.Machine, ok bool) {
	client := &evaluator.Machine{Name: "client", Address: q.SourceIP}
	ports := c.PodPorts(in.gateway, q.Port)
	if len(ports) == 0 {
		return evaluator.Call{}, nil, false
	}
	port := ports[0]
	if slices.Contains(ports, in.port) {
		port = in.port
	}
	machine := w.Machine(in.gateway)
	to := netip.AddrPortFrom(machine.Proxy.Bound(in.gateway.Address, uint16(port)), uint16(port))
	return evaluator.Call{From: client, To: to, Bytes: bytes}, machine, true
}

func find(c *apiserver.Cluster, from trace.SourceSpec) *apiserver.Pod {
	namespace := from.Namespace
	if namespace == "" {
		namespace = from.DefaultNamespace
	}
	for _, p := range c.Pods {
		kind, name, _ := strings.Cut(p.Owner, " ")
		if p.Cluster != from.Cluster && !(from.Cluster == "Kubernetes" && p.Cluster == "") {
			continue
		}
		name = strings.TrimPrefix(name, p.Cluster+":")
		switch from.Kind {
		case "pod", "":
			if p.Namespace == namespace && p.Name == from.Name {
				return p
			}
		case "serviceaccount":
			if p.Namespace == namespace && p.Spec.ServiceAccountName == from.Name {
				return p
			}
		default:
			if strings.EqualFold(kind, from.Kind) && name == namespace+"/"+from.Name {
				return p
			}
		}
	}
	return nil
}

func podOf(c *apiserver.Cluster, owner string) *apiserver.Pod {
	for _, p := range c.Pods {
		if p.Owner == owner && p.Ready {
			return p
		}
	}
	for _, p := range c.Pods {
		if p.Owner == owner {
			return p
		}
	}
	return nil
}

// reasonOf is the words of a skip, if the error is one.
func reasonOf(err error) (string, bool) {
	var s skipped
	var u apiserver.Unjudged
	switch {
	case errors.As(err, &s):
		return s.reason, true
	case errors.As(err, &u):
		return fmt.Sprint(u.Reason), true
	}
	return "", false
}
