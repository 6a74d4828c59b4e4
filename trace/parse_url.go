package trace

import (
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"unicode"
)

// Target is a parsed URL.
type Target struct {
	Scheme Scheme
	// Host is lower case, without brackets and final dot: what is looked up.
	Host string
	// WrittenHost is the host as typed, without brackets: what the authority is made of.
	WrittenHost string
	Port        int
	// Path begins with "/" for HTTP and is empty otherwise. It is as typed: no
	// escape is decoded and no dot segment removed, as proxies differ in that.
	Path string
	// Query is without "?".
	Query string
}

// schemes is the closed list, in the order in which messages name it.
var schemes = []Scheme{HTTP, HTTPS, GRPC, GRPCS, TCP, TLS, UDP}

// DefaultPort is the port of a URL that names none; 0 where it must name one.
func (s Scheme) DefaultPort() int {
	switch s {
	case HTTP, GRPC:
		return 80
	case HTTPS, GRPCS, TLS:
		return 443
	case TCP, UDP:
		return 0
	}
	return 0
}

// grpcPath is /package.Service/Method; the package may be absent.
var grpcPath = regexp.MustCompile(`^/[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*/[A-Za-z_][A-Za-z0-9_]*$`)

// ParseURL reads [scheme://]host[:port][/path][?query]:
//
//  1. The scheme is http where none is written.
//  2. The host is a name or an IP address, IPv6 in brackets. Capital letters are
//     looked up as small ones; the authority keeps them.
//  3. The port is the scheme's own where none is written; tcp and udp have none.
//  4. The path of HTTP is "/" where none is written; that of gRPC is
//     /package.Service/Method; the other schemes have none.
func ParseURL(url string) (Target, error) {
	const form = "[scheme://]host[:port][/path][?query]"
	if url == "" {
		return Target{}, refuse(InputURL, "is empty: expected %s", form)
	}
	if !isVisible(url) {
		return Target{}, refuse(InputURL, "%q: has spaces or control characters; percent-encode them", url)
	}
	if strings.Contains(url, "#") {
		return Target{}, refuse(InputURL, "%q: a client never sends the fragment (#…); leave it out", url)
	}
	t := Target{Scheme: HTTP}
	rest := url
	if before, after, ok := strings.Cut(url, "://"); ok && !strings.ContainsAny(before, "/?") {
		t.Scheme, rest = Scheme(strings.ToLower(before)), after
		if !isScheme(t.Scheme) {
			return Target{}, refuse(InputURL, "%q: scheme %q is not known; expected one of %s", url, before, joinSchemes())
		}
	}
	authority, target := rest, ""
	if i := strings.IndexAny(rest, "/?"); i >= 0 {
		authority, target = rest[:i], rest[i:]
	}
	if err := t.setAuthority(url, authority); err != nil {
		return Target{}, err
	}
	if err := t.setPath(url, target); err != nil {
		return Target{}, err
	}
	return t, nil
}

// setAuthority reads steps 2 and 3.
func (t *Target) setAuthority(url, authority string) error {
	if strings.Contains(authority, "@") {
		// The text is not repeated: it holds a password.
		return refuse(InputURL, "has a user name before the host; send it with --header 'Authorization: Basic …'")
	}
	host, port, hasPort, err := splitHostPort(url, authority)
	if err != nil {
		return err
	}
	t.Port = t.Scheme.DefaultPort()
	if hasPort {
		if t.Port, err = strconv.Atoi(port); err != nil || t.Port < 1 || t.Port > 65535 || port[0] == '+' {
			return refuse(InputURL, "%q: port %q is not a number from 1 to 65535", url, port)
		}
	}
	if t.Port == 0 {
		return refuse(InputURL, "%q: %s has no default port; expected %s://%s:PORT", url, t.Scheme, t.Scheme, authority)
	}
	t.WrittenHost = host
	if addr, err := netip.ParseAddr(host); err == nil {
		t.Host = addr.String()
		return nil
	}
	t.Host = strings.ToLower(strings.TrimSuffix(host, "."))
	return nil
}

