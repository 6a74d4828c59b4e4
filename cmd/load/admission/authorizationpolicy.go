package admission

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"istio.io/api/annotation"
	security "istio.io/api/security/v1beta1"
)

// authorizationPolicy checks an AuthorizationPolicy.
// Source: pkg/config/validation/validation.go, ValidateAuthorizationPolicy, checkDryRunAnnotation.
func (c *checker) authorizationPolicy(namespace, name string, annotations map[string]string, spec *security.AuthorizationPolicy) {
	if c.dryRun(namespace, name, annotations, spec) {
		return // istiod looks no further
	}
	c.attached(spec.GetSelector(), spec.GetTargetRef(), spec.GetTargetRefs())
	provider, custom := spec.GetProvider(), spec.GetAction() == security.AuthorizationPolicy_CUSTOM
	const meaningless = "%s action without `rules` is meaningless as it will never be triggered, add an empty rule `{}` if you want it be triggered for every request"
	switch {
	case custom && spec.Rules == nil:
		c.refuse("spec.rules", meaningless, "CUSTOM")
	case custom && provider.GetName() == "":
		c.refuse("spec.provider.name", "`provider.name` must not be empty")
	case !custom && provider != nil:
		c.refuse("spec.provider", "`provider` must not be with non CUSTOM action, found %s", spec.GetAction())
	}
	if spec.GetAction() == security.AuthorizationPolicy_DENY && spec.Rules == nil {
		c.refuse("spec.rules", meaningless, "DENY")
	}
	for i, rule := range spec.GetRules() {
		field := entry("spec.rules", i)
		if rule == nil {
			c.refuse(field, "`rule` must not be nil, found at rule %d", i)
			continue
		}
		if custom {
			c.customRule(field, rule)
		}
		c.rule(field, i, rule)
	}
}

// dryRun checks the annotation that makes a policy one that only logs, and reports whether it is wrong.
func (c *checker) dryRun(namespace, name string, annotations map[string]string, spec *security.AuthorizationPolicy) bool {
	value, there := annotations[annotation.IoIstioDryRun.Name]
	if !there {
		return false
	}
	field := "metadata.annotations[" + annotation.IoIstioDryRun.Name + "]"
	switch spec.GetAction() {
	case security.AuthorizationPolicy_ALLOW, security.AuthorizationPolicy_DENY:
		_, err := strconv.ParseBool(value)
		if err != nil {
			c.refuse(field, "%s/%s has annotation %s with invalid value (%s): %v", namespace, name, annotation.IoIstioDryRun.Name, value, err)
		}
		return err != nil
	}
	c.refuse(field, "the annotation %s currently only supports action ALLOW/DENY, found action %v in %s/%s", annotation.IoIstioDryRun.Name, spec.GetAction(), namespace, name)
	return true
}

// customRule checks that an external authorizer is not asked by what is not known where it is asked.
func (c *checker) customRule(field string, rule *security.Rule) {
	const unsupported = "%s is currently not supported with CUSTOM action"
	for i, from := range rule.GetFrom() {
		s := from.GetSource()
		for _, part := range []struct {
			name   string
			values []string
		}{
			{"From.Namespaces", s.GetNamespaces()},
			{"From.NotNamespaces", s.GetNotNamespaces()},
			{"From.ServiceAccounts", s.GetServiceAccounts()},
			{"From.NotServiceAccounts", s.GetNotServiceAccounts()},
			{"From.TrustDomains", s.GetTrustDomains()},
			{"From.NotTrustDomains", s.GetNotTrustDomains()},
			{"From.Principals", s.GetPrincipals()},
			{"From.NotPrincipals", s.GetNotPrincipals()},
			{"From.RequestPrincipals", s.GetRequestPrincipals()},
			{"From.NotRequestPrincipals", s.GetNotRequestPrincipals()},
		} {
			if len(part.values) > 0 {
				c.refuse(entry(field+".from", i)+".source", unsupported, part.name)
			}
		}
	}
	for i, when := range rule.GetWhen() {
		switch key := when.GetKey(); {
		case key == "source.namespace", key == "source.serviceAccount", key == "source.trustDomain", key == "source.principal",
			strings.HasPrefix(key, "request.auth."):
			c.refuse(entry(field+".when", i)+".key", unsupported, key)
		}
	}
}

