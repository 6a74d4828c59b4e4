package fromlog

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/mesh-trace/kubectl-mesh-trace/cmd/accesslog"
	"github.com/mesh-trace/kubectl-mesh-trace/cmd/load"
	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
)

// manifests are a mesh as a cluster has it: pods with addresses and Services with theirs.
const manifests = `
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {istio-injection: enabled}}
---
apiVersion: v1
kind: Service
metadata: {name: reviews, namespace: shop}
spec: {clusterIP: 10.96.0.7, selector: {app: reviews}, ports: [{name: http, port: 80, targetPort: 9080}, {name: tcp, port: 3306}]}
---
apiVersion: v1
kind: Pod
metadata: {name: reviews-1, namespace: shop, labels: {app: reviews, security.istio.io/tlsMode: istio}}
spec: {serviceAccountName: reviews, containers: [{name: app, image: app}, {name: istio-proxy, image: proxyv2, args: [proxy, sidecar]}]}
status: {phase: Running, podIP: 10.1.0.7, podIPs: [{ip: 10.1.0.7}]}
---
apiVersion: v1
kind: Pod
metadata: {name: web-1, namespace: shop, labels: {app: web, security.istio.io/tlsMode: istio}}
spec: {serviceAccountName: web, containers: [{name: app, image: app}, {name: istio-proxy, image: proxyv2, args: [proxy, sidecar]}]}
status: {phase: Running, podIP: 10.1.0.5, podIPs: [{ip: 10.1.0.5}]}
---
apiVersion: v1
kind: Pod
metadata: {name: cron-1, namespace: shop, labels: {app: cron, security.istio.io/tlsMode: istio}}
spec: {serviceAccountName: cron, containers: [{name: app, image: app}, {name: istio-proxy, image: proxyv2, args: [proxy, sidecar]}]}
status: {phase: Running, podIP: 10.1.0.6, podIPs: [{ip: 10.1.0.6}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews, namespace: shop}
spec:
  hosts: [reviews]
  http:
  - name: beta
    match: [{headers: {x-beta: {exact: "1"}}}]
    route: [{destination: {host: nowhere}}]
  - name: gone
    match: [{uri: {prefix: /gone}}]
    route: [{destination: {host: reviews, subset: v9}}]
  - name: main
    route: [{destination: {host: reviews, port: {number: 80}}}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: reviews, namespace: shop}
spec:
  selector: {matchLabels: {app: reviews}}
  rules: [{from: [{source: {principals: [cluster.local/ns/shop/sa/web]}}]}]
---
apiVersion: v1
kind: Service
metadata: {name: edge, namespace: istio-system}
spec: {clusterIP: 10.96.0.2, selector: {istio: ingressgateway}, ports: [{name: http2, port: 80, targetPort: 8080}]}
---
apiVersion: v1
kind: Pod
metadata: {name: edge-1, namespace: istio-system, labels: {istio: ingressgateway}}
spec: {serviceAccountName: edge, containers: [{name: istio-proxy, image: proxyv2, args: [proxy, router]}]}
status: {phase: Running, podIP: 10.1.0.2, podIPs: [{ip: 10.1.0.2}]}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge, namespace: istio-system}
spec: {selector: {istio: ingressgateway}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: [shop.example.com]}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: edge, namespace: istio-system}
spec:
  hosts: [shop.example.com]
  gateways: [edge]
  http:
  - {match: [{uri: {prefix: /api/}}], rewrite: {uri: /}, route: [{destination: {host: reviews.shop.svc.cluster.local, port: {number: 80}}}]}
  - {match: [{uri: {prefix: /other}}], rewrite: {authority: reviews.shop}, route: [{destination: {host: reviews.shop.svc.cluster.local, port: {number: 80}}}]}
  - {route: [{destination: {host: reviews.shop.svc.cluster.local, port: {number: 80}}}]}
`

