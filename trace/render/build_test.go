package render

import (
	"fmt"
	"strings"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
)

// ref reads "Kind namespace/name field".
func ref(s string) resolve.Ref {
	words := strings.Fields(s)
	if len(words) < 2 {
		return resolve.Ref{}
	}
	r := resolve.Ref{Kind: words[0]}
	namespace, name, found := strings.Cut(words[1], "/")
	if r.Namespace, r.Name = namespace, name; !found {
		r.Namespace, r.Name = "", namespace
	}
	if len(words) > 2 {
		r.Field = words[2]
	}
	return r
}

// step is a step whose reason is its last fact, as said makes it.
func step(stage resolve.Stage, verdict resolve.Verdict, rule, resource, reason string) resolve.Step {
	return resolve.Step{Stage: stage, Verdict: verdict, Rule: resolve.RuleID(rule), Ref: ref(resource), Args: []any{reason}}
}

// said stands for the rules' templates, so that a golden file shows the layout and not one rule's words.
func said(s resolve.Step) string { return fmt.Sprint(s.Args...) }

// located is where the fixtures' resources are: by kind a file, and a line for each field.
func located(r resolve.Ref) string {
	switch r.Kind {
	case "VirtualService":
		return fmt.Sprintf("reviews.yaml:%d", 10+len(r.Field))
	case "AuthorizationPolicy", "PeerAuthentication":
		return fmt.Sprintf("policies.yaml:%d", 3+len(r.Field))
	case "EnvoyFilter":
		return "manifests/lua.yaml:1"
	case "Service", "Gateway":
		return "cluster"
	}
	return ""
}

var (
	web      = trace.Source{Kind: "Deployment", Namespace: "shop", Name: "web", ServiceAccount: "web", Principal: "cluster.local/ns/shop/sa/web", Dataplane: resolve.DataplaneSidecar}
	external = trace.Source{Kind: "External", Dataplane: resolve.DataplaneNone}
	release  = resolve.Version{Release: "1.31", From: "cluster"}
)

func get(host string, port int, path string) trace.Request {
	return trace.Request{Scheme: trace.HTTP, Host: host, Port: port, Path: path, Method: "GET"}
}

// client is the outbound hop of shop/web towards a subset of reviews.
func client(subset string, steps ...resolve.Step) trace.Hop {
	h := trace.Hop{
		Proxy: resolve.DataplaneSidecar, Direction: trace.Outbound, Workload: ref("Deployment shop/web"), TLS: trace.TLSPlaintext,
		Envoy: trace.Envoy{
			Listener: "0.0.0.0_9080", RouteConfig: "9080", VirtualHost: "reviews.shop.svc.cluster.local:9080", Route: "reviews",
			Cluster: "outbound|9080|" + subset + "|reviews.shop.svc.cluster.local",
		},
		Steps: steps,
	}
	if subset == "-" {
		h.Envoy.Route, h.Envoy.Cluster = "", ""
	}
	return h
}

// server is the inbound hop of a reviews workload.
func server(workload string, tls trace.HopTLS, peer string, steps ...resolve.Step) trace.Hop {
	return trace.Hop{
		Proxy: resolve.DataplaneSidecar, Direction: trace.Inbound, Workload: ref("Deployment shop/" + workload), TLS: tls, Peer: peer,
		Envoy: trace.Envoy{
			Listener: "virtualInbound", FilterChain: "0.0.0.0_9080", RouteConfig: "inbound|9080||",
			VirtualHost: "inbound|http|9080", Route: "default", Cluster: "inbound|9080||",
		},
		Steps: steps,
	}
}

func towards(subset string, endpoints int, workloads ...string) trace.Destination {
	d := trace.Destination{
		Host: "reviews.shop.svc.cluster.local", Port: 9080, Subset: subset,
		EnvoyCluster: "outbound|9080|" + subset + "|reviews.shop.svc.cluster.local", Endpoints: endpoints, TargetPort: 9080,
	}
	for _, w := range workloads {
		d.Workloads = append(d.Workloads, ref("Deployment shop/"+w))
	}
	return d
}