// rule checks one rule; at is its place.
func (c *checker) rule(field string, at int, rule *security.Rule) {
	if rule.From != nil && len(rule.GetFrom()) == 0 {
		c.refuse(field+".from", "`from` must not be empty, found at rule %d", at)
	}
	for i, from := range rule.GetFrom() {
		switch where := entry(field+".from", i); {
		case from == nil:
			c.refuse(where, "`from` must not be nil, found at rule %d", at)
		case from.GetSource() == nil:
			c.refuse(where+".source", "`from.source` must not be nil, found at rule %d", at)
		default:
			c.source(where+".source", at, from.GetSource())
		}
	}
	if rule.To != nil && len(rule.GetTo()) == 0 {
		c.refuse(field+".to", "`to` must not be empty, found at rule %d", at)
	}
	for i, to := range rule.GetTo() {
		switch where := entry(field+".to", i); {
		case to == nil:
			c.refuse(where, "`to` must not be nil, found at rule %d", at)
		case to.GetOperation() == nil:
			c.refuse(where+".operation", "`to.operation` must not be nil, found at rule %d", at)
		default:
			c.operation(where+".operation", at, to.GetOperation())
		}
	}
	for i, when := range rule.GetWhen() {
		c.condition(entry(field+".when", i), when)
	}
}

// listed are the values of a field of a source or an operation; name is as istiod's messages have it.
type listed struct {
	field, name string
	values      []string
	check       func(value string) string
}

// lists checks the values of fields, none of which may be empty, and reports whether there is any value.
func (c *checker) lists(field string, all []listed) (some bool) {
	for _, l := range all {
		some = some || len(l.values) > 0
		for i, value := range l.values {
			at := entry(field+"."+l.field, i)
			if value == "" {
				c.refuse(at, "empty value not allowed, found in %s", l.name)
			}
			if l.check != nil {
				c.refuseIf(at, l.check(value))
			}
		}
	}
	return some
}

func (c *checker) source(field string, at int, s *security.Source) {
	some := c.lists(field, []listed{
		{"principals", "Principals", s.GetPrincipals(), nil},
		{"notPrincipals", "NotPrincipals", s.GetNotPrincipals(), nil},
		{"requestPrincipals", "RequestPrincipals", s.GetRequestPrincipals(), nil},
		{"notRequestPrincipals", "NotRequestPrincipals", s.GetNotRequestPrincipals(), nil},
		{"namespaces", "Namespaces", s.GetNamespaces(), nil},
		{"notNamespaces", "NotNamespaces", s.GetNotNamespaces(), nil},
		{"ipBlocks", "IpBlocks", s.GetIpBlocks(), ipBlock},
		{"notIpBlocks", "NotIpBlocks", s.GetNotIpBlocks(), ipBlock},
		{"remoteIpBlocks", "RemoteIpBlocks", s.GetRemoteIpBlocks(), ipBlock},
		{"notRemoteIpBlocks", "NotRemoteIpBlocks", s.GetNotRemoteIpBlocks(), ipBlock},
		{"serviceAccounts", "ServiceAccounts", s.GetServiceAccounts(), serviceAccount("ServiceAccounts")},
		{"notServiceAccounts", "NotServiceAccounts", s.GetNotServiceAccounts(), serviceAccount("NotServiceAccounts")},
		{"trustDomains", "TrustDomains", s.GetTrustDomains(), trustDomain("TrustDomains")},
		{"notTrustDomains", "NotTrustDomains", s.GetNotTrustDomains(), trustDomain("NotTrustDomains")},
	})
	accounts := len(s.GetServiceAccounts()) + len(s.GetNotServiceAccounts())
	if accounts > 0 && len(s.GetPrincipals())+len(s.GetNotPrincipals())+len(s.GetNamespaces())+len(s.GetNotNamespaces()) > 0 {
		c.refuse(field, "cannot set serviceAccounts with namespaces or principals, found at rule %d", at)
	}
	if !some {
		c.refuse(field, "`from.source` must not be empty, found at rule %d", at)
	}
}

func (c *checker) operation(field string, at int, o *security.Operation) {
	some := c.lists(field, []listed{
		{"ports", "Ports", o.GetPorts(), policyPort},
		{"notPorts", "NotPorts", o.GetNotPorts(), policyPort},
		{"methods", "Methods", o.GetMethods(), nil},
		{"notMethods", "NotMethods", o.GetNotMethods(), nil},
		{"paths", "Paths", o.GetPaths(), nil},
		{"notPaths", "NotPaths", o.GetNotPaths(), nil},
		{"hosts", "Hosts", o.GetHosts(), nil},
		{"notHosts", "NotHosts", o.GetNotHosts(), nil},
	})
	if !some {
		c.refuse(field, "`to.operation` must not be empty, found at rule %d", at)
	}
}

