package conformance

import (
	"cmp"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	diff "github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/mesh-trace/kubectl-mesh-trace/testdata/conformance/simulation"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
	"github.com/mesh-trace/kubectl-mesh-trace/trace/render"
)

// A situation of Istio's simulation tests as a question of the tracer's:
//
//  1. The proxy is a pod with the proxy's labels and addresses.
//  2. A call at a gateway comes from outside, to the host it names. The gateway has no Service, so
//     that the port dialled is the pod's.
//  3. An outbound call is made by the pod, to the call's address.
//  4. An inbound call is made by another pod to the proxy's address: by one without a proxy, or,
//     where the connection is the mesh's mTLS, by one whose sidecar takes the address for a service
//     of its own namespace and a DestinationRule of its own: neither is anything to the proxy.

const (
	proxyPod  = "proxy"
	outerPod  = "client"
	outerSpot = "outer"
	outerHost = "outer.test"

	defaultDomain = "svc.cluster.local"
)

// situated compares the trace with what the test expects and, where it does not say, with what the
// evaluator found.
func situated(dir string, c simulation.Case) (string, error) {
	for _, reason := range []string{c.Flag, c.Unwritten, unmodelled(c)} {
		if reason != "" {
			return "", skipped{reason}
		}
	}
	files, err := filesOf(c)
	if err != nil {
		return "", err
	}
	s, err := load(dir, files, "default")
	if err != nil {
		return "", err
	}
	q, err := parse(questionOf(c))
	if err != nil {
		return "", err
	}
	document, err := traced(s, q)
	if err != nil {
		return "", err
	}
	if slices.ContainsFunc(document.Outcomes, func(o render.Outcome) bool { return o.Certainty == string(trace.Undetermined) }) {
		return "", skipped{"the trace says undetermined"}
	}
	if slices.ContainsFunc(document.Outcomes, func(o render.Outcome) bool { return o.Code == string(trace.CodeNoCertificate) }) {
		return "", skipped{"the simulation asks for no certificates, and one is not there"}
	}
	want := c.Want
	if !c.Strict && c.Unplayed == "" {
		want = completed(want, c.Got)
	}
	told := toldBy(document, c)
	if want.Cluster+"."+defaultDomain == told.Cluster {
		want.Cluster = told.Cluster // the tests' control plane has no domain
	}
	return diff.Diff(want, ofInterest(want, told, c.Strict)), nil
}

// unmodelled are the kinds that are other work's.
func unmodelled(c simulation.Case) string {
	for _, kind := range []string{"Ingress", "HTTPRoute"} {
		if strings.Contains(c.Manifests, "\nkind: "+kind+"\n") {
			return "routes by " + kind
		}
	}
	return ""
}

func filesOf(c simulation.Case) (map[string]string, error) {
	files := map[string]string{"situation.yaml": c.Manifests}
	if c.MeshConfig != "" {
		files["mesh-config.yaml"] = c.MeshConfig
	}
	role := "sidecar"
	if c.Proxy.Gateway {
		role = "router"
	}
	objects := []any{pod(proxyPod, c.Proxy.Namespace, role, c.Proxy.Labels, c.Proxy.Addresses)}
	if c.Call.CallMode == simulation.CallModeInbound {
		role := ""
		if c.Call.TLS == simulation.MTLS {
			role = "sidecar"
			files["outer.yaml"] = outerService(c)
		}
		objects = append(objects, pod(outerPod, outerSpot, role, nil, []string{"192.0.2.1"}))
	}
	var all []string
	for _, o := range objects {
		text, err := yaml.Marshal(o)
		if err != nil {
			return nil, err
		}
		all = append(all, string(text))
	}
	files["pods.yaml"] = strings.Join(all, "---\n")
	return files, nil
}

// pod is a running pod; role is what its istio-proxy runs as, empty for none.
func pod(name, namespace, role string, labels map[string]string, addresses []string) *corev1.Pod {
	p := &corev1.Pod{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace, Labels: labels},
		Spec:       corev1.PodSpec{ServiceAccountName: name, Containers: []corev1.Container{{Name: "app", Image: "app"}}},
		Status: corev1.PodStatus{
			Phase: corev1.PodRunning, PodIP: addresses[0],
			Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}},
		},
	}
	for _, a := range addresses {
		p.Status.PodIPs = append(p.Status.PodIPs, corev1.PodIP{IP: a})
	}
	if role != "" {
		p.Spec.Containers = append(p.Spec.Containers, corev1.Container{Name: "istio-proxy", Image: "istio/proxyv2", Args: []string{"proxy", role}})
	}
	return p
}

// outerService makes the client's sidecar send mTLS with the call's ALPN to the proxy's address.
func outerService(c simulation.Case) string {
	protocol := "TCP"
	switch c.Call.Alpn {
	case "istio-http/1.1":
		protocol = "HTTP"
	case "istio-h2":
		protocol = "HTTP2"
	}
	return fmt.Sprintf(`apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: proxy, namespace: %[1]s}
spec:
  hosts: [%[2]s]
  addresses: [198.51.100.1]
  exportTo: ["."]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: %[3]d, name: port, protocol: %[4]s}]
  endpoints: [{address: %[5]s}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: proxy, namespace: %[1]s}
spec:
  host: %[2]s
  exportTo: ["."]
  trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}
`, outerSpot, outerHost, c.Call.Port, protocol, c.Proxy.Addresses[0])
}

