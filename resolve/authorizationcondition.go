package resolve

import (
	"cmp"
	"fmt"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
)

// policyInput is what the conditions of a policy look at.
type policyInput struct {
	conn Connection
	// q is nil on a TCP filter chain.
	q *HTTPRequest
	// token is nil where no claims are known, as for CUSTOM policies, which run before JWT authentication.
	token *Token
	// noToken is why there is none; empty where the request has none that was verified.
	noToken string
}

// withoutToken is what conditions on claims find where no token is known.
func (in *policyInput) withoutToken() string { return cmp.Or(in.noToken, noToken) }

// predicate is one value of a condition.
type predicate func(*policyInput) Truth

// attribute is one thing that conditions look at: how a value is read, and what
// the request has in its place.
type attribute struct {
	// http marks attributes that TCP filter chains do not have.
	http bool
	// source marks those that look at who sends the request, and from which address.
	source bool
	// parse makes a predicate of a value; it fails for values Envoy could not be given.
	parse func(value string) (predicate, error)
	// migrate replaces values by those of all trust domains; nil for most attributes.
	migrate func(values, trustDomains []string) []string
	actual  func(*policyInput) string
	// value is what the request has, as a value that would match it; empty, or nil, where there is none.
	value func(*policyInput) string
	// header is the request header looked at, where it is one.
	header string
	// claims are those of a token that a value would match; nil for what is no part of a token.
	claims func(value string) map[string]any
}

// The attributes by the names of the fields of source and operation, and by when.key.
//
// A value "*" stands for anything present, "*x" for a suffix, "x*" for a prefix;
// a "*" elsewhere is literal (matchWildcard). Exceptions stand at the attribute.
//
// Source: pilot/pkg/security/authz/model/generator.go; pilot/pkg/security/authz/matcher/string.go, header.go.

// sourcePrincipal matches the identity of the peer's certificate. An identity
// that is no SPIFFE ID (it has no "/") is matched by "*" alone.
var sourcePrincipal = attribute{
	source: true,
	parse: onPeer(func(value string) func(string) bool {
		return func(peer string) bool {
			return value == "*" || (strings.Contains(peer, "/") && matchWildcard(value, peer))
		}
	}),
	migrate: migratePrincipals,
	actual:  peerText,
	value:   func(in *policyInput) string { return in.conn.Peer },
}

// sourceNamespace takes "*" anywhere in the name, for any characters.
var sourceNamespace = attribute{
	source: true,
	parse: onPeer(func(value string) func(string) bool {
		pattern := strings.Split("*/ns/"+value+"/*", "*")
		return func(peer string) bool { return matchParts(pattern, "spiffe://"+peer) }
	}),
	actual: peerText,
	value:  func(in *policyInput) string { return peerSegment(in.conn.Peer, "ns") },
}

// sourceServiceAccount is NAME, in the policy's namespace, or NAMESPACE/NAME, of any
// trust domain; no wildcards. The identity may have segments of its own between and after.
func sourceServiceAccount(policyNamespace string) attribute {
	return attribute{
		source: true,
		parse: onPeer(func(value string) func(string) bool {
			namespace, account, ok := strings.Cut(value, "/")
			if !ok {
				namespace, account = policyNamespace, value
			}
			re := regexp.MustCompile("^spiffe://.+/ns/" + regexp.QuoteMeta(namespace) + "/(.+/|)sa/" + regexp.QuoteMeta(account) + "(/.+)?$")
			return func(peer string) bool { return re.MatchString("spiffe://" + peer) }
		}),
		actual: peerText,
		value: func(in *policyInput) string {
			return peerSegment(in.conn.Peer, "ns") + "/" + peerSegment(in.conn.Peer, "sa")
		},
	}
}

// sourceTrustDomain takes one "*"; a mesh trust domain stands for all of them.
var sourceTrustDomain = attribute{
	source: true,
	parse: onPeer(func(value string) func(string) bool {
		before, after, wild := strings.Cut(value, "*")
		return func(peer string) bool {
			domain, _, ok := strings.Cut(peer, "/")
			if !wild {
				return ok && domain == value
			}
			return ok && len(domain) >= len(before)+len(after) &&
				strings.HasPrefix(domain, before) && strings.HasSuffix(domain, after)
		}
	}),
	migrate: expandTrustDomains,
	actual:  peerText,
	value: func(in *policyInput) string {
		domain, _, _ := strings.Cut(in.conn.Peer, "/")
		return domain
	},
}