func meshOf(t testing.TB) *resolve.Snapshot {
	t.Helper()
	in, err := load.Manifests(load.ManifestOptions{Paths: []string{"-"}, Stdin: strings.NewReader(manifests), Defer: true})
	if err != nil {
		t.Fatal(err)
	}
	return resolve.NewSnapshot(in)
}

// line is one of Istio's format: what was asked, what came of it, and over which connection.
func line(asked, answer, authority, upstream, local, remote, end string) string {
	return fmt.Sprintf(`[2026-11-23T10:00:00.000Z] "%s" %s "-" 0 0 5 - "-" "curl" "id" "%s" %s - %s %s %s`, asked, answer, authority, upstream, local, remote, end)
}

const outboundReviews = "outbound|80||reviews.shop.svc.cluster.local"

func compare(t testing.TB, text string, opts Options) *Result {
	t.Helper()
	reader, err := accesslog.NewReader()
	if err != nil {
		t.Fatal(err)
	}
	if opts.Namespace == "" {
		opts.Namespace = "shop"
	}
	r, err := Compare(t.Context(), meshOf(t), reader, []Log{{"log", strings.NewReader(text)}}, opts)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestCompare(t *testing.T) {
	for _, tc := range []struct {
		name, line string
		opts       Options
		want       Verdict
		// command and maybe have to be in what is said.
		command, maybe string
	}{
		{
			name: "delivered, as the client's proxy has it", want: Agrees, command: "--from shop/pod/web-1 -H 'user-agent: curl' http://reviews/a",
			line: line("GET /a HTTP/1.1", "200 - via_upstream -", "reviews", `"10.1.0.7:9080" `+outboundReviews, "10.96.0.7:80", "10.1.0.5:1", "- main"),
		},
		{
			name: "the application's own code", want: Agrees,
			line: line("GET /a HTTP/1.1", "500 - via_upstream -", "reviews", `"10.1.0.7:9080" `+outboundReviews, "10.96.0.7:80", "10.1.0.5:1", "- main"),
		},
		{
			name: "delivered, as the server's proxy has it", want: Agrees, command: "--from shop/pod/web-1",
			line: line("POST /a HTTP/1.1", "201 - via_upstream -", "reviews", `"10.1.0.7:9080" inbound|9080||`, "10.1.0.7:9080", "10.1.0.5:1", "outbound_.80_._.reviews.shop.svc.cluster.local default"),
		},
		{
			name: "refused, as the server's proxy has it", want: Agrees, command: "--from shop/pod/cron-1",
			line: line("GET /a HTTP/1.1", "403 - rbac_access_denied_matched_policy[none] -", "reviews", `"-" inbound|9080||`, "10.1.0.7:9080", "10.1.0.6:1", "outbound_.80_._.reviews.shop.svc.cluster.local default"),
		},
		{
			name: "refused by the server, as the client's proxy has it", want: Agrees,
			line: line("GET /a HTTP/1.1", "403 - via_upstream -", "reviews", `"10.1.0.7:9080" `+outboundReviews, "10.96.0.7:80", "10.1.0.6:1", "- main"),
		},
		{
			name: "refused, and the trace delivers", want: Disagrees, maybe: "the configuration is that of now",
			line: line("GET /a HTTP/1.1", "403 - rbac_access_denied_matched_policy[none] -", "reviews", `"-" inbound|9080||`, "10.1.0.7:9080", "10.1.0.5:1", "outbound_.80_._.reviews.shop.svc.cluster.local default"),
		},
		{
			name: "delivered, and the trace refuses", want: Disagrees,
			line: line("GET /a HTTP/1.1", "200 - via_upstream -", "reviews", `"10.1.0.7:9080" inbound|9080||`, "10.1.0.7:9080", "10.1.0.6:1", "outbound_.80_._.reviews.shop.svc.cluster.local default"),
		},
		{
			name: "no cluster", want: Agrees,
			line: line("GET /gone HTTP/1.1", "503 NC cluster_not_found -", "reviews", `"-" -`, "10.96.0.7:80", "10.1.0.5:1", "- gone"),
		},
		{
			name: "another route", want: Disagrees, maybe: "asks for headers or a token",
			line: line("GET /a HTTP/1.1", "503 NC cluster_not_found -", "reviews", `"-" -`, "10.96.0.7:80", "10.1.0.5:1", "- beta"),
		},
		{
			name: "another route, with the header", want: Agrees, command: "-H 'x-beta: 1'", opts: Options{Headers: []string{"x-beta: 1"}},
			line: line("GET /a HTTP/1.1", "503 NC cluster_not_found -", "reviews", `"-" -`, "10.96.0.7:80", "10.1.0.5:1", "- beta"),
		},
		{
			name: "a timeout", want: AtRunTime, maybe: "UT: the server took longer",
			line: line("GET /a HTTP/1.1", "504 UT response_timeout -", "reviews", `"10.1.0.7:9080" `+outboundReviews, "10.96.0.7:80", "10.1.0.5:1", "- main"),
		},
		{
			name: "no endpoint then", want: Disagrees, maybe: "UH: no endpoint was healthy then",
			line: line("GET /a HTTP/1.1", "503 UH no_healthy_upstream -", "reviews", `"-" `+outboundReviews, "10.96.0.7:80", "10.1.0.5:1", "- main"),
		},
		{
			name: "another pod", want: Disagrees,
			line: line("GET /a HTTP/1.1", "200 - via_upstream -", "reviews", `"10.1.0.6:9080" `+outboundReviews, "10.96.0.7:80", "10.1.0.5:1", "- main"),
		},
		{
			name: "another cluster", want: Disagrees, maybe: "no pod has the address",
			line: line("GET /a HTTP/1.1", "200 - via_upstream -", "reviews", `"10.1.9.9:9080" outbound|80|v1|reviews.shop.svc.cluster.local`, "10.96.0.7:80", "10.1.0.5:1", "- main"),
		},
		{
			name: "TCP", want: Agrees, command: "tcp://reviews.shop:3306",
			line: line("- - -", "0 - - -", "-", `"10.1.0.7:3306" outbound|3306||reviews.shop.svc.cluster.local`, "10.96.0.7:3306", "10.1.0.5:1", "- -"),
		},
		{
			name: "of a gateway", want: Agrees, command: "--from external --gateway istio-system/edge-1 -H 'user-agent: curl' --source-ip 10.9.9.9 http://shop.example.com/a",
			line: line("GET /a HTTP/1.1", "403 - via_upstream -", "shop.example.com", `"10.1.0.7:9080" `+outboundReviews, "10.1.0.2:8080", "10.9.9.9:1", "- default"),
		},
		{
			name: "through a gateway, and the trace refuses", want: Disagrees, command: "--from external --gateway istio-system/edge-1 -H 'user-agent: curl' http://shop.example.com/a",
			line: line("GET /a HTTP/1.1", "200 - via_upstream -", "shop.example.com", `"10.1.0.7:9080" inbound|9080||`, "10.1.0.7:9080", "10.1.0.2:1", "outbound_.80_._.reviews.shop.svc.cluster.local default"),
		},
		{
			name: "through a gateway, refused", want: Agrees, command: "--gateway istio-system/edge-1 -H 'user-agent: curl' http://shop.example.com/a",
			line: line("GET /a HTTP/1.1", "403 - rbac_access_denied_matched_policy[none] -", "shop.example.com", `"-" inbound|9080||`, "10.1.0.7:9080", "10.1.0.2:1", "outbound_.80_._.reviews.shop.svc.cluster.local default"),
		},
		{
			name: "through a gateway, with the path before its rewrite", want: Agrees, command: "http://shop.example.com/api/a",
			line: line("GET /api/a HTTP/1.1", "403 - rbac_access_denied_matched_policy[none] -", "shop.example.com", `"-" inbound|9080||`, "10.1.0.7:9080", "10.1.0.2:1", "outbound_.80_._.reviews.shop.svc.cluster.local default"),
		},
		{
			name: "through a gateway that has rewritten the authority", want: NotCompared, maybe: "no request for shop.example.com that it takes arrives here as logged; its own log has the request",
			line: line("GET /other HTTP/1.1", "200 - via_upstream -", "shop.example.com", `"10.1.0.7:9080" inbound|9080||`, "10.1.0.7:9080", "10.1.0.2:1", "outbound_.80_._.reviews.shop.svc.cluster.local default"),
		},
		{
			name: "through a gateway, of a host that it does not have", want: NotCompared, maybe: "no request for other.example.com",
			line: line("GET /a HTTP/1.1", "200 - via_upstream -", "other.example.com", `"10.1.0.7:9080" inbound|9080||`, "10.1.0.7:9080", "10.1.0.2:1", "outbound_.80_._.reviews.shop.svc.cluster.local default"),
		},
		{
			name: "a connection through a gateway", want: NotCompared, maybe: "its own log has the request",
			line: line("- - -", "0 - - -", "-", `"10.1.0.7:3306" inbound|3306||`, "10.1.0.7:3306", "10.1.0.2:1", "outbound_.3306_._.reviews.shop.svc.cluster.local -"),
		},
		{
			name: "a server that the trace does not lead to", want: Disagrees, opts: Options{Proxy: "shop/pod/cron-1"},
			line: line("GET /a HTTP/1.1", "201 - via_upstream -", "reviews", `"10.1.0.6:9080" inbound|9080||`, "10.1.0.6:9080", "10.1.0.5:1", "outbound_.80_._.reviews.shop.svc.cluster.local default"),
		},
		{
			name: "an unknown writer", want: NotCompared, maybe: "name it with --proxy",
			line: line("GET /a HTTP/1.1", "200 - via_upstream -", "reviews", `"10.1.0.7:9080" `+outboundReviews, "10.96.0.7:80", "10.7.7.7:1", "- main"),
		},
		{
			name: "a writer that is named", want: Agrees, opts: Options{Proxy: "shop/pod/web-1"},
			line: line("GET /a HTTP/1.1", "200 - via_upstream -", "reviews", `"10.1.0.7:9080" `+outboundReviews, "10.96.0.7:80", "10.7.7.7:1", "- main"),
		},
		{
			name: "a writer that kubectl names", want: Agrees,
			line: "[pod/web-1/istio-proxy] " + line("GET /a HTTP/1.1", "200 - via_upstream -", "reviews", `"10.1.0.7:9080" `+outboundReviews, "10.96.0.7:80", "10.7.7.7:1", "- main"),
		},
		{name: "no access log", want: Unread, line: "hello"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := compare(t, tc.line+"\n", tc.opts)
			if len(r.Groups) != 1 || r.Groups[0].Verdict != tc.want {
				t.Fatalf("want %s:\n%s", tc.want, r.Text(TextOptions{Wide: true}))
			}
			if text := string(r.Text(TextOptions{Wide: true})); !strings.Contains(text, tc.command) || !strings.Contains(text, tc.maybe) {
				t.Errorf("want %q and %q:\n%s", tc.command, tc.maybe, text)
			}
		})
	}
}

