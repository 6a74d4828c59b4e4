package trace

import (
	"encoding/base64"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

// jwt is a token with that payload and a signature that must not be kept.
func jwt(payload string) string {
	return encodeSegment([]byte(`{"alg":"RS256"}`)) + "." + encodeSegment([]byte(payload)) + ".c2lnbmF0dXJl"
}

func TestNewRequest(t *testing.T) {
	token := jwt(`{"iss":"me","groups":["a"]}`)
	unsigned := strings.TrimSuffix(token, "c2lnbmF0dXJl")
	claims := func(c map[string]any) *resolve.Token { return &resolve.Token{Claims: c} }
	for _, tc := range []struct {
		name  string
		typed Typed
		want  Request
	}{
		{
			"GET is the default",
			Typed{URL: "reviews"},
			Request{Scheme: HTTP, Host: "reviews", Port: 80, Path: "/", Method: "GET"},
		},
		{
			"a method and headers",
			Typed{URL: "reviews", Method: "POST", Headers: []string{"X-User: a", "x-user:b", "X-Empty:"}},
			Request{Scheme: HTTP, Host: "reviews", Port: 80, Path: "/", Method: "POST", Headers: map[string]string{"x-user": "a,b", "x-empty": ""}},
		},
		{
			"gRPC is POST with its content type",
			Typed{URL: "grpc://g/a.B/C"},
			Request{Scheme: GRPC, Host: "g", Port: 80, Path: "/a.B/C", Method: "POST", Headers: map[string]string{"content-type": "application/grpc"}},
		},
		{
			"a gRPC content type that is given stays",
			Typed{URL: "grpc://g/a.B/C", Method: "POST", Headers: []string{"Content-Type: application/grpc+proto"}},
			Request{Scheme: GRPC, Host: "g", Port: 80, Path: "/a.B/C", Method: "POST", Headers: map[string]string{"content-type": "application/grpc+proto"}},
		},
		{
			"tcp has no method",
			Typed{URL: "tcp://mysql:3306"},
			Request{Scheme: TCP, Host: "mysql", Port: 3306},
		},
		{
			"a connection",
			Typed{URL: "https://shop", SourceIP: "::ffff:203.0.113.7", SNI: "Other.example.com", ClientCert: "spiffe://td/ns/a/sa/b"},
			Request{
				Scheme: HTTPS, Host: "shop", Port: 443, Path: "/", Method: "GET",
				SourceIP: netip.MustParseAddr("203.0.113.7"), SNI: "other.example.com", ClientCert: "spiffe://td/ns/a/sa/b",
			},
		},
		{
			"a token loses its signature",
			Typed{URL: "reviews", JWT: token + "\n"},
			Request{
				Scheme: HTTP, Host: "reviews", Port: 80, Path: "/", Method: "GET",
				Headers: map[string]string{"authorization": "Bearer " + unsigned}, Token: claims(map[string]any{"iss": "me", "groups": []any{"a"}}),
			},
		},
		{
			"a token in the header is one, too",
			Typed{URL: "reviews", Headers: []string{"Authorization: bearer " + token}},
			Request{
				Scheme: HTTP, Host: "reviews", Port: 80, Path: "/", Method: "GET",
				Headers: map[string]string{"authorization": "Bearer " + unsigned}, Token: claims(map[string]any{"iss": "me", "groups": []any{"a"}}),
			},
		},
		{
			"another credential in the header stays",
			Typed{URL: "reviews", Headers: []string{"Authorization: Basic abc"}},
			Request{
				Scheme: HTTP, Host: "reviews", Port: 80, Path: "/", Method: "GET",
				Headers: map[string]string{"authorization": "Basic abc"},
			},
		},
		{
			"claims make a token",
			Typed{URL: "reviews", Claims: []string{"sub=a=b", `groups=["x","y"]`, `realm={"roles":["z"]}`, "level=5"}},
			Request{
				Scheme: HTTP, Host: "reviews", Port: 80, Path: "/", Method: "GET",
				Headers: map[string]string{"authorization": "Bearer " + encodeSegment([]byte(`{"alg":"none"}`)) + "." +
					encodeSegment([]byte(`{"groups":["x","y"],"level":"5","realm":{"roles":["z"]},"sub":"a=b"}`)) + "."},
				Token: claims(map[string]any{"sub": "a=b", "groups": []any{"x", "y"}, "realm": map[string]any{"roles": []any{"z"}}, "level": "5"}),
			},
		},
		{
			"claims are set on top of a token",
			Typed{URL: "reviews", JWT: token, Claims: []string{"iss=other"}},
			Request{
				Scheme: HTTP, Host: "reviews", Port: 80, Path: "/", Method: "GET",
				Headers: map[string]string{"authorization": "Bearer " + encodeSegment([]byte(`{"alg":"none"}`)) + "." +
					encodeSegment([]byte(`{"groups":["a"],"iss":"other"}`)) + "."},
				Token: claims(map[string]any{"iss": "other", "groups": []any{"a"}}),
			},
		},
		{
			"the namespace counts where the source names none",
			Typed{URL: "reviews", From: "deploy/web", Namespace: "shop"},
			Request{
				Scheme: HTTP, Host: "reviews", Port: 80, Path: "/", Method: "GET",
				From: SourceSpec{Kind: "deployment", Name: "web", DefaultNamespace: "shop"},
			},
		},
		{
			"a gateway makes the source external",
			Typed{URL: "shop", Gateway: "istio-ingress/public"},
			Request{
				Scheme: HTTP, Host: "shop", Port: 80, Path: "/", Method: "GET",
				From: SourceSpec{External: true}, Gateway: "istio-ingress/public",
			},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := NewRequest(tc.typed)
			if err != nil {
				t.Fatal(err)
			}
			got.WrittenHost = ""
			if diff := cmp.Diff(tc.want, got, cmpopts.EquateEmpty(), cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestNewRequestRefusals(t *testing.T) {
	for _, tc := range []struct {
		name  string
		typed Typed
		want  string
	}{
		{"a bad URL", Typed{URL: "a:b"}, `URL "a:b": port "b" is not a number from 1 to 65535`},
		{"a lower-case method", Typed{URL: "a", Method: "get"}, `method "get": methods are upper case; expected GET`},
		{"no token as a method", Typed{URL: "a", Method: "GE T"}, `method "GE T": expected a method such as GET`},
		{"CONNECT", Typed{URL: "a", Method: "CONNECT"}, `method CONNECT asks a proxy for a tunnel; expected the method of the request itself`},
		{"a method of tcp", Typed{URL: "tcp://a:1", Method: "GET"}, `method "GET": a tcp connection has no method; it belongs to http, https, grpc and grpcs`},
		{"a header of udp", Typed{URL: "udp://a:1", Headers: []string{"a: b"}}, `header "a: b": a udp connection has no headers; they belong to http, https, grpc and grpcs`},
		{"GET of gRPC", Typed{URL: "grpc://a/b.C/D", Method: "GET"}, `method "GET": a gRPC call is always POST`},
		{"JSON of gRPC", Typed{URL: "grpc://a/b.C/D", Headers: []string{"content-type: application/json"}}, `header content-type "application/json": a gRPC call has application/grpc`},
		{"a source IP that is a range", Typed{URL: "a", SourceIP: "10.0.0.0/8"}, `source-ip "10.0.0.0/8": expected an IP address such as 203.0.113.7`},
		{"a source IP with a zone", Typed{URL: "a", SourceIP: "fe80::1%eth0"}, `source-ip "fe80::1%eth0": expected an IP address such as 203.0.113.7`},
		{"a server name without TLS", Typed{URL: "a", SNI: "b"}, `sni "b": a client of http sends no server name; it belongs to https, grpcs and tls`},
		{"an IP as a server name", Typed{URL: "https://a", SNI: "10.0.0.1"}, `sni "10.0.0.1": expected a DNS name`},
		{"a wildcard as a server name", Typed{URL: "https://a", SNI: "*.b"}, `sni "*.b": expected a DNS name`},
		{"a certificate without TLS", Typed{URL: "a", ClientCert: "b"}, `client-cert "b": a client of http shows no certificate; it belongs to https, grpcs and tls`},
		{"half a SPIFFE identity", Typed{URL: "https://a", ClientCert: "spiffe://td"}, `client-cert "spiffe://td": expected an identity: spiffe://TRUST-DOMAIN/PATH, or another SAN of the certificate`},
		{"a gateway with two slashes", Typed{URL: "a", Gateway: "a/b/c"}, `gateway "a/b/c": expected [NAMESPACE/]NAME`},
		{"a gateway without a name", Typed{URL: "a", Gateway: "a/"}, `gateway "a/": expected [NAMESPACE/]NAME`},
		{"a gateway and a workload", Typed{URL: "a", Gateway: "b", From: "deploy/web"}, `gateway "b": a gateway is for a client outside the cluster, and the source is "deploy/web"; expected --from external`},
		{"a token of tcp", Typed{URL: "tcp://a:1", JWT: jwt("{}")}, `jwt needs a request that carries it: http, https, grpc or grpcs, not tcp`},
		{"claims of tcp", Typed{URL: "tcp://a:1", Claims: []string{"a=b"}}, `claim needs a request that carries it: http, https, grpc or grpcs, not tcp`},
		{"a token twice", Typed{URL: "a", JWT: jwt("{}"), Headers: []string{"authorization: Basic x"}}, `jwt is sent in the Authorization header, which --header sets as well; give one of them`},
		{"no token", Typed{URL: "a", JWT: "secret"}, `jwt is not a token: expected a JWT (three parts joined with dots), or @FILE that holds one`},
		{"an encrypted token", Typed{URL: "a", JWT: "a.b.c.d.e"}, `jwt is encrypted (five parts), and its claims can not be read; give them with --claim`},
		{"not base64", Typed{URL: "a", JWT: "a.%%.c"}, `jwt is not a token: its second part is not base64url; expected a JWT (three parts joined with dots), or @FILE that holds one`},
		{"a list as payload", Typed{URL: "a", JWT: jwt("[1]")}, `jwt is not a token: its payload is not a JSON object; expected a JWT (three parts joined with dots), or @FILE that holds one`},
		{"null as payload", Typed{URL: "a", JWT: jwt("null")}, `jwt is not a token: its payload is not a JSON object; expected a JWT (three parts joined with dots), or @FILE that holds one`},
		{"a claim without a value", Typed{URL: "a", Claims: []string{"sub"}}, `claim "sub": expected KEY=VALUE`},
		{"a claim without a key", Typed{URL: "a", Claims: []string{"=x"}}, `claim "=x": expected KEY=VALUE`},
		{"a claim twice", Typed{URL: "a", Claims: []string{"g=a", "g=b"}}, `claim "g" is given twice; several values are a list: --claim 'g=["a","b"]'`},
		{"a broken list", Typed{URL: "a", Claims: []string{"g=[a"}}, `claim "g=[a": the value begins as a JSON list or object and is none: invalid character 'a' looking for beginning of value`},
		{"a bad source", Typed{URL: "a", From: "shop/web"}, `from "shop/web": "shop" is no kind a request comes from; expected [NAMESPACE/]KIND/NAME with KIND one of pod, deployment, statefulset, daemonset, replicaset, job, cronjob, serviceaccount, workloadentry`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := NewRequest(tc.typed)
			var refused *InputError
			if !errors.As(err, &refused) {
				t.Fatalf("got %v, want an InputError", err)
			}
			if diff := cmp.Diff(tc.want, err.Error()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestParseHeadersRefusals(t *testing.T) {
	for _, tc := range []struct {
		name, want string
		lines      []string
	}{
		{"no colon", `header "x-user a": expected 'Name: value'`, []string{"x-user a"}},
		{"no name", `header ":": a pseudo-header can not be set; it comes from the URL and --method (for :authority, set Host)`, []string{":"}},
		{"a pseudo-header", `header ":path: /x": a pseudo-header can not be set; it comes from the URL and --method (for :authority, set Host)`, []string{":path: /x"}},
		{"a blank in the name", `header "x user: a": "x user" is not a header name; expected 'Name: value'`, []string{"x user: a"}},
		{"a newline in the value", `header "a: b\r\nc: d": the value has control characters, which no header can carry`, []string{"a: b\r\nc: d"}},
		{"an empty Host", `header "Host:": expected a host, and a port if need be`, []string{"Host:"}},
		{"two Hosts", `header Host is given twice: "a" and "b"; a request has one`, []string{"host: a", "Host: b"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := ParseHeaders(tc.lines)
			if err == nil {
				t.Fatal("not refused")
			}
			if diff := cmp.Diff(tc.want, err.Error()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestParseHeadersJoinsCookies(t *testing.T) {
	got, err := ParseHeaders([]string{"Cookie: a=1", "Cookie: b=2"})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"cookie": "a=1; b=2"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestParseSource(t *testing.T) {
	for _, tc := range []struct {
		from string
		want SourceSpec
	}{
		{"", SourceSpec{}},
		{"external", SourceSpec{External: true}},
		{"web-1", SourceSpec{Kind: "pod", Name: "web-1"}},
		{"pod/external", SourceSpec{Kind: "pod", Name: "external"}},
		{"po/web-1", SourceSpec{Kind: "pod", Name: "web-1"}},
		{"deploy/web", SourceSpec{Kind: "deployment", Name: "web"}},
		{"Deployment/web", SourceSpec{Kind: "deployment", Name: "web"}},
		{"deployments/web", SourceSpec{Kind: "deployment", Name: "web"}},
		{"deployment.apps/web", SourceSpec{Kind: "deployment", Name: "web"}},
		{"shop/sts/db", SourceSpec{Kind: "statefulset", Namespace: "shop", Name: "db"}},
		{"shop/ds/agent", SourceSpec{Kind: "daemonset", Namespace: "shop", Name: "agent"}},
		{"shop/rs/web-5d", SourceSpec{Kind: "replicaset", Namespace: "shop", Name: "web-5d"}},
		{"job.batch/once", SourceSpec{Kind: "job", Name: "once"}},
		{"cj/nightly", SourceSpec{Kind: "cronjob", Name: "nightly"}},
		{"shop/sa/web", SourceSpec{Kind: "serviceaccount", Namespace: "shop", Name: "web"}},
		{"we/vm-1", SourceSpec{Kind: "workloadentry", Name: "vm-1"}},
		{"workloadentries/vm-1", SourceSpec{Kind: "workloadentry", Name: "vm-1"}},
		{"pod/pod/web", SourceSpec{Kind: "pod", Namespace: "pod", Name: "web"}},
		{"west:", SourceSpec{Cluster: "west"}},
		{"west:web-1", SourceSpec{Cluster: "west", Kind: "pod", Name: "web-1"}},
		{"west:shop/sa/web", SourceSpec{Cluster: "west", Kind: "serviceaccount", Namespace: "shop", Name: "web"}},
	} {
		t.Run(tc.from, func(t *testing.T) {
			got, err := ParseSource(tc.from)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestParseSourceRefusals(t *testing.T) {
	const kinds = "expected [NAMESPACE/]KIND/NAME with KIND one of pod, deployment, statefulset, daemonset, replicaset, job, cronjob, serviceaccount, workloadentry"
	for _, tc := range []struct{ from, want string }{
		{"a/b/c/d", `from "a/b/c/d": expected [NAMESPACE/]KIND/NAME, a pod's name, or external`},
		{"service/web", `from "service/web": "service" is no kind a request comes from; ` + kinds},
		{"deployment.batch/web", `from "deployment.batch/web": "deployment.batch" is no kind a request comes from; ` + kinds},
		{"/web", `from "/web": "" is no kind a request comes from; ` + kinds},
		{"pod/", `from "pod/": "" is not the name of an object`},
		{"Web", `from "Web": "Web" is not the name of an object`},
		{"west:external", `from "west:external": a client outside has no cluster; expected external alone`},
		{"a:b:web", `from "b:web": "b:web" is not the name of an object`},
		{":web", `from ":web": "" is not the id of a cluster`},
		{"Shop/pod/web", `from "Shop/pod/web": "Shop" is not a namespace`},
	} {
		t.Run(tc.from, func(t *testing.T) {
			_, err := ParseSource(tc.from)
			if err == nil {
				t.Fatal("not refused")
			}
			if diff := cmp.Diff(tc.want, err.Error()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// FuzzParseHeaders checks that what is accepted could be sent: names are lower-case tokens, values carry no line break.
func FuzzParseHeaders(f *testing.F) {
	for _, seed := range []string{"a: b", "Host: x", "host:", ":path: /", "A:\tb ", "a\r\nb: c", "cookie: a=b", "a: b\x00"} {
		f.Add(seed, "x: y")
	}
	f.Fuzz(func(t *testing.T, first, second string) {
		headers, err := ParseHeaders([]string{first, second})
		if err != nil {
			if strings.ContainsAny(err.Error(), "\n\x1b") {
				t.Errorf("the refusal is not one clean line: %q", err)
			}
			return
		}
		for name, value := range headers {
			if !isToken(name) || name != strings.ToLower(name) || strings.ContainsAny(value, "\r\n\x00") {
				t.Errorf("%q and %q became %q: %q", first, second, name, value)
			}
		}
	})
}

// FuzzParseSource checks that what is accepted is named by the one way of writing it, and means the same again.
func FuzzParseSource(f *testing.F) {
	for _, seed := range []string{"", "external", "web-1", "deploy/web", "shop/sa/web", "a/b/c/d", "pod/", "workloadentries.networking.istio.io/x", "west:", "west:sa/web", "west:external", "a:b:c"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, from string) {
		got, err := ParseSource(from)
		if err != nil || from == "" || got.External {
			return
		}
		again := got.Kind + "/" + got.Name
		if got.Namespace != "" {
			again = got.Namespace + "/" + again
		}
		if got.Kind == "" {
			again = ""
		}
		if got.Cluster != "" {
			again = got.Cluster + ":" + again
		}
		second, err := ParseSource(again)
		if err != nil {
			t.Fatalf("%q was accepted and %q was not: %v", from, again, err)
		}
		if diff := cmp.Diff(got, second); diff != "" {
			t.Error(diff)
		}
	})
}

// FuzzParseJWT checks that a refusal never repeats the token.
func FuzzParseJWT(f *testing.F) {
	f.Add(jwt(`{"sub":"a"}`))
	f.Add("a.b.c")
	f.Add("Bearer x")
	f.Fuzz(func(t *testing.T, payload string) {
		token, err := ParseJWT("e30." + base64.RawURLEncoding.EncodeToString([]byte(payload)) + ".s")
		if err == nil && token.Claims == nil {
			t.Errorf("payload %q gave a token without claims", payload)
		}
		if _, err := ParseJWT("s3cr3t" + payload); err != nil && strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("the refusal repeats the token: %v", err)
		}
	})
}

func encodeSegment(data []byte) string { return base64.RawURLEncoding.EncodeToString(data) }
