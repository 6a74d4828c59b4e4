package render

import (
	"fmt"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
)

// fixtures are the traces the golden files show, by the name of the file.
func fixtures() map[string]*trace.Trace {
	return map[string]*trace.Trace{
		"delivered":      deliveredFixture(),
		"notrouted":      notRoutedFixture(),
		"denied":         deniedFixture(),
		"weighted":       weightedFixture(),
		"reset":          resetFixture(),
		"resetbehind":    resetBehindFixture(),
		"unavailable":    unavailableFixture(),
		"undetermined":   undeterminedFixture(),
		"hostile":        hostileFixture(),
		"redirected":     redirectedFixture(),
		"nested":         nestedFixture(),
		"ambient":        ambientFixture(),
		"overlooked":     overlookedFixture(),
		"overlookedfork": overlookedForkFixture(),
		"empty":          {},
	}
}

// deliveredFixture enters by a gateway and ends behind a sidecar.
func deliveredFixture() *trace.Trace {
	q := get("shop.example.com", 443, "/api/reviews/0")
	q.Scheme, q.Query = trace.HTTPS, "full=1"
	q.Headers = map[string]string{"x-user": "a", "authorization": "Bearer secret"}
	return &trace.Trace{
		Request: q, Source: external, Istio: release,
		Outcomes: []trace.Outcome{{
			Weight: 100, Decision: trace.Delivered, Certainty: trace.Certain,
			Reason:      "uri prefix /api/reviews is the first match of the host",
			By:          ref("VirtualService shop/reviews spec.http[0]"),
			Destination: towards("v1", 2, "reviews-v1"),
			Forwarded:   &trace.Forwarded{Method: "GET", Host: "shop.example.com", Path: "/reviews/0?full=1", Headers: map[string]string{"x-added": "1"}, Removed: []string{"x-debug"}},
			Hops:        []int{0, 1},
		}},
		Hops: []trace.Hop{
			{
				Proxy: resolve.DataplaneGateway, Direction: trace.AtGateway, Workload: ref("Deployment istio-system/istio-ingressgateway"), TLS: trace.TLSSimple,
				Envoy: trace.Envoy{
					Listener: "0.0.0.0_8443", FilterChain: "shop.example.com", RouteConfig: "https.443.https.shop.shop",
					VirtualHost: "shop.example.com:443", Route: "api", Cluster: "outbound|9080|v1|reviews.shop.svc.cluster.local",
				},
				Steps: []resolve.Step{
					step(resolve.StageGateway, resolve.Matched, "gateway/server", "Gateway shop/shop spec.servers[0]", "port 443 with SNI shop.example.com"),
					step(resolve.StageRoute, resolve.Matched, "route/uri-prefix", "VirtualService shop/reviews spec.http[0].match[0]", "uri begins with /api/reviews"),
					step(resolve.StageFilter, resolve.Applied, "route/rewrite", "VirtualService shop/reviews spec.http[0].rewrite", "path becomes /reviews/0"),
					step(resolve.StageDestinationRule, resolve.Matched, "destinationrule/service-namespace", "DestinationRule shop/reviews spec.subsets[0]", "the service's namespace defines subset v1"),
				},
			},
			server("reviews-v1", trace.TLSMutual, "cluster.local/ns/istio-system/sa/istio-ingressgateway",
				step(resolve.StagePeerAuthentication, resolve.None, "peerauthentication/default", "", "no PeerAuthentication selects shop/reviews-v1; Istio's default is PERMISSIVE"),
				step(resolve.StageAuthorizationPolicy, resolve.None, "authorizationpolicy/none", "", "no AuthorizationPolicy selects shop/reviews-v1: everyone may call it")),
		},
	}
}

// notRoutedFixture is a 404 with its nearest misses, as the view fails leaves them.
func notRoutedFixture() *trace.Trace {
	miss := func(i int, prefix string) resolve.Step {
		return step(resolve.StageRoute, resolve.Skipped, "route/uri-prefix", fmt.Sprintf("VirtualService shop/reviews spec.http[%d].match[0]", i), "uri does not begin with "+prefix).
			Unlike(`uri prefix "`+prefix+`"`, `"/ratings"`)
	}
	h := client("-",
		step(resolve.StageHost, resolve.Matched, "virtualhost/exact", "Service shop/reviews", "reviews.shop is this Service"),
		miss(6, "/reviews"), miss(7, "/Ratings"),
		step(resolve.StageRoute, resolve.None, "route/none", "VirtualService shop/reviews spec.http", "none of 8 routes takes the request"))
	h.Omitted = []trace.Omission{{Stage: resolve.StageRoute, Before: 1, Count: 6}}
	return &trace.Trace{
		Request: get("reviews.shop", 80, "/ratings"), Source: web, Istio: release,
		Outcomes: []trace.Outcome{{
			Weight: 100, Decision: trace.NotRouted, HTTPStatus: 404, ResponseFlags: "NR", ResponseCodeDetails: "route_not_found", Code: "NO_ROUTE", Certainty: trace.Certain,
			Reason: "none of its 8 routes takes GET /ratings", By: ref("VirtualService shop/reviews spec.http"), Hops: []int{0},
		}},
		Hops: []trace.Hop{h},
	}
}