// What ztunnel says of a connection, and what the trace decides.
func TestFitsConnection(t *testing.T) {
	const refused = "connection closed due to policy rejection: allow policies exist, but none allowed"
	for _, tc := range []struct {
		name, err string
		decision  trace.Decision
		want      Verdict
	}{
		{"delivered", "", trace.Delivered, Agrees},
		{"delivered, and the trace refuses", "", trace.Denied, Disagrees},
		{"refused", refused, trace.Denied, Agrees},
		{"refused, and the trace delivers", refused, trace.Delivered, Disagrees},
		{"refused by the other ztunnel", "http status: 401 Unauthorized", trace.Denied, Agrees},
		{"no endpoint", "no healthy upstream: 10.96.0.7:80", trace.Unavailable, Agrees},
		{"no endpoint, and the trace refuses", "no healthy upstream: 10.96.0.7:80", trace.Denied, Disagrees},
		{"what configuration does not decide", "connection timed out, maybe a NetworkPolicy is blocking HBONE port 15008: deadline has elapsed", trace.Delivered, AtRunTime},
		{"an error that is not known", "io error: broken pipe (os error 32)", trace.Delivered, AtRunTime},
		{"an error that is not known, and the trace does not deliver", "io error: broken pipe (os error 32)", trace.Reset, Agrees},
	} {
		if got := fitsConnection(tc.err, trace.Outcome{Decision: tc.decision}); got != tc.want {
			t.Errorf("%s: %s, want %s", tc.name, got, tc.want)
		}
	}
}

