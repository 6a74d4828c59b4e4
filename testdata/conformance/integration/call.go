//go:build integ

package integration

import (
	"crypto/x509"
	"encoding/pem"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"istio.io/istio/pkg/http/headers"
	"istio.io/istio/pkg/test"
	"istio.io/istio/pkg/test/echo/common/scheme"
	"istio.io/istio/pkg/test/framework/components/echo"
	"istio.io/istio/tests/common/jwt"
	"istio.io/istio/tests/integration/pilot/common"
)

// Call is one call of a test, when it is made.
type Call struct {
	// Manifests are what holds, by file.
	Manifests map[string]string
	// Options are what is called, and the check of the responses.
	Options echo.CallOptions
	From    echo.Caller

	suite *suite
	// caller is nil for a client outside the cluster.
	caller *workload
}

// Untraceable is an error for what a trace can not answer; the text says why.
type Untraceable struct{ Reason string }

func (e Untraceable) Error() string { return e.Reason }

func (s *suite) call(failer test.Failer, from echo.Caller, w *workload, o echo.CallOptions) echo.CallResult {
	c := &Call{Manifests: s.manifests(), Options: o, From: from, suite: s, caller: w}
	out := echo.CallResult{From: from, Opts: o}
	if t := goTest(failer); t != nil {
		out.Responses = s.judge.Call(t, c)
	} else {
		failer.Fatal("not called by a Go test")
	}
	return out
}

func goTest(failer test.Failer) *testing.T {
	switch t := failer.(type) {
	case *testContext:
		return t.T
	case common.TrafficContext:
		return goTest(t.TestContext)
	}
	return nil
}

// Args are the request as the command takes it. Where to, by what name, with what is said as Istio's
// own echo client does it:
//
//  1. The URL is the address called; the Host header, which names the service, goes with it.
//  2. A client outside the cluster knows the gateway by the names that it serves.
//  3. HTTPS has the Host header for its server name.
func (c *Call) Args() ([]string, error) {
	if reason := c.beyond(); reason != "" {
		return nil, Untraceable{reason}
	}
	o := c.Options
	host, path := o.HTTP.Headers.Get(headers.Host), ""
	switch o.Scheme {
	case scheme.HTTP, scheme.HTTPS:
		path, _, _ = strings.Cut(o.HTTP.Path, "#") // a fragment is not sent
	case scheme.GRPC:
		path = "/proto.EchoTestService/Echo"
	}
	address := o.Address
	args := []string{"--from", "external"}
	if g, ok := c.From.(*gateway); ok {
		args = append(args, "--gateway", g.name().String())
	}
	if c.caller != nil {
		args = []string{"--from", c.caller.from, "-n", c.caller.instance.NamespaceName()}
	} else if host != "" {
		address = withoutPort(host)
	}
	if o.Scheme != scheme.TCP && host != "" { // also where it is the address: without the port
		args = append(args, "-H", "Host: "+host)
	}
	if o.HTTP.Method != "" {
		args = append(args, "-X", o.HTTP.Method)
	}
	if o.Scheme == scheme.TCP && o.TLS.Cert != "" {
		o.Scheme = scheme.TLS // a client with a certificate opens TLS
	}
	if o.Scheme == scheme.HTTPS || o.Scheme == scheme.TLS {
		identity, err := identityIn(o.TLS.Cert)
		if err != nil {
			return nil, err
		}
		if identity != "" {
			args = append(args, "--client-cert", identity)
		}
		name := o.TLS.ServerName
		if name == "" {
			name = withoutPort(host)
		}
		if name != "" {
			args = append(args, "--sni", name)
		}
	}
	if o.Scheme != scheme.TCP && o.Scheme != scheme.TLS {
		args = append(args, headerArgs(o.HTTP.Headers)...)
	}
	return append(args, string(o.Scheme)+"://"+net.JoinHostPort(address, strconv.Itoa(o.Port.ServicePort))+path), nil
}

// identityIn is the identity that a certificate names; empty without one.
func identityIn(text string) (string, error) {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return "", nil
	}
	c, err := x509.ParseCertificate(block.Bytes)
	switch {
	case err != nil:
		return "", err
	case len(c.URIs) > 0:
		return c.URIs[0].String(), nil
	case len(c.DNSNames) > 0:
		return c.DNSNames[0], nil
	}
	return c.Subject.CommonName, nil
}

