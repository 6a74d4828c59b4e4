package resolve

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	meshconfig "istio.io/api/mesh/v1alpha1"
	networking "istio.io/api/networking/v1alpha3"
)

// routeOf is the first route of a VirtualService with one http entry.
func routeOf(t testing.TB, entry string) *Route {
	t.Helper()
	routes, _ := routesOf(t, "- "+strings.ReplaceAll(strings.TrimSpace(entry), "\n", "\n  "), 8080, MeshGateway, &Workload{})
	if len(routes) == 0 {
		t.Fatalf("no route of %s", entry)
	}
	return routes[0]
}

func TestActionOf(t *testing.T) {
	tests := []struct {
		name, entry string
		want        RouteAction
		steps       []string
	}{
		{"route", "route: [{destination: {host: a}}]", RouteForwards, nil},
		{"redirect", "redirect: {uri: /x}", RouteRedirects, []string{"applied route/redirect shop/v spec.http[0].redirect: answers with a redirect (301)"}},
		{
			"redirect before all", "redirect: {redirectCode: 308}\ndirectResponse: {status: 200}\nroute: [{destination: {host: a}}]", RouteRedirects,
			[]string{
				"applied route/redirect shop/v spec.http[0].redirect: answers with a redirect (308)",
				"skipped route/action-precedence shop/v spec.http[0].directResponse: not used: the rule also has a redirect",
				"skipped route/action-precedence shop/v spec.http[0].route: not used: the rule also has a redirect",
			},
		},
		{
			"direct response before route", "directResponse: {status: 418}\nroute: [{destination: {host: a}}]", RouteResponds,
			[]string{
				"applied route/direct-response shop/v spec.http[0].directResponse: answers by itself with status 418",
				"skipped route/action-precedence shop/v spec.http[0].route: not used: the rule also has a directResponse",
			},
		},
		{
			"direct response that is none", "directResponse: {status: 7}", RouteInvalid,
			[]string{"warning route/direct-response-status shop/v spec.http[0].directResponse.status: status 7 is not from 200 to 599: Envoy refuses the whole route configuration"},
		},
		{
			"redirect code that is none", "redirect: {redirectCode: 305}", RouteInvalid,
			[]string{"warning route/redirect-code shop/v spec.http[0].redirect.redirectCode: redirect code 305 is not supported: Envoy refuses the whole route configuration"},
		},
		{
			"nothing", "name: x", RouteInvalid,
			[]string{"warning route/no-destination shop/v spec.http[0]: the rule has no destination with weight: Envoy refuses the whole route configuration"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, steps := ActionOf(routeOf(t, tt.entry))
			if got != tt.want {
				t.Errorf("want %s, got %s", tt.want, got)
			}
			if diff := cmp.Diff(tt.steps, routeStepLines(t, steps)); diff != "" {
				t.Error(diff)
			}
		})
	}
	if got, _ := ActionOf(DefaultRoute(&Service{}, 80)); got != RouteForwards {
		t.Errorf("a default route forwards, got %s", got)
	}
}

func TestDirectResponse(t *testing.T) {
	for entry, want := range map[string]string{
		"directResponse: {status: 503, body: {string: sorry}}": "503 sorry",
		"directResponse: {status: 200, body: {bytes: aGk=}}":   "200 hi",
		"name: x": "0 ",
	} {
		status, body := DirectResponse(routeOf(t, entry))
		if got := fmt.Sprintf("%d %s", status, body); got != want {
			t.Errorf("%s: want %q, got %q", entry, want, got)
		}
	}
}