// What a waypoint answers by HTTP is no error of the connection.
func TestFitsConnectionOfAnAnswer(t *testing.T) {
	answered := trace.Outcome{Decision: trace.Denied, HTTPStatus: 403}
	if got := fitsConnection("", answered); got != Agrees {
		t.Errorf("without an error: %s", got)
	}
	if got := fitsConnection("http status: 401 Unauthorized", answered); got != Disagrees {
		t.Errorf("refused by the other ztunnel: %s", got)
	}
}

// connection is a line of ztunnel from pod web-1.
func connection(dst, more string) string {
	return "2026-04-01T14:01:02.476412Z\tinfo\taccess\tconnection complete\t" +
		`src.addr=10.1.0.5:52462 src.workload="web-1" src.namespace="shop" ` + dst + ` direction="outbound" bytes_sent=1 bytes_recv=2 duration="5ms"` + more
}

// What ztunnel's lines ask for: the port of the service, whether its address, its name or a pod's address was dialled.
func TestZtunnelAsks(t *testing.T) {
	for _, tc := range []struct{ name, line, command, maybe string }{
		{"a service's address", connection(`dst.addr=10.1.0.7:15008 dst.hbone_addr=10.96.0.7:80 dst.service="reviews.shop.svc.cluster.local"`, ""), "--from shop/pod/web-1 tcp://reviews.shop.svc.cluster.local:80", ""},
		{"a pod's address", connection(`dst.addr=10.1.0.7:15008 dst.hbone_addr=10.1.0.7:9080 dst.service="reviews.shop.svc.cluster.local"`, ""), "tcp://reviews.shop.svc.cluster.local:80", ""},
		{"a service's name", connection(`dst.addr=10.9.9.9:15008 dst.hbone_addr=reviews.shop.svc.cluster.local:3306`, ""), "tcp://reviews.shop.svc.cluster.local:3306", ""},
		{"without HBONE", connection(`dst.addr=10.1.0.7:3306 dst.service="reviews.shop.svc.cluster.local"`, ""), "tcp://reviews.shop.svc.cluster.local:3306", ""},
		{"an error", connection(`dst.addr=10.1.0.7:9080 dst.service="reviews.shop.svc.cluster.local"`, ` error="no healthy upstream: 10.1.0.7:80"`), "tcp://reviews", "the service had no endpoint that was healthy then"},
		{"just opened", strings.Replace(connection(`dst.addr=10.1.0.7:9080`, ""), "complete", "opened", 1), "", "what came of it is in the line of its end"},
		{"by a gateway", strings.NewReplacer("web-1", "edge-1", `"shop"`, `"istio-system"`, "10.1.0.5", "10.1.0.2").Replace(connection(`dst.addr=10.1.0.7:9080`, "")), "", "the client is gateway istio-system/edge-1"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if text := string(compare(t, tc.line+"\n", Options{}).Text(TextOptions{Wide: true})); !strings.Contains(text, tc.command) || !strings.Contains(text, tc.maybe) {
				t.Errorf("want %q and %q:\n%s", tc.command, tc.maybe, text)
			}
		})
	}
}

