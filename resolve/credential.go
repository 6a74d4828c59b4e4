package resolve

import (
	"fmt"
	"slices"
	"strings"

	networking "istio.io/api/networking/v1alpha3"
)

// A credentialName names what a proxy gets its certificates from, by way of istiod. That it is there and of
// which type is all that is asked here: what is in it is never read, and taken to be right.
//
//  1. Without a scheme or with kubernetes:// it is a Secret, of the proxy's own namespace where none is
//     written; kubernetes-gateway:// and configmap:// have a namespace. builtin:// is the certificate of the
//     mesh, and sds:// what a server beside istiod has.
//  2. A server takes certificate and key from it, one with MUTUAL or OPTIONAL_MUTUAL the authority of its
//     clients, too. A client takes the authority, unless insecureSkipVerify, and with MUTUAL certificate and key.
//     The authority is in the Secret NAME-cacert, else in NAME.
//  3. istiod gives a proxy Secrets of its own namespace alone, and certificate and key only where the proxy's
//     service account may list Secrets, which that of a gateway is taken to. Those of kubernetes-gateway:// are for
//     a Gateway and a gateway of that namespace; for others there has to be a ReferenceGrant. Their authority
//     comes with MUTUAL alone.
//  4. It does not see Secrets of Helm and of service account tokens, nor those of a namespace that it does not
//     discover; and of a name that ends in -cacert it gives the authority alone.
//  5. Manifests seldom hold Secrets: one that they leave out is taken to be there, unless they have one of
//     that name for another namespace.
//  6. While a certificate is awaited the listener or cluster that is new does not serve; after 15 seconds it does,
//     and closes each connection that would need it. Of several certificates one is enough.
//
// Source: pilot/pkg/model/credentials/resource.go, ParseResourceName; pilot/pkg/xds/sds.go, filterAuthorizedResources,
// generate; pilot/pkg/credentials/kube/secrets.go, GetCertInfo, GetCaCert; Envoy, Secret discovery service (SDS);
// core.v3.ConfigSource, initial_fetch_timeout.

// credential is what a credentialName names.
type credential struct {
	// written is the name as the configuration has it.
	written string
	scheme  string
	// namespace and name are the Secret's; empty where there is none.
	namespace, name string
}

// The schemes of a credentialName.
const (
	schemeSecret    = "kubernetes://"
	schemeGateway   = "kubernetes-gateway://"
	schemeConfigMap = "configmap://"
	schemeBuiltin   = "builtin://"
	schemeInvalid   = "invalid://"
	schemeExternal  = "sds://"
)

// authoritySuffix marks the Secret, or the part of one, that has the authority.
const authoritySuffix = "-cacert"

// credentialOf reads a credentialName for a proxy in the namespace.
//
// Source: pilot/pkg/model/credentials/resource.go, ToResourceName, ParseResourceName.
func credentialOf(written, namespace string) credential {
	c := credential{written: written, scheme: schemeSecret}
	rest := written
	for _, scheme := range []string{schemeSecret, schemeGateway, schemeConfigMap, schemeBuiltin, schemeInvalid, schemeExternal} {
		if after, ok := strings.CutPrefix(written, scheme); ok {
			c.scheme, rest = scheme, after
			break
		}
	}
	if c.scheme != schemeSecret && c.scheme != schemeGateway {
		return c
	}
	c.namespace, c.name = namespace, rest
	if parts := strings.Split(rest, "/"); len(parts) > 1 {
		c.namespace, c.name = parts[0], parts[1]
	} else if c.scheme == schemeGateway {
		c.scheme, c.name = schemeInvalid, ""
	}
	return c
}

// String is the Secret, or what else the name says.
func (c credential) String() string {
	if c.name == "" {
		return c.written
	}
	return fmt.Sprintf("Secret %s of namespace %s", c.name, c.namespace)
}

