package resolve

import (
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// The RBAC filter of an EnvoyFilter, on one request.
//
//  1. Without rules it lets everything pass. shadow_rules decide nothing.
//  2. A policy matches where any of its permissions and any of its principals do.
//  3. ALLOW, which is the default: denied where no policy matches. DENY: denied where one does. LOG decides nothing.
//  4. Policies are looked at by name.
//
// Source: Envoy, source/extensions/filters/common/rbac/engine_impl.cc, matchers.cc; config.rbac.v3.

// rbacInput is what an RBAC filter looks at.
type rbacInput struct {
	q *HTTPRequest
	c *Connection
	// client is set once a clause looked at who the client is, or where.
	client bool
	// why is the first thing that could not be told.
	why string
}

// rbac has an RBAC filter look at the request.
func (f *HTTPFilters) rbac(r *FilterResult, a *addedFilter, name string, config *envoyValue, q *HTTPRequest, c *Connection) {
	ref, place := a.config("rules"), a.place.String()
	config.ignore("shadow_rules", "rules_stat_prefix", "shadow_rules_stat_prefix", "track_per_rule_stats")
	in := &rbacInput{q: q, c: c}
	denied, policy := in.denied(config.object("rules"))
	r.AsksClient = r.AsksClient || in.client
	if len(config.unread()) > 0 {
		denied, in.why = Unknown, config.unread()[0]+" is not modelled"
	}
	switch denied {
	case False:
		r.Steps = append(r.Steps, NewStep(RuleHTTPFilterRBACAllow, Allowed, ref, name, place, policy))
	case True:
		step := NewStep(RuleHTTPFilterRBACDeny, DeniedBy, ref, name, place, policyInWords(policy))
		r.Steps = append(r.Steps, step)
		r.Answer = &FilterAnswer{Status: 403, Details: "rbac_access_denied_matched_policy[" + policy + "]", Denied: true, By: ref, Reason: step.Reason()}
	case Unknown:
		r.Steps = append(r.Steps, NewStep(RuleHTTPFilterRBACOpen, Warned, ref, name, place, in.why))
		r.Suppositions = append(r.Suppositions, Supposition{
			Holds: a.patch.ref.Object().String() + " lets it pass",
			Otherwise: FilterAnswer{
				Status: 403, Denied: true, By: ref, Reason: a.patch.ref.Object().String() + " refuses: " + in.why,
			},
		})
	}
}

func policyInWords(policy string) string {
	if policy == NoPolicy {
		return "none of its policies matches"
	}
	return "policy " + policy + " matches"
}

// denied is rules 1 to 4; policy is the one that decided, or in words why none had to.
func (in *rbacInput) denied(rules *envoyValue) (denied Truth, policy string) {
	if rules == nil {
		return False, "it has no rules"
	}
	action := rules.text("action")
	policies := rules.object("policies")
	matched, open := "", false
	for _, name := range policies.names() {
		switch in.policy(policies.object(name)) {
		case True:
			matched = name
		case Unknown:
			open = true
		case False:
		}
		if matched != "" {
			break
		}
	}
	switch action {
	case "", "ALLOW":
		switch {
		case matched != "":
			return False, policyInWords(matched)
		case open:
			return Unknown, ""
		}
		return True, NoPolicy
	case "DENY":
		switch {
		case open:
			return Unknown, ""
		case matched != "":
			return True, matched
		}
		return False, "none of its policies matches"
	case "LOG":
		return False, "its action is LOG"
	}
	in.why = "action " + action + " is not modelled"
	return Unknown, ""
}

func (in *rbacInput) policy(p *envoyValue) Truth {
	answer := in.anyOf(p.list("permissions"), in.permission).And(in.anyOf(p.list("principals"), in.principal))
	if unread := p.unread(); len(unread) > 0 {
		return in.unknown(unread[0] + " is not modelled")
	}
	return answer
}

func (in *rbacInput) unknown(why string) Truth {
	if in.why == "" {
		in.why = why
	}
	return Unknown
}

func (in *rbacInput) anyOf(list []*envoyValue, eval func(*envoyValue) Truth) Truth {
	answer := False
	for _, one := range list {
		answer = answer.Or(eval(one))
	}
	return answer
}

func (in *rbacInput) allOf(list []*envoyValue, eval func(*envoyValue) Truth) Truth {
	answer := True
	for _, one := range list {
		answer = answer.And(eval(one))
	}
	return answer
}

// permission is what is done: one clause.
func (in *rbacInput) permission(v *envoyValue) Truth {
	switch {
	case v.has("any"):
		b, _ := v.flag("any")
		return TruthOf(b)
	case v.has("and_rules"):
		return in.allOf(v.object("and_rules").list("rules"), in.permission)
	case v.has("or_rules"):
		return in.anyOf(v.object("or_rules").list("rules"), in.permission)
	case v.has("not_rule"):
		return in.permission(v.object("not_rule")).Not()
	case v.has("destination_port"):
		port, _ := v.number("destination_port")
		return TruthOf(int(port) == in.c.DestinationPort)
	case v.has("destination_ip"):
		return in.cidr(v.object("destination_ip"), in.c.DestinationIP, "the destination's address")
	}
	return in.common(v)
}

// principal is who does it: one clause.
func (in *rbacInput) principal(v *envoyValue) Truth {
	switch {
	case v.has("any"):
		b, _ := v.flag("any")
		return TruthOf(b)
	case v.has("and_ids"):
		return in.allOf(v.object("and_ids").list("ids"), in.principal)
	case v.has("or_ids"):
		return in.anyOf(v.object("or_ids").list("ids"), in.principal)
	case v.has("not_id"):
		return in.principal(v.object("not_id")).Not()
	}
	in.client = in.client || v.has("source_ip") || v.has("direct_remote_ip") || v.has("remote_ip") || v.has("authenticated")
	switch {
	case v.has("source_ip"):
		return in.cidr(v.object("source_ip"), in.c.SourceIP, "the client's address")
	case v.has("direct_remote_ip"):
		return in.cidr(v.object("direct_remote_ip"), in.c.SourceIP, "the client's address")
	case v.has("remote_ip"):
		return in.cidr(v.object("remote_ip"), in.c.RemoteIP, "the client's address")
	case v.has("authenticated"):
		return in.authenticated(v.object("authenticated"))
	}
	return in.common(v)
}

// common are the clauses that permissions and principals share.
func (in *rbacInput) common(v *envoyValue) Truth {
	switch {
	case v.has("header"):
		return in.header(v.object("header"))
	case v.has("url_path"):
		return in.text(v.object("url_path").object("path"), in.q.Path)
	}
	return in.unknown(joinLimited(v.names(), 1) + " is not modelled")
}

// authenticated asks for the identity in the client's certificate; without a name for TLS alone, whatever the client has shown.
func (in *rbacInput) authenticated(v *envoyValue) Truth {
	switch {
	case !v.has("principal_name"):
		return TruthOf(in.c.Peer != "" || in.c.TLS == TLSOpened)
	case in.c.Peer == "":
		v.ignore("principal_name")
		return False
	}
	return in.text(v.object("principal_name"), "spiffe://"+in.c.Peer)
}

func (in *rbacInput) cidr(v *envoyValue, ip netip.Addr, what string) Truth {
	n, ok := v.number("prefix_len")
	if !ok {
		n = 0
	}
	prefix, err := netip.ParsePrefix(v.text("address_prefix") + "/" + strconv.Itoa(int(n)))
	switch {
	case err != nil:
		return in.unknown("address " + v.text("address_prefix") + " cannot be read")
	case !ip.IsValid():
		return in.unknown(what + " is not known")
	}
	return TruthOf(prefix.Masked().Contains(ip.Unmap()))
}

// proxyHeaders begin the names of headers that proxies write themselves.
var proxyHeaders = []string{"x-envoy", "x-forwarded", "x-request-id", "x-b3", "traceparent"}

// header is a HeaderMatcher: a header that is absent matches nothing but present_match: false.
// Source: Envoy, source/common/http/header_utility.h, HeaderDataBaseImpl.
func (in *rbacInput) header(v *envoyValue) Truth {
	name := strings.ToLower(v.text("name"))
	value, there := in.q.Header(name)
	own := slices.ContainsFunc(proxyHeaders, func(prefix string) bool { return strings.HasPrefix(name, prefix) })
	inverted, _ := v.flag("invert_match")
	if in.q.unknown(name) || own {
		v.names()
		return in.unknown("the value of header " + name + " is not known")
	}
	if empty, _ := v.flag("treat_missing_header_as_empty"); empty && !there {
		there = true
	}
	var answer Truth
	switch {
	case v.has("present_match"):
		wanted, _ := v.flag("present_match")
		return TruthOf((there == wanted) != inverted)
	case v.has("string_match"):
		answer = in.text(v.object("string_match"), value)
	case v.has("exact_match"):
		answer = TruthOf(value == v.text("exact_match"))
	case v.has("prefix_match"):
		answer = TruthOf(strings.HasPrefix(value, v.text("prefix_match")))
	case v.has("suffix_match"):
		answer = TruthOf(strings.HasSuffix(value, v.text("suffix_match")))
	case v.has("contains_match"):
		answer = TruthOf(strings.Contains(value, v.text("contains_match")))
	case v.has("safe_regex_match"):
		answer = in.regex(v.object("safe_regex_match"), value)
	case v.has("range_match"):
		return in.unknown("range_match is not modelled")
	default:
		answer = True // nothing but the name: it has to be there
	}
	if !there {
		return False
	}
	if inverted {
		return answer.Not()
	}
	return answer
}

// text is a StringMatcher.
func (in *rbacInput) text(v *envoyValue, value string) Truth {
	fold := func(s string) string { return s }
	if ignore, _ := v.flag("ignore_case"); ignore {
		fold = lowerASCII
	}
	value = fold(value)
	switch {
	case v.has("exact"):
		return TruthOf(value == fold(v.text("exact")))
	case v.has("prefix"):
		return TruthOf(strings.HasPrefix(value, fold(v.text("prefix"))))
	case v.has("suffix"):
		return TruthOf(strings.HasSuffix(value, fold(v.text("suffix"))))
	case v.has("contains"):
		return TruthOf(strings.Contains(value, fold(v.text("contains"))))
	case v.has("safe_regex"):
		return in.regex(v.object("safe_regex"), value)
	}
	return in.unknown("a string matcher is not modelled")
}

func (in *rbacInput) regex(v *envoyValue, value string) Truth {
	v.ignore("google_re2")
	re, err := regexp.Compile("^(?:" + v.text("regex") + ")$")
	if err != nil {
		return in.unknown("regex " + v.text("regex") + " cannot be read")
	}
	return TruthOf(re.MatchString(value))
}