// deniedFixture is refused because ALLOW policies exist and none matches.
func deniedFixture() *trace.Trace {
	return &trace.Trace{
		Request: get("reviews.shop", 9080, "/"), Source: web, Istio: release,
		Outcomes: []trace.Outcome{{
			Weight: 100, Decision: trace.Denied, HTTPStatus: 403, ResponseCodeDetails: "rbac_access_denied_matched_policy[none]", Code: "AUTHZ_NO_ALLOW", Certainty: trace.Certain,
			Reason: "ALLOW policies select shop/reviews-v1 and none allows shop/web", By: ref("AuthorizationPolicy shop/readers"),
			Destination: towards("", 2, "reviews-v1"), Hops: []int{0, 1},
		}},
		Hops: []trace.Hop{
			client("", step(resolve.StageRoute, resolve.Matched, "route/default", "Service shop/reviews", "no VirtualService has the host: the Service's own route")),
			server("reviews-v1", trace.TLSMutual, "cluster.local/ns/shop/sa/web",
				step(resolve.StagePeerAuthentication, resolve.Allowed, "peerauthentication/strict", "PeerAuthentication istio-system/default spec.mtls.mode", "STRICT, and the client speaks mTLS"),
				step(resolve.StageAuthorizationPolicy, resolve.Skipped, "authorizationpolicy/rule", "AuthorizationPolicy shop/readers spec.rules[0].from[0].source", "the caller is another").
					Unlike("principal cluster.local/ns/shop/sa/reader", "cluster.local/ns/shop/sa/web"),
				step(resolve.StageAuthorizationPolicy, resolve.DeniedBy, "authorizationpolicy/no-allow", "AuthorizationPolicy shop/readers", "1 ALLOW policy, no rule matched")),
		},
	}
}

// overlookedFixture arrives, past a VirtualService that somebody wrote for it.
func overlookedFixture() *trace.Trace {
	t := deliveredFixture()
	meant := step(resolve.StageHost, resolve.Skipped, "virtualhost/gateways", "VirtualService shop/canary spec.gateways", "its gateways are shop/internal alone")
	meant.Meant = true
	t.Hops[0].Steps = append(t.Hops[0].Steps[:1:1], append([]resolve.Step{meant}, t.Hops[0].Steps[1:]...)...)
	return t
}

// overlookedForkFixture forks, past the same.
func overlookedForkFixture() *trace.Trace {
	t := weightedFixture()
	meant := step(resolve.StageHost, resolve.Skipped, "virtualhost/export-to", "VirtualService ops/canary spec.exportTo", "it is not exported to shop")
	meant.Meant = true
	for _, i := range []int{0, 2} {
		t.Hops[i].Steps = append([]resolve.Step{meant}, t.Hops[i].Steps...)
	}
	return t
}

// weightedFixture forks in the client's hop to two subsets.
func weightedFixture() *trace.Trace {
	shared := []resolve.Step{
		step(resolve.StageHost, resolve.Matched, "virtualhost/exact", "Service shop/reviews", "reviews.shop is this Service"),
		step(resolve.StageRoute, resolve.Matched, "route/first", "VirtualService shop/reviews spec.http[0]", "no match clause: takes every request"),
	}
	branch := func(i int, subset string) trace.Hop {
		return client(subset, append(shared[:len(shared):len(shared)],
			step(resolve.StageLoadBalance, resolve.Matched, "route/weight", fmt.Sprintf("VirtualService shop/reviews spec.http[0].route[%d]", i), "by weight"),
			step(resolve.StageDestinationRule, resolve.Applied, "destinationrule/subset", fmt.Sprintf("DestinationRule shop/reviews spec.subsets[%d]", i), "subset "+subset))...)
	}
	peer := "cluster.local/ns/shop/sa/web"
	outcome := func(weight float64, subset string, hops ...int) trace.Outcome {
		return trace.Outcome{
			Weight: weight, Decision: trace.Delivered, Certainty: trace.Certain, Reason: "by weight", By: ref("VirtualService shop/reviews spec.http[0]"),
			Destination: towards(subset, len(hops), "reviews-"+subset), Hops: hops,
		}
	}
	return &trace.Trace{
		Request: get("reviews.shop", 9080, "/"), Source: web, Istio: release,
		Outcomes: []trace.Outcome{outcome(80, "v1", 0, 1), outcome(20, "v2", 2, 3)},
		Hops: []trace.Hop{
			branch(0, "v1"), server("reviews-v1", trace.TLSMutual, peer),
			branch(1, "v2"), server("reviews-v2", trace.TLSMutual, peer,
				step(resolve.StageAuthorizationPolicy, resolve.Allowed, "authorizationpolicy/allow", "AuthorizationPolicy shop/readers spec.rules[0]", "rule 0 allows everyone")),
		},
	}
}