// splitHostPort takes an authority apart and checks the host.
func splitHostPort(url, authority string) (host, port string, hasPort bool, err error) {
	if literal, ok := strings.CutPrefix(authority, "["); ok {
		host, after, closed := strings.Cut(literal, "]")
		addr, err := netip.ParseAddr(host)
		if !closed || err != nil || !addr.Is6() || addr.Zone() != "" {
			return "", "", false, refuse(InputURL, "%q: expected an IPv6 address in the brackets", url)
		}
		port, hasPort = strings.CutPrefix(after, ":")
		if after != "" && !hasPort {
			return "", "", false, refuse(InputURL, "%q: expected a port or nothing after the brackets, not %q", url, after)
		}
		return host, port, hasPort, nil
	}
	if strings.Count(authority, ":") > 1 {
		return "", "", false, refuse(InputURL, "%q: an IPv6 address stands in brackets: [2001:db8::1]:80", url)
	}
	host, port, hasPort = strings.Cut(authority, ":")
	switch {
	case host == "":
		return "", "", false, refuse(InputURL, "%q: has no host", url)
	case strings.Contains(host, "*"):
		return "", "", false, refuse(InputURL, "%q: a request goes to one host, not to a wildcard", url)
	case strings.Trim(host, "0123456789.") == "":
		if _, err := netip.ParseAddr(host); err != nil {
			return "", "", false, refuse(InputURL, "%q: %q is neither an IP address nor a name", url, host)
		}
	case hasPort && port == "":
		return "", "", false, refuse(InputURL, "%q: expected a port behind the colon, or scheme://host", url)
	case strings.IndexFunc(host, func(r rune) bool { return r > unicode.MaxASCII }) >= 0:
		return "", "", false, refuse(InputURL, "%q: %q is not a host name; a name in other letters is written in punycode: xn--…", url, host)
	case !isHostname(host):
		return "", "", false, refuse(InputURL, "%q: %q is not a host name", url, host)
	}
	return host, port, hasPort, nil
}

// setPath reads step 4.
func (t *Target) setPath(url, target string) error {
	path, query, hasQuery := strings.Cut(target, "?")
	switch t.Scheme {
	case HTTP, HTTPS:
		if path == "" {
			path = "/"
		}
		t.Path, t.Query = path, query
	case GRPC, GRPCS:
		if hasQuery || !grpcPath.MatchString(path) {
			return refuse(InputURL, "%q: a gRPC call names its method: expected %s://%s/package.Service/Method", url, t.Scheme, t.WrittenHost)
		}
		t.Path = path
	case TCP, TLS, UDP:
		if hasQuery || (path != "" && path != "/") {
			return refuse(InputURL, "%q: a %s connection has no path; expected %s://%s:%d", url, t.Scheme, t.Scheme, t.WrittenHost, t.Port)
		}
	}
	return nil
}

func isScheme(s Scheme) bool {
	for _, known := range schemes {
		if s == known {
			return true
		}
	}
	return false
}

func joinSchemes() string {
	names := make([]string, len(schemes))
	for i, s := range schemes {
		names[i] = string(s)
	}
	return strings.Join(names, ", ")
}

// isHostname reports whether a text can be a DNS name: labels of letters, digits,
// "-" and "_" (which occurs, although no rule allows it), at most 253 characters.
// One final dot is the root.
func isHostname(s string) bool {
	s = strings.TrimSuffix(s, ".")
	if s == "" || len(s) > 253 {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for _, c := range []byte(label) {
			if !isAlphanumeric(c) && c != '-' && c != '_' {
				return false
			}
		}
	}
	return true
}

func isAlphanumeric(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

// isVisible reports whether a text is printable ASCII or other UTF-8 beyond it, without spaces.
func isVisible(s string) bool {
	for _, c := range []byte(s) {
		if c <= ' ' || c == 0x7f {
			return false
		}
	}
	return s != ""
}