func TestDestinations(t *testing.T) {
	tests := []struct {
		name, entry string
		want        []string
	}{
		{"one, weight ignored", "route: [{destination: {host: a.b}, weight: 0}]", []string{"a.b 100 spec.http[0].route[0]"}},
		{
			"shares by the sum, zero dropped", "route: [{destination: {host: a.b}, weight: 1}, {destination: {host: c.d}}, {destination: {host: e.f}, weight: 3}]",
			[]string{"a.b 25 spec.http[0].route[0]", "e.f 75 spec.http[0].route[2]"},
		},
		{"all zero", "route: [{destination: {host: a.b}}, {destination: {host: c.d}}]", nil},
		{"none", "name: x", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for _, d := range Destinations(routeOf(t, tt.entry)) {
				got = append(got, fmt.Sprintf("%s %g %s", d.Destination.GetHost(), d.Weight, d.Ref.Field))
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
	d := Destinations(DefaultRoute(&Service{Hostname: "a.b"}, 80))
	if len(d) != 1 || d[0].Destination.GetHost() != "a.b" || d[0].Destination.GetPort().GetNumber() != 80 || d[0].Weight != 100 {
		t.Errorf("want all of it to a.b:80, got %v", d)
	}
}

func TestMirrors(t *testing.T) {
	tests := []struct {
		name, entry string
		want        []string
	}{
		{"all by default", "mirror: {host: a.b}", []string{"applied route/mirror shop/v spec.http[0].mirror: a.b gets a copy of 100 percent of the requests"}},
		{"percentage before the older percent", "mirror: {host: a.b}\nmirrorPercentage: {value: 0.5}\nmirrorPercent: 20", []string{"applied route/mirror shop/v spec.http[0].mirror: a.b gets a copy of 0.5 percent of the requests"}},
		{"the older percent", "mirror: {host: a.b}\nmirrorPercent: 20", []string{"applied route/mirror shop/v spec.http[0].mirror: a.b gets a copy of 20 percent of the requests"}},
		{"zero", "mirror: {host: a.b}\nmirrorPercentage: {}", nil},
		{
			"several", "mirrors: [{destination: {host: a.b}, percentage: {value: 0}}, {percentage: {value: 3}}, {destination: {host: c.d}, percentage: {value: 3}}, {destination: {host: e.f}}]",
			[]string{
				"applied route/mirror shop/v spec.http[0].mirrors[2]: c.d gets a copy of 3 percent of the requests",
				"applied route/mirror shop/v spec.http[0].mirrors[3]: e.f gets a copy of 100 percent of the requests",
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			mirrors, steps := Mirrors(routeOf(t, tt.entry))
			if diff := cmp.Diff(tt.want, routeStepLines(t, steps)); diff != "" || len(mirrors) != len(tt.want) {
				t.Errorf("%d mirrors, %s", len(mirrors), diff)
			}
		})
	}
}

func TestTimeoutAndRetries(t *testing.T) {
	mesh := &Mesh{MeshConfig: &meshconfig.MeshConfig{DefaultHttpRetryPolicy: &networking.HTTPRetry{Attempts: 5, RetryOn: "5xx"}}, Ref: Ref{Kind: "ConfigMap", Namespace: "istio-system", Name: "istio"}}
	plain := &Mesh{MeshConfig: DefaultMeshConfig()}
	tests := []struct {
		name, entry string
		mesh        *Mesh
		want        []string
	}{
		{"defaults", "name: x", plain, []string{
			"none route/no-timeout: no timeout is set, and Istio has none by default",
			"none route/retries-default: no retries are set; Istio's default is at most 2, on connect-failure, refused-stream, unavailable, cancelled, retriable-status-codes",
		}},
		{"the mesh's", "timeout: 0s", mesh, []string{
			"none route/no-timeout: no timeout is set, and Istio has none by default",
			"applied route/retries-mesh istio-system/istio defaultHttpRetryPolicy: the mesh config sets at most 5 retries, on 5xx",
		}},
		{"the route's", "timeout: 2.5s\nretries: {attempts: 3, retryOn: \"gateway-error, 503,306,\", perTryTimeout: 1s}", mesh, []string{
			"applied route/timeout shop/v spec.http[0].timeout: timeout 2.5s",
			"applied route/retries shop/v spec.http[0].retries: at most 3 retries, on gateway-error, 306, retriable-status-codes, 503",
		}},
		{"off", "retries: {attempts: 0}", mesh, []string{
			"none route/no-timeout: no timeout is set, and Istio has none by default",
			"applied route/retries shop/v spec.http[0].retries: at most 0 retries, on nothing",
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := routeOf(t, tt.entry)
			_, timeout := Timeout(r)
			_, retries := Retries(r, tt.mesh)
			if diff := cmp.Diff(tt.want, routeStepLines(t, []Step{timeout, retries})); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestFault(t *testing.T) {
	tests := []struct {
		name, entry string
		want        string
		steps       []string
	}{
		{name: "none", entry: "name: x", want: "abort 0% 0  delay 0% 0s"},
		{
			name: "abort and delay", entry: "fault: {abort: {httpStatus: 503, percentage: {value: 0.12345}}, delay: {fixedDelay: 2s, percentage: {value: 50}}}",
			want: "abort 0.1234% 503  delay 50% 2s",
			steps: []string{
				"applied fault/delay shop/v spec.http[0].fault.delay: 50 percent of the requests are held back for 2s",
				"applied fault/abort shop/v spec.http[0].fault.abort: 0.1234 percent of the requests are aborted with status 503",
			},
		},
		{
			name: "no percentage", entry: "fault: {abort: {httpStatus: 503}, delay: {fixedDelay: 2s}}", want: "abort 0% 503  delay 0% 2s",
			steps: []string{
				"skipped fault/no-percentage shop/v spec.http[0].fault.delay: the fault has no percentage (or 0), so it hits no request",
				"skipped fault/no-percentage shop/v spec.http[0].fault.abort: the fault has no percentage (or 0), so it hits no request",
			},
		},
		{
			name: "the older percent of a delay", entry: "fault: {delay: {fixedDelay: 2s, percent: 30}}", want: "abort 0% 0  delay 30% 2s",
			steps: []string{"applied fault/delay shop/v spec.http[0].fault.delay: 30 percent of the requests are held back for 2s"},
		},
		{
			name: "grpc status", entry: "fault: {abort: {grpcStatus: UNAVAILABLE, percentage: {value: 100}}}", want: "abort 100% 200 UNAVAILABLE delay 0% 0s",
			steps: []string{"applied fault/abort shop/v spec.http[0].fault.abort: 100 percent of the requests are aborted with gRPC status UNAVAILABLE"},
		},
		{
			name: "http status", entry: "fault: {abort: {httpStatus: 503, percentage: {value: 100}}}", want: "abort 100% 503  delay 0% 0s",
			steps: []string{"applied fault/abort shop/v spec.http[0].fault.abort: 100 percent of the requests are aborted with status 503"},
		},
		{name: "neither status nor delay", entry: "fault: {abort: {percentage: {value: 100}}, delay: {percentage: {value: 100}}}", want: "abort 0% 0  delay 0% 0s"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f, steps := Fault(routeOf(t, tt.entry))
			got := fmt.Sprintf("abort %g%% %d %s delay %g%% %s", f.AbortPercent, f.AbortStatus, f.AbortGRPC, f.DelayPercent, f.Delay)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(tt.steps, routeStepLines(t, steps)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestCORS(t *testing.T) {
	const route = "\nroute: [{destination: {host: a}}]"
	preflight := func(origin string) *HTTPRequest {
		return &HTTPRequest{Method: "OPTIONS", Headers: map[string]string{"origin": origin, "access-control-request-method": "PUT"}}
	}
	tests := []struct {
		name, entry string
		q           *HTTPRequest
		want        Truth
		steps       []string
	}{
		{"no policy", "name: x" + route, preflight("http://a"), False, nil},
		{
			"allowed", "corsPolicy: {allowOrigins: [{exact: http://a}]}" + route, preflight("http://a"), True,
			[]string{`matched cors/preflight-answered shop/v spec.http[0].corsPolicy: the proxy answers the preflight by itself: origin "http://a" is allowed`},
		},
		{
			"another origin is forwarded", "corsPolicy: {allowOrigins: [{exact: http://a}, {}]}" + route, preflight("http://b"), False,
			[]string{`skipped cors/preflight-unmatched-forwarded shop/v spec.http[0].corsPolicy: origin "http://b" is not allowed, so the preflight goes on to the destination`},
		},
		{
			"another origin is answered", "corsPolicy: {unmatchedPreflights: IGNORE}" + route, preflight("http://b"), True,
			[]string{`matched cors/preflight-unmatched-ignored shop/v spec.http[0].corsPolicy.unmatchedPreflights: the proxy answers the preflight without CORS headers: origin "http://b" is not allowed, and unmatchedPreflights is IGNORE`},
		},
		{
			"the star allows all", "corsPolicy: {allowOrigins: [{exact: \"*\"}]}" + route, preflight("http://b"), True,
			[]string{`matched cors/preflight-answered shop/v spec.http[0].corsPolicy: the proxy answers the preflight by itself: origin "http://b" is allowed`},
		},
		{
			"the older list", "corsPolicy: {allowOrigin: [http://b]}" + route, preflight("http://b"), True,
			[]string{`matched cors/preflight-answered shop/v spec.http[0].corsPolicy: the proxy answers the preflight by itself: origin "http://b" is allowed`},
		},
		{
			"the newer list hides the older", "corsPolicy: {allowOrigins: [{prefix: https}], allowOrigin: [http://b]}" + route, preflight("http://b"), False,
			[]string{`skipped cors/preflight-unmatched-forwarded shop/v spec.http[0].corsPolicy: origin "http://b" is not allowed, so the preflight goes on to the destination`},
		},
		{
			"refused regex", "corsPolicy: {allowOrigins: [{regex: \"(\"}]}" + route, preflight("http://b"), Unknown,
			[]string{`warning cors/preflight-undecidable shop/v spec.http[0].corsPolicy: whether origin "http://b" is allowed can not be decided: regex "(" is not valid RE2`},
		},
		{"not OPTIONS", "corsPolicy: {allowOrigins: [{exact: http://a}]}" + route, &HTTPRequest{Method: "GET", Headers: map[string]string{"origin": "http://a"}}, False, nil},
		{"no method asked for", "corsPolicy: {allowOrigins: [{exact: http://a}]}" + route, &HTTPRequest{Method: "OPTIONS", Headers: map[string]string{"origin": "http://a"}}, False, nil},
		{"a redirect comes first", "corsPolicy: {allowOrigins: [{exact: http://a}]}\nredirect: {uri: /}", preflight("http://a"), False, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, steps := CORS(routeOf(t, tt.entry), tt.q)
			if got != tt.want {
				t.Errorf("want %d, got %d", tt.want, got)
			}
			if diff := cmp.Diff(tt.steps, routeStepLines(t, steps)); diff != "" {
				t.Error(diff)
			}
		})
	}
}