// use is what a proxy wants of a credential.
type use struct {
	proxy *Workload
	// field is where the credentialName is written.
	field     Ref
	authority bool
}

// Supply is what a proxy is given for a credentialName.
type Supply struct {
	// Given is false where a connection that needs it fails; the last step then says why.
	Given bool
	// Undetermined is set where that can not be known.
	Undetermined bool
	Steps        []Step
	// Hint is what would change that.
	Hint []Change
}

// given is a supply that succeeds.
func given(steps ...Step) Supply { return Supply{Given: true, Steps: steps} }

// and is what is needed besides. Certificate and authority are most often of one Secret: what is said already is left out.
func (s Supply) and(other Supply) Supply {
	for _, o := range other.Steps {
		if !slices.ContainsFunc(s.Steps, func(s Step) bool { return s.Rule == o.Rule && s.Reason() == o.Reason() }) {
			s.Steps = append(s.Steps, o)
		}
	}
	s.Given, s.Hint = s.Given && other.Given, append(s.Hint, other.Hint...)
	s.Undetermined = s.Undetermined || other.Undetermined
	return s
}

// ServerCertificates is what a gateway has for the handshake of the chain. A chain that does not terminate
// TLS needs nothing.
func (c *GatewayFilterChain) ServerCertificates(s *Snapshot) Supply {
	ref, names := c.credentials()
	if len(names) == 0 {
		return given()
	}
	proxy := c.listener.gateway.Workload
	out := s.oneOf(names, proxy, ref)
	if !out.Given || c.ClientCertificate() == ClientCertificateIgnored {
		return out
	}
	tls, authority := c.Server().Spec.GetTls(), credentialOf(names[0], proxy.Namespace)
	u := use{proxy: proxy, field: ref, authority: true}
	switch ca := tls.GetCaCertCredentialName(); {
	case ca != "":
		authority = credentialOf(strings.TrimSuffix(ca, authoritySuffix), proxy.Namespace)
	case authority.scheme == schemeGateway && tls.GetMode() == networking.ServerTLSSettings_OPTIONAL_MUTUAL:
		return out.and(u.denied(RuleCredentialOptional, authority.written))
	}
	return out.and(s.supply(authority, u))
}

// oneOf are the certificates of a server, of which any is enough.
func (s *Snapshot) oneOf(names []string, proxy *Workload, ref Ref) Supply {
	var out Supply
	for i, name := range names {
		at := ref
		if len(names) > 1 {
			at = ref.At(fmt.Sprintf("%s[%d]", ref.Field, i))
		}
		next := s.supply(credentialOf(name, proxy.Namespace), use{proxy: proxy, field: at})
		out.Given, out.Undetermined = out.Given || next.Given, out.Undetermined || next.Undetermined
		out.Steps, out.Hint = append(out.Steps, next.Steps...), next.Hint
	}
	if !out.Given {
		return out
	}
	out.Hint = nil
	for i := range out.Steps {
		if out.Steps[i].Verdict == DeniedBy {
			out.Steps[i].Verdict = Skipped // another serves
		}
	}
	return out
}

// ClientCertificates is what a client's proxy has to originate the TLS of a cluster.
//
// Source: pilot/pkg/security/model/authentication.go, ApplyCustomSDSToClientCommonTLSContext.
func (s *Snapshot) ClientCertificates(proxy *Workload, c *Cluster, tls ClientTLS) Supply {
	name, out := c.Policy.GetTls().GetCredentialName(), given()
	if proxy == nil || name == "" || tls.Mode != ClientTLSOrigination && tls.Mode != ClientMutualTLSOrigination {
		return out
	}
	u := use{proxy: proxy, field: c.TLSRef.At(c.TLSRef.Field + ".credentialName")}
	if c.TLSRef.Kind == "BackendTLSPolicy" {
		u.field = c.TLSRef.At(c.TLSRef.Field + ".caCertificateRefs[0]")
	}
	if name == schemeInvalid {
		return u.denied(RuleClientTLSUnready)
	}
	if tls.Mode == ClientMutualTLSOrigination {
		out = s.supply(credentialOf(name, proxy.Namespace), u)
	}
	if out.Given && !c.Policy.GetTls().GetInsecureSkipVerify().GetValue() {
		u.authority = true
		out = out.and(s.supply(credentialOf(name, proxy.Namespace), u))
	}
	return out
}

