package resolve

import (
	"cmp"
	"net/url"
	"slices"
	"strconv"
	"strings"

	meshconfig "istio.io/api/mesh/v1alpha1"
	apisecurity "istio.io/api/security/v1beta1"
)

// authorizer is an external authorization provider of the mesh config.
type authorizer struct {
	// service is as written: [NAMESPACE/]HOST.
	service string
	// grpc providers are asked on TCP ports, too.
	grpc bool
	// failOpen lets requests pass where the authorizer cannot be reached.
	failOpen bool
	// statusOnError is the answer where it cannot be reached; 0 where the provider does not say.
	statusOnError int
	fault         providerFault
}

// CustomCheck is a CUSTOM rule that matches, with the external authorizer that is asked.
type CustomCheck struct {
	// Rule is the policy and rule (spec.rules[0]), and Provider the name in meshConfig.extensionProviders.
	Rule     Ref
	Provider string
	// FailOpen lets the request pass where the authorizer cannot be reached; else it is denied.
	FailOpen bool
	// StatusOnError is the answer where the authorizer cannot be reached.
	StatusOnError int
}

// providerFault is why a provider cannot be used. It is a closed list.
type providerFault string

const (
	providerUsable     providerFault = ""
	providerUndefined  providerFault = "is not in meshConfig.extensionProviders"
	providerDuplicate  providerFault = "is twice in meshConfig.extensionProviders"
	providerName       providerFault = "has a name that is no DNS label"
	providerPort       providerFault = "has no port from 1 to 65535"
	providerStatus     providerFault = "has a statusOnError that Envoy does not know"
	providerPathPrefix providerFault = "has a pathPrefix that does not begin with /"
	providerHeaders    providerFault = "has \"*\" alone in a list of headers"
	providerService    providerFault = "has a service that is not in the mesh"
	providerAmbiguous  providerFault = "has a service that several namespaces have; it needs NAMESPACE/HOST"
)

const (
	customPolicyPrefix = "istio-ext-authz-"
	badCustomSuffix    = "-deny-due-to-bad-CUSTOM-action"
)

// AuthorizeCustom is the part of Authorize that comes before JWT authentication:
// CUSTOM policies. It never allows for good: what is not denied goes on.
//
//  1. Policies of more than one provider on the proxy deny what their rules match.
//  2. A provider that cannot be used denies what its rules match.
//  3. On a TCP port an HTTP provider is left out.
//  4. Else a rule that matches has the external authorizer asked (Custom). What it answers is not known here.
//
// Claims are not known yet when these rules are evaluated. Policies that could not be
// read are in the gaps of AuthorizeLocal, where Authorize finds them once.
//
// Source: pilot/pkg/security/authz/builder/builder.go, buildHTTP, buildTCP;
// pilot/pkg/security/authz/builder/extauthz.go.
func (s *Snapshot) AuthorizeCustom(w *Workload, c *Connection, q *HTTPRequest) Authorization {
	a := s.authorizer(w, c, q)
	a.in.noToken = noTokenYet
	on := s.policiesOn(w, true)
	policies := on.byAction[apisecurity.AuthorizationPolicy_CUSTOM]
	a.PassedOver = on.passedOver
	a.withoutRules(policies.enforced)
	a.custom = slices.Concat(policies.enforced, policies.dryRun)
	providers := providersOf(policies)
	for _, name := range providers {
		enforced, dryRun := ofProvider(policies.enforced, name), ofProvider(policies.dryRun, name)
		provider, fault := s.usableProvider(name)
		switch {
		// 1. Several providers.
		case len(providers) > 1:
			a.customDenies(enforced, name, badCustomSuffix, RuleAuthorizationCustomProviders, strings.Join(providers, ", "))
		// 2. One that cannot be used, or that may be hidden by what could not be read.
		case fault == providerService && len(s.serviceGaps()) > 0:
			a.customMayDeny(enforced, name)
		case fault != providerUsable:
			a.customDenies(enforced, name, badCustomSuffix, RuleAuthorizationCustomUnusable, name, string(fault))
		// 3. HTTP on TCP.
		case a.at == envoyTCP && !provider.grpc:
			for _, p := range enforced {
				a.Steps = append(a.Steps, NewStep(RuleAuthorizationCustomTCP, Applied, p.ref.At("spec.provider.name"), name))
				a.citeProvider(name, provider.service)
			}
		// 4. The authorizer is asked.
		default:
			a.customDenies(dryRun, name, "", RuleAuthorizationCustomDryRun)
			if a.Decision == AccessDenied {
				a.citeProvider(name, provider.service)
			} else {
				a.ask(enforced, name, provider)
			}
		}
		if a.Decision == AccessDenied {
			if fault == providerUsable && len(providers) == 1 {
				a.Hint = notDryRun(dryRun)
			} else {
				a.Hint = a.customHint(enforced, name, providers)
			}
			break
		}
	}
	return a.Authorization
}