// resetFixture breaks between a client in plaintext and a STRICT server.
func resetFixture() *trace.Trace {
	source := web
	source.Dataplane, source.Principal = resolve.DataplaneNone, ""
	return &trace.Trace{
		Request: get("reviews.shop", 9080, "/"), Source: source, Istio: release,
		Outcomes: []trace.Outcome{{
			Weight: 100, Decision: trace.Reset, Code: "MTLS_REQUIRED", Certainty: trace.Certain,
			Reason:      "shop/reviews-v1 takes mTLS only, shop/web has no sidecar and sends plaintext",
			By:          ref("PeerAuthentication istio-system/default spec.mtls.mode"),
			Destination: towards("", 1, "reviews-v1"), Hops: []int{0, 1},
		}},
		Hops: []trace.Hop{
			{
				Proxy: resolve.DataplaneNone, Direction: trace.Outbound, Workload: ref("Deployment shop/web"), TLS: trace.TLSPlaintext,
				Steps: []resolve.Step{step(resolve.StageCapture, resolve.None, "injection/none", "Namespace shop metadata.labels", "the namespace has no injection label")},
			},
			refusing(server("reviews-v1", trace.TLSPlaintext, "",
				step(resolve.StagePeerAuthentication, resolve.DeniedBy, "peerauthentication/strict", "PeerAuthentication istio-system/default spec.mtls.mode", "STRICT refuses plaintext").
					Unlike("mTLS", "plaintext"))),
		},
	}
}

// refusing is a hop that no connection gets into: it chooses nothing.
func refusing(h trace.Hop) trace.Hop {
	h.Envoy = trace.Envoy{Listener: h.Envoy.Listener}
	return h
}

// resetBehindFixture breaks behind the proxy that receives, on the way to its application.
func resetBehindFixture() *trace.Trace {
	return &trace.Trace{
		Request: get("reviews.shop", 9080, "/"), Source: web, Istio: release,
		Outcomes: []trace.Outcome{{
			Weight: 100, Decision: trace.Reset, HTTPStatus: 503, ResponseFlags: "URX,UF", Code: "MTLS_NOT_UNDERSTOOD", Certainty: trace.Certain,
			Reason: "mode DISABLE hands mTLS on, and the application cannot read it", By: ref("PeerAuthentication shop/default spec.mtls.mode"),
			Destination: towards("", 1, "reviews-v1"), Hops: []int{0, 1},
		}},
		Hops: []trace.Hop{
			client("", step(resolve.StageRoute, resolve.Matched, "route/default", "Service shop/reviews", "the Service's own route")),
			server("reviews-v1", trace.TLSMutual, "",
				step(resolve.StageTLS, resolve.None, "tls/disable", "PeerAuthentication shop/default spec.mtls.mode", "the bytes go on as they are")),
		},
	}
}

// unavailableFixture names a subset that no DestinationRule defines.
func unavailableFixture() *trace.Trace {
	return &trace.Trace{
		Request: get("reviews.shop", 9080, "/"), Source: web, Istio: release,
		Outcomes: []trace.Outcome{{
			Weight: 100, Decision: trace.Unavailable, HTTPStatus: 503, ResponseFlags: "NC", ResponseCodeDetails: "cluster_not_found", Code: "SUBSET_UNDEFINED", Certainty: trace.Certain,
			Reason:      "no DestinationRule that shop/web sees defines subset v3 of reviews.shop.svc.cluster.local",
			By:          ref("VirtualService shop/reviews spec.http[0].route[0].destination.subset"),
			Destination: towards("v3", 0), Hops: []int{0},
		}},
		Hops: []trace.Hop{client("v3",
			step(resolve.StageRoute, resolve.Matched, "route/first", "VirtualService shop/reviews spec.http[0]", "no match clause: takes every request"),
			step(resolve.StageDestinationRule, resolve.Skipped, "destinationrule/export-to", "DestinationRule other/reviews spec.exportTo", "not exported to shop").Unlike("exportTo shop", `"."`),
			step(resolve.StageDestinationRule, resolve.None, "destinationrule/subset-undefined", "DestinationRule shop/reviews spec.subsets", "defines v1 and v2, not v3"))},
	}
}