// sourceIP is the direct TCP peer, remoteIP the client that X-Forwarded-For or
// the PROXY protocol tells, destinationIP the pod's; values are addresses or CIDRs.
var (
	sourceIP      = ipAttribute(func(c *Connection) netip.Addr { return c.SourceIP })
	remoteIP      = ipAttribute(func(c *Connection) netip.Addr { return c.RemoteIP })
	destinationIP = ipAttribute(func(c *Connection) netip.Addr { return c.DestinationIP })
)

// destinationPort is the port the proxy receives on: the pod's.
var destinationPort = attribute{
	parse: func(value string) (predicate, error) {
		port, err := strconv.ParseUint(value, 10, 16)
		if err != nil {
			return nil, fmt.Errorf("port %q: %w", value, err)
		}
		return func(in *policyInput) Truth {
			if in.conn.DestinationPort == 0 {
				return Unknown
			}
			return TruthOf(in.conn.DestinationPort == int(port))
		}, nil
	},
	actual: func(in *policyInput) string {
		if in.conn.DestinationPort == 0 {
			return notKnown
		}
		return strconv.Itoa(in.conn.DestinationPort)
	},
	value: func(in *policyInput) string { return strconv.Itoa(in.conn.DestinationPort) },
}

// connectionSNI is the server name of the TLS handshake.
var connectionSNI = attribute{
	parse: func(value string) (predicate, error) {
		return func(in *policyInput) Truth { return TruthOf(matchPresent(value, in.conn.SNI)) }, nil
	},
	actual: func(in *policyInput) string {
		if in.conn.SNI == "" {
			return "no SNI"
		}
		return in.conn.SNI
	},
	value: func(in *policyInput) string { return in.conn.SNI },
}

// operationHost is the Host header with its port, in any case.
var operationHost = attribute{
	http: true,
	parse: func(value string) (predicate, error) {
		value = strings.ToLower(value)
		return func(in *policyInput) Truth {
			return TruthOf(matchWildcard(value, strings.ToLower(in.q.Authority)))
		}, nil
	},
	actual: func(in *policyInput) string { return in.q.Authority },
	value:  func(in *policyInput) string { return in.q.Authority },
}

// operationMethod is case-sensitive.
var operationMethod = attribute{
	http: true,
	parse: func(value string) (predicate, error) {
		return func(in *policyInput) Truth { return TruthOf(matchWildcard(value, in.q.Method)) }, nil
	},
	actual: func(in *policyInput) string { return in.q.Method },
	value:  func(in *policyInput) string { return in.q.Method },
}

// operationPath is the normalized path without query and fragment. A value with
// {*} or {**} is a template.
var operationPath = attribute{
	http: true,
	parse: func(value string) (predicate, error) {
		match := func(path string) bool { return matchPresent(value, path) }
		if isPathTemplate(value) {
			match = pathTemplate(value)
		}
		return func(in *policyInput) Truth { return TruthOf(match(pathOnly(in.q.Path))) }, nil
	},
	actual: func(in *policyInput) string { return pathOnly(in.q.Path) },
	value:  func(in *policyInput) string { return pathOnly(in.q.Path) },
}

// attributeOfKey is the attribute of a condition under when; false for a key Istio does not know.
// Source: pilot/pkg/security/authz/model/model.go, New.
func attributeOfKey(key, policyNamespace string) (attribute, bool) {
	switch key {
	case "destination.ip":
		return destinationIP, true
	case "destination.port":
		return destinationPort, true
	case "connection.sni":
		return connectionSNI, true
	case "source.ip":
		return sourceIP, true
	case "remote.ip":
		return remoteIP, true
	case "source.namespace":
		return sourceNamespace, true
	case "source.trustDomain":
		return sourceTrustDomain, true
	case "source.serviceAccount":
		return sourceServiceAccount(policyNamespace), true
	case "source.principal":
		return sourcePrincipal, true
	case "request.auth.principal":
		return requestPrincipalAttribute, true
	case "request.auth.audiences":
		return claimAttribute([]string{"aud"}, nil), true
	case "request.auth.presenter":
		return claimAttribute([]string{"azp"}, nil), true
	}
	if rest, ok := strings.CutPrefix(key, "experimental.envoy.filters."); ok {
		return envoyMetadata(rest), true
	}
	if rest, ok := strings.CutPrefix(key, "request.headers"); ok {
		return requestHeader(rest), true
	}
	if rest, ok := strings.CutPrefix(key, "request.auth.claims"); ok {
		path, err := claimPath(rest)
		return claimAttribute(path, err), true
	}
	return attribute{}, false
}