// No line is lost: what is not read is counted and shown, an empty line is none, and a last line may lack its end.
func TestEveryLineCounts(t *testing.T) {
	ok := line("GET /a HTTP/1.1", "200 - via_upstream -", "reviews", `"10.1.0.7:9080" `+outboundReviews, "10.96.0.7:80", "10.1.0.5:1", "- main")
	r := compare(t, "hello\n\n"+ok+"\n"+strings.Repeat("x", longestLine+5)+"\nworld\n"+ok, Options{})
	if r.Counts[Unread] != 3 || r.Counts[Agrees] != 2 || r.Total() != 5 {
		t.Errorf("%v", r.Counts)
	}
	i := slices.IndexFunc(r.Groups, func(g *Group) bool { return g.Verdict == Unread })
	if got := r.Groups[i].Lines; !slices.Equal(got, []string{"log:1", "log:4", "log:5"}) {
		t.Errorf("lines %v", got)
	}
	if text := string(r.Text(TextOptions{})); !strings.HasPrefix(text, "5 lines: 3 not read, 2 agree\n") || len(text) > 2000 {
		t.Errorf("%d characters: %.300s", len(text), text)
	}
}

// painted are the sequences that colours are made of.
var painted = regexp.MustCompile("\x1b\\[[0-9;]*m")

