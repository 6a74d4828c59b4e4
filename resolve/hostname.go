package resolve

import (
	"cmp"
	"net/netip"
	"strings"
)

// Host names. The only wildcard is a leading "*": it stands for at least one
// character and any number of labels ("*.foo.com" is not "foo.com"; "*" is everything).
//
//	a            b             Matches  SubsetOf(a in b)
//	foo.com      foo.com       yes      yes
//	a.foo.com    *.foo.com     yes      yes
//	*.foo.com    a.foo.com     yes      no
//	*.a.foo.com  *.foo.com     yes      yes
//	foo.com      *.foo.com     no       no
//	anything     *             yes      yes
//
// Source: pkg/config/host/name.go, names.go.

// IsWildcardHost reports whether the name begins with "*".
func IsWildcardHost(h string) bool { return strings.HasPrefix(h, "*") }

// HostMatches reports whether two names overlap, in either direction.
func HostMatches(a, b string) bool {
	aw, bw := IsWildcardHost(a), IsWildcardHost(b)
	switch {
	case aw && bw:
		return strings.HasSuffix(a[1:], b[1:]) || strings.HasSuffix(b[1:], a[1:])
	case aw:
		return strings.HasSuffix(b, a[1:])
	case bw:
		return strings.HasSuffix(a, b[1:])
	}
	return a == b
}

// HostSubsetOf reports whether every name that a stands for is one that b stands for.
func HostSubsetOf(a, b string) bool {
	aw, bw := IsWildcardHost(a), IsWildcardHost(b)
	switch {
	case aw && bw:
		return strings.HasSuffix(a[1:], b[1:])
	case aw:
		return false
	case bw:
		return strings.HasSuffix(a, b[1:])
	}
	return a == b
}

// CompareHostSpecificity orders exact names before wildcards, longer before
// shorter, then by alphabet.
// Source: pkg/config/host/names.go, MoreSpecific.
func CompareHostSpecificity(a, b string) int {
	aw, bw := IsWildcardHost(a), IsWildcardHost(b)
	if aw != bw {
		if bw {
			return -1
		}
		return 1
	}
	return cmp.Or(cmp.Compare(len(b), len(a)), strings.Compare(a, b))
}

// ExpandHost turns a short name into the fully qualified name it has for a
// resource of the namespace: a name without a dot gets the namespace and the
// cluster domain; "*", IPs and names with a dot stay as they are.
// Source: pilot/pkg/model/config.go, ResolveShortnameToFQDN.
func ExpandHost(host, namespace, domain string) string {
	if host == "" || host == "*" || strings.Contains(host, ".") {
		return host
	}
	if _, err := netip.ParseAddr(host); err == nil { // an IPv6 address has no dot
		return host
	}
	return host + "." + namespace + ".svc." + domain
}
