package evaluator

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	rbac "github.com/envoyproxy/go-control-plane/envoy/config/rbac/v3"
	template "github.com/envoyproxy/go-control-plane/envoy/extensions/path/match/uri_template/v3"
	matcher "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
)

// facts are what a policy can ask about.
type facts struct {
	*visit
	request        *Request
	claims         map[string]any
	source, remote netip.Addr
}

// allowed runs the enforced rules.
func allowed(rules *rbac.RBAC, f facts) (bool, string) {
	if rules == nil {
		return true, ""
	}
	matched := effective(rules, f)
	switch {
	case rules.GetAction() == rbac.RBAC_LOG,
		rules.GetAction() == rbac.RBAC_ALLOW && matched != "",
		rules.GetAction() == rbac.RBAC_DENY && matched == "":
		return true, ""
	}
	return false, fmt.Sprintf("rbac_access_denied_matched_policy[%s]", cmp.Or(matched, "none"))
}

// effective is the first policy that matches; policies are tried by name.
func effective(rules *rbac.RBAC, f facts) string {
	for _, n := range slices.Sorted(maps.Keys(rules.GetPolicies())) {
		policy := rules.GetPolicies()[n]
		if slices.ContainsFunc(policy.GetPermissions(), f.permits) && slices.ContainsFunc(policy.GetPrincipals(), f.is) {
			return n
		}
	}
	return ""
}

func (f facts) permits(p *rbac.Permission) bool {
	switch r := p.GetRule().(type) {
	case *rbac.Permission_Any:
		return r.Any
	case *rbac.Permission_AndRules:
		for _, x := range r.AndRules.GetRules() {
			if !f.permits(x) {
				return false
			}
		}
		return true
	case *rbac.Permission_OrRules:
		return slices.ContainsFunc(r.OrRules.GetRules(), f.permits)
	case *rbac.Permission_NotRule:
		return !f.permits(r.NotRule)
	case *rbac.Permission_Header:
		return f.request != nil && headerMatches(r.Header, f.request)
	case *rbac.Permission_UrlPath:
		return f.path(r.UrlPath)
	case *rbac.Permission_DestinationIp:
		return within(r.DestinationIp, f.destination.Addr())
	case *rbac.Permission_DestinationPort:
		return r.DestinationPort == uint32(f.destination.Port())
	case *rbac.Permission_RequestedServerName:
		return stringMatches(r.RequestedServerName, f.sni)
	case *rbac.Permission_UriTemplate:
		t, ok := unpack(r.UriTemplate.GetTypedConfig(), &template.UriTemplateMatchConfig{})
		path := ""
		if f.request != nil {
			path, _, _ = strings.Cut(f.request.Path, "?")
		}
		return ok && templateMatches(t.GetPathTemplate(), path)
	case *rbac.Permission_Metadata:
		return f.metadata(r.Metadata)
	}
	return false
}

func (f facts) is(p *rbac.Principal) bool {
	switch r := p.GetIdentifier().(type) {
	case *rbac.Principal_Any:
		return r.Any
	case *rbac.Principal_AndIds:
		for _, x := range r.AndIds.GetIds() {
			if !f.is(x) {
				return false
			}
		}
		return true
	case *rbac.Principal_OrIds:
		return slices.ContainsFunc(r.OrIds.GetIds(), f.is)
	case *rbac.Principal_NotId:
		return !f.is(r.NotId)
	case *rbac.Principal_Authenticated_:
		if r.Authenticated.GetPrincipalName() == nil {
			return f.tls
		}
		return f.peer != "" && stringMatches(r.Authenticated.GetPrincipalName(), f.peer)
	case *rbac.Principal_FilterState:
		name := cmp.Or(f.principal, f.peer)
		return r.FilterState.GetKey() == "io.istio.peer_principal" && name != "" && stringMatches(r.FilterState.GetStringMatch(), name)
	case *rbac.Principal_SourceIp:
		return within(r.SourceIp, f.source)
	case *rbac.Principal_DirectRemoteIp:
		return within(r.DirectRemoteIp, f.source)
	case *rbac.Principal_RemoteIp:
		return within(r.RemoteIp, f.remote)
	case *rbac.Principal_Header:
		return f.request != nil && headerMatches(r.Header, f.request)
	case *rbac.Principal_UrlPath:
		return f.path(r.UrlPath)
	case *rbac.Principal_Metadata:
		return f.metadata(r.Metadata)
	}
	return false
}

func (f facts) path(m *matcher.PathMatcher) bool {
	if f.request == nil {
		return false
	}
	path, _, _ := strings.Cut(f.request.Path, "?")
	path, _, _ = strings.Cut(path, "#")
	return stringMatches(m.GetPath(), path)
}

func (f facts) metadata(m *matcher.MetadataMatcher) bool {
	return metadataMatches(m, f.claims) != m.GetInvert()
}

// metadataMatches looks a path up in what the token filter left.
func metadataMatches(m *matcher.MetadataMatcher, claims map[string]any) bool {
	var value any
	if m.GetFilter() == "envoy.filters.http.jwt_authn" && claims != nil {
		value = map[string]any{"payload": claims}
	}
	return lookUp(m, value)
}

func lookUp(m *matcher.MetadataMatcher, value any) bool {
	for _, s := range m.GetPath() {
		object, ok := value.(map[string]any)
		if !ok {
			return valueMatches(m.GetValue(), nil)
		}
		value = object[s.GetKey()]
	}
	return valueMatches(m.GetValue(), value)
}

func within(r *core.CidrRange, ip netip.Addr) bool {
	base, err := netip.ParseAddr(r.GetAddressPrefix())
	return err == nil && ip.IsValid() && netip.PrefixFrom(base, int(r.GetPrefixLen().GetValue())).Contains(ip)
}

// templateMatches: * and {name} are one segment that is not empty, ** and {name=**} any number of characters.
func templateMatches(pattern, path string) bool {
	var b strings.Builder
	for i, segment := range strings.Split(pattern, "/") {
		if i > 0 {
			b.WriteByte('/')
		}
		variable := strings.HasPrefix(segment, "{") && strings.HasSuffix(segment, "}")
		if _, value, ok := strings.Cut(strings.Trim(segment, "{}"), "="); variable && ok {
			segment = value
		} else if variable && !strings.Contains(segment, "*") {
			segment = "*"
		}
		b.WriteString(templateSegment(strings.Trim(segment, "{}")))
	}
	return regexMatches(&matcher.RegexMatcher{Regex: b.String()}, path)
}

func templateSegment(s string) string {
	s = regexp.QuoteMeta(s)
	s = strings.ReplaceAll(s, `\*\*`, "[a-zA-Z0-9-._~%!$&'()+,;:@/=*]*")
	return strings.ReplaceAll(s, `\*`, "[a-zA-Z0-9-._~%!$&'()+,;:@=*]+")
}