// questionOf is the command line of the call.
func questionOf(c simulation.Case) []string {
	scheme := map[simulation.Protocol][2]trace.Scheme{
		simulation.HTTP: {trace.HTTP, trace.HTTPS}, simulation.HTTP2: {trace.GRPC, trace.GRPCS},
		simulation.TCP: {trace.TCP, trace.TLS}, "": {trace.TCP, trace.TLS},
	}[c.Call.Protocol]
	secure := c.Call.TLS == simulation.TLS
	from, host, authority := c.Proxy.Namespace+"/pod/"+proxyPod, c.Call.Address, c.Call.Headers.Get("Host")
	switch {
	case c.Proxy.Gateway:
		from, host = trace.External, cmp.Or(authority, c.Call.Address)
	case c.Call.CallMode == simulation.CallModeInbound:
		from, host = outerSpot+"/pod/"+outerPod, c.Proxy.Addresses[0]
		if c.Call.TLS == simulation.MTLS {
			host = outerHost
		}
	}
	url := string(scheme[0])
	if secure {
		url = string(scheme[1])
	}
	path := ""
	switch {
	case c.Call.Protocol == simulation.HTTP2 && c.Call.Path == "/":
		path = "/package.Service/Method"
	case trace.Scheme(url).IsHTTP():
		path = c.Call.Path
	}
	args := []string{"--from", from, url + "://" + net.JoinHostPort(host, strconv.Itoa(c.Call.Port)) + path}
	if authority != "" && trace.Scheme(url).IsHTTP() {
		args = append(args, "-H", "Host: "+authority)
	}
	if secure && c.Call.Sni != "" {
		args = append(args, "--sni", c.Call.Sni)
	}
	return args
}

// errorOfCode is what the trace's codes are to the simulation.
var errorOfCode = map[trace.Code]error{
	trace.CodeNoGatewayPort: simulation.ErrNoListener, trace.CodeNoL4Route: simulation.ErrNoListener, trace.CodeNoGateway: simulation.ErrNoListener,
	trace.CodeNoVirtualHost: simulation.ErrNoVirtualHost, trace.CodeNoRoute: simulation.ErrNoRoute,
	trace.CodeHTTPSRedirect: simulation.ErrTLSRedirect, trace.CodeListenerRejected: simulation.ErrMultipleFilterChain,
	trace.CodeMTLSRequired: simulation.ErrNoFilterChain, trace.CodeNoFilterChain: simulation.ErrNoFilterChain,
	trace.CodePlaintextToTLS: simulation.ErrTLSError, trace.CodeProtocolError: simulation.ErrProtocolError,
	trace.CodeTLSToPlaintext: simulation.ErrProtocolError, trace.CodeClientCertRequired: simulation.ErrMTLSError,
}

// toldBy is what the trace says of the proxy.
func toldBy(d *render.Document, c simulation.Case) simulation.Answer {
	direction := "outbound"
	switch {
	case c.Proxy.Gateway:
		direction = "gateway"
	case c.Call.CallMode == simulation.CallModeInbound:
		direction = "inbound"
	}
	for _, o := range d.Outcomes {
		for i, n := range o.Hops {
			h := d.Hops[n]
			if h.Direction != direction || h.Workload.Name != proxyPod {
				continue
			}
			a := simulation.Answer{
				Listener: h.Envoy.Listener, FilterChain: h.Envoy.FilterChain, RouteConfig: h.Envoy.RouteConfig,
				VirtualHost: h.Envoy.VirtualHost, Route: h.Envoy.Route, Cluster: h.Envoy.Cluster,
			}
			if i == len(o.Hops)-1 {
				a.Error = failure(o, a)
			}
			return a
		}
	}
	return simulation.Answer{Error: failure(d.Outcomes[0], simulation.Answer{})}
}

// failure is what the trace says of a proxy that ends the call, in the simulation's words where it
// has any. A share that leaves the proxy and fails behind it is none.
func failure(o render.Outcome, a simulation.Answer) string {
	err := errorOfCode[trace.Code(o.Code)]
	switch code := trace.Code(o.Code); {
	case err == simulation.ErrNoListener && a.Listener != "":
		return o.Code
	case err == simulation.ErrNoVirtualHost && a.VirtualHost != "":
		err = simulation.ErrNoRoute // of the virtual host blackhole, which has none
	case code == trace.CodeTLSRejected && a.FilterChain == "":
		err = simulation.ErrNoFilterChain
	case code == trace.CodeTLSRejected:
		err = simulation.ErrMTLSError
	case code == trace.CodeMTLSRefused && a.Cluster != "":
		return "" // the proxy hands on what the application does not understand
	case code == trace.CodeMTLSRefused:
		err = simulation.ErrProtocolError
	case err == nil && (o.Decision == string(trace.Reset) || o.Decision == string(trace.NotRouted)):
		return o.Code
	}
	if err == nil {
		return ""
	}
	return err.Error()
}

// completed is what is wanted, with what was found where the test does not say.
func completed(want, found simulation.Answer) simulation.Answer {
	for _, f := range []struct{ want, found *string }{
		{&want.Listener, &found.Listener},
		{&want.FilterChain, &found.FilterChain},
		{&want.RouteConfig, &found.RouteConfig},
		{&want.VirtualHost, &found.VirtualHost},
		{&want.Route, &found.Route},
		{&want.Cluster, &found.Cluster},
	} {
		*f.want = cmp.Or(*f.want, *f.found)
	}
	return want
}

// ofInterest is what was found, without what is of no interest to the test.
func ofInterest(want, got simulation.Answer, strict bool) simulation.Answer {
	if strict {
		return got
	}
	for _, f := range []struct{ want, got *string }{
		{&want.Listener, &got.Listener},
		{&want.FilterChain, &got.FilterChain},
		{&want.RouteConfig, &got.RouteConfig},
		{&want.VirtualHost, &got.VirtualHost},
		{&want.Route, &got.Route},
		{&want.Cluster, &got.Cluster},
	} {
		if *f.want == "" {
			*f.got = ""
		}
	}
	return got
}