// customDenies denies if a rule of the policies matches.
func (a *authorizing) customDenies(policies []*authorizationPolicy, provider, suffix string, rule RuleID, facts ...any) {
	for _, r := range a.evaluate(policies) {
		name := a.snapshot.customName(provider) + r.name + suffix
		switch r.truth {
		case True:
			a.refuse(r.ref, name)
			a.Steps = append(a.Steps, NewStep(rule, DeniedBy, r.ref, append(slices.Clone(facts), r.matchedText(&a.in))...))
			return
		case Unknown:
			if a.undecided.IsZero() {
				a.undecided, a.undecidedName = r.ref, name
			}
			a.Decision, a.Policy, a.EnvoyPolicy = AccessUndetermined, r.ref, name
			a.missed(RuleAuthorizationMissed, r)
		case False:
			a.missed(RuleAuthorizationMissed, r)
		}
	}
}

// customMayDeny leaves open what the policies match.
func (a *authorizing) customMayDeny(policies []*authorizationPolicy, provider string) {
	for _, r := range a.evaluate(policies) {
		if r.truth == False {
			a.missed(RuleAuthorizationMissed, r)
			continue
		}
		gaps := a.snapshot.serviceGaps()
		a.Gaps = append(a.Gaps, gaps...)
		a.Decision, a.Policy, a.EnvoyPolicy = AccessUndetermined, r.ref, a.snapshot.customName(provider)+r.name
		a.Steps = append(a.Steps, NewStep(RuleAuthorizationCustomUnknown, Warned, r.ref, provider, string(gaps[0].Reason)))
		return
	}
}

// ask records the rules that have the external authorizer asked.
func (a *authorizing) ask(policies []*authorizationPolicy, name string, provider authorizer) {
	for _, r := range a.evaluate(policies) {
		if r.truth != True {
			a.missed(RuleAuthorizationMissed, r)
		}
		if r.truth != False {
			a.Custom = append(a.Custom, CustomCheck{
				Rule: r.ref, Provider: name, FailOpen: provider.failOpen, StatusOnError: cmp.Or(provider.statusOnError, 403),
			})
		}
		if r.truth == True {
			a.Steps = append(a.Steps, NewStep(RuleAuthorizationCustom, Warned, r.ref, name, provider.service, r.matchedText(&a.in)))
			a.citeProvider(name, provider.service)
		}
	}
}

// citeProvider names the service without which the provider could not be used.
func (a *authorizing) citeProvider(provider, service string) {
	if ref := a.snapshot.providerRef(service); !ref.IsZero() {
		a.Steps = append(a.Steps, NewStep(RuleAuthorizationCustomService, Applied, ref, provider))
	}
}

// customName is what stands before the names of CUSTOM rules; the provider is named since 1.30.
// Source: pilot/pkg/security/authz/builder/builder.go, policyName.
func (s *Snapshot) customName(provider string) string {
	major, minor, _ := strings.Cut(s.Version.Release, ".")
	if n, err := strconv.Atoi(minor); provider == "" || (err == nil && major == "1" && n < 30) {
		return customPolicyPrefix
	}
	return customPolicyPrefix + provider + "-"
}

