package admission

import (
	"fmt"
	"strings"

	networking "istio.io/api/networking/v1alpha3"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

// headers checks the headers that a route adds, sets and removes.
// Source: pkg/config/validation/virtualservice.go, validateHTTPRoute; validation.go, ValidateHTTPHeaderWithAuthorityOperationName.
func (c *checker) headers(field string, h *networking.Headers) {
	request, response := h.GetRequest(), h.GetResponse()
	c.headerNames(field+".request.add", sortedKeys(request.GetAdd()), true)
	c.headerNames(field+".request.set", sortedKeys(request.GetSet()), true)
	c.headerNames(field+".request.remove", request.GetRemove(), false)
	c.headerNames(field+".response.add", sortedKeys(response.GetAdd()), false)
	c.headerNames(field+".response.set", sortedKeys(response.GetSet()), false)
	c.headerNames(field+".response.remove", response.GetRemove(), false)
}

// headerNames checks names; authority is whether the host may be among them.
func (c *checker) headerNames(field string, names []string, authority bool) {
	for _, name := range names {
		host := strings.EqualFold(name, "host")
		switch {
		case name == "":
			c.refuse(field, "header name cannot be empty")
		case authority && (host || strings.EqualFold(name, ":authority")):
		case host:
			c.refuse(field, "invalid header %q: cannot set Host header", name)
		case strings.HasPrefix(name, ":"):
			c.refuse(field, "invalid header %q: header cannot have %q prefix", name, ":")
		}
	}
}

// pseudoHeaders are the names with a colon that a match may have.
var pseudoHeaders = []string{":method", ":scheme", ":authority", ":path", ":status"}

// matchedHeader is what is wrong with the name of a header in a match; "" for nothing.
// Source: pkg/config/validation/validation.go, ValidateHTTPHeaderNameOrJwtClaimRoute.
func matchedHeader(name string) string {
	if name == "" {
		return "header name cannot be empty"
	}
	if resolve.IsClaimHeader(name) {
		return ""
	}
	for _, pseudo := range pseudoHeaders {
		if name == pseudo {
			return ""
		}
	}
	for i := range len(name) {
		if !isToken(name[i]) {
			return fmt.Sprintf("header name %s is not a valid header name", name)
		}
	}
	return ""
}

// isToken reports whether c may stand in the name of a header, RFC 9110, 5.6.2.
func isToken(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0
}