// undeterminedFixture has an assumed and an undetermined outcome, and warnings.
func undeterminedFixture() *trace.Trace {
	t := weightedFixture()
	t.Source.Assumed = "no --from: a workload of namespace shop with a sidecar"
	t.Outcomes[0].Certainty, t.Outcomes[0].Reason = trace.Assumed, "if EnvoyFilter shop/lua changes nothing"
	t.Outcomes[1].Certainty, t.Outcomes[1].Decision, t.Outcomes[1].HTTPStatus = trace.Undetermined, trace.Denied, 403
	t.Outcomes[1].By, t.Outcomes[1].Reason, t.Outcomes[1].Code = ref("AuthorizationPolicy shop/ask spec.provider"), "ext-authz.shop decides, and it can not be asked", "EXT_AUTHZ"
	lua := trace.Warning{Ref: ref("EnvoyFilter shop/lua"), Message: "patches this listener; its effect is not modelled"}
	t.Warnings = []trace.Warning{lua, {Message: "Secrets may not be listed; every credential is taken to exist"}, lua}
	t.Hops[3].Steps = append(t.Hops[3].Steps, step(resolve.StageExtension, resolve.Warned, "extension/envoyfilter", "EnvoyFilter shop/lua spec.configPatches[0]", "a Lua filter is inserted"))
	return t
}

// hostileFixture has terminal escapes, bidirectional overrides and line breaks wherever a string can come from outside.
func hostileFixture() *trace.Trace {
	const evil = "\x1b[2J\u202e\n\u009b31m\xff"
	r := resolve.Ref{Kind: "VirtualService" + evil, Namespace: "shop" + evil, Name: "x" + evil, Field: "spec.http[0]" + evil}
	q := get("reviews"+evil, 80, "/"+evil)
	q.Query, q.Method, q.SNI = evil, "GET"+evil, "sni"+evil
	q.Headers = map[string]string{"x" + evil: "v" + evil, "host": "h" + evil}
	return &trace.Trace{
		Request: q,
		Source:  trace.Source{Kind: "Pod" + evil, Namespace: "n" + evil, Name: "p" + evil, ServiceAccount: "sa" + evil, Principal: "id" + evil, Dataplane: "d" + evil, Assumed: "a" + evil},
		Istio:   resolve.Version{Release: "1" + evil, From: "f" + evil},
		Outcomes: []trace.Outcome{{
			Weight: 50, Decision: trace.Redirected, HTTPStatus: 301, ResponseFlags: "RF" + evil, ResponseCodeDetails: "d" + evil, Code: trace.Code("C" + evil),
			Certainty: trace.Certain, Reason: "r" + evil, Location: "https://" + evil, By: r,
			Destination: trace.Destination{Host: "h" + evil, Subset: "s" + evil, EnvoyCluster: "c" + evil, Workloads: []resolve.Ref{r}},
			Forwarded:   &trace.Forwarded{Method: "M" + evil, Host: "H" + evil, Path: "P" + evil, Headers: map[string]string{"k" + evil: "v" + evil}, Removed: []string{"r" + evil}},
			Hops:        []int{0, 7, -1},
		}, {Weight: 50, Decision: trace.Decision("D" + evil), Certainty: trace.Certainty("c" + evil)}},
		Hops: []trace.Hop{{
			Proxy: resolve.Dataplane("p" + evil), Direction: trace.Direction("d" + evil), Workload: r, TLS: trace.HopTLS("t" + evil), Peer: "id" + evil,
			Envoy: trace.Envoy{Listener: "l" + evil, FilterChain: "f" + evil, RouteConfig: "r" + evil, VirtualHost: "v" + evil, Route: "r" + evil, Cluster: "c" + evil},
			Steps: []resolve.Step{{
				Stage: resolve.Stage("S" + evil), Verdict: resolve.Verdict("v" + evil), Rule: resolve.RuleID("r" + evil), Ref: r,
				Expected: "e" + evil, Actual: "a" + evil, Args: []any{"because" + evil},
			}, {
				Stage: resolve.StageHost, Verdict: resolve.Skipped, Rule: resolve.RuleID("r" + evil), Meant: true,
				Ref: resolve.Ref{Kind: "K" + evil, Namespace: "n" + evil, Name: "o" + evil}, Args: []any{"overlooked" + evil},
			}},
			Omitted: []trace.Omission{{Stage: resolve.Stage("S" + evil), Before: 9, Count: 1}},
		}},
		Warnings: []trace.Warning{{Ref: r, Message: "w" + evil}},
	}
}