// Follow is the call that a client makes after a redirect.
func (c *Call) Follow(location string) (*Call, bool) {
	u, err := url.Parse(location)
	if err != nil || !c.Options.HTTP.FollowRedirects {
		return nil, false
	}
	next := *c
	next.Options.HTTP.Path = u.RequestURI()
	next.Options.HTTP.Headers = next.Options.HTTP.Headers.Clone()
	if u.Host != "" {
		next.Options.HTTP.Headers.Set(headers.Host, u.Host)
		next.Options.Address = u.Hostname()
		next.Options.Scheme = scheme.Instance(u.Scheme)
		next.Options.Port.ServicePort = map[string]int{"http": 80, "https": 443}[u.Scheme]
		if n, err := strconv.Atoi(u.Port()); err == nil {
			next.Options.Port.ServicePort = n
		}
	}
	return &next, true
}

// URL is what the client calls.
func (c *Call) URL() string {
	o := c.Options
	return string(o.Scheme) + "://" + net.JoinHostPort(o.Address, strconv.Itoa(o.Port.ServicePort)) + o.HTTP.Path
}

// beyond is why a trace can not say what becomes of the call.
func (c *Call) beyond() string {
	o := c.Options
	switch {
	case c.proxyless():
		return "proxyless gRPC: there is no Envoy"
	case o.Scheme == scheme.DNS:
		return "a DNS lookup, no request"
	case o.Scheme == scheme.WebSocket, o.Scheme == scheme.XDS:
		return "a scheme that the command does not have: " + string(o.Scheme)
	case o.Port.ServerFirst:
		return "the server speaks first: the trace has the client begin"
	case o.Scheme == scheme.TCP && strings.HasPrefix(o.Message, "GET "):
		return "HTTP/1.0, written by hand"
	case len(o.TLS.Alpn) > 0:
		return "the client offers an ALPN: a request to the trace has none"
	case c.caller == nil && strings.HasPrefix(o.TLS.ServerName, "outbound_."):
		return "a client of an AUTO_PASSTHROUGH server: the trace takes it for a proxy of the mesh"
	case o.ProxyProtocolVersion != 0:
		return "the client sends the PROXY protocol"
	case c.hasToken(jwt.TokenExpired):
		return "an expired token: the trace takes tokens for valid"
	case c.hasToken("") && (foreignKeys.MatchString(c.Manifests["test.yaml"]) || c.keysOfNoService()):
		return "no keys come from where the RequestAuthentication says: the trace takes keys as fetched"
	case unsound.MatchString(c.Manifests["test.yaml"]):
		return "a Secret holds no certificate that the other side accepts: the trace does not look into Secrets"
	}
	return ""
}

// unsound is a credential of which a test says that it is none: of another authority, without a certificate, or one that
// revokes the other side's.
var unsound = regexp.MustCompile(`credentialName: "?(fake-|tls-credential-simple|mtls-credential-crl|mtls-credential-generic-valid-crl)`)

// hasToken reports whether the request has a token, or, where it is not empty, that token.
func (c *Call) hasToken(token string) bool {
	o := c.Options.HTTP
	if token == "" {
		return o.Headers.Get("Authorization") != ""
	}
	return strings.Contains(o.Path, token) || slices.Contains(o.Headers.Values("Authorization"), "Bearer "+token)
}

// foreignKeys is a jwksUri of which a test says that no keys come from there: one of a server that is
// not there, or that takes longer than the RequestAuthentication waits.
var foreignKeys = regexp.MustCompile(`jwksUri: "?[^"\s]*(not-exist|delay=)`)

// keysOfNoService reports whether keys come from a host that Envoy finds no service for: the tests have Envoy fetch them.
func (c *Call) keysOfNoService() bool {
	m := keysByHTTP.FindStringSubmatch(c.Manifests["test.yaml"])
	return m != nil && !strings.Contains(c.Manifests["test.yaml"], "\n  - "+m[1]+"\n")
}

var keysByHTTP = regexp.MustCompile(`jwksUri: "?http://(example\.com)[:/]`)

func (c *Call) proxyless() bool {
	if c.caller != nil && c.caller.instance.cfg.IsProxylessGRPC() {
		return true
	}
	return c.Options.To != nil && c.Options.To.Config().IsProxylessGRPC()
}

func headerArgs(h http.Header) []string {
	var keys, out []string
	for k := range h {
		if !strings.EqualFold(k, headers.Host) {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	for _, k := range keys {
		for _, v := range h[k] {
			out = append(out, "-H", k+": "+v)
		}
	}
	return out
}

func withoutPort(host string) string {
	if h, _, err := net.SplitHostPort(host); err == nil {
		return h
	}
	return host
}