// supply is what a proxy is given of a credential.
func (s *Snapshot) supply(c credential, u use) Supply {
	// 1. What it is.
	switch {
	case c.scheme == schemeConfigMap && u.authority:
		namespace, name, _ := strings.Cut(strings.TrimPrefix(c.written, schemeConfigMap), "/")
		if ca := s.authority(namespace, name); ca.malformed {
			denied := u.denied(RuleConfigMapMalformed, ca.wrong)
			denied.Steps = append(ca.steps, denied.Steps...)
			return denied
		}
		return given()
	case c.scheme == schemeBuiltin, c.scheme == schemeExternal:
		return given()
	case c.scheme == schemeInvalid, c.scheme == schemeConfigMap, c.name == "":
		return u.denied(RuleCredentialNone, c.written, "which names no certificate and key")
	case !u.authority && strings.HasSuffix(c.name, authoritySuffix):
		return u.denied(RuleCredentialNone, c.written, "of which istiod gives the authority alone, as the name ends in "+authoritySuffix)
	}
	// 3. Who may have it.
	out := given()
	switch {
	case c.namespace != u.proxy.Namespace && c.scheme == schemeSecret:
		denied := u.denied(RuleCredentialNamespace, c.written, c.namespace, u.proxy.Namespace)
		c.namespace = u.proxy.Namespace
		denied.Steps = append(s.secretsElsewhere(c), denied.Steps...)
		denied.Hint = append([]Change{{Op: ChangeSet, Ref: u.field, Value: c.name}}, s.secretThere(c, u).Hint...)
		return denied
	case c.scheme == schemeGateway:
		if out = s.gatewaySecret(c, u); !out.Given {
			return out
		}
	case !u.authority && c.scheme == schemeSecret && u.proxy.Dataplane != DataplaneGateway:
		out = given(NewStep(RuleCredentialAuthorized, Warned, u.field, c.name, u.proxy.ServiceAccount, u.proxy.Namespace))
	}
	// 2., 4., 5. Whether it is there.
	if !u.authority {
		return out.and(s.secretThere(c, u))
	}
	own := c
	own.name += authoritySuffix
	if s.SecretOf(own.namespace, own.name).Found {
		return out.and(given(NewStep(RuleCredentialAuthority, Applied, Ref{Kind: "Secret", Namespace: own.namespace, Name: own.name}, own.String())))
	}
	there := s.secretThere(c, u)
	if there.Given {
		there.Steps = append(there.Steps, NewStep(RuleCredentialAuthority, Applied, u.field, "ca.crt or cacert of "+c.String()))
	}
	return out.and(there)
}

// gatewaySecret is whether a gateway may have a Secret by kubernetes-gateway://.
// Source: pilot/pkg/model/gateway.go, mergeGateways.
func (s *Snapshot) gatewaySecret(c credential, u use) Supply {
	owner, lookup := u.field, u.proxy.Namespace
	switch owner.Kind {
	case "Gateway":
		if owner.Namespace != u.proxy.Namespace {
			return u.denied(RuleCredentialGatewayApart, c.written, owner.Namespace, u.proxy.Namespace)
		}
		if c.namespace == owner.Namespace {
			return given()
		}
	case "ListenerSet":
		if c.namespace == owner.Namespace {
			return given()
		}
		lookup = owner.Namespace
	default:
		return Supply{Given: true, Undetermined: true, Steps: []Step{NewStep(RuleCredentialGrant, Warned, u.field, c.written)}}
	}
	if step, ok := s.granted(gatewayKind(owner.Kind), lookup, kindRef{"", "Secret"}, c.namespace, c.name); ok {
		step.Stage = StageTLS
		return given(step)
	}
	if gaps := s.GapsOf(referenceGrantKind, c.namespace); len(gaps) > 0 {
		return Supply{Given: true, Undetermined: true, Steps: s.gapSteps(StageTLS, referenceGrantKind, c.namespace)}
	}
	return u.denied(RuleCredentialNotGranted, c.written, c.namespace, lookup)
}