// redirectedFixture is answered by the gateway itself.
func redirectedFixture() *trace.Trace {
	return &trace.Trace{
		Request: get("shop.example.com", 80, "/"), Source: external, Istio: release,
		Outcomes: []trace.Outcome{{
			Weight: 100, Decision: trace.Redirected, HTTPStatus: 301, Code: "HTTPS_REDIRECT", Certainty: trace.Certain,
			Reason: "the server redirects to HTTPS", By: ref("Gateway shop/shop spec.servers[0].tls.httpsRedirect"), Location: "https://shop.example.com/", Hops: []int{0},
		}},
		Hops: []trace.Hop{{
			Proxy: resolve.DataplaneGateway, Direction: trace.AtGateway, Workload: ref("Deployment istio-system/istio-ingressgateway"), TLS: trace.TLSPlaintext,
			Steps: []resolve.Step{step(resolve.StageGateway, resolve.Applied, "gateway/https-redirect", "Gateway shop/shop spec.servers[0].tls.httpsRedirect", "every request is redirected")},
		}},
	}
}

// nestedFixture aborts a share, then forks by weight: a fork in a branch of a fork.
func nestedFixture() *trace.Trace {
	t := weightedFixture()
	for i := range t.Hops {
		if i%2 == 0 {
			passed := step(resolve.StageFilter, resolve.Applied, "route/fault-passed", "VirtualService shop/reviews spec.http[0].fault.abort", "90% are not aborted")
			steps := t.Hops[i].Steps
			t.Hops[i].Steps = append(append(append([]resolve.Step{}, steps[:2]...), passed), steps[2:]...)
		}
	}
	t.Outcomes[0].Weight, t.Outcomes[1].Weight = 72, 18
	t.Hops = append(t.Hops, client("-", append(append([]resolve.Step{}, t.Hops[0].Steps[:2]...),
		step(resolve.StageFilter, resolve.Applied, "route/fault-abort", "VirtualService shop/reviews spec.http[0].fault.abort", "10% are aborted with 503"))...))
	t.Outcomes = append(t.Outcomes, trace.Outcome{
		Weight: 10, Decision: trace.Responded, HTTPStatus: 503, ResponseFlags: "FI", ResponseCodeDetails: "fault_filter_abort", Code: "FAULT_ABORT", Certainty: trace.Certain,
		Reason: "a fault aborts 10% of the requests", By: ref("VirtualService shop/reviews spec.http[0].fault.abort"), Hops: []int{4},
	})
	return t
}

// ambientFixture goes through ztunnels and a waypoint to several workloads, over TCP.
func ambientFixture() *trace.Trace {
	source := web
	source.Dataplane = resolve.DataplaneAmbient
	hop := func(proxy resolve.Dataplane, direction trace.Direction, workload string, tls trace.HopTLS, peer string) trace.Hop {
		return trace.Hop{Proxy: proxy, Direction: direction, Workload: ref(workload), TLS: tls, Peer: peer}
	}
	return &trace.Trace{
		Request: trace.Request{Scheme: trace.TCP, Host: "2001:db8::1", Port: 5432}, Source: source, Istio: release,
		Outcomes: []trace.Outcome{{
			Weight: 100, Decision: trace.Delivered, Certainty: trace.Assumed, Reason: "if the waypoint's Wasm module lets it pass",
			Destination: towards("", 5, "a", "b", "c", "d", "e"), Hops: []int{0, 1, 2},
		}},
		Hops: []trace.Hop{
			hop(resolve.DataplaneAmbient, trace.Outbound, "Deployment shop/web", trace.TLSPlaintext, ""),
			hop(resolve.DataplaneWaypoint, trace.Inbound, "Deployment shop/waypoint", trace.TLSHBONE, "cluster.local/ns/shop/sa/web"),
			hop(resolve.DataplaneAmbient, trace.Inbound, "Deployment shop/a", trace.TLSHBONE, "cluster.local/ns/shop/sa/waypoint"),
		},
	}
}