// requestHeader is a header by the name in brackets; "*" matches one that is present, even if empty.
func requestHeader(brackets string) attribute {
	name, err := inBrackets(brackets)
	return attribute{
		http: true,
		parse: func(value string) (predicate, error) {
			return func(in *policyInput) Truth {
				if value != "*" && in.q.unknown(name) {
					return Unknown
				}
				got, ok := in.q.Header(name)
				return TruthOf(ok && matchWildcard(value, got))
			}, err
		},
		actual: func(in *policyInput) string {
			if in.q.unknown(name) {
				return notKnown
			}
			if got, ok := in.q.Header(name); ok {
				return strconv.Quote(got)
			}
			return "absent"
		},
		value: func(in *policyInput) string {
			got, _ := in.q.Header(name)
			return got
		},
		header: name,
	}
}

// envoyMetadata is the dynamic metadata of a filter, which nothing here can know.
func envoyMetadata(key string) attribute {
	return attribute{
		parse: func(string) (predicate, error) {
			if !strings.Contains(key, "[") {
				return nil, fmt.Errorf("key experimental.envoy.filters.%s has no [name]", key)
			}
			return func(*policyInput) Truth { return Unknown }, nil
		},
		actual: func(*policyInput) string { return notKnown },
	}
}

// notKnown stands for what cannot be told from resources.
const notKnown = "not known from here"

// onPeer makes predicates on the verified identity; without one nothing matches.
func onPeer(matcher func(value string) func(peer string) bool) func(string) (predicate, error) {
	return func(value string) (predicate, error) {
		match := matcher(value)
		return func(in *policyInput) Truth { return TruthOf(in.conn.Peer != "" && match(in.conn.Peer)) }, nil
	}
}

func peerText(in *policyInput) string {
	switch {
	case in.conn.Peer != "":
		return in.conn.Peer
	case in.conn.TLS == TLSOpened:
		return "none: the client showed no certificate"
	case in.conn.TLS == TLSPassedOn:
		return "none: the proxy does not open the connection's TLS"
	}
	return "none: the connection is plaintext"
}

func ipAttribute(of func(*Connection) netip.Addr) attribute {
	return attribute{
		source: true,
		parse: func(value string) (predicate, error) {
			prefix, err := parseRange(value)
			if err != nil {
				return nil, err
			}
			return func(in *policyInput) Truth {
				ip := of(&in.conn)
				if !ip.IsValid() {
					return Unknown
				}
				return TruthOf(prefix.Contains(ip.Unmap().WithZone("")))
			}, nil
		},
		actual: func(in *policyInput) string {
			if ip := of(&in.conn); ip.IsValid() {
				return ip.String()
			}
			return notKnown
		},
		value: func(in *policyInput) string {
			if ip := of(&in.conn); ip.IsValid() {
				return ip.String()
			}
			return ""
		},
	}
}

// peerSegment is the part of a SPIFFE ID behind /ns/ or /sa/.
func peerSegment(peer, name string) string {
	_, rest, _ := strings.Cut(peer, "/"+name+"/")
	segment, _, _ := strings.Cut(rest, "/")
	return segment
}

// parseRange reads an address or a CIDR.
// Source: pilot/pkg/networking/util/util.go, AddrStrToPrefix.
func parseRange(value string) (netip.Prefix, error) {
	if strings.Contains(value, "/") {
		return netip.ParsePrefix(value)
	}
	ip, err := netip.ParseAddr(value)
	if err != nil {
		return netip.Prefix{}, err
	}
	return netip.PrefixFrom(ip, ip.BitLen()), nil
}
