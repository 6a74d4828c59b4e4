package trace

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

// Typed is a request as a person types it: the URL and the flags of the command
// line, or the fields of a case file. Empty means not given.
type Typed struct {
	URL, Method string
	// Headers are "K: V", in the order typed.
	Headers []string
	// From is the source; Namespace is the one that counts where it names none.
	From, Namespace string
	Gateway         string
	SourceIP        string
	SNI, ClientCert string
	// JWT is an encoded token; Claims are "k=v", set on top of its payload.
	JWT    string
	Claims []string
}

// Input names one thing that is typed; its text is the flag's name without dashes.
type Input string

// The closed list of inputs.
const (
	InputURL        Input = "URL"
	InputMethod     Input = "method"
	InputHeader     Input = "header"
	InputFrom       Input = "from"
	InputGateway    Input = "gateway"
	InputSourceIP   Input = "source-ip"
	InputSNI        Input = "sni"
	InputClientCert Input = "client-cert"
	InputJWT        Input = "jwt"
	InputClaim      Input = "claim"
)

// InputError refuses something that was typed and says what was expected.
type InputError struct {
	Input   Input
	Problem string
}

// Error names the input and the problem.
func (e *InputError) Error() string { return string(e.Input) + " " + e.Problem }

// refuse is an InputError with a formatted problem.
func refuse(in Input, format string, args ...any) error {
	return &InputError{Input: in, Problem: fmt.Sprintf(format, args...)}
}

// NewRequest reads what was typed. It refuses what it cannot mean, and what a
// request of that scheme does not have:
//
//  1. The URL says scheme, host, port, path and query (ParseURL).
//  2. A method and headers belong to HTTP. gRPC is POST with content type application/grpc.
//  3. A server name and a client certificate belong to a client that speaks TLS.
//  4. A token travels in the Authorization header. Claims are set on top of its payload.
//  5. A gateway is where a client outside the cluster enters: naming one makes the source external.
func NewRequest(typed Typed) (Request, error) {
	target, err := ParseURL(typed.URL)
	if err != nil {
		return Request{}, err
	}
	q := Request{
		Scheme: target.Scheme, Host: target.Host, WrittenHost: target.WrittenHost, Port: target.Port,
		Path: target.Path, Query: target.Query, Headers: map[string]string{},
	}
	for _, read := range []func(*Request, Typed) error{readHTTP, readConnection, readToken, readSource} {
		if err := read(&q, typed); err != nil {
			return Request{}, err
		}
	}
	return q, nil
}

func readHTTP(q *Request, typed Typed) error {
	if !q.Scheme.IsHTTP() {
		if typed.Method != "" {
			return refuse(InputMethod, "%q: a %s connection has no method; it belongs to http, https, grpc and grpcs", typed.Method, q.Scheme)
		}
		if len(typed.Headers) > 0 {
			return refuse(InputHeader, "%q: a %s connection has no headers; they belong to http, https, grpc and grpcs", typed.Headers[0], q.Scheme)
		}
		return nil
	}
	headers, err := ParseHeaders(typed.Headers)
	if err != nil {
		return err
	}
	q.Headers = headers
	if q.Scheme == GRPC || q.Scheme == GRPCS {
		return readGRPC(q, typed)
	}
	q.Method, err = parseMethod(typed.Method)
	return err
}

func readGRPC(q *Request, typed Typed) error {
	if typed.Method != "" && typed.Method != "POST" {
		return refuse(InputMethod, "%q: a gRPC call is always POST", typed.Method)
	}
	q.Method = "POST"
	contentType, ok := q.Headers["content-type"]
	if ok && !strings.HasPrefix(contentType, "application/grpc") {
		return refuse(InputHeader, "content-type %q: a gRPC call has application/grpc", contentType)
	}
	if !ok {
		q.Headers["content-type"] = "application/grpc"
	}
	return nil
}

// parseMethod reads an HTTP method. Methods are case-sensitive (RFC 9110, 9.1),
// and a route that matches GET does not match get: that is refused as a slip.
func parseMethod(method string) (string, error) {
	switch {
	case method == "":
		return "GET", nil
	case !isToken(method):
		return "", refuse(InputMethod, "%q: expected a method such as GET", method)
	case method != strings.ToUpper(method):
		return "", refuse(InputMethod, "%q: methods are upper case; expected %s", method, strings.ToUpper(method))
	case method == "CONNECT":
		return "", refuse(InputMethod, "CONNECT asks a proxy for a tunnel; expected the method of the request itself")
	}
	return method, nil
}

