package accesslog

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func reader(t testing.TB, formats ...string) *Reader {
	t.Helper()
	var own []*Format
	for _, text := range formats {
		f, err := NewFormat(text)
		if err != nil {
			t.Fatal(err)
		}
		own = append(own, f)
	}
	r, err := NewReader(own...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

const (
	delivered = `[2026-11-23T10:00:00.000Z] "GET /reviews/0 HTTP/1.1" 200 - via_upstream - "-" 0 295 5 4 "-" "curl/8 \"x\" (a b)" "58c0e2c6" "reviews:9080" "10.1.0.7:9080" outbound|9080|v1|reviews.shop.svc.cluster.local 10.1.0.5:4242 10.96.0.7:9080 10.1.0.5:5252 - default`
	denied    = `[2026-11-23T10:00:00.000Z] "GET /ratings/1 HTTP/1.1" 403 - rbac_access_denied_matched_policy[none] - "-" 0 19 0 - "-" "curl" "id" "ratings:9080" "-" inbound|9080|| - 10.1.0.9:9080 10.1.0.8:5252 outbound_.9080_._.ratings.shop.svc.cluster.local -`
	tcp       = `[2026-11-23T10:00:00.000Z] "- - -" 0 UF,URX - - "delayed_connect_error:_Connection_refused" 0 0 3 - "-" "-" "-" "-" "10.1.0.20:3306" outbound|3306||mysql.db.svc.cluster.local - 10.96.0.9:3306 10.1.0.5:5252 - -`
)

func TestRead(t *testing.T) {
	wantDelivered := Entry{
		Writer: Envoy, Time: "2026-11-23T10:00:00.000Z", Method: "GET", Path: "/reviews/0", Protocol: "HTTP/1.1", Authority: "reviews:9080", Code: "200", Details: "via_upstream",
		UpstreamHost: "10.1.0.7:9080", UpstreamCluster: "outbound|9080|v1|reviews.shop.svc.cluster.local", Local: "10.96.0.7:9080", Remote: "10.1.0.5:5252", RouteName: "default",
		Headers: map[string]string{"user-agent": `curl/8 \"x\" (a b)`, "x-request-id": "58c0e2c6"},
	}
	withPod := wantDelivered
	withPod.Pod = "web-1"
	for _, tc := range []struct {
		name, line string
		want       Entry
	}{
		{"HTTP", delivered, wantDelivered},
		{"with kubectl's prefix", "[pod/web-1/istio-proxy] " + delivered + "\r\n", withPod},
		{"with kubectl's timestamps", "[pod/web-1/istio-proxy] 2026-11-23T10:00:00.000000000Z " + delivered, withPod},
		{"refused by the receiver", denied, Entry{
			Writer: Envoy, Time: "2026-11-23T10:00:00.000Z", Method: "GET", Path: "/ratings/1", Protocol: "HTTP/1.1", Authority: "ratings:9080", Code: "403", Details: "rbac_access_denied_matched_policy[none]",
			UpstreamCluster: "inbound|9080||", Local: "10.1.0.9:9080", Remote: "10.1.0.8:5252", ServerName: "outbound_.9080_._.ratings.shop.svc.cluster.local",
			Headers: map[string]string{"user-agent": "curl", "x-request-id": "id"},
		}},
		{"TCP", tcp, Entry{
			Writer: Envoy, Time: "2026-11-23T10:00:00.000Z", Code: "0", Flags: "UF,URX", TransportFailure: "delayed_connect_error:_Connection_refused", UpstreamHost: "10.1.0.20:3306",
			UpstreamCluster: "outbound|3306||mysql.db.svc.cluster.local", Local: "10.96.0.9:3306", Remote: "10.1.0.5:5252",
		}},
		{"before Istio 1.9", `[2020-01-01T00:00:00.000Z] "GET / HTTP/1.1" 404 NR "-" "-" 0 0 0 - "-" "curl" "id" "a" "-" - - 10.96.0.7:80 10.1.0.5:5252 - -`, Entry{
			Writer: Envoy, Time: "2020-01-01T00:00:00.000Z", Method: "GET", Path: "/", Protocol: "HTTP/1.1", Authority: "a", Code: "404", Flags: "NR", Local: "10.96.0.7:80", Remote: "10.1.0.5:5252",
			Headers: map[string]string{"user-agent": "curl", "x-request-id": "id"},
		}},
		{"JSON", `{"authority":"a:80","method":"GET","path":"/x","response_code":503,"response_flags":"UH","response_code_details":"no_healthy_upstream","upstream_cluster":"outbound|80||a","bytes_sent":19,"upstream_host":null,"route_name":"r"}`, Entry{
			Writer: Envoy, Method: "GET", Path: "/x", Authority: "a:80", Code: "503", Flags: "UH", Details: "no_healthy_upstream", UpstreamCluster: "outbound|80||a", RouteName: "r",
		}},
		{"a format of one's own", `200 GET a /x?y=z 5% "curl 8"`, Entry{Writer: Envoy, Code: "200", Method: "GET", Authority: "a", Path: "/x?y=z", Headers: map[string]string{"user-agent": "curl 8"}}},
		{"ztunnel", `2026-04-01T14:01:02.476412Z	info	access	connection complete	src.addr=10.1.0.5:52462 src.workload="web-1" src.namespace="shop" src.identity="spiffe://cluster.local/ns/shop/sa/web" dst.addr=10.1.0.8:15008 dst.hbone_addr=10.1.0.8:8080 dst.service="reviews.shop.svc.cluster.local" dst.workload="reviews-1" dst.namespace="shop" direction="outbound" bytes_sent=0 duration="5ms" error="a \"b\""`, Entry{
			Writer: Ztunnel, Time: "2026-04-01T14:01:02.476412Z", Remote: "10.1.0.5:52462", Local: "10.1.0.8:8080", Destination: "10.1.0.8:15008", Peer: "spiffe://cluster.local/ns/shop/sa/web", SourceNamespace: "shop", SourceWorkload: "web-1",
			DestinationService: "reviews.shop.svc.cluster.local", DestinationWorkload: "reviews-1", DestinationNamespace: "shop", Direct: "outbound", Error: `a "b"`,
		}},
		{"ztunnel, as earlier releases wrote it", `2024-04-11T15:38:42.182974Z  INFO access: connection complete src.addr=10.244.0.24:46238 src.workload="shell-6d8bcd654d-t88gp" src.namespace="default" src.identity="spiffe://cluster.local/ns/default/sa/default" dst.addr=10.244.0.42:15008 dst.hbone_addr=10.96.108.116:80 dst.service="echo.default.svc.cluster.local" direction="outbound" bytes_sent=67 bytes_recv=490 duration="13ms"`, Entry{
			Writer: Ztunnel, Time: "2024-04-11T15:38:42.182974Z", Remote: "10.244.0.24:46238", Local: "10.96.108.116:80", Destination: "10.244.0.42:15008", Peer: "spiffe://cluster.local/ns/default/sa/default",
			SourceNamespace: "default", SourceWorkload: "shell-6d8bcd654d-t88gp", DestinationService: "echo.default.svc.cluster.local", Direct: "outbound",
		}},
		{"ztunnel, a connection refused at once", "2026-04-01T14:01:02Z\twarn\taccess\tconnection failed\tsrc.addr=[2001:db8::5]:1 dst.addr=[2001:db8::7]:80 direction=\"inbound\" error=\"a\\tb\\u{e9}\\\"c\\\\\"", Entry{
			Writer: Ztunnel, Time: "2026-04-01T14:01:02Z", Remote: "[2001:db8::5]:1", Local: "[2001:db8::7]:80", Destination: "[2001:db8::7]:80", Direct: "inbound", Error: "a\tbé\"c\\",
		}},
		{"ztunnel, a connection being opened", "2026-04-01T14:01:02Z\tdebug\taccess\tconnection opened\tsrc.addr=10.1.0.5:1 dst.addr=10.1.0.8:80 direction=\"outbound\"", Entry{
			Writer: Ztunnel, Time: "2026-04-01T14:01:02Z", Remote: "10.1.0.5:1", Local: "10.1.0.8:80", Destination: "10.1.0.8:80", Direct: "outbound", Opened: true,
		}},
		{"ztunnel's JSON", `{"level":"info","time":"t","scope":"access","message":"connection complete","src.addr":"10.1.0.5:1","dst.addr":"10.1.0.8:80","direction":"inbound"}`, Entry{
			Writer: Ztunnel, Time: "t", Remote: "10.1.0.5:1", Local: "10.1.0.8:80", Destination: "10.1.0.8:80", Direct: "inbound",
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, ok := reader(t, `%RESPONSE_CODE% %REQ(:METHOD)% %REQ(:AUTHORITY)% %REQ(:PATH):100% 5%% "%REQ(User-Agent)%"\n`).Read(tc.line)
			if diff := cmp.Diff(tc.want, got); diff != "" || !ok {
				t.Errorf("%t: %s", ok, diff)
			}
		})
	}
}

// What is no access log is not taken for one.
func TestReadRefuses(t *testing.T) {
	for _, line := range []string{
		"", "hello", "2026-11-23T10:00:00.000000Z	info	xdsproxy	connected to upstream XDS server: istiod:15012", `{"level":"info","msg":"started","path":"/x"}`, "{", "[pod/a/b] ",
		`[2026-11-23T10:00:00.000Z] "GET /reviews/0 HTTP/1.1" 200`, "2026-04-01T14:01:02.476412Z	info	access	connection complete",
	} {
		if e, ok := reader(t).Read(line); ok {
			t.Errorf("%q is read as %+v", line, e)
		}
	}
}

func TestNewFormatRefuses(t *testing.T) {
	for _, format := range []string{"", "plain", "%lower%", "%REQ(:PATH)", "100%"} {
		if _, err := NewFormat(format); err == nil {
			t.Errorf("%q is taken", format)
		}
	}
}

func FuzzRead(f *testing.F) {
	for _, line := range []string{delivered, denied, tcp, "[pod/a/b] {}", `{"response_code":1e400}`, `2026-04-01T14:01:02Z info access x src.addr=a dst.addr="b`} {
		f.Add(line)
	}
	r := reader(f)
	f.Fuzz(func(t *testing.T, line string) {
		if e, ok := r.Read(line); ok && e.Writer != Envoy && e.Writer != Ztunnel {
			t.Errorf("%q: %+v", line, e)
		}
	})
}

func FuzzNewFormat(f *testing.F) {
	f.Add("%REQ(:METHOD)% %RESPONSE_CODE%", "GET 200")
	f.Add("%%%START_TIME(%s)%[", "%x[")
	f.Fuzz(func(_ *testing.T, format, line string) {
		if parsed, err := NewFormat(format); err == nil {
			parsed.Read(line)
		}
	})
}