// ipBlock is what is wrong with an address or a range; "" for nothing.
// Source: pkg/config/security/security.go, ValidateIPs.
func ipBlock(value string) string {
	if strings.Contains(value, "/") {
		if _, err := netip.ParsePrefix(value); err != nil {
			return "bad CIDR range (" + value + "): " + err.Error()
		}
		return ""
	}
	if !isAddress(value) {
		return "bad IP address (" + value + ")"
	}
	return ""
}

// Source: pkg/config/security/security.go, ValidatePorts.
func policyPort(value string) string {
	if p, err := strconv.ParseUint(value, 10, 32); err != nil || p > 65535 {
		return "bad port (" + value + ")"
	}
	return ""
}

// Source: pkg/config/security/security.go, CheckServiceAccount.
func serviceAccount(name string) func(string) string {
	return func(value string) string {
		switch {
		case value == "": // told already
		case strings.Contains(value, "*"):
			return "wildcard not allowed, found in " + name
		case strings.Count(value, "/") > 1:
			return "expected format 'serviceAccount' or 'namespace/serviceAccount', found " + strconv.Quote(value) + " in " + name
		}
		return ""
	}
}

// Source: pkg/config/security/security.go, CheckTrustDomainValues, CheckWildcardValues.
func trustDomain(name string) func(string) string {
	return func(value string) string {
		found := ", found in " + name + ": " + strconv.Quote(value)
		switch stars := strings.Count(value, "*"); {
		case stars > 1:
			return "at most one wildcard is allowed" + found
		case stars == 1 && !strings.HasPrefix(value, "*") && !strings.HasSuffix(value, "*"):
			return "wildcard is only allowed at the start or end" + found
		case strings.Contains(value, "/"):
			return "trust domain must not contain '/'" + found
		}
		return ""
	}
}

// condition checks one entry of when.
// Source: pkg/config/security/security.go, ValidateAttribute.
func (c *checker) condition(field string, when *security.Condition) {
	key := when.GetKey()
	switch {
	case key == "":
		c.refuse(field+".key", "`key` must not be empty")
		return
	case len(when.GetValues()) == 0 && len(when.GetNotValues()) == 0:
		c.refuse(field, "at least one of `values` or `notValues` must be set for key %s", key)
		return
	}
	for _, values := range []struct {
		field, called string
		values        []string
	}{{"values", "value", when.GetValues()}, {"notValues", "notValue", when.GetNotValues()}} {
		if wrong := attribute(key, values.values); wrong != "" {
			c.refuse(field+"."+values.field, "invalid `%s` for `key` %s: %s", values.called, key, wrong)
		}
	}
}

// attribute is what is wrong with a key and its values; "" for nothing.
func attribute(key string, values []string) string {
	if slices.Contains(values, "") {
		return "empty value not allowed, found in " + key
	}
	check := func(string) string { return "" }
	switch name, _, _ := strings.Cut(key, "["); {
	case strings.HasPrefix(key, "request.headers"), strings.HasPrefix(key, "request.auth.claims"), strings.HasPrefix(key, "experimental.envoy.filters."):
		if name == "" || !strings.HasSuffix(key, "]") || len(key)-len(name) < len("[b]") {
			return "bad key (" + key + "): should have format a[b]"
		}
	case key == "source.ip", key == "remote.ip", key == "destination.ip":
		check = ipBlock
	case key == "destination.port":
		check = policyPort
	case key == "source.serviceAccount":
		check = serviceAccount(key)
	case key == "source.namespace", key == "source.principal", key == "source.trustDomain", key == "request.auth.principal",
		key == "request.auth.audiences", key == "request.auth.presenter", key == "connection.sni":
	case key == "destination.namespace":
		return "attribute " + key + " is replaced by the metadata.namespace"
	case strings.HasPrefix(key, "destination.labels"):
		return "attribute " + key + " is replaced by the workload selector"
	case key == "destination.name", key == "destination.user":
		return "deprecated attribute " + key + ": only supported in v1alpha1"
	default:
		return "unknown attribute: " + key
	}
	for _, value := range values {
		if wrong := check(value); wrong != "" {
			return wrong
		}
	}
	return ""
}
