package admission

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// isLabel reports whether s is a label of a DNS name as Istio reads it: upper case letters are allowed.
// Source: pkg/config/labels/instance.go, IsDNS1123Label.
func isLabel(s string) bool {
	if s == "" || len(s) > 63 {
		return false
	}
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case c == '-' && i > 0 && i < len(s)-1:
		default:
			return false
		}
	}
	return true
}

// domain is what is wrong with a name whose first label may begin with a wildcard; "" for nothing.
// Source: pkg/config/validation/agent/validation.go, ValidateWildcardDomain.
func domain(name string) string {
	if wrong := domainLength(name); wrong != "" {
		return wrong
	}
	first, rest, more := strings.Cut(name, ".")
	label, wildcard := strings.CutPrefix(first, "*")
	plain := strings.TrimPrefix(label, "-")
	switch {
	case len(first) > 63, !wildcard && !isLabel(first), wildcard && label != "" && !isLabel(plain):
		return fmt.Sprintf("domain name %q invalid (label %q invalid)", name, first)
	case more:
		return domainLabels(rest)
	}
	return ""
}

// fqdn is what is wrong with a name without wildcards; "" for nothing.
func fqdn(name string) string {
	if wrong := domainLength(name); wrong != "" {
		return wrong
	}
	return domainLabels(name)
}

func domainLength(name string) string {
	switch {
	case name == "":
		return "empty domain name not allowed"
	case len(name) > 255:
		return fmt.Sprintf("domain name %q too long (max 255)", name)
	}
	return ""
}

// domainLabels is what is wrong with the labels of a name. A dot at its end is allowed.
func domainLabels(name string) string {
	parts := strings.Split(name, ".")
	top := parts[len(parts)-1]
	if _, err := strconv.Atoi(top); err == nil {
		return fmt.Sprintf("domain name %q invalid (top level domain %q cannot be all-numeric)", name, top)
	}
	for i, part := range parts {
		if (i < len(parts)-1 || part != "") && !isLabel(part) {
			return fmt.Sprintf("domain name %q invalid (label %q invalid)", name, part)
		}
	}
	return ""
}

func isAddress(s string) bool {
	_, err := netip.ParseAddr(s)
	return err == nil
}

// subnet is what is wrong with an address or a range of addresses; "" for nothing.
func subnet(s string) string {
	if strings.Count(s, "/") == 1 {
		if _, err := netip.ParsePrefix(s); err != nil {
			return s + " is not a valid CIDR block"
		}
		return ""
	}
	if !isAddress(s) {
		return s + " is not a valid IP"
	}
	return ""
}

// portNumber is what is wrong with the number of a port; "" for nothing.
func portNumber(number uint32) string {
	if number < 1 || number > 65535 {
		return fmt.Sprintf("port number %d must be in the range 1..65535", int32(number))
	}
	return ""
}