func readConnection(q *Request, typed Typed) error {
	if typed.SourceIP != "" {
		addr, err := netip.ParseAddr(typed.SourceIP)
		if err != nil || addr.Zone() != "" {
			return refuse(InputSourceIP, "%q: expected an IP address such as 203.0.113.7", typed.SourceIP)
		}
		q.SourceIP = addr.Unmap()
	}
	if typed.SNI != "" {
		if !q.Scheme.IsTLS() {
			return refuse(InputSNI, "%q: a client of %s sends no server name; it belongs to https, grpcs and tls", typed.SNI, q.Scheme)
		}
		// An IP address is never sent as a server name (RFC 6066, 3).
		if _, err := netip.ParseAddr(typed.SNI); err == nil || !isHostname(typed.SNI) {
			return refuse(InputSNI, "%q: expected a DNS name", typed.SNI)
		}
		q.SNI = strings.ToLower(strings.TrimSuffix(typed.SNI, "."))
	}
	if typed.ClientCert != "" {
		if !q.Scheme.IsTLS() {
			return refuse(InputClientCert, "%q: a client of %s shows no certificate; it belongs to https, grpcs and tls", typed.ClientCert, q.Scheme)
		}
		if !isSAN(typed.ClientCert) {
			return refuse(InputClientCert, "%q: expected an identity: spiffe://TRUST-DOMAIN/PATH, or another SAN of the certificate", typed.ClientCert)
		}
		q.ClientCert = typed.ClientCert
	}
	return nil
}

// isSAN reports whether a text can be a subject alternative name: a SPIFFE URI
// with a trust domain and a path, or any other text without spaces.
func isSAN(s string) bool {
	if id, ok := strings.CutPrefix(s, "spiffe://"); ok {
		domain, path, _ := strings.Cut(id, "/")
		if domain == "" || path == "" {
			return false
		}
	}
	return isVisible(s)
}

// readToken decodes the token and puts it in the Authorization header. Tokens lose
// their signature wherever they stand: nothing here reads it, and a trace that is
// passed on then holds no credential.
func readToken(q *Request, typed Typed) error {
	q.Query = withoutSignatures(q.Query)
	for name, value := range q.Headers {
		q.Headers[name] = withoutSignatures(value)
	}
	sent, hasHeader := q.Headers["authorization"]
	if typed.JWT == "" && len(typed.Claims) == 0 {
		if token, err := ParseJWT(sent); err == nil && hasHeader {
			q.Token = token
			q.Headers["authorization"] = "Bearer " + withoutSignature(bearer(sent))
		}
		return nil
	}
	if !q.Scheme.IsHTTP() {
		return refuse(tokenInput(typed), "needs a request that carries it: http, https, grpc or grpcs, not %s", q.Scheme)
	}
	if hasHeader {
		return refuse(tokenInput(typed), "is sent in the Authorization header, which --header sets as well; give one of them")
	}
	token := &resolve.Token{Claims: map[string]any{}}
	encoded := ""
	if typed.JWT != "" {
		var err error
		if token, err = ParseJWT(typed.JWT); err != nil {
			return err
		}
		encoded = withoutSignature(bearer(typed.JWT))
	}
	if len(typed.Claims) > 0 {
		if err := setClaims(token, typed.Claims); err != nil {
			return err
		}
		var err error
		if encoded, err = unsignedJWT(token); err != nil {
			return err
		}
	}
	q.Token = token
	q.Headers["authorization"] = "Bearer " + encoded
	return nil
}

func tokenInput(typed Typed) Input {
	if typed.JWT != "" {
		return InputJWT
	}
	return InputClaim
}

func readSource(q *Request, typed Typed) error {
	from, err := ParseSource(typed.From)
	if err != nil {
		return err
	}
	from.DefaultNamespace = typed.Namespace
	if typed.Gateway != "" {
		parts := strings.Split(typed.Gateway, "/")
		if len(parts) > 2 || slices.ContainsFunc(parts, func(p string) bool { return !isObjectName(p) }) {
			return refuse(InputGateway, "%q: expected [NAMESPACE/]NAME", typed.Gateway)
		}
		if from.Given() && !from.External {
			return refuse(InputGateway, "%q: a gateway is for a client outside the cluster, and the source is %q; expected --from external", typed.Gateway, typed.From)
		}
		from.External = true
		q.Gateway = typed.Gateway
	}
	q.From = from
	return nil
}