// In colour a text says the same, and nothing that it quotes colours anything.
func TestColours(t *testing.T) {
	r := compare(t, "hello\n"+line("GET /a HTTP/1.1", "200 - via_upstream -", "reviews", `"10.1.0.7:9080" `+outboundReviews, "10.96.0.7:80", "10.1.0.5:1", "- main")+"\n"+
		line("GET /a HTTP/1.1", "503 UH no_healthy_upstream -", "reviews", `"-" `+outboundReviews, "10.96.0.7:80", "10.1.0.5:1", "- main"), Options{})
	plain, coloured := string(r.Text(TextOptions{Wide: true})), string(r.Text(TextOptions{Wide: true, Colour: true}))
	if strings.Contains(plain, "\x1b") || len(painted.FindAllString(coloured, -1)) < 20 {
		t.Errorf("plain:\n%q\ncoloured:\n%q", plain, coloured)
	}
	if plain != painted.ReplaceAllString(coloured, "") {
		t.Errorf("plain:\n%q\ncoloured:\n%q", plain, coloured)
	}
}

// What a line says is text, and its tokens are not shown.
func TestHostileLines(t *testing.T) {
	const token = "eyJhbGciOiJub25lIn0.eyJpc3MiOiJ4In0."
	r := compare(t, line("GET /\x1b[31m?token="+token+" HTTP/1.1", "200 - via_upstream -", "reviews\u202e", `"10.1.0.7:9080" `+outboundReviews, "10.96.0.7:80", "10.1.0.5:1", "- main")+"\nx\x1b]0;y\x07 "+token, Options{})
	data, err := json.Marshal(r.NewDocument())
	if err != nil {
		t.Fatal(err)
	}
	coloured := painted.ReplaceAllString(string(r.Text(TextOptions{Wide: true, Colour: true})), "")
	for _, out := range []string{string(r.Text(TextOptions{Wide: true})), coloured, string(data)} {
		for _, bad := range []string{"\x1b", "\u202e", "\x07", token} {
			if strings.Contains(out, bad) {
				t.Errorf("%q in %s", bad, out)
			}
		}
	}
}

func FuzzCompare(f *testing.F) {
	f.Add(line("GET /a HTTP/1.1", "200 - via_upstream -", "reviews", `"10.1.0.7:9080" `+outboundReviews, "10.96.0.7:80", "10.1.0.5:1", "- main"))
	f.Add(`2026-04-01T14:01:02Z info access x src.addr=10.1.0.5:1 src.workload="web-1" src.namespace="shop" dst.addr=10.1.0.7:80 dst.service="reviews.shop.svc.cluster.local" direction="outbound"`)
	f.Fuzz(func(t *testing.T, text string) {
		lines := 0
		for l := range strings.SplitSeq(text, "\n") {
			if strings.TrimSpace(strings.TrimSuffix(l, "\r")) != "" {
				lines++
			}
		}
		if r := compare(t, text, Options{}); r.Total() != lines {
			t.Errorf("%d of %d lines", r.Total(), lines)
		}
	})
}