func (u use) denied(rule RuleID, args ...any) Supply {
	return Supply{Steps: []Step{NewStep(rule, DeniedBy, u.field, args...)}}
}

// secretThere is whether istiod has the Secret, as far as that is known.
func (s *Snapshot) secretThere(c credential, u use) Supply {
	about := Ref{Kind: "Secret", Namespace: c.namespace, Name: c.name}
	secret := s.SecretOf(c.namespace, c.name)
	switch {
	case !s.discovered(c.namespace):
		return u.denied(RuleCredentialAbsent, c.name, c.namespace, u.proxy.Owner.String(), " that istiod knows of, as meshConfig.discoverySelectors does not select the namespace")
	case secret.Unknown != nil:
		return given(NewStep(RuleCredentialUnread, Warned, u.field, about.String(), string(secret.Unknown.Reason), secret.Unknown.Detail))
	case secret.Assumed:
		return given(NewStep(RuleCredentialAssumed, Applied, u.field, about.QualifiedName()))
	case !secret.Found:
		absent := u.denied(RuleCredentialAbsent, c.name, c.namespace, u.proxy.Owner.String(), butIn(s.secretNamespaces(c.name)))
		absent.Hint = []Change{{Op: ChangeCreate, Ref: about}}
		if s.askSecret != nil {
			absent.Steps = slices.Insert(absent.Steps, 0, NewStep(RuleCredentialKept, Warned, u.field, about.String()))
		}
		absent.Steps = append(s.secretsElsewhere(c), absent.Steps...)
		return absent
	case secret.Type == "helm.sh/release.v1", secret.Type == "kubernetes.io/service-account-token":
		denied := u.denied(RuleCredentialType, about.QualifiedName(), secret.Type)
		denied.Steps[0].Ref = about
		return denied
	}
	return given(NewStep(RuleCredentialThere, Applied, about, about.QualifiedName(), secret.Type))
}

// secretsElsewhere are the Secrets of that name that do not count.
func (s *Snapshot) secretsElsewhere(c credential) []Step {
	var steps []Step
	for _, namespace := range s.secretNamespaces(c.name) {
		if namespace != c.namespace {
			other := Ref{Kind: "Secret", Namespace: namespace, Name: c.name}
			steps = append(steps, NewStep(RuleCredentialElsewhere, Skipped, other, other.QualifiedName()).Unlike(c.namespace, namespace))
		}
	}
	return steps
}

func butIn(namespaces []string) string {
	if len(namespaces) == 0 {
		return ""
	}
	return "; there is one of that name in namespace " + strings.Join(namespaces, ", ")
}

// credentials are the names that a server which terminates TLS takes its certificates from, and their
// field; none where it has the certificate of the mesh, or files.
//
// Source: pilot/pkg/networking/core/listener.go, BuildListenerTLSContext.
func (c *GatewayFilterChain) credentials() (Ref, []string) {
	tls, ref := c.Server().Spec.GetTls(), c.Server().Ref
	switch {
	case !c.Terminates() || tls.GetMode() == networking.ServerTLSSettings_ISTIO_MUTUAL:
		return ref, nil
	case len(tls.GetCredentialNames()) > 0:
		return c.Server().At("tls.credentialNames"), tls.GetCredentialNames()
	case tls.GetCredentialName() != "":
		return c.Server().At("tls.credentialName"), []string{tls.GetCredentialName()}
	}
	return ref, nil
}