// providersOf are the providers of the policies, by name.
func providersOf(policies attachedPolicies) []string {
	var names []string
	for _, list := range [][]*authorizationPolicy{policies.enforced, policies.dryRun} {
		for _, p := range list {
			names = append(names, p.spec.GetProvider().GetName())
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func ofProvider(policies []*authorizationPolicy, name string) []*authorizationPolicy {
	var out []*authorizationPolicy
	for _, p := range policies {
		if p.spec.GetProvider().GetName() == name {
			out = append(out, p)
		}
	}
	return out
}

func (s *Snapshot) usableProvider(name string) (authorizer, providerFault) {
	p, ok := s.index.policies().authorizers[name]
	if !ok {
		return p, providerUndefined
	}
	return p, p.fault
}

// serviceGaps are gaps that may hide the service of a provider.
func (s *Snapshot) serviceGaps() []Gap {
	return append(s.GapsOf(serviceKind), s.GapsOf(serviceEntryKind)...)
}

// indexAuthorizers reads the external authorization providers of the mesh config.
// Source: pilot/pkg/security/authz/builder/extauthz.go, processExtensionProvider.
func indexAuthorizers(s *Snapshot) map[string]authorizer {
	return readAuthorizers(s, s.Mesh.GetExtensionProviders())
}

func readAuthorizers(s *Snapshot, providers []*meshconfig.MeshConfig_ExtensionProvider) map[string]authorizer {
	out := map[string]authorizer{}
	var hosts map[string][]string
	for _, p := range providers {
		if p.GetEnvoyExtAuthzHttp() == nil && p.GetEnvoyExtAuthzGrpc() == nil {
			continue
		}
		if hosts == nil {
			hosts = serviceNamespaces(s)
		}
		_, twice := out[p.GetName()]
		a := newAuthorizer(p)
		switch {
		case twice:
			a.fault = providerDuplicate
		case !isProviderName(p.GetName()):
			a.fault = providerName
		case a.fault == providerUsable:
			a.fault = findProviderService(hosts, a.service)
		}
		out[p.GetName()] = a
	}
	return out
}

// newAuthorizer reads one provider and checks it by itself.
// Source: pilot/pkg/security/authz/builder/extauthz.go, buildExtAuthzHTTP, buildExtAuthzGRPC.
func newAuthorizer(p *meshconfig.MeshConfig_ExtensionProvider) authorizer {
	h, g := p.GetEnvoyExtAuthzHttp(), p.GetEnvoyExtAuthzGrpc()
	a := authorizer{service: g.GetService(), grpc: true, failOpen: g.GetFailOpen()}
	port, status := g.GetPort(), g.GetStatusOnError()
	if h != nil {
		a = authorizer{service: h.GetService(), failOpen: h.GetFailOpen()}
		port, status = h.GetPort(), h.GetStatusOnError()
	}
	code, err := strconv.Atoi(status)
	a.statusOnError = code
	_, badPrefix := url.Parse(h.GetPathPrefix())
	switch {
	case port < 1 || port > 65535:
		a.fault = providerPort
	case status != "" && (err != nil || !slices.Contains(envoyStatusCodes, code)):
		a.fault = providerStatus
	case badPrefix != nil || (h.GetPathPrefix() != "" && !strings.HasPrefix(h.GetPathPrefix(), "/")):
		a.fault = providerPathPrefix
	case slices.Contains(slices.Concat(h.GetIncludeRequestHeadersInCheck(), h.GetHeadersToDownstreamOnDeny(),
		h.GetHeadersToDownstreamOnAllow(), h.GetHeadersToUpstreamOnAllow()), "*"):
		a.fault = providerHeaders
	}
	return a
}

// envoyStatusCodes are the values of Envoy's type.v3.StatusCode.
var envoyStatusCodes = []int{
	0, 100, 200, 201, 202, 203, 204, 205, 206, 207, 208, 226, 300, 301, 302, 303, 304, 305, 307, 308,
	400, 401, 402, 403, 404, 405, 406, 407, 408, 409, 410, 411, 412, 413, 414, 415, 416, 417, 421, 422, 423, 424, 426, 428, 429, 431,
	500, 501, 502, 503, 504, 505, 506, 507, 508, 510, 511,
}

// isProviderName is a lower-case DNS label.
// Source: pilot/pkg/security/authz/builder/extauthz.go, validateProviderName.
func isProviderName(name string) bool {
	if name == "" || len(name) > 63 || name[0] == '-' || name[len(name)-1] == '-' {
		return false
	}
	return strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}

// serviceNamespaces are the namespaces that have a service, by hostname.
func serviceNamespaces(s *Snapshot) map[string][]string {
	out := map[string][]string{}
	add := func(host, namespace string) {
		if !slices.Contains(out[host], namespace) {
			out[host] = append(out[host], namespace)
		}
	}
	for _, o := range s.KubeServices {
		add(o.Name+"."+o.Namespace+".svc."+s.Mesh.Domain, o.Namespace)
	}
	for _, o := range s.ServiceEntries {
		for _, host := range o.Spec.GetHosts() {
			add(host, o.Namespace)
		}
	}
	return out
}

// findProviderService looks up [NAMESPACE/]HOST.
// Source: pilot/pkg/model/telemetry_logging.go, LookupCluster.
func findProviderService(hosts map[string][]string, service string) providerFault {
	if parts := strings.Split(service, "/"); len(parts) == 2 {
		if slices.Contains(hosts[parts[1]], parts[0]) {
			return providerUsable
		}
		return providerService
	}
	switch len(hosts[service]) {
	case 0:
		return providerService
	case 1:
		return providerUsable
	}
	return providerAmbiguous
}

// providerRef is the Service or ServiceEntry of [NAMESPACE/]HOST.
func (s *Snapshot) providerRef(service string) Ref {
	namespace, host, qualified := strings.Cut(service, "/")
	if !qualified {
		namespace, host = "", service
	}
	for _, svc := range s.ServicesForHost(host) {
		if namespace == "" || svc.Namespace == namespace {
			return svc.Ref.Object()
		}
	}
	return Ref{}
}
